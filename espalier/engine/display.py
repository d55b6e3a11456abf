"""What people see while the engine waits: for what, since when, and the latest event."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from espalier.engine.events import EventBook
from espalier.kube import Client, Reference

_PATIENCE = 3.0
"""Seconds after which a wait is worth a word."""
_SHOWN = 4
_LINE_FIRST, _LINE_EVERY = 5.0, 15.0


@dataclass(frozen=True)
class Waiting:
    """One object that is waited for."""

    reference: Reference
    seconds: float
    """Since when."""
    text: str
    """What it lacks."""
    event: str = ""
    """The latest event about it or its pods; empty where there is none."""

    def __str__(self) -> str:
        event = f"; latest event {self.event}" if self.event else ""
        return f"{self.reference} {self.seconds:.0f} s: {self.text}{event}"


@runtime_checkable
class LiveView(Protocol):
    """A progress that can show those who wait, rather than take a line now and then."""

    def waiting(self, count: int, longest: Sequence[Waiting]) -> None:
        """Shows how many wait, and those who have waited longest. None wait any more: count is 0."""
        ...


class Display:
    """Tells a progress of those who wait, about once a second; events are asked only for what is shown."""

    def __init__(self, client: Client, progress: Callable[[str], None], closed: threading.Event) -> None:
        self._progress = progress
        self._book = EventBook(client, closed)
        self._told = 0.0
        self._showing = False

    def show(self, waiting: Sequence[Waiting]) -> None:
        """Takes all who wait."""
        longest = sorted(waiting, key=lambda each: (-each.seconds, each.reference))[:_SHOWN]
        longest = [each for each in longest if each.seconds >= _PATIENCE]
        if not longest:
            if self._showing and isinstance(self._progress, LiveView):
                self._progress.waiting(0, ())
            self._showing = False
            return
        self._showing = True
        events = self._book.show(each.reference for each in longest)
        longest = [Waiting(each.reference, each.seconds, each.text, events[each.reference]) for each in longest]
        if isinstance(self._progress, LiveView):
            self._progress.waiting(len(waiting), longest)
        else:
            self._line(len(waiting), longest[0])

    def _line(self, count: int, longest: Waiting) -> None:
        now = time.monotonic()
        if longest.seconds >= _LINE_FIRST and now - self._told >= _LINE_EVERY:
            self._told = now
            self._progress(f"{count} waiting: {longest}")
