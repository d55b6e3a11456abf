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
GKE_SHUTDOWN: Final = 120
GKE_CRITICAL: Final = 15
"""Seconds by which a spot node's end is put off, the most that GKE gives, and how many of them are system pods'."""
_EXTENDED_SINCE: Final = 35
"""The minor from which GKE does so, on node pools of Standard clusters (1.35.0-gke.1171000; channels are past it)."""
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
    ("gke", "spot-extended"): Notice(
        GKE_SHUTDOWN,
        GKE_SHUTDOWN - GKE_CRITICAL,
        f"Compute Engine takes spot capacity back; of {GKE_SHUTDOWN} s, which Espalier has GKE give, the kubelet keeps "
        f"{GKE_CRITICAL} s for system pods",
        "GKE documentation, Spot VMs, termination and graceful shutdown",
        "2026-12-01",
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


def extended(version: str) -> bool:
    """Whether GKE puts the end of a spot node off on a cluster of this version, 1.35 or the like."""
    return int(version.split(".")[1]) >= _EXTENDED_SINCE


def notice_of(kind: str, capacity: CapacityKind, version: str, *, block: bool = False) -> Notice | None:
    """How capacity of a kind of cluster ends; None where it stays, or where only its owner knows.

    `block`: what is reserved is a capacity block of EC2's.
    """
    if block and capacity == "reserved":
        return _NOTICES.get((kind, "capacity-block"))
    longer = kind == "gke" and capacity == "spot" and extended(version)
    return _NOTICES.get((kind, "spot-extended" if longer else capacity))


def with_notices(plans: Sequence[PoolPlan], pools: Sequence[Pool], kind: str, version: str) -> tuple[PoolPlan, ...]:
    """The pools, each shape with how its capacity ends on a cluster of this kind and version."""
    blocks = {pool.name for pool in pools if pool.reservation and pool.reservation.type == "capacity-block"}
    return tuple(
        replace(
            plan,
            shapes=tuple(
                replace(shape, notice=notice_of(kind, shape.capacity_kind, version, block=plan.name in blocks))
                for shape in plan.shapes
            ),
        )
        for plan in plans
    )
