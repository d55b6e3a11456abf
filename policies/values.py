"""Reading JSON that others wrote: a missing, malformed or hidden value is never an exception.

A value is hidden when it is unknown before the apply (`{"$unknown": true}`) or secret (`{"$secret": true}`): a rule
can tell that something is there, and no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

UNKNOWN: Mapping[str, Any] = {"$unknown": True}


def is_hidden(value: Any) -> bool:
    """Whether the value is there but cannot be read."""
    # Asked of nearly every value: the check against the abstract class is the slow one, so it comes last.
    if value is None or isinstance(value, str | list) or not isinstance(value, dict | Mapping):
        return False
    marks = cast(Mapping[str, Any], value)
    return marks.get("$unknown") is True or marks.get("$secret") is True


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a readable mapping, else an empty one."""
    if value is not None and isinstance(value, dict | Mapping) and not is_hidden(cast(Any, value)):
        return cast(Mapping[str, Any], value)
    return {}


def listing(value: Any) -> Sequence[Any]:
    """The value if it is a list, else an empty one."""
    return cast(Sequence[Any], value) if isinstance(value, list | tuple) else ()


def texts(value: Any) -> list[str]:
    """The strings of a list; whatever else is in it is left out."""
    return [item for item in listing(value) if isinstance(item, str)]


def shown(value: Any) -> str:
    """A name as a message shows it; what is hidden or no string is never printed."""
    return value if isinstance(value, str) else "(not known)"


def number(value: Any) -> float | None:
    """The value if it is a number, else None (a bool is none)."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def at(value: Any, *path: str) -> Any:
    """What lies under a path of keys: None where a step is missing, the hidden value where a step is hidden."""
    for key in path:
        if is_hidden(value):
            return value
        value = mapping(value).get(key)
    return value
