"""What a tenant may use of the platform, what that may cost a month, and what is refused of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from espalier.blueprint import names
from espalier.blueprint.capacity import SIDES, Side, bounds_of, by_class, side_of
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.priorities import priorities
from espalier.blueprint.tenants import DEFAULT_QUOTA
from espalier.quantity import parse_quantity
from espalier.settings.clusters import Simulated
from espalier.settings.model import Settings
from espalier.settings.tenants import Tenant
from espalier.settings.tree import path_text
from espalier.types import Facts, Mistake, NodeShape

HOURS: Final = 730
"""Hours of a month, as clouds count them: 365 days in 12 months."""


def bound_notes(tenant: Tenant, pools: Sequence[PoolPlan], system: str = "") -> dict[str, str]:
    """Annotations of the tenant's namespaces by which admission policies hold it; none where nothing bounds it.

    `system` is the queueing system of the stack.
    """
    apart = by_class(tenant, system)
    kinds = {shape.capacity_kind for pool in pools for shape in pool.shapes}
    notes = {
        names.FORBIDDEN_POOLS: sorted(pool.name for pool in pools if not _may_use(tenant, pool)),
        names.FORBIDDEN_CAPACITY: sorted(kinds - set(tenant.capacity)) if tenant.capacity else [],
        names.REGISTRIES: sorted(tenant.registries or ()),
        names.PRIORITIES: _classes(tenant, spot=apart),
        names.DOMAINS: sorted(tenant.exposure.domains) if tenant.exposure else [],
        names.SPOT_BY_CLASS: ["true"] if apart else [],
    }
    return {key: ",".join(values) for key, values in notes.items() if values}


def _classes(tenant: Tenant, *, spot: bool) -> list[str]:
    """The classes that it may use, where these are not all."""
    values = {name.removeprefix("espalier-"): value for name, value, _ in priorities()}
    most = values[tenant.priority]
    allowed = sorted(f"espalier-{name}" for name, value in values.items() if value <= most)
    if spot:
        return sorted([*allowed, *(f"{name}-spot" for name in allowed)])
    return allowed if len(allowed) < len(values) else []


def _may_use(tenant: Tenant, pool: PoolPlan) -> bool:
    """Pools without an accelerator are everyone's; of the others, those that both leave open or name."""
    if pool.accelerator is None:
        return True
    named = tenant.pools is None or pool.name in tenant.pools
    return named and (pool.tenants is None or tenant.name in pool.tenants)


def shapes_of(tenant: Tenant, pool: PoolPlan) -> list[NodeShape]:
    """The pool's shapes that the tenant may use."""
    allowed = _may_use(tenant, pool)
    return [one for one in pool.shapes if allowed and (not tenant.capacity or one.capacity_kind in tenant.capacity)]


def reachable(tenant: Tenant, pools: Sequence[PoolPlan]) -> dict[str, int]:
    """Device -> how many there are on what the tenant may use, all pools at their maxima."""
    totals: dict[str, int] = {}
    for pool in pools:
        if shapes_of(tenant, pool):
            for device, count in pool.shape.devices.items():
                totals[device] = totals.get(device, 0) + count * pool.maximum
    return totals


@dataclass(frozen=True, slots=True)
class Worst:
    """What a tenant's quota may cost a month, USD; None where a price that it takes is not known (`unknown`)."""

    tenant: str
    month: float | None
    budget: float | None
    unknown: tuple[str, ...] = ()


def worst_case(tenant: Tenant, pools: Sequence[PoolPlan], *, borrowing: bool) -> Worst:
    """All that the quota allows at all hours on the dearest nodes that the tenant may use, whole nodes, packed.

    Devices and CPU and memory each have nodes of their own here, though work with a device brings its CPU along: it is
    a bound, and no forecast.
    """
    hourly = 0.0
    unknown: set[str] = set()
    wanted = dict(tenant.quota.devices)
    for device, count in tenant.queue.borrow.items() if borrowing else ():
        wanted[device] = wanted.get(device, 0) + count
    for device, count in sorted(wanted.items()):
        hourly += _of_device(tenant, pools, device, count, unknown)
    plain = [pool for pool in pools if pool.accelerator is None]
    quota = tenant.quota
    needs = {
        "cpu": Fraction(quota.cpu or DEFAULT_QUOTA["cpu"]),
        "memory": parse_quantity(str(quota.memory or DEFAULT_QUOTA["memory"])),
    }
    hourly += _of_nodes(tenant, plain, needs, unknown)
    month = None if unknown else round(hourly * HOURS, 2)
    return Worst(tenant.name, month, tenant.budget, tuple(sorted(unknown)))


def _of_device(tenant: Tenant, pools: Sequence[PoolPlan], device: str, count: int, unknown: set[str]) -> float:
    """USD an hour of so many devices; where kinds of capacity are bounded, as many as may be of the dearer first."""
    bounds = bounds_of(tenant.quota)
    most = {side: bounds[side].get(device, count) if side in bounds else count for side in SIDES}
    if min(most.values()) >= count:
        return _of_nodes(tenant, pools, {device: Fraction(count)}, unknown, SIDES)
    ways: list[float] = []
    for first, second in (SIDES, SIDES[::-1]):
        parts = {first: min(count, most[first])}
        parts[second] = min(count - parts[first], most[second])
        ways.append(sum(_of_nodes(tenant, pools, {device: Fraction(parts[one])}, unknown, [one]) for one in SIDES))
    missing: set[str] = set()
    packed = _of_nodes(tenant, pools, {device: Fraction(count)}, missing)
    return max(ways) if missing else min(packed, max(ways))


def _of_nodes(
    tenant: Tenant,
    pools: Sequence[PoolPlan],
    needs: Mapping[str, Fraction],
    unknown: set[str],
    sides: Sequence[Side] = SIDES,
) -> float:
    """USD an hour of the nodes for `needs`, from the dearest pool on, each up to its maximum."""
    offers: list[tuple[float, PoolPlan]] = []
    for pool in pools:
        offered = [shape for shape in shapes_of(tenant, pool) if side_of(shape.capacity_kind) in sides]
        if shapes := [shape for shape in offered if all(_has(shape, need) for need in needs)]:
            missing = [f"{pool.name}/{shape.capacity_kind}" for shape in shapes if shape.price is None]
            if missing and any(needs.values()):
                unknown.update(missing)
            offers.append((max((one.price.per_hour for one in shapes if one.price), default=0.0), pool))
    hourly = 0.0
    left = dict(needs)
    for price, pool in sorted(offers, key=lambda offer: (-offer[0], offer[1].name)):
        nodes = max(math.ceil(amount / _has(pool.shape, need)) for need, amount in left.items())
        taken = min(nodes, pool.maximum)
        hourly += taken * price
        left = {need: max(Fraction(0), amount - taken * _has(pool.shape, need)) for need, amount in left.items()}
    return hourly


def _has(shape: NodeShape, need: str) -> Fraction:
    if need in shape.devices:
        return Fraction(shape.devices[need])
    return parse_quantity(shape.capacity[need]) if need in shape.capacity else Fraction(0)


def bound_mistakes(
    settings: Settings, pools: Sequence[PoolPlan], facts: Facts, *, borrowing: bool
) -> Iterator[Mistake]:
    """What no pool, no place or no budget allows; a stack that names no pools cannot be judged by them."""
    yield from _dedicated(settings)
    for index, tenant in enumerate(settings.tenants):
        path = f"espalier:tenants[{index}]"
        yield from _misplaced(tenant, settings, facts, path)
        if pools:
            yield from _of_pools(tenant, pools, path)
            yield from _over_budget(tenant, pools, borrowing, path)
            for side, devices in bounds_of(tenant.quota).items():
                yield from _of_side(tenant, pools, side, devices, f"{path}.quota.capacity.{side}")


def _misplaced(tenant: Tenant, settings: Settings, facts: Facts, path: str) -> Iterator[Mistake]:
    """A rehearsal of a cluster that is in no cloud is not judged: the stack itself was."""
    place, cluster = tenant.placement, settings.cluster
    kind = cluster.kind
    if place is None or (isinstance(cluster, Simulated) and cluster.partial and cluster.stands_for is None):
        return
    do = "Move the tenant to a stack that is there, or widen its placement."
    if place.clusters and kind not in place.clusters and facts.kind not in place.clusters:
        yield Mistake(f"{path}.placement.clusters", f"a cluster of kind {facts.kind}", ", ".join(place.clusters), do)
    if place.regions and facts.region not in place.regions:
        got = f"a cluster in {facts.region}" if facts.region else "a cluster whose region is not known"
        yield Mistake(f"{path}.placement.regions", got, ", ".join(place.regions), do)


def _dedicated(settings: Settings) -> Iterator[Mistake]:
    """Pools that are kept for tenants."""
    known = [tenant.name for tenant in settings.tenants]
    for index, pool in enumerate(settings.pools):
        path = f"espalier:pools[{index}].tenants"
        if pool.tenants and pool.accelerator is None:
            do = "Remove it: pods without a device go to any pool that has room."
            yield Mistake(path, f"pool {pool.name}, which has none", "a pool with an accelerator", do)
        for at, name in enumerate(pool.tenants or ()):
            if name not in known:
                accepted = ", ".join(known) or "none: the stack has no tenants"
                yield Mistake(f"{path}[{at}]", repr(name), accepted, "Name a tenant of this stack.")


def _of_pools(tenant: Tenant, pools: Sequence[PoolPlan], path: str) -> Iterator[Mistake]:
    known = [pool.name for pool in pools if pool.accelerator]
    for at, name in enumerate(tenant.pools or ()):
        if name not in known:
            accepted = ", ".join(known) or "none: no pool has an accelerator"
            yield Mistake(f"{path}.pools[{at}]", repr(name), accepted, "Name a pool that has an accelerator.")
    for pool in pools:
        if pool.name in (tenant.pools or ()) and pool.tenants and tenant.name not in pool.tenants:
            got = f"{pool.name}, which is for {', '.join(pool.tenants)} alone"
            yield Mistake(
                f"{path}.pools", got, "pools that the tenant may use", "Take it out, or add the tenant to the pool's."
            )
    offered = dict.fromkeys(shape.capacity_kind for pool in pools for shape in pool.shapes)
    if tenant.capacity and not set(tenant.capacity) & set(offered):
        got = ", ".join(tenant.capacity)
        yield Mistake(f"{path}.capacity", got, ", ".join(offered), "Name a kind of capacity that a pool has.")


def _of_side(
    tenant: Tenant, pools: Sequence[PoolPlan], side: Side, devices: Mapping[str, int], path: str
) -> Iterator[Mistake]:
    """Bounds beyond what there is of such capacity."""
    usable = [pool for pool in pools if any(side_of(one.capacity_kind) == side for one in shapes_of(tenant, pool))]
    for device, count in sorted(devices.items()):
        most = sum(pool.shape.devices.get(device, 0) * pool.maximum for pool in usable)
        if count > most:
            accepted = f"at most {most}, what it may use of pools with such capacity at their maxima"
            yield Mistake(path_text((device,), path), str(count), accepted, "Lower it, or give a pool such capacity.")


def _over_budget(tenant: Tenant, pools: Sequence[PoolPlan], borrowing: bool, path: str) -> Iterator[Mistake]:
    if tenant.budget is None:
        return
    worst = worst_case(tenant, pools, borrowing=borrowing)
    if worst.month is None:
        got = f"{tenant.budget:,.0f} USD, and no price of {', '.join(worst.unknown)}"
        do = "Add the price to espalier:prices, or remove the budget."
        yield Mistake(f"{path}.budget", got, "a budget where all prices are known", do)
    elif worst.month > tenant.budget:
        got = f"{tenant.budget:,.0f} USD a month; its quota may cost {worst.month:,.0f}"
        do = "Lower the quota, narrow pools or capacity, or raise the budget."
        yield Mistake(f"{path}.budget", got, "at least what the quota may cost at the dearest", do)
