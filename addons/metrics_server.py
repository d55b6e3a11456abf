"""metrics-server: what pods and nodes use now, for HorizontalPodAutoscalers, VPA and `kubectl top`.

Facts: kubernetes-sigs/metrics-server, chart 3.13.1 (v0.8.1): values.yaml, templates; README, "Scaling" (1 millicore and
2 MiB a node; 100 nodes by its defaults). GKE and AKS run their own; EKS has none unless it is asked for one (it lists a
community add-on). The API server does not check metrics-server's certificate, which it makes for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import apart, one_at_a_time, staying_affinity, system_tolerations
from espalier.content import ChartSource, Content
from espalier.types import AddonInputs, AddonRecord, Facts, Mistake

NAME: Final = "metrics-server"
CHART: Final = "3.13.1"
VERSION: Final = "0.8.1"
API: Final = "v1beta1.metrics.k8s.io"
_BUILT_IN: Final = {"gke": "GKE", "aks": "AKS"}
_LEAST_NODES: Final = 100


class Options(BaseModel):
    """What does not follow from the cluster."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    nodes: int = Field(default=_LEAST_NODES, ge=1, le=15_000, description="nodes that it is sized for")
    unsigned_kubelets: bool | None = Field(
        default=None,
        description="take the kubelets' certificates unchecked; default: on-prem only, where kubeadm has each kubelet "
        "sign its own",
    )


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Two of it, of which one may go, sized by the number of nodes."""
    options: Options = inputs.options
    nodes = max(options.nodes, _LEAST_NODES)
    unsigned = inputs.facts.kind == "onprem" if options.unsigned_kubelets is None else options.unsigned_kubelets
    memory = f"{2 * nodes}Mi"
    return {
        "replicas": 2,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "podDisruptionBudget": {"enabled": True, **one_at_a_time()},
        "resources": {"requests": {"cpu": f"{nodes}m", "memory": memory}, "limits": {"memory": memory}},
        "args": ["--kubelet-insecure-tls"] if unsigned else [],
        "affinity": staying_affinity(),
        "tolerations": system_tolerations(),
        "topologySpreadConstraints": apart({"app.kubernetes.io/name": NAME}),
    }


def refuses(facts: Facts) -> Iterator[Mistake]:
    """Clouds that run one of their own: two would take the API from one another."""
    if cloud := _BUILT_IN.get(facts.kind):
        accepted = f"a cluster without one: {cloud} runs its own, which serves {API}"
        yield Mistake(f"espalier:addons.{NAME}", f"on a cluster of kind {facts.kind}", accepted, "Remove it.")


def needed(facts: Facts) -> frozenset[str]:
    """For `needs_on` of what reads metrics: of an existing cluster only its owner knows."""
    return frozenset() if facts.kind in (*_BUILT_IN, "existing") else frozenset({NAME})


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="autoscaling",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kubernetes-sigs/metrics-server",
    options=Options,
    content=Content(
        source=ChartSource(NAME, CHART, "https://kubernetes-sigs.github.io/metrics-server/"),
        namespace="kube-system",
        create_namespace=False,
        values=values,
    ),
    refuses=refuses,
    provides=frozenset({f"apiservice/{API}"}),
    seen=(("metrics.k8s.io", ("pods",)),),
)
