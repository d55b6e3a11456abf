"""Where the command writes: people's text, one JSON document for machines, progress on what takes long."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape

from espalier.report.json_text import indented

LINE_EVERY, LATER_EVERY, LATER = 2.0, 15.0, 30.0
"""Seconds between progress lines where there is no terminal to draw on: fewer once it has taken `LATER`."""

WAITING_EVERY = 10.0
"""Seconds between two lines, where there is no terminal, about what is waited for."""

NO_TERMINAL_WIDTH = 160


class Output:
    """With `as_json`, stdout holds one document and people's text goes to stderr."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.people = _console(stderr=as_json)
        self.errors = _console(stderr=True)

    def document(self, document: Mapping[str, Any]) -> None:
        """Writes the document to stdout, if it is JSON that was asked for."""
        if self.as_json:
            sys.stdout.write(indented(document) + "\n")

    def lines(self) -> Progress:
        """Progress on stderr as lines alone, for work within which nothing else may draw."""
        return Progress(self.errors, None)

    @contextmanager
    def progress(self, what: str) -> Generator[Progress]:
        """Shows what is being done and for how long, on stderr; a spinner on a terminal, else a line now and then."""
        if not self.errors.is_terminal:
            yield Progress(self.errors, None)
            return
        with self.errors.status(what) as status:
            yield Progress(self.errors, status)


def _console(*, stderr: bool) -> Console:
    """A file or a pipe gets wide lines, since nothing there folds them."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=NO_TERMINAL_WIDTH)


class Progress:
    """Takes one line a time, and shows what is waited for; call it from any thread."""

    def __init__(self, console: Console, status: Any) -> None:
        self._console = console
        self._status = status
        self._line = ""
        self._waiting: Sequence[object] = ()
        self._count = 0
        self._started = self._last = self._told = time.monotonic()

    def __call__(self, line: str) -> None:
        now = time.monotonic()
        self._line = line
        if self._status is not None:
            self._draw()
        elif now - self._last >= (LINE_EVERY if now - self._started < LATER else LATER_EVERY):
            self._last = now
            self._console.print(f"{now - self._started:5.0f}s  {line}", markup=False)

    def waiting(self, count: int, longest: Sequence[object]) -> None:
        """Shows how many objects are waited for and, each in its own words, those that have been longest."""
        self._count, self._waiting = count, longest
        now = time.monotonic()
        if self._status is not None:
            self._draw()
        elif longest and now - self._told >= WAITING_EVERY:
            self._told = self._last = now
            self._console.print(f"{now - self._started:5.0f}s  {count} waiting: {longest[0]}", markup=False)

    def _draw(self) -> None:
        """The last line, and below it one line each for those who wait, cut to the width."""
        lines = [f"{escape(self._line)} [dim]{time.monotonic() - self._started:.0f}s[/dim]"]
        if self._waiting:
            lines.append(f"[dim]{self._count} waiting:[/dim]")
            width = max(20, self._console.width - 6)
            lines += [f"  {escape(_cut(str(each), width))}" for each in self._waiting]
        self._status.update("\n".join(lines))


def _cut(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
