"""The folder that `backup` writes and `restore` reads: a file an entry, and backup.json, which says what each is.

backup.json is written anew after each entry: what a crash leaves is a backup that failed, and the same command goes on
with it. Files get their name when they are whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from espalier.commands.files import writing
from espalier.commands.project import Project
from espalier.report.documents import BackupFile, SavedEntry
from espalier.types import Mistake, Mistakes
from espalier.whole import write_whole

LIST: Final = "backup.json"
_READ: Final = 2**20
_SQLITE: Final = b"SQLite format 3\x00"
_END_OF_SQL: Final = b"-- Dump completed"
_END_OF_TAR: Final = bytes(1024)


class CutOffError(Exception):
    """What came out of a pod is not the whole."""


def begin(folder: Path, project: Project) -> list[SavedEntry]:
    """What an earlier backup of this stack that failed has in the folder. Raises Mistakes where it holds other things.

    The folder is there afterwards, for its owner alone: dumps have tokens and names of people in them.
    """
    accepted = "an empty folder, a new one, or a backup of this stack that failed"
    if folder.exists() and not folder.is_dir():
        raise Mistakes([Mistake("-o", f"{folder} is a file", accepted, "Name another path.")])
    with writing("-o", folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        used = any(folder.iterdir())
    if not used:
        return []
    if not (folder / LIST).exists():
        raise Mistakes([Mistake("-o", f"{folder} holds other files", accepted, "Name another folder.")])
    there = read(folder, "-o")
    if (there["project"], there["stack"]) != (project.name, project.stack.name):
        got = f"{folder} holds a backup of {there['stack']}, project {there['project']}"
        raise Mistakes([Mistake("-o", got, accepted, "Name another folder.")])
    if there["complete"]:
        got, do = f"{folder} holds a whole backup, of {there['time']}", "Name another folder: none is overwritten."
        raise Mistakes([Mistake("-o", got, accepted, do)])
    return there["entries"]


def read(folder: Path, option: str) -> BackupFile:
    """What backup.json says. Raises Mistakes where it is not one that `backup` wrote."""
    path, do = folder / LIST, "Name the folder that `espalier backup` wrote."
    try:
        return TypeAdapter(BackupFile).validate_json(path.read_bytes())
    except OSError as error:
        got = f"{path}: {error.strerror}"
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        got = f"{path}: {f'{where}: ' if where else ''}{first['msg']}"
    raise Mistakes([Mistake(option, got, "a backup", do)])


def write(folder: Path, listed: BackupFile) -> None:
    """Raises Mistakes where it cannot be written."""
    with writing("-o", folder):
        write_whole(folder / LIST, json.dumps(listed, indent=1) + "\n")


def keep(draft: Path, path: Path) -> tuple[int, str]:
    """Gives what came out its name; its size in bytes, and its SHA-256. Raises CutOffError, and OSError.

    Only what is on the disk counts: a machine that loses power now has it.
    """
    with open(draft, "rb") as file:
        os.fsync(file.fileno())
    if wrong := flaw(draft, path.suffix):
        raise CutOffError(wrong)
    size, digest = draft.stat().st_size, digest_of(draft)
    draft.replace(path)
    return size, digest


def flaw(path: Path, kind: str) -> str:
    """Why a file cannot be the whole of what was to be saved; "" where nothing speaks against it.

    A stream from a pod may end early and kubectl not know of it: each kind of file says where it ends.
    """
    size = path.stat().st_size
    if not size:
        return "nothing came out"
    with open(path, "rb") as file:
        head = file.read(32)
        file.seek(max(0, size - len(_END_OF_TAR)))
        tail = file.read()
    if kind == ".sql" and _END_OF_SQL not in tail:
        return "it is cut off: it lacks the line that mysqldump ends with"
    if kind == ".tar" and tail != _END_OF_TAR:
        return "it is cut off: it lacks the blocks that tar ends with"
    if kind == ".sqlite":
        page = int.from_bytes(head[16:18], "big")
        page = 65536 if page == 1 else page
        if not head.startswith(_SQLITE) or size < page * int.from_bytes(head[28:32], "big"):
            return "it is cut off, or no database of SQLite"
    return ""


def digest_of(path: Path) -> str:
    """SHA-256 in hex. Raises OSError."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(_READ):
            found.update(part)
    return found.hexdigest()


def damaged(folder: Path, entry: SavedEntry) -> str:
    """Why a saved file is not what was saved; "" where it is."""
    path = folder / entry["file"]
    if not path.resolve().is_relative_to(folder.resolve()):
        return f"{entry['file']} is no file of this folder"
    try:
        if digest_of(path) == entry["sha256"]:
            return ""
    except OSError as error:
        return f"{path}: {error.strerror}"
    return f"{path} is not what was saved: its SHA-256 differs"


def find(entries: Sequence[SavedEntry], file: str) -> SavedEntry | None:
    """The entry that was saved under a name."""
    return next((one for one in entries if one["file"] == file and one["state"] == "saved"), None)
