"""What a stack needs of its cloud: each node group at its largest, and what the program registers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from espalier.blueprint import Blueprint
from espalier.blueprint.clouds import CloudPlan, NodeGroup
from espalier.blueprint.pools import PoolPlan
from espalier.quantity import parse_quantity
from espalier.settings.cloud import CloudCluster
from espalier.settings.pool import Pool, Reservation
from espalier.types import CapacityKind

COUNTED_TWICE = "this stack is up, and its own nodes are in both numbers"
"""Said of what is not enough only because a cloud counts running nodes by no stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNeed:
    """One node group at its largest. `vcpu`, `devices` and `pods` are of one node."""

    pool: str
    group: str
    kind: CapacityKind
    machines: tuple[str, ...]
    """The machine type, and those that spot capacity may take instead."""
    zones: tuple[str, ...]
    maximum: int
    vcpu: int
    devices: int
    accelerator: str
    """The catalogue's name, "" for none."""
    pods: int
    reservation: Reservation | None
    release: str
    """A release of the node image that the stack names, "" for the newest."""
    preload: str = ""
    """The snapshot or disk image of container images that the stack names, "" for none."""

    @property
    def machine(self) -> str:
        return self.machines[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """All that a stack asks of its cloud."""

    cluster: CloudCluster
    plan: CloudPlan
    groups: tuple[GroupNeed, ...]
    resources: tuple[tuple[str, Mapping[str, Any]], ...]
    """Type and inputs of each resource that the program registers in a cloud, sorted by type."""
    given: bool = False
    """The cluster is there already: only pools are added."""

    def count(self, kind: str) -> int:
        """How many resources of a type are made."""
        return sum(type_ == kind for type_, _ in self.resources)

    def types(self) -> list[str]:
        """The types of all that is made."""
        return sorted({type_ for type_, _ in self.resources})

    def names(self, kind: str, key: str = "name") -> list[str]:
        """The physical names of a type's resources, as far as the program says them."""
        found = (inputs.get(key) for type_, inputs in self.resources if type_ == kind)
        return sorted({name for name in found if isinstance(name, str)})

    def text(self, key: str) -> list[str]:
        """Every text that any resource is given under a key."""
        return sorted({v for _, inputs in self.resources if isinstance(v := inputs.get(key), str)})


def needs_of(blueprint: Blueprint, resources: Iterable[tuple[str, Mapping[str, Any]]]) -> Needs:
    """The needs of a cloud's stack. `resources` are type and plain inputs of what its program registers."""
    cluster, plan = blueprint.settings.cluster, blueprint.cloud
    assert isinstance(cluster, CloudCluster)  # noqa: S101 - the command asks for a cloud's stack
    assert plan is not None  # noqa: S101 - see above
    pools = {pool.name: pool for pool in blueprint.settings.pools}
    groups = [_need(plan_, pools[plan_.name], group) for plan_ in blueprint.pools for group in plan_.groups]
    cloudy = [(type_, inputs) for type_, inputs in resources if not type_.startswith(("kubernetes:", "pulumi:"))]
    made = tuple(sorted(cloudy, key=lambda each: each[0]))
    given = cluster.given is not None
    return Needs(cluster=cluster, plan=plan, groups=tuple(groups), resources=made, given=given)


def _need(plan: PoolPlan, pool: Pool, group: NodeGroup) -> GroupNeed:
    shape = group.shape
    others = pool.machines or () if shape.capacity_kind == "spot" else ()
    return GroupNeed(
        pool=plan.name,
        group=group.name,
        kind=shape.capacity_kind,
        machines=(shape.machine, *(name for name in others if name != shape.machine)),
        zones=group.zones,
        maximum=group.maximum,
        vcpu=math.ceil(parse_quantity(shape.capacity["cpu"])),
        devices=pool.count or (plan.accelerator.per_node if plan.accelerator else 0),
        accelerator=plan.accelerator.name if plan.accelerator else "",
        pods=math.ceil(parse_quantity(shape.capacity["pods"])),
        reservation=pool.reservation if shape.capacity_kind == "reserved" else None,
        release=pool.image.release or "",
        preload=(pool.preload.snapshot if pool.preload else None) or "",
    )


def named_by_pools(groups: Iterable[GroupNeed], of: Callable[[GroupNeed], str]) -> Iterator[tuple[str, str]]:
    """What pools name by its id, each once, with the first pool that names it."""
    found: dict[str, str] = {}
    for group in groups:
        if name := of(group):
            found.setdefault(name, group.pool)
    yield from sorted(found.items())


def held(groups: Iterable[GroupNeed], group: GroupNeed) -> tuple[int, str]:
    """Nodes that all groups on one's reservation want of its machine at most, as a number and for people."""
    assert group.reservation is not None  # noqa: S101 - the caller's
    name, machine = group.reservation.id, group.machine
    same = [each for each in groups if each.reservation and (each.reservation.id, each.machine) == (name, machine)]
    count = sum(each.maximum for each in same)
    if len(same) == 1:
        return count, f"the pool wants {count}"
    told = " and ".join(f"{each.group} {each.maximum}" for each in same)
    return count, f"those on it want {count} together ({told})"


def largest(groups: Iterable[GroupNeed]) -> str:
    """Groups at their largest, for people: `p5 2 x 192`."""
    return ", ".join(f"{group.group} {group.maximum} x {group.vcpu}" for group in groups)
