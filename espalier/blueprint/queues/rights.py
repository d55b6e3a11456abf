"""What each tenant has by right on each flavour, where some may use a part of them alone (`pools`, `capacity`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from espalier.blueprint.queues.model import Flavour
from espalier.blueprint.queues.shares import shares

Rights = Mapping[str, Mapping[str, int]]
"""Flavour -> tenant -> devices. On each flavour no more than it has; a tenant's sum may be more than its own is."""


def rights_of(
    own: Mapping[str, int], holding: Sequence[Flavour], device: str, usable: Mapping[str, Sequence[Flavour]]
) -> tuple[Rights, dict[str, int]]:
    """The rights of a device, and what is each tenant's own of it, where `own` is what it would have of all pools.

    Who may use the fewest pools comes first, and has them once: so that whoever may use others as well leaves them
    those. What is too little for all that may use nothing else is parted in proportion, and the rest of their own is
    lost. What is left on a flavour then, bounded tenants have besides: any of their kinds of capacity will do.
    """
    bounded = {name: tuple(mine) for name, mine in usable.items() if len(mine) < len(holding)}
    by_pool, had = _by_pool({name: own[name] for name in bounded}, bounded, device)
    own = {name: had.get(name, count) for name, count in own.items()}
    free = {name: count for name, count in own.items() if name not in bounded}
    given: dict[str, int] = dict.fromkeys(free, 0)
    found: dict[str, dict[str, int]] = {}
    for flavour in holding:
        theirs = {name: by_pool[flavour.pool].get(name, 0) for name, mine in bounded.items() if flavour in mine}
        left = flavour.devices[device] - sum(by_pool.get(flavour.pool, {}).values())
        ours = shares(left, free, flavour.unit, given)
        given = {name: count + ours[name] for name, count in given.items()}
        left = flavour.devices[device] - sum(theirs.values()) - sum(ours.values())
        further = shares(left, {name: own[name] - count for name, count in theirs.items()}, flavour.unit)
        found[flavour.name] = ours | {name: count + further[name] for name, count in theirs.items()}
    return found, own


def _by_pool(
    own: Mapping[str, int], bounded: Mapping[str, Sequence[Flavour]], device: str
) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Pool -> tenant -> devices, each device once; and what each has in all. A pool's kinds have the same nodes."""
    had = dict.fromkeys(own, 0)
    found: dict[str, dict[str, int]] = {}
    for pools in sorted({_pools(mine) for mine in bounded.values()}, key=lambda pools: (len(pools), pools)):
        for flavour in _one_a_pool(pools, bounded):
            taken = found.setdefault(flavour.pool, {})
            lacking = {name: own[name] - had[name] for name, mine in bounded.items() if _pools(mine) == pools}
            ours = shares(flavour.devices[device] - sum(taken.values()), lacking, flavour.unit)
            taken |= ours
            had |= {name: had[name] + count for name, count in ours.items()}
    return found, had


def _pools(flavours: Sequence[Flavour]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(flavour.pool for flavour in flavours))


def _one_a_pool(pools: Sequence[str], bounded: Mapping[str, Sequence[Flavour]]) -> list[Flavour]:
    known = {flavour.pool: flavour for mine in bounded.values() for flavour in mine}
    return [known[pool] for pool in pools]
