"""The first pass of `up` and `preview`: runs the program and compares it with what was applied.

An object that neither the program nor anyone else changed is answered with its live state, so a run with
nothing to do needs no second pass; any other is answered as in a plan.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from espalier.engine.advice import what_to_do
from espalier.engine.changes import Change
from espalier.engine.cluster import Clusters
from espalier.engine.errors import EngineError, Problem, RefusedError
from espalier.engine.inventory import Entry
from espalier.engine.manifest import plan_id, plan_outputs
from espalier.engine.model import PROVIDER_PREFIX, Recording, Resource
from espalier.engine.monitor import FAILED, Answer, Engine, Monitor
from espalier.engine.program import Program, run
from espalier.engine.record import provider_id
from espalier.engine.target import Target, live_outputs, object_id, refusals, target_of
from espalier.engine.values import has_unknown
from espalier.kube import KubeError


@dataclass
class Comparison:
    """What the first pass found."""

    clusters: Clusters
    same: dict[str, Entry] = field(default_factory=dict[str, Entry])
    """URN -> entry of each object that needs nothing."""
    targets: dict[str, Target] = field(default_factory=dict[str, Target])
    """URN -> each object of the program."""
    recording: Recording | None = None
    _problems: list[Problem] = field(default_factory=list[Problem])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def register(self, resource: Resource) -> Answer:
        """Answers a registration of the first pass."""
        if resource.type.startswith(PROVIDER_PREFIX):
            self.clusters.declare(resource)
            return Answer(provider_id(resource), resource.inputs)
        try:
            return self._compare(resource)
        except RefusedError as error:
            with self._lock:
                self._problems.extend(error.problems or [Problem(resource.urn, error.message)])
        except KubeError as error:
            # The way to the cluster is the same for all: said once, not once a resource.
            with self._lock:
                self._problems.append(Problem("the cluster", str(error), what_to_do(error)))
        return FAILED

    def _compare(self, resource: Resource) -> Answer:
        target = target_of(resource, self.clusters)
        with self._lock:
            self.targets[resource.urn] = target
        entry = target.unchanged()
        if entry is None:
            outputs = plan_outputs(target.manifest, target.kind, resource)
            return Answer(plan_id(target.manifest, target.kind), outputs)
        with self._lock:
            self.same[resource.urn] = entry
        return Answer(object_id(entry.reference), live_outputs(target, target.live() or {}))

    def check(self) -> None:
        """Raises RefusedError for all that cannot be done."""
        resources = self.recording.resources if self.recording else ()
        components = [problem for item in resources if not item.custom for problem in refusals(item)]
        problems = sorted({*self._problems, *components, *self._twins()})
        if problems:
            raise RefusedError("nothing was changed: the program cannot be applied", problems)

    def _twins(self) -> list[Problem]:
        first: dict[tuple[str, ...], str] = {}
        problems: list[Problem] = []
        for urn in sorted(self.targets):
            reference = self.targets[urn].reference
            other = first.setdefault(reference.key, urn) if reference else urn
            if other != urn:
                problems.append(Problem(urn, f"is the same object as {other}: {reference}", "rename one of them"))
        return problems

    def changed(self) -> list[Target]:
        """The objects of the program that are not as they were left, by URN."""
        return [self.targets[urn] for urn in sorted(self.targets.keys() - self.same.keys())]

    def settled(self) -> bool:
        """Tells whether the first pass saw all: nothing to apply, nothing unknown."""
        recording = self.recording
        if recording is None or len(self.same) != len(self.targets):
            return False
        return not has_unknown(dict(recording.outputs))

    def relabelled(self) -> list[Entry]:
        """Entries of objects that need nothing but whose marks changed: protection, order, URN."""
        targets = ((self.targets[urn], entry) for urn, entry in self.same.items())
        return [target.same_entry(entry) for target, entry in targets if not target.is_marked(entry)]

    def gone(self) -> list[Entry]:
        """The inventory's objects that the program no longer has, by URN."""
        cluster = self.clusters.default_cluster()
        if cluster is None:
            return []
        kept = {target.reference.key for target in self.targets.values() if target.reference}
        entries = cluster.inventory.entries
        return sorted((entries[key] for key in entries.keys() - kept), key=lambda entry: entry.urn)

    def moved(self) -> dict[str, Entry]:
        """The objects among those gone that the program now calls differently, by the URN that has them."""
        gone = {entry.reference.key for entry in self.gone()}
        moved: dict[str, Entry] = {}
        for urn, target in self.targets.items() if gone else ():
            if target.reference is None or target.live() is not None:
                continue
            old = target.cluster.entries_of((urn, *target.resource.former), target.kind)
            found = next((entry for entry in old if entry.reference.key in gone), None)
            if found is not None:
                moved[urn] = found
        return moved

    def same_changes(self) -> list[Change]:
        """What needs nothing, as changes."""
        return [Change(urn, "same") for urn in self.same]


def compare(program: Program, clusters: Clusters) -> Comparison:
    """Runs the program once; nothing is written. Raises EngineError when it cannot be applied."""
    comparison = Comparison(clusters)
    engine = Engine()
    monitor = Monitor(program.project, program.stack, comparison)
    try:
        run(program, monitor, engine, dry_run=True)
    except EngineError:
        # Refusals come first: what the program raised may be their doing.
        comparison.check()
        raise
    comparison.recording = monitor.recording(engine.logs())
    comparison.check()
    cluster = clusters.default_cluster()
    if cluster is not None:
        cluster.replaced.moved = comparison.moved()
    return comparison
