"""What README.md shows is what the commands say now."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.cli import main
from espalier.commands.plan import plan
from espalier.commands.project import open_project
from espalier.report.terminal import pools_table, tenants_table
from espalier.settings import load_file

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
WRONG = """\
# Lines and mistakes are those of the sample: what comes between them is of no account.


config:
  espalier:cluster:
    kind: simulated
    version: 1.36
  espalier:pools:
    - name: system
      machine: {cpu: 8, memory: 32Gi}
      nodes: {max: 3}
    - name: h100
      accelerator: H100-80
      count: eight
      nodes: {max: 4}















  espalier:tenants:
    - name: vision
      groups: {edit: [vision-engineers]}
      workspacs: [team]
      quota: {devices: {nvidia.com/gpu: 8, nvidia.com/gpu: 4}}
"""


def recorded(stack: str) -> list[str]:
    return (ROOT / "tests" / "unit" / "urns" / f"{stack}.txt").read_text().splitlines()


def block(start: str) -> str:
    return next(text for _, text in BLOCKS if text.startswith(start))


def test_the_resources_of_a_plan_are_as_many_as_it_says() -> None:
    (said,) = re.findall(r"espalier plan aws-prod +# (\d+) resources", README)
    assert int(said) == len(recorded("aws-prod"))


def test_an_up_of_local_creates_as_many_objects_as_it_says() -> None:
    objects = [urn for urn in recorded("local") if "$kubernetes:" in urn or "::kubernetes:" in urn]
    assert re.findall(r"^(\d+) create$", README, re.MULTILINE) == [str(len(objects))]
    assert re.findall(r"(\d+) of (\d+) resourceVersions equal", README) == [(str(len(objects)),) * 2]


def test_the_summary_of_an_up_is_what_it_shows() -> None:
    document = plan(open_project(str(ROOT / "stacks" / "Pulumi.local.yaml"))).document
    console = Console(width=400, file=io.StringIO(), record=True)
    console.print(pools_table(document["pools"], document["cost"]))
    console.print(tenants_table(document["tenants"]))
    shown = block(f"{re.findall('^([0-9]+ create)$', README, re.MULTILINE)[0]}\n").splitlines()
    assert {line.rstrip() for line in console.export_text().splitlines()} <= set(shown)


def test_mistakes_are_told_as_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.wrong.yaml").write_text(WRONG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["check", "wrong"])
    said = capsys.readouterr().out.replace(f"{tmp_path}/", "")
    assert [line.rstrip() for line in said.splitlines()] == block("wrong  wrong").splitlines()


def test_the_stack_file_that_it_shows_is_right(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.shown.yaml"
    path.write_text(block("config:"))
    made = build(load_file(path).settings, RECORDS)
    assert [pool.name for pool in made.pools] == ["h100", "a100-mig"]
    assert [tenant.name for tenant in made.tenants] == ["vision"]
