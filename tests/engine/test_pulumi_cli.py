"""The whole program under the real Pulumi CLI, from preview to destroy; a fake provider stands in for Kubernetes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from espalier.commands.plan import plan
from espalier.commands.project import open_project, program_of
from espalier.engine.record import record

FLAGS = ("--yes", "--skip-preview")


Cli = Any
"""conftest.py's `Cli`."""


def contents(cli: Cli) -> dict[tuple[str, str], str]:
    return {key: file.read_text() for key, file in cli.objects().items()}


def count(cli: Cli) -> int:
    """How many resources the stack `local` has by Espalier's own recording."""
    return len(record(program_of(open_project(str(cli.folder / "stacks/Pulumi.local.yaml")))).resources)


@pytest.mark.supports("Pulumi CLI", "planned")
def test_up_makes_every_object_of_the_plan(brought_up: Cli) -> None:
    planned = plan(open_project(str(brought_up.folder / "stacks/Pulumi.local.yaml"))).document["kubernetes"]
    made = [json.loads(text) for text in contents(brought_up).values()]

    def named(obj: Any) -> tuple[str, str, str]:
        return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]

    assert sorted(map(named, made)) == sorted(map(named, planned))


def test_a_second_up_does_nothing(brought_up: Cli) -> None:
    before = contents(brought_up)
    said = brought_up.pulumi("up", "--stack", "local", *FLAGS)
    assert f"{count(brought_up)} unchanged" in said
    assert "created" not in said
    assert "updated" not in said
    assert contents(brought_up) == before


def test_refresh_sees_drift_and_up_mends_it(brought_up: Cli) -> None:
    before = contents(brought_up)
    files = brought_up.objects()
    files["kubernetes:core/v1:Namespace", "vision"].unlink()
    quota = files["kubernetes:core/v1:ResourceQuota", "language-dev/tenant"]
    drifted = json.loads(quota.read_text())
    drifted["spec"]["hard"]["requests.cpu"] = "1"
    quota.write_text(json.dumps(drifted))

    brought_up.pulumi("refresh", "--stack", "local", *FLAGS)
    assert brought_up.changes("local") == {
        "platform-tenant-vision-team-namespace": "create",
        "platform-tenant-language-dev-quota": "update",
    }
    brought_up.pulumi("up", "--stack", "local", *FLAGS)
    after = contents(brought_up)
    assert after.keys() == before.keys()
    assert json.loads(quota.read_text())["spec"]["hard"]["requests.cpu"] == "100"


def test_a_changed_stack_file_changes_what_it_says_and_nothing_else(brought_up: Cli) -> None:
    def change(config: dict[str, Any]) -> None:
        vision = config["espalier:tenants"][0]
        vision["quota"]["cpu"] = 150
        vision["groups"]["admin"] = ["vision-leads"]
        del vision["groups"]["view"]

    brought_up.configure("local", change)
    assert brought_up.changes("local") == {
        "platform": "update",  # the facts that it registers hold the tenants
        "platform-tenant-vision-team-quota": "update",
        "platform-tenant-vision-team-view-role": "delete",
        "platform-tenant-vision-team-view-binding": "delete",
        "platform-tenant-vision-team-admin-role": "create",
        "platform-tenant-vision-team-admin-binding": "create",
    }
    before = contents(brought_up)
    brought_up.pulumi("up", "--stack", "local", *FLAGS)
    after = contents(brought_up)
    touched = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert {id_.partition("/")[0] for _, id_ in touched} == {"vision"}


def test_destroy_leaves_nothing(brought_up: Cli) -> None:
    provider = next(r for r in brought_up.state("local").values() if r["type"] == "pulumi:providers:kubernetes")
    assert "ciphertext" in provider["inputs"]["kubeconfig"], "a kubeconfig may hold credentials"
    brought_up.pulumi("destroy", "--stack", "local", *FLAGS)
    assert brought_up.objects() == {}
    assert brought_up.state("local") == {}


class TestPolicies:
    """The pack that `--policy-pack policies` loads."""

    def test_a_good_stack_passes(self, project: Cli) -> None:
        said = project.pulumi("preview", "--stack", "local", "--policy-pack", "policies")
        assert f"{count(project)} to create" in said
        assert "espalier@v" in said
        assert "[mandatory]" not in said

    def test_a_stack_above_its_ceiling_is_refused_by_name_before_anything_is_made(self, project: Cli) -> None:
        def change(config: dict[str, Any]) -> None:
            config["espalier:cost"] = {"ceiling": 1}

        project.configure("local", change)
        said = project.pulumi("up", "--stack", "local", "--yes", "--policy-pack", "policies", fails=True)
        assert "[mandatory]" in said
        assert "cost-ceiling" in said
        assert project.objects() == {}


def test_a_mistake_in_the_stack_file_is_told_with_its_line_and_no_traceback(project: Cli) -> None:
    def change(config: dict[str, Any]) -> None:
        config["espalier:pools"][1]["count"] = "eight"

    project.configure("local", change)
    lines = (project.folder / "stacks/Pulumi.local.yaml").read_text().splitlines()
    [line] = [number for number, text in enumerate(lines, 1) if "count: eight" in text]
    said = project.pulumi("preview", "--stack", "local", fails=True)
    assert f"espalier:pools[1].count (line {line}): got 'eight'" in said
    assert "Traceback" not in said


def test_the_stack_file_that_the_cli_rewrote_is_still_right(brought_up: Cli) -> None:
    file = brought_up.folder / "stacks/Pulumi.local.yaml"
    assert "encryptionsalt" in file.read_text()
    assert open_project(str(file)).blueprint.pools
