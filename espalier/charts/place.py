"""Where a stack keeps what belongs to its add-ons: the folder of the stack files, and the name of the environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from espalier.catalogue import Catalogue, catalogue
from espalier.settings.files import stack_folder
from espalier.types import AddonRecord, Mistake

if TYPE_CHECKING:
    from espalier.charts.lock import Entry
    from espalier.content import Source


@dataclass(frozen=True, slots=True)
class Place:
    """`folder` holds `<env>.lock`, `addons/` and `catalogue/`; relative paths in records start there."""

    folder: Path
    env: str

    @property
    def lock(self) -> Path:
        return self.folder / f"{self.env}.lock"

    @classmethod
    def of(cls, root: Path, env: str) -> Place:
        """Of the project at `root`, the folder of its Pulumi.yaml; a program without one has no add-ons of its own."""
        return cls(stack_folder(root), env)

    def catalogue(self) -> Catalogue:
        """What pools may name: Espalier's rows, other packages' and the folder's own. Raises Mistakes."""
        return catalogue(self.folder / "catalogue")

    def records(self, known: Mapping[str, AddonRecord], wanted: Iterable[str] | None = None) -> dict[str, AddonRecord]:
        """The add-ons that a stack may name: `known`, its own, and those of other packages. Raises Mistakes.

        With `wanted`, packages are looked through only where an id is among neither of the former.
        """
        found = dict(known)
        if (self.folder / "addons").is_dir():
            from espalier.charts.records import records_in

            found |= records_in(self.folder, known)
        if wanted is None or not found.keys() >= set(wanted):
            from espalier.charts.packages import records_of_packages

            found |= records_of_packages(found)
        return found


def upgrade_first(place: Place, id: str, pin: Entry, source: Source) -> Mistake:
    """That an add-on's record names another source or version than the lock pins."""
    got, accepted = f"{pin.source} {pin.version}", f"{source.address} {source.version}"
    do = f"Run `espalier upgrade {place.env}`: it shows what that changes, then pins it."
    return Mistake(f"{place.lock.name}: sources.{id}", got, accepted, do)
