"""The renderer: one small Go program of Helm's own engine and kustomize's, built at the first render."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from espalier.charts.errors import SourceError
from espalier.sim.binaries import CHARTS, build_key
from espalier.sim.builder import build

SECONDS = 120.0
"""How long one render may take; the largest charts take less than five."""

_NOWHERE = "http://127.0.0.1:9"
_ALONE = {"HOME": os.devnull, "PATH": "", "HTTP_PROXY": _NOWHERE, "HTTPS_PROXY": _NOWHERE}
"""Nothing of this machine shapes a render, and kustomize finds neither git nor a network to load more by."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Item:
    """One object as it was rendered. `source` is the template or file, `crd` tells a definition of a crds/ folder."""

    source: str
    crd: bool
    object: Any


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there are no objects. `where` is a template, or the path of a value for kind schema."""

    kind: str
    where: str
    message: str


def version() -> str:
    """What tells one renderer from another: a part of each render's key."""
    return build_key(CHARTS.binaries, CHARTS.folder)


def ask(request: Mapping[str, Any], progress: Progress) -> tuple[Sequence[Item], Sequence[Problem]]:
    """Renders; values go by standard input, never on a command line.

    Raises MissingToolError and SimError where the renderer cannot be built, SourceError where it ends too late.
    """
    binary = build(progress, CHARTS) / "render"
    try:
        done = subprocess.run(
            [binary],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            env=_ALONE,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceError(
            f"a render took more than {SECONDS:.0f} s", "Look for a template that does not end."
        ) from None
    if done.returncode != 0:
        return (), (Problem("template", "", done.stderr.strip()[-500:]),)
    answer = json.loads(done.stdout)
    items = [Item(row["source"], row["crd"], row["object"]) for row in answer["objects"] or ()]
    return items, [Problem(row["kind"], row["where"], row["message"]) for row in answer["problems"] or ()]
