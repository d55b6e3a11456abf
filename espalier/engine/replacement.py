"""When an object must be deleted and made anew, whether that may be, and in which order.

As Pulumi's Kubernetes provider: an object that the engine named is made under a new name first, and the old one is
deleted at the end of the run; one that the program named has to go first, since its name is taken.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from espalier.engine.errors import Problem, RefusedError
from espalier.engine.inventory import Entry
from espalier.engine.manifest import is_auto_named
from espalier.engine.options import paths_of
from espalier.engine.ownership import changed_paths
from espalier.engine.paths import covers, differences, text_of
from espalier.engine.secrecy import hidden
from espalier.engine.target import Target
from espalier.engine.waits import State
from espalier.engine.watcher import Watcher
from espalier.kube import ApiError, Reference

_DELETION = 300.0
"""Seconds for the old object to go, where `custom_timeouts` sets no other limit."""
_IMMUTABLE = (
    "immutable",
    "may not change",
    "may not be changed",
    "cannot change",
    "updates to statefulset spec for fields other than",
    "pod updates may not change fields other than",
)
_KEPT = frozenset({"CustomResourceDefinition", "Namespace", "PersistentVolume", "PersistentVolumeClaim"})
"""Deleting one of these deletes data or other objects: never done without being told."""


def is_immutable(error: ApiError) -> bool:
    """Tells whether the API server refused since a field cannot change in place."""
    return error.status == 422 and any(words in error.message for words in _IMMUTABLE)


def forcing_fields(manifest: Mapping[str, Any], before: Mapping[str, Any], error: ApiError) -> tuple[str, ...]:
    """The fields that cannot change in place, as exactly as the API server tells."""
    named = {cause["field"] for cause in error.causes if cause.get("field")}
    if "spec" in named:
        # It refused the spec as a whole: those fields of ours that differ say more.
        exact = {text_of(path) for path in _asked(manifest.get("spec"), before.get("spec"))}
        named = named - {"spec"} | {f"spec.{field}" for field in exact} or named
    return tuple(sorted(named))


def _asked(wanted: Any, live: Any) -> set[tuple[str | int, ...]]:
    """Where a live value is not what is asked for; what is not asked for does not count."""
    return {path for path in differences(live, wanted) if _at(wanted, path) is not None}


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def by_option(target: Target) -> tuple[str, ...]:
    """The options that ask for a replacement whatever changes; empty where none does."""
    entry = target.cluster.inventory.entries.get(target.known.key)
    asked: list[str] = []
    if entry is not None and entry.trigger and target.trigger and entry.trigger != target.trigger:
        asked.append("replacementTrigger")
    if target.cluster.replaced.any_of(target.resource.options.get("replaceWith", ())):
        asked.append("replaceWith")
    return tuple(asked)


def by_change(target: Target, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The changed fields that `replace_on_changes` names."""
    patterns = paths_of(target.resource, "replaceOnChanges")
    changed = changed_paths(before, after)
    return tuple(sorted({text_of(path) for path in changed if any(covers(pattern, path) for pattern in patterns)}))


def creates_first(target: Target, old: Reference | None) -> bool:
    """Tells whether the new object is made before the old one goes; `old` is its name where that was another."""
    renamed = is_auto_named(target.resource) if old is None else True
    return renamed and not target.resource.options.get("deleteBeforeReplace")


def note_of(target: Target, old: Reference) -> str:
    """Says the order for people."""
    other = old if old != target.known else None
    return f"{old} is deleted {'at the end' if creates_first(target, other) else 'first'}"


def moved_fields(old: Entry, new: Reference) -> tuple[str, ...]:
    """What of an object's name is another now."""
    pairs = {"name": (old.reference.name, new.name), "namespace": (old.reference.namespace, new.namespace)}
    return tuple(f"metadata.{field}" for field, (before, after) in pairs.items() if before != after)


def allow_replacement(target: Target, why: str) -> None:
    """Raises RefusedError where an object must not be deleted to be made anew."""
    options, reference = target.resource.options, target.known
    if options.get("protect"):
        reason, do = "is protected", "take `protect` off, or undo the change"
    elif options.get("retainOnDelete") and not creates_first(target, None):
        reason, do = "is to stay (`retain_on_delete`) and would have to go first", "give it another name"
    else:
        _allow_loss(target, reference, why)
        return
    _refuse(target, reference, reason, why, do)


def allow_move(target: Target, old: Entry) -> None:
    """Raises RefusedError where an object must not be deleted since the program calls it differently."""
    if not old.retain:
        _allow_loss(target, old.reference, f"the program calls it {target.known} now")


def _allow_loss(target: Target, old: Reference, why: str) -> None:
    if old.kind.kind in _KEPT and not target.resource.options.get("deleteBeforeReplace"):
        do = "undo the change, give the resource another name in the program too, or set `delete_before_replace`"
        _refuse(target, old, "would lose what it holds", why, do)
    if old.kind.kind == "Namespace":
        entries = target.cluster.inventory.entries.values()
        inside = sorted(str(e.reference) for e in entries if e.protect and e.reference.namespace == old.name)
        if inside:
            do = "take `protect` off, or undo the change"
            _refuse(target, old, f"holds what is protected, {', '.join(inside)}", why, do)


def _refuse(target: Target, old: Reference, reason: str, why: str, do: str) -> None:
    text = hidden(target, f"{old} would have to be replaced but {reason}: {why}")
    raise RefusedError(text, [Problem(target.resource.urn, text, do)])


def delete_old(target: Target, old: Reference, live: Mapping[str, Any], watcher: Watcher) -> None:
    """Deletes what is to be replaced and awaits that it is gone. Raises RefusedError, ApiError."""
    uid = live["metadata"]["uid"]
    seconds = target.entry().delete_seconds or _DELETION
    target.cluster.client.delete(old.kind, old.name, old.namespace, uid=uid)
    gone = threading.Event()
    ended: list[State] = []

    def on_gone(state: State, _: dict[str, Any] | None) -> None:
        ended.append(state)
        gone.set()

    watcher.until_gone(old, uid, seconds, on_gone)
    gone.wait()
    if ended[0].failed:
        raise RefusedError(ended[0].text, [Problem(target.resource.urn, f"{old}: {ended[0].text}")])
    target.cluster.forget(old)
