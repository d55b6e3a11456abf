"""The policy pack, started as Pulumi starts it and asked over gRPC as Pulumi's engine asks it."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2 as messages
from pulumi.runtime.proto import analyzer_pb2_grpc

import espalier
from espalier.policies.registry import RULES

ROOT = Path(espalier.__file__).parent.parent
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # how the engine marks an unknown string in a preview
GOOD_IMAGE = "nvcr.io/nvidia/k8s-device-plugin:v0.20.0"
FACTS: dict[str, Any] = {
    "pools": [
        {
            "name": "h100",
            "devices": {"nvidia.com/gpu": 8},
            "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}],
            "nodes": {"min": 0, "max": 4, "start": 1},
        }
    ],
    "tenants": [],
    "privileged_namespaces": ["nvidia-device-plugin"],
    "cost": {"currency": "USD", "per": "hour", "min": 0.4, "max": 300.0, "unknown": [], "ceiling": 400.0},
    "waivers": [{"policy": "pinned-images", "resource": "old-*", "reason": "its vendor publishes no version"}],
}


@pytest.fixture(params=["policies", "policies/__main__.py"])
def analyzer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """A pack of its own for each test, since a pack remembers the Platform that it saw; run from a foreign folder."""
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(ROOT / request.param)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        try:
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:local::espalier::{token}::{name}"


def analyze(stub: analyzer_pb2_grpc.AnalyzerStub, token: str, name: str, props: Any) -> list[Any]:
    request = messages.AnalyzeRequest(type=token, name=name, urn=urn(token, name))
    request.properties.update(props)
    return list(stub.Analyze(request).diagnostics)


def analyze_stack(stub: analyzer_pb2_grpc.AnalyzerStub, *resources: tuple[str, str, Any]) -> list[Any]:
    request = messages.AnalyzeStackRequest()
    for token, name, props in resources:
        resource = request.resources.add(type=token, name=name, urn=urn(token, name))
        resource.properties.update(props)
    return list(stub.AnalyzeStack(request).diagnostics)


def platform(facts: Any = FACTS) -> tuple[str, str, Any]:
    return "espalier:index:Platform", "platform", {"facts": facts}


def daemonset(namespace: str = "nvidia-device-plugin", image: str = GOOD_IMAGE, **spec: Any) -> Any:
    pod = {"containers": [{"name": "plugin", "image": image}], **spec}
    return {"metadata": {"name": "plugin", "namespace": namespace}, "spec": {"template": {"spec": pod}}}


def namespace(level: str) -> Any:
    labels = {"espalier.dev/tenant": "vision", "pod-security.kubernetes.io/enforce": level}
    return {"metadata": {"name": "vision", "labels": labels}}


LEVELS = {"mandatory": messages.MANDATORY, "advisory": messages.ADVISORY}
DAEMONSET = "kubernetes:apps/v1:DaemonSet"
NAMESPACE = "kubernetes:core/v1:Namespace"
HARD = {"requests.cpu": "4", "requests.memory": "8Gi", "requests.nvidia.com/gpu": "8"}
GOOD_TENANT = (
    (NAMESPACE, "vision", namespace("baseline")),
    (
        "kubernetes:core/v1:ResourceQuota",
        "quota",
        {"metadata": {"name": "q", "namespace": "vision"}, "spec": {"hard": HARD}},
    ),
    (
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "wall",
        {
            "metadata": {"name": "wall", "namespace": "vision"},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        },
    ),
)


def test_the_pack_names_every_rule_with_its_level_and_how_to_fix_it(analyzer: analyzer_pb2_grpc.AnalyzerStub):
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty())
    assert info.name == "espalier"
    told = {policy.name: policy for policy in info.policies}
    assert list(told) == [*(rule.name for rule in RULES), "not-judged", "unused-waiver"]
    kinds = {"resource": messages.POLICY_TYPE_RESOURCE, "stack": messages.POLICY_TYPE_STACK}
    for rule in RULES:
        assert told[rule.name].enforcementLevel == LEVELS[rule.level]
        assert told[rule.name].policy_type == kinds[rule.scope]
        assert told[rule.name].remediation_steps == rule.fix != ""


def test_a_bad_resource_is_stopped_before_it_is_made_and_a_good_one_is_not(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
):
    assert analyze(analyzer, DAEMONSET, "plugin", daemonset()) == []
    bad = daemonset("vision", "busybox", hostPID=True)
    found = analyze(analyzer, DAEMONSET, "bad", bad)
    assert {(item.policyName, item.enforcementLevel) for item in found} == {
        ("pinned-images", messages.MANDATORY),
        ("no-privileged-pods", messages.MANDATORY),
    }
    assert {item.urn for item in found} == {urn(DAEMONSET, "bad")}
    (level,) = analyze(analyzer, NAMESPACE, "vision", namespace("privileged"))
    assert level.policyName == "tenant-pod-security"


def test_the_platforms_facts_reach_what_is_analysed_after_it(analyzer: analyzer_pb2_grpc.AnalyzerStub):
    hosted = daemonset(volumes=[{"name": "sockets", "hostPath": {"path": "/var/lib/kubelet"}}])
    assert [item.policyName for item in analyze(analyzer, DAEMONSET, "plugin", hosted)] == ["no-privileged-pods"]
    assert analyze(analyzer, *platform()) == []
    assert analyze(analyzer, DAEMONSET, "plugin", hosted) == []
    assert analyze(analyzer, DAEMONSET, "old-tool", daemonset(image="vendor/tool:latest")) == []
    assert len(analyze(analyzer, DAEMONSET, "new-tool", daemonset(image="vendor/tool:latest"))) == 1


def test_an_unknown_value_in_a_preview_neither_stops_nor_crashes_and_is_told_at_the_end(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
):
    unknown = daemonset(image=UNKNOWN)
    assert analyze(analyzer, DAEMONSET, "plugin", unknown) == []
    found = analyze_stack(analyzer, platform({**FACTS, "waivers": []}), (DAEMONSET, "plugin", unknown))
    assert [(item.policyName, item.enforcementLevel) for item in found] == [("not-judged", messages.ADVISORY)]
    assert "pinned-images" in found[0].message
    assert "its image is not known" in found[0].message


def test_a_good_stack_has_no_mandatory_finding_and_an_unused_waiver_is_advice(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
):
    found = analyze_stack(analyzer, platform(), *GOOD_TENANT)
    assert [(item.policyName, item.enforcementLevel) for item in found] == [("unused-waiver", messages.ADVISORY)]


def test_a_bad_stack_gives_a_mandatory_finding_for_each_broken_rule(analyzer: analyzer_pb2_grpc.AnalyzerStub):
    pool = {**FACTS["pools"][0], "taints": [], "nodes": {"min": 1, "max": 4}}
    cost = {**FACTS["cost"], "max": 500.0}
    binding = (
        "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
        "admins",
        {
            "metadata": {"name": "admins", "namespace": "vision"},
            "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "Group", "name": "vision-engineers"}],
        },
    )
    budget = (
        "kubernetes:policy/v1:PodDisruptionBudget",
        "budget",
        {"metadata": {"name": "budget", "namespace": "vision"}, "spec": {"maxUnavailable": 0}},
    )
    bucket = ("gcp:storage/bucket:Bucket", "open", {"name": "open", "uniformBucketLevelAccess": True})
    found = analyze_stack(
        analyzer,
        platform({"pools": [pool], "cost": cost}),
        (NAMESPACE, "vision", namespace("baseline")),
        binding,
        budget,
        bucket,
    )
    assert {item.policyName for item in found if item.enforcementLevel == messages.MANDATORY} == {
        rule.name for rule in RULES if rule.scope == "stack" and rule.level == "mandatory"
    }


def test_a_component_whose_outputs_hold_no_facts_is_judged_by_its_inputs(analyzer: analyzer_pb2_grpc.AnalyzerStub):
    token, name, _ = platform()
    assert analyze(analyzer, *platform({**FACTS, "cost": {**FACTS["cost"], "max": 500.0}})) == []
    found = analyze_stack(analyzer, (token, name, {"namespaces": []}))
    assert [item.policyName for item in found if item.enforcementLevel == messages.MANDATORY] == ["cost-ceiling"]
    assert "cost 500.00 USD/h, above the ceiling of 400.00 USD/h" in found[0].message


def test_the_packs_version_is_the_projects():
    pack = yaml.safe_load((ROOT / "policies/PulumiPolicy.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert pack["version"] == project["version"]
    assert pack["runtime"]["name"] == "python"
