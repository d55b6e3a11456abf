"""What the command makes of Pulumi's log of events, and what it says without a Pulumi (tests/engine has one)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from espalier.commands.by_pulumi import changes

ROOT = Path(__file__).parents[2]


def event(name: str, op: str, kind: str = "resOutputsEvent", type_: str = "aws:ec2/vpc:Vpc", **more: Any) -> Any:
    step = {"urn": f"urn:pulumi:dev::p::{type_}::{name}", "op": op, "type": type_, "new": {"custom": True}, **more}
    return {"sequence": 1, kind: {"metadata": step}}


def told(*events: Any, planned: bool = False) -> list[tuple[str, str, tuple[str, ...]]]:
    found = changes(events, planned=planned)
    return [(change.urn.rpartition("::")[2], change.op, change.fields) for change in found]


def test_a_replacement_of_several_steps_is_one_change() -> None:
    steps = [
        event("net", "create-replacement", detailedDiff={"cidrBlock": {}}),
        event("net", "replace", detailedDiff={"cidrBlock": {}}),
        event("net", "delete-replaced", new=None, old={"custom": True}),
    ]
    assert told(*steps) == [("net", "replace", ("cidrBlock",))]


def test_components_providers_and_reads_are_no_changes() -> None:
    others = [
        event("group", "create", new={}),
        event("cluster", "create", type_="pulumi:providers:kubernetes"),
        event("looked-up", "read"),
    ]
    assert told(*others, event("net", "same")) == [("net", "same", ())]


def test_a_preview_tells_what_is_planned_and_an_up_what_was_done() -> None:
    planned, done = event("a", "create", "resourcePreEvent"), event("b", "update", diffs=["tags"])
    assert told(planned, done, planned=True) == [("a", "create", ())]
    assert told(planned, done) == [("b", "update", ("tags",))]


@pytest.mark.parametrize("command", [["preview"], ["up", "--yes"], ["destroy", "--yes"]])
def test_without_a_pulumi_it_says_what_to_do(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "espalier.cli", command[0], "existing", "--engine", "pulumi", *command[1:], "--json"],
        cwd=ROOT,
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    [error] = json.loads(done.stdout)["errors"]
    assert "not on PATH" in error["got"]
    assert "--engine embedded" in error["do"]


CLOUD_STACK = """\
config:
  espalier:cluster:
    kind: eks
    name: far
    version: "1.35"
    region: us-east-1
    access: {via: network, admins: ["arn:aws:iam::123456789012:role/platform"]}
  espalier:pools:
    - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 3}}
"""


@pytest.mark.parametrize("command", [["preview"], ["up", "--yes"], ["destroy", "--yes"]])
@pytest.mark.parametrize(
    ("engine", "got", "do"),
    [
        ([], "not on PATH", "espalier rehearse far"),
        (["--engine", "embedded"], "the embedded engine makes nothing in a cloud", "espalier rehearse far"),
    ],
)
def test_a_clouds_stack_is_pulumis_alone(
    command: list[str], engine: list[str], got: str, do: str, tmp_path: Path
) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: t\nruntime: python\nstackConfigDir: stacks\n")
    (tmp_path / "stacks" / "Pulumi.far.yaml").write_text(CLOUD_STACK)
    done = subprocess.run(
        [sys.executable, "-m", "espalier.cli", command[0], "far", *engine, *command[1:], "--json"],
        cwd=tmp_path,
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    [error] = json.loads(done.stdout)["errors"]
    assert got in error["got"]
    assert do in error["do"]


PULUMI = """#!/bin/sh
case "$2" in
  ls) echo '[{"name": "far"}]' ;;
  output) echo '{}' ;;
esac
"""


@pytest.mark.parametrize(
    ("pulumi", "got"),
    [("", "far is a cloud's cluster, which Pulumi makes"), (PULUMI, "far has no cluster in Pulumi's state")],
)
def test_a_clouds_cluster_is_verified_by_the_kubeconfig_that_its_stack_exports(
    pulumi: str, got: str, tmp_path: Path
) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: t\nruntime: python\nstackConfigDir: stacks\n")
    (tmp_path / "stacks" / "Pulumi.far.yaml").write_text(CLOUD_STACK)
    if pulumi:
        (tmp_path / "pulumi").write_text(pulumi)
        (tmp_path / "pulumi").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "espalier.cli", "verify", "far", "--json"],
        cwd=tmp_path,
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    [error] = json.loads(done.stdout)["errors"]
    assert got in error["got"]
