"""What a verification is made of: tasks, what they found, and the whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from espalier.blueprint import Blueprint
from espalier.kube import Client
from espalier.types import Check

Found = TypeVar("Found")
Json = dict[str, Any]

POLL_SECONDS = 0.1


class VerifyError(RuntimeError):
    """The verification itself cannot be done; says what to do."""


class CancelledError(RuntimeError):
    """The verification was interrupted while it waited; never leaves this package."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found; `evidence` quotes the API server."""

    ok: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class NotProven:
    """A check that could not be made here, now: neither passed nor failed."""

    why: str


@dataclass(frozen=True, slots=True)
class Task:
    """One check to be made. `run` may raise ApiError, which fails the check."""

    name: str
    run: Callable[[], Outcome | NotProven]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A check that was not made, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Verification:
    """All checks in the order of the blueprint, and those that could not be made."""

    checks: tuple[Check, ...]
    skipped: tuple[Skipped, ...] = ()
    left: tuple[str, ...] = ()
    """What the verification made and could not see removed; empty but on a cluster that is itself broken."""

    @property
    def ok(self) -> bool:
        """Whether no check failed; skipped ones say nothing."""
        return all(check.ok for check in self.checks)


@dataclass(frozen=True, slots=True)
class Context:
    """What every check may use. `client` is the administrator's."""

    blueprint: Blueprint
    client: Client
    simulated: bool
    probe: bool
    """Whether pods may be made: always on a simulated cluster."""
    cluster: str = ""
    """The simulated cluster's name, for drills that break something of it; "" where it is not known."""
    cancelled: threading.Event = field(default_factory=threading.Event)

    def until(self, look: Callable[[], Found | None], seconds: float) -> Found | None:
        """What `look` gives as soon as it gives something, or None after so many seconds."""
        return until(look, seconds, self.cancelled)


def until(
    look: Callable[[], Found | None], seconds: float, cancelled: threading.Event, pause: float = POLL_SECONDS
) -> Found | None:
    """Looks again and again; None after so many seconds. Raises CancelledError when `cancelled` is set."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None or time.monotonic() >= deadline:
            return found
        if cancelled.wait(pause):
            raise CancelledError
