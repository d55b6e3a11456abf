"""What a plan says of upgrades: which of their rules it holds itself, and which only a running cluster can answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

_RUNNING: Final = (
    "upgrades: cluster.version goes up one minor at a time, and no running node may be more than three behind: "
    "`preflight` asks the running cluster for both; an image.release that names its version is held against "
    "cluster.version here"
)


def upgrade_notes(opaque: Iterable[str]) -> Iterator[str]:
    """`opaque` are groups whose image does not tell which Kubernetes it is of."""
    yield _RUNNING
    if groups := sorted(opaque):
        yield f"upgrades: of which version the image.release of {', '.join(groups)} is, nothing here tells: see to it"
