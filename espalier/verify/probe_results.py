"""What the logs of `verify --probe` say, and what that proves. Pure: a log is any text, never trusted to be whole.

A line of a program's own begins with its mark (see `programs`); all others are of frameworks and drivers, and are shown
where something is missing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from espalier.blueprint.probe import TOLERANCE, Measure, Probe
from espalier.verify.model import NotProven, Outcome

MARK: Final = "espalier-probe: "
_LINES, _CHARACTERS = 4, 500


@dataclass(frozen=True, slots=True)
class Found:
    """The devices that a program saw, by name, and which of them did not compute."""

    devices: int
    names: Mapping[str, int]
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """Bus bandwidth over so many devices, GB/s."""

    scope: str
    devices: int
    busbw: float


@dataclass(frozen=True, slots=True)
class Report:
    """What one log says; the last word counts. `end` are its last lines."""

    found: Found | None
    measured: Mapping[str, Measured]
    end: str


@dataclass(frozen=True, slots=True)
class Told:
    """One pod of a probe: where it is, its log, and, where it did not succeed, what is known of why."""

    pod: str
    node: str
    log: str
    trouble: str = ""

    @property
    def where(self) -> str:
        return f"{self.pod} on {self.node}" if self.node else self.pod


def read(log: str) -> Report:
    """Reads any text; what is not understood is as if it were not there."""
    found: Found | None = None
    measured: dict[str, Measured] = {}
    for line in log.splitlines():
        if not line.startswith(MARK):
            continue
        said = _json(line.removeprefix(MARK))
        found = _found(said.get("found")) or found
        one = _measured(said.get("measured"))
        if one is not None:
            measured[one.scope] = one
    return Report(found, measured, _end(log))


def judge(probe: Probe, told: Sequence[Told]) -> dict[str, Outcome | NotProven]:
    """All checks of a probe by their names. Where the devices do not compute, nothing is said of bandwidths."""
    reports = [read(one.log) for one in told]
    devices = _devices(probe, told, reports)
    verdicts: dict[str, Outcome | NotProven] = {probe.name: devices}
    for measure in probe.measures:
        verdicts[measure.check] = (
            _bandwidth(measure, told, reports) if devices.ok else NotProven(f"{probe.name} failed, which comes first")
        )
    return verdicts


def _devices(probe: Probe, told: Sequence[Told], reports: Sequence[Report]) -> Outcome:
    """Every pod saw exactly the planned devices, and each of these computed."""
    right: list[str] = []
    wrong: list[str] = []
    for one, report in zip(told, reports, strict=True):
        found = report.found
        if found is None:
            wrong.append(f"{one.where} told nothing of its devices{_why(one, report)}")
        elif found.failed:
            wrong.append(f"{one.where}: {'; '.join(found.failed)}{_why(one, report)}")
        elif found.devices != probe.devices:
            wrong.append(f"{one.where} sees {_named(found)}, and the plan has {probe.devices}")
        else:
            right.append(f"{one.where}: {_named(found)} computed")
    if len(told) < probe.nodes:
        wrong.append(f"{len(told)} of {probe.nodes} pods were made")
    if wrong:
        return Outcome(False, "; ".join(wrong))
    turns = sum(probe.pool.shape.devices.values()) if probe.sharing == "turns" else 0
    note = f"; pods take turns at it, {turns} of them a node" if turns else ""
    return Outcome(True, "; ".join(right) + note)


def _bandwidth(measure: Measure, told: Sequence[Told], reports: Sequence[Report]) -> Outcome | NotProven:
    """Of one node: each pod's own, of which the lowest counts; between nodes, the first pod's."""
    asked = list(zip(told, reports, strict=True))[: None if measure.scope == "node" else 1]
    lowest: Measured | None = None
    for one, report in asked:
        found = report.measured.get(measure.scope)
        if found is None:
            return Outcome(False, f"{one.where} told no bandwidth{_why(one, report)}")
        if found.devices != measure.devices:
            return Outcome(False, f"{one.where} measured over {found.devices} of {measure.devices} devices")
        if lowest is None or found.busbw < lowest.busbw:
            lowest = found
    if lowest is None:
        return Outcome(False, "no pod was made")
    said = f"bus bandwidth of an all-reduce over {measure.devices} devices: {lowest.busbw:g} GB/s"
    if measure.expected is None:
        return NotProven(f"{said}; {measure.source}")
    least = TOLERANCE * measure.expected
    ok = lowest.busbw >= least
    expected = f"{measure.expected:g} GB/s are expected ({measure.source}), and {least:g} would do"
    return Outcome(ok, f"{said}; {expected}")


def _why(one: Told, report: Report) -> str:
    trouble = f": {one.trouble}" if one.trouble else ""
    return f"{trouble}; its log ends: {report.end}" if report.end else f"{trouble}; its log is empty"


def _named(found: Found) -> str:
    names = ", ".join(f"{count} {name}" for name, count in sorted(found.names.items()))
    return names if sum(found.names.values()) == found.devices and names else f"{found.devices} devices"


def _json(text: str) -> Mapping[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _found(said: Any) -> Found | None:
    if not isinstance(said, dict) or not _whole(said.get("devices")):
        return None
    names, failed = said.get("names"), said.get("failed")
    if not isinstance(names, dict) or not isinstance(failed, list):
        return None
    if not all(map(_whole, names.values())):
        return None
    return Found(said["devices"], {_plain(name): names[name] for name in names}, tuple(_plain(str(f)) for f in failed))


def _measured(said: Any) -> Measured | None:
    if not isinstance(said, dict) or not isinstance(said.get("scope"), str) or not _whole(said.get("devices")):
        return None
    speed = said.get("busbw")
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 < speed < 1e6 or not math.isfinite(speed):
        return None
    return Measured(said["scope"], said["devices"], float(speed))


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1e6


def _end(log: str) -> str:
    """The last lines on one line, without what would move a terminal's cursor."""
    lines = [plain for line in log.splitlines() if (plain := _plain(line).strip())]
    return " | ".join(lines[-_LINES:])[-_CHARACTERS:]


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
