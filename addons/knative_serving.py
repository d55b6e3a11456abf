"""Knative Serving, made by its operator: what KServe's mode Knative stands on, for models that go to zero.

Facts: knative/operator v1.23.0 (definition of KnativeServing; it bundles Serving 1.20 to 1.23), knative/serving 1.23,
config/core/configmaps (features, network, domain). Kourier is the layer that routes, unless Istio is said. Pods may say
where they run, so that they reach pools with taints, and the proxies beside them are what a restricted namespace takes:
both are features to turn on. The images of its parts are compiled into the operator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from espalier.types import AddonInputs, AddonRecord, Mistake, Peer, Planned, Traffic, Window

NAME: Final = "knative-serving"
VERSION: Final = "1.23.0"
NAMESPACE: Final = "knative-serving"
GROUP: Final = "serving.knative.dev"
PORTS: Final = (8012, 8013, 8022, 9090, 9091)
"""Of the proxy beside each server: requests, the same by HTTP/2, its own state, metrics for the autoscaler and all."""
KUBERNETES: Final = Window("1.34", "", "https://github.com/knative/pkg/blob/release-1.23/version/version.go")
"""Its processes end at once on an older one."""
_MESH: Final = "istio-system"
_OURS: Final = {"app.kubernetes.io/managed-by": "espalier"}
_DOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$"


class Options(BaseModel):
    """Which layer routes, and by which names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    layer: Literal["istio", "kourier"] = Field(
        default="kourier", description="what routes to servers; istio needs istiod and istio-gateway"
    )
    domain: Annotated[str, Field(pattern=_DOMAIN, max_length=200)] | None = Field(
        default=None,
        description="servers are <name>.<namespace>.<domain>; without it they are reached within the cluster alone",
    )


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The namespace, and the object that the operator makes Serving of."""
    options: Options = inputs.options
    labels = {**_OURS, "pod-security.kubernetes.io/enforce": "baseline"}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    serving = {
        "apiVersion": "operator.knative.dev/v1beta1",
        "kind": "KnativeServing",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": _OURS},
        "spec": {
            "version": VERSION,
            "high-availability": {"replicas": 2},
            "ingress": _ingress(options),
            "config": _config(options),
        },
    }
    return (Planned("namespace", space), Planned("serving", serving, needs=("namespace",)))


def _ingress(options: Options) -> dict[str, Any]:
    if options.layer == "istio":
        return {"istio": {"enabled": True}}
    return {"kourier": {"enabled": True, "service-type": "ClusterIP"}}


def _config(options: Options) -> dict[str, dict[str, str]]:
    places = ("affinity", "nodeselector", "persistent-volume-claim", "persistent-volume-write", "tolerations")
    return {
        "domain": {options.domain or "svc.cluster.local": ""},
        "features": {
            **{f"kubernetes.podspec-{place}": "enabled" for place in places},
            "secure-pod-defaults": "enabled",
        },
        "network": {"ingress-class": f"{options.layer}.ingress.networking.knative.dev"},
    }


def judges(inputs: AddonInputs) -> Iterator[Mistake]:
    """Istio as the layer has to be there."""
    options: Options = inputs.options
    if options.layer == "istio" and not {"istiod", "istio-gateway"} <= inputs.beside.keys():
        do = "Add `istiod: {}` and `istio-gateway: {}` to espalier:addons, or take kourier."
        yield Mistake(f"espalier:addons.{NAME}.layer", "istio", "istio beside istiod and istio-gateway", do)


def traffic(options: Options) -> Traffic:
    """The activator, the autoscaler and the layer's gateway reach the proxy beside each server."""
    mesh = (Peer(_MESH, {}, PORTS),) if options.layer == "istio" else ()
    return Traffic(callers=(Peer(NAMESPACE, {}, PORTS), *mesh), servers=())


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="serving",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/knative/serving",
    options=Options,
    objects=objects,
    kubernetes=KUBERNETES,
    needs=frozenset({"knative-operator"}),
    after=frozenset({"istio-base", "istio-gateway", "istiod"}),
    judges=judges,
    work=((GROUP, ("configurations", "domainmappings", "routes", "services")),),
    seen=((GROUP, ("revisions",)),),
    traffic_by=traffic,
)
