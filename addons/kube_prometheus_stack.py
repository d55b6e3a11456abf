"""kube-prometheus-stack: Prometheus, Alertmanager and Grafana, with what devices, queues, tenants and servers tell.

Facts: prometheus-community/helm-charts, chart 88.5.3 (values.yaml, templates, its charts of Grafana, node-exporter and
kube-state-metrics). Its definitions are applied by themselves; certificates of its webhook come from cert-manager, not
from hooks. The chart makes up Grafana's password, and another one with each render: without a Secret of the stack
nobody logs in, and who reaches Grafana (by `kubectl port-forward`, since its wall lets nobody else in) looks on alone.
The node-exporter needs the host, hence the namespace's level; no other pod of it does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.dashboards import dashboards
from espalier.addons.monitors import monitors
from espalier.addons.placement import apart, staying_affinity, system_tolerations
from espalier.blueprint import names
from espalier.content import ChartSource, Content, ContentFacts, ImagePath
from espalier.types import AddonInputs, AddonRecord, ByHand, Data, Peer, Planned, Traffic

NAME: Final = "kube-prometheus-stack"
VERSION: Final = "88.5.3"
NAMESPACE: Final = "monitoring"
PORT: Final = 9090
_CRDS: Final = (
    "alertmanagerconfigs",
    "alertmanagers",
    "podmonitors",
    "probes",
    "prometheusagents",
    "prometheuses",
    "prometheusrules",
    "scrapeconfigs",
    "servicemonitors",
    "thanosrulers",
)
_IMAGES: Final = (
    "docker.io/grafana/grafana:13.2.0",
    "quay.io/kiwigrid/k8s-sidecar:2.10.1",
    "quay.io/prometheus-operator/prometheus-config-reloader:v0.93.1",
    "quay.io/prometheus-operator/prometheus-operator:v0.93.1",
    "quay.io/prometheus/alertmanager:v0.34.0",
    "quay.io/prometheus/node-exporter:v1.12.1-distroless",
    "quay.io/prometheus/prometheus:v3.14.0-distroless",
    "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.20.0",
)
_SELECTORS: Final = ("probe", "podMonitor", "rule", "scrapeConfig", "serviceMonitor")
_HIDDEN_BY_CLOUDS: Final = ("kubeControllerManager", "kubeEtcd", "kubeProxy", "kubeScheduler")
_NO_TENANTS: Final = {"matchExpressions": [{"key": names.TENANT, "operator": "DoesNotExist"}]}
_ASKERS: Final = ("keda", "opencost")
"""Namespaces of add-ons that ask Prometheus."""


class Options(BaseModel):
    """How much is kept, how often it runs, who logs in."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    replicas: int = Field(default=2, ge=1, le=5, description="of Prometheus and of Alertmanager; 1 is the least")
    retention: str = Field(default="15d", pattern=r"^[1-9][0-9]*[hdwy]$", description="how long samples are kept")
    storage: str = Field(default="50Gi", pattern=r"^[1-9][0-9]*[GT]i$", description="disk of each Prometheus")
    grafana_secret: str = Field(
        default="",
        pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$",
        description="Secret of namespace monitoring with admin-user and admin-password; without it nobody logs in",
    )
    node_metrics: bool = Field(default=True, description="whether each node has an exporter, which needs the host")


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall, what is scraped, and dashboards of the stack's devices, queues, tenants and servers."""
    return (_wall(), *monitors(inputs, NAMESPACE), *dashboards(inputs, NAMESPACE))


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart: monitors of all namespaces that the platform makes, on disks, twice."""
    options: Options = inputs.options
    placed: dict[str, Any] = {"affinity": staying_affinity(), "tolerations": system_tolerations()}
    managed = inputs.facts.kind in ("aks", "eks", "gke")
    return {
        "prometheusOperator": {
            **placed,
            "admissionWebhooks": {"patch": {"enabled": False}, "certManager": {"enabled": True}},
            "resources": _bounds("100m", "256Mi", "512Mi"),
        },
        "prometheus": {
            "podDisruptionBudget": {"enabled": options.replicas > 1},
            "prometheusSpec": {
                **placed,
                **{f"{kind}SelectorNilUsesHelmValues": False for kind in _SELECTORS},
                # A rule judges the metrics of all, and writes under any name: tenants' own are passed over.
                "ruleNamespaceSelector": _NO_TENANTS,
                "replicas": options.replicas,
                "retention": options.retention,
                "retentionSize": _nine_tenths(options.storage),
                "topologySpreadConstraints": apart({"app.kubernetes.io/name": "prometheus"}),
                "storageSpec": _claim(options.storage),
                "resources": _bounds("500m", "2Gi", "8Gi"),
            },
        },
        "alertmanager": {
            "podDisruptionBudget": {"enabled": options.replicas > 1},
            "alertmanagerSpec": {
                **placed,
                "alertmanagerConfigNamespaceSelector": _NO_TENANTS,
                "replicas": options.replicas,
                "storage": _claim("5Gi"),
                "resources": _bounds("20m", "64Mi", "256Mi"),
            },
        },
        "grafana": _grafana(options, placed),
        "kube-state-metrics": {**placed, "metricLabelsAllowlist": ["nodes=[espalier.dev/pool]"]},
        "nodeExporter": {"enabled": options.node_metrics},
        "prometheus-node-exporter": {"tolerations": [{"operator": "Exists"}]},
        **({name: {"enabled": False} for name in _HIDDEN_BY_CLOUDS} if managed else {}),
    }


def _grafana(options: Options, placed: Mapping[str, Any]) -> dict[str, Any]:
    """Stateless: dashboards and sources come from ConfigMaps."""
    common = {**placed, "testFramework": {"enabled": False}, "defaultDashboardsTimezone": "browser"}
    if options.grafana_secret:
        return {**common, "admin": {"existingSecret": options.grafana_secret}}
    anonymous = {"auth": {"disable_login_form": True}, "auth.anonymous": {"enabled": True, "org_role": "Viewer"}}
    return {**common, "env": {"GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true"}, "grafana.ini": anonymous}


def _claim(size: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"volumeClaimTemplate": {"spec": spec}}


def _nine_tenths(size: str) -> str:
    """Of a disk, in Prometheus' spelling; the rest is for what is being written."""
    return f"{int(size[:-2]) * 1024 * 9 // 10 if size.endswith('Ti') else int(size[:-2]) * 9 // 10}GiB"


def _bounds(cpu: str, memory: str, most: str) -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": most}}


def _wall() -> Planned:
    """Its pods scrape everything, so that egress is open; who asks them is the API server and a few add-ons."""
    asking = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}} for name in _ASKERS]
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"from": [{"podSelector": {}}]},
            {"from": asking, "ports": [{"protocol": "TCP", "port": PORT}]},
            {"ports": [{"protocol": "TCP", "port": 10250}]},
        ],
    }
    metadata = {"name": "monitoring", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "espalier"}}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    return Planned("network-policy", policy)


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="observability",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/prometheus-community/helm-charts",
    options=Options,
    objects=objects,
    content=Content(
        source=ChartSource(NAME, VERSION, "oci://ghcr.io/prometheus-community/charts"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "privileged"},
        values=values,
        images=(
            ImagePath("Alertmanager", "spec.image"),
            ImagePath("Prometheus", "spec.image"),
            ImagePath(
                "Deployment",
                "spec.template.spec.containers[*].args[*]",
                "*-operator",
                r"^--(?:prometheus-config-reloader|thanos-default-base-image)=(\S+)",
            ),
        ),
        facts=ContentFacts(crds=tuple(f"{name}.monitoring.coreos.com" for name in _CRDS), images=_IMAGES),
        api_versions=("cert-manager.io/v1", "monitoring.coreos.com/v1"),
    ),
    data=(
        Data(
            "samples and silences",
            "volumes of each Prometheus and Alertmanager, which the operator makes; two replicas have the same",
            ByHand(
                save="a VolumeSnapshot of each claim; samples that must outlive these go elsewhere by remoteWrite",
                restore="claims of the same names from the snapshots, before the add-on comes",
            ),
            namespace=NAMESPACE,
            claims=("prometheus-*", "alertmanager-*"),
        ),
    ),
    needs=frozenset({"cert-manager"}),
    privileged_namespaces=frozenset({NAMESPACE}),
    traffic=Traffic(callers=(Peer(NAMESPACE, {"app.kubernetes.io/name": "prometheus"}),)),
    work=(("monitoring.coreos.com", ("podmonitors", "servicemonitors")),),
)
