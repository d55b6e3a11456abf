"""`backup`: what a stack's add-ons keep, saved out of their pods into a folder, each file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from espalier import failures
from espalier.addons.saved import saving
from espalier.commands.backup_folder import CutOffError, begin, damaged, find, keep, write
from espalier.commands.kept_data import Kept, kept_data, running
from espalier.commands.kubectl import Kubectl, KubectlError, kubectl_of
from espalier.commands.project import Project, open_project
from espalier.report.backup import show_backup, size_of
from espalier.report.console import Output, Progress
from espalier.report.documents import SCHEMA_VERSION, BackupDocument, BackupFile, ErrorEntry, SavedEntry, header
from espalier.types import ByHand


def backup(stack: str, folder: Path, named: Sequence[str], out: Output) -> int:
    """Saves what commands in pods can, and lists the rest; an entry that fails leaves the others.

    Raises Mistakes for names and folders, Missing without kubectl or a cluster, and KubeError.
    """
    project = open_project(stack)
    wanted = kept_data(project, named)
    with kubectl_of(project) as kubectl:
        earlier = begin(folder, project)
        listed = _begun(project, [one for one in earlier if _stays(one, wanted)])
        with out.progress(f"saving what add-ons of {project.stack.name} keep") as progress:
            for one in wanted:
                before = find(earlier, one.file) if one.file else None
                there = before is not None and not damaged(folder, before)
                listed["entries"].append(before if before and there else _saved(kubectl, one, folder, progress))
                listed["entries"].sort(key=lambda row: (row["addon"], row["what"]))
                write(folder, listed)
    errors = [_error(row) for row in listed["entries"] if row["state"] == "failed"]
    listed["complete"] = not errors
    write(folder, listed)
    document: BackupDocument = {
        **header("backup", errors),
        "stack": project.stack.name,
        "folder": str(folder),
        "complete": listed["complete"],
        "entries": listed["entries"],
    }
    show_backup(out, document)
    out.document(document)
    return failures.FAILED if errors else 0


def _begun(project: Project, entries: list[SavedEntry]) -> BackupFile:
    try:
        ours = version("espalier")
    except PackageNotFoundError:
        ours = ""
    return {
        "schema_version": SCHEMA_VERSION,
        "espalier": ours,
        "project": project.name,
        "stack": project.stack.name,
        "time": _now(),
        "complete": False,
        "entries": entries,
    }


def _stays(entry: SavedEntry, wanted: Sequence[Kept]) -> bool:
    """Whether an entry of an earlier try is left as it is: its add-on is not asked for now."""
    return all(entry["addon"] != one.addon for one in wanted)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _saved(kubectl: Kubectl, kept: Kept, folder: Path, progress: Progress) -> SavedEntry:
    """What became of one: it never raises for what happens in the cluster or on the disk."""
    row = _row(kept)
    if kept.by is None:
        return row
    path = folder / kept.file
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    begun = _now()
    progress(f"saving {kept.name}")

    def tell() -> None:
        with suppress(OSError):
            progress(f"saving {kept.name}: {size_of(draft.stat().st_size)}")

    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        row["image"] = running(kubectl, kept, kept.by)
        if kept.image and row["image"] != kept.image:
            row["version"] = ""
        kubectl.run(saving(kept.data, kept.by), tell, target=draft)
        row["bytes"], row["sha256"] = keep(draft, path)
        row["state"], row["time"] = "saved", begun
    except (KubectlError, OSError, CutOffError) as error:
        row["note"] = str(error)
    finally:
        draft.unlink(missing_ok=True)
    return row


def _row(kept: Kept) -> SavedEntry:
    by = kept.data.by
    row: SavedEntry = {
        "addon": kept.addon,
        "version": kept.version,
        "what": kept.data.what,
        "state": "failed",
        "file": kept.file,
        "bytes": 0,
        "sha256": "",
        "image": "",
        "time": "",
        "note": "",
    }
    if not kept.ours:
        return {**row, "state": "yours", "note": "kept elsewhere: its backup is yours"}
    return {**row, "state": "by-hand", "note": by.save} if isinstance(by, ByHand) else row


def _error(row: SavedEntry) -> ErrorEntry:
    do = "See to it; then the same command goes on with what failed."
    return failures.entry(f"{row['addon']}: {row['what']}", row["note"], "", do)
