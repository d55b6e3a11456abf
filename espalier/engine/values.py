"""Property values as the engine sees them: plain JSON, and two markers for what is unknown or secret.

The SDK sends properties as protobuf structs in which secrets and unknowns are marked with fixed
signatures (pulumi, sdk/go/common/resource/properties.go). Here they become `UNKNOWN` and `Secret(value)`;
a secret's value is in no repr, str or JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_HIDDEN_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# Whole numbers beyond this lose digits on the way through a double; they stay floats.
_LARGEST_EXACT: Final = 2**53

Json = Any
"""Plain JSON, or JSON with `UNKNOWN` and `Secret` inside."""


@final
class Unknown:
    """The type of `UNKNOWN`: a value that no one can know before the apply."""

    _instance: Unknown | None = None

    def __new__(cls) -> Unknown:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that must not be shown; `value` is the plain value and may hold `UNKNOWN`."""

    value: Json = field(repr=False)

    def __str__(self) -> str:
        return "Secret()"


def decode(struct: Struct) -> dict[str, Json]:
    """Turns the SDK's struct into a dict with whole numbers as ints, and the two markers."""
    return {key: _decode_value(value) for key, value in struct.fields.items()}


def _decode_value(value: Value) -> Json:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value == _UNKNOWN_TEXT else value.string_value
    if kind == "struct_value":
        return _decode_struct(value.struct_value)
    if kind == "list_value":
        return [_decode_value(item) for item in value.list_value.values]
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    return None


def _number(number: float) -> float:
    return int(number) if number.is_integer() and abs(number) <= _LARGEST_EXACT else number


def _decode_struct(struct: Struct) -> Json:
    if _SIGNATURE not in struct.fields:
        return {key: _decode_value(item) for key, item in struct.fields.items()}
    signature = struct.fields[_SIGNATURE].string_value
    if signature == _HIDDEN_SIGNATURE:
        return Secret(_decode_value(struct.fields["value"]))
    if signature == _OUTPUT_SIGNATURE:
        known = _decode_value(struct.fields["value"]) if "value" in struct.fields else UNKNOWN
        return Secret(known) if struct.fields["secret"].bool_value else known
    return {key: _decode_value(item) for key, item in struct.fields.items()}


def encode(values: Mapping[str, Json]) -> Struct:
    """Turns values with markers into the struct that the SDK reads."""
    struct = Struct()
    _fill(struct, values)
    return struct


def _fill(struct: Struct, values: Mapping[str, Json]) -> None:
    fields = struct.fields
    for key, value in values.items():
        _put(fields[key], value)


def _put(target: Value, value: Json) -> None:
    """Writes in place: `Struct.update` makes and copies a message for each value, at twice the time."""
    if isinstance(value, str):
        target.string_value = value
    elif isinstance(value, dict):
        target.struct_value.SetInParent()
        _fill(target.struct_value, value)
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, (list, tuple)):
        target.list_value.SetInParent()
        for item in value:
            _put(target.list_value.values.add(), item)
    elif value is None:
        target.null_value = NULL_VALUE
    elif value is UNKNOWN:
        target.string_value = _UNKNOWN_TEXT
    elif isinstance(value, Secret):
        _fill(target.struct_value, {_SIGNATURE: _HIDDEN_SIGNATURE, "value": value.value})
    else:
        raise TypeError(f"{type(value).__name__} is no JSON")


class Plain(dict[str, Any]):
    """A mapping without markers to its ground, its keys sorted: plain JSON, in which nobody needs to look for any."""


def as_sent(value: Any) -> Json:
    """What is left of plain JSON on its way through the SDK: the same, but for whole numbers, which become ints."""
    if isinstance(value, dict):
        return {key: item if isinstance(item := value[key], str) else as_sent(item) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [item if isinstance(item, str) else as_sent(item) for item in value]
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float)):
        return _number(float(value))
    raise TypeError(f"{type(value).__name__} is no JSON")


def to_json(value: Json) -> Json:
    """Gives plain JSON: an unknown is `{"$unknown": true}`, a secret `{"$secret": true}`."""
    if isinstance(value, Plain):
        return value
    if isinstance(value, dict):
        return {key: to_json(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if value is UNKNOWN:
        return {"$unknown": True}
    if isinstance(value, Secret):
        return {"$secret": True}
    return value


def has_unknown(value: Json) -> bool:
    """Tells whether an unknown is anywhere inside, also inside a secret."""
    if isinstance(value, Plain):
        return False
    if isinstance(value, dict):
        value = value.values()
    elif isinstance(value, Secret):
        return has_unknown(value.value)
    elif not isinstance(value, (list, tuple)):
        return value is UNKNOWN
    # Loops, and no call for a text, which most values are: these run over every object several times.
    for item in value:  # noqa: SIM110
        if not isinstance(item, str) and has_unknown(item):
            return True
    return False


def has_secret(value: Json) -> bool:
    """Tells whether a secret is anywhere inside."""
    if isinstance(value, Plain):
        return False
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return isinstance(value, Secret)
    for item in value:  # noqa: SIM110
        if not isinstance(item, str) and has_secret(item):
            return True
    return False


def reveal(value: Json) -> Json:
    """Gives the value with its secrets in plain text, for the API server and for nothing else."""
    if isinstance(value, Plain):
        return value
    if isinstance(value, dict):
        return {key: item if isinstance(item, str) else reveal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [item if isinstance(item, str) else reveal(item) for item in value]
    return reveal(value.value) if isinstance(value, Secret) else value
