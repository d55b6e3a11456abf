"""EKS's compiler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from espalier.blueprint.clouds.eks.model import EksNodeGroup, EksPlan
from espalier.blueprint.clouds.model import CloudPlan, Compiler, NodeGroup, Wanted
from espalier.blueprint.clouds.naming import generation_of, physical
from espalier.settings.cloud import CloudCluster
from espalier.settings.eks import Eks
from espalier.types import CapacityKind, Mistake

if TYPE_CHECKING:
    from espalier.blueprint.pools import PoolPlan

_ZONES = {"us-east-1": ("us-east-1a", "us-east-1b", "us-east-1c")}


def zones(region: str) -> tuple[str, ...] | None:
    """Zones of a region."""
    return _ZONES.get(region)


def regions() -> tuple[str, ...]:
    """All regions that are known."""
    return tuple(sorted(_ZONES))


def cluster_mistakes(cluster: Eks) -> Iterator[Mistake]:
    """What EKS cannot do of the cluster block."""
    if cluster.access is None:
        do = "Add access: {via: network | tunnel | public, ...}."
        yield Mistake("espalier:cluster.access", "nothing", "how the deployer reaches a private API", do)


def pool_mistakes(_cluster: Eks, _wanted: Wanted) -> Iterator[Mistake]:
    """What EKS cannot do of a pool."""
    yield from ()


def groups(cluster: Eks, wanted: Wanted) -> tuple[NodeGroup, ...]:
    """One group a kind of capacity."""
    return tuple(_group(cluster, wanted, kind, first=kind == wanted.pool.capacity[0]) for kind in wanted.pool.capacity)


def _group(cluster: Eks, wanted: Wanted, kind: CapacityKind, *, first: bool) -> EksNodeGroup:
    labels, taints = wanted.labels(kind), wanted.taints()
    made = {"eks.amazonaws.com/capacityType": "SPOT" if kind == "spot" else "ON_DEMAND"}
    fixed = {"machine": wanted.machine.name, "kind": kind}
    generation = generation_of(fixed)
    key = f"{wanted.pool.name}-{kind}"
    return EksNodeGroup(
        key=key,
        name=physical(key, generation, 63),
        generation=generation,
        pool=wanted.pool.name,
        shape=wanted.shape(kind, labels={**labels, **made}, taints=taints, pods=110, storage_gib=100),
        labels=labels,
        taints=taints,
        minimum=wanted.pool.nodes.min if first else 0,
        maximum=wanted.pool.nodes.max,
        start=wanted.start if first else 0,
        zones=wanted.pool.zones or cluster.zones or zones(cluster.region) or (),
        instance_types=(wanted.machine.name,),
        ami_type="AL2023_x86_64_NVIDIA" if wanted.accelerator else "AL2023_x86_64_STANDARD",
        capacity_type="SPOT" if kind == "spot" else "ON_DEMAND",
        disk_gib=100,
        asg_tags={},
    )


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


COMPILER = Compiler(
    cloud="aws",
    zones=zones,
    regions=regions,
    cluster_mistakes=cluster_mistakes,
    pool_mistakes=pool_mistakes,
    groups=groups,
    plan=plan,
)
