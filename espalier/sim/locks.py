"""File locks, so that two commands at once do not get into each other's way."""

import fcntl
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from espalier.sim.errors import SimError
from espalier.sim.model import Progress


@contextmanager
def locked(path: Path, what: str, progress: Progress, wait_seconds: float) -> Generator[None]:
    """Hold the lock file ``path``; the kernel frees it when the process ends, however it ends.

    While another process holds it, tell ``progress`` that ``what`` is waited for, and raise SimError
    after ``wait_seconds``.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    told = False
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
            if not told:
                progress(f"waiting: another command is {what}")
                told = True
            if time.monotonic() >= deadline:
                raise SimError(
                    f"another command has been {what} for {wait_seconds:.0f} s",
                    "let it end, or stop it, then try again",
                )
            time.sleep(0.1)
        yield
