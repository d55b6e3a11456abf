"""Conflicts over fields: what was ours and was changed since is drift and is mended; the rest is someone else's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from espalier.engine.errors import Problem, RefusedError
from espalier.engine.ownership import was_ours
from espalier.engine.target import Target
from espalier.kube import ApiError

CONFLICT = "Conflict"
FORCE = "pulumi.com/patchForce"


def drifted(target: Target, before: Mapping[str, Any] | None, error: ApiError) -> tuple[str, ...]:
    """Tells who changed which of our fields, one text each.

    Raises RefusedError where a field in conflict was not ours at the end of the last run: the inventory says so.
    """
    entry = target.cluster.inventory.entries.get(target.known.key)
    known = entry is not None and before is not None and before["metadata"]["uid"] == entry.uid
    marks = entry.fields if entry is not None and known else ""
    foreign = [cause for cause in error.causes if not was_ours(cause.get("field", ""), marks)]
    if foreign:
        raise _conflict(target, error, foreign)
    owners = sorted({_owner(cause) for cause in error.causes})
    return tuple(
        f"{_fields(cause for cause in error.causes if _owner(cause) == owner)} changed by {owner}; "
        "`ignore_changes` leaves it so"
        for owner in owners
    )


def _conflict(target: Target, error: ApiError, causes: list[Mapping[str, str]]) -> RefusedError:
    """Names who owns the fields, which they are, and what to do."""
    owners = ", ".join(sorted({_owner(cause) for cause in causes}))
    reason = f"{target.known}: {_fields(causes)} belong to {owners}"
    do = f"leave the fields out, or take them over: `espalier up --force`, or the annotation {FORCE}: 'true'"
    return RefusedError(error.message, [Problem(target.resource.urn, reason, do)])


def _fields(causes: Iterable[Mapping[str, str]]) -> str:
    return ", ".join(sorted(cause.get("field", "").lstrip(".") for cause in causes)) or "some fields"


def _owner(cause: Mapping[str, str]) -> str:
    return cause.get("message", "").removeprefix("conflict with ") or "another manager"
