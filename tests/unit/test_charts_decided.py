"""A command builds the blueprint; the program that it runs is given that one, for the same settings alone."""

from __future__ import annotations

import contextvars
import shutil
from pathlib import Path
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.charts.place import Place
from espalier.charts.prepare import blueprint_of, decide
from espalier.commands.project import open_project, program_of
from espalier.engine.errors import ProgramError
from espalier.engine.record import record

ROOT = Path(__file__).parents[2]


class BuiltTwiceError(Exception):
    """Raised where a blueprint is built that should be at hand."""


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    (tmp_path / "stacks").mkdir()
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    path = tmp_path / "stacks" / "Pulumi.one.yaml"
    path.write_text("config: {espalier:cluster: {kind: simulated}, espalier:tenants: [{name: vision}]}")
    return path


def built_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: Any) -> None:
        raise BuiltTwiceError

    monkeypatch.setattr("espalier.charts.prepare.build", build)


def test_the_program_of_a_command_builds_nothing_again(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_project(str(stack))
    built_no_more(monkeypatch)
    assert len(record(program_of(opened)).resources) > 1


def test_a_program_of_ones_own_builds_for_itself(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = stack.parents[1] / "__main__.py"
    main.write_text(main.read_text() + "\npulumi.export('more', 1)\n")
    opened = open_project(str(stack))
    built_no_more(monkeypatch)
    with pytest.raises(ProgramError, match="BuiltTwiceError"):
        record(program_of(opened))


def test_it_holds_for_its_own_settings_and_its_own_place(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_project(str(stack))
    place, settings = Place.of(stack.parents[1], "one"), opened.stack.settings
    built_no_more(monkeypatch)

    def decided() -> None:
        decide(place, opened.blueprint)
        assert blueprint_of(settings, RECORDS, place) is opened.blueprint
        with pytest.raises(BuiltTwiceError):
            blueprint_of(settings.model_copy(update={"tenants": []}), RECORDS, place)
        with pytest.raises(BuiltTwiceError):
            blueprint_of(settings, RECORDS, Place.of(stack.parents[1], "two"))

    contextvars.copy_context().run(decided)
    with pytest.raises(BuiltTwiceError):
        blueprint_of(settings, RECORDS, place)
