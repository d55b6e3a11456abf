"""`catalogue`: accelerators and machines with their prices in one region of each cloud, as a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from espalier.catalogue import CLOUDS, Accelerator, Busbw, Catalogue, Cloud, Origin, catalogue
from espalier.catalogue.machines import ListPrice, Machine
from espalier.report.documents import (
    AcceleratorEntry,
    BusbwEntry,
    CatalogueDocument,
    MachineEntry,
    OfferEntry,
    OriginEntry,
    PriceEntry,
    header,
)
from espalier.settings.files import stack_folder
from espalier.types import CapacityKind, Mistake, Mistakes

REGIONS: Final[dict[Cloud, tuple[str, ...]]] = {
    "aws": ("us-east-1",),
    "gcp": ("us-central1", "us-east5", "us-central2"),
    "azure": ("eastus", "eastus2", "southcentralus"),
    "onprem": (),
}
"""Where prices are of when no region is asked for: the first of these that has the price."""

KINDS: Final[tuple[CapacityKind, ...]] = ("on-demand", "spot", "reserved", "flex")
UNKNOWN: Final = {"$unknown": True}


def rows_of_project(cwd: Path) -> Catalogue:
    """Espalier's rows with those of other packages and of the stacks' folder. Raises Mistakes for wrong ones."""
    return catalogue(stack_folder(cwd) / "catalogue")


def document(rows: Catalogue, accelerator: str | None, cloud: str | None, region: str | None) -> CatalogueDocument:
    """The rows that are asked for. Raises Mistakes for names that are not there, each with the nearest that are."""
    clouds: list[Cloud] = [one for one in CLOUDS if cloud in (None, one)]
    asked = [one for one in rows.accelerators if accelerator in (None, one)]
    regions = {place for one in clouds for row in rows.machines(one).values() for place in rows.regions(row)}
    mistakes = [
        *_missing("--accelerator", accelerator, rows.accelerators, asked),
        *_missing("--cloud", cloud, CLOUDS, clouds),
        *(_missing("--region", region, sorted(regions), [region] if region in regions else []) if clouds else ()),
    ]
    if mistakes:
        raise Mistakes(mistakes)
    machines = [
        row for one in clouds for row in rows.machines(one).values() if accelerator is None or row.counts(accelerator)
    ]
    return {
        **header("catalogue"),
        "accelerators": [_accelerator(rows.accelerators[name]) for name in asked],
        "machines": [_machine(rows, row, accelerator, region) for row in machines],
    }


def _missing(option: str, got: str | None, known: Iterable[str], found: Sequence[object]) -> list[Mistake]:
    if got is None or found:
        return []
    by_lower = {name.lower(): name for name in known}
    close = [name for name in by_lower if got.lower() in name] or get_close_matches(got.lower(), by_lower, cutoff=0.5)
    near = [by_lower[name] for name in close[:3]]
    do = f"Did you mean {' or '.join(near)}?" if near else "Choose one of them."
    return [Mistake(option, repr(got), ", ".join(by_lower.values()), do)]


def _accelerator(row: Accelerator) -> AcceleratorEntry:
    return {
        "name": row.name,
        "vendor": row.vendor,
        "resource": row.resource,
        "memory_gib": row.memory_gib,
        "cores": row.cores,
        "reference": row.reference,
        "mig": [
            {
                "profile": profile.name,
                "slices": profile.slices,
                "memory_slices": profile.memory_slices,
                "memory_gib": profile.memory_gib,
                "count": profile.count,
            }
            for profile in row.profiles
        ],
        "labels": dict(row.labels),
        "origin": _origin(row.origin),
    }


def _machine(rows: Catalogue, row: Machine, accelerator: str | None, region: str | None) -> MachineEntry:
    return {
        "cloud": row.cloud,
        "name": row.name,
        "offers": [
            _offer(rows, row, name, count, region)
            for name, counts in ({row.accelerator: (row.devices,)} | dict(row.attachable)).items()
            for count in counts
            if accelerator in (None, name)
        ],
        "cloud_accelerator": row.cloud_accelerator,
        "vcpu": row.vcpu,
        "memory_gib": row.memory_gib,
        "architecture": row.architecture,
        "local_disk_gb": _known(row.local_disk_gb),
        "network_gbps": _known(row.network_gbps),
        "network_cards": _known(row.network_cards),
        "efa": _known(row.efa),
        "infiniband": row.infiniband,
        "busbw": _busbw(row.busbw),
        "topologies": dict(row.topologies),
        "capacity": list(row.capacity),
        "regions": list(rows.regions(row)),
        "retired": row.retired,
        "note": row.note,
        "origin": _origin(row.origin),
    }


def _offer(rows: Catalogue, row: Machine, name: str, count: int, region: str | None) -> OfferEntry:
    places = REGIONS[row.cloud] if region is None else (region,)
    prices: list[PriceEntry] = []
    for kind in KINDS:
        if kind not in row.capacity:
            continue
        found = [(place, price) for place in places if (price := rows.price(row, place, kind, name, count))]
        prices.append(_price(kind, *(found[0] if found else (places[0] if places else "", None))))
    return {"accelerator": name, "devices": count, "prices": prices}


def _price(kind: CapacityKind, region: str, price: ListPrice | None) -> PriceEntry:
    return {
        "kind": kind,
        "region": region,
        "per_hour": _known(price and price.per_hour),
        "origin": _origin(price.origin if price else Origin("", "")),
    }


def _busbw(busbw: Busbw | None) -> BusbwEntry | dict[str, bool]:
    if busbw is None:
        return UNKNOWN
    return {"node": _known(busbw.node), "nodes": _known(busbw.nodes), "origin": _origin(busbw.origin)}


def _origin(origin: Origin) -> OriginEntry:
    return {
        "source": origin.source,
        "date": origin.date,
        "verified": origin.verified,
        "unverified": list(origin.unverified),
    }


def _known(value: Any) -> Any:
    return UNKNOWN if value is None else value
