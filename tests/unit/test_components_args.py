"""Components by themselves: plain arguments, all mistakes at once, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, cast

import pulumi
import pytest

from espalier import components
from espalier.components.objects import PROVIDER_VERSION, token_of
from espalier.engine.errors import ProgramError
from espalier.engine.model import Recording
from espalier.engine.program import Program
from espalier.engine.record import record

TENANT = {"name": "vision", "groups": {"edit": ["engineers"]}, "quota": {"devices": {"nvidia.com/gpu": 2}}}


def run(program: Callable[[], Any]) -> Recording:
    return record(Program(program, "foreign", "dev"))


def make(kind: str, args: Any, options: pulumi.ResourceOptions | None = None) -> Recording:
    return run(lambda: getattr(components, kind)("it", args, options))


def refusal(kind: str, args: Any) -> str:
    with pytest.raises(ProgramError) as raised:
        make(kind, args)
    assert not raised.value.detail, "a traceback"
    return raised.value.message


@pytest.mark.parametrize(
    ("kind", "args", "said"),
    [
        ("Tenant", {}, ["it.tenants[0].name"]),
        (
            "Tenant",
            {"name": "Vision", "quota": {"cpu": -1, "memory": "lots"}, "pod_security": "privileged", "colour": "red"},
            [".name", ".quota.cpu", ".quota.memory", ".pod-security", ".colour"],
        ),
        ("Pool", {"name": "p"}, ["it.pools[0].nodes"]),
        ("Pool", {"name": "p", "nodes": {"max": "4"}, "accelerator": "T4", "count": 0}, [".nodes.max", ".count"]),
        ("Pool", {"name": "p", "nodes": {"max": 4}, "accelerator": "H-100"}, ["pools[0].accelerator", "H100-80"]),
        ("Addon", {}, ["it.id: got nothing"]),
        ("Addon", {"id": "nvidia-device-plugin", "colour": 1, "options": {"x": 1}}, ["it.colour"]),
        ("Addon", {"id": "nvidia-device-plugins"}, ["Did you mean 'nvidia-device-plugin'?"]),
        (
            "Addon",
            {"colour": 1, "pools": [{"name": "P"}]},
            ["it.colour", "it.id", "it.pools[0].name", "it.pools[0].nodes"],
        ),
        ("ExistingCluster", {"context": 3}, ["it.cluster.context", "it.cluster.kubeconfig"]),
        ("SimulatedCluster", {"name": "x"}, ["it.name", "it.cluster_name: got nothing"]),
        ("SimulatedCluster", {"cluster_name": "Big_Cluster"}, ["it.cluster_name: got 'Big_Cluster'", "a-z, 0-9"]),
        (
            "TenantGuards",
            {"kubernetes_version": "1.29", "queueing": "yunikorn", "colour": 1},
            ["it.kubernetes_version: got '1.29'; accepted: 1.30 or later", "it.queueing: got 'yunikorn'", "it.colour"],
        ),
        ("TenantGuards", {"kubernetes_version": "latest"}, ["it.kubernetes_version: got 'latest'"]),
        ("Platform", {}, ["it.settings: got nothing"]),
        ("Platform", {"settings": {"cluster": {"kind": "moon"}, "pool": []}}, ["settings.cluster", "settings.pool"]),
    ],
)
def test_all_mistakes_are_told_at_once_without_a_traceback(kind: str, args: Any, said: list[str]) -> None:
    message = refusal(kind, args)
    assert message.startswith("it: ")
    for part in said:
        assert part in message


def test_an_output_cannot_shape_a_tenant() -> None:
    def program() -> None:
        components.Tenant("it", cast(Any, {"name": pulumi.Output.from_input("vision")}))

    with pytest.raises(ProgramError, match="give plain values") as raised:
        run(program)
    assert not raised.value.detail


def test_a_refused_component_registers_nothing() -> None:
    seen: list[str] = []

    def program() -> None:
        with pytest.raises(pulumi.RunError):
            components.Tenant("it", cast(Any, {"name": "Vision"}))
        seen.append("went on")

    assert [resource.name for resource in run(program).resources] == ["foreign-dev"]
    assert seen


def test_a_tenant_inherits_its_callers_provider() -> None:
    def program() -> None:
        provider = pulumi.ProviderResource("kubernetes", "own", {"kubeconfig": "~/.kube/config"})
        components.Tenant("it", cast(Any, TENANT), pulumi.ResourceOptions(providers=[provider]))

    recording = run(program)
    objects = [r for r in recording.resources if r.type.startswith("kubernetes:")]
    assert len(objects) == 7
    assert {r.provider.rpartition("::")[2] for r in objects} == {"own"}
    assert {r.parent.rpartition("::")[2] for r in objects} == {"it"}


def test_the_guards_of_tenants_are_those_of_a_platform() -> None:
    settings = {"cluster": {"kind": "simulated"}, "pools": [], "tenants": [{"name": "a"}]}
    whole, alone = make("Platform", {"settings": settings}), make("TenantGuards", {})

    def policies(recording: Recording) -> dict[str, Any]:
        found = [
            r.inputs for r in recording.resources if "AdmissionPolicy" in r.type or r.type.endswith("PriorityClass")
        ]
        return {f"{one['kind']}/{cast(Any, one['metadata'])['name']}": one for one in found}

    theirs = policies(alone)
    assert len(theirs) > 15
    assert theirs.items() <= policies(whole).items()
    assert {r.parent.rpartition("::")[2] for r in alone.resources if r.custom} == {"it"}
    volcano = make("TenantGuards", {"queueing": "volcano"})
    assert policies(volcano).keys() - theirs.keys() == {
        "ValidatingAdmissionPolicy/espalier-guard-queues",
        "ValidatingAdmissionPolicyBinding/espalier-guard-queues",
    }


def test_a_tenant_caps_the_devices_that_its_caller_names() -> None:
    recording = make("Tenant", {**TENANT, "devices": ["google.com/tpu", "nvidia.com/gpu"]})
    (quota,) = [r for r in recording.resources if r.type.endswith(":ResourceQuota")]
    hard = cast(Any, quota.inputs["spec"])["hard"]
    assert (hard["requests.google.com/tpu"], hard["requests.nvidia.com/gpu"]) == ("0", "2")


def test_an_addon_serves_the_pools_that_its_caller_names() -> None:
    pools = [{"name": "p", "accelerator": "T4", "nodes": {"max": 1}, "sharing": {"time_slices": 2}}]
    recording = make("Addon", {"id": "nvidia-device-plugin", "pools": pools})
    names = {r.name for r in recording.resources}
    assert "it-time-slices-2-daemonset" in names


def test_whole_floats_are_numbers_as_other_languages_send_them() -> None:
    made = make("Pool", {"name": "p", "accelerator": "T4", "nodes": {"min": 1.0, "max": 2.0}, "count": 1.0})
    (node,) = [r for r in made.resources if r.type.endswith(":Node")]
    assert cast(Any, node.inputs["metadata"])["labels"]["nvidia.com/gpu.count"] == "1"


def test_the_pinned_provider_is_the_pinned_package() -> None:
    assert version("pulumi-kubernetes") == PROVIDER_VERSION


@pytest.mark.parametrize(
    ("api", "kind", "token"),
    [("v1", "Pod", "kubernetes:core/v1:Pod"), ("apps/v1", "DaemonSet", "kubernetes:apps/v1:DaemonSet")],
)
def test_tokens_are_pulumis(api: str, kind: str, token: str) -> None:
    """Source: pulumi-kubernetes SDK, e.g. pulumi_kubernetes/core/v1/Pod.py, super().__init__."""
    assert token_of({"apiVersion": api, "kind": kind}) == token
