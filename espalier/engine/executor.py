"""The executor of the event loop that a program runs in.

The SDK hands each registration to the loop's executor and takes what the call returns. A registration
that waits for an object to become ready must not hold one of the few threads meanwhile, or as many
waiting objects as threads stop everything. So a call may return a `Later`: its thread is free at once,
and the SDK gets the answer when the `Later` is done.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Later(Future[Any]):
    """An answer that comes later, without a thread that waits for it."""


class RegistrationExecutor(ThreadPoolExecutor):
    """A pool of threads that understands `Later`."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs `fn` in a thread; where it returns a `Later`, the future is done when that is."""
        answer: Future[Any] = Future()
        # From here on it cannot be cancelled, so setting its result cannot fail.
        answer.set_running_or_notify_cancel()
        super().submit(fn, *args, **kwargs).add_done_callback(lambda called: _relay(called, answer))
        return answer


def _relay(source: Future[Any], target: Future[Any]) -> None:
    if source.cancelled():
        # The run was broken off before the call began: no one waits any more.
        return
    error = source.exception()
    if error is not None:
        target.set_exception(error)
        return
    result = source.result()
    if isinstance(result, Later):
        result.add_done_callback(lambda done: _relay(done, target))
    else:
        target.set_result(result)
