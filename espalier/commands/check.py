"""`check` and `addons`: what can be said of stack files and of the registry without running a program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espalier.addons import RECORDS
from espalier.charts.place import Place
from espalier.commands.project import read_stack
from espalier.report.documents import (
    AddonRow,
    AddonsDocument,
    CheckDocument,
    CheckedStack,
    EndedEntry,
    ErrorEntry,
    header,
)
from espalier.settings import find_stack
from espalier.types import Ended, Mistakes


def check(stacks: Sequence[str]) -> CheckDocument:
    """Reads each stack and builds its blueprint; with no names, every stack file in stacks/."""
    names = list(stacks) or [path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in _all_stacks()]
    return {**header("check"), "stacks": [_check_one(name) for name in names]}


def _all_stacks() -> list[Path]:
    return sorted(Path("stacks").glob("Pulumi.*.yaml"))


def _check_one(name: str) -> CheckedStack:
    path, errors = name, list[ErrorEntry]()
    try:
        found = find_stack(name, Path.cwd())
        path = str(found)
        read_stack(found)
    except Mistakes as error:
        errors = [_entry(mistake.to_json()) for mistake in error.mistakes]
    return {"name": name, "path": path, "ok": not errors, "errors": errors}


def _entry(mistake: dict[str, object]) -> ErrorEntry:
    entry: ErrorEntry = {
        "path": str(mistake["path"]),
        "got": str(mistake["got"]),
        "accepted": str(mistake["accepted"]),
        "do": str(mistake["do"]),
    }
    line = mistake.get("line")
    if isinstance(line, int):
        entry["line"] = line
    return entry


def _ended(ended: Ended | None) -> EndedEntry | None:
    if ended is None:
        return None
    return {
        "since": ended.since,
        "source": ended.source,
        "instead": ended.instead,
        "successors": list(ended.successors),
    }


def addons_document() -> AddonsDocument:
    """The registry with the project's own add-ons, sorted by id. Raises Mistakes where one of these is wrong."""
    records = Place.of(Path.cwd(), "").records(RECORDS)
    rows: list[AddonRow] = [
        {
            "id": record.id,
            "tier": record.tier,
            "category": record.category,
            "version": record.version,
            "state": record.state,
            "licence": record.licence,
            "source": record.source,
            "needs": sorted(record.needs),
            "ended": _ended(record.ended),
        }
        for _, record in sorted(records.items())
    ]
    return {**header("addons"), "addons": rows}
