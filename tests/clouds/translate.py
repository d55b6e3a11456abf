"""From the inputs of a Pulumi resource to the request that its provider makes, and what the description says to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from espalier.engine.values import UNKNOWN
from tests.clouds.shapes import Shape


@dataclass(frozen=True, kw_only=True)
class Row:
    """One type of resource: what it becomes, and where its keys differ from the API's.

    Paths of inputs are dotted, lists left out: `networkInterfaces.securityGroups`. Where nothing is said, a key goes
    to the member of its own spelling (capitals, `-` and `_` aside) below where its parent went.
    """

    shape: Shape
    call: tuple[str, str] | None = None
    """Service and operation of AWS, for botocore's own verdict."""
    base: str = ""
    """Where in the request most of the inputs go."""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Path of an input -> its place below its parent's place, or from the request's root after a `/`. `Tags[].Key`
    makes a list of one."""
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    """Path of an input -> why it is not in the request."""
    values: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict[str, Mapping[Any, Any]])
    """Path of an input -> what the API calls its values."""
    words: Mapping[str, frozenset[Any]] = field(default_factory=dict[str, frozenset[Any]])
    """Place in the request -> what may stand there, where the shape itself leaves it open."""
    single: frozenset[str] = frozenset()
    """Paths of lists of which the API takes one: the others go by further calls."""
    keyed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Path of a list -> which key of its objects is the API's key of a mapping."""
    patterns: Mapping[str, str] = field(default_factory=dict[str, str])
    """Place in the request -> the form of its text, where the shape itself leaves it open."""
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the provider itself puts there."""
    texts: bool = False
    """The provider writes numbers and booleans as texts where the API has nothing else."""
    takes: frozenset[str] | None = None
    """Inputs of a further call that the provider makes where they are given; None: this call is the resource's own."""


@dataclass(frozen=True)
class Wrong:
    """What a description does not accept."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


def request_of(inputs: Mapping[str, Any], row: Row) -> tuple[dict[str, Any], list[Wrong]]:
    """The request; wrong is an input that nobody takes."""
    request: dict[str, Any] = {}
    wrong: list[Wrong] = []
    for path, value in row.given.items():
        _put(request, path.split("."), value)
    for key, value in inputs.items():
        if value is not None and (row.takes is None or key in row.takes):
            _place(request, row.shape, row.base, key, value, row, wrong, request)
    return request, wrong


def _place(
    into: dict[str, Any], shape: Shape, base: str, path: str, value: Any, row: Row, wrong: list[Wrong], root: Any
) -> None:
    """Puts one input below `into`, whose shape is `shape`."""
    if path in row.left_out:
        return
    place = row.names.get(path)
    if place is not None and place.startswith("/"):
        into, shape, place = root, row.shape, place[1:]
    elif base:
        place = f"{base}.{place or _named(_at(shape, base.split('.')), path)}"
    place = place if place is not None else _named(shape, path)
    target = _at(shape, place.split(".")) if place else None
    if target is None or place.endswith("."):
        wrong.append(Wrong(path, f"{row.shape.name} has no such member; {shape.name} has {', '.join(shape.members)}"))
        return
    _put(into, place.split("."), _value(target, path, value, row, wrong, root))


def _named(shape: Shape | None, path: str) -> str:
    """The member of the last part's spelling, if need be below `properties`, as Azure nests them."""
    if shape is None or shape.kind != "struct":
        return ""
    plain = _plain(path.rpartition(".")[2])
    found = [name for name in shape.members if _plain(name) == plain]
    if found:
        return found[0]
    below = shape.members.get("properties")
    inner = _named(below, path) if below is not None else ""
    return f"properties.{inner}" if inner else ""


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()


def _at(shape: Shape, parts: list[str]) -> Shape | None:
    found: Shape | None = shape
    for part in parts:
        name = part.removesuffix("[]")
        if found is not None and found.kind == "map":
            found = found.item
        else:
            found = found.members.get(name) if found is not None and found.kind == "struct" else None
        if found is not None and part.endswith("[]"):
            found = found.item
    return found


def _put(into: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        name = part.removesuffix("[]")
        into = into.setdefault(name, [{}])[0] if part.endswith("[]") else into.setdefault(name, {})
    last = parts[-1]
    if last.endswith("[]") and isinstance(value, dict):
        into.setdefault(last.removesuffix("[]"), [{}])[0] |= value
        return
    if last.endswith("[]"):
        value, last = [value], last.removesuffix("[]")
    if isinstance(value, dict) and isinstance(into.get(last), dict):
        into[last] |= value
    elif isinstance(value, list) and isinstance(into.get(last), list):
        into[last] = [*into[last], *value]
    else:
        into[last] = value


def _value(shape: Shape, path: str, value: Any, row: Row, wrong: list[Wrong], root: Any) -> Any:
    if isinstance(value, str | int | bool) and path in row.values:
        return row.values[path].get(value, value)
    if value is UNKNOWN:
        return value
    if path in row.single and isinstance(value, list) and len(value) == 1:
        value = value[0]
    if shape.kind == "list":
        items = value if isinstance(value, list) else _tags(shape, value) or [value]
        return [_value(shape.item, path, item, row, wrong, root) for item in items]
    if shape.kind == "struct" and isinstance(value, dict):
        made: dict[str, Any] = {}
        for key, item in value.items():
            if item is not None:
                inner = key if _is_api_name(shape, key) else f"{path}.{key}"
                _place(made, shape, "", inner, item, row, wrong, root)
        return made
    if shape.kind == "map" and isinstance(value, list):
        return _keyed(shape, path, value, row, wrong, root)
    return _scalar(shape, value, row)


def _scalar(shape: Shape, value: Any, row: Row) -> Any:
    """A plain value as the provider writes it."""
    if shape.kind == "boolean" and isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if row.texts and shape.kind == "string" and isinstance(value, int):
        return str(value).lower()
    if shape.kind == "integer" and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    return value


def _keyed(shape: Shape, path: str, items: list[Any], row: Row, wrong: list[Wrong], root: Any) -> dict[Any, Any]:
    """A list where the API wants a mapping: of names, to objects of nothing, or of objects, by one of their keys."""
    named = row.keyed.get(path)
    if named is None:
        return {item: {} for item in items if isinstance(item, str)}
    return {
        item[named]: _value(
            shape.item, path, {key: value for key, value in item.items() if key != named}, row, wrong, root
        )
        for item in items
    }


def _is_api_name(shape: Shape, key: str) -> bool:
    """Tags that have been made into pairs are in the API's spelling already."""
    return key in {"Key", "Value", "TagKey", "TagValue"} and key in shape.members


def _tags(shape: Shape, value: Any) -> list[dict[str, Any]] | None:
    """A mapping where the API wants pairs."""
    if not isinstance(value, dict) or shape.item.kind != "struct" or {"key", "value"} <= value.keys():
        return None
    for key, text in (("Key", "Value"), ("TagKey", "TagValue")):
        if {key, text} <= shape.item.members.keys():
            return [{key: name, text: said} for name, said in value.items()]
    return None


# What the description says to it ------------------------------------------------------------------------------------


def check(value: Any, shape: Shape, row: Row, path: str = "") -> Iterator[Wrong]:
    """Members, types, enumerations, patterns, lengths, what is missing and what only the cloud writes.

    What is not known passes.
    """
    if value is UNKNOWN or shape.kind == "any":
        return
    if shape.read_only:
        yield Wrong(path, "only the cloud writes it")
    kinds: dict[str, Any] = {"struct": dict, "map": dict, "list": list, "string": str, "boolean": bool}
    kinds |= {"integer": int, "number": (int, float)}
    if not isinstance(value, kinds[shape.kind]) or isinstance(value, bool) != (shape.kind == "boolean"):
        yield Wrong(path, f"{value!r} is no {shape.kind}")
    elif shape.kind == "struct":
        yield from (Wrong(path, f"{key} is missing") for key in sorted(shape.required - value.keys()))
        for key, item in value.items():
            if key not in shape.members:
                yield Wrong(path, f"{shape.name} has no member {key}")
            else:
                yield from check(item, shape.members[key], row, f"{path}.{key}".lstrip("."))
    elif isinstance(value, dict | list):
        yield from _length(len(value), shape, path)
        for item in value.values() if isinstance(value, dict) else value:
            yield from check(item, shape.item, row, path)
        for key in value if isinstance(value, dict) else ():
            yield from check(key, shape.key, row, f"{path}[{key}]")
    else:
        yield from _plain_value(value, shape, row, path)


def _plain_value(value: Any, shape: Shape, row: Row, path: str) -> Iterator[Wrong]:
    words, pattern = row.words.get(path, shape.enum), row.patterns.get(path, shape.pattern)
    if words and value not in words:
        yield Wrong(path, f"{value!r} is none of {', '.join(sorted(map(str, words))[:12])}")
    if isinstance(value, str):
        yield from _length(len(value), shape, path)
        if pattern and not re.fullmatch(pattern, value):
            yield Wrong(path, f"{value!r} does not match {pattern}")
    elif not isinstance(value, bool):
        yield from _length(value, shape, path)


def _length(size: float, shape: Shape, path: str) -> Iterator[Wrong]:
    if shape.least is not None and size < shape.least:
        yield Wrong(path, f"{size:g} is less than {shape.least:g}")
    if shape.most is not None and size > shape.most:
        yield Wrong(path, f"{size:g} is more than {shape.most:g}")


# What stands in for what is not known -------------------------------------------------------------------------------

_SAMPLES: dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": True, "any": "known-later"}


def filled(value: Any, shape: Shape) -> Any:
    """The same with a value of the shape's type wherever only the cloud knows it."""
    if value is UNKNOWN:
        return _sample(shape)
    if isinstance(value, dict) and shape.kind == "struct":
        return {key: filled(item, shape.members.get(key, Shape("any"))) for key, item in value.items()}
    if isinstance(value, dict):
        return {key: filled(item, shape.item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, shape.item) for item in value]
    return value


def _sample(shape: Shape) -> Any:
    if shape.kind == "struct":
        return {key: _sample(shape.members[key]) for key in sorted(shape.required)}
    if shape.kind == "list":
        return [_sample(shape.item)] * int(shape.least or 1)
    if shape.kind == "map":
        return {}
    if shape.enum:
        return min(shape.enum)
    return _SAMPLES.get(shape.kind) or "x" * int(min(max(shape.least or 1, 12), shape.most or 12))
