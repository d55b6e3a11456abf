"""File locks, so that two commands at once do not get into each other's way."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from espalier.sim.errors import SimError
from espalier.sim.model import Progress

_TRY_EVERY_SECONDS = 0.1


@contextmanager
def locked(path: Path, what: str, progress: Progress, wait_seconds: float) -> Generator[None]:
    """Hold the lock file ``path``; the kernel frees it when the process ends, however it ends.

    While another process holds it, tell ``progress`` that ``what`` is waited for, and raise SimError
    after ``wait_seconds``. Who holds the lock may remove the file as the last thing done.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    told = False
    while True:
        with path.open("a") as file:
            if _take(file) and _is_at(file, path):
                yield
                return
        if not told:
            progress(f"waiting: another command is {what}")
            told = True
        if time.monotonic() >= deadline:
            raise SimError(
                f"another command has been {what} for {wait_seconds:.0f} s",
                "let it end, or stop it, then try again",
            )
        time.sleep(_TRY_EVERY_SECONDS)


def _take(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: TextIO, path: Path) -> bool:
    """Whether ``path`` still leads to this file: a lock on one that was removed keeps nobody out."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
