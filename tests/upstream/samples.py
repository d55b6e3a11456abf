"""Which of upstream's definitions the kinds of samples have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.upstream.staged import read

FOLDERS: Final[Mapping[str, str]] = {
    "Experiment": "katib",
    "HTTPRoute": "gateway-api",
    "InferenceService": "kserve-crd",
    "JAXJob": "training-operator-v1",
    "JobSet": "jobset",
    "LeaderWorkerSet": "lws",
    "MPIJob": "mpi-operator",
    "Notebook": "kubeflow-notebooks",
    "PyTorchJob": "training-operator-v1",
    "TFJob": "training-operator-v1",
    "Tensorboard": "kubeflow-notebooks",
    "TrainJob": "kubeflow-trainer",
}
OWN: Final = frozenset({"ConfigMap", "Job", "PersistentVolumeClaim"})
"""Kinds of Kubernetes itself."""


def definitions() -> list[dict[str, Any]]:
    """Of all these kinds, each once."""
    found = ((kind, one) for kind, folder in sorted(FOLDERS.items()) for one in read(folder, "crds.yaml"))
    return [one for kind, one in found if one["spec"]["names"]["kind"] == kind]
