"""The catalogue as its readers get it: Espalier's rows, and over them those of other packages and of the team."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espalier.catalogue.model import CLOUDS, Accelerator, Busbw, Cloud, MigProfile, Origin
from espalier.types import CapacityKind, Mistakes

if TYPE_CHECKING:
    from espalier.catalogue.machines import ListPrice, Machine

_COMPILED = Path(__file__).with_name("compiled")


class Catalogue:
    """Rows by name, a team's own before Espalier's. Machines and prices of a cloud are read when first asked for."""

    def __init__(
        self,
        accelerators: Mapping[str, Accelerator],
        machines: Mapping[str, Mapping[str, Machine]] | None = None,
        prices: Mapping[str, tuple[Any, ...]] | None = None,
    ) -> None:
        self.accelerators = accelerators
        self._machines = machines or {}
        self._prices = prices or {}

    def machines(self, cloud: Cloud) -> Mapping[str, Machine]:
        """All machines of a cloud by name, in the order of the data files."""
        own = self._machines.get(cloud)
        return {**_machines(cloud), **own} if own else _machines(cloud)

    def machines_with(self, accelerator: str, cloud: Cloud) -> tuple[Machine, ...]:
        """The machines that can have this accelerator, fewest devices first, then by size and name."""
        rows = [row for row in self.machines(cloud).values() if row.counts(accelerator)]
        return tuple(sorted(rows, key=lambda row: (row.counts(accelerator)[0], row.vcpu, row.memory_gib, row.name)))

    def regions(self, machine: Machine) -> tuple[str, ...]:
        """Regions in which some price of the machine is known, sorted."""
        groups = self._groups(machine.cloud)
        return tuple(sorted({region for group in groups for region in group["machines"].get(machine.name, ())}))

    def price(
        self, machine: Machine, region: str, kind: CapacityKind, accelerator: str = "", count: int = 0
    ) -> ListPrice | None:
        """The list price of a node, USD/h, or None where a part of it is not known.

        `accelerator` and `count` are what is attached to a machine that comes without.
        """
        groups = self._groups(machine.cloud)
        whole = _find(groups, kind, "machines", machine.name, region)
        if whole is None or not accelerator or accelerator == machine.accelerator:
            return whole
        device = _find(groups, kind, "devices", accelerator, region)
        if device is None:
            return None
        amount = round(whole.per_hour + count * device.per_hour, 6)
        return replace(whole, per_hour=amount, origin=_older(whole.origin, device.origin))

    def _groups(self, cloud: Cloud) -> tuple[Any, ...]:
        return (*self._prices.get(cloud, ()), *_price_groups(cloud))


@cache
def accelerators() -> Mapping[str, Accelerator]:
    """Espalier's own accelerators by name, in the order of the data file."""
    return {name: _accelerator(row) for name, row in _part("accelerators").items()}


def catalogue(folder: Path | None = None) -> Catalogue:
    """Espalier's rows, with those of other packages' entry points and of `folder`'s YAML files over them.

    Raises Mistakes with all that is wrong with any of these.
    """
    from espalier.catalogue.own import own_files

    files = own_files(folder)
    return _with_own(files) if files else _own_less()


@cache
def _own_less() -> Catalogue:
    return Catalogue(accelerators())


def _with_own(files: tuple[Path, ...]) -> Catalogue:
    from espalier.catalogue.build import Parts, parts_of
    from espalier.catalogue.rows import SourceRow

    base = Parts(
        {name: SourceRow(**row) for name, row in _part("sources").items()},
        _part("accelerators"),
        {cloud: _part(f"machines-{cloud}") for cloud in CLOUDS},
    )
    parts, mistakes = parts_of(files, base)
    if mistakes:
        raise Mistakes(mistakes)
    return Catalogue(
        {**accelerators(), **{name: _accelerator(row) for name, row in parts.accelerators.items()}},
        {cloud: {name: _machine(row) for name, row in rows.items()} for cloud, rows in parts.machines.items()},
        # The last file wins, as it does for rows.
        {cloud: tuple(reversed(rows)) for cloud, rows in parts.prices.items()},
    )


@cache
def _part(name: str) -> Any:
    path = _COMPILED / f"{name}.json"
    return json.loads(path.read_bytes()) if path.is_file() else {}


@cache
def _machines(cloud: Cloud) -> Mapping[str, Machine]:
    return {name: _machine(row) for name, row in _part(f"machines-{cloud}").items()}


def _price_groups(cloud: Cloud) -> tuple[Any, ...]:
    return tuple(_part(f"prices-{cloud}"))


def _accelerator(row: Mapping[str, Any]) -> Accelerator:
    made: dict[str, Any] = {
        **row,
        "mig_slices": tuple(row["mig_slices"]),
        "profiles": tuple(MigProfile(*profile) for profile in row["profiles"]),
        "origin": _origin(row["origin"]),
    }
    return Accelerator(**made)


def _machine(row: Mapping[str, Any]) -> Machine:
    from espalier.catalogue.machines import Machine

    made: dict[str, Any] = {
        **row,
        "attachable": {name: tuple(counts) for name, counts in row["attachable"].items()},
        "busbw": _busbw(row["busbw"]),
        "capacity": tuple(row["capacity"]),
        "origin": _origin(row["origin"]),
    }
    return Machine(**made)


def _busbw(row: list[Any] | None) -> Busbw | None:
    return Busbw(row[0], row[1], _origin(row[2])) if row else None


def _origin(row: list[Any]) -> Origin:
    return Origin(row[0], row[1], tuple(row[2]))


def _find(groups: tuple[Any, ...], kind: str, what: str, name: str, region: str) -> ListPrice | None:
    from espalier.catalogue.machines import ListPrice

    for group in groups:
        amount = group[what].get(name, {}).get(region) if group["kind"] == kind else None
        if amount is not None:
            return ListPrice(amount, _origin(group["origin"]))
    return None


def _older(one: Origin, other: Origin) -> Origin:
    """A sum is of the older of its days, and as doubtful as the more doubtful of its parts."""
    source = one.source if one.source == other.source else f"{one.source}; {other.source}"
    unverified = tuple(dict.fromkeys((*one.unverified, *other.unverified)))
    return Origin(source, min(one.date, other.date), unverified)
