"""The components as a package for other languages, through the real CLI: schema, SDK, and a component in use."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

Cli = Any
"""conftest.py's `Cli`."""

PLUGIN = Path(__file__).parents[2] / "plugin"
# What the SDK that `pulumi package add` makes would do, without installing it: the component is built by the plugin.
PROGRAM = """
import pulumi

cluster = pulumi.ProviderResource("kubernetes", "cluster", {"context": "a"}, pulumi.ResourceOptions(version="4.34.2"))

class Tenant(pulumi.ComponentResource):
    namespaces: pulumi.Output[list[str]]
    def __init__(self, name, args):
        options = pulumi.ResourceOptions(providers=[cluster])
        super().__init__("espalier:index:Tenant", name, args | {"namespaces": None}, options, remote=True)

tenant = Tenant("vision", {"name": "vision", "quota": {"devices": {"nvidia.com/gpu": 8}, "cpu": 16}})
pulumi.export("namespaces", tenant.namespaces)
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """plugin/__main__.py as an executable: given the folder itself, the CLI would install its requirements first."""
    script = tmp_path_factory.mktemp("plugin") / "pulumi-resource-espalier"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{PLUGIN / '__main__.py'}' \"$@\"\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


@pytest.fixture(scope="module")
def consumer(program: Any, plugin: Path) -> Cli:
    cli = program(PROGRAM)
    file = cli.folder / "Pulumi.yaml"
    plugins = {"providers": [{"name": "espalier", "path": str(plugin.parent)}]}
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"plugins": plugins}))
    return cli


def test_the_cli_gets_the_schema(consumer: Cli, plugin: Path) -> None:
    schema = json.loads(consumer.run("pulumi", "package", "get-schema", str(plugin)).stdout)
    kinds = ("Addon", "ExistingCluster", "Platform", "Pool", "SimulatedCluster", "Tenant", "TenantGuards")
    assert sorted(schema["resources"]) == [f"espalier:index:{kind}" for kind in kinds]


def test_the_cli_makes_an_sdk(consumer: Cli, plugin: Path) -> None:
    consumer.pulumi("package", "gen-sdk", str(plugin), "--language", "python", "--local", "--out", "sdk")
    made = (consumer.folder / "sdk/python/pulumi_espalier/tenant.py").read_text()
    compile(made, "tenant.py", "exec")
    assert "class Tenant(pulumi.ComponentResource)" in made


def test_a_foreign_program_brings_a_tenant_up(consumer: Cli) -> None:
    consumer.pulumi("up", "--stack", "trial", "--yes", "--skip-preview")
    made = [json.loads(file.read_text()) for file in consumer.objects().values()]
    quota = next(obj for obj in made if obj["kind"] == "ResourceQuota")
    assert quota["spec"]["hard"]["requests.nvidia.com/gpu"] == "8"
    assert {obj["metadata"].get("namespace", "vision") for obj in made} == {"vision"}
    assert {obj["kind"] for obj in made} == {"LimitRange", "Namespace", "NetworkPolicy", "ResourceQuota"}
    urns = [urn for urn in consumer.state("trial") if urn.endswith("::vision-team-quota")]
    assert urns == [
        "urn:pulumi:trial::trial::espalier:index:Tenant$kubernetes:core/v1:ResourceQuota::vision-team-quota"
    ]
    assert json.loads(consumer.pulumi("stack", "output", "namespaces", "--json", "--stack", "trial")) == ["vision"]
