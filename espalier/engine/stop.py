"""The way to ask a run to stop."""

from __future__ import annotations

import threading


class Stop:
    """Asks a run to stop in order: what is being sent is finished, nothing new is begun, waits end.

    `request` may be called from a signal handler. Before a run writes and after, there is nothing to stop in order:
    `heard` is False then, and who asks may just end it.
    """

    def __init__(self) -> None:
        self.why = ""
        self.heard = False
        self._event = threading.Event()

    def request(self, why: str) -> None:
        """Asks; `why` is for people, such as the signal's name."""
        self.why = why
        self._event.set()

    @property
    def requested(self) -> bool:
        """Tells whether it was asked."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits for the request; False when the time is over."""
        return self._event.wait(seconds)
