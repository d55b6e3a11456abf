"""`noop`: a second `up` changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from espalier.engine.errors import EngineError
from espalier.kube import Client, Reference
from espalier.types import Check

Fingerprint = tuple[str, str]
"""An object's resourceVersion, and what it says apart from its status and its bookkeeping."""

NAME = "noop"


def noop_check(
    up: Callable[[], Iterable[str]], client: Client, objects: Callable[[], Iterable[Reference]]
) -> Callable[[], Check]:
    """The check that `verify` takes as its `noop`.

    `up` runs again and tells what it changed, one text a change, nothing for what stays the same. `objects` names
    what the platform consists of (the inventory); their resourceVersions are compared before and after.
    """

    def run() -> Check:
        started = time.monotonic()
        before = fingerprints(client, objects())
        try:
            changes = sorted(up())
        except EngineError as error:
            return Check(NAME, False, f"a second up ends with: {error}", time.monotonic() - started)
        after = fingerprints(client, objects())
        touched = [f"{name} {_moved(before.get(name), after.get(name))}" for name in _differing(before, after)]
        seconds = time.monotonic() - started
        if changes or touched:
            return Check(NAME, False, "; ".join([*(f"up: {change}" for change in changes), *touched]), seconds)
        if not before:  # Pulumi's engine keeps its state elsewhere
            return Check(NAME, True, "up: no change; no inventory in the cluster names objects to compare", seconds)
        equal = sum(before[name][0] == after[name][0] for name in before)
        moved = len(before) - equal
        rest = f"; of {moved} the status moved by itself" if moved else ""
        return Check(NAME, True, f"up: no change; {equal} of {len(before)} resourceVersions equal{rest}", seconds)

    return run


def fingerprints(client: Client, objects: Iterable[Reference]) -> dict[str, Fingerprint]:
    """Each object that is there, by kind, namespace and name."""
    found: dict[str, Fingerprint] = {}
    for reference in sorted(set(objects)):
        live = client.find_object(reference)
        if live is not None:
            found[str(reference)] = (live["metadata"]["resourceVersion"], _said(live))
    return found


def _said(live: Mapping[str, Any]) -> str:
    """What people and programs wrote; controllers write the status when they please."""
    metadata = {k: v for k, v in live["metadata"].items() if k not in ("managedFields", "resourceVersion")}
    rest = {key: value for key, value in live.items() if key not in ("metadata", "status")}
    return json.dumps({**rest, "metadata": metadata}, sort_keys=True)


def _differing(before: Mapping[str, Fingerprint], after: Mapping[str, Fingerprint]) -> list[str]:
    everything = sorted({*before, *after})
    return [name for name in everything if before.get(name, ("", ""))[1] != after.get(name, ("", ""))[1]]


def _moved(before: Fingerprint | None, after: Fingerprint | None) -> str:
    old, new = (entry[0] if entry else "none" for entry in (before, after))
    return f"resourceVersion {old} -> {new}"
