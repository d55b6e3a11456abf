"""KEDA: scales servers by what they are asked for, from none and back to none; DCGM's metrics come from Prometheus.

Facts: kedacore/charts v2.20.2, keda/values.yaml and templates (manager/clusterrole, minimal-rbac, networkpolicy). It is
the one server of v1beta1.external.metrics.k8s.io (kedacore/keda issues 470, 2093); its definitions stay when it goes,
since with them all ScaledObjects would. What asks Prometheus is the operator, at an address that a tenant writes: hence
the wall around its namespace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import apart, one_at_a_time, staying_affinity, system_tolerations
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord, Planned

NAME: Final = "keda"
VERSION: Final = "2.20.2"
NAMESPACE: Final = "keda"
API: Final = "v1beta1.external.metrics.k8s.io"
_GROUP: Final = "keda.sh"
_PARTS: Final = {"operator": "keda-operator", "metricsServer": "keda-operator-metrics-apiserver"}
_WEBHOOKS: Final = "keda-admission-webhooks"


class Options(BaseModel):
    """Where metrics are, and what the operator may read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    prometheus_namespace: str = Field(
        default="monitoring", pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", description="the namespace of Prometheus"
    )
    prometheus_port: int = Field(default=9090, ge=1, le=65535, description="the port that its pods listen on")
    secrets: bool = Field(
        default=False,
        description="whether triggers may take credentials from Secrets: the operator then reads those of every "
        "namespace",
    )


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The walls: the operator asks Prometheus, and 443 and 6443 of every address; who asks it is the API server."""
    options: Options = inputs.options
    prometheus = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": options.prometheus_namespace}}}
    dns = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    spec: dict[str, Any] = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        # The metrics API, the webhook, and between the parts gRPC; probes come from the node, which no policy stops.
        "ingress": [{"ports": _tcp(6443, 9443)}, {"from": [{"podSelector": {}}], "ports": _tcp(9666)}],
        "egress": [
            {"to": [dns], "ports": [*_tcp(53), {"protocol": "UDP", "port": 53}]},
            # The API server is no pod, and its address not known before; port 80, where clouds give out credentials,
            # is not among these.
            {"ports": _tcp(443, 6443)},
            {"to": [prometheus], "ports": _tcp(options.prometheus_port)},
            {"to": [{"podSelector": {}}], "ports": _tcp(9666)},
        ],
    }
    metadata = {"name": "keda", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "espalier"}}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    return (Planned("network-policy", policy),)


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Two of each part; the operator scales Deployments and StatefulSets, and reads Secrets only where it is to."""
    options: Options = inputs.options
    labels = {part: {"app": app} for part, app in (*_PARTS.items(), ("webhooks", _WEBHOOKS))}
    return {
        "image": {"pullPolicy": "IfNotPresent"},
        **{part: {"replicaCount": 2} for part in labels},
        "affinity": staying_affinity(),
        "tolerations": system_tolerations(),
        "priorityClassName": "system-cluster-critical",
        "topologySpreadConstraints": {part: apart(selector) for part, selector in labels.items()},
        # The chart spells the metrics server of this one in the singular.
        "podDisruptionBudget": {part: one_at_a_time() for part in ("operator", "metricServer", "webhooks")},
        "rbac": {"enabledCustomScaledRefKinds": False, "aggregateToDefaultRoles": False},
        "permissions": {
            "operator": {"restrict": {"secret": not options.secrets}},
            "metricServer": {"restrict": {"secret": True}},
        },
    }


def _tcp(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="autoscaling",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/kedacore/keda",
    options=Options,
    objects=objects,
    content=Content(
        source=ChartSource(NAME, VERSION, "https://kedacore.github.io/charts"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        values=values,
        facts=ContentFacts(
            crds=(
                "cloudeventsources.eventing.keda.sh",
                "clustercloudeventsources.eventing.keda.sh",
                "clustertriggerauthentications.keda.sh",
                "scaledjobs.keda.sh",
                "scaledobjects.keda.sh",
                "triggerauthentications.keda.sh",
            )
        ),
    ),
    provides=frozenset({f"apiservice/{API}"}),
    work=((_GROUP, ("scaledjobs", "scaledobjects", "triggerauthentications")),),
)
