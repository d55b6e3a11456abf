"""What a node costs: the stack file's price, else the catalogue's, else unknown; never zero."""

from __future__ import annotations

from collections.abc import Mapping

from espalier.catalogue import Catalogue
from espalier.catalogue.machines import Machine
from espalier.settings.model import PriceOverride
from espalier.settings.pool import Pool
from espalier.types import CapacityKind, Price


def overridden(
    pool: Pool, kind: CapacityKind, machine: str, prices: Mapping[str, PriceOverride]
) -> tuple[bool, Price | None]:
    """Whether the stack file has an entry for the pool, its accelerator or its machine; and its price of this kind."""
    for key in (pool.name, pool.accelerator, machine):
        found = prices.get(key) if key else None
        if found is not None:
            amount: float | None = getattr(found, kind.replace("-", "_"))
            return True, None if amount is None else Price(amount, found.source, found.date)
    return False, None


def price_of(
    pool: Pool,
    kind: CapacityKind,
    machine: Machine,
    prices: Mapping[str, PriceOverride],
    catalogue: Catalogue,
    region: str,
    count: int,
) -> Price | None:
    """The price of a node in a region, USD/h. What an entry of the stack file does not name, the list gives."""
    _, own = overridden(pool, kind, machine.name, prices)
    if own is not None:
        return own
    listed = catalogue.price(machine, region, kind, pool.accelerator or "", count)
    return Price(listed.per_hour, listed.origin.source, listed.origin.date) if listed else None
