"""Keeps secret values out of what people read: the API server quotes values in its refusals."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from espalier.engine.target import Target
from espalier.engine.values import Json, Secret
from espalier.kube import Kind

_SHORTEST_HIDDEN = 4


def hidden(target: Target, text: str) -> str:
    """Takes the target's secret values out of a text, such as an error that quotes them."""
    values = {form for value in _secret_texts(target) for form in _forms(value) if len(form) >= _SHORTEST_HIDDEN}
    for value in sorted(values, key=lambda value: (-len(value), value)):
        text = text.replace(value, "(secret)")
    return text


def _forms(value: str) -> Iterator[str]:
    """A value as it is, as a Secret holds it, as Go and JSON quote it, and line by line."""
    yield value
    yield base64.b64encode(value.encode()).decode()
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield from value.splitlines()


def _secret_texts(target: Target) -> Iterator[str]:
    whole = target.kind == Kind("v1", "Secret")
    for manifest in (target.manifest, target.sent):
        for key, value in manifest.items():
            yield from _texts(value, inside=whole and key in ("data", "stringData"))


def _texts(value: Json, *, inside: bool) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from _texts(value.value, inside=True)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item, inside=inside)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item, inside=inside)
    elif inside:
        yield str(value)
