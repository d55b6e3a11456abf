"""A small, fast client of the Kubernetes API over a plain HTTP pool."""

from espalier.kube.client import FIELD_MANAGER, Client
from espalier.kube.errors import ApiError, KubeconfigError, KubeError, UnknownKindError, UnreachableError
from espalier.kube.kinds import Kind, Manifest, Reference, kind_named, reference_of
from espalier.kube.kubeconfig import Kubeconfig
from espalier.kube.watch import Event, Watch

__all__ = [
    "FIELD_MANAGER",
    "ApiError",
    "Client",
    "Event",
    "Kind",
    "KubeError",
    "Kubeconfig",
    "KubeconfigError",
    "Manifest",
    "Reference",
    "UnknownKindError",
    "UnreachableError",
    "Watch",
    "kind_named",
    "reference_of",
]
