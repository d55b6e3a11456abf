"""The add-on warden: no right too many, no privilege, the program whole, and options that say what is wrong."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.addons.warden import CONDITIONS, IMAGE, NAME, XIDS, program
from espalier.blueprint.order import plan_addons
from espalier.policies.images import why_not_pinned
from espalier.types import AddonPlan, Facts
from tests.unit.test_blueprint_gates import H100, SYSTEM, blueprint, in_cloud


def planned(options: dict[str, Any] | None = None, facts: Facts | None = None) -> AddonPlan:
    pools = [pool.facts() for pool in blueprint(SYSTEM, H100).pools]
    plans, wrong = plan_addons(
        {"warden": options or {}}, RECORDS, facts or Facts("simulated", "1.36", runs_containers=False), pools
    )
    assert wrong == ()
    return plans[0]


def of(plan: AddonPlan, kind: str, name: str = NAME) -> Any:
    (found,) = [m for m in plan.manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    return found


def rights(plan: AddonPlan) -> set[tuple[str, str]]:
    rules = of(plan, "ClusterRole")["rules"]
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


READS = {("nodes", verb) for verb in ("get", "list", "watch", "patch")}
DRAINS = {("pods", "list"), ("pods/eviction", "create")}
EKS = Facts("eks", "1.35", runs_containers=True, autoscaler="cluster-autoscaler")


@pytest.mark.parametrize(
    ("options", "facts", "wanted"),
    [
        ({}, None, READS | DRAINS | {("nodeclaims", "delete")}),
        ({}, EKS, READS | DRAINS),
        ({}, replace(EKS, simulated_autoscaler="karpenter"), READS | DRAINS | {("nodeclaims", "delete")}),
        ({"health": {"action": "report"}}, None, READS),
        ({"health": {"action": "off"}}, None, READS),
    ],
)
def test_its_rights_are_those_of_what_it_does(options: dict[str, Any], facts: Facts | None, wanted: Any) -> None:
    assert rights(planned(options, facts)) == wanted


def test_no_right_is_a_wildcard_and_those_in_namespaces_name_their_objects() -> None:
    plan = planned()
    rules = [rule for m in plan.manifests if m["kind"] in ("Role", "ClusterRole") for rule in m["rules"]]
    assert not any("*" in value for rule in rules for value in (*rule["resources"], *rule["verbs"], *rule["apiGroups"]))
    for rule in of(plan, "Role")["rules"]:
        assert rule["verbs"] == ["create"] or rule["resourceNames"] == [NAME]


def test_its_pods_have_no_privilege_and_keep_off_devices_and_spot() -> None:
    pod = of(planned(), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {e["key"] for e in term["matchExpressions"]} == {"espalier.dev/accelerator", "espalier.dev/capacity"}
    assert of(planned(), "Deployment")["spec"]["replicas"] == 2
    assert of(planned(), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert of(planned(), "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert why_not_pinned(IMAGE) == ""


def test_nobody_calls_it_and_it_calls_the_api_server_alone() -> None:
    spec = of(planned(), "NetworkPolicy")["spec"]
    assert spec["ingress"] == []
    assert [rule["ports"] for rule in spec["egress"]] == [
        [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]
    ]


def test_the_program_needs_nothing_but_the_standard_library() -> None:
    for name, text in program().items():
        for found in ast.walk(ast.parse(text)):
            modules = [alias.name for alias in found.names] if isinstance(found, ast.Import) else []
            modules += [found.module or ""] if isinstance(found, ast.ImportFrom) else []
            for module in modules:
                known = module.startswith("espalier.warden") or module.split(".")[0] in sys.stdlib_module_names
                assert known, f"{name} imports {module}"


def test_the_configmap_alone_is_a_program_that_runs(tmp_path: Path) -> None:
    """As the pod has it: these files under /program, and no package of Espalier's beside them."""
    folder = tmp_path / "espalier" / "warden"
    folder.mkdir(parents=True)
    for name, text in of(planned(), "ConfigMap", f"{NAME}-program")["data"].items():
        (folder / name).write_text(text)
    (container,) = of(planned(), "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["volumeMounts"][0]["mountPath"] == f"{container['env'][0]['value']}/espalier/warden"
    words = [sys.executable, "-I", "-S", "-c"]
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import runpy; sys.argv = ['x', '--help']; "
    code += "runpy.run_module('espalier.warden', run_name='__main__')"
    done = subprocess.run([*words, code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--namespace" in done.stdout


def test_a_changed_program_rolls_the_pods_and_a_changed_configuration_does_not() -> None:
    template = of(planned(), "Deployment")["spec"]["template"]
    assert template == of(planned({"health": {"after": "5m"}}), "Deployment")["spec"]["template"]
    assert len(template["metadata"]["annotations"]["espalier.dev/program"]) == 16


def config(plan: AddonPlan) -> Any:
    return json.loads(of(plan, "ConfigMap")["data"]["config.json"])


def test_options_reach_the_program_in_seconds() -> None:
    options = {"health": {"after": "90s", "start": "2h", "at-once": 3, "action": "report", "conditions": {"X": "True"}}}
    assert config(planned(options))["health"] == {
        "after": 90,
        "start": 7200,
        "at_once": 3,
        "act": False,
        "conditions": {**CONDITIONS, "X": "True"},
        "prometheus": "",
        "xids": list(XIDS),
    }
    assert config(planned({"health": {"action": "off"}}))["health"] is None


IDLE = {"prometheus": "http://prometheus.monitoring:9090"}


@pytest.mark.parametrize(
    ("options", "asked", "ports"),
    [
        ({}, "", [443, 6443]),
        ({"health": {"prometheus": "http://p.m:9090"}}, "http://p.m:9090", [443, 6443, 9090, 53, 53]),
        ({"idle": IDLE}, IDLE["prometheus"], [443, 6443, 9090, 53, 53]),
        ({"idle": IDLE, "health": {"prometheus": "http://p.m"}}, "http://p.m", [443, 6443, 9090, 80, 53, 53]),
    ],
)
def test_health_asks_a_prometheus_of_its_own_or_that_of_idle_and_the_wall_lets_it(
    options: dict[str, Any], asked: str, ports: list[int]
) -> None:
    plan = planned(options)
    assert config(plan)["health"]["prometheus"] == asked
    (egress,) = of(plan, "NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for port in egress["ports"]] == ports


def test_one_owner_repairs_what_eks_repairs_by_itself() -> None:
    def leaves(stack: str) -> set[tuple[str, ...]]:
        (addon,) = [addon for addon in in_cloud(stack, warden={}).addons if addon.id == "warden"]
        return {tuple(pool["leaves"]) for pool in config(addon)["pools"].values()}

    assert leaves("aws-dev") == {("AcceleratedHardwareReady",)}
    assert leaves("azure-dev") == {()}


@pytest.mark.parametrize(
    ("options", "path", "accepted"),
    [
        ({"health": {"after": "soon"}}, "espalier:addons.warden.health.after", "pattern"),
        ({"health": {"at-once": 0}}, "espalier:addons.warden.health.at-once", "greater than or equal to 1"),
        ({"helth": {}}, "espalier:addons.warden.helth", "health"),
        ({"health": {"action": "reboot"}}, "espalier:addons.warden.health.action", "'act', 'report' or 'off'"),
        ({"health": {"prometheus": "http://me:secret@p"}}, "espalier:addons.warden.health.prometheus", "https?://"),
        ({"health": {"xids": [0]}}, "espalier:addons.warden.health.xids[0]", "greater than or equal to 1"),
    ],
)
def test_a_wrong_option_is_told_with_its_path(options: dict[str, Any], path: str, accepted: str) -> None:
    _, mistakes = plan_addons({"warden": options}, RECORDS, Facts("simulated", "1.36", runs_containers=False), [])
    assert [mistake.path for mistake in mistakes] == [path]
    assert accepted in mistakes[0].accepted
