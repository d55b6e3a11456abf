"""The queues of a stack, for the system that its add-ons bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from espalier.blueprint import names
from espalier.blueprint.admission import SPOT_KEYS, Tolerated, may_mutate
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.queues import kai, kueue, volcano
from espalier.blueprint.queues.flavours import unit_of
from espalier.blueprint.queues.model import QueuePlan, Share, Shared
from espalier.blueprint.queues.proofs import prove_queues
from espalier.blueprint.queues.rules import flavours_without_topology, system_of
from espalier.blueprint.queues.shared import shared_of
from espalier.blueprint.tenants import TenantPlan
from espalier.settings.model import Settings
from espalier.types import Facts, Proof, QueueFacts


def plan_queues(
    settings: Settings,
    pools: Sequence[PoolPlan],
    tenants: Sequence[TenantPlan],
    facts: Facts,
    addons: Mapping[str, object],
) -> QueuePlan | None:
    """The plan of queues without mistakes; None where no add-on brings a queueing system."""
    system = system_of(addons)
    if not system:
        return None
    shared = shared_of(settings, pools, facts)
    if system == "kueue":
        objects = kueue.objects(shared)
        proofs = prove_queues(shared, objects, pools, tenants)
        notes = (*_notes(settings, shared), *_notebooks(shared, facts, tenants))
        return QueuePlan(system, shared, objects, proofs, notes)
    made = volcano.objects(shared) if system == "volcano" else kai.objects(shared)
    return QueuePlan(system, shared, made, tuple(_held(shared)))


def _held(shared: Shared) -> list[Proof]:
    """Of the systems whose queues have one number a device: what all have by right is there."""
    return [
        Proof(f"queue-sum/{one.device}", one.total >= 0, f"{one.total} are nobody's by right, and may be borrowed")
        for one in shared.idle
    ]


def _notes(settings: Settings, shared: Shared) -> tuple[str, ...]:
    """What a reader of the stack file would not expect."""
    found = [
        f"queues: nobody can ask for a topology of {flavour.name}: its nodes are not known before they are there"
        for flavour in flavours_without_topology(settings, shared)
    ]
    scarce = [
        f"queues: {share.own} of the {share.quota} {share.device} of {tenant.name} are its own; all tenants' quotas "
        f"together are more than {_theirs(shared, share)} hold"
        for tenant in shared.tenants
        for share in tenant.shares
        if share.own < share.quota and not any(flavour.unit > 1 for flavour in shared.holding(share.device))
    ]
    return (*found, *scarce)


def _theirs(shared: Shared, share: Share) -> str:
    return "the pools" if len(share.flavours) == len(shared.holding(share.device)) else "the pools that it may use"


def tolerated(plan: QueuePlan | None) -> Tolerated | None:
    """What Kueue's flavours let onto spot nodes; None where no queue tolerates these for its work."""
    if plan is None or plan.system != "kueue":
        return None
    flavours = plan.shared.flavours
    spot = {one.pool for one in flavours if any(taint.key in SPOT_KEYS for taint in one.taints)}
    devices = sorted({device for one in flavours if one.pool in spot for device in one.devices})
    steady = sorted({one.pool for one in flavours} - spot)
    return Tolerated(tuple(devices), tuple(steady)) if devices else None


def _notebooks(shared: Shared, facts: Facts, tenants: Sequence[TenantPlan]) -> Iterator[str]:
    """What the admission policy for notebooks asks of them where it may not mutate."""
    spot = sorted({one.pool for one in shared.flavours if any(taint.key in SPOT_KEYS for taint in one.taints)})
    if spot and tenants and not may_mutate(facts.kubernetes_version):
        on = ", ".join(spot)
        yield (
            f"queues: before Kubernetes 1.36 notebooks with devices of {on} are refused unless they say that they stay "
            f"off spot, whose taint Kueue's flavours tolerate: by nodeSelector: {{{names.CAPACITY}: on-demand}}, or by "
            f"a pool without spot"
        )


def queue_facts(settings: Settings, pools: Sequence[PoolPlan], facts: Facts) -> QueueFacts:
    """What a queueing system's own configuration follows from."""
    shared = shared_of(settings, pools, facts)
    waits = any(shape.capacity_kind == "flex" for pool in pools for shape in pool.shapes if shape.devices)
    queues = settings.queues
    return QueueFacts(
        counted=kueue.counted(shared),
        slices=any(unit_of(pool) > 1 for pool in pools if pool.shape.devices),
        enforce=queues.enforce,
        borrowing=queues.borrowing,
        preemption=queues.preemption,
        start_within=queues.start_within or ("24h" if waits else "30m"),
    )
