"""`render`: every Kubernetes object of a stack as a file that other tools can read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from espalier.types import Mistake, Mistakes

MARKER = ".espalier-render"
"""Lists the files of the last render; its presence says that the folder may be rewritten."""


@contextmanager
def writing(option: str, path: Path) -> Generator[None]:
    """What the system refuses to write where `option` says, as a mistake of that option."""
    try:
        yield
    except OSError as error:
        got = f"{path}: {error.strerror or error}"
        raise Mistakes([Mistake(option, got, "a place that can be written", "Name another path.")]) from None


def render(objects: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """Writes each object to `<namespace or _cluster>/<kind>-<name>.yaml`; returns the paths, sorted.

    Files of an earlier render are removed first. Raises Mistakes where the folder holds something else.
    """
    with writing("-o", folder):
        return _render(objects, folder)


def _render(objects: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """Writes all to a draft inside the folder first: a disk that gets full leaves the earlier render."""
    earlier, new = _earlier(folder), not folder.exists()
    contents = {_path_of(obj): yaml.safe_dump(dict(obj), sort_keys=True, allow_unicode=True) for obj in objects}
    names = sorted(contents)
    contents[MARKER] = json.dumps(names, indent=1) + "\n"
    draft = folder / f"{MARKER}.{os.getpid()}"
    try:
        for name, text in contents.items():
            _made(draft / name).write_text(text, "utf-8")
        for name in contents:
            os.replace(draft / name, _made(folder / name))
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    for name in earlier:
        if name not in contents:
            (folder / name).unlink(missing_ok=True)
    return names


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _earlier(folder: Path) -> list[str]:
    marker = folder / MARKER
    if folder.is_file():
        raise Mistakes([Mistake("-o", f"{folder} is a file", "a folder", "Name another path.")])
    if marker.is_file():
        return [name for name in json.loads(marker.read_text("utf-8")) if ".." not in Path(name).parts]
    if folder.is_dir() and any(folder.iterdir()):
        accepted = "an empty folder, a new one, or one that an earlier render wrote"
        raise Mistakes([Mistake("-o", f"{folder} holds other files", accepted, "Name another folder.")])
    return []


def _path_of(obj: Mapping[str, Any]) -> str:
    metadata = obj["metadata"]
    name = str(metadata["name"]).replace(":", "_").replace("/", "_")
    return f"{metadata.get('namespace', '_cluster')}/{str(obj['kind']).lower()}-{name}.yaml"
