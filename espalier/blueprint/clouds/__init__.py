"""Clouds: from the portable pool and cluster blocks to what each cloud's API takes."""

from __future__ import annotations

from espalier.blueprint.clouds.model import CloudPlan, Compiler, NodeGroup, Wanted
from espalier.settings.cloud import CloudCluster
from espalier.settings.clusters import AnyCloud, Cluster, Simulated

__all__ = ["CloudPlan", "Compiler", "NodeGroup", "Wanted", "cloud_of", "compiler_of"]


def cloud_of(cluster: Cluster) -> AnyCloud | None:
    """The cloud's cluster that a block is, or that a simulated one stands for; None for any other."""
    if isinstance(cluster, Simulated):
        return cluster.stands_for
    return cluster if isinstance(cluster, CloudCluster) else None


def compiler_of(kind: str) -> Compiler:
    """The compiler of a kind of cluster; each is imported only when it is asked for."""
    if kind == "eks":
        from espalier.blueprint.clouds.eks import COMPILER
    elif kind == "gke":
        from espalier.blueprint.clouds.gke import COMPILER
    else:
        from espalier.blueprint.clouds.aks import COMPILER
    return COMPILER
