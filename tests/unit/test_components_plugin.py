"""The components as a package for other languages: what the SDK's analysis makes of them."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.provider.experimental.component import ComponentProvider

from espalier.engine.errors import ProgramError
from espalier.engine.model import Recording
from espalier.engine.program import Program
from espalier.engine.record import record

PLUGIN = Path(__file__).parents[2] / "plugin"


@pytest.fixture(scope="module")
def provider() -> ComponentProvider:
    """What plugin/__main__.py hosts."""
    hosted = runpy.run_path(str(PLUGIN / "__main__.py"), run_name="plugin")["COMPONENTS"]
    return ComponentProvider(hosted, "espalier", None, "0.1.0")


@pytest.fixture(scope="module")
def schema(provider: ComponentProvider) -> Any:
    assert provider.schema is not None
    return json.loads(provider.schema)


def test_the_plugin_is_a_folder_that_pulumi_runs() -> None:
    """`pulumi package add plugin`: Python plugins run the __main__.py beside their PulumiPlugin.yaml."""
    assert yaml.safe_load((PLUGIN / "PulumiPlugin.yaml").read_text("utf-8")) == {"runtime": "python"}
    assert not (PLUGIN.parent / "PulumiPlugin.yaml").exists(), "the root's __main__.py is the platform's program"


@pytest.mark.parametrize(
    ("kind", "required", "optional", "outputs"),
    [
        ("Platform", {"settings"}, set[str](), {"namespaces", "kubeconfig", "parts"}),
        ("SimulatedCluster", {"clusterName"}, set[str](), {"context"}),
        ("ExistingCluster", {"kubeconfig", "context"}, set[str](), {"context"}),
        (
            "Pool",
            {"name", "nodes"},
            {"accelerator", "count", "machine", "topology", "capacity", "sharing", "labels"},
            {"nodes"},
        ),
        ("Tenant", {"name"}, {"groups", "workspaces", "quota", "podSecurity", "devices"}, {"namespaces"}),
        ("TenantGuards", set[str](), {"kubernetesVersion", "queueing"}, {"policies"}),
        ("Addon", {"id"}, {"options", "pools", "kubernetesVersion", "runsContainers"}, {"version"}),
    ],
)
def test_the_schema_offers_each_component(
    schema: Any, kind: str, required: set[str], optional: set[str], outputs: set[str]
) -> None:
    found = schema["resources"][f"espalier:index:{kind}"]
    assert found["isComponent"] is True
    assert set(found["requiredInputs"]) == required
    assert set(found["inputProperties"]) == required | optional
    assert set(found["properties"]) == outputs
    assert all(item.get("description") for item in found["inputProperties"].values())


def test_the_schema_offers_nothing_else(schema: Any) -> None:
    assert len(schema["resources"]) == 7
    assert set(schema["types"]) == {
        f"espalier:index:{name}Args" for name in ("Groups", "Nodes", "Pool", "Quota", "Sharing")
    }


def constructed(provider: ComponentProvider, kind: str, inputs: dict[str, Any]) -> Recording:
    """Constructs as for a program in another language: camelCase, and every number a float."""
    wire = Struct()
    wire.update(inputs)
    sent = MessageToDict(wire)
    return record(Program(lambda: provider.construct("it", f"espalier:index:{kind}", sent), "other", "dev"))


def test_a_tenant_from_another_language(provider: ComponentProvider) -> None:
    recording = constructed(
        provider,
        "Tenant",
        {
            "name": "vision",
            "podSecurity": "restricted",
            "groups": {"edit": ["engineers"]},
            "quota": {"devices": {"nvidia.com/gpu": 8}, "cpu": 16},
            "devices": ["nvidia.com/gpu"],
        },
    )
    made = {r.name: cast(Any, r.inputs) for r in recording.resources}
    assert made["it-team-namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    hard = made["it-team-quota"]["spec"]["hard"]
    assert (hard["requests.nvidia.com/gpu"], hard["requests.cpu"]) == ("8", "16")
    assert made["it-team-edit-binding"]["subjects"][0]["name"] == "engineers"


def test_a_pool_from_another_language(provider: ComponentProvider) -> None:
    inputs = {"name": "p", "accelerator": "T4", "nodes": {"min": 1, "max": 2}, "sharing": {"timeSlices": 3}}
    recording = constructed(provider, "Pool", inputs)
    (node,) = [r for r in recording.resources if r.type.endswith(":Node")]
    assert node.name.startswith("it-node-")
    (component,) = [r for r in recording.resources if r.type == "espalier:index:Pool"]
    assert component.outputs == {"nodes": [cast(Any, node.inputs)["metadata"]["name"]]}


def test_mistakes_reach_another_language_in_full(provider: ComponentProvider) -> None:
    with pytest.raises(ProgramError) as raised:
        constructed(provider, "Tenant", {"name": "Vision", "podSecurity": "privileged"})
    text = f"{raised.value.message} {raised.value.detail}"
    assert "tenants[0].name" in text
    assert "pod-security" in text
