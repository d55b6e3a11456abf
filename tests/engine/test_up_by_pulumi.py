"""`espalier preview|up|destroy --engine pulumi`: Pulumi does the work, the document tells what it did."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from espalier.report.documents import schema_of

Cli = Any
"""conftest.py's `Cli`."""


def espalier(cli: Cli, *command: str, code: int = 0, **env: str | None) -> dict[str, Any]:
    """The document of a command, valid by its schema; `env` changes the environment, None takes out of it."""
    given = {key: value for key, value in (cli.env | env).items() if value is not None}
    arguments = [sys.executable, "-m", "espalier.cli", *command, "--json"]
    done = cli.run(*arguments, fails=code != 0, env=given)
    assert done.returncode == code, done.stderr
    assert code == 1 or "Traceback" not in done.stderr, "Pulumi's own, where it stops a program half-way, is its own"
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema_of(command[0]))
    return document


def ops(document: dict[str, Any]) -> dict[str, str]:
    return {change["urn"].rpartition("::")[2]: change["op"] for change in document["changes"]}


def test_the_life_of_a_stack(project: Cli) -> None:
    """One test, since each step needs the one before: preview, up, up again, a change, destroy."""
    planned = espalier(project, "preview", "existing", "--engine", "pulumi")
    assert set(ops(planned).values()) == {"create"}
    assert project.objects() == {}

    made = espalier(project, "up", "existing", "--engine", "pulumi", "--yes")
    assert ops(made) == ops(planned)
    assert len(ops(made)) == len(project.objects())

    again = espalier(project, "up", "existing", "--yes")  # the engine of a cluster that is not simulated, unnamed
    assert ops(again) == dict.fromkeys(ops(made), "same")

    def change(config: dict[str, Any]) -> None:
        config["espalier:tenants"][0]["quota"]["cpu"] = 64
        config["espalier:tenants"][0]["groups"] = {"view": ["readers"]}

    project.configure("existing", change)
    for verb in (("preview",), ("up", "--yes")):
        document = espalier(project, verb[0], "existing", "--engine", "pulumi", *verb[1:])
        assert {name: op for name, op in ops(document).items() if op != "same"} == {
            "platform-tenant-research-team-quota": "update",
            "platform-tenant-research-team-edit-role": "delete",
            "platform-tenant-research-team-edit-binding": "delete",
            "platform-tenant-research-team-view-role": "create",
            "platform-tenant-research-team-view-binding": "create",
        }
        fields = {change["urn"].rpartition("::")[2]: change["fields"] for change in document["changes"]}
        assert fields["platform-tenant-research-team-quota"] == ["spec.hard.requests.cpu"]

    gone = espalier(project, "destroy", "existing", "--engine", "pulumi", "--yes")
    assert set(ops(gone).values()) == {"delete"}
    assert project.objects() == {}


def test_a_replacement_is_one_change(program: Any) -> None:
    from espalier.commands.by_pulumi import changes

    cli = program(
        """
import pulumi
pulumi.ComponentResource("trial:index:Group", "group")
inputs = {"cidrBlock": pulumi.Config().require("cidr")}
pulumi.CustomResource("aws:ec2/vpc:Vpc", "net", inputs, pulumi.ResourceOptions(version="7.51.1"))
"""
    )
    log = cli.base / "events.json"
    for cidr in ("10.0.0.0/16", "10.1.0.0/16"):
        cli.pulumi("config", "set", "cidr", cidr, "--stack", "trial")
        command = ("pulumi", "up", "--stack", "trial", "--yes", "--event-log", str(log))
        log.unlink(missing_ok=True)
        cli.run(*command, env=cli.env | {"PULUMI_DEBUG_COMMANDS": "true"})
    events = [json.loads(line) for line in log.read_text().splitlines()]
    [change] = changes(events, planned=False)
    assert (change.urn.rpartition("::")[2], change.op, change.fields) == ("net", "replace", ("cidrBlock",))


def test_a_refused_policy_is_told_by_name(project: Cli) -> None:
    def change(config: dict[str, Any]) -> None:
        config["espalier:cost"] = {"ceiling": 1}

    project.configure("existing", change)
    for command in (("preview",), ("up", "--yes")):
        document = espalier(project, command[0], "existing", "--engine", "pulumi", *command[1:], code=1)
        assert "policy cost-ceiling" in {error["path"] for error in document["errors"]}
    assert project.objects() == {}


def test_what_fails_is_told_with_its_urn(project: Cli) -> None:
    objects = Path(project.env["FAKE_OBJECTS"])
    (objects / "kubernetes%3Acore%2Fv1%3ANamespace research.json").write_text("{}")
    document = espalier(project, "up", "existing", "--engine", "pulumi", "--yes", code=1)
    [error] = [error for error in document["errors"] if "is there already" in error["got"]]
    assert error["path"].endswith("::platform-tenant-research-team-namespace")
    made = ops(document)
    assert "platform-tenant-research-team-namespace" not in made
    assert made["platform-priority-batch"] == "create"


class TestMissing:
    """Exit 3, with what to do; nothing is made."""

    @pytest.mark.parametrize("verb", [("preview",), ("up", "--yes"), ("destroy", "--yes")])
    def test_no_backend(self, project: Cli, verb: tuple[str, ...]) -> None:
        command = (verb[0], "existing", "--engine", "pulumi", *verb[1:])
        document = espalier(project, *command, code=3, PULUMI_BACKEND_URL=None)
        [error] = document["errors"]
        assert "no backend" in error["got"]
        assert "PULUMI_BACKEND_URL" in error["do"]
        assert not (project.home / "credentials.json").exists()

    def test_no_stack(self, program: Any, project: Cli) -> None:
        project.pulumi("stack", "rm", "existing", "--yes", "--preserve-config")
        document = espalier(project, "up", "existing", "--engine", "pulumi", "--yes", code=3)
        assert document["errors"][0]["do"] == "Make it: pulumi stack init existing"

    def test_nobody_to_ask(self, project: Cli) -> None:
        document = espalier(project, "up", "existing", "--engine", "pulumi", code=3)
        assert "--yes" in document["errors"][0]["do"]
        assert project.objects() == {}

    def test_no_passphrase(self, project: Cli) -> None:
        command = ("up", "existing", "--engine", "pulumi", "--yes")
        document = espalier(project, *command, code=1, PULUMI_CONFIG_PASSPHRASE="another")
        assert "passphrase" in document["errors"][0]["got"]
