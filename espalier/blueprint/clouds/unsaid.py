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
    """Which machine a pool gets that names none, and why that one, where there was a choice."""
    for pool in pools:
        if isinstance(pool.machine, str) or (pool.topology is not None and pool.count is None):
            continue
        accelerator = site.catalogue.accelerators[pool.accelerator] if pool.accelerator else None
        rows, count = candidates(pool, accelerator, site.catalogue, site.cloud)
        if len(rows) < 2:
            continue
        priced = on_demand(pool, prices, site)
        first, second = cheapest_first(pool, rows, count, priced)[:2]
        price = priced(first, count)
        if price is None:
            yield (
                f"pool {pool.name}: {first.name}, the smallest of {len(rows)} machines that fit: no price of theirs in "
                f"{site.cluster.region} is known"
            )
            continue
        then = f"{second.name} {_dollars(priced(second, count))}"
        yield (
            f"pool {pool.name}: {first.name} {_dollars(price)}, the cheapest on demand of {len(rows)} machines that "
            f"fit (prices of {price.date}); then {then}"
        )


def _dollars(price: Price | None) -> str:
    return f"at {price.per_hour:g} USD/h" if price else "at an unknown price"
