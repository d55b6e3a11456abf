"""Sends one object to the API server: server-side apply, and replacement where a field cannot change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from espalier.engine.errors import Problem, RefusedError
from espalier.engine.target import Target
from espalier.engine.waits import State
from espalier.engine.watcher import Watcher
from espalier.kube import ApiError, Reference, UnknownKindError

FORCE = "pulumi.com/patchForce"
_NOT_YET = 10.0
"""Seconds for a definition or a namespace of this very run to be served everywhere."""
_PAUSE = 0.2
_DELETION = 300.0
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


def send(
    target: Target,
    reference: Reference,
    before: dict[str, Any] | None,
    *,
    force: bool,
    watcher: Watcher,
) -> tuple[dict[str, Any], bool]:
    """Applies an object; gives its live state, and whether it had to be replaced.

    Raises RefusedError for a field of someone else and for a replacement that is not allowed, and ApiError.
    """
    force = force or is_forced(target)
    try:
        return _patiently(lambda: target.cluster.client.apply(target.plain, force=force)), False
    except ApiError as error:
        if error.reason == "Conflict":
            raise conflict(target, reference, error) from None
        if before is None or not is_immutable(error):
            raise
        allow_replacement(target, reference, error)
    _delete(target, reference, before, watcher)
    return target.cluster.client.apply(target.plain, force=force), True


def is_forced(target: Target) -> bool:
    """Tells whether the object's own annotation takes fields over from other managers."""
    annotations = target.plain["metadata"].get("annotations")
    return isinstance(annotations, dict) and annotations.get(FORCE) == "true"


def _patiently(apply: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Tries again for a moment where a kind or a namespace that was just made is not served yet."""
    until = time.monotonic() + _NOT_YET
    while True:
        try:
            return apply()
        except ApiError as error:
            if time.monotonic() >= until or not _may_come(error):
                raise
        time.sleep(_PAUSE)


def _may_come(error: ApiError) -> bool:
    if isinstance(error, UnknownKindError):
        return True
    return error.status == 404 and error.details.get("kind") == "namespaces"


def is_immutable(error: ApiError) -> bool:
    """Tells whether the API server refused since a field cannot change in place."""
    return error.status == 422 and any(words in error.message for words in _IMMUTABLE)


def conflict(target: Target, reference: Reference, error: ApiError) -> RefusedError:
    """Names who owns the fields, which they are, and what to do."""
    fields = ", ".join(cause.get("field", "").lstrip(".") for cause in error.causes)
    owners = sorted({cause.get("message", "").removeprefix("conflict with ") for cause in error.causes})
    who = ", ".join(owners) or "another manager"
    reason = f"{reference}: {fields or 'some fields'} belong to {who}" if error.causes else error.message
    do = f"leave the fields out, or take them over: `espalier up --force`, or the annotation {FORCE}: 'true'"
    return RefusedError(error.message, [Problem(target.resource.urn, reason, do)])


def allow_replacement(target: Target, reference: Reference, error: ApiError) -> None:
    """Raises RefusedError where an object must not be deleted to be made anew."""
    options = target.resource.options
    if options.get("protect"):
        reason, do = "is protected", "take `protect` off, or undo the change"
    elif reference.kind.kind in _KEPT and not options.get("deleteBeforeReplace"):
        reason, do = "would lose what it holds", "give it another name, or set `delete_before_replace`"
    else:
        return
    text = f"{reference} would have to be replaced but {reason}: {error.message}"
    raise RefusedError(text, [Problem(target.resource.urn, text, do)])


def _delete(target: Target, reference: Reference, before: dict[str, Any], watcher: Watcher) -> None:
    uid = before["metadata"]["uid"]
    target.cluster.client.delete(reference.kind, reference.name, reference.namespace, uid=uid)
    gone = threading.Event()
    ended: list[State] = []

    def on_gone(state: State, _: dict[str, Any] | None) -> None:
        ended.append(state)
        gone.set()

    watcher.until_gone(reference, uid, _DELETION, on_gone)
    gone.wait()
    if ended[0].failed:
        raise RefusedError(ended[0].text, [Problem(target.resource.urn, f"{reference}: {ended[0].text}")])
