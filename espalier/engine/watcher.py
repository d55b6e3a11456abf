"""Awaits objects: one watch a kind feeds all who wait, and a wait holds no thread.

A thread for each kind follows its changes (`follower`). One more looks at deadlines and tells people. What comes
after a wait runs in a small pool, so that a slow follow-up holds up neither watches nor deadlines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from espalier.engine.display import Display, Waiting
from espalier.engine.events import latest_event
from espalier.engine.follower import Follower, Key
from espalier.engine.waiting import READY, State, Wait
from espalier.kube import Client, Kind, Manifest, Reference

_TICK = 0.25
_SHOW_EVERY = 1.0
_FOLLOW_UPS = 8
_ASK_EVERY = 1.0
_ASKS_AT_ONCE = 4
STUCK_AFTER = 30.0
"""Seconds after which a deletion that finalizers hold up is told."""

Done = Callable[[State, "dict[str, Any] | None"], None]
"""Called once with how the wait ended, and the object as it was seen last."""
Ask = Callable[[], State]
"""Tries once more; ready when that went well."""
Stuck = Callable[[dict[str, Any]], None]
"""Called once with an object whose deletion takes long."""


@dataclass(eq=False)
class _Waiter:
    reference: Reference
    wait: Wait | None
    """None waits until the object is gone."""
    uid: str
    version: str
    """States older than this do not count."""
    done: Done
    seconds: float
    state: State
    keys: tuple[tuple[Kind, Key], ...]
    """What concerns it: the object itself first, then what its condition needs."""
    stuck: Stuck | None = None
    ask: Ask | None = None
    """Where not None, this is asked instead of looking at an object."""
    purpose: str = "its deletion"
    started: float = field(default_factory=time.monotonic)
    since: float = field(default_factory=time.monotonic)
    """When its state changed last."""
    last: dict[str, Any] | None = None
    seen: bool = False
    """Whether the watch has shown this very object."""
    timing_out: bool = False
    asking_after: float = 0.0

    @property
    def what(self) -> str:
        return self.wait.what if self.wait is not None else self.purpose


class Watcher:
    """Awaits objects of one cluster. `progress` gets a line now and then, or all who wait (see `LiveView`)."""

    def __init__(self, client: Client, progress: Callable[[str], None]) -> None:
        self._client = client
        self._lock = threading.RLock()
        self._followers: dict[Kind, Follower] = {}
        self._waiters: dict[_Waiter, None] = {}
        self._concerned: dict[tuple[Kind, Key], dict[_Waiter, None]] = {}
        self._closed = threading.Event()
        self._cancelled = ""
        self._clock: threading.Thread | None = None
        self._display = Display(client, progress, self._closed)
        self._pool = ThreadPoolExecutor(_FOLLOW_UPS, thread_name_prefix="after-wait")
        self._asks = ThreadPoolExecutor(_ASKS_AT_ONCE, thread_name_prefix="ask-again")

    def until_ready(self, obj: dict[str, Any], reference: Reference, wait: Wait, done: Done) -> None:
        """Calls `done` when `wait` is over for an object that was just applied."""
        state = wait.check(obj, self._others)
        if state.ready or state.failed:
            done(state, obj)
            return
        metadata = obj["metadata"]
        keys = ((reference.kind, _key(reference)), *((need.kind, _key(need)) for need in wait.needs(obj)))
        version = metadata["resourceVersion"]
        self._add(_Waiter(reference, wait, metadata["uid"], version, done, wait.seconds, state, keys, last=obj))

    def until_gone(
        self, reference: Reference, uid: str, seconds: float, done: Done, stuck: Stuck | None = None
    ) -> None:
        """Calls `done` when the object with this UID is no more; `stuck` once where it is still there after a while."""
        keys = ((reference.kind, _key(reference)),)
        state = State("it is being deleted")
        self._add(_Waiter(reference, None, uid, "", done, seconds, state, keys, stuck))

    def until_answered(
        self, reference: Reference, purpose: str, text: str, seconds: float, ask: Ask, done: Done
    ) -> None:
        """Asks about once a second until the answer is ready or failed, then calls `done`."""
        waiter = _Waiter(reference, None, "", "", done, seconds, State(text), (), ask=ask, purpose=purpose)
        waiter.asking_after = time.monotonic() + _ASK_EVERY
        self._add(waiter)

    def cancel(self, reason: str) -> None:
        """Ends all waits at once, those to come too: each fails, saying `reason` and what it was waiting for."""
        with self._lock:
            self._cancelled = reason
            waiters = list(self._waiters)
        for waiter in waiters:
            self._end(waiter, _cancelled(waiter, reason))

    def close(self) -> None:
        """Ends all watches; waits that are not over are never called."""
        self._closed.set()
        with self._lock:
            followers = list(self._followers.values())
            self._waiters.clear()
        for follower in followers:
            follower.close()
        for pool in (self._pool, self._asks):
            pool.shutdown(wait=False, cancel_futures=True)

    def _add(self, waiter: _Waiter) -> None:
        with self._lock:
            if not self._cancelled:
                self._waiters[waiter] = None
                for key in waiter.keys:
                    self._concerned.setdefault(key, {})[waiter] = None
            for kind in {kind for kind, _ in waiter.keys} - self._followers.keys():
                self._followers[kind] = Follower(self._client, kind, self._changed, self._refused)
            if self._clock is None:
                self._clock = threading.Thread(target=self._tick, name="deadlines", daemon=True)
                self._clock.start()
        if self._cancelled:
            waiter.done(_cancelled(waiter, self._cancelled), None)
            return
        if waiter.ask is None:
            self._judge(waiter)

    def _end(self, waiter: _Waiter, state: State) -> None:
        """Ends a wait, unless another thread did."""
        with self._lock:
            if waiter not in self._waiters:
                return
            del self._waiters[waiter]
            for key in waiter.keys:
                concerned = self._concerned[key]
                concerned.pop(waiter, None)
                if not concerned:
                    del self._concerned[key]
            if not self._closed.is_set():
                self._pool.submit(waiter.done, state, waiter.last)

    def _changed(self, kind: Kind, key: Key | None) -> None:
        with self._lock:
            if key is None:
                concerned = [waiter for waiter in self._waiters if any(kind == each for each, _ in waiter.keys)]
            else:
                concerned = list(self._concerned.get((kind, key), ()))
        for waiter in concerned:
            self._judge(waiter)

    def _refused(self, kind: Kind, text: str) -> None:
        with self._lock:
            concerned = [waiter for waiter in self._waiters if any(kind == each for each, _ in waiter.keys)]
        for waiter in concerned:
            self._end(waiter, State(text, failed=True))

    def _others(self, reference: Reference) -> list[dict[str, Any]] | None:
        follower = self._followers.get(reference.kind)
        return None if follower is None else follower.seen(_key(reference))

    def _judge(self, waiter: _Waiter) -> None:
        with self._lock:
            seen = self._others(waiter.reference)
            if seen is None:
                return
            state = self._state_of(waiter, seen[0] if seen else None)
            if state != waiter.state:
                waiter.state, waiter.since = state, time.monotonic()
        if state.ready or state.failed:
            self._end(waiter, state)

    def _state_of(self, waiter: _Waiter, obj: dict[str, Any] | None) -> State:
        if waiter.wait is None:
            if obj is None or obj["metadata"]["uid"] != waiter.uid:
                return READY
            waiter.last = obj
            return State(deletion_state(obj))
        if obj is None or obj["metadata"]["uid"] != waiter.uid:
            # Until the watch has seen what was just applied, its absence says nothing.
            return State("it was deleted meanwhile", failed=True) if waiter.seen else waiter.state
        waiter.seen = True
        if _is_older(obj["metadata"]["resourceVersion"], waiter.version):
            return waiter.state
        waiter.last = obj
        return waiter.wait.check(obj, self._others)

    def _tick(self) -> None:
        shown = 0.0
        while not self._closed.wait(_TICK):
            now = time.monotonic()
            with self._lock:
                waiters = list(self._waiters)
            for waiter in waiters:
                self._look_at_clock(waiter, now)
            if now - shown >= _SHOW_EVERY:
                shown = now
                self._display.show([Waiting(w.reference, now - w.started, w.state.text) for w in waiters])

    def _look_at_clock(self, waiter: _Waiter, now: float) -> None:
        passed = now - waiter.started
        if waiter.state.settles and now - waiter.since >= waiter.state.settles:
            self._end(waiter, READY)
        elif passed >= waiter.seconds and not waiter.timing_out:
            waiter.timing_out = True
            self._pool.submit(self._time_out, waiter)
        elif waiter.ask is not None and now >= waiter.asking_after:
            waiter.asking_after = float("inf")
            self._asks.submit(self._ask, waiter, waiter.ask)
        elif waiter.stuck is not None and passed >= STUCK_AFTER and waiter.last is not None:
            self._pool.submit(waiter.stuck, waiter.last)
            waiter.stuck = None

    def _ask(self, waiter: _Waiter, ask: Ask) -> None:
        with self._lock:
            over = waiter not in self._waiters
        if over:
            return
        waiter.state = ask()
        if waiter.state.ready or waiter.state.failed:
            self._end(waiter, waiter.state)
        waiter.asking_after = time.monotonic() + _ASK_EVERY

    def _time_out(self, waiter: _Waiter) -> None:
        ended = "gone" if waiter.wait is None and waiter.ask is None else "ready"
        text = f"not {ended} after {waiter.seconds:g} s of waiting for {waiter.what}: {waiter.state.text}"
        event = latest_event(self._client, waiter.reference)
        self._end(waiter, State(f"{text}; latest event: {event}" if event else text, failed=True))


def _key(reference: Reference) -> Key:
    return (reference.namespace, reference.name)


def _cancelled(waiter: _Waiter, reason: str) -> State:
    return State(f"{reason} while waiting for {waiter.what}: {waiter.state.text}", failed=True)


def _is_older(version: str, than: str) -> bool:
    """Kubernetes 1.35 and later say that versions of one kind compare as whole numbers, as they always did.

    An aggregated API may have other versions: of those nothing is known, and each state counts.
    """
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


def deletion_state(obj: Manifest) -> str:
    """What keeps an object that is being deleted."""
    finalizers = obj["metadata"].get("finalizers")
    if finalizers:
        return f"finalizers {', '.join(finalizers)} hold it"
    conditions = (obj.get("status") or {}).get("conditions") or ()
    held = [c.get("message", "") for c in conditions if c.get("status") == "True" and c.get("message")]
    return "; ".join(held) or "it is being deleted"
