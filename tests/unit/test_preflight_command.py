"""`espalier preflight`: exit codes, its document, and what it imports; AWS is in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jsonschema
import pytest
import yaml
from botocore.client import BaseClient
from moto import mock_aws

from espalier.commands.preflight import preflight
from espalier.commands.project import open_project, program_of
from espalier.engine.record import record
from espalier.failures import Missing
from espalier.preflight import needs_of
from espalier.preflight.aws import permissions as aws
from espalier.preflight.azure import permissions as azure
from espalier.preflight.gcp import permissions as gcp
from espalier.report.console import Output
from espalier.report.documents import schema_of

ROOT = Path(__file__).parents[2]
ROLE = "arn:aws:iam::123456789012:role/platform"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a small stack of each kind, and no credentials about."""
    (tmp_path / "stacks").mkdir()
    for name in ("Pulumi.yaml", "__main__.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    pools = [
        {"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"min": 2, "max": 3}},
        {"name": "l4", "accelerator": "L4", "count": 1, "nodes": {"max": 2}},
    ]
    access = {"via": "network", "admins": [ROLE]}
    eks = {"kind": "eks", "name": "small", "version": "1.35", "region": "us-east-1", "access": access}
    for stack, cluster in (("small", eks), ("here", {"kind": "simulated"})):
        config = {"espalier:cluster": cluster, "espalier:pools": pools}
        (tmp_path / "stacks" / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": config}))
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(key, raising=False)
    for key, value in {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def quotas(vcpus: int) -> list[dict[str, Any]]:
    names = {
        "L-1216C47A": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        "L-DB2E81BA": "Running On-Demand G and VT instances",
    }
    return [{"QuotaCode": code, "QuotaName": name, "Value": float(vcpus)} for code, name in names.items()]


@pytest.fixture
def account(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """AWS in memory with the administrators' role; answers that moto does not have may be changed."""
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    answers: dict[str, Any] = {
        "ListServiceQuotas": {"Quotas": quotas(64)},
        "DescribeClusterVersions": {
            "clusterVersions": [{"clusterVersion": "1.35", "versionStatus": "STANDARD_SUPPORT"}]
        },
        "SimulatePrincipalPolicy": {"EvaluationResults": [], "IsTruncated": False},
        "GetParameter": {"Parameter": {"Value": "1.35.2-20261101"}},
        "GetRole": {"Role": {"Arn": ROLE}},
    }
    real = BaseClient._make_api_call

    def call(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "GetRole" and arguments["RoleName"] != "platform":
            return real(self, operation, arguments)
        return answers[operation] if operation in answers else real(self, operation, arguments)

    with mock_aws(), patch.object(BaseClient, "_make_api_call", call):
        yield answers


def run(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = preflight("small", Output(as_json=True))
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema_of("preflight"))
    return code, document


def test_a_good_account_is_exit_0(account: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(capsys)
    levels = {each["what"]: each["level"] for each in document["findings"]}
    assert [what for what, level in levels.items() if level == "error"] == []
    assert code == 0
    assert levels["quota L-DB2E81BA Running On-Demand G and VT instances"] == "ok"
    assert levels["cluster small"] == "ok"


def test_an_error_is_exit_1_and_comes_first(account: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    account["ListServiceQuotas"] = {"Quotas": quotas(4)}
    code, document = run(capsys)
    assert code == 1
    first = document["findings"][0]
    assert first["level"] == "error"
    assert "--desired-value" in first["do"]
    assert [each["level"] for each in document["findings"]] == sorted(
        (each["level"] for each in document["findings"]), key=["error", "warning", "ok"].index
    )


def test_people_get_one_table(account: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight("small", Output(as_json=False)) == 0
    said = capsys.readouterr().out
    assert "Nothing was made or changed." in said
    assert "quota L-1216C47A" in said


def command(project: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "espalier.cli", "preflight", *arguments, "--json"],
        cwd=project,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema_of("preflight"))
    return done.returncode, document


def test_no_credentials_is_exit_3_and_another_kind_of_cluster_exit_2(project: Path) -> None:
    code, document = command(project, "small")
    assert code == 3
    assert "aws sso login" in document["errors"][0]["do"]
    code, document = command(project, "here")
    assert (code, document["errors"][0]["path"]) == (2, "espalier:cluster.kind")


def test_a_missing_sdk_is_said_with_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("espalier.commands.preflight.find_spec", lambda _: None)
    with pytest.raises(Missing, match="Python package boto3") as caught:
        preflight("small", Output(as_json=True))
    assert "espalier[aws]" in caught.value.do


IMPORTS = """
import sys
from espalier.commands.preflight import preflight
from espalier.failures import Missing
from espalier.report.console import Output
try:
    preflight("small", Output(as_json=True))
except Missing:
    pass
print(sorted({name.partition(".")[0] for name in sys.modules} & {"boto3", "google", "googleapiclient", "azure"}))
"""


def test_only_the_stacks_own_clouds_sdk_is_imported(project: Path) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, cwd=project)
    loaded = done.stdout.strip().splitlines()[-1]
    assert "boto3" in loaded
    assert "googleapiclient" not in loaded
    assert "azure" not in loaded


CLOUDS = sorted(path.name.split(".")[1] for path in (ROOT / "stacks").glob("Pulumi.*-*.yaml"))


@pytest.mark.parametrize("stack", CLOUDS)
def test_what_each_of_the_projects_stacks_makes_is_known(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    opened = open_project(stack)
    resources = record(program_of(opened)).resources
    needs = needs_of(opened.blueprint, ((each.type, each.to_json()["inputs"]) for each in resources))
    types = needs.types()
    assert [*aws.unjudged(types), *gcp.unjudged(types), *azure.unjudged(types)] == []
    assert {each.pool for each in needs.groups} == {pool.name for pool in opened.blueprint.pools}
    assert all(each.vcpu and each.maximum and each.zones is not None for each in needs.groups)
