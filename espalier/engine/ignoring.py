"""`ignore_changes`: what is sent for fields that the program leaves to others.

Under server-side apply a field that is ours and left out is reset, so its live value is sent. A field that is
not ours is not sent at all: whoever owns it keeps it, and there is no conflict (as in pulumi-kubernetes,
provider/pkg/await, handleSSAIgnoreFields).
"""

from __future__ import annotations

import json
from typing import Any, Final

from espalier.engine.ownership import Fields, child, is_item
from espalier.engine.paths import Path, following
from espalier.engine.values import Json, Secret, has_secret

_MISSING: Final = object()
NOTHING: Final[Fields] = {".": {}}
"""The fields of a manager that has none: an empty tree would mean all."""


def keep_live(manifest: dict[str, Json], live: dict[str, Any], fields: Fields, ignored: tuple[Path, ...]) -> Json:
    """The manifest with the live values of what is ignored, as far as `fields` hold it; the rest of it is left out."""
    kept = _keep(manifest, live, fields, ignored)
    named = {key: value for key, value in manifest["metadata"].items() if key in ("name", "namespace")}
    metadata = kept.get("metadata")
    return {
        **kept,
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {**(metadata if isinstance(metadata, dict) else {}), **named},
    }


def _keep(manifest: Json, live: Json, fields: Fields | None, ignored: tuple[Path, ...]) -> Json:
    if not ignored:
        return manifest
    if () in ignored:
        value = _part(live, fields)
        return Secret(value) if value is not _MISSING and has_secret(manifest) else value
    if isinstance(manifest, Secret):
        value = _keep(manifest.value, live, fields, ignored)
        return value if value is _MISSING else Secret(value)
    if isinstance(manifest, (list, tuple)):
        return _keep_items(list(manifest), live, fields, ignored)
    if isinstance(manifest, dict) or manifest is _MISSING:
        return _keep_fields(manifest, live, fields, ignored)
    return manifest


def _keep_fields(manifest: Json, live: Json, fields: Fields | None, ignored: tuple[Path, ...]) -> Json:
    given: dict[str, Json] = {} if manifest is _MISSING else manifest
    states: dict[str, Json] = live if isinstance(live, dict) else {}
    names = list(given)
    if fields is not None:
        ours = states if not fields else (key.removeprefix("f:") for key in fields if key.startswith("f:"))
        names += [name for name in ours if name not in given]
    kept: dict[str, Json] = {}
    for name in names:
        rest = following(ignored, name)
        value = given.get(name, _MISSING)
        if rest:
            value = _keep(value, states.get(name, _MISSING), _below(fields, f"f:{name}"), rest)
        if value is not _MISSING:
            kept[name] = value
    return _MISSING if manifest is _MISSING and not kept else kept


def _keep_items(items: list[Json], live: Json, fields: Fields | None, ignored: tuple[Path, ...]) -> list[Json]:
    kept: list[Json] = []
    for index, item in enumerate(items):
        rest = following(ignored, index)
        if fields == {}:
            # The list is ours as a whole, so its items are told apart by their places.
            state, below = live[index] if isinstance(live, list) and index < len(live) else _MISSING, fields
        else:
            key = next((key for key in fields or () if is_item(item, key)), None)
            # An item that is new is applied as it is.
            rest = rest if key is not None else ()
            state, below = child(live, key or "f:"), _below(fields, key or "")
        value = _keep(item, state, below, rest)
        if value is not _MISSING:
            kept.append(value)
    return kept


def _below(fields: Fields | None, key: str) -> Fields | None:
    return fields if not fields else fields.get(key)


def _part(live: Json, fields: Fields | None) -> Json:
    """What `fields` hold of a live value."""
    if fields is None or live is _MISSING or live is None:
        return _MISSING
    if not fields:
        return live
    if isinstance(live, dict):
        parts = {key[2:]: _part(live.get(key[2:], _MISSING), below) for key, below in fields.items() if key[:2] == "f:"}
        return {name: part for name, part in parts.items() if part is not _MISSING}
    if isinstance(live, list):
        return [_item(item, key, fields[key]) for item in live for key in fields if key != "." and is_item(item, key)]
    return live


def _item(item: Json, key: str, below: Fields) -> Json:
    part = _part(item, below)
    return {**json.loads(key[2:]), **part} if key.startswith("k:") and isinstance(part, dict) else part
