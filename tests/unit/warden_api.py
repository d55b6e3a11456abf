"""An API server in memory, as far as the warden asks one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from espalier.warden.api import Api, ApiError


class Memory(Api):
    """Objects and lists by path, what was asked, and what is refused: (method, start of a path) -> status."""

    def __init__(self, objects: Mapping[str, Any] | None = None) -> None:
        self.objects: dict[str, Any] = dict(objects or {})
        self.asked: list[tuple[str, str, Any]] = []
        self.refused: dict[tuple[str, str], int] = {}
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.changed = threading.Condition()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "",
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        with self.changed:
            self.asked.append((method, path, body if method != "GET" else dict(query or {})))
            self.changed.notify_all()
        for (verb, start), status in self.refused.items():
            if verb == method and path.startswith(start):
                raise ApiError(status, "refused")
        if method == "GET":
            if path not in self.objects:
                raise ApiError(404, path)
            return self._page(self.objects[path], query or {})
        if method == "PUT":
            self.objects[path] = body
        if method == "POST" and path.endswith("/leases"):
            self.objects[f"{path}/{body['metadata']['name']}"] = body
        if method == "PATCH" and path.endswith("/scale"):
            self.objects[path] = body
        return {"metadata": {"name": path.rpartition("/")[2]}}

    def watch(self, path: str, version: str, seconds: int, **query: str) -> Iterator[dict[str, Any]]:
        while True:
            try:
                yield self.events.get(timeout=0.1)
            except queue.Empty:
                yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}

    def wrote(self, *, start: str = "", kind: str = "") -> list[Any]:
        """The bodies of all that was written under a path, or of a kind."""
        return [
            body
            for method, path, body in list(self.asked)
            if method != "GET" and path.startswith(start) and (not kind or (body or {}).get("kind") == kind)
        ]

    def wait(self, method: str, path: str) -> None:
        """Until it was asked for that."""
        with self.changed:
            there = self.changed.wait_for(lambda: any(one[:2] == (method, path) for one in self.asked), 60)
        assert there, f"never asked: {method} {path}"

    def _page(self, found: Any, query: Mapping[str, str]) -> dict[str, Any]:
        if "items" not in found or "limit" not in query:
            return found
        start, size = int(query.get("continue", "0")), int(query["limit"])
        items = found["items"][start : start + size]
        further = {"continue": str(start + size)} if start + size < len(found["items"]) else {}
        return {"metadata": further, "items": items}


def items(*found: Any) -> dict[str, Any]:
    """A list, as the API serves it."""
    return {"metadata": {"resourceVersion": "1"}, "items": list(found)}
