"""Add-ons of other packages: their records, by the entry points of group `espalier.addons`.

A package says in its pyproject.toml: `[project.entry-points."espalier.addons"]`, `queue = "acme.addons:QUEUE"`, where
QUEUE is an AddonRecord whose id is `queue`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from espalier.types import AddonRecord, Mistake, Mistakes

GROUP = "espalier.addons"


def records_of_packages(known: Mapping[str, AddonRecord]) -> dict[str, AddonRecord]:
    """The records of installed packages, by id. Raises Mistakes for what cannot be loaded, is none, or is known."""
    records: dict[str, AddonRecord] = {}
    mistakes: list[Mistake] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        found = _loaded(point)
        if isinstance(found, str):
            where, do = f"{GROUP}: {point.name}", f"Mend or remove the package of {point.value}."
            mistakes.append(Mistake(where, found, f"an AddonRecord whose id is {point.name}", do))
        elif found.id in known or found.id in records:
            do = "Remove one of the two."
            mistakes.append(Mistake(f"{GROUP}: {point.name}", f"a second add-on {found.id}", "each id once", do))
        else:
            records[found.id] = found
    if mistakes:
        raise Mistakes(mistakes)
    return records


def _loaded(point: EntryPoint) -> AddonRecord | str:
    try:
        record = point.load()
    except (ImportError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    if not isinstance(record, AddonRecord):
        return f"a {type(record).__name__}"
    return record if record.id == point.name else f"a record with the id {record.id}"
