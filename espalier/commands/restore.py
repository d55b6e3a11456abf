"""`restore`: brings back into the pods of a stack's add-ons what `backup` saved, after all of it was looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from espalier import failures
from espalier.addons.saved import restarting, restoring
from espalier.commands.asking import ask
from espalier.commands.backup_folder import damaged, find, read
from espalier.commands.kept_data import Kept, kept_data, running
from espalier.commands.kubectl import Kubectl, KubectlError, kubectl_of
from espalier.commands.project import Project, open_project
from espalier.engine.errors import Problem, RefusedError
from espalier.report.backup import show_restore, size_of
from espalier.report.console import Output, Progress
from espalier.report.documents import BackupFile, RestoredEntry, RestoreDocument, SavedEntry, header
from espalier.types import AddonRecord, ByHand, InPod, Mistake, Mistakes, older

Pair = tuple[Kept, InPod, SavedEntry]
"""Data with its commands, and what was saved of them."""


def restore(stack: str, folder: Path, named: Sequence[str], out: Output, *, yes: bool, source: str = "") -> int:
    """Brings back what commands in pods can, after a yes, and lists the rest; an entry that fails leaves the others.

    Raises Mistakes for names and folders, RefusedError for what must not be overwritten with it or is damaged, Missing
    without kubectl, a cluster or somebody to ask, and KubeError. Nothing is changed then.
    """
    project = open_project(stack)
    wanted = kept_data(project, named)
    listed = read(folder, "DIR")
    _of_this_stack(listed, project, source)
    pairs = [(one, one.by, row) for one in wanted if one.by and (row := find(listed["entries"], one.file))]
    if problems := list(_problems(project, listed, wanted, pairs, folder, named)):
        raise RefusedError("nothing was changed", problems)
    notes: dict[str, str] = {}
    if pairs:
        with kubectl_of(project) as kubectl:
            notes = {one.file: _age(kubectl, one, by, row) for one, by, row in pairs}
            for one, _, row in pairs:
                said = f"; {notes[one.file]}" if notes[one.file] else ""
                out.people.print(f"{one.name}: {size_of(row['bytes'])} of {row['time']}{said}", markup=False)
            if not yes:
                ask(f"Overwrite with this what {project.stack.name} has now?", out)
            with out.progress(f"bringing back what add-ons of {project.stack.name} keep") as progress:
                failed = _bring_back(kubectl, pairs, folder, progress)
    else:
        failed = {}
    rows = [*(_row(one, pairs, notes, failed) for one in wanted), *_not_here(listed, wanted, named)]
    do = "See to it; then the same command brings it back once more."
    errors = [
        failures.entry(f"{row['addon']}: {row['what']}", row["note"], "", do)
        for row in rows
        if row["state"] == "failed"
    ]
    document: RestoreDocument = {
        **header("restore", errors),
        "stack": project.stack.name,
        "folder": str(folder),
        "time": listed["time"],
        "entries": rows,
    }
    show_restore(out, document)
    out.document(document)
    return failures.FAILED if errors else 0


def _of_this_stack(listed: BackupFile, project: Project, source: str) -> None:
    """Raises Mistakes where it is a backup of another stack, and nobody said that this is meant."""
    wanted = source or project.stack.name
    if listed["stack"] != wanted:
        do = f"Name another folder; where it is meant, say --from {listed['stack']}."
        raise Mistakes([Mistake("DIR", f"a backup of {listed['stack']}", f"a backup of {wanted}", do)])


def _problems(
    project: Project,
    listed: BackupFile,
    wanted: Sequence[Kept],
    pairs: Sequence[Pair],
    folder: Path,
    named: Sequence[str],
) -> Iterator[Problem]:
    """All that speaks against it, before anything is asked of the cluster."""
    saved = [one.file for one, _, _ in pairs]
    failed = {row["file"] for row in listed["entries"] if row["state"] == "failed"}
    for one in wanted:
        if one.by and one.file not in saved and (named or one.file in failed):
            why = "failed when it was saved" if one.file in failed else "is not in this backup"
            yield Problem(one.name, why, "name the add-ons to bring back, without it")
    for one, _, row in pairs:
        if why := damaged(folder, row):
            yield Problem(one.name, why, "take another copy of the backup")
        yield from _by_version(one, project.records[one.addon], row["version"])


def _by_version(kept: Kept, record: AddonRecord, old: str) -> Iterator[Problem]:
    """Data of a newer add-on, which an older one does not read, and of one that is a move of data away."""
    new = kept.version
    if not old or not new:
        return
    if older(new, old):
        do = f"bring the stack to {kept.addon} {old} or later first"
        yield Problem(kept.name, f"was saved from {old}, and {new} does not read what is newer than it", do)
    for step in record.upgrades:
        if step.between(old, new):
            do = f"bring it back to {kept.addon} {old} and upgrade from there. {step.do}"
            yield Problem(kept.name, f"was saved from {old}, and {new} runs: {step.why} ({step.source})", do)


def _age(kubectl: Kubectl, kept: Kept, by: InPod, row: SavedEntry) -> str:
    """How what was saved stands to what runs; "" where both are the same. Raises RefusedError where nothing runs."""
    try:
        image = running(kubectl, kept, by)
    except KubectlError as error:
        do = "bring the stack up first"
        raise RefusedError("nothing was changed", [Problem(kept.name, str(error), do)]) from None
    if not row["version"]:
        return f"of an unknown version, by {row['image']}; {image} runs"
    if row["version"] != kept.version:
        return f"of {row['version']}, which {kept.version} is to take over when it starts"
    return f"by {row['image']}; {image} runs" if row["image"] != image else ""


def _bring_back(kubectl: Kubectl, pairs: Sequence[Pair], folder: Path, progress: Progress) -> dict[str, str]:
    """Why what failed did, by file. Servers start anew when all of their add-on's data are back."""
    failed: dict[str, str] = {}
    for one, by, row in pairs:
        said = f"bringing back {one.name}: {size_of(row['bytes'])}"
        progress(said)
        try:
            kubectl.run(restoring(one.data, by), lambda said=said: progress(said), source=folder / row["file"])
        except (KubectlError, OSError) as error:
            failed[one.file] = str(error)
    for one, by, _ in pairs:
        for workload in by.restarts if one.file not in failed else ():
            try:
                kubectl.ask(*restarting(one.data, workload))
            except KubectlError as error:
                failed[one.file] = f"it is back, but {workload} did not start anew: {error}"
    return failed


def _row(kept: Kept, pairs: Sequence[Pair], notes: dict[str, str], failed: dict[str, str]) -> RestoredEntry:
    row: RestoredEntry = {
        "addon": kept.addon,
        "what": kept.data.what,
        "state": "yours",
        "file": kept.file,
        "note": "kept elsewhere: bringing it back is yours",
    }
    if not kept.ours:
        return row
    if isinstance(kept.data.by, ByHand):
        return {**row, "state": "by-hand", "note": kept.data.by.restore}
    if kept.file in failed:
        return {**row, "state": "failed", "note": failed[kept.file]}
    if any(one.file == kept.file for one, _, _ in pairs):
        return {**row, "state": "restored", "note": notes[kept.file]}
    return {**row, "state": "not-saved", "note": "it is not in this backup"}


def _not_here(listed: BackupFile, wanted: Sequence[Kept], named: Sequence[str]) -> Iterator[RestoredEntry]:
    """What was saved and has no place in the stack now."""
    there = {one.file for one in wanted}
    for row in listed["entries"]:
        if row["state"] == "saved" and row["file"] not in there and (not named or row["addon"] in named):
            yield {
                "addon": row["addon"],
                "what": row["what"],
                "state": "not-here",
                "file": row["file"],
                "note": "the stack has not what would take it, or keeps it elsewhere",
            }
