"""What can go wrong between a program and a cluster, each with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from espalier.kube import KubeError

__all__ = [
    "ApplyFailed",
    "EngineError",
    "LeaseLostError",
    "Problem",
    "ProgramError",
    "RefusedError",
    "RunEndedError",
    "StoppedError",
]


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with one resource: where, what was got, what to do."""

    urn: str
    """The resource's URN, or the token of a call that belongs to no resource."""
    reason: str
    """What is wrong, in the API server's own words where they are its words."""
    do: str = ""
    """What to do about it; empty where the reason says all."""

    def __str__(self) -> str:
        return f"{self.urn}: {self.reason}" + (f" ({self.do})" if self.do else "")


class EngineError(RuntimeError):
    """The base of all that the engine raises: a message, and the problems one by one."""

    def __init__(self, message: str, problems: Sequence[Problem] = (), detail: str = "") -> None:
        self.problems = tuple(problems)
        self.detail = detail
        """A traceback of the program, or empty."""
        super().__init__("\n".join([message, *(f"  {problem}" for problem in self.problems)]))
        self.message = message


class ProgramError(EngineError):
    """The program raised, or registered what no engine could take. Nothing was applied."""


class RefusedError(EngineError):
    """The program is sound, but this engine does not do what it asks. Nothing was applied."""


class ApplyFailed(EngineError):  # noqa: N818 - what happened, as people read it
    """Something failed in mid-run. What was applied stays and is in the inventory."""

    def __init__(self, errors: Sequence[Problem], skipped: Sequence[Problem] = ()) -> None:
        self.errors = tuple(errors)
        self.skipped = tuple(skipped)
        """What was not tried, since something that it depends on failed."""
        count = len(self.errors)
        message = f"{count} resource{'' if count == 1 else 's'} failed"
        if self.skipped:
            message += f", {len(self.skipped)} skipped"
        super().__init__(message, (*self.errors, *self.skipped))


class StoppedError(EngineError):
    """The run was asked to stop and did so in order. What was applied stays and is in the inventory."""

    def __init__(self, why: str, standing: str, problems: Sequence[Problem]) -> None:
        self.why = why
        """What asked for it, such as SIGINT."""
        super().__init__(f"stopped by {why}: {standing}", problems)


class LeaseLostError(EngineError):
    """Another run took the stack over in mid-run. Nothing was written from then on, the inventory neither."""


class RunEndedError(KubeError):
    """A write that was not sent, because the run is over: it was stopped, or its Lease is lost."""
