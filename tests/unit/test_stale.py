"""Which prices are stale on a day: arithmetic of days, and that only the command knows one."""

from __future__ import annotations

import datetime
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from espalier.blueprint.pools import PoolPlan, compile_pool
from espalier.commands.stale import day_of, stale_prices
from espalier.settings.model import STALE_AFTER, Cost, PriceOverride
from espalier.settings.pool import Pool
from espalier.types import Price

TODAY = datetime.date(2026, 11, 1)


def a_pool(**dates: datetime.date | None) -> PoolPlan:
    """With a kind of capacity for each date; None is a kind without a price."""
    kinds = [kind.replace("_", "-") for kind in dates]
    pool = Pool.model_validate(
        {"name": "p", "nodes": {"max": 4}, "machine": {"cpu": 4, "memory": "16Gi"}, "capacity": kinds}, strict=False
    )
    known = {kind: day for kind, day in dates.items() if day}
    own: Any = {kind.replace("_", "-"): 1.0 for kind in known}
    day = next(iter(known.values()), TODAY)
    return compile_pool(
        pool, {"p": PriceOverride.model_validate(own | {"date": day.isoformat(), "source": "s"})}, simulated=True
    )


@given(age=st.integers(-400, 4000), after=st.integers(1, 3650))
def test_a_price_is_stale_once_it_is_older_than_it_may_be(age: int, after: int) -> None:
    day = TODAY - datetime.timedelta(days=age)
    found = stale_prices([a_pool(on_demand=day)], TODAY, after)
    assert found == ([{"price": "p/on-demand", "date": day.isoformat(), "source": "s"}] if age > after else [])


def test_each_kind_is_told_once_and_an_unknown_price_has_no_age() -> None:
    old = TODAY - datetime.timedelta(days=STALE_AFTER + 1)
    found = stale_prices([a_pool(spot=old, on_demand=old, flex=None)], TODAY, Cost().stale_after)
    assert [entry["price"] for entry in found] == ["p/spot", "p/on-demand"]


def test_a_pools_groups_count_with_their_own_prices_and_twice_for_none() -> None:
    old, older = "2020-01-02", "2020-01-01"
    pool = a_pool(on_demand=datetime.date.fromisoformat(old))
    other = replace(pool.shape, price=Price(2.0, "s", older))
    groups: Any = tuple(SimpleNamespace(shape=shape) for shape in (pool.shape, other))
    found = stale_prices([replace(pool, groups=groups)], TODAY, STALE_AFTER)
    assert [(entry["price"], entry["date"]) for entry in found] == [("p/on-demand", old), ("p/on-demand", older)]


def test_without_a_day_it_is_todays() -> None:
    before = datetime.datetime.now(datetime.UTC).date()
    assert before <= day_of(None) <= datetime.datetime.now(datetime.UTC).date()
