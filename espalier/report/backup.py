"""What `backup` saved and `restore` brought back, for people: a line an entry, and what is left to do by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from espalier.report.console import Output
from espalier.report.documents import BackupDocument, RestoreDocument
from espalier.report.terminal import show_errors

_COLOURS: Final = {"saved": "green", "restored": "green", "failed": "red", "by-hand": "yellow", "not-saved": "yellow"}
_UNITS: Final = ("B", "KiB", "MiB", "GiB")


def size_of(count: int) -> str:
    """Bytes for people."""
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{count} B"


def show_backup(out: Output, document: BackupDocument) -> None:
    """A table, what people save themselves, and where it all is."""
    table = _table("Add-on", "What", "", "File", "Size", "Saved")
    for row in document["entries"]:
        size = size_of(row["bytes"]) if row["state"] == "saved" else ""
        table.add_row(*_first(row), escape(row["file"]), size, row["time"])
    _rows(out, table, document["entries"])
    folder, done = document["folder"], sum(row["state"] == "saved" for row in document["entries"])
    if not document["entries"]:
        out.people.print(f"No add-on of {document['stack']} keeps data.", markup=False)
    elif document["complete"]:
        out.people.print(
            f"{folder}: {done} saved; bring back: espalier restore {document['stack']} {folder}", markup=False
        )
    _errors(out, "backup", document)


def show_restore(out: Output, document: RestoreDocument) -> None:
    """A table, and what people bring back themselves."""
    table = _table("Add-on", "What", "", "File")
    for row in document["entries"]:
        table.add_row(*_first(row), escape(row["file"]))
    _rows(out, table, document["entries"])
    _errors(out, "restore", document)


def _first(row: Mapping[str, Any]) -> tuple[str, str, str]:
    colour = _COLOURS.get(row["state"])
    state = f"[{colour}]{row['state']}[/{colour}]" if colour else row["state"]
    return row["addon"], escape(row["what"]), state


def _rows(out: Output, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if table.row_count:
        out.people.print(table)
    for row in rows:
        if row["note"] and row["state"] != "failed":
            out.people.print(f"{row['addon']}, {row['what']}: {row['note']}", markup=False, soft_wrap=True)


def _errors(out: Output, command: str, document: BackupDocument | RestoreDocument) -> None:
    if errors := document["errors"]:
        out.errors.print(f"espalier {command}: {len(errors)} failed")
        show_errors(out.errors, errors)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
