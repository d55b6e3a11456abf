"""`init`: a project that plans at once, and nothing that was there is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.cli import main
from espalier.commands.init import KINDS
from espalier.engine.standard import is_standard
from espalier.settings.schema import schema_text


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, json.loads(said.out), said.err


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_project_plans_without_an_edit(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, document, told = run(capsys, "init", "my platform", "--kind", kind)
    assert code == 0
    assert [Path(path).name for path in document["written"]] == [
        ".gitignore",
        "Pulumi.yaml",
        "__main__.py",
        "requirements.txt",
        "Pulumi.dev.yaml",
        "schema.json",
    ]
    assert "cd 'my platform'" in told
    root = Path("my platform")
    assert yaml.safe_load((root / "Pulumi.yaml").read_text())["name"] == "my-platform"
    assert is_standard(root)
    assert (root / "stacks" / "schema.json").read_text() == schema_text()
    assert not list(root.rglob(".*.[0-9]*"))
    os.chdir(root)
    code, plan, _ = run(capsys, "plan", "dev")
    assert (code, plan["errors"]) == (0, [])
    assert [policy["name"] for policy in plan["policies"] if not policy["ok"]] == []


def test_a_further_stack_leaves_the_project_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "init")
    Path("__main__.py").write_text("# mine\n")
    Path("stacks/schema.json").write_text("{}")
    code, document, _ = run(capsys, "init", "--stack", "prod", "--kind", "eks")
    assert (code, document["written"], document["kept"]) == (0, ["stacks/Pulumi.prod.yaml"], ["stacks/schema.json"])
    assert Path("__main__.py").read_text() == "# mine\n"
    code, document, _ = run(capsys, "init", "--stack", "prod")
    assert code == 2
    assert document["errors"] == [
        {
            "path": "--stack",
            "got": "stacks/Pulumi.prod.yaml is there already",
            "accepted": "a stack that has no file yet",
            "do": "Edit it, or name another one with --stack.",
        }
    ]


def test_what_is_there_already_stays(capsys: pytest.CaptureFixture[str]) -> None:
    Path("requirements.txt").write_text("mine\n")
    code, document, _ = run(capsys, "init")
    assert (code, document["kept"]) == (0, ["requirements.txt"])
    assert Path("requirements.txt").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--kind", "ekss"), "--kind: got 'ekss'; accepted: simulated, existing, eks, gke, aks. Did you mean eks?"),
        (("--kind", "moon"), "--kind: got 'moon'; accepted: simulated, existing, eks, gke, aks. Choose one."),
        (
            ("--stack", "a/b"),
            "--stack: got 'a/b'; accepted: letters, digits, `-`, `_` and `.`, at most 100, a letter or digit first. "
            "Choose another name.",
        ),
        (("file",), "FOLDER: got file; accepted: a folder, or a path where nothing is. Name another one."),
        (
            ("file/sub",),
            "FOLDER: got file/sub: Not a directory; accepted: a place that can be written. Name another path.",
        ),
    ],
)
def test_what_cannot_be_begun(words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("mine\n")
    code, document, _ = run(capsys, "init", *words)
    assert code == 2
    assert [f"{e['path']}: got {e['got']}; accepted: {e['accepted']}. {e['do']}" for e in document["errors"]] == [told]
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_a_disk_that_is_full_is_told_and_the_next_try_makes_the_rest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_text

    def full(path: Path, *args: Any, **more: Any) -> int:
        if "requirements" in path.name:
            raise OSError(28, "No space left on device")
        return real(path, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        code, document, _ = run(capsys, "init")
    assert (code, "No space left on device" in document["errors"][0]["got"]) == (2, True)
    assert not Path("Pulumi.yaml").exists()
    code, document, _ = run(capsys, "init")
    assert (code, "Pulumi.yaml" in document["written"], "requirements.txt" in document["written"]) == (0, True, True)
