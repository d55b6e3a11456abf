"""From a stack's name to all that a command works on: the file, the blueprint, the program."""

from __future__ import annotations

import gc
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint
from espalier.blueprint.clouds.sdks import missing_sdk
from espalier.charts.place import Place
from espalier.charts.prepare import Progress, blueprint_of, decide
from espalier.failures import Missing
from espalier.settings import StackFile, find_stack, load_file
from espalier.settings.load import WrongSettingsError
from espalier.types import AddonRecord, Mistake, Mistakes


@dataclass(frozen=True, slots=True)
class Project:
    """One stack of one Pulumi project, read and decided. `root` is the folder of Pulumi.yaml and of the program."""

    name: str
    root: Path
    stack: StackFile
    blueprint: Blueprint
    records: Mapping[str, AddonRecord]
    """All add-ons that the stack may name."""


def open_project(stack: str) -> Project:
    """The stack that `stack` names (a name, or a path to a stack file), with the content of its add-ons rendered.

    Raises Mistakes with all that is wrong with the file, the catalogue's limits, the solver's and the content.
    """
    path = find_stack(stack, Path.cwd())
    with _without_garbage_collection():
        file, records, blueprint = read_stack(path)
    root = project_root(file.path)
    return Project(project_name(root), root, file, blueprint, records)


@contextmanager
def _without_garbage_collection() -> Generator[None]:
    """What charts render is megabytes that stay: a collector that looks through them again and again takes a third of
    the time and finds nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read_stack(path: Path) -> tuple[StackFile, Mapping[str, AddonRecord], Blueprint]:
    """A stack file, its add-ons and its blueprint.

    Raises Mistakes, each with its line where the file itself gave the value.
    """
    try:
        file = load_file(path)
    except WrongSettingsError as error:
        from espalier.commands.halfway import all_mistakes

        raise all_mistakes(error, Place.of(path.resolve().parent, "")) from None
    place = Place.of(path.resolve().parent, file.name)
    try:
        records = place.records(RECORDS, file.settings.addons)
        return file, records, blueprint_of(file.settings, records, place, _progress())
    except Mistakes as error:
        raise Mistakes(file.located(error.mistakes)) from None


def _progress() -> Progress:
    """The first render builds its renderer, which takes minutes: said on stderr, whatever the command."""
    from espalier.report.console import Output

    lines: Progress | None = None

    def tell(line: str) -> None:
        nonlocal lines
        if lines is None:
            lines = Output(as_json=True).lines()
        lines(line)

    return tell


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
    """The project's own `__main__.py` with this stack's configuration, ready for the engine.

    Raises Missing where it needs a cloud's SDK that is not installed.
    """
    if project.blueprint.cloud is not None and (missing := missing_sdk(project.blueprint.cloud.kind)):
        raise Missing(f"{project.stack.name} needs the Python package {missing[0]}", missing[1])
    from espalier.engine.program import Program
    from espalier.engine.standard import is_standard

    file = project.stack
    secret, standard = frozenset(file.secret_keys), is_standard(project.root)
    before = partial(decide, Place.of(project.root, file.name), project.blueprint) if standard else None
    return Program(project.root, project.name, file.name, file.config, secret, standard, before)
