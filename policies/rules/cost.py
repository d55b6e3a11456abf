"""Money: what the platform costs an hour with every pool at its maximum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from espalier.policies.resources import index_of
from espalier.policies.values import at, is_hidden, listing, number, shown
from espalier.types import Finding, Registered, Rule


def ceiling(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """The worst-case cost an hour is known and within the ceiling; without a ceiling nothing is judged."""
    if facts is None:
        yield "cost: no facts of a Platform are known, so no cost is known"
        return
    urn = index_of(resources).platform_urn
    allowed, most = at(facts, "cost", "ceiling"), at(facts, "cost", "max")
    limit, worst = number(allowed), number(most)
    currency = at(facts, "cost", "currency")
    unit = f"{currency if isinstance(currency, str) else 'USD'}/h"
    if limit is None:
        yield "cost: no ceiling is set (espalier:cost.ceiling)" if allowed is None else "cost: the ceiling is not known"
    elif is_hidden(most):
        yield "cost: the worst case is not known yet"
    elif worst is None:
        pools = ", ".join(shown(pool) for pool in listing(at(facts, "cost", "unknown"))) or "not said"
        yield Finding(
            urn,
            f"the ceiling is {limit:.2f} {unit}, but the worst case cannot be known (no price of: {pools}); "
            "give a price under espalier:prices",
        )
    elif not worst <= limit:
        yield Finding(
            urn,
            f"all pools at their maxima cost {worst:.2f} {unit}, above the ceiling of {limit:.2f} {unit}; "
            "lower nodes.max of a pool, or raise espalier:cost.ceiling",
        )


RULES = (
    Rule(
        "cost-ceiling",
        "mandatory",
        "With all pools at their maxima the platform costs no more an hour than the stack's ceiling.",
        ceiling,
        fix="Lower nodes.max, give the missing price under espalier:prices, or raise espalier:cost.ceiling.",
    ),
)
