"""What a run would do, or did, to each object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from espalier.engine.values import Json

Op = Literal["create", "update", "replace", "delete", "same"]


@dataclass(frozen=True, order=True)
class Change:
    """One object's change; `fields` are the paths that differ, never their values."""

    urn: str
    op: Op
    fields: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """For people: who changed what is mended, what is deleted first. Not in the JSON."""

    def to_json(self) -> dict[str, Any]:
        """Gives plain JSON."""
        return {"urn": self.urn, "op": self.op, "fields": list(self.fields)}


@dataclass(frozen=True)
class Wave:
    """Objects at one depth of the graph of dependencies; `seconds` from the first start to the last end."""

    name: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Gives plain JSON."""
        return {"name": self.name, "seconds": round(self.seconds, 3)}


@dataclass(frozen=True, kw_only=True)
class UpResult:
    """What an `up` did."""

    changes: tuple[Change, ...]
    """Sorted by URN; one for each object of the program, and one for each that was pruned."""
    waves: tuple[Wave, ...]
    outputs: Mapping[str, Json]
    """The stack's exports, secrets marked."""
    seconds: float
