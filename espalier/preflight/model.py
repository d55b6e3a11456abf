"""What preflights of all clouds give: findings, and questions that were not answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "ok"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is, how it was found, and what to do unless it is fine."""

    level: Level
    what: str
    got: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Stands for an answer that the cloud did not give, and says why."""

    why: str


class NotPossibleError(RuntimeError):
    """Nothing at all can be asked: no credentials, or no way to the cloud. Says what to do."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(f"{what}. {do}")
        self.what = what
        self.do = do


def ok(what: str, got: str) -> Finding:
    """Fine as it is."""
    return Finding("ok", what, got)


def wrong(what: str, got: str, do: str) -> Finding:
    """Would end an `up` half-way, or leave a pool that cannot grow."""
    return Finding("error", what, got, do)


def doubt(what: str, got: str, do: str) -> Finding:
    """May be fine: a person must look."""
    return Finding("warning", what, got, do)


def not_judged(what: str, answer: NotAsked, do: str = "Allow it to be read, or look by hand.") -> Finding:
    """Nothing is known: neither fine nor wrong."""
    return Finding("warning", what, f"not judged: {answer.why}", do)


def shortened(names: list[str] | tuple[str, ...], most: int = 4) -> str:
    """The first few of many names, for people."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
