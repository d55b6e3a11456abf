"""Kinds of clusters, as a stack file says them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from espalier.settings.aks import Aks
from espalier.settings.base import UID_PATTERN, VERSION_PATTERN, Name, Strict
from espalier.settings.eks import Eks
from espalier.settings.gke import Gke


def _kind_of(value: Any) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return f"<{kind}>" if isinstance(kind, str) else None


AnyCloud = Eks | Gke | Aks
"""The cluster of some cloud."""

Cloud = Annotated[
    Annotated[Eks, Tag("<eks>")] | Annotated[Gke, Tag("<gke>")] | Annotated[Aks, Tag("<aks>")],
    Discriminator(_kind_of, custom_error_type="cloud_kind", custom_error_message="eks, gke or aks"),
]


class Simulated(Strict):
    """A real Kubernetes control plane on this machine, over nodes that KWOK pretends."""

    kind: Literal["simulated"] = Field(description="this kind of cluster")
    version: Literal["1.36"] = Field(default="1.36", description="Kubernetes minor version, as a quoted string")
    name: Name | None = Field(default=None, description="the simulated cluster's name; default: the stack's name")
    autoscaler: Literal["karpenter", "none"] = Field(
        default="none",
        description="what makes nodes for pods that wait, up to nodes.max, and takes empty ones away: Karpenter, built "
        "at its first use",
    )
    stands_for: Cloud | None = Field(
        default=None, description="a cloud's cluster whose pools it plays; `rehearse` sets it"
    )
    partial: bool = Field(
        default=False,
        description="whether add-ons whose charts nobody has fetched are left out without an error; `rehearse` sets it",
    )


class Existing(Strict):
    """A cluster that Espalier did not make, reached by a kubeconfig."""

    kind: Literal["existing"] = Field(description="this kind of cluster")
    version: Annotated[str, Field(pattern=VERSION_PATTERN)] = Field(
        description="Kubernetes minor version of the cluster, as a quoted string"
    )
    kubeconfig: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        description="path of the kubeconfig file; ~ is the home directory"
    )
    context: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="the kubeconfig's context; named, so that a change of the current context changes nothing here"
    )
    uid: Annotated[str, Field(pattern=UID_PATTERN)] | None = Field(
        default=None,
        description="UID of the cluster's namespace kube-system: any other cluster behind the same name is refused",
    )


Cluster = Annotated[
    Annotated[Simulated, Tag("<simulated>")]
    | Annotated[Existing, Tag("<existing>")]
    | Annotated[Eks, Tag("<eks>")]
    | Annotated[Gke, Tag("<gke>")]
    | Annotated[Aks, Tag("<aks>")],
    Discriminator(
        _kind_of,
        custom_error_type="cluster_kind",
        custom_error_message="eks, gke, aks, existing or simulated",
    ),
]


CLUSTER_KINDS: dict[str, type[Strict]] = {
    "eks": Eks,
    "gke": Gke,
    "aks": Aks,
    "existing": Existing,
    "simulated": Simulated,
}
