"""What a pool block leaves open that costs money: said in the plan, for whoever reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from espalier.blueprint.clouds.model import Compiler
from espalier.blueprint.clouds.wanted import cloud_name
from espalier.catalogue import Catalogue
from espalier.settings.pool import Pool


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
