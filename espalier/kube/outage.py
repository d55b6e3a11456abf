"""Tells people, once for all threads, that the API server keeps them waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

_QUIET = 4.0
"""Seconds of waiting that nobody is told of."""
_AGAIN = 15.0
"""Seconds between two lines of one outage."""
_TICK = 1.0


class Outage:
    """What the requests of one client are held up by. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, float] = {}
        self._told = 0.0
        self._began = 0.0
        self._over = 0.0
        self._say: Callable[[str], None] | None = None
        self._ticker: threading.Thread | None = None

    def tell(self, say: Callable[[str], None] | None) -> None:
        """Gives who is told, one line at a time, from any thread; None for nobody."""
        self._say = say

    @contextmanager
    def open(self) -> Generator[None]:
        """Surrounds one try: one that takes long is told of as well."""
        key, since = threading.get_ident(), time.monotonic()
        self._open[key] = since
        if self._ticker is None and self._say is not None:
            self._start_ticker()
        try:
            yield
        finally:
            self._open.pop(key, None)

    def failed(self, since: float, cause: str) -> None:
        """A request that failed first at `since` (monotonic) is about to be tried again."""
        self._tell(
            since, lambda passed: f"the API server has not done a request for {passed:.0f} s ({cause}): trying again"
        )

    def over(self, since: float) -> None:
        """A request that was begun at `since` and had trouble was answered."""
        with self._lock:
            if not self._told or time.monotonic() - since < _QUIET:
                return
            passed = time.monotonic() - self._began
            self._told = self._began = 0.0
            self._over = time.monotonic()
            say = self._say
        if say is not None:
            say(f"the API server answers again, after {passed:.0f} s")

    def _start_ticker(self) -> None:
        with self._lock:
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, name="outage", daemon=True)
                self._ticker.start()

    def _tick(self) -> None:
        """Looks at the requests that are under way, and ends when there are none."""
        while True:
            time.sleep(_TICK)
            with self._lock:
                since = min(list(self._open.values()), default=None)
                if since is None:
                    self._ticker = None
                    return
            self._tell(since, lambda passed: f"the API server has not answered a request for {passed:.0f} s: waiting")

    def _tell(self, since: float, text: Callable[[float], str]) -> None:
        """Tells of trouble that goes on; what was told to be over has to come back for a while first."""
        now = time.monotonic()
        with self._lock:
            quiet = now - max(since, self._over) < _QUIET
            if quiet or self._say is None or (self._told and now - self._told < _AGAIN):
                return
            self._began = self._began or since
            self._told = now
            say = self._say
        say(text(now - since))
