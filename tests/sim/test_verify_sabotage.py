"""Each fault is found by exactly the check that is for it; every other check passes meanwhile."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.addons import RECORDS
from espalier.engine.up import up
from espalier.kube import Client, Kind
from espalier.settings import load_file
from espalier.verify import noop_check, verify
from espalier.verify.pods import probe_pod
from espalier.verify.rehearse import Rehearsal, references

ROOT = Path(__file__).parents[2]
NODE = Kind("v1", "Node")
QUOTA = Kind("v1", "ResourceQuota")
DAEMONSET = Kind("apps/v1", "DaemonSet")
RBAC = "rbac.authorization.k8s.io"
PLUGIN = ("nvidia-device-plugin-whole", "nvidia-device-plugin")


Steps = tuple[Callable[["Platform"], object], Callable[["Platform"], object]]
"""How something is broken, and how it is mended."""


@dataclass(frozen=True)
class Platform:
    """The `local` stack on a cluster of this module's own."""

    name: str
    client: Client
    rehearsal: Rehearsal

    def planned(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        blueprint = self.rehearsal.blueprint
        everything = [
            *(node for pool in blueprint.pools for node in pool.nodes),
            *(item for addon in blueprint.addons for item in addon.objects),
            *(item for tenant in blueprint.tenants for work in tenant.workspaces for item in work.objects),
        ]
        for item in everything:
            metadata = item.manifest["metadata"]
            if (item.manifest["kind"], metadata["name"], metadata.get("namespace")) == (kind, name, namespace):
                return dict(item.manifest)
        raise AssertionError(f"the blueprint has no {kind} {namespace}/{name}")

    @property
    def h100(self) -> str:
        (node,) = next(pool.nodes for pool in self.rehearsal.blueprint.pools if pool.name == "h100")
        return str(node.manifest["metadata"]["name"])


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    name = f"test-sabotage-{os.getpid()}"
    file = load_file(ROOT / "stacks" / "Pulumi.local.yaml")
    rehearsal = Rehearsal.of(file, name, root=ROOT, project="espalier", records=RECORDS)
    try:
        client = Client.connect(sim.up(name).kubeconfig)
        up(rehearsal.program, connection=client)
        yield Platform(name, client, rehearsal)
    finally:
        sim.down(name)


def bind(role: str, group: str, namespace: str | None) -> dict[str, Any]:
    """A binding of one of Kubernetes' own roles, in one namespace or in all."""
    metadata = {"name": "sabotage"} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "Group", "name": group, "apiGroup": RBAC}],
    }


def added(manifest: dict[str, Any]) -> Steps:
    """Adds an object, and takes it away."""
    kind, metadata = Kind(manifest["apiVersion"], manifest["kind"]), manifest["metadata"]

    def undo(on: Platform) -> None:
        on.client.delete(kind, metadata["name"], metadata.get("namespace"))

    return lambda on: on.client.create(manifest), undo


def changed_quota(change: dict[str, Any]) -> Steps:
    """Changes the limits of vision's quota, and puts the planned ones back."""

    def do(on: Platform) -> None:
        on.client.patch(QUOTA, "tenant", {"spec": {"hard": change}}, namespace="vision")

    def undo(on: Platform) -> None:
        planned = on.planned("ResourceQuota", "tenant", "vision")["spec"]
        on.client.patch(QUOTA, "tenant", {"spec": planned}, namespace="vision")

    return do, undo


def changed_node(do: dict[str, Any], undo: dict[str, Any], subresource: str = "") -> Steps:
    """Changes the node of pool h100 by merge patches."""

    def patch(body: dict[str, Any]) -> Callable[[Platform], object]:
        return lambda on: on.client.patch(NODE, on.h100, body, subresource=subresource)

    return patch(do), patch(undo)


def delete_quota(on: Platform) -> None:
    on.client.delete(QUOTA, "tenant", "language-prod")


def restore_quota(on: Platform) -> None:
    on.client.create(on.planned("ResourceQuota", "tenant", "language-prod"))


def drop_tolerations(on: Platform) -> None:
    path = "/spec/template/spec/tolerations"
    on.client.patch(DAEMONSET, PLUGIN[0], [{"op": "remove", "path": path}], namespace=PLUGIN[1], how="json")


def restore_tolerations(on: Platform) -> None:
    spec = on.planned("DaemonSet", *PLUGIN)["spec"]["template"]["spec"]
    body = {"spec": {"template": {"spec": {"tolerations": spec["tolerations"]}}}}
    on.client.patch(DAEMONSET, PLUGIN[0], body, namespace=PLUGIN[1])


def remove_plugin(on: Platform) -> None:
    on.client.delete(DAEMONSET, PLUGIN[0], PLUGIN[1])


def restore_plugin(on: Platform) -> None:
    on.client.create(on.planned("DaemonSet", *PLUGIN))


def widen_role(on: Platform) -> None:
    rule = {"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["patch"]}
    on.client.patch(
        Kind(f"{RBAC}/v1", "Role"),
        "tenant-edit",
        [{"op": "add", "path": "/rules/-", "value": rule}],
        namespace="vision",
        how="json",
    )


def restore_role(on: Platform) -> None:
    on.client.patch(
        Kind(f"{RBAC}/v1", "Role"),
        "tenant-edit",
        {"rules": on.planned("Role", "tenant-edit", "vision")["rules"]},
        namespace="vision",
    )


@dataclass(frozen=True)
class Fault:
    """What is broken, how it is mended, which check fails, and what its evidence must say."""

    what: str
    steps: Steps
    check: str
    says: str
    skipped: frozenset[str] = field(default_factory=frozenset)
    """Checks that the fault makes impossible, so that they claim nothing."""


TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
FAULTS = [
    Fault("quota deleted", (delete_quota, restore_quota), "quota/language", 'resourcequotas "tenant" not found'),
    Fault(
        "quota raised by hand",
        changed_quota({"requests.nvidia.com/gpu": "80"}),
        "quota/vision",
        "requests.nvidia.com/gpu=80, planned 8",
    ),
    Fault(
        "one limit taken out of a quota",
        changed_quota({"requests.google.com/tpu": None}),
        "quota/vision",
        "requests.google.com/tpu=no limit, planned 0",
    ),
    Fault(
        "broad role for a tenant's group",
        added(bind("view", "vision-engineers", None)),
        "isolation/vision",
        'may list pods in namespace language-dev: RBAC: allowed by ClusterRoleBinding "sabotage"',
    ),
    Fault(
        "role in another tenant's namespace",
        added(bind("edit", "language-engineers", "vision")),
        "isolation/language",
        'may list secrets in namespace vision: RBAC: allowed by RoleBinding "sabotage/vision"',
    ),
    Fault(
        "narrow role in another tenant's namespace, which no request is made for",
        added(
            bind("system:monitoring", "ml-readers", "language-prod")
            | {"roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "system:node-problem-detector"}}
        ),
        "isolation/vision",
        "by its rules in namespace language-prod",
    ),
    Fault(
        "narrow role in its own namespace, which no request is made for",
        added(
            bind("system:monitoring", "ml-readers", "vision")
            | {"roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "system:node-problem-detector"}}
        ),
        "isolation/vision",
        "group ml-readers may, beyond its roles in namespace vision: ",
    ),
    Fault(
        "power over its own walls",
        added(bind("admin", "vision-engineers", "vision")),
        "isolation/vision",
        "may patch NetworkPolicy vision/",
    ),
    Fault(
        "a tenant's own role widened",
        (widen_role, restore_role),
        "isolation/vision",
        "patch ResourceQuota vision/tenant",
    ),
    Fault(
        "taint dropped",
        changed_node({"spec": {"taints": []}}, {"spec": {"taints": [TAINT]}}),
        "taint/h100",
        "without the toleration was scheduled on h100-",
    ),
    Fault(
        "fewer devices advertised",
        changed_node(
            {"status": {"allocatable": {"nvidia.com/gpu": "4"}}},
            {"status": {"allocatable": {"nvidia.com/gpu": "8"}}},
            "status",
        ),
        "sharing/h100",
        "allocatable: nvidia.com/gpu=4; the blueprint has nvidia.com/gpu=8",
    ),
    Fault(
        "no device advertised",
        changed_node(
            {"status": {"allocatable": {"nvidia.com/gpu": None}}},
            {"status": {"allocatable": {"nvidia.com/gpu": "8"}}},
            "status",
        ),
        "sharing/h100",
        "no device; the blueprint has nvidia.com/gpu=8",
        frozenset({"land/h100"}),
    ),
    Fault(
        "whole devices advertised beside slices",
        changed_node(
            {"status": {"allocatable": {"nvidia.com/mig-1g.10gb": "7"}}},
            {"status": {"allocatable": {"nvidia.com/mig-1g.10gb": None}}},
            "status",
        ),
        "sharing/h100",
        "nvidia.com/mig-1g.10gb=7",
    ),
    Fault(
        "pool cordoned",
        changed_node({"spec": {"unschedulable": True}}, {"spec": {"unschedulable": None}}),
        "land/h100",
        "were unschedulable",
    ),
    Fault(
        "node without the pool's label",
        changed_node(
            {"metadata": {"labels": {"espalier.dev/pool": "other"}}},
            {"metadata": {"labels": {"espalier.dev/pool": "h100"}}},
        ),
        "land/h100",
        "no node carries the pool's label; the blueprint has at least 1",
        frozenset({"taint/h100", "sharing/h100"}),
    ),
    Fault(
        "DaemonSet without its toleration",
        (drop_tolerations, restore_tolerations),
        "daemonset/nvidia-device-plugin-whole",
        "desiredNumberScheduled=0",
    ),
    Fault(
        "DaemonSet that is not there",
        (remove_plugin, restore_plugin),
        "daemonset/nvidia-device-plugin-whole",
        "not found",
    ),
]


def hand_out_late(on: Platform) -> None:
    """Nodes that are made now do not hand out what they have."""
    sim.fault(on.name, "nodes", "slow-driver", pool="h100", seconds=3600)


def hand_out_at_once(on: Platform) -> None:
    sim.fault(on.name, "nodes", "quick-driver")


LEAK = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "leak"}}


def let_devices_slip(on: Platform) -> None:
    """Takes the devices out of gated pods before the quota sees them, as a webhook might that means well."""
    gone = [
        f'JSONPatch{{op: "remove", path: "/spec/containers/0/resources/{part}/nvidia.com~1gpu"}}'
        for part in ("requests", "limits")
    ]
    spec = {
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ]
        },
        "matchConditions": [
            {"name": "gated", "expression": "has(object.spec.schedulingGates)"},
            {"name": "one-tenant", "expression": "request.namespace == 'vision'"},
        ],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{', '.join(gone)}]"}}],
    }
    on.client.create({**LEAK, "kind": "MutatingAdmissionPolicy", "spec": spec})
    on.client.create({**LEAK, "kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": "leak"}})
    pod = probe_pod("trial", "vision", {"nvidia.com/gpu": 1})
    pod["spec"]["schedulingGates"] = [{"name": "example.com/trial"}]
    deadline = time.monotonic() + 60
    while "nvidia.com/gpu" in on.client.create(pod, dry_run=True)["spec"]["containers"][0]["resources"]["requests"]:
        assert time.monotonic() < deadline, "the policy is not in force"
        time.sleep(0.2)


def stop_the_leak(on: Platform) -> None:
    for kind in ("MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicy"):
        on.client.delete(Kind(str(LEAK["apiVersion"]), kind), "leak")


ON_NEW_THINGS = [
    Fault(
        "new nodes hand out nothing",
        (hand_out_late, hand_out_at_once),
        "sharing/h100",
        "0 of 8 pods run on h100-slices-",
    ),
    Fault(
        "devices slip past the quota",
        (let_devices_slip, stop_the_leak),
        "contention/vision",
        "20 admitted, 0 refused; the quota is 8",
    ),
]


ALL = [*FAULTS, *ON_NEW_THINGS]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults are waited out; what is well takes a few seconds even on a busy machine."""
    monkeypatch.setattr("espalier.verify.slices.SECONDS", 20.0)


@pytest.mark.parametrize("fault", ALL, ids=[fault.what.replace(" ", "-") for fault in ALL])
def test_a_fault_fails_exactly_its_check(platform: Platform, fault: Fault) -> None:
    do, undo = fault.steps
    do(platform)
    try:
        found = verify(platform.rehearsal.blueprint, platform.client, simulated=True)
    finally:
        undo(platform)
    failed = {check.name: check.evidence for check in found.checks if not check.ok}
    assert set(failed) == {fault.check}
    assert fault.says in failed[fault.check]
    assert {entry.name for entry in found.skipped} == fault.skipped


def test_all_passes_once_every_fault_is_undone(platform: Platform) -> None:
    found = verify(platform.rehearsal.blueprint, platform.client, simulated=True)
    assert [check.name for check in found.checks if not check.ok] == []
    assert found.skipped == ()
    assert found.left == ()


def test_what_no_other_check_looks_at_fails_noop_alone(platform: Platform) -> None:
    program = platform.rehearsal.program

    def again() -> list[str]:
        changes = up(program, connection=platform.client).changes
        return [f"{change.op} {change.urn}" for change in changes if change.op != "same"]

    def failed() -> dict[str, str]:
        noop = noop_check(again, platform.client, lambda: references(platform.rehearsal.blueprint))
        found = verify(platform.rehearsal.blueprint, platform.client, simulated=True, noop=noop)
        return {check.name: check.evidence for check in found.checks if not check.ok}

    def labelled(workspace: str) -> None:
        labels = {"metadata": {"labels": {"espalier.dev/workspace": workspace}}}
        platform.client.patch(Kind("v1", "LimitRange"), "tenant", labels, namespace="vision")

    again()  # takes note of what the other tests undid by hand
    platform.client.delete(Kind("networking.k8s.io/v1", "NetworkPolicy"), "default-deny", "vision")
    found = failed()
    assert set(found) == {"noop"}
    assert found["noop"].startswith("up: create urn:pulumi:local::espalier::")
    assert "NetworkPolicy vision/default-deny resourceVersion none -> " in found["noop"]
    assert failed() == {}

    labelled("other")
    found = failed()
    assert set(found) == {"noop"}
    assert found["noop"].startswith("up: update urn:pulumi:local::espalier::")
    assert "LimitRange vision/tenant resourceVersion " in found["noop"]
    assert failed() == {}  # the second up of that check took the field back from the hand that wrote it
