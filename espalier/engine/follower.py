"""The one watch of a kind: lists once, follows the changes, and tells of each object that changed.

It outlives what happens to a watch: an API server that restarts, a resourceVersion that is too old (410), a broken
connection. In each case it lists anew, so that nothing that happened meanwhile is missed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from espalier.engine.waits import ENDPOINT_SLICE
from espalier.kube import ApiError, Client, Kind, KubeError, Watch

Key = tuple[str, str]
"""Namespace and name."""
Changed = Callable[[Kind, "Key | None"], None]
"""Told which object changed; None after each list, when any may have."""

_SERVICE_LABEL = "kubernetes.io/service-name"
_RETRY_PAUSE = 0.5
_WATCH_SECONDS = 60
"""A watch is renewed so often, so that one whose connection died in silence is not believed for long."""
_REFUSALS = frozenset({400, 401, 403, 405})
_REFUSED_FOR_GOOD = 30.0
"""An API server that starts refuses for a moment what it grants once it has read its roles."""
_GONE_AFTER = 5.0
"""A kind that is not served for so long has lost its definition, and with it all objects; before, it may be coming."""


class Follower:
    """Holds the live objects of a kind. `changed` and `refused` are called from the watch's thread."""

    def __init__(self, client: Client, kind: Kind, changed: Changed, refused: Callable[[Kind, str], None]) -> None:
        self._client = client
        self._kind = kind
        self._changed = changed
        self._refused = refused
        self._lock = threading.Lock()
        self._objects: dict[Key, dict[str, dict[str, Any]]] = {}
        self._listed = False
        self._closed = threading.Event()
        self._watch: Watch | None = None
        self._failing_since = 0.0
        threading.Thread(target=self._run, name=f"watch-{kind.kind}", daemon=True).start()

    def seen(self, key: Key) -> list[dict[str, Any]] | None:
        """The objects of a key: at most one, but for EndpointSlices. None while nothing was listed."""
        with self._lock:
            return list(self._objects.get(key, {}).values()) if self._listed else None

    def close(self) -> None:
        """Ends the watch."""
        self._closed.set()
        if self._watch is not None:
            self._watch.close()

    def _run(self) -> None:
        version = ""
        while not self._closed.is_set():
            try:
                version = self._follow(version)
            except ApiError as error:
                version = ""
                if error.status == 404 and self._has_failed_for(_GONE_AFTER):
                    self._see_all([])
                if error.status in _REFUSALS and self._has_failed_for(_REFUSED_FOR_GOOD):
                    self._refused(self._kind, f"{self._kind} cannot be watched: {error}")
                    return
                self._closed.wait(_RETRY_PAUSE)
            except KubeError as error:
                # No answer, or credentials that cannot be read just now.
                version = ""
                if self._client.given_up:
                    self._refused(self._kind, f"{self._kind} cannot be watched: {error}")
                    return
                self._closed.wait(_RETRY_PAUSE)

    def _has_failed_for(self, seconds: float) -> bool:
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        return now - self._failing_since >= seconds

    def _follow(self, version: str) -> str:
        """Follows until the API server ends the watch; gives the version to go on from."""
        if not version:
            items, version = self._client.list_at(self._kind)
            self._see_all(items)
            self._failing_since = 0.0
        watch = self._watch = self._client.watch(self._kind, version, seconds=_WATCH_SECONDS)
        if self._closed.is_set():
            watch.close()
        for event in watch:
            version = event.object["metadata"]["resourceVersion"]
            if event.type != "BOOKMARK":
                self._see(event.object, gone=event.type == "DELETED")
        return version

    def _key(self, obj: dict[str, Any]) -> Key:
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
        self._changed(self._kind, None)

    def _see(self, obj: dict[str, Any], *, gone: bool) -> None:
        key, name = self._key(obj), obj["metadata"]["name"]
        with self._lock:
            of_key = self._objects.setdefault(key, {})
            if gone:
                of_key.pop(name, None)
            else:
                of_key[name] = obj
            if not of_key:
                del self._objects[key]
        self._changed(self._kind, key)
