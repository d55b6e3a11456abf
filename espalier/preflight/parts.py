"""What stands beside a cluster of any cloud, buckets first: whether what is named is there, and what is made is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from espalier.preflight.model import Finding, NotAsked, doubt, not_judged, ok, wrong
from espalier.preflight.needs import Needs

_MADE_ELSE: Final = frozenset(
    {"buckets", "registries", "dns", "identity", "keys", "storage", "service-account", "endpoints.subnet"}
)
"""Keys of the cluster block without which the thing is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One that was looked up. `key` is its own of the cluster block, or of a pool that `pool` names."""

    key: str
    what: str
    """For people, such as `bucket models`."""
    made: bool
    """The stack makes it, so that nobody else may have it; else it must be there."""
    state: Literal["there", "hidden", "taken", "absent"] | NotAsked
    """`hidden`: it is there, and whose it is the caller may not read; `taken`: it is none of this subscription's."""
    got: str = ""
    """What one that is there is."""
    fault: str = ""
    """Why one that is there does not fit, "" where it does."""
    do: str = ""
    """What to do about that; "" for naming another."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    pool: str = ""
    """The pool whose key it is, "" for the cluster's."""
    holds: str = ""
    """Who may have a name that is taken, besides somebody else."""


def part_findings(needs: Needs, parts: Iterable[Part]) -> Iterator[Finding]:
    """One finding each."""
    for part in parts:
        if isinstance(part.state, NotAsked):
            yield not_judged(part.what, part.state)
        elif part.made:
            yield _made(needs, part)
        else:
            yield _given(part)


def _made(needs: Needs, part: Part) -> Finding:
    if part.state == "absent":
        return ok(part.what, "the name is free")
    if part.state == "there" and needs.plan.tags.items() <= part.tags.items():
        return ok(part.what, "there already, with this stack's tags")
    if part.state == "taken":
        got = f"somebody else has this name{f', or {part.holds}' if part.holds else ''}"
        return wrong(part.what, got, "Give it or the cluster another name.")
    if part.state == "hidden":
        got = "there, but the caller may not read of it: this stack's own, or somebody else's"
        return doubt(part.what, got, "Allow it to be read; if it is not yours, give it or the cluster another name.")
    do = f"Rename it, or name it by its id under espalier:cluster.{part.key}."
    return wrong(part.what, "there already, without the tags that this stack gives", do)


def _given(part: Part) -> Finding:
    where = f"{part.key} of pool {part.pool}" if part.pool else f"espalier:cluster.{part.key}"
    if part.state == "absent":
        out = ", or leave it out: it is made then." if part.key in _MADE_ELSE and not part.pool else "."
        return wrong(part.what, "there is none", f"Correct its id under {where}{out}")
    if part.state == "hidden":
        return doubt(
            part.what, "there, but the caller may not read of it", f"Allow it, or correct its id under {where}."
        )
    if part.fault:
        return wrong(part.what, part.fault, part.do or f"Name another under {where}.")
    return ok(part.what, part.got or "is there")
