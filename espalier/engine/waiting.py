"""What a wait is: a condition over a live object and those it needs, a limit, and words for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from espalier.kube import Manifest, Reference


@dataclass(frozen=True)
class State:
    """How far an object is."""

    text: str
    """For people: what it is waiting for, or why it failed; empty when ready."""
    failed: bool = False
    """True when waiting longer cannot help."""
    settles: float = 0.0
    """Where not 0: it is ready when nothing changes for so many seconds."""

    @property
    def ready(self) -> bool:
        """Tells whether there is nothing to wait for."""
        return not self.text


READY = State("")
Others = Callable[[Reference], "Sequence[Manifest] | None"]
"""Gives the live objects of a reference that the wait needs; None while they were not listed yet."""
Check = Callable[[Manifest, Others], State]
Needs = Callable[[Manifest], tuple[Reference, ...]]
"""Which other objects a check asks for, read from the live object."""


def nothing_known(_: Reference) -> None:
    """The `Others` of one who looks at the object alone."""
    return


def needs_nothing(_: Manifest) -> tuple[Reference, ...]:
    """The `Needs` of a check that looks at the object alone."""
    return ()


@dataclass(frozen=True)
class Wait:
    """What is awaited of one object."""

    judge: Check
    seconds: float
    """The limit."""
    what: str
    """For people: what is awaited."""
    needs: Needs = needs_nothing
    """Other objects that `judge` asks for. EndpointSlices are called after their Service."""

    def check(self, obj: Manifest, others: Others = nothing_known) -> State:
        """Tells how far the object is."""
        return self.judge(obj, others)
