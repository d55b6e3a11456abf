"""What EKS cannot do of a cluster block, and the cluster that it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from espalier.blueprint.clouds.eks.model import EksPlan
from espalier.blueprint.clouds.eks.zones import zones
from espalier.blueprint.clouds.model import CloudPlan
from espalier.settings.cloud import CloudCluster
from espalier.settings.eks import Eks
from espalier.types import Mistake

if TYPE_CHECKING:
    from espalier.blueprint.pools import PoolPlan


def cluster_mistakes(cluster: Eks) -> Iterator[Mistake]:
    """What EKS cannot do of the cluster block."""
    if cluster.access is None:
        do = "Add access: {via: network | tunnel | public, ...}."
        yield Mistake("espalier:cluster.access", "nothing", "how the deployer reaches a private API", do)


def plan(cluster: CloudCluster, pools: Sequence[PoolPlan]) -> CloudPlan:
    """The cluster with all its groups."""
    return EksPlan(
        kind="eks",
        name=cluster.name,
        region=cluster.region,
        zones=cluster.zones or zones(cluster.region) or (),
        tags=cluster.tags,
        groups=tuple(group for pool in pools for group in pool.groups),
        notes=(),
        version=cluster.version,
        cidr=cluster.network.cidr or "10.64.0.0/16",
        admins=cluster.access.admins if cluster.access else (),
    )
