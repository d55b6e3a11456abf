"""Where rows come from that are not Espalier's: the stack's folder, and entry points of other packages."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from espalier.types import Mistake, Mistakes

GROUP = "espalier.catalogue"
"""The entry points' group. Each is a path, or a text that is one: a YAML file, or a folder of such."""


def own_files(folder: Path | None) -> tuple[Path, ...]:
    """Files of other packages, by the entry point's name, then those of `folder`; later rows win."""
    found = [file for path in package_paths() for file in _files(path)]
    return (*found, *(_files(folder) if folder else ()))


def _files(path: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.glob("*.yaml"))) if path.is_dir() else (path,) if path.is_file() else ()


@cache
def package_paths() -> tuple[Path, ...]:
    """What installed packages offer. Raises Mistakes for an entry point that cannot be loaded, or names no file."""
    if not _any_entry_point():
        return ()
    from importlib import metadata  # no plan waits for it without need

    paths: list[Path] = []
    mistakes: list[Mistake] = []
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        where = f"entry point {point.name} of {GROUP}"
        try:
            path = Path(point.load())
        except (ImportError, AttributeError, TypeError) as error:
            accepted = "a path to YAML files"
            mistakes.append(Mistake(where, f"{point.value}: {error}", accepted, "Correct or remove the package."))
            continue
        if not _files(path):
            mistakes.append(Mistake(where, str(path), "a path to YAML files", "Correct or remove the package."))
        paths.append(path)
    if mistakes:
        raise Mistakes(mistakes)
    return tuple(paths)


def _any_entry_point() -> bool:
    """Whether some installed package has one. The full scan parses every package's entry points: ten times slower."""
    header = f"[{GROUP}]".encode()
    for folder in filter(os.path.isdir, sys.path):
        packages = [f"{folder}/{name}" for name in os.listdir(folder) if name.endswith(".dist-info")]
        for package in packages:
            with suppress(FileNotFoundError), open(f"{package}/entry_points.txt", "rb") as file:
                if header in file.read():
                    return True
    return False
