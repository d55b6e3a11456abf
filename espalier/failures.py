"""Which exit code a failure has, and how it is told: one table for all commands.

0 fine; 1 a proof, policy, verification or apply failed; 2 no blueprint can be built; 3 something needed is missing;
130 and 143 ended by SIGINT or SIGTERM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from signal import Signals
from typing import Any

from espalier.charts.errors import HeldError, SourceError, SourcesError
from espalier.engine.advice import what_to_do
from espalier.engine.errors import EngineError, StoppedError
from espalier.kube.errors import ApiError, KubeconfigError, UnreachableError
from espalier.report.documents import ErrorEntry
from espalier.sim.errors import MissingToolError, SimError
from espalier.types import Mistakes

FAILED, INVALID, MISSING = 1, 2, 3
INTERRUPTED = 130


class Missing(Exception):  # noqa: N818 - what people read
    """Something needed is not there: says what, and how to get it."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(f"{what}. {do}")
        self.what = what
        self.do = do


def entry(path: str, got: str, accepted: str = "", do: str = "") -> ErrorEntry:
    """One error of a document."""
    return {"path": path, "got": got, "accepted": accepted, "do": do}


def _mistakes(error: Any) -> list[ErrorEntry]:
    return [mistake.to_json() for mistake in error.mistakes]


def _engine(error: Any) -> list[ErrorEntry]:
    problems = [entry(problem.urn, problem.reason, "", problem.do) for problem in error.problems]
    return [entry("program", error.message, "", error.detail), *problems]


def _missing(error: Any) -> list[ErrorEntry]:
    return [entry("needs", error.what, "", error.do)]


def _source(error: Any) -> list[ErrorEntry]:
    return [entry("source", error.what, "", error.do)]


def _sim(error: Any) -> list[ErrorEntry]:
    return [entry("sim", error.message, "", error.do)]


def _api(error: Any) -> list[ErrorEntry]:
    return [entry("cluster", str(error), "", what_to_do(error))]


Handler = tuple[type[BaseException], int, Callable[[Any], list[ErrorEntry]]]

TABLE: Sequence[Handler] = (
    (Mistakes, INVALID, _mistakes),
    (Missing, MISSING, _missing),
    (HeldError, FAILED, _mistakes),
    (SourcesError, MISSING, _mistakes),
    (SourceError, MISSING, _source),
    (MissingToolError, MISSING, _sim),
    (SimError, FAILED, _sim),
    (EngineError, FAILED, _engine),
    (KubeconfigError, MISSING, _api),
    (UnreachableError, MISSING, _api),
    (ApiError, FAILED, _api),
)


def handled() -> tuple[type[BaseException], ...]:
    """The exceptions that mean something to people; any other is a defect of Espalier and shows its traceback."""
    return tuple(kind for kind, _, _ in TABLE)


def told(error: BaseException) -> tuple[int, list[ErrorEntry]]:
    """Exit code and errors of a handled exception: the first row that fits."""
    if isinstance(error, StoppedError):
        return stopped(error.why), _engine(error)
    return next((code, tell(error)) for kind, code, tell in TABLE if isinstance(error, kind))


def stopped(why: str) -> int:
    """The exit code of a command that a signal of this name ended, as shells have it."""
    return 128 + Signals[why] if why in Signals.__members__ else INTERRUPTED
