"""A stream of changes to the objects of one kind."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from espalier.kube.errors import ApiError, UnreachableError


@dataclass(frozen=True)
class Event:
    """One change: ADDED, MODIFIED, DELETED, or BOOKMARK, which only carries a resourceVersion."""

    type: str
    object: dict[str, Any]


class Watch:
    """The changes as they come; ends when the server ends it or `close` is called, from any thread.

    Raises ApiError with status 410 when the resourceVersion is too old (list again, then watch from there), and
    UnreachableError when the stream is cut (watch again from the version that was seen last).
    """

    def __init__(self, response: BaseHTTPResponse, server: str) -> None:
        self._response = response
        self._server = server
        self._closed = False

    def __iter__(self) -> Iterator[Event]:
        buffer = b""
        try:
            for chunk in self._response.stream(1 << 16, decode_content=True):
                # After a shutdown the socket hands out bytes that are still encrypted.
                if self._closed:
                    return
                buffer += chunk
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    if line:
                        yield _event(line)
        except (HTTPError, OSError) as error:
            if not self._closed:
                raise UnreachableError(self._server, str(error)) from None
        finally:
            self._response.close()

    def close(self) -> None:
        """Ends the stream: a thread that waits for the next change returns at once."""
        self._closed = True
        shutdown = getattr(self._response, "shutdown", None)
        if shutdown is not None and not self._response.closed:
            # It may end by itself at this very moment.
            with contextlib.suppress(OSError, ValueError):
                shutdown()


def _event(line: bytes) -> Event:
    change = json.loads(line)
    if change["type"] == "ERROR":
        status = change["object"]
        raise ApiError(status.get("code", 500), status.get("reason", ""), status.get("message", ""))
    return Event(change["type"], change["object"])
