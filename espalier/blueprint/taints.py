"""Every taint that a pool's nodes get, and why: the stack file's, Espalier's, and those that a cloud makes itself.

Computed from the node shapes (what a node will have) and the node groups (what is asked of the cloud): what is in the
first and not in the second is the cloud's own. Sources of the clouds' taints: GKE, "Node taints" (GPUs, TPUs, Arm,
queued provisioning); AKS, spot-node-pool.md and use-system-pools.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from espalier.blueprint import names
from espalier.blueprint.pools import PoolPlan
from espalier.types import CapacityKind, Taint

By = Literal["stack file", "espalier", "cloud"]

_WHY: Final = {
    names.SPOT: "its cloud may take the node back",
    "cloud.google.com/gke-spot": "its cloud may take the node back",
    "kubernetes.azure.com/scalesetpriority": "its cloud may take the node back",
    "CriticalAddonsOnly": "cluster components run here",
    "cloud.google.com/gke-queued": "it takes pods of a ProvisioningRequest alone",
    names.COMPUTE_CLASS: "it takes pods of its compute class alone",
    names.STARTUP_TAINT.key: "a new node waits until all its devices are allocatable",
    names.FAILED_TAINT.key: "a node whose devices fail takes no new work",
    "kubernetes.io/arch": "its processor is no amd64",
}
"""Key -> what a taint that is not the accelerator's keeps pods off for."""


@dataclass(frozen=True, slots=True)
class KnownTaint:
    """A taint of some nodes of a pool: of which kinds of capacity, who makes it, and what for."""

    taint: Taint
    kinds: tuple[CapacityKind, ...]
    by: By
    why: str

    def to_json(self) -> dict[str, object]:
        return {**self.taint.to_json(), "capacity": list(self.kinds), "by": self.by, "why": self.why}


def taints_of(pool: PoolPlan) -> tuple[KnownTaint, ...]:
    """All taints of the pool's nodes, in the order in which its shapes have them; then those that may come later."""
    kinds: dict[Taint, list[CapacityKind]] = {}
    for shape in pool.shapes:
        for taint in (*shape.taints, *shape.startup_taints):
            kinds.setdefault(taint, []).append(shape.capacity_kind)
    kinds |= {taint: [shape.capacity_kind for shape in pool.shapes] for taint in pool.later_taints}
    asked = {*_asked(pool), *pool.later_taints}
    return tuple(_known(pool, taint, tuple(found), asked) for taint, found in kinds.items())


def _asked(pool: PoolPlan) -> Iterator[Taint]:
    """What is asked of whoever makes the nodes; where no cloud does, all of it. No startup taint is a cloud's own."""
    yield from (taint for shape in pool.shapes for taint in shape.startup_taints)
    if not pool.groups:
        yield from (taint for shape in pool.shapes for taint in shape.taints)
    yield from (taint for group in pool.groups for taint in group.taints)


def _known(pool: PoolPlan, taint: Taint, kinds: tuple[CapacityKind, ...], asked: set[Taint]) -> KnownTaint:
    resource = pool.accelerator.resource if pool.accelerator else ""
    if resource and taint == names.accelerator_taint(resource):
        return KnownTaint(taint, kinds, "espalier", "the node is kept for pods that ask for its devices")
    by: By = "cloud" if taint not in asked else "espalier" if taint.key in _WHY else "stack file"
    return KnownTaint(taint, kinds, by, _WHY.get(taint.key, "the stack file wants it"))
