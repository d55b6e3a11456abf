"""Durations as Pulumi writes them: `90s`, `1h30m`."""

from __future__ import annotations

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")


def seconds_of(text: str) -> float:
    """Reads a duration. Raises ValueError with what is accepted."""
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        raise ValueError(f"{text!r} is no duration; 30s, 10m and 1h30m are accepted")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
