"""`init`: a project to start from. It writes what is not there, and nothing else."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, get_args

from espalier.commands.files import writing
from espalier.engine.standard import STANDARD
from espalier.report.console import Output
from espalier.report.documents import InitDocument, header
from espalier.settings.explain import nearest
from espalier.settings.files import stack_folder, stack_name
from espalier.settings.schema import schema_text
from espalier.types import Mistake, Mistakes

Kind = Literal["simulated", "existing", "eks", "gke", "aks"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_EXTRAS: Final[Mapping[Kind, str]] = {
    "simulated": "[sim]",
    "existing": "",
    "eks": "[aws]",
    "gke": "[gcp]",
    "aks": "[azure]",
}
"""What the stack needs beyond the package itself (pyproject.toml)."""
_PROJECT: Final = """\
name: {name}
description: A machine-learning platform on Kubernetes from one typed stack file.
runtime:
  name: python
  options:
    toolchain: pip
    virtualenv: .venv
stackConfigDir: stacks
"""
_PROGRAM: Final = '"""The platform of the current stack: settings, checked and typed, become Pulumi components."""\n'


def kind_of(text: str) -> Kind:
    """What `--kind` says. Raises Mistakes with the nearest that there is."""
    for kind in KINDS:
        if kind == text:
            return kind
    near = nearest(text, KINDS)
    do = f"Did you mean {near}?" if near else "Choose one."
    raise Mistakes([Mistake("--kind", repr(text)[:60], ", ".join(KINDS), do)])


def init(folder: Path, stack: str, kind: Kind, out: Output) -> int:
    """A project with one stack file; in a project that is there, the stack file alone.

    Raises Mistakes where the stack has a file already, its name is none, or the folder cannot be written.
    """
    with writing("FOLDER", folder):
        new = not (folder / "Pulumi.yaml").exists()
        stacks = folder / "stacks" if new else stack_folder(folder)
        file = stacks / f"Pulumi.{stack}.yaml"
        _judge(folder, stack, new, file)
        # Pulumi.yaml comes last: where this ends before it, the next try makes the rest.
        wanted = {
            stacks / "schema.json": schema_text(),
            file: _starter(kind),
            **(_project(folder, kind) if new else {}),
        }
        kept = [path for path in wanted if path.exists()]
        for path, text in wanted.items():
            if path not in kept:
                _write(path, text)
    written = sorted(str(path) for path in wanted if path not in kept)
    for path in written:
        out.people.print(f"wrote {path}", markup=False)
    for path in kept:
        out.people.print(f"left {path} as it is", markup=False)
    for line in _next(folder, stack, kind):
        out.people.print(line, markup=False)
    document: InitDocument = {
        **header("init"),
        "stack": stack,
        "kind": kind,
        "folder": str(folder),
        "written": written,
        "kept": sorted(map(str, kept)),
    }
    out.document(document)
    return 0


def _judge(folder: Path, stack: str, new: bool, file: Path) -> None:
    found = list[Mistake]()
    if folder.exists() and not folder.is_dir():
        found.append(Mistake("FOLDER", str(folder), "a folder, or a path where nothing is", "Name another one."))
    try:
        named = stack_name(file) == stack
    except Mistakes:
        named = False
    if not named:
        accepted = "letters, digits, `-`, `_` and `.`, at most 100, a letter or digit first"
        found.append(Mistake("--stack", repr(stack)[:60], accepted, "Choose another name."))
    elif not new and file.exists():
        do = "Edit it, or name another one with --stack."
        found.append(Mistake("--stack", f"{file} is there already", "a stack that has no file yet", do))
    if found:
        raise Mistakes(found)


def _write(path: Path, text: str) -> None:
    """A file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, "utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _project(folder: Path, kind: Kind) -> dict[Path, str]:
    # Pulumi, sdk/go/common/tokens: a project's name has letters, digits, `-`, `_` and `.`, at most 100.
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name).strip("-.")[:100] or "ml-platform"
    return {
        folder / "__main__.py": _PROGRAM + STANDARD,
        folder / "requirements.txt": f"espalier{_EXTRAS[kind]}=={version('espalier')}\n",
        folder / ".gitignore": ".venv/\n__pycache__/\n.espalier/\n",
        folder / "Pulumi.yaml": _PROJECT.format(name=name),
    }


def _starter(kind: Kind) -> str:
    return (files("espalier.commands") / "starters" / f"{kind}.yaml").read_text("utf-8")


def _next(folder: Path, stack: str, kind: Kind) -> list[str]:
    bring, why = "up", "bring it up on this machine"
    if kind != "simulated":
        bring, why = "rehearse", "bring it up, verify it and take it down again, on this machine"
    steps = {
        f"edit stacks/Pulumi.{stack}.yaml": "put your own in place of its examples",
        f"espalier plan {stack}": "all mistakes at once; else what it will be and cost",
        f"espalier {bring} {stack}": why,
    }
    if folder != Path():
        steps = {f"cd {shlex.quote(str(folder))}": "", **steps}
    width = max(map(len, steps))
    return ["", "Next:", *(f"  {step:<{width}}  {what}".rstrip() for step, what in steps.items())]
