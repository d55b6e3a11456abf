"""What no queueing system can do of a stack's queues, each with what would work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.proofs import device_maxima
from espalier.blueprint.queues.kai import DEVICE as KAI_DEVICE
from espalier.blueprint.queues.kinds import kueue_mistakes
from espalier.blueprint.queues.kueue import together
from espalier.blueprint.queues.model import SYSTEMS, Flavour, Shared
from espalier.blueprint.queues.shared import shared_of
from espalier.blueprint.queues.volcano import OWN_QUEUES
from espalier.blueprint.tenant_bounds import reachable
from espalier.catalogue.model import words
from espalier.settings.base import hyphenated
from espalier.settings.model import Settings
from espalier.settings.queues import Queues, TenantQueue
from espalier.settings.tree import path_text
from espalier.types import Facts, Mistake

_KUEUE_ONLY: Final = ("ladder", "enforce", "topology", "start_within")
DEFAULT: Final = "kueue"
PROVIDED: Final = "queues"
"""What the records of queueing systems say that they provide; one of a team's own may say so, too."""
_MOST_TOLERATIONS: Final = 8
_MOST_FLAVOURS: Final = 64
_MOST_GROUPS: Final = 16
"""Of Kueue v0.19.2's definitions: tolerations of a flavour, flavours of a group, groups of a queue."""


def system_of(addons: Mapping[str, object]) -> str:
    """The queueing system among a stack's add-ons; "" for none."""
    return next((id for id in SYSTEMS if id in addons), "")


def default_system(settings: Settings, provided: Mapping[str, object]) -> dict[str, Mapping[str, Any]]:
    """Kueue, where the stack file speaks of queues and no add-on brings any. `provided` is what its add-ons provide.

    It is not added unasked: who has no use for queues gets no webhook in front of every pod of a tenant.
    """
    asked = "queues" in settings.model_fields_set or any(
        "queue" in tenant.model_fields_set for tenant in settings.tenants
    )
    return {DEFAULT: {}} if asked and PROVIDED not in provided else {}


def unqueued_notes(settings: Settings, pools: Sequence[PoolPlan], provided: Mapping[str, object]) -> tuple[str, ...]:
    """How work would wait for devices, where tenants have quotas of them and nothing queues."""
    scarce = {device for pool in pools for device in pool.shape.devices}
    tenants = [tenant.name for tenant in settings.tenants if scarce & set(tenant.quota.devices)]
    if PROVIDED in provided or not tenants:
        return ()
    return (
        f"queues: work of {words(tuple(tenants))} does not wait for devices in a queue, and what one tenant leaves "
        "idle no other may use beyond its quota; `espalier:queues: {}` brings Kueue",
    )


def queue_mistakes(settings: Settings, pools: Sequence[PoolPlan], facts: Facts, system: str) -> list[Mistake]:
    """All mistakes of the keys about queues; of pools that have none themselves."""
    if not system:
        return list(_without_system(settings))
    backing = device_maxima(pools)
    found = [*_of_system(settings, system), *_tenants(settings, pools, backing)]
    if found:
        return found
    shared = shared_of(settings, pools, facts)
    found += _slices(shared)
    if system == "kueue":
        found += [*_bounds(settings, shared), *_topology(settings, shared), *kueue_mistakes(settings, shared.flavours)]
    elif system == "kai-scheduler":
        found += _kai(settings, backing)
    return found


def _without_system(settings: Settings) -> Iterator[Mistake]:
    """Keys that an add-on of the team's own is not told of: with none at all, they bring Kueue."""
    accepted = f"a stack with {' or '.join(SYSTEMS)}"
    got, do = "queues of another add-on", "Remove the key."
    if settings.queues != Queues():
        yield Mistake("espalier:queues", got, accepted, do)
    for index, tenant in enumerate(settings.tenants):
        if tenant.queue != TenantQueue():
            yield Mistake(f"espalier:tenants[{index}].queue", got, accepted, do)


def _of_system(settings: Settings, system: str) -> Iterator[Mistake]:
    if system == "kueue":
        return
    plain = Queues()
    for key in _KUEUE_ONLY:
        if (value := getattr(settings.queues, key)) != getattr(plain, key):
            got = f"{str(value).lower() if isinstance(value, bool) else value}, with {system}"
            yield Mistake(f"espalier:queues.{hyphenated(key)}", got, "a stack with kueue", "Remove the key.")
    if system == "volcano":
        for index, tenant in enumerate(settings.tenants):
            if tenant.name in OWN_QUEUES:
                got = f"{tenant.name}, a queue of Volcano's own"
                yield Mistake(f"espalier:tenants[{index}].name", got, "another name", "Rename the tenant.")
    elif settings.queues.preemption != "priority":
        got = f"{settings.queues.preemption}, with kai-scheduler"
        do = "Remove the key, or use kueue."
        yield Mistake("espalier:queues.preemption", got, "priority: KAI reclaims and preempts always", do)


def _tenants(settings: Settings, pools: Sequence[PoolPlan], backing: Mapping[str, int]) -> Iterator[Mistake]:
    for index, tenant in enumerate(settings.tenants):
        within = reachable(tenant, pools)
        path = f"espalier:tenants[{index}].queue"
        if tenant.queue.borrow and not settings.queues.borrowing:
            do = "Remove it, or set espalier:queues.borrowing: true."
            yield Mistake(f"{path}.borrow", "borrowing, which is off", "nothing", do)
        for device, count in sorted(tenant.queue.borrow.items()):
            where, most = path_text((device,), f"{path}.borrow"), within.get(device, 0)
            quota = tenant.quota.devices.get(device, 0)
            if device not in backing:
                accepted = ", ".join(backing) or "none: no pool has an accelerator"
                yield Mistake(where, repr(device), accepted, "Name a device that a pool advertises.")
            elif quota + count > most:
                whose = "the pools" if most == backing[device] else "the pools that it may use"
                accepted = f"at most {max(most - quota, 0)}: with its quota of {quota}, all that {whose} have"
                yield Mistake(where, str(count), accepted, "Lower it.")
        for device, count in sorted(tenant.queue.lend.items()):
            quota = tenant.quota.devices.get(device, 0)
            if count > quota:
                accepted = f"at most {quota}, its quota"
                yield Mistake(path_text((device,), f"{path}.lend"), str(count), accepted, "Lower it, or remove it.")


def _slices(shared: Shared) -> Iterator[Mistake]:
    """A slice over several nodes is used whole: what is less than one is of no use."""
    for index, tenant in enumerate(shared.tenants):
        for share in tenant.shares:
            unit = min((one.unit for one in shared.holding(share.device) if one.name in share.flavours), default=1)
            where = path_text((share.device,), f"espalier:tenants[{index}].quota.devices")
            sizes = _sizes(shared, share.device)
            if share.quota > 0 and share.ceiling < unit <= share.quota:
                got = f"{share.quota}, of which it has {share.own} by right"
                do = "Lower others' quotas, raise a pool's nodes.max, or set espalier:queues.borrowing: true."
                yield Mistake(where, got, f"at least {unit} by right, without borrowing: {sizes}", do)
            elif 0 < share.ceiling < unit:
                yield Mistake(where, str(share.quota), f"0, or at least {unit}: {sizes}", "Count whole slices.")


def _sizes(shared: Shared, device: str) -> str:
    parts = [f"a slice of {f.pool} has {f.unit}" for f in shared.holding(device) if f.unit > 1]
    return ", ".join(dict.fromkeys(parts))


def _bounds(settings: Settings, shared: Shared) -> Iterator[Mistake]:
    index = {pool.name: place for place, pool in enumerate(settings.pools)}
    for flavour in shared.flavours:
        if len(flavour.taints) > _MOST_TOLERATIONS:
            where = f"espalier:pools[{index[flavour.pool]}].taints"
            got = f"{len(flavour.taints)} taints of {flavour.name}, Espalier's and the cloud's among them"
            yield Mistake(where, got, f"at most {_MOST_TOLERATIONS}, Kueue's bound", "Remove some.")
    groups = together(shared)
    if len(groups) > _MOST_GROUPS - 1:
        got = f"{len(groups)} groups of devices that no pool has together"
        do = "Make a stack of its own of some pools."
        yield Mistake("espalier:pools", got, f"at most {_MOST_GROUPS - 1}, Kueue's bound", do)
    for group in groups:
        held = [flavour for flavour in shared.flavours if set(group) & set(flavour.devices)]
        if len(held) > _MOST_FLAVOURS:
            got = f"{len(held)} kinds of capacity with {', '.join(group)}"
            do = "Set espalier:queues.ladder: pools, or make a stack of its own of some pools."
            yield Mistake("espalier:pools", got, f"at most {_MOST_FLAVOURS}, Kueue's bound", do)


def _topology(settings: Settings, shared: Shared) -> Iterator[Mistake]:
    if settings.queues.topology and not any(flavour.topology for flavour in shared.flavours):
        accepted = (
            "a pool with placement: compact or a slice over several nodes, whose nodes all stand (nodes.min equal to "
            "nodes.max) or are queued for"
        )
        got = "true, without a pool whose topology can be known before its nodes are there"
        yield Mistake("espalier:queues.topology", got, accepted, "Remove it, or set the pool's nodes.min.")


def _kai(settings: Settings, backing: Mapping[str, int]) -> Iterator[Mistake]:
    for device in backing:
        if device != KAI_DEVICE:
            got = f"{device}, with kai-scheduler"
            yield Mistake("espalier:pools", got, f"{KAI_DEVICE}, which its queues count", "Use kueue for this stack.")
    if KAI_DEVICE not in backing:
        yield Mistake("espalier:addons.kai-scheduler", "no pool with GPUs", f"a pool with {KAI_DEVICE}", "Remove it.")
    for index, tenant in enumerate(settings.tenants):
        if tenant.queue.lend:
            got = "a bound, with kai-scheduler"
            where = f"espalier:tenants[{index}].queue.lend"
            yield Mistake(where, got, "nothing: KAI lends all that is idle", "Remove it, or use kueue.")


def flavours_without_topology(settings: Settings, shared: Shared) -> list[Flavour]:
    """Flavours of pools that have a topology, of which nobody can ask."""
    wanted = {pool.name for pool in settings.pools if pool.placement == "compact" or pool.topology}
    return [f for f in shared.flavours if f.pool in wanted and settings.queues.topology and not f.topology]
