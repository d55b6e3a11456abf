"""What SIGINT and SIGTERM do: the first ends a command in order, the second at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from espalier.engine.stop import Stop

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TWICE = 1.0
"""Seconds within which a second signal is the same one: `timeout` and CI runners signal a process and its group."""
_ONCE_MORE = b"\nstopping in order; once more ends at once\n"

Handler = Callable[[int, FrameType | None], None]


class Interrupted(KeyboardInterrupt):
    """A signal at a moment at which nothing has to be finished."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def interruptible() -> Generator[None]:
    """Within it the first signal raises Interrupted, so that what is held is given back, and the second ends."""
    with _handled(_raising()):
        yield


@contextmanager
def stopping() -> Generator[Stop]:
    """Within it the first signal asks the run to stop, where it is one that can, and the second ends at once."""
    stop = Stop()
    interrupt = _raising()
    first = 0.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if stop.requested:
            _end_unless_twice(number, first)
        elif stop.heard:
            first = time.monotonic()
            stop.request(signal.Signals(number).name)
            os.write(2, _ONCE_MORE)
        else:
            interrupt(number, frame)

    with _handled(handle):
        yield stop


def _raising() -> Handler:
    first = 0.0

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal first
        if first:
            _end_unless_twice(number, first)
            return
        first = time.monotonic()
        raise Interrupted(number)

    return handle


def _end_unless_twice(number: int, first: float) -> None:
    if time.monotonic() - first > _TWICE:
        os._exit(128 + number)


@contextmanager
def _handled(handler: Handler) -> Generator[None]:
    if threading.current_thread() is not threading.main_thread():
        # Python hands signals to the main thread alone.
        yield
        return
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
