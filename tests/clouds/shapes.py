"""What a cloud's API takes, by its own description: one form for botocore, Google's discovery and Azure's SDK."""

from __future__ import annotations

import enum
import gzip
import json
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from importlib.resources import files
from types import ModuleType, NoneType, UnionType
from typing import Any, Literal, TypeGuard

from pulumi import Output

Kind = Literal["struct", "list", "map", "string", "integer", "number", "boolean", "any"]


def _nothing() -> dict[str, Shape]:
    return {}


@dataclass(frozen=True, eq=False)
class Shape:
    """One type of a description. Members are read when they are asked for: descriptions go round in circles."""

    kind: Kind
    name: str = ""
    read_members: Callable[[], dict[str, Shape]] = field(default=_nothing, repr=False)
    read_item: Callable[[], Shape] | None = field(default=None, repr=False)
    """Of a list or a map."""
    read_key: Callable[[], Shape] | None = field(default=None, repr=False)
    """Of a map."""
    required: frozenset[str] = frozenset()
    enum: frozenset[str] = frozenset()
    pattern: str = ""
    least: float | None = None
    """Of a text or a list its length, of a number its value."""
    most: float | None = None
    read_only: bool = False

    @property
    def members(self) -> Mapping[str, Shape]:
        """Of a struct, by their names in the API."""
        return _members(self)

    @property
    def item(self) -> Shape:
        """Of a list or a map."""
        return self.read_item() if self.read_item else ANY

    @property
    def key(self) -> Shape:
        """Of a map."""
        return self.read_key() if self.read_key else ANY


@cache
def _members(shape: Shape) -> dict[str, Shape]:
    return shape.read_members()


ANY = Shape("any")

# botocore ---------------------------------------------------------------------------------------------------------

_BOTOCORE: dict[str, Kind] = {
    "structure": "struct",
    "list": "list",
    "map": "map",
    "integer": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "boolean": "boolean",
}
_LETTERS = {
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010ffff",
    r"\p{L}": r"a-zA-Z\u00c0-\uffff",
    r"\p{Z}": r"\s",
    r"\p{N}": "0-9",
    r"\p{M}": "",
    r"\p{S}": "=+|~^`$<>",
}
"""What botocore's patterns, which are Java's, say otherwise than Python's."""


@cache
def _aws(service: str) -> Mapping[str, Any]:
    """The file itself: botocore's own objects hide patterns and enumerations, and take longer."""
    folder = files("botocore") / "data" / service
    (version,) = sorted((path.name for path in folder.iterdir() if path.is_dir()), reverse=True)[:1]
    return json.loads(gzip.decompress((folder / version / "service-2.json.gz").read_bytes()))


def operations(service: str) -> frozenset[str]:
    """Names of a service's operations; none of a service that botocore lacks."""
    return frozenset(_aws(service)["operations"]) if (files("botocore") / "data" / service).is_dir() else frozenset()


@cache
def aws(service: str, operation: str) -> Shape:
    """What an operation takes. Raises KeyError for one that the service lacks."""
    return aws_shape(service, _aws(service)["operations"][operation]["input"]["shape"])


@cache
def aws_shape(service: str, name: str) -> Shape:
    """A shape of a service by its name."""
    shape = _aws(service)["shapes"][name]
    item = shape.get("member") or shape.get("value")
    pattern = str(shape.get("pattern", ""))
    for letters, characters in _LETTERS.items():
        pattern = pattern.replace(letters, characters)
    return Shape(
        _BOTOCORE.get(shape["type"], "string"),
        name,
        lambda: {key: aws_shape(service, member["shape"]) for key, member in shape.get("members", {}).items()},
        (lambda: aws_shape(service, item["shape"])) if isinstance(item, dict) else None,
        (lambda: aws_shape(service, shape["key"]["shape"])) if "key" in shape else None,
        frozenset(shape.get("required", ())),
        frozenset(shape.get("enum", ())),
        pattern,
        shape.get("min"),
        shape.get("max"),
    )


# Google -----------------------------------------------------------------------------------------------------------

_DISCOVERY: dict[str, Kind] = {
    "object": "struct",
    "array": "list",
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "any": "any",
}
_OUTPUT = re.compile(r"\[?output[ -]only", re.IGNORECASE)


@cache
def _schemas(service: str) -> Mapping[str, Any]:
    path = files("googleapiclient") / "discovery_cache" / "documents" / f"{service}.json"
    return json.loads(path.read_text("utf-8"))["schemas"]


@cache
def google(service: str, schema: str) -> Shape:
    """A schema of a service, such as `container.v1` and `NodePool`."""
    return _google(service, schema, _schemas(service)[schema])


def _google(service: str, name: str, schema: Mapping[str, Any]) -> Shape:
    if "$ref" in schema:
        found = google(service, schema["$ref"])
        return found if not _is_output(schema) else replace(found, read_only=True)
    kind = _DISCOVERY[schema["type"]]
    item = schema.get("items") or schema.get("additionalProperties")
    if kind == "struct" and "additionalProperties" in schema:
        kind = "map"
    if kind == "string" and schema.get("format") in {"int64", "uint64"}:
        kind = "integer"  # JSON's numbers are too small for them
    properties = schema.get("properties", {})
    required = (key for key, value in properties.items() if _is_required(value, name))
    return Shape(
        kind,
        name,
        lambda: {key: _google(service, f"{name}.{key}", value) for key, value in properties.items()},
        (lambda: _google(service, f"{name}[]", item)) if isinstance(item, dict) else None,
        None,
        frozenset(required),
        frozenset(schema.get("enum", ())),
        schema.get("pattern", ""),
        float(schema["minimum"]) if "minimum" in schema else None,
        float(schema["maximum"]) if "maximum" in schema else None,
        _is_output(schema),
    )


def _is_output(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("readOnly")) or bool(_OUTPUT.match(schema.get("description", "")))


def _is_required(schema: Mapping[str, Any], name: str) -> bool:
    asked = schema.get("annotations", {}).get("required", [])
    return any(method.rpartition(".")[2] == "insert" for method in asked) and "." not in name


# Azure ------------------------------------------------------------------------------------------------------------


@cache
def azure(package: str, model: str) -> Shape:
    """A model of azure-mgmt, such as `containerservice` and `AgentPool`."""
    module = import_module(f"azure.mgmt.{package}.models")
    return _azure_model(module, getattr(module, model))


@cache
def _azure_model(module: ModuleType, model: type[Any]) -> Shape:
    if hasattr(model, "_attribute_map"):
        return _azure_older(module, model)
    model({})  # the SDK reads a model's fields when its first object is made
    fields = model._attr_to_rest_field  # pyright: ignore
    known = {**vars(module), "_models": module, "datetime": import_module("datetime")}
    hints = typing.get_type_hints(model, localns=known)

    def members() -> dict[str, Shape]:
        return {
            found._rest_name: _azure_hint(module, hints[key], read_only=found._visibility == ["read"])
            for key, found in fields.items()
        }

    needed = {found._rest_name for key, found in fields.items() if NoneType not in typing.get_args(hints[key])}
    writable = {found._rest_name for found in fields.values() if found._visibility != ["read"]}
    return Shape("struct", model.__name__, members, required=frozenset(needed & writable))


def _azure_hint(module: ModuleType, hint: Any, *, read_only: bool = False) -> Shape:
    origin, args = typing.get_origin(hint), [arg for arg in typing.get_args(hint) if arg is not NoneType]
    if origin in {typing.Union, UnionType}:
        words = next(filter(_is_enum, args), None)
        if words:
            values = frozenset(str(word.value) for word in words)
            return Shape("string", words.__name__, enum=values, read_only=read_only)
        return _azure_hint(module, args[0], read_only=read_only)
    if origin is list:
        return Shape("list", read_item=lambda: _azure_hint(module, args[0]), read_only=read_only)
    if origin is dict:
        return Shape("map", read_item=lambda: _azure_hint(module, args[1]), read_only=read_only)
    plain: dict[Any, Kind] = {str: "string", int: "integer", float: "number", bool: "boolean"}
    if hint in plain:
        return Shape(plain[hint], read_only=read_only)
    if isinstance(hint, type) and hint.__module__.startswith("azure.mgmt"):
        found = _azure_model(module, hint)
        return replace(found, read_only=True) if read_only else found
    return Shape("string" if getattr(hint, "__name__", "") in {"datetime", "time", "date"} else "any")


_OLDER: dict[str, Kind] = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def _azure_older(module: ModuleType, model: type[Any]) -> Shape:
    """Models of the SDK's older generation: flat, with the place in the request as `properties.principalId`."""
    rules: Mapping[str, Mapping[str, Any]] = model._validation
    tree: dict[str, Any] = {}
    for key, place in model._attribute_map.items():
        node = tree
        *above, last = place["key"].split(".")
        for part in above:
            node = node.setdefault(part, {})
        kind = place["type"]
        words = getattr(module, "".join(part.capitalize() for part in key.split("_")), None)
        values = frozenset(str(word.value) for word in words) if _is_enum(words) else frozenset[str]()
        rule = rules.get(key, {})
        node[last] = (_OLDER.get(kind, "any"), values, bool(rule.get("readonly")), bool(rule.get("required")))
    return _older(model.__name__, tree)


def _is_enum(found: Any) -> TypeGuard[type[enum.Enum]]:
    return isinstance(found, type) and issubclass(found, enum.Enum)


def _older(name: str, tree: Mapping[str, Any]) -> Shape:
    def members() -> dict[str, Shape]:
        return {
            key: _older(f"{name}.{key}", value)
            if isinstance(value, dict)
            else Shape(value[0], key, enum=value[1], read_only=value[2])
            for key, value in tree.items()
        }

    needed = (key for key, value in tree.items() if not isinstance(value, dict) and value[3])
    return Shape("struct", name, members, required=frozenset(needed))


# Azure by Pulumi's SDK, which is written from Azure's specifications: for services whose azure-mgmt is not at hand ---


@cache
def native(module: str, arguments: str) -> Shape:
    """Arguments of a resource or of a nested object, such as `managedidentity` and `UserAssignedIdentityArgs`."""
    package = import_module(f"pulumi_azure_native.{module}")
    inputs = getattr(package, "_inputs", package)
    owner = getattr(package, arguments, None) or getattr(inputs, arguments)
    known = {"Output": Output, "T": Any, **vars(inputs), **vars(package), **vars(import_module(owner.__module__))}
    getters = {
        getattr(found.fget, "_pulumi_name", key): typing.get_type_hints(found.fget, globalns=known)["return"]
        for key, found in vars(owner).items()
        if isinstance(found, property) and found.fget is not None
    }

    def members() -> dict[str, Shape]:
        return {key: _native_hint(module, hint) for key, hint in getters.items()}

    return Shape("struct", arguments, members)


def _native_hint(module: str, hint: Any) -> Shape:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, UnionType}:
        args = [arg for arg in args if arg is not NoneType and "Output" not in str(typing.get_origin(arg) or arg)]
        args = [arg for arg in args if "Awaitable" not in str(typing.get_origin(arg) or arg)]
        words = next(filter(_is_enum, args), None)
        if words:
            return Shape("string", words.__name__, enum=frozenset(str(word.value) for word in words))
        return _native_hint(module, args[0])
    plain: dict[Any, Kind] = {str: "string", int: "integer", float: "number", bool: "boolean"}
    if hint in plain:
        return Shape(plain[hint])
    if isinstance(hint, type) and hint.__name__.endswith("Args"):
        return native(module, hint.__name__)
    name = str(origin)
    if "Sequence" in name or origin is list:
        return Shape("list", read_item=lambda: _native_hint(module, args[0]))
    if "Mapping" in name or origin is dict:
        return Shape("map", read_item=lambda: _native_hint(module, args[1]))
    return ANY
