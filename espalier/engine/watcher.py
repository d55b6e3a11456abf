"""Awaits objects: one watch a kind feeds all who wait, and a wait holds no thread.

A thread for each kind lists once and then follows the changes. One more thread looks at the deadlines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from espalier.engine.waits import ENDPOINT_SLICE, READY, State, Wait
from espalier.kube import ApiError, Client, Event, Kind, Reference, UnreachableError, Watch

_TICK = 0.25
_PATIENCE = 5.0
"""Seconds after which a wait is told to people."""
_RETRY_PAUSE = 0.5
_SERVICE_LABEL = "kubernetes.io/service-name"

_UNSEEN = State("not seen yet")

Done = Callable[[State, dict[str, Any] | None], None]
"""Called once with how the wait ended, and the object as it was seen last."""


@dataclass
class _Waiter:
    reference: Reference
    """The object that people know, which for endpoints is the Service."""
    wait: Wait | None
    """None waits until the object is gone."""
    uid: str
    version: int
    """States older than this do not count."""
    done: Done
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    state: State = _UNSEEN
    last: dict[str, Any] | None = None
    told: bool = False

    def judge(self, obj: dict[str, Any] | None) -> State:
        if self.wait is None:
            gone = obj is None or obj["metadata"]["uid"] != self.uid
            return READY if gone else State(_deletion_state(obj))
        if obj is None:
            # Endpoints come and go; an object that was applied and is gone will not come back.
            lost = self.last is not None and self.uid == _uid(self.last)
            return State("it was deleted meanwhile", failed=True) if lost else self.state
        if int(obj["metadata"]["resourceVersion"]) < self.version:
            return self.state
        self.last = obj
        return self.wait.check(obj)


def _uid(obj: dict[str, Any]) -> str:
    return obj["metadata"]["uid"]


def _deletion_state(obj: dict[str, Any] | None) -> str:
    metadata = (obj or {}).get("metadata", {})
    finalizers = metadata.get("finalizers")
    if finalizers:
        return f"finalizers {', '.join(finalizers)} hold it"
    conditions = ((obj or {}).get("status") or {}).get("conditions") or ()
    held = [c.get("message", "") for c in conditions if c.get("status") == "True" and c.get("message")]
    return "; ".join(held) or "it is being deleted"


class Watcher:
    """Awaits objects of one cluster. `close` ends all watches."""

    def __init__(self, client: Client, progress: Callable[[str], None]) -> None:
        self._client = client
        self._progress = progress
        self._lock = threading.Lock()
        self._followers: dict[Kind, _Follower] = {}
        self._closed = threading.Event()
        self._clock: threading.Thread | None = None

    def until_ready(self, obj: dict[str, Any], reference: Reference, wait: Wait, done: Done) -> None:
        """Calls `done` when `wait` is over for an object that was just applied."""
        state = wait.check(obj)
        if state.ready or state.failed:
            done(state, obj)
            return
        waiter = _Waiter(
            reference,
            wait,
            obj["metadata"]["uid"],
            int(obj["metadata"]["resourceVersion"]),
            done,
            seconds=wait.seconds,
            state=state,
        )
        self._follow(reference.kind, (reference.namespace, reference.name), waiter)

    def until_endpoints(self, service: Reference, wait: Wait, done: Done) -> None:
        """Calls `done` when an EndpointSlice of the Service is ready."""
        waiter = _Waiter(service, wait, "", 0, done, seconds=wait.seconds, state=State("no endpoints yet"))
        self._follow(ENDPOINT_SLICE, (service.namespace, service.name), waiter)

    def until_gone(self, reference: Reference, uid: str, seconds: float, done: Done) -> None:
        """Calls `done` when the object with this UID is no more."""
        waiter = _Waiter(reference, None, uid, 0, done, seconds=seconds, state=State("it is being deleted"))
        self._follow(reference.kind, (reference.namespace, reference.name), waiter)

    def close(self) -> None:
        """Ends all watches; waits that are not over are never called."""
        self._closed.set()
        for follower in list(self._followers.values()):
            follower.close()

    def _follow(self, kind: Kind, key: tuple[str, str], waiter: _Waiter) -> None:
        with self._lock:
            follower = self._followers.get(kind)
            if follower is None:
                follower = self._followers[kind] = _Follower(self._client, kind, self._closed)
            if self._clock is None:
                self._clock = threading.Thread(target=self._tick, name="deadlines", daemon=True)
                self._clock.start()
        follower.add(key, waiter)

    def _tick(self) -> None:
        while not self._closed.wait(_TICK):
            now = time.monotonic()
            for follower in list(self._followers.values()):
                for key, waiter in follower.waiting():
                    passed = now - waiter.started
                    if passed >= waiter.seconds and follower.drop(key, waiter):
                        waiter.done(self._timeout(waiter), waiter.last)
                    elif passed >= _PATIENCE and not waiter.told:
                        waiter.told = True
                        self._progress(f"{waiter.reference}: waiting for {_what(waiter)}: {waiter.state.text}")

    def _timeout(self, waiter: _Waiter) -> State:
        text = f"not ready after {waiter.seconds:g} s of waiting for {_what(waiter)}: {waiter.state.text}"
        event = latest_event(self._client, waiter.reference)
        return State(f"{text}; latest event: {event}" if event else text, failed=True)


def _what(waiter: _Waiter) -> str:
    return waiter.wait.what if waiter.wait is not None else "its deletion"


class _Follower:
    """The one watch of a kind."""

    def __init__(self, client: Client, kind: Kind, closed: threading.Event) -> None:
        self._client = client
        self._kind = kind
        self._closed = closed
        self._lock = threading.Lock()
        self._waiters: dict[tuple[str, str], list[_Waiter]] = {}
        self._objects: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self._listed = False
        self._watch: Watch | None = None
        threading.Thread(target=self._run, name=f"watch-{kind.kind}", daemon=True).start()

    def add(self, key: tuple[str, str], waiter: _Waiter) -> None:
        """Adds a waiter; what the watch saw before counts."""
        with self._lock:
            self._waiters.setdefault(key, []).append(waiter)
            listed, seen = self._listed, list(self._objects.get(key, {}).values())
        if listed and not seen and waiter.wait is None:
            self._judge(key, None)
        for obj in seen:
            self._judge(key, obj)

    def waiting(self) -> list[tuple[tuple[str, str], _Waiter]]:
        """All who wait."""
        with self._lock:
            return [(key, waiter) for key, waiters in self._waiters.items() for waiter in waiters]

    def drop(self, key: tuple[str, str], waiter: _Waiter) -> bool:
        """Takes a waiter out; False when another thread did so already."""
        with self._lock:
            waiters = self._waiters.get(key, [])
            if waiter not in waiters:
                return False
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[key]
            return True

    def close(self) -> None:
        """Ends the watch."""
        if self._watch is not None:
            self._watch.close()

    def _run(self) -> None:
        version = ""
        while not self._closed.is_set():
            try:
                if not version:
                    items, version = self._client.list_at(self._kind)
                    self._see_all(items)
                self._watch = self._client.watch(self._kind, version)
                for event in self._watch:
                    version = event.object["metadata"]["resourceVersion"]
                    self._see(event)
                    if self._closed.is_set():
                        return
            except ApiError as error:
                version = ""
                if error.status not in (404, 410, 429, 500, 503):
                    self._fail(f"{self._kind} cannot be watched: {error}")
                    return
                self._closed.wait(_RETRY_PAUSE)
            except UnreachableError:
                version = ""
                self._closed.wait(_RETRY_PAUSE)

    def _key(self, obj: dict[str, Any]) -> tuple[str, str]:
        metadata = obj["metadata"]
        namespace = metadata.get("namespace") or ""
        if self._kind == ENDPOINT_SLICE:
            return (namespace, (metadata.get("labels") or {}).get(_SERVICE_LABEL, ""))
        return (namespace, metadata["name"])

    def _see_all(self, items: list[dict[str, Any]]) -> None:
        with self._lock:
            self._objects = {}
            for item in items:
                self._objects.setdefault(self._key(item), {})[item["metadata"]["name"]] = item
            self._listed = True
            keys = {key: list(self._objects.get(key, {}).values()) for key in self._waiters}
        for key, seen in keys.items():
            for obj in seen or [None]:
                self._judge(key, obj)

    def _see(self, event: Event) -> None:
        if event.type == "BOOKMARK":
            return
        key, name = self._key(event.object), event.object["metadata"]["name"]
        with self._lock:
            if event.type == "DELETED":
                self._objects.get(key, {}).pop(name, None)
            else:
                self._objects.setdefault(key, {})[name] = event.object
        self._judge(key, None if event.type == "DELETED" else event.object)

    def _judge(self, key: tuple[str, str], obj: dict[str, Any] | None) -> None:
        with self._lock:
            waiters = list(self._waiters.get(key, ()))
        for waiter in waiters:
            waiter.state = waiter.judge(obj)
            if (waiter.state.ready or waiter.state.failed) and self.drop(key, waiter):
                waiter.done(waiter.state, waiter.last)

    def _fail(self, text: str) -> None:
        for key, waiter in self.waiting():
            if self.drop(key, waiter):
                waiter.done(State(text, failed=True), waiter.last)


def latest_event(client: Client, reference: Reference) -> str:
    """The text of the newest event about an object; empty where there is none or none may be read."""
    fields = {
        "involvedObject.kind": reference.kind.kind,
        "involvedObject.name": reference.name,
    }
    selector = ",".join(f"{key}={value}" for key, value in fields.items())
    try:
        events = client.list(Kind("v1", "Event"), reference.namespace or "default", fieldSelector=selector)
    except (ApiError, UnreachableError):
        return ""
    if not events:
        return ""
    newest = max(events, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    return f"{newest.get('reason', '')}: {newest.get('message', '')}"
