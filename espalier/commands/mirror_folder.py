"""The folder that `mirror` writes: what stands in its files, and how they come into it whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from espalier.charts.cache import Cache
from espalier.charts.registry import Reference
from espalier.commands.files import writing
from espalier.report.documents import MirroredImage, MirroredSource
from espalier.types import Mistake, Mistakes

MARKER: Final = ".espalier-mirror"
"""Says whose folder it is, and lists its files: what is not among them is somebody's else."""
_STAND_IN: Final = "registry.example.com/mirror"


@dataclass(frozen=True, slots=True)
class Carried:
    """All that is carried for a stack. `registry` is the one of its own; "" where its stack file names none."""

    stack: str
    registry: str
    sources: tuple[MirroredSource, ...]
    images: tuple[MirroredImage, ...]

    def texts(self) -> dict[str, str]:
        """The files but for sources and lock, by name."""
        listed = {"stack": self.stack, "registry": self.registry, "sources": self.sources, "images": self.images}
        return {
            "README.md": _readme(self),
            "images.json": json.dumps(listed, indent=1) + "\n",
            "images.txt": "".join(f"{row['image']}\n" for row in self.images),
            "skopeo.yaml": _skopeo(self.images),
        }


def refuse_others(folder: Path, stack: str) -> None:
    """Raises Mistakes where the folder holds what is not an earlier mirror of this stack."""
    accepted, do = "an empty folder, a new one, or an earlier mirror of this stack", "Name another folder."
    if folder.exists() and not folder.is_dir():
        raise Mistakes([Mistake("-o", f"{folder} is a file", accepted, "Name another path.")])
    with writing("-o", folder):
        if folder.is_dir() and not (folder / MARKER).exists() and any(folder.iterdir()):
            raise Mistakes([Mistake("-o", f"{folder} holds other files", accepted, do)])
        of = _marked(folder).get("stack", stack)
    if of != stack:
        raise Mistakes([Mistake("-o", f"{folder} holds the mirror of {of}", accepted, do)])


def _marked(folder: Path) -> Mapping[str, Any]:
    """What the marker says; nothing where there is none that can be read."""
    try:
        content = json.loads((folder / MARKER).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write(folder: Path, carried: Carried, cache: Cache, lock: Path) -> list[str]:
    """Writes all to a draft inside the folder, then moves it into place; gives the files, sorted.

    Files of an earlier mirror that are not wanted any more go; others stay. Raises Mistakes.
    """
    earlier = [str(name) for name in _marked(folder).get("files") or [] if ".." not in Path(str(name)).parts]
    texts = carried.texts()
    wanted = {*texts, *(row["file"] for row in carried.sources)} | ({lock.name} if lock.is_file() else set[str]())
    names = sorted(wanted)
    foreign = [name for name in names if name not in earlier and (folder / name).exists()]
    if foreign:
        do = "Move it away, or name another folder."
        raise Mistakes([Mistake("-o", f"{folder / foreign[0]} is not of an earlier mirror", "no such file", do)])
    draft, new = folder / f"{MARKER}.{os.getpid()}", not folder.exists()
    with writing("-o", folder):
        try:
            for name, text in texts.items():
                _in(draft / name).write_text(text, "utf-8")
            for row in carried.sources:
                shutil.copyfile(cache.checked(row["digest"]), _in(draft / row["file"]))
            if lock.is_file():
                shutil.copyfile(lock, _in(draft / lock.name))
            marker = json.dumps({"stack": carried.stack, "files": sorted({*names, *earlier})}, indent=1)
            (folder / MARKER).write_text(marker + "\n", "utf-8")
            for name in names:
                os.replace(draft / name, _in(folder / name))
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            if new and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        for name in {*earlier} - wanted:
            (folder / name).unlink(missing_ok=True)
        (folder / MARKER).write_text(json.dumps({"stack": carried.stack, "files": names}, indent=1) + "\n", "utf-8")
    return names


def _in(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _skopeo(images: Sequence[MirroredImage]) -> str:
    """What `skopeo sync --src yaml` reads: tags, or digests where these are pinned, by registry and repository.

    Source: skopeo's own docs, skopeo-sync.1.md.
    """
    found: dict[str, dict[str, dict[str, list[str]]]] = {}
    for row in images:
        reference = Reference.of(row["image"])
        of_host = found.setdefault(reference.host, {"images": {}})["images"]
        of_host.setdefault(reference.repository, []).append(reference.digest or reference.tag)
    return yaml.safe_dump(found, sort_keys=True, width=1000)


def _readme(carried: Carried) -> str:
    registry = carried.registry or _STAND_IN
    rows = "".join(
        f"| `{row['id']}` | {row['version']} | {row['source']} | `{row['digest']}` |\n" for row in carried.sources
    )
    table = f"\n## Sources\n\n| add-on | version | from | digest |\n|---|---|---|---|\n{rows}"
    sources = table if rows else ""
    unknown = "".join(
        f"- `{row['image']}`: {row['unknown']}. {row['do']}\n" for row in carried.images if row["unknown"]
    )
    lacking = (
        f"\nDigests that no registry told, so that a copy cannot be held against them:\n\n{unknown}" if unknown else ""
    )
    return f"""\
# What `{carried.stack}` needs at a site without a network

Written by `espalier mirror`. Carry this folder; the stack files and `{carried.stack}.lock` come by version control.

## Images

`images.txt` lists {len(carried.images)}, `images.json` also their digests, architectures and users. Where one machine
reaches both sides (`--scoped` keeps the layout that `espalier:sources.registry` names):

    skopeo sync --all --preserve-digests --scoped --src yaml --dest docker skopeo.yaml {registry}

By a medium, first here, then there:

    skopeo sync --all --preserve-digests --scoped --src yaml --dest dir skopeo.yaml images
    skopeo sync --all --preserve-digests --scoped --src dir --dest docker images {registry}

Or with crane, by the very digests that are listed:

    jq -r '.images[] | select(.digest != "") | "\\(.name)@\\(.digest) {registry}/\\(.image)"' images.json |
      while read -r from to; do crane copy "$from" "$to"; done
{lacking}
## Stack file

    espalier:sources:
      mirror: <this folder, relative to the stack files>
      registry: {registry}

Then `espalier fetch {carried.stack}` fills the cache from here, and refuses what is not what the lock pins.
{sources}"""
