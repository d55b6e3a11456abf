"""What outlives an add-on that leaves the stack: the volumes that it was given, and the namespaces that hold any.

A definition stays as well, by its render (espalier.charts.objects): with it all that tenants made of it would go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from espalier.blueprint.addon_rules import Wanted, existing_version
from espalier.types import AddonPlan, AddonRecord, Data, Planned

_CLAIM: Final = "PersistentVolumeClaim"


def keeping(addons: Sequence[AddonPlan], records: Mapping[str, AddonRecord]) -> tuple[AddonPlan, ...]:
    """The add-ons, whose claims stay when they are removed from the program, and whose namespaces stay with them.

    A namespace may be another add-on's; and some claims are made later, by a StatefulSet or a hub: a record's `data`
    name their namespaces. What of its own Helm installs is Helm's to delete.
    """
    spaces = {space for addon in addons for space in _spaces(addon, records[addon.id])}
    return tuple(replace(addon, objects=tuple(_kept(addon.objects, spaces))) for addon in addons)


def kept(wanted: Wanted, records: Mapping[str, AddonRecord]) -> Iterator[tuple[str, Data, bool]]:
    """What the add-ons of a stack keep, by add-on, and whether it is here.

    It is not where its owner gave another place, or where the cluster had the add-on already: its backup is theirs.
    """
    for id in sorted(set(wanted) & set(records)):
        for data in records[id].data:
            given = bool(data.given and wanted[id].get(data.given))
            yield id, data, not given and not existing_version(wanted[id])


def kept_spaces(wanted: Wanted, records: Mapping[str, AddonRecord]) -> tuple[str, ...]:
    """The namespaces that hold the volumes of it."""
    return tuple(sorted({data.namespace for _, data, here in kept(wanted, records) if here and data.claims}))


def _spaces(addon: AddonPlan, record: AddonRecord) -> Iterable[str]:
    """Namespaces that hold volumes of an add-on which is made here."""
    if addon.content == "existing" or addon.held:
        return
    yield from (data.namespace for data in record.data if data.claims)
    for planned in addon.objects:
        if planned.manifest["kind"] == _CLAIM:
            yield planned.manifest["metadata"]["namespace"]


def _kept(objects: Iterable[Planned], spaces: set[str]) -> Iterable[Planned]:
    for planned in objects:
        kind, name = planned.manifest["kind"], planned.manifest["metadata"]["name"]
        stays = kind == _CLAIM or (kind == "Namespace" and name in spaces)
        yield replace(planned, retain=True) if stays else planned
