"""What of a live object is ours: the fields that server-side apply recorded for our manager.

Two hashes say that a run has nothing to do with an object: the one of what is desired, and the one of our
part of the live object. A field that someone else changed left our part, or has another value in it.
Format: `metadata.managedFields[].fieldsV1` (kubernetes, structured-merge-diff `fieldpath`).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from espalier.engine.paths import Path, Step, differences, following, text_of, without
from espalier.engine.values import UNKNOWN, Json, Secret
from espalier.kube import FIELD_MANAGER, Manifest

_SERVERS_METADATA = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)
_NOBODY = "before-first-apply"
_MARK = 4
"""Letters of a field's mark: two fields of one object share one by chance once in 16 million."""

Fields = Mapping[str, Any]
"""A tree of `fieldsV1`."""


class _UnknownMetError(Exception):
    """A value to be hashed holds `UNKNOWN`."""


def _plain(value: Json) -> Json:
    """What the encoder asks for of a marker: it walks the value in C, and is three times as fast as `reveal`."""
    if isinstance(value, Secret):
        return value.value
    if value is UNKNOWN:
        raise _UnknownMetError
    raise TypeError(f"{type(value).__name__} is no JSON")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain, check_circular=False)


def digest(value: Json) -> str:
    """A one-way hash of JSON that does not depend on the order of keys: empty while something in it is unknown.

    A secret counts as its plain value.
    """
    try:
        text = _ENCODER.encode(value)
    except _UnknownMetError:
        return ""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def owned_fields(live: Manifest) -> Fields | None:
    """The fields that our manager applied, or None where it never did."""
    for entry in live["metadata"].get("managedFields") or ():
        applied = entry.get("operation") == "Apply" and not entry.get("subresource")
        if applied and entry.get("manager") == FIELD_MANAGER:
            return entry.get("fieldsV1") or {}
    return None


def may_be_ours(live: Manifest) -> bool:
    """Tells whether our manager applied an object, or nobody owns a field of it.

    The API server records no manager where there is no field: a Namespace with a name alone. Applied again, what it
    filled in itself is `before-first-apply`'s (kubernetes, apimachinery `managedfields/internal/skipnonapplied.go`).
    """
    entries = [entry for entry in live["metadata"].get("managedFields") or () if not entry.get("subresource")]
    managers = {entry.get("manager") for entry in entries} - {_NOBODY}
    return not managers or owned_fields(live) is not None


def owned_digest(live: Manifest, manifest: Json = None, ignored: tuple[Path, ...] = ()) -> str:
    """A hash of our part of a live object; empty where nothing of it is ours.

    `ignored` leaves parts out; what an index in it means, `manifest` tells.
    """
    fields = owned_fields(live)
    if fields is None:
        # Where all of ours is ignored and someone else has taken it, nothing that counts has changed.
        return digest({}) if ignored else ""
    return digest(_project(live, fields) if not ignored else _project_but(live, fields, manifest, ignored))


def _project(value: Json, fields: Fields) -> Json:
    if not fields:
        return value
    projected: dict[str, Json] = {}
    for key, below in fields.items():
        if key == ".":
            projected[key] = True
            continue
        # Most steps are fields: these are followed without a call.
        part = value.get(key[2:]) if key[0] == "f" and isinstance(value, dict) else child(value, key)
        projected[key] = _project(part, below) if below else part
    return projected


def _project_but(value: Json, fields: Fields, manifest: Json, ignored: tuple[Path, ...]) -> Json:
    if not ignored:
        return _project(value, fields)
    if not fields:
        return without(value, ignored)
    kept: dict[str, Json] = {}
    for key, below in fields.items():
        if key == ".":
            kept[key] = True
            continue
        step, part = in_manifest(manifest, key)
        rest = following(ignored, step)
        if () in rest:
            continue
        found = _project_but(child(value, key), below, part, rest)
        # What holds nothing but ignored fields vanishes with them when someone else takes them over.
        if found != {} or not rest:
            kept[key] = found
    return kept


def child(value: Json, key: str) -> Json:
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


def in_manifest(manifest: Json, key: str) -> tuple[Step | None, Json]:
    """The step that a path takes through the program's manifest for a key of `fieldsV1`, and what is there."""
    kind, _, name = key.partition(":")
    if kind == "f":
        return name, manifest.get(name) if isinstance(manifest, dict) else None
    items = manifest if isinstance(manifest, (list, tuple)) else ()
    if kind == "i":
        return int(name), items[int(name)] if int(name) < len(items) else None
    for index, item in enumerate(items):
        if is_item(item, key):
            return index, item
    return None, None


def is_item(item: Json, key: str) -> bool:
    """Tells whether a list's item of the program is the one that a key of `fieldsV1` names.

    A part of the key that the program leaves out (a port's protocol) is what the API server filled in.
    """
    kind, _, name = key.partition(":")
    wanted: Any = json.loads(name) if kind in ("k", "v") else None
    if kind == "v":
        return item == wanted
    if kind != "k" or not isinstance(item, dict):
        return False
    return any(part in item for part in wanted) and all(
        item.get(part, value) == value for part, value in wanted.items()
    )


def all_fields(live: Manifest) -> Fields:
    """The fields that any manager set, but for the status."""
    merged: dict[str, Any] = {}
    for entry in live["metadata"].get("managedFields") or ():
        if entry.get("subresource") != "status":
            _merge(merged, entry.get("fieldsV1") or {})
    return merged


def _merge(into: dict[str, Any], fields: Fields) -> None:
    for key, below in fields.items():
        _merge(into.setdefault(key, {}), below)


def field_marks(live: Manifest) -> str:
    """A few letters for each of our fields, one after the other: enough to tell later whether one was ours."""
    marks = {_mark(path) for path in _field_paths(owned_fields(live) or {}, "")}
    return "".join(sorted(marks))


def was_ours(field: str, marks: str) -> bool:
    """Tells whether a field, as the API server names it in a conflict, was ours when `marks` were made."""
    wanted = _mark(field)
    return any(marks[at : at + _MARK] == wanted for at in range(0, len(marks), _MARK))


def _mark(field: str) -> str:
    return base64.b64encode(hashlib.sha256(field.encode()).digest()[:3]).decode()


def _field_paths(fields: Fields, path: str) -> Iterator[str]:
    for key, below in fields.items():
        step, _, name = key.partition(":")
        if key == ".":
            yield path
            continue
        if step == "f":
            text = f".{name}"
        elif step == "k":
            text = f"[{','.join(f'{part}={json.dumps(value)}' for part, value in sorted(json.loads(name).items()))}]"
        else:
            text = f"[={name}]" if step == "v" else f"[{name}]"
        if below:
            yield from _field_paths(below, path + text)
        else:
            yield path + text


def changed_paths(before: Manifest, after: Manifest) -> set[Path]:
    """The paths that differ between two states of an object, without what the API server counts itself."""
    return set(differences(_comparable(before), _comparable(after)))


def changed_fields(before: Manifest, after: Manifest) -> tuple[str, ...]:
    """The same for people."""
    return tuple(sorted({text_of(path) for path in changed_paths(before, after)}))


def _comparable(value: Manifest) -> dict[str, Any]:
    rest = {key: part for key, part in value.items() if key not in ("metadata", "status")}
    metadata = value.get("metadata") or {}
    rest["metadata"] = {key: part for key, part in metadata.items() if key not in _SERVERS_METADATA}
    return rest
