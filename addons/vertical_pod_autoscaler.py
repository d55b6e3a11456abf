"""VPA in recommendation mode: it says what requests a workload should have, and changes none.

Facts: kubernetes/autoscaler, chart 0.11.0 (1.7.1): values.yaml, templates. Its updater and its webhook are off: the
chart's own README calls it not ready for production, and a resize restarts a training job. So there are no hooks and no
webhook either. GKE has a VPA of its own, with the same definitions, and its recommender's lease is what keeps GKE's HPA
going (kubernetes/autoscaler issues 6828, 7461).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from espalier.addons.metrics_server import needed
from espalier.addons.placement import staying_affinity, system_tolerations
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord, Facts, Mistake

NAME: Final = "vertical-pod-autoscaler"
CHART: Final = "0.11.0"
VERSION: Final = "1.7.1"
GROUP: Final = "autoscaling.k8s.io"


class Options(BaseModel):
    """No options: it recommends, and no more."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """The recommender alone, twice, of which one leads."""
    del inputs
    return {
        "admissionController": {"enabled": False},
        "updater": {"enabled": False},
        "podSecurityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
        "containerSecurityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "recommender": {
            "replicas": 2,
            "leaderElection": {"enabled": True},
            "podDisruptionBudget": {"enabled": True, "minAvailable": 1},
            "resources": {"requests": {"cpu": "50m", "memory": "500Mi"}, "limits": {"memory": "1Gi"}},
            "affinity": staying_affinity(),
            "tolerations": system_tolerations(),
        },
    }


def refuses(facts: Facts) -> Iterator[Mistake]:
    """GKE, which has one of its own."""
    if facts.kind == "gke":
        accepted = f"a cluster without one: GKE has its own, with the same definitions of {GROUP}"
        do = "Remove it; switch on GKE's own (`gcloud container clusters update --enable-vertical-pod-autoscaling`)."
        yield Mistake(f"espalier:addons.{NAME}", "on a cluster of kind gke", accepted, do)


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="autoscaling",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/kubernetes/autoscaler",
    options=Options,
    content=Content(
        source=ChartSource(NAME, CHART, "https://kubernetes.github.io/autoscaler"),
        namespace="kube-system",
        create_namespace=False,
        values=values,
        facts=ContentFacts(
            crds=(
                "verticalpodautoscalercheckpoints.autoscaling.k8s.io",
                "verticalpodautoscalers.autoscaling.k8s.io",
            )
        ),
    ),
    refuses=refuses,
    needs_on=needed,
    work=((GROUP, ("verticalpodautoscalers",)),),
)
