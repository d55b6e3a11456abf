"""What `mirror` carried, for people: a line a source, a line an image, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table

from espalier.report.console import Output
from espalier.report.documents import ErrorEntry, MirrorDocument
from espalier.report.terminal import show_errors

_DIGEST = 19
"""Characters of a digest that are shown: sha256: and twelve more."""


def show_mirror(out: Output, document: MirrorDocument) -> None:
    """Tables on people's side, errors on stderr."""
    sources = _table("Add-on", "Version", "Source", "Digest")
    for row in document["sources"]:
        sources.add_row(row["id"], escape(row["version"]), escape(row["source"]), row["digest"][:_DIGEST])
    images = _table("Image", "Digest", "Architectures", "Used by")
    for one in document["images"]:
        users = sorted({use["addon"] or "the platform" for use in one["used"]})
        digest = one["digest"][:_DIGEST] or "[yellow]unknown[/yellow]"
        images.add_row(escape(one["image"]), digest, ", ".join(one["architectures"]), ", ".join(users))
    for table in (sources, images):
        if table.row_count:
            out.people.print(table)
    size = sum(row["bytes"] for row in document["sources"]) / 2**20
    sources_of, images_of = _many(len(document["sources"]), "source"), _many(len(document["images"]), "image")
    counts = f"{sources_of} ({size:.1f} MiB), {images_of} listed"
    out.people.print(f"{document['folder']}: {counts}; its README.md says how they get there", markup=False)
    if document["errors"]:
        out.errors.print(f"espalier mirror: digests of {_many(len(document['errors']), 'image')} are not known")
        show_errors(out.errors, list(_by_cause(document["errors"])))


def _by_cause(errors: Sequence[ErrorEntry]) -> Iterator[ErrorEntry]:
    """One for all images that lack the same: a registry that cannot be reached is told of once."""
    for got in dict.fromkeys(error["got"] for error in errors):
        same = [error for error in errors if error["got"] == got]
        more = f" and {len(same) - 1} more" if len(same) > 1 else ""
        yield {**same[0], "path": same[0]["path"] + more}


def _many(count: int, one: str) -> str:
    return f"{count} {one}{'' if count == 1 else 's'}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
