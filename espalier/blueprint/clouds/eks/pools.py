"""EKS's node groups: one kind of capacity of a pool, as a managed node group."""

from __future__ import annotations

from collections.abc import Iterator

from espalier.blueprint.clouds.eks.model import EksNodeGroup
from espalier.blueprint.clouds.eks.zones import zones
from espalier.blueprint.clouds.model import NodeGroup, Wanted
from espalier.blueprint.clouds.naming import generation_of, physical
from espalier.settings.eks import Eks
from espalier.types import CapacityKind, Mistake


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
