"""Sends one object to the API server: server-side apply, over what drifted, and by replacement where it must be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from espalier.engine.changes import Op
from espalier.engine.drift import CONFLICT, FORCE, drifted
from espalier.engine.ownership import changed_fields
from espalier.engine.replacement import (
    allow_move,
    allow_replacement,
    by_change,
    by_option,
    creates_first,
    delete_old,
    forcing_fields,
    is_immutable,
    moved_fields,
    note_of,
)
from espalier.engine.target import Target
from espalier.engine.watcher import Watcher
from espalier.kube import ApiError, UnknownKindError

_NOT_YET = 10.0
"""Seconds for a definition or a namespace of this very run to be served everywhere."""
_PAUSE = 0.2


@dataclass(frozen=True)
class Sent:
    """What was applied."""

    target: Target
    """As it was applied: a replacement may have another name."""
    live: dict[str, Any]
    op: Op
    fields: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """For people: who changed what we mend, what is deleted first."""


def send(target: Target, before: dict[str, Any] | None, *, force: bool, watcher: Watcher) -> Sent:
    """Applies an object over its live state, which `target` is settled over.

    Raises RefusedError for a field of someone else and for a replacement that is not allowed, and ApiError.
    """
    if before is None:
        return _create(target, force, watcher)
    fields = by_option(target) or _by_change(target, before, force)
    if fields:
        return _replace(target, before, fields, "its options ask for it", force, watcher)
    try:
        live, notes = apply(target, target.plain, before, force=force)
    except ApiError as error:
        if not is_immutable(error):
            raise
        fields = forcing_fields(target.plain, before, error)
        return _replace(target, before, fields, error.message, force, watcher)
    fields = changed_fields(before, live) or ("metadata.managedFields",)
    return Sent(target, live, "update", fields, notes)


def apply(
    target: Target, manifest: dict[str, Any], before: dict[str, Any] | None, *, force: bool, dry_run: bool = False
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Applies a manifest, taking back what was ours; gives the live object, and who had changed it.

    Raises RefusedError for a field of someone else, and ApiError.
    """
    client = target.cluster.client
    force = force or is_forced(manifest)
    try:
        return _patiently(lambda: client.apply(manifest, force=force, dry_run=dry_run), dry_run), ()
    except ApiError as error:
        if error.reason != CONFLICT or not error.causes:
            raise
        notes = drifted(target, before, error)
    return client.apply(manifest, force=True, dry_run=dry_run), notes


def is_forced(manifest: dict[str, Any]) -> bool:
    """Tells whether the object's own annotation takes fields over from other managers."""
    annotations = manifest["metadata"].get("annotations")
    return isinstance(annotations, dict) and annotations.get(FORCE) == "true"


def _create(target: Target, force: bool, watcher: Watcher) -> Sent:
    replaced = target.cluster.replaced
    lost = target.cluster.live(target.known)
    moved = replaced.moved.get(target.resource.urn)
    op: Op = "create"
    fields: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if moved is not None:
        allow_move(target, moved)
        op, fields, notes = "replace", moved_fields(moved, target.known), (note_of(target, moved.reference),)
        replaced.add(target.resource)
        old = target.cluster.live(moved.reference)
        if old is not None and not moved.retain and not creates_first(target, moved.reference):
            replaced.emptied(moved.reference, old)
            delete_old(target, moved.reference, old, watcher)
    elif lost is not None:
        op, fields = "replace", ("metadata.namespace",)
        replaced.add(target.resource)
        target.cluster.forget(target.known)
        target = target.remade(lost)
    live, _ = apply(target, target.plain, None, force=force)
    return Sent(target, live, op, fields, notes)


def _by_change(target: Target, before: dict[str, Any], force: bool) -> tuple[str, ...]:
    """The fields that `replace_on_changes` names and that a dry run would change."""
    if "replaceOnChanges" not in target.resource.options:
        return ()
    try:
        after, _ = apply(target, target.plain, before, force=force, dry_run=True)
    except ApiError as error:
        if is_immutable(error):
            return forcing_fields(target.plain, before, error)
        raise
    return by_change(target, before, after)


def _replace(
    target: Target, before: dict[str, Any], fields: tuple[str, ...], why: str, force: bool, watcher: Watcher
) -> Sent:
    allow_replacement(target, why)
    old = target.known
    target.cluster.replaced.add(target.resource)
    if creates_first(target, None):
        fresh = target.renamed().remade(before)
        # Known before it is there, or a run that dies now would lose it.
        target.cluster.inventory.expect([fresh.entry()])
    else:
        fresh = target.remade(before)
        target.cluster.replaced.emptied(old, before)
        delete_old(target, old, before, watcher)
    live, _ = apply(fresh, fresh.plain, None, force=force)
    return Sent(fresh, live, "replace", fields, (note_of(target, old),))


def _patiently(apply: Callable[[], dict[str, Any]], dry_run: bool) -> dict[str, Any]:
    """Tries again for a moment where a kind or a namespace that was just made is not served yet."""
    until = time.monotonic() + _NOT_YET
    while True:
        try:
            return apply()
        except ApiError as error:
            if dry_run or time.monotonic() >= until or not _may_come(error):
                raise
        time.sleep(_PAUSE)


def _may_come(error: ApiError) -> bool:
    if isinstance(error, UnknownKindError):
        return True
    return error.status == 404 and error.details.get("kind") == "namespaces"
