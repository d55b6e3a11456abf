"""What `mirror` carried, for people: a line a source, a line an image, and what is not known."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from espalier.report.console import Output
from espalier.report.documents import MirrorDocument
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
    counts = f"{len(document['sources'])} sources ({size:.1f} MiB), {len(document['images'])} images listed"
    out.people.print(f"{document['folder']}: {counts}; its README.md says how they get there", markup=False)
    if document["errors"]:
        out.errors.print(f"espalier mirror: {len(document['errors'])} digests are not known")
        show_errors(out.errors, document["errors"])


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
