"""The whole of it for real: Pulumi's engine, Pulumi's Kubernetes provider, and a Kubernetes API server.

Where the provider's plugin is on PATH, too.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from espalier.kube import Client, Kind, Kubeconfig

Cli = Any
"""conftest.py's `Cli`."""

pytestmark = pytest.mark.skipif(
    shutil.which("pulumi-resource-kubernetes") is None, reason="no pulumi-resource-kubernetes on PATH"
)


@pytest.fixture
def env(project: Cli, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The real provider instead of the fake one, and simulated clusters of the test's own."""
    given = {key: value for key, value in project.env.items() if key != "PULUMI_IGNORE_AMBIENT_PLUGINS"}
    given |= {"PULUMI_HOME": str(tmp_path / "home"), "XDG_STATE_HOME": str(tmp_path / "state")}
    yield given
    project.run(sys.executable, "-m", "espalier.cli", "sim", "down", "--all", env=given)


@pytest.mark.supports("Pulumi CLI", "rehearsed")
def test_pulumi_brings_the_local_stack_up_and_down(project: Cli, env: dict[str, str]) -> None:
    def espalier(*command: str, fails: bool = False) -> Any:
        done = project.run(sys.executable, "-m", "espalier.cli", *command, "--json", fails=fails, env=env)
        return json.loads(done.stdout)

    def ops(document: Any) -> set[str]:
        return {change["op"] for change in document["changes"]}

    made = espalier("up", "local", "--engine", "pulumi", "--yes")
    assert ops(made) == {"create"}
    kubeconfig = Path(env["XDG_STATE_HOME"]) / "espalier/sim/local/kubeconfig"
    client = Client.connect(Kubeconfig.load(kubeconfig, "espalier-sim-local"))
    quotas = {quota["metadata"]["namespace"]: quota for quota in client.list(Kind("v1", "ResourceQuota"))}
    assert quotas["vision"]["spec"]["hard"]["requests.nvidia.com/gpu"] == "8"
    nodes = client.list(Kind("v1", "Node"))
    assert {node["metadata"]["labels"]["espalier.dev/pool"] for node in nodes} == {"h100", "system"}

    before = {node["metadata"]["name"]: node["spec"] for node in nodes}
    assert ops(espalier("up", "local", "--engine", "pulumi", "--yes")) == {"same"}
    assert {node["metadata"]["name"]: node["spec"] for node in client.list(Kind("v1", "Node"))} == before

    proved = {check["name"]: check for check in espalier("verify", "local")["checks"]}
    assert proved["noop"]["ok"], "verify asks the engine that brought the stack up"

    refused = espalier("up", "local", "--yes", fails=True)
    assert "belongs to Pulumi's own engine" in json.dumps(refused["errors"])

    assert ops(espalier("destroy", "local", "--engine", "pulumi", "--yes")) == {"delete"}
    assert client.list(Kind("v1", "Node")) == []

    assert ops(espalier("up", "local", "--yes")) == {"create"}
    refused = espalier("up", "local", "--engine", "pulumi", "--yes", fails=True)
    assert "is owned by the engine 'embedded'" in json.dumps(refused["errors"])
