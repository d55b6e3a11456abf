"""Arguments of public components arrive as plain mappings; they are validated once, as a part of a stack file."""

from collections.abc import Mapping
from typing import Any

import pulumi

from espalier.settings import Settings, validate
from espalier.types import Mistakes

_ANY_CLUSTER = {"kind": "simulated"}
_HYPHENATED = {"pod_security": "pod-security", "time_slices": "time-slices", "on_demand": "on-demand"}


def settings_of(component: str, part: Mapping[str, Any]) -> Settings:
    """The settings that hold only `part` of a stack file.

    Raises pulumi.RunError, without a traceback, with all mistakes.
    """
    try:
        return validate({"cluster": _ANY_CLUSTER, **part}, where=component)
    except Mistakes as error:
        raise run_error(component, error) from None


def run_error(component: str, error: Mistakes) -> pulumi.RunError:
    """All mistakes as the one error that Pulumi prints without a traceback."""
    count = len(error.mistakes)
    return pulumi.RunError(f"{component}: {count} mistake{'s' if count > 1 else ''}\n{error}")


def hyphenated(args: Mapping[str, Any]) -> dict[str, Any]:
    """Python's and other languages' spelling of keys becomes the stack file's."""
    return {
        _HYPHENATED.get(key, key): hyphenated(value) if key == "sharing" and isinstance(value, Mapping) else value
        for key, value in args.items()
        if value is not None
    }
