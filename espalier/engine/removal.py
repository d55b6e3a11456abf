"""Deletes objects of the inventory, and what others made in them, in the order that `order` says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from espalier.engine import finalizers
from espalier.engine.changes import Change
from espalier.engine.cluster import Cluster
from espalier.engine.contents import (
    judges_deletions,
    leave_pods_to_namespaces,
    leave_to_namespaces,
    takes_pods_first,
)
from espalier.engine.drain import Survey, left_of
from espalier.engine.errors import Problem
from espalier.engine.inventory import Entry
from espalier.engine.namespace import NAMESPACE_KIND
from espalier.engine.order import Drain, Node, Order, order_of
from espalier.engine.ownership import may_be_ours
from espalier.engine.schedule import Done, Schedule
from espalier.engine.waitfor import PROPAGATION, annotations_of, is_skipped
from espalier.engine.waitfor import seconds_of as seconds_asked
from espalier.engine.waits import State
from espalier.engine.watcher import Watcher
from espalier.kube import ApiError, Kind, KubeError, Manifest, Reference, UnknownKindError, reference_of

SECONDS = 600.0
"""How long a deletion is awaited where nothing else is said, as in Pulumi."""
_ROUNDS = 20
"""How many times a kind is looked at anew for what was made meanwhile."""
_WEBHOOK_PATIENCE = 10.0
_PAUSE = 0.5
_POD = Kind("v1", "Pod")
# Pulumi deletes all in the foreground; only these have dependents that it makes a difference for.
_OWNERS = frozenset({"CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"})
_SKIPPABLE = frozenset({"DaemonSet", "Deployment", "Job", "Namespace", "Pod", "ReplicationController", "StatefulSet"})
"""What Pulumi does not await when `pulumi.com/skipAwait` is set."""


@dataclass(frozen=True)
class Consent:
    """What people allowed beyond deleting what the stack applied."""

    delete_data: bool = False
    """Volume claims that others made go with our namespaces."""
    remove_finalizers: bool = False
    """Finalizers that nobody takes off are taken off."""


class Remover:
    """Deletes entries and awaits that they are gone. Its results are read when `remove` has returned."""

    def __init__(
        self,
        cluster: Cluster,
        watcher: Watcher,
        progress: Callable[[str], None],
        consent: Consent = Consent(),
    ) -> None:
        self._cluster = cluster
        self._watcher = watcher
        self._progress = progress
        self._consent = consent
        self._lock = threading.Lock()
        self._advice: dict[Reference, str] = {}
        self._along: dict[Node, list[Entry]] = {}
        """What goes with its Namespace, by the Namespace's node."""
        self._in_background: set[Node] = set()
        """Workloads whose pods go with their Namespace."""
        self.changes: list[Change] = []
        self.errors: list[Problem] = []
        self.skipped: list[Problem] = []

    def remove(self, entries: Iterable[Entry], found: Survey) -> None:
        """Deletes what can be deleted; what has to come after something that fails stays."""
        order = order_of(entries, found.drains, found.custom)
        client = self._cluster.client
        self._along = leave_to_namespaces(order, self._cluster.live, lambda: judges_deletions(client))
        self._in_background = leave_pods_to_namespaces(order, self._cluster.live, lambda: takes_pods_first(client))
        left = Schedule(order.before).run(lambda node, done: self._begin(order, node, done))
        failed = ", ".join(sorted(problem.reason.partition(":")[0] for problem in self.errors))
        for node in left:
            entry = order.entries.get(node)
            for each in (entry, *self._along.pop(node, ())) if entry is not None else ():
                self.skipped.append(Problem(each.urn, f"{each.reference} is left until {failed} is gone"))
        for entry in (entry for along in self._along.values() for entry in along):
            self.skipped.append(Problem(entry.urn, f"{entry.reference} is left until its namespace is gone"))

    def _begin(self, order: Order, node: Node, done: Done) -> None:
        if node in order.drains:
            self._drain(order.drains[node], done, _ROUNDS)
            return
        entry = order.entries.get(node)
        if entry is None:
            done(True)
            return

        def over(gone: bool) -> None:
            for rider in order.riders.get(node, ()) if gone else ():
                self._forget(rider)
            for along in self._along.pop(node, ()) if gone else ():
                self._settle(along, "")
            done(gone)

        live = self._cluster.live(entry.reference)
        if entry.retain or live is None or not self._is_ours(entry, live):
            self._forget(entry)
            over(True)
            return
        how = "Background" if node in self._in_background else _propagation(live)
        self._delete(live, entry.delete_seconds, how, lambda problem: over(self._settle(entry, problem)))

    def _settle(self, entry: Entry, problem: str) -> bool:
        if problem:
            self._fail(Problem(entry.urn, f"{entry.reference}: {problem}"))
            return False
        with self._lock:
            self.changes.append(Change(entry.urn, "delete"))
        self._forget(entry)
        self._progress(f"delete {entry.reference}")
        return True

    def _drain(self, drain: Drain, done: Done, rounds: int) -> None:
        """Deletes all, awaits them, and looks again, since a controller may have made more."""
        try:
            objects = list(left_of(drain, self._cluster))
        except KubeError as error:
            self._fail(Problem(str(drain.kind), f"{drain.kind}: cannot be looked at: {error}"))
            done(False)
            return
        if not objects:
            done(True)
            return
        if not rounds:
            names = ", ".join(str(reference_of(obj)) for obj in objects)
            self._fail(Problem(str(drain.kind), f"{names}: made anew as often as deleted: stop what makes them"))
            done(False)
            return
        together = _Together(len(objects), lambda fine: self._drain(drain, done, rounds - 1) if fine else done(False))
        for obj in objects:
            self._delete(obj, 0.0, _propagation(obj), self._drained(reference_of(obj), together))

    def _drained(self, reference: Reference, together: _Together) -> Callable[[str], None]:
        def over(problem: str) -> None:
            if problem:
                self._fail(Problem(str(reference.kind), f"{reference}: {problem}"))
            else:
                self._progress(f"delete {reference}, which others made")
            together.over(not problem)

        return over

    def _delete(self, live: Manifest, seconds: float, propagation: str, over: Callable[[str], None]) -> None:
        """Deletes this very object; calls `over` with what went wrong, or with nothing when it is gone."""
        reference, uid = reference_of(live), live["metadata"]["uid"]
        try:
            if "deletionTimestamp" not in live["metadata"] and self._send(reference, uid, propagation):
                over("")
                return
        except UnknownKindError:
            over("")
            return
        except ApiError as error:
            over("" if error.status == 404 or self._is_another(reference, uid) else str(error))
            return
        except KubeError as error:
            over(str(error))
            return
        if is_skipped(live) and reference.kind.kind in _SKIPPABLE:
            over("")
            return
        self._watcher.until_gone(
            reference,
            uid,
            seconds or _seconds_of(live),
            lambda state, _: over(self._why(reference, state)),
            lambda obj: self._stuck(reference, obj),
        )

    def _send(self, reference: Reference, uid: str, propagation: str) -> bool:
        """Tells whether the object is gone at once. A webhook that was just deleted is asked for a moment more."""
        until = time.monotonic() + _WEBHOOK_PATIENCE
        while True:
            try:
                answer = self._cluster.client.delete(
                    reference.kind, reference.name, reference.namespace, uid=uid, propagation=propagation
                )
            except ApiError as error:
                if "failed calling webhook" not in error.message or time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)
            else:
                # A Status instead of the object says that it is gone already.
                return answer["kind"] == "Status"

    def _is_another(self, reference: Reference, uid: str) -> bool:
        try:
            now = self._cluster.client.find_object(reference)
        except KubeError:
            return False
        return now is None or now["metadata"]["uid"] != uid

    def _why(self, reference: Reference, state: State) -> str:
        if not state.failed:
            return ""
        advice = self._advice.get(reference)
        return f"{state.text}; {advice}" if advice else state.text

    def _stuck(self, reference: Reference, obj: Manifest) -> None:
        """Says who holds a deletion up, and takes finalizers off where that was asked for."""
        held = [each for each in (obj, *self._pods_in(reference)) if finalizers.foreign(each)]
        if not held:
            return
        first = reference_of(held[0])
        try:
            text = finalizers.advice(self._cluster.client, first, held[0])
            self._advice[reference] = text = f"{text}; so are {len(held) - 1} more" if held[1:] else text
            if self._consent.remove_finalizers:
                for each in held:
                    finalizers.strip(self._cluster.client, reference_of(each), each)
                text = f"took off {first}: {', '.join(finalizers.foreign(held[0]))}"
        except KubeError as error:
            text = f"{first}: its finalizers stay: {error}"
        self._progress(text)

    def _pods_in(self, reference: Reference) -> list[dict[str, Any]]:
        """The pods of a Namespace, which does not say itself that it waits for them."""
        try:
            return self._cluster.client.list(_POD, reference.name) if reference.kind == NAMESPACE_KIND else []
        except KubeError:
            return []

    def _is_ours(self, entry: Entry, live: dict[str, Any]) -> bool:
        """An object that was made anew by someone else, or that we never applied, is not ours to delete."""
        if entry.uid:
            return live["metadata"]["uid"] == entry.uid
        # It was about to be applied when a run died, so only the object itself tells whether it was.
        if not may_be_ours(live):
            self._progress(f"left alone {entry.reference}: nothing of it was applied by this stack")
            return False
        return True

    def _forget(self, entry: Entry) -> None:
        with self._lock:
            self._cluster.inventory.entries.pop(entry.reference.key, None)
        self._cluster.forget(entry.reference)

    def _fail(self, problem: Problem) -> None:
        with self._lock:
            self.errors.append(problem)
        self._progress(f"failed {problem}")


class _Together:
    """Calls `end` when as many are over as were begun."""

    def __init__(self, count: int, end: Callable[[bool], None]) -> None:
        self._lock = threading.Lock()
        self._open = count
        self._fine = True
        self._end = end

    def over(self, fine: bool) -> None:
        with self._lock:
            self._open -= 1
            self._fine = self._fine and fine
            ended = self._open == 0
        if ended:
            self._end(self._fine)


def protected(entries: Iterable[Entry]) -> list[Problem]:
    """What must not be deleted."""
    do = "take `protect` off and run `up`, then delete it"
    return [Problem(entry.urn, f"{entry.reference} is protected", do) for entry in entries if entry.protect]


def _propagation(live: Manifest) -> str:
    said = annotations_of(live).get(PROPAGATION, "").lower()
    if said in ("background", "foreground", "orphan"):
        return said.capitalize()
    return "Foreground" if live["kind"] in _OWNERS else "Background"


def _seconds_of(live: Manifest) -> float:
    try:
        return seconds_asked(live) or SECONDS
    except ValueError:
        # Someone else changed the annotation since; that is no reason not to delete.
        return SECONDS
