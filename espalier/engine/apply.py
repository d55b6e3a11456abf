"""The second pass of `up`: each registration is applied, awaited, and answered with the live object."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from espalier.engine.changes import Change, Op, Wave
from espalier.engine.cluster import Clusters
from espalier.engine.durations import seconds_of
from espalier.engine.errors import Problem, RefusedError
from espalier.engine.executor import Later
from espalier.engine.inventory import done
from espalier.engine.model import PROVIDER_PREFIX, Resource
from espalier.engine.monitor import FAILED, Answer
from espalier.engine.ownership import changed_fields, owned_digest
from espalier.engine.record import provider_id
from espalier.engine.send import send
from espalier.engine.target import Target, hidden, live_outputs, object_id, target_of
from espalier.engine.values import has_unknown
from espalier.engine.waits import State, Wait, endpoints_wait, wait_for
from espalier.engine.watcher import Watcher
from espalier.kube import Kind, KubeError, Reference


@dataclass
class Applier:
    """Applies what the program registers. Its results are read when the program has ended."""

    clusters: Clusters
    watcher: Watcher
    progress: Callable[[str], None]
    force: bool
    errors: list[Problem] = field(default_factory=list[Problem])
    skipped: list[Problem] = field(default_factory=list[Problem])
    changes: list[Change] = field(default_factory=list[Change])
    seen: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]])
    """`Reference.key` of all that the program has."""
    _failed: set[str] = field(default_factory=set[str])
    _depths: dict[str, int] = field(default_factory=dict[str, int])
    _spans: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def register(self, resource: Resource) -> Answer | Later:
        """Applies one resource; a `Later` where it has to become ready."""
        if resource.type.startswith(PROVIDER_PREFIX):
            self.clusters.declare(resource)
            return Answer(provider_id(resource), resource.inputs)
        broken = sorted(self._failed.intersection(resource.dependencies))
        if broken:
            return self._skip(resource, broken)
        self._start(resource)
        try:
            return self._apply(target_of(resource, self.clusters))
        except RefusedError as error:
            problems = error.problems or (Problem(resource.urn, error.message),)
            return self._fail(resource, *problems)
        except KubeError as error:
            return self._fail(resource, Problem(resource.urn, str(error)))

    def waves(self) -> tuple[Wave, ...]:
        """How long each depth of the graph took."""
        spans = sorted(self._spans.items())
        return tuple(Wave(f"wave {depth}", end - start) for depth, (start, end) in spans)

    def _apply(self, target: Target) -> Answer | Later:
        reference, resource = target.reference, target.resource
        if reference is None or has_unknown(dict(target.manifest)):
            do = "see what it depends on"
            return self._fail(resource, Problem(resource.urn, "holds a value that is still unknown", do))
        with self._lock:
            self.seen.add(reference.key)
        if target.cluster.unchanged(reference, target.desired) is not None:
            live = target.cluster.live(reference) or {}
            return self._finish(target, reference, "same", (), live)
        target.cluster.load([reference.kind])
        before = target.cluster.live(reference)
        try:
            live, replaced = send(target, reference, before, force=self.force, watcher=self.watcher)
        except RefusedError as error:
            return self._fail(resource, *error.problems)
        except KubeError as error:
            return self._fail(resource, Problem(resource.urn, hidden(target, str(error))))
        op, fields = _change(before, live, replaced)
        self._note_applied(target, live)
        return self._await(target, reference, op, fields, live)

    def _await(
        self, target: Target, reference: Reference, op: Op, fields: tuple[str, ...], live: dict[str, Any]
    ) -> Answer | Later:
        try:
            wait, endpoints = wait_for(live), endpoints_wait(live)
        except ValueError as error:
            return self._fail(target.resource, Problem(target.resource.urn, str(error)))
        seconds = _timeout(target.resource, op)
        if wait is not None and not _needs_consumer(target, live):
            answer = Later()
            on_ready = self._on_ready(target, reference, op, fields, answer, endpoints, owned_digest(live))
            self.watcher.until_ready(live, reference, _limited(wait, seconds), on_ready)
            return answer.result() if answer.done() else answer
        return self._finish(target, reference, op, fields, live)

    def _on_ready(
        self,
        target: Target,
        reference: Reference,
        op: Op,
        fields: tuple[str, ...],
        answer: Later,
        endpoints: Wait | None,
        applied: str,
    ) -> Callable[[State, dict[str, Any] | None], None]:
        def on_ready(state: State, live: dict[str, Any] | None) -> None:
            if state.failed or live is None:
                problem = Problem(target.resource.urn, hidden(target, f"{reference}: {state.text}"))
                answer.set_result(self._fail(target.resource, problem))
            elif endpoints is None:
                answer.set_result(self._settle(target, reference, op, fields, live, applied))
            else:
                following = self._on_ready(target, reference, op, fields, answer, None, applied)
                self.watcher.until_endpoints(reference, endpoints, lambda s, _: following(s, live))

        return on_ready

    def _settle(
        self,
        target: Target,
        reference: Reference,
        op: Op,
        fields: tuple[str, ...],
        live: dict[str, Any],
        applied: str,
    ) -> Answer:
        """Finishes an object that is ready; `applied` is the hash of our part right after it was sent.

        Admission and controllers may take fields over meanwhile (a new Node's taints, which the API server adds to
        and the node controller takes from): asked for once more, they are ours again, and drift in them is seen.
        """
        if owned_digest(live) != applied:
            try:
                live, _ = send(target, reference, live, force=self.force, watcher=self.watcher)
            except RefusedError as error:
                return self._fail(target.resource, *error.problems)
            except KubeError as error:
                return self._fail(target.resource, Problem(target.resource.urn, hidden(target, str(error))))
        return self._finish(target, reference, op, fields, live)

    def _note_applied(self, target: Target, live: dict[str, Any]) -> None:
        """Keeps what was applied though it may never become ready: without hashes, so it is tried again."""
        target.cluster.remember(live)
        entry = target.entry()
        with self._lock:
            target.cluster.inventory.entries[entry.reference.key] = done(
                entry, uid=live["metadata"]["uid"], desired="", live=""
            )

    def _finish(
        self, target: Target, reference: Reference, op: Op, fields: tuple[str, ...], live: dict[str, Any]
    ) -> Answer:
        live = {**live, "apiVersion": reference.kind.api_version, "kind": reference.kind.kind}
        entry = done(target.entry(), uid=live["metadata"]["uid"], desired=target.desired, live=owned_digest(live))
        with self._lock:
            target.cluster.inventory.entries[reference.key] = entry
            self.changes.append(Change(target.resource.urn, op, fields))
        target.cluster.remember(live)
        self._end(target.resource)
        if op != "same":
            self.progress(f"{op} {reference}")
        return Answer(object_id(reference), live_outputs(target, live))

    def _fail(self, resource: Resource, *problems: Problem) -> Answer:
        with self._lock:
            self._failed.add(resource.urn)
            self.errors.extend(problems)
        self._end(resource)
        for problem in problems:
            self.progress(f"failed {problem}")
        return FAILED

    def _skip(self, resource: Resource, broken: list[str]) -> Answer:
        with self._lock:
            self._failed.add(resource.urn)
            self.skipped.append(Problem(resource.urn, f"skipped, since it depends on {', '.join(broken)}"))
        return FAILED

    def _start(self, resource: Resource) -> None:
        now = time.monotonic()
        with self._lock:
            depth = 1 + max((self._depths.get(urn, 0) for urn in resource.dependencies), default=0)
            self._depths[resource.urn] = depth
            self._spans.setdefault(depth, (now, now))

    def _end(self, resource: Resource) -> None:
        with self._lock:
            depth = self._depths[resource.urn]
            self._spans[depth] = (self._spans[depth][0], time.monotonic())


def _change(before: dict[str, Any] | None, live: dict[str, Any], replaced: bool) -> tuple[Op, tuple[str, ...]]:
    if before is None:
        return "create", ()
    fields = changed_fields(before, live)
    if replaced:
        return "replace", fields
    return "update", fields or ("metadata.managedFields",)


def _timeout(resource: Resource, op: Op) -> float | None:
    timeouts = resource.options.get("customTimeouts") or {}
    text = timeouts.get("update" if op == "update" else "create")
    return seconds_of(text) if text else None


def _limited(wait: Wait, seconds: float | None) -> Wait:
    return wait if seconds is None else Wait(wait.check, seconds, wait.what)


def _needs_consumer(target: Target, live: dict[str, Any]) -> bool:
    """Tells whether a claim is bound only when a pod uses it, so that waiting for it would never end."""
    if live["kind"] != "PersistentVolumeClaim":
        return False
    name = live["spec"].get("storageClassName")
    if not name:
        return False
    storage_class = target.cluster.client.find_object(Reference(Kind("storage.k8s.io/v1", "StorageClass"), "", name))
    return bool(storage_class) and (storage_class or {}).get("volumeBindingMode") == "WaitForFirstConsumer"
