"""What SIGINT and SIGTERM do: the first ends a command in order, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from espalier.engine.stop import Stop

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
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

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.heard and not stop.requested:
            stop.request(signal.Signals(number).name)
            os.write(2, _ONCE_MORE)
        elif stop.requested:
            os._exit(128 + number)
        else:
            interrupt(number, frame)

    with _handled(handle):
        yield stop


def _raising() -> Handler:
    signalled = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal signalled
        if signalled:
            os._exit(128 + number)
        signalled = True
        raise Interrupted(number)

    return handle


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
