"""What the pools cost an hour at their smallest and at their largest. Unknown is unknown, never zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from espalier.blueprint.pools import PoolPlan
from espalier.types import Price


@dataclass(frozen=True, slots=True)
class PoolCost:
    """A pool's range, USD/h: `low` at its minimum of nodes at the cheapest kind of capacity, `high` at its maximum at
    the dearest. None where a price that it takes is not known."""

    pool: str
    low: float | None
    high: float | None
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """The platform's range, USD/h. `unknown` lists `<pool>/<capacity kind>` without a price."""

    low: float | None
    high: float | None
    pools: tuple[PoolCost, ...]
    unknown: tuple[str, ...]
    ceiling: float | None


def cost_of(pools: Sequence[PoolPlan], ceiling: float | None) -> Cost:
    """The range of all pools together, and which prices are missing."""
    rows = tuple(_pool_cost(pool) for pool in pools)
    unknown = tuple(
        f"{pool.name}/{shape.capacity_kind}" for pool in pools for shape in pool.shapes if shape.price is None
    )
    return Cost(_sum([row.low for row in rows]), _sum([row.high for row in rows]), rows, unknown, ceiling)


def _pool_cost(pool: PoolPlan) -> PoolCost:
    if pool.groups:
        return _groups_cost(pool)
    prices = [shape.price for shape in pool.shapes if shape.price is not None]
    complete = len(prices) == len(pool.shapes)
    sources = tuple(dict.fromkeys(f"{price.source}, {price.date}" for price in prices))
    amounts = [price.per_hour for price in prices]
    low = 0.0 if pool.minimum == 0 else _round(pool.minimum * min(amounts)) if complete else None
    high = _round(pool.maximum * max(amounts)) if complete else None
    return PoolCost(pool.name, low, high, sources)


def _groups_cost(pool: PoolPlan) -> PoolCost:
    """Each group of a pool may grow by itself: no cloud's autoscaler holds several of them to one maximum."""
    prices = [group.shape.price for group in pool.groups]
    sources = tuple(dict.fromkeys(f"{price.source}, {price.date}" for price in prices if price))
    low = _sum([_times(group.minimum, group.shape.price) for group in pool.groups])
    high = _sum([_times(group.maximum, group.shape.price) for group in pool.groups])
    return PoolCost(pool.name, low, high, sources)


def _times(nodes: int, price: Price | None) -> float | None:
    return 0.0 if nodes == 0 else None if price is None else nodes * price.per_hour


def _sum(amounts: Sequence[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return _round(sum(known)) if len(known) == len(amounts) else None


def _round(amount: float) -> float:
    """To a hundredth of a cent: sums of prices carry no more, and floating-point tails are noise."""
    return round(amount, 4)
