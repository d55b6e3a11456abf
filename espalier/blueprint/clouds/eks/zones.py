"""Regions of AWS and their zones."""

from __future__ import annotations

_ZONES = {"us-east-1": ("us-east-1a", "us-east-1b", "us-east-1c")}


def zones(region: str) -> tuple[str, ...] | None:
    """Zones of a region; None for a region that this table lacks."""
    return _ZONES.get(region)


def regions() -> tuple[str, ...]:
    """All regions that are known."""
    return tuple(sorted(_ZONES))
