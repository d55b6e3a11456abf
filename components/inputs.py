"""Arguments of public components arrive as plain mappings; they are validated once, as a part of a stack file."""

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

from espalier.settings import Settings, validate
from espalier.types import Mistake, Mistakes

_ANY_CLUSTER = {"kind": "simulated"}
_HYPHENATED = {"pod_security": "pod-security", "time_slices": "time-slices"}


def settings_of(component: str, part: Mapping[str, Any], further: Iterable[Mistake] = ()) -> Settings:
    """The settings that hold only `part` of a stack file.

    Raises pulumi.RunError, without a traceback, with all mistakes: the settings' and those found `further`.
    """
    mistakes = list(further)
    try:
        settings = validate({"cluster": _ANY_CLUSTER, **part}, where=component)
    except Mistakes as error:
        raise run_error(component, [*mistakes, *error.mistakes]) from None
    if mistakes:
        raise run_error(component, mistakes)
    return settings


def key_mistakes(component: str, args: Mapping[str, Any], shape: type[Any]) -> list[Mistake]:
    """Arguments that the TypedDict `shape` does not know, and those that it needs."""
    known: dict[str, Any] = shape.__annotations__
    accepted = ", ".join(known)
    unknown = [
        Mistake(f"{component}.{key}", repr(key), accepted, "Correct or remove the argument.")
        for key in sorted(args.keys() - known.keys())
    ]
    missing = [
        Mistake(f"{component}.{key}", "nothing", f"the argument {key}", "Add it.")
        for key in sorted(shape.__required_keys__)
        if args.get(key) is None
    ]
    return unknown + missing


def run_error(component: str, mistakes: Iterable[Mistake]) -> pulumi.RunError:
    """All mistakes as the one error that Pulumi prints without a traceback."""
    texts = [mistake.text() for mistake in mistakes]
    count = len(texts)
    return pulumi.RunError("\n".join([f"{component}: {count} mistake{'s' if count > 1 else ''}", *texts]))


def hyphenated(args: Mapping[str, Any]) -> dict[str, Any]:
    """Python's spelling of keys becomes the stack file's."""
    return {
        _HYPHENATED.get(key, key): hyphenated(value) if key == "sharing" and isinstance(value, Mapping) else value
        for key, value in args.items()
        if value is not None
    }
