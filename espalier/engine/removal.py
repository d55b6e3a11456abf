"""Deletes objects of the inventory, in reverse order of their dependencies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from graphlib import TopologicalSorter
from typing import Any

from espalier.engine.changes import Change
from espalier.engine.cluster import Cluster
from espalier.engine.errors import Problem
from espalier.engine.inventory import Entry, short_id
from espalier.engine.ownership import owned_fields
from espalier.engine.waits import READY, State
from espalier.engine.watcher import Watcher
from espalier.kube import ApiError, KubeError, UnknownKindError

# A webhook or an aggregated API whose server is gone blocks deletions, even of its own namespace.
_BLOCKERS = frozenset({"APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})
_SECONDS = 600.0
_THREADS = 8


class Remover:
    """Deletes entries wave by wave and awaits that they are gone."""

    def __init__(self, cluster: Cluster, watcher: Watcher, progress: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._watcher = watcher
        self._progress = progress
        self._lock = threading.Lock()
        self.changes: list[Change] = []
        self.errors: list[Problem] = []

    def remove(self, entries: Iterable[Entry]) -> None:
        """Deletes what can be deleted; stops after the first wave in which something fails."""
        wanted = list(entries)
        self._cluster.load({entry.reference.kind for entry in wanted})
        for wave in reverse_waves(wanted):
            self._remove_wave(wave)
            if self.errors:
                return

    def _remove_wave(self, wave: list[Entry]) -> None:
        open_ends = _Countdown()
        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(lambda entry: self._remove_one(entry, open_ends), wave):
                pass
        open_ends.wait()

    def _remove_one(self, entry: Entry, open_ends: _Countdown) -> None:
        reference = entry.reference
        live = self._cluster.live(reference)
        if entry.retain or live is None or not self._is_ours(entry, live):
            self._forget(entry)
            return
        try:
            uid = live["metadata"]["uid"]
            answer = self._cluster.client.delete(reference.kind, reference.name, reference.namespace, uid=uid)
        except UnknownKindError:
            self._forget(entry)
        except ApiError as error:
            if error.status == 404 or error.reason == "Conflict":
                self._forget(entry)
            else:
                self._fail(entry, str(error))
        except KubeError as error:
            self._fail(entry, str(error))
        else:
            open_ends.add()
            on_gone = self._on_gone(entry, open_ends)
            # A Status instead of the object says that it is gone already.
            if answer["kind"] == "Status":
                on_gone(READY, None)
            else:
                self._watcher.until_gone(reference, uid, _SECONDS, on_gone)

    def _is_ours(self, entry: Entry, live: dict[str, Any]) -> bool:
        """An object that was made anew by someone else, or that we never applied, is not ours to delete."""
        if entry.uid:
            return live["metadata"]["uid"] == entry.uid
        # It was about to be applied when a run died, so only the object itself tells whether it was.
        if owned_fields(live) is None:
            self._progress(f"left alone {entry.reference}: nothing of it was applied by this stack")
            return False
        return True

    def _on_gone(self, entry: Entry, open_ends: _Countdown) -> Callable[[State, dict[str, Any] | None], None]:
        def on_gone(state: State, _: dict[str, Any] | None) -> None:
            if state.failed:
                self._fail(entry, state.text)
            else:
                with self._lock:
                    self.changes.append(Change(entry.urn, "delete"))
                self._forget(entry)
                self._progress(f"delete {entry.reference}")
            open_ends.done()

        return on_gone

    def _forget(self, entry: Entry) -> None:
        with self._lock:
            self._cluster.inventory.entries.pop(entry.reference.key, None)
        self._cluster.forget(entry.reference)

    def _fail(self, entry: Entry, text: str) -> None:
        problem = Problem(entry.urn, f"{entry.reference}: {text}")
        with self._lock:
            self.errors.append(problem)
        self._progress(f"failed {problem}")


class _Countdown:
    """Waits until as many are done as were added."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._open = 0

    def add(self) -> None:
        with self._condition:
            self._open += 1

    def done(self) -> None:
        with self._condition:
            self._open -= 1
            self._condition.notify_all()

    def wait(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._open == 0)


def protected(entries: Iterable[Entry]) -> list[Problem]:
    """What must not be deleted."""
    do = "take `protect` off and run `up`, then delete it"
    return [Problem(entry.urn, f"{entry.reference} is protected", do) for entry in entries if entry.protect]


def reverse_waves(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Sorts into waves: what blocks deletions first, then dependents before what they depend on.

    An object also goes before its namespace, and a custom resource before its definition, whatever the
    program said.
    """
    rest: list[Entry] = []
    first: list[Entry] = []
    for entry in sorted(entries, key=lambda entry: entry.urn):
        (first if entry.reference.kind.kind in _BLOCKERS else rest).append(entry)
    by_id = {short_id(entry.urn): entry for entry in rest}
    namespaces = {e.reference.name: short_id(e.urn) for e in rest if e.reference.kind.kind == "Namespace"}
    definitions = {
        e.reference.name.partition(".")[2]: short_id(e.urn)
        for e in rest
        if e.reference.kind.kind == "CustomResourceDefinition"
    }

    def needs(entry: Entry) -> list[str]:
        found = [identity for identity in entry.depends if identity in by_id]
        found += [ns for ns in [namespaces.get(entry.reference.namespace)] if ns]
        return found + [crd for crd in [definitions.get(entry.reference.kind.group)] if crd]

    heights = _heights({identity: needs(entry) for identity, entry in by_id.items()})
    waves: list[list[Entry]] = [[] for _ in range(max(heights.values(), default=-1) + 1)]
    for identity, entry in by_id.items():
        waves[heights[identity]].append(entry)
    return [wave for wave in [first, *reversed(waves)] if wave]


def _heights(needs: dict[str, list[str]]) -> dict[str, int]:
    """How many steps each stands above what needs nothing."""
    heights: dict[str, int] = {}
    for identity in TopologicalSorter(needs).static_order():
        heights[identity] = 1 + max((heights[below] for below in needs[identity]), default=-1)
    return heights
