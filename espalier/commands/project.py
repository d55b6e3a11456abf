"""From a stack's name to all that a command works on: the file, the blueprint, the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.settings import StackFile, find_stack, load_file
from espalier.types import Mistake, Mistakes


@dataclass(frozen=True, slots=True)
class Project:
    """One stack of one Pulumi project, read and decided. `root` is the folder of Pulumi.yaml and of the program."""

    name: str
    root: Path
    stack: StackFile
    blueprint: Blueprint


def open_project(stack: str) -> Project:
    """The stack that `stack` names (a name, or a path to a stack file).

    Raises Mistakes with all that is wrong with the file, the catalogue's limits and the solver's.
    """
    file, blueprint = read_stack(find_stack(stack, Path.cwd()))
    root = project_root(file.path)
    return Project(project_name(root), root, file, blueprint)


def read_stack(path: Path) -> tuple[StackFile, Blueprint]:
    """A stack file and its blueprint. Raises Mistakes, each with its line where the file itself gave the value."""
    file = load_file(path)
    try:
        return file, build(file.settings, RECORDS)
    except Mistakes as error:
        raise Mistakes(file.located(error.mistakes)) from None


def project_root(path: Path) -> Path:
    """The nearest folder above `path` that holds a Pulumi.yaml."""
    for folder in path.resolve().parents:
        if (folder / "Pulumi.yaml").is_file():
            return folder
    raise Mistakes(
        [Mistake(str(path), "no Pulumi.yaml above it", "a stack file inside a Pulumi project", "Add a Pulumi.yaml.")]
    )


def project_name(root: Path) -> str:
    """The project's name, as Pulumi.yaml gives it; it is a part of every URN."""
    path = root / "Pulumi.yaml"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Mistakes([Mistake("Pulumi.yaml", str(error).splitlines()[0], "YAML", "Correct the file.")]) from None
    name = content.get("name") if isinstance(content, Mapping) else None
    if not isinstance(name, str):
        raise Mistakes([Mistake("Pulumi.yaml: name", repr(name), "a string", "Give the project a name.")])
    return name


def program_of(project: Project) -> Any:
    """The project's own `__main__.py` with this stack's configuration, ready for the engine."""
    from espalier.engine.program import Program

    file = project.stack
    return Program(project.root, project.name, file.name, file.config, frozenset(file.secret_keys))
