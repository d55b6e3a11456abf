"""Which prices of a plan are stale on the day on which it is printed: the only place of a plan that knows a day.

The blueprint, the resources and the policies' verdicts do not: what is built is the same on every day.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence

from espalier.blueprint.pools import PoolPlan
from espalier.report.documents import StaleEntry
from espalier.types import Mistake, Mistakes, Price


def day_of(text: str | None) -> datetime.date:
    """The day that `--today` names; without it today's, in UTC, so that it is one day everywhere."""
    if text is None:
        return datetime.datetime.now(datetime.UTC).date()
    wrong = Mistakes([Mistake("--today", repr(text), "a day of the calendar, such as 2026-07-20", "Correct it.")])
    if not re.fullmatch(r"[12]\d{3}-\d{2}-\d{2}", text, re.ASCII):
        raise wrong
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise wrong from None


def stale_prices(pools: Sequence[PoolPlan], today: datetime.date, after: int) -> list[StaleEntry]:
    """The prices that are more than `after` days old on `today`, in the order of the pools, each once."""
    # Days are compared as they are written: a row of somebody's own need not have a day that can be counted from.
    oldest = (today - datetime.timedelta(days=after)).isoformat()
    found = dict.fromkeys(
        (f"{pool.name}/{kind}", price.date, price.source) for pool in pools for kind, price in _prices(pool)
    )
    return [{"price": name, "date": date, "source": source} for name, date, source in found if date < oldest]


def _prices(pool: PoolPlan) -> Iterator[tuple[str, Price]]:
    """All that its range is computed from, by kind of capacity."""
    for shape in (*pool.shapes, *(group.shape for group in pool.groups)):
        if shape.price is not None:
            yield shape.capacity_kind, shape.price
