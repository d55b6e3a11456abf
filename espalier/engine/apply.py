"""The second pass of `up`: each registration is applied, awaited, and answered with the live object."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from espalier.engine.adoption import Adoption
from espalier.engine.advice import what_to_do
from espalier.engine.changes import Change, Wave
from espalier.engine.cluster import Clusters
from espalier.engine.errors import Problem, RefusedError
from espalier.engine.executor import Later
from espalier.engine.model import PROVIDER_PREFIX, Resource
from espalier.engine.monitor import FAILED, Answer
from espalier.engine.options import seconds_for
from espalier.engine.record import provider_id
from espalier.engine.secrecy import hidden
from espalier.engine.send import Sent, apply, send
from espalier.engine.target import Target, live_outputs, object_id, target_of
from espalier.engine.values import has_unknown
from espalier.engine.waits import READY, State, Wait, wait_for
from espalier.engine.watcher import Watcher
from espalier.engine.webhooks import PATIENCE, silent_webhook
from espalier.kube import KubeError

_DEFINITION = "CustomResourceDefinition"
_DEFINITIONS = 8
"""How many definitions are on their way at once. One keeps an API server busy for a good part of a second; with all
threads' at once on two busy cores, the last of a whole platform's had no answer within a request's time."""


@dataclass
class Applier:
    """Applies what the program registers. Its results are read when the program has ended."""

    clusters: Clusters
    watcher: Watcher
    progress: Callable[[str], None]
    force: bool
    adoption: Adoption
    errors: list[Problem] = field(default_factory=list[Problem])
    skipped: list[Problem] = field(default_factory=list[Problem])
    changes: list[Change] = field(default_factory=list[Change])
    seen: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]])
    """`Reference.key` of all that the program has."""
    _failed: set[str] = field(default_factory=set[str])
    _depths: dict[str, int] = field(default_factory=dict[str, int])
    _spans: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_DEFINITIONS))

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
            return self._fail(resource, Problem(resource.urn, str(error), what_to_do(error)))

    def waves(self) -> tuple[Wave, ...]:
        """How long each depth of the graph took."""
        spans = sorted(self._spans.items())
        return tuple(Wave(f"wave {depth}", end - start) for depth, (start, end) in spans)

    def _apply(self, target: Target) -> Answer | Later:
        reference, resource = target.reference, target.resource
        if reference is None or has_unknown(dict(target.manifest)):
            do = "see what it depends on"
            return self._fail(resource, Problem(resource.urn, "holds a value that is still unknown", do))
        entry = target.unchanged()
        live = target.live()
        if entry is not None and live is not None:
            return self._finish(Sent(target, live, "same"), live)
        target.cluster.load([reference.kind])
        before = target.live()
        target = target.settle(before)
        try:
            self.adoption.admit(target)
            with self._turns if reference.kind.kind == _DEFINITION else contextlib.nullcontext():
                sent = send(target, before, force=self.force, watcher=self.watcher)
        except RefusedError as error:
            return self._fail(resource, *error.problems)
        except KubeError as error:
            if name := silent_webhook(error):
                return self._once_answered(target, before, name, hidden(target, str(error)))
            return self._fail(resource, Problem(resource.urn, hidden(target, str(error)), what_to_do(error)))
        self._note_applied(sent)
        return self._await(sent)

    def _once_answered(self, target: Target, before: dict[str, Any] | None, webhook: str, text: str) -> Later:
        """Applies an object as soon as the webhook that judges it answers, without a thread that waits for it."""
        answer, sent = Later(), list[Sent]()

        def ask() -> State:
            try:
                sent.append(send(target, before, force=self.force, watcher=self.watcher))
            except RefusedError as refused:
                return State("; ".join(problem.reason for problem in refused.problems), failed=True)
            except KubeError as error:
                return State(hidden(target, str(error)), failed=not silent_webhook(error))
            return READY

        def over(state: State, _: dict[str, Any] | None) -> None:
            if state.failed:
                answer.set_result(self._fail(target.resource, Problem(target.resource.urn, state.text)))
                return
            self._note_applied(sent[-1])
            result = self._await(sent[-1])
            if isinstance(result, Later):
                result.add_done_callback(lambda done: answer.set_result(done.result()))
            else:
                answer.set_result(result)

        self.watcher.until_answered(target.known, f"webhook {webhook} to answer", text, PATIENCE, ask, over)
        return answer

    def _await(self, sent: Sent) -> Answer | Later:
        resource = sent.target.resource
        try:
            wait = wait_for(sent.live)
        except ValueError as error:
            return self._fail(resource, Problem(resource.urn, str(error)))
        if wait is None:
            return self._finish(sent, sent.live)
        seconds = seconds_for(resource, "update" if sent.op == "update" else "create")
        answer = Later()
        on_ready = self._on_ready(sent, answer)
        self.watcher.until_ready(sent.live, sent.target.known, _limited(wait, seconds), on_ready)
        return answer.result() if answer.done() else answer

    def _on_ready(self, sent: Sent, answer: Later) -> Callable[[State, dict[str, Any] | None], None]:
        def on_ready(state: State, live: dict[str, Any] | None) -> None:
            if state.failed or live is None:
                target = sent.target
                problem = Problem(target.resource.urn, hidden(target, f"{target.known}: {state.text}"))
                answer.set_result(self._fail(target.resource, problem))
            else:
                answer.set_result(self._settle(sent, live))

        return on_ready

    def _settle(self, sent: Sent, live: dict[str, Any]) -> Answer:
        """Finishes an object that is ready.

        Admission and controllers may take fields over meanwhile (a new Node's taints, which the API server adds to
        and the node controller takes from): asked for once more, they are ours again, and drift in them is seen.
        """
        target = sent.target.settle(live)
        if target.digest(live) != target.digest(sent.live):
            try:
                live, _ = apply(target, target.plain, live, force=self.force)
            except RefusedError as error:
                return self._fail(target.resource, *error.problems)
            except KubeError as error:
                return self._fail(
                    target.resource, Problem(target.resource.urn, hidden(target, str(error)), what_to_do(error))
                )
        return self._finish(sent, live)

    def _note_applied(self, sent: Sent) -> None:
        """Keeps what was applied though it may never become ready."""
        cluster = sent.target.cluster
        cluster.remember(sent.live)
        entry = sent.target.applied_entry(sent.live, ready=False)
        with self._lock:
            self.seen.add(entry.reference.key)
            cluster.inventory.entries[entry.reference.key] = entry

    def _finish(self, sent: Sent, live: dict[str, Any]) -> Answer:
        target, reference = sent.target, sent.target.known
        live = {**live, "apiVersion": reference.kind.api_version, "kind": reference.kind.kind}
        entries = target.cluster.inventory.entries
        same = sent.op == "same"
        entry = target.same_entry(entries[reference.key]) if same else target.applied_entry(live, ready=True)
        with self._lock:
            self.seen.add(reference.key)
            entries[reference.key] = entry
            self.changes.append(Change(target.resource.urn, sent.op, sent.fields, sent.notes))
        target.cluster.remember(live)
        self._end(target.resource)
        if not same:
            said = f" ({'; '.join(sent.notes)})" if sent.notes else ""
            self.progress(f"{sent.op} {reference}{said}")
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


def _limited(wait: Wait, seconds: float | None) -> Wait:
    return wait if seconds is None else replace(wait, seconds=seconds)
