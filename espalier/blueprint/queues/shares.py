"""Who has how many devices by right: quotas as they are while there is enough for all, else in proportion."""

from __future__ import annotations

from collections.abc import Mapping


def shares(
    capacity: int, wanted: Mapping[str, int], unit: int = 1, had: Mapping[str, int] | None = None
) -> dict[str, int]:
    """What each has of `capacity`: whole units, never more than it wants, together never more than there is.

    Where all can have what they want, they have it. Else in proportion to what they want; the rest of the division goes
    to those that lack the most, what they `had` elsewhere counted, then to the largest remainder, then by name: the
    same input gives the same shares, and nobody is the one left out everywhere.
    """
    wishes = {name: count // unit for name, count in sorted(wanted.items())}
    units, total = capacity // unit, sum(wishes.values())
    if total <= units:
        return {name: wish * unit for name, wish in wishes.items()}
    given = {name: wish * units // total for name, wish in wishes.items()}

    def place(name: str) -> tuple[int, int, str]:
        lacking = max(wishes[name] - given[name] - (had or {}).get(name, 0) // unit, 0)
        return -lacking, -(wishes[name] * units % total), name

    first = [name for name in sorted(wishes, key=place) if given[name] < wishes[name]]
    for name in first[: units - sum(given.values())]:
        given[name] += 1
    return {name: count * unit for name, count in given.items()}
