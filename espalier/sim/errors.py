"""What can go wrong with a simulated cluster, said so that a person can act on it."""

from collections.abc import Generator
from contextlib import contextmanager


class SimError(Exception):
    """The simulated cluster could not do what was asked.

    ``message`` says what is wrong; ``do`` says what to do about it.
    """

    def __init__(self, message: str, do: str) -> None:
        super().__init__(message)
        self.message = message
        self.do = do

    def __str__(self) -> str:
        return f"{self.message}\n  do: {self.do}"


class MissingToolError(SimError):
    """Something that must be installed first is not there (the command's exit code 3)."""


@contextmanager
def told() -> Generator[None]:
    """What the system refuses (a folder that cannot be written, a full disk) as a SimError."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        do = "give it a place that can be written: data goes to XDG_STATE_HOME, binaries to XDG_CACHE_HOME"
        raise SimError(what, do) from error
