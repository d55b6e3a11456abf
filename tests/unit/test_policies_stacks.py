"""The stacks of this project as the program registers them: they pass, and each sabotage fails exactly one rule."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import espalier
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.engine.values import to_json
from espalier.policies.judge import judge
from espalier.settings import load_file
from espalier.types import Registered

ROOT = Path(espalier.__file__).parent.parent
STACKS = sorted((ROOT / "stacks").glob("Pulumi.*.yaml"))
RBAC = "rbac.authorization.k8s.io"


def registered(stack: Path) -> list[Registered]:
    file = load_file(stack)
    recording = record(Program(ROOT, "espalier", file.name, file.config, file.secret_keys))
    return [Registered(r.urn, r.type, r.name, to_json(r.inputs)) for r in recording.resources]


@pytest.fixture(scope="module")
def local() -> list[Registered]:
    return registered(ROOT / "stacks" / "Pulumi.local.yaml")


@pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)
def test_every_stack_passes_every_policy_and_all_but_a_missing_ceiling_is_judged(stack: Path):
    verdicts = judge(registered(stack))
    assert {verdict.name: verdict.findings for verdict in verdicts if verdict.findings} == {}
    told = [text for verdict in verdicts for text in verdict.not_judged]
    assert [text for text in told if not text.startswith("cost: no ceiling")] == []


def of(resources: list[Registered], kind: str, name: str) -> Any:
    """The properties, free to change, of the first object of a kind whose name ends like this."""
    return next(r.props for r in resources if r.kind == kind and str(r.object_name).endswith(name))


def facts(resources: list[Registered]) -> Any:
    return next(r.props["facts"] for r in resources if r.type == "espalier:index:Platform")


def pool(resources: list[Registered], name: str) -> Any:
    return next(pool for pool in facts(resources)["pools"] if pool["name"] == name)


def foreign(resources: list[Registered], token: str, **body: Any) -> None:
    """A resource of the team's own program, beside the platform."""
    props = {"metadata": {"name": "theirs", "namespace": "vision"}, **body}
    urn = f"urn:pulumi:local::espalier::kubernetes:{token}::theirs"
    resources.append(Registered(urn, f"kubernetes:{token}", "theirs", props))


def drop_a_device_from_a_quota(resources: list[Registered]) -> None:
    del of(resources, "ResourceQuota", "tenant")["spec"]["hard"]["requests.nvidia.com/gpu"]


def lower_a_namespace(resources: list[Registered]) -> None:
    of(resources, "Namespace", "vision")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"


def open_the_wall(resources: list[Registered]) -> None:
    of(resources, "NetworkPolicy", "default-deny")["spec"]["egress"] = [{}]


def default_to_a_gpu(resources: list[Registered]) -> None:
    limit = of(resources, "LimitRange", "tenant")["spec"]["limits"][0]
    limit["default"] = {"nvidia.com/gpu": "1"}


def keep_a_node(resources: list[Registered]) -> None:
    pool(resources, "h100")["nodes"]["min"] = 1


def drop_a_taint(resources: list[Registered]) -> None:
    pool(resources, "h100")["taints"] = []


def run_latest(resources: list[Registered]) -> None:
    spec = {"template": {"spec": {"containers": [{"name": "notebook", "image": "jupyter/base:latest"}]}}}
    foreign(resources, "apps/v1:StatefulSet", spec=spec)


def move_the_plugin(resources: list[Registered]) -> None:
    of(resources, "DaemonSet", "whole")["metadata"]["namespace"] = "vision"


def bind_an_administrator(resources: list[Registered]) -> None:
    role = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": RBAC}
    group = {"kind": "Group", "name": "vision-engineers", "apiGroup": RBAC}
    foreign(resources, f"{RBAC}/v1:RoleBinding", roleRef=role, subjects=[group])


def open_a_bucket(resources: list[Registered]) -> None:
    resources.append(Registered("urn:pulumi:x::y::open", "gcp:storage/bucket:Bucket", "open", {"name": "open"}))


def cost_too_much(resources: list[Registered]) -> None:
    facts(resources)["cost"]["ceiling"] = 100.0


SABOTAGE: dict[str, Callable[[list[Registered]], None]] = {
    "tenant-quota": drop_a_device_from_a_quota,
    "tenant-pod-security": lower_a_namespace,
    "tenant-default-deny": open_the_wall,
    "no-accelerator-in-limitrange": default_to_a_gpu,
    "elastic-pools-bounded": keep_a_node,
    "tainted-accelerator-pools": drop_a_taint,
    "pinned-images": run_latest,
    "no-privileged-pods": move_the_plugin,
    "tenant-least-privilege": bind_an_administrator,
    "private-stores": open_a_bucket,
    "cost-ceiling": cost_too_much,
}


@pytest.mark.parametrize("rule", SABOTAGE)
def test_each_sabotage_of_the_local_stack_fails_exactly_its_rule(local: list[Registered], rule: str):
    resources = copy.deepcopy(local)
    SABOTAGE[rule](resources)
    assert [verdict.name for verdict in judge(resources) if not verdict.ok] == [rule]
