"""What Kubernetes says about objects that are waited for: the latest event, fetched sparingly."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from espalier.kube import Client, Kind, KubeError, Reference

_EVENT = Kind("v1", "Event")
_EVERY = 5.0
"""Seconds between two looks at one object's events."""
_POD_MAKERS = frozenset({"DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"})
"""What goes wrong with these is said of their pods, whose names begin with theirs."""


def latest_event(client: Client, reference: Reference) -> str:
    """`Reason: message` of the newest event about an object or its pods; empty where there is none or none may be read.

    A warning about a pod of a workload says more than that the workload was scaled, so it comes first.
    """
    namespace = reference.namespace or "default"
    kind, name = reference.kind.kind, reference.name
    try:
        if kind in _POD_MAKERS:
            warnings = client.list(_EVENT, namespace, fieldSelector="type=Warning,involvedObject.kind=Pod")
            of_pods = [event for event in warnings if event["involvedObject"].get("name", "").startswith(f"{name}-")]
            if of_pods:
                return _text(of_pods)
        selector = f"involvedObject.kind={kind},involvedObject.name={name}"
        return _text(client.list(_EVENT, namespace, fieldSelector=selector))
    except KubeError:
        return ""


def _text(events: list[dict[str, Any]]) -> str:
    if not events:
        return ""
    newest = max(events, key=_when)
    return f"{newest.get('reason', '')}: {newest.get('message', '')}"


def _when(event: dict[str, Any]) -> str:
    series = event.get("series") or {}
    return series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or ""


class EventBook:
    """The latest events of those objects that are shown. A thread of its own asks, so that no wait is held up."""

    def __init__(self, client: Client, closed: threading.Event) -> None:
        self._client = client
        self._closed = closed
        self._lock = threading.Lock()
        self._texts: dict[Reference, str] = {}
        self._asked: dict[Reference, float] = {}
        self._wanted: list[Reference] = []
        self._thread: threading.Thread | None = None

    def show(self, references: Iterable[Reference]) -> dict[Reference, str]:
        """Gives what is known of these objects, and has the others looked up for the next time."""
        with self._lock:
            self._wanted = list(references)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()
            return {reference: self._texts.get(reference, "") for reference in self._wanted}

    def _run(self) -> None:
        while not self._closed.wait(0.5):
            now = time.monotonic()
            with self._lock:
                due = [each for each in self._wanted if now - self._asked.get(each, -_EVERY) >= _EVERY]
            for reference in due:
                text = latest_event(self._client, reference)
                with self._lock:
                    self._texts[reference], self._asked[reference] = text, time.monotonic()
