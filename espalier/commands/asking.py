"""Asking before something is done, where somebody is there to be asked."""

from __future__ import annotations

import sys

from espalier.engine.errors import RefusedError
from espalier.failures import Missing
from espalier.report.console import Output


def ask(question: str, out: Output) -> None:
    """Goes on after a yes. Raises Missing where nobody can be asked, and RefusedError after a no."""
    if not sys.stdin.isatty():
        raise Missing("nobody to ask: standard input is not a terminal", "Say --yes to go on without being asked.")
    import typer

    if not typer.confirm(question, err=out.as_json):
        raise RefusedError("nothing was changed: the answer was no")
