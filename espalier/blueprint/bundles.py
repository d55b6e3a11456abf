"""Sets of add-ons by one word: what a stack has with `profile`, besides what it names itself.

Device plugins, operators of devices and autoscalers are in none: which of them a stack needs, its pools and its cloud
say. A member that such a cluster refuses, since it brings its own, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from espalier.settings.model import Settings
from espalier.types import AddonRecord, Facts

_BASE: Final = ("cert-manager", "metrics-server")
_MESH: Final = ("gateway-api", "istio-base", "istio-cni", "istio-gateway", "istiod")
_TRAINING: Final = ("jobset", "kubeflow-trainer", "kueue")
_SERVING: Final = (*_BASE, "gateway-api", "keda", "kserve", "kserve-crd", "kube-prometheus-stack")
_KUBEFLOW: Final = (
    *_BASE,
    *_MESH,
    *_TRAINING,
    "argo-workflows",
    "katib",
    "kserve",
    "kserve-crd",
    "kubeflow-base",
    "kubeflow-dashboard",
    "kubeflow-notebooks",
    "kubeflow-pipelines",
)
BUNDLES: Final[Mapping[str, tuple[str, ...]]] = {
    "starter": (*_BASE, *_TRAINING, "kube-prometheus-stack"),
    "kubeflow": _KUBEFLOW,
    "serving": _SERVING,
    "llm": (*_SERVING, *_TRAINING, "kuberay-operator", "lws"),
    "full": (
        *_KUBEFLOW,
        *_SERVING,
        "cloudnative-pg",
        "external-secrets",
        "headlamp",
        "kuberay-operator",
        "lws",
        "mlflow",
        "mpi-operator",
        "opencost",
        "spark-operator",
        "training-operator-v1",
    ),
}
"""Profile -> its add-ons, each with its defaults unless the stack file names it."""


def brought_by(settings: Settings, records: Mapping[str, AddonRecord], facts: Facts) -> dict[str, Mapping[str, Any]]:
    """The add-ons of a stack's profile with their defaults; what the stack file says of one comes over it."""
    members = sorted(set(BUNDLES.get(settings.profile or "", ())))
    return {id: {} for id in members if id not in records or not list(records[id].refuses(facts))}


def profile_of(id: str, settings: Settings) -> str:
    """The profile that brought an add-on; "" where the stack file names it, or its cluster or its queues ask for it."""
    brought = id in BUNDLES.get(settings.profile or "", ()) and id not in settings.addons
    return settings.profile if brought and settings.profile else ""
