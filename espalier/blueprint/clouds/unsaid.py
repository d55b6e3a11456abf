"""What a pool block leaves open that costs money: said in the plan, for whoever reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from espalier.blueprint.clouds.machines import candidates, cheapest_first
from espalier.blueprint.clouds.model import Compiler
from espalier.blueprint.clouds.wanted import Site, cloud_name, on_demand
from espalier.catalogue import Catalogue
from espalier.settings.model import PriceOverride
from espalier.settings.pool import Pool
from espalier.types import Price

_ADVICE = "Name it as `machine:` so that a new price moves nothing"


def unsaid_counts(pools: Sequence[Pool], compiler: Compiler, catalogue: Catalogue) -> Iterator[str]:
    """Pools of accelerators that the cloud sells by several numbers a machine, and that say none of them."""
    for pool in pools:
        if pool.accelerator is None or pool.count is not None or pool.machine is not None or pool.topology is not None:
            continue
        rows = catalogue.machines_with(pool.accelerator, cloud_name(compiler))
        counts = sorted({count for row in rows for count in row.counts(pool.accelerator)})
        usual = catalogue.accelerators[pool.accelerator].per_node
        if len(counts) > 1:
            taken = usual if usual in counts else counts[0]
            others = ", ".join(str(count) for count in counts if count != taken)
            unsaid = "since it says no `count`"
            yield f"pool {pool.name}: {taken} {pool.accelerator} a node, {unsaid}; there are also {others}"


def chosen_machines(pools: Sequence[Pool], prices: Mapping[str, PriceOverride], site: Site) -> Iterator[str]:
    """Which machine a pool gets that names none, and why that one, where there was a choice.

    A machine is in its group's generation: where a price chooses it, a new price may replace the group.
    """
    for pool in pools:
        if isinstance(pool.machine, str) or (pool.topology is not None and pool.count is None):
            continue
        accelerator = site.catalogue.accelerators[pool.accelerator] if pool.accelerator else None
        rows, count = candidates(pool, accelerator, site.catalogue, site.cloud)
        rows = [row for row in rows if set(pool.capacity) <= set(row.capacity)]
        if len(rows) < 2:
            continue
        priced = on_demand(pool, prices, site)
        ranked = [(row.name, priced(row, count)) for row in cheapest_first(pool, rows, count, priced)]
        yield f"pool {pool.name}: {_choice(ranked, site.cluster.region)}. {_ADVICE}"


def _choice(ranked: Sequence[tuple[str, Price | None]], region: str) -> str:
    """Of at least two machines, the taken one first: those with a price are compared, the others only counted."""
    fit = f"{len(ranked)} machines that fit"
    known = [(name, price) for name, price in ranked if price is not None]
    if not known:
        return f"{ranked[0][0]}, the smallest of {fit}: no price of theirs in {region} is known"
    first, price = known[0]
    taken = f"{first} at {price.per_hour:g} USD/h"
    if len(known) == 1:
        return f"{taken} (price of {price.date}), the only one of {fit} whose price is known"
    days = sorted({price.date for _, price in known})
    dated = f"prices of {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "")
    compared = f"{fit} ({dated})"
    if unknown := len(ranked) - len(known):
        compared = f"the {len(known)} whose price is known ({dated}) of {fit}, {unknown} without one"
    second, next_price = known[1]
    return f"{taken}, the cheapest on demand of {compared}; then {second} at {next_price.per_hour:g} USD/h"
