"""Where a stack keeps what belongs to its add-ons: the folder of the stack files, and the name of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from espalier.catalogue import Catalogue, catalogue
from espalier.settings.files import stack_folder
from espalier.types import AddonRecord


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

    def records(self, known: Mapping[str, AddonRecord]) -> dict[str, AddonRecord]:
        """All add-ons that the stack may name: `known` and its own. Raises Mistakes."""
        if not (self.folder / "addons").is_dir():
            return dict(known)
        from espalier.charts.records import records_in

        return {**known, **records_in(self.folder, known)}
