"""What of a live object is ours: the fields that server-side apply recorded for our manager.

Two hashes say that a run has nothing to do with an object: the one of what is desired, and the one of our
part of the live object. A field that someone else changed left our part, or has another value in it.
Format: `metadata.managedFields[].fieldsV1` (kubernetes, structured-merge-diff `fieldpath`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from espalier.engine.values import Json
from espalier.kube import FIELD_MANAGER, Manifest

_SERVERS_METADATA = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)


def digest(value: Json) -> str:
    """A one-way hash of JSON that does not depend on the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def owned_fields(live: Manifest) -> Mapping[str, Any] | None:
    """The fields that our manager applied, or None where it never did."""
    for entry in live["metadata"].get("managedFields") or ():
        applied = entry.get("operation") == "Apply" and not entry.get("subresource")
        if applied and entry.get("manager") == FIELD_MANAGER:
            return entry.get("fieldsV1") or {}
    return None


def owned_digest(live: Manifest) -> str:
    """A hash of our part of a live object; empty where nothing of it is ours."""
    fields = owned_fields(live)
    return "" if fields is None else digest(_project(live, fields))


def _project(value: Json, fields: Mapping[str, Any]) -> Json:
    if not fields:
        return value
    return {key: key == "." or _project(_child(value, key), below) for key, below in fields.items()}


def _child(value: Json, key: str) -> Json:
    """Follows one step: `f:` a field, `k:` a list's item by its keys, `v:` a set's value, `i:` an index."""
    step, _, name = key.partition(":")
    if step == "f":
        return value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return None
    if step == "k":
        wanted = json.loads(name)
        return next((item for item in value if _has(item, wanted)), None)
    if step == "v":
        return json.loads(name) if json.loads(name) in value else None
    index = int(name)
    return value[index] if index < len(value) else None


def _has(item: Json, wanted: Mapping[str, Any]) -> bool:
    return isinstance(item, dict) and all(item.get(key) == value for key, value in wanted.items())


def changed_fields(before: Manifest, after: Manifest) -> tuple[str, ...]:
    """The paths that differ between two states of an object, without what the API server counts itself."""
    return tuple(sorted(set(_differences(_comparable(before), _comparable(after), ""))))


def _comparable(value: Manifest) -> dict[str, Any]:
    rest = {key: part for key, part in value.items() if key not in ("metadata", "status")}
    metadata = value.get("metadata") or {}
    rest["metadata"] = {key: part for key, part in metadata.items() if key not in _SERVERS_METADATA}
    return rest


def _differences(before: Json, after: Json, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            step = f"{path}.{key}" if path else key
            if key not in before or key not in after:
                yield step
            else:
                yield from _differences(before[key], after[key], step)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from _differences(left, right, f"{path}[{index}]")
    elif before != after:
        yield path
