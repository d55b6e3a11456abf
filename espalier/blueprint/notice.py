"""How capacity that ends tells of it: how long before, how much of that a pod gets, and who moves the pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from espalier.types import CapacityKind, Notice

if TYPE_CHECKING:
    from espalier.blueprint.pools import PoolPlan
    from espalier.settings.pool import Pool

_DATE: Final = "2026-11-30"
_NOTICES: Final[Mapping[tuple[str, str], Notice]] = {
    ("eks", "spot"): Notice(
        120, 120, "EC2 takes spot capacity back", "Amazon EC2 User Guide, Spot Instance interruption notices", _DATE
    ),
    ("eks", "capacity-block"): Notice(
        600,
        600,
        "EC2 ends instances 30 minutes before the end of their capacity block, and warns 10 minutes before that",
        "Amazon EC2 User Guide, Monitor Capacity Blocks using EventBridge",
        _DATE,
    ),
    ("gke", "spot"): Notice(
        30,
        15,
        "Compute Engine takes spot capacity back; of its 30 s the kubelet keeps 15 for system pods",
        "GKE documentation, Spot VMs, termination and graceful shutdown",
        _DATE,
    ),
    ("gke", "flex"): Notice(
        None, None, "a node ends after flex.max-run, at a time that is known from its start", "GKE, flex-start", _DATE
    ),
    ("aks", "spot"): Notice(
        30,
        30,
        "Azure evicts spot capacity; Scheduled Events tell of it, without a promise",
        "Azure documentation, Scheduled Events for Linux VMs (Preempt); AKS, node auto-drain",
        _DATE,
    ),
}


def notice_of(kind: str, capacity: CapacityKind, *, block: bool = False) -> Notice | None:
    """How capacity of a kind of cluster ends; None where it stays, or where only its owner knows.

    `block`: what is reserved is a capacity block of EC2's.
    """
    return _NOTICES.get((kind, "capacity-block" if block and capacity == "reserved" else capacity))


def with_notices(plans: Sequence[PoolPlan], pools: Sequence[Pool], kind: str) -> tuple[PoolPlan, ...]:
    """The pools, each shape with how its capacity ends."""
    blocks = {pool.name for pool in pools if pool.reservation and pool.reservation.type == "capacity-block"}
    return tuple(
        replace(
            plan,
            shapes=tuple(
                replace(shape, notice=notice_of(kind, shape.capacity_kind, block=plan.name in blocks))
                for shape in plan.shapes
            ),
        )
        for plan in plans
    )
