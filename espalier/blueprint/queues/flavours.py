"""Pools become flavours: one for each kind of a pool's capacity, in the pool's order, or one for all that an
autoscaler chooses among.

Facts: Kueue v0.19.2. A job takes the first flavour that has room (flavorassigner.go); it goes to the next when the
quota of one is used, never when a cloud has no node of it. Nodes that do not stand yet are unknown to topology-aware
scheduling (tas_flavor_snapshot.go): a pool that sleeps would never wake, so that only standing pools, and those whose
nodes come by a ProvisioningRequest, can have a topology. Labels: cloud.google.com/gce-topology-* (AI Hypercomputer,
"Schedule GKE workloads with TAS"), topology.k8s.aws/network-node-layer-* (EC2 instance topology on EKS).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final

from espalier.blueprint import names
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.queues.model import Flavour
from espalier.settings.model import Settings
from espalier.settings.pool import Pool
from espalier.types import CapacityKind, Facts, NodeShape

HOST: Final = "kubernetes.io/hostname"
_LEVELS: Final[Mapping[str, tuple[str, ...]]] = {
    "eks": tuple(f"topology.k8s.aws/network-node-layer-{layer}" for layer in (1, 2, 3)),
    "gke": tuple(f"cloud.google.com/gce-topology-{level}" for level in ("block", "subblock", "host")),
}
"""From the widest to the closest, without the node itself. Azure's nodes have no such labels."""
_TPU_LEVELS: Final = ("cloud.google.com/gke-nodepool",)
"""A slice over several nodes is a node pool of its own (GKE, TPU concepts)."""
_TPU_LABELS: Final = ("cloud.google.com/gke-tpu-accelerator", names.TPU_TOPOLOGY)
_QUEUED: Final[Mapping[str, str]] = {"gke": "queued-provisioning.gke.io"}
_ATOMIC: Final = "best-effort-atomic-scale-up.autoscaling.x-k8s.io"
"""The class of a plain cluster-autoscaler."""


def flavours_of(settings: Settings, pools: Sequence[PoolPlan], facts: Facts) -> list[Flavour]:
    """The flavours of all pools with devices, in the order of the stack file. Others are not queued for."""
    asked = {pool.name: pool for pool in settings.pools}
    whole = ladder_of(settings, facts) == "pools"
    return [
        _flavour(asked[pool.name], pool, shapes, settings, facts)
        for pool in pools
        if pool.shape.devices
        for shapes in _apart(asked[pool.name], pool, whole)
    ]


def ladder_of(settings: Settings, facts: Facts) -> str:
    """Who goes down a pool's kinds of capacity.

    A queue sees quotas, and never that a cloud has no node of a kind: work that it sent to spot nodes would wait for
    them however long. Where an autoscaler knows the order, it chooses; one that nobody names may not know it.
    """
    known = facts.may_scale and facts.scaler
    return settings.queues.ladder or ("pools" if known else "kinds")


def _apart(asked: Pool, pool: PoolPlan, whole: bool) -> list[tuple[NodeShape, ...]]:
    """The pool's shapes by flavour. Nodes that come for a ProvisioningRequest are never one with others."""
    if not whole:
        return [(shape,) for shape in pool.shapes]
    plain = tuple(shape for shape in pool.shapes if not _is_queued(asked, shape))
    queued = [(shape,) for shape in pool.shapes if _is_queued(asked, shape)]
    found = [plain, *queued] if plain else queued
    return sorted(found, key=lambda shapes: pool.shapes.index(shapes[0]))


def _flavour(asked: Pool, pool: PoolPlan, shapes: tuple[NodeShape, ...], settings: Settings, facts: Facts) -> Flavour:
    shape = shapes[0]
    kind: CapacityKind | None = shape.capacity_kind if len(shapes) == 1 else None
    keys = (names.POOL, *((names.CAPACITY,) if kind else ()), names.ACCELERATOR, names.COMPUTE_CLASS, *_TPU_LABELS)
    return Flavour(
        name=f"{pool.name}-{kind}" if kind else pool.name,
        pool=pool.name,
        kind=kind or "",
        labels={key: shape.labels[key] for key in sorted(keys) if key in shape.labels},
        taints=tuple(dict.fromkeys(taint for one in shapes for taint in one.taints)),
        devices={device: count * pool.maximum for device, count in sorted(shape.devices.items())},
        unit=unit_of(pool),
        kinds=tuple(one.capacity_kind for one in shapes),
        topology=levels_of(asked, pool, shape, facts) if settings.queues.topology else (),
        queued=_QUEUED.get(facts.kind, _ATOMIC) if _is_queued(asked, shape) else "",
    )


def unit_of(pool: PoolPlan) -> int:
    """Devices of a slice over several nodes; 1 where each node is of use by itself."""
    topology = pool.shape.labels.get(names.TPU_TOPOLOGY)
    if topology is None:
        return 1
    chips, here = prod(int(side) for side in topology.split("x")), sum(pool.shape.devices.values())
    return chips if chips > here else 1


def levels_of(asked: Pool, pool: PoolPlan, shape: NodeShape, facts: Facts) -> tuple[str, ...]:
    """Labels by which its nodes are close to one another; none where nodes are not there when a job is judged."""
    stands = pool.minimum == pool.maximum and shape is pool.shapes[0]
    if not (stands or _is_queued(asked, shape)):
        return ()
    if unit_of(pool) > 1:
        return (*_TPU_LEVELS, HOST) if facts.runs_containers else (HOST,)
    if asked.placement != "compact":
        return ()
    return (*_LEVELS.get(facts.kind, ()), HOST) if facts.runs_containers else (HOST,)


def _is_queued(asked: Pool, shape: NodeShape) -> bool:
    return shape.capacity_kind == "flex" and asked.flex is not None and asked.flex.queued
