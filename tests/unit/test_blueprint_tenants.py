"""A tenant's objects: what its people may do, and the walls that they cannot move."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.blueprint.tenants import ROLE_RULES, TenantPlan, compile_tenant
from espalier.settings.tenants import Tenant
from espalier.types import Manifest

DEVICES = ["google.com/tpu", "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"]
NAMES = st.from_regex(r"\A[a-z]([-a-z0-9]{0,28}[a-z0-9])?\Z")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def tenant(**keys: Any) -> TenantPlan:
    return compile_tenant(Tenant.model_validate({"name": "vision", **keys}, strict=False), DEVICES)


def of(plan: TenantPlan, kind: str) -> list[Manifest]:
    return [p.manifest for work in plan.workspaces for p in work.objects if p.manifest["kind"] == kind]


FULL = {
    "groups": {"view": ["readers"], "edit": ["writers", "authors"], "admin": ["leads"]},
    "workspaces": [
        {"name": "dev", "quota": {"devices": {"nvidia.com/gpu": 4}, "cpu": 100, "memory": "512Gi"}},
        {"name": "prod", "quota": {"devices": {"google.com/tpu": 16}, "storage": "4Ti"}},
    ],
    "quota": {"devices": {"nvidia.com/gpu": 4, "google.com/tpu": 16}, "cpu": 200},
}


def test_each_namespace_gets_the_same_walls() -> None:
    for work in tenant(**FULL).workspaces:
        kinds = [planned.manifest["kind"] for planned in work.objects]
        assert sorted(kinds) == sorted(
            ["Namespace", "ResourceQuota", "LimitRange", *["NetworkPolicy"] * 2, *["Role", "RoleBinding"] * 3]
        )


@given(
    NAMES,
    st.lists(NAMES, min_size=1, max_size=3, unique=True),
    st.dictionaries(st.sampled_from(DEVICES), st.integers(0, 1000)),
    st.sampled_from(["baseline", "restricted"]),
)
def test_names_labels_and_namespaces(name: str, works: list[str], devices: dict[str, int], level: str) -> None:
    blocks = [{"name": work, "quota": {"devices": devices}} for work in works]
    plan = tenant(**{"name": name, "workspaces": blocks, "pod-security": level})
    expected = (name,) if len(works) == 1 else tuple(f"{name}-{work}" for work in works)
    assert plan.namespaces == expected
    for work in plan.workspaces:
        assert LABEL.fullmatch(work.namespace)
        suffixes = [planned.suffix for planned in work.objects]
        assert len(set(suffixes)) == len(suffixes)
        for at, planned in enumerate(work.objects):
            metadata = planned.manifest["metadata"]
            if planned.manifest["kind"] != "Namespace":
                assert metadata["namespace"] == work.namespace
            assert len(metadata["name"]) <= 63
            assert (
                metadata["labels"].items()
                >= {
                    "app.kubernetes.io/managed-by": "espalier",
                    "espalier.dev/tenant": name,
                    "espalier.dev/workspace": work.name,
                }.items()
            )
            assert set(planned.needs) <= set(suffixes[:at])
    for namespace in of(plan, "Namespace"):
        security = {k.partition("/")[2]: v for k, v in namespace["metadata"]["labels"].items() if k.startswith("pod-")}
        assert security == {"enforce": level, "warn": "restricted", "audit": "restricted"}


@given(st.dictionaries(st.sampled_from(DEVICES), st.integers(0, 1000)))
def test_a_quota_caps_every_device_by_its_requests_only(devices: dict[str, int]) -> None:
    (quota,) = of(tenant(quota={"devices": devices}), "ResourceQuota")
    hard = quota["spec"]["hard"]
    assert {key: hard[key] for key in hard if "/" in key} == {
        f"requests.{device}": str(devices.get(device, 0)) for device in DEVICES
    }
    # Only these: a quota on limits refuses pods that set none.
    assert {key for key in hard if "/" not in key} == {
        *("requests.cpu", "requests.memory", "requests.storage"),
        *("services.loadbalancers", "services.nodeports"),
    }
    assert all(isinstance(value, str) for value in hard.values())


def test_a_quota_says_what_the_stack_file_says() -> None:
    quotas = {q["metadata"]["namespace"]: q["spec"]["hard"] for q in of(tenant(**FULL), "ResourceQuota")}
    assert quotas["vision-dev"]["requests.cpu"] == "100"
    assert quotas["vision-dev"]["requests.memory"] == "512Gi"
    assert quotas["vision-dev"]["requests.nvidia.com/gpu"] == "4"
    assert quotas["vision-dev"]["requests.google.com/tpu"] == "0"
    assert quotas["vision-prod"]["requests.storage"] == "4Ti"
    assert quotas["vision-prod"]["requests.google.com/tpu"] == "16"


def test_a_limit_range_never_names_an_accelerator() -> None:
    (limits,) = of(tenant(quota={"devices": {"nvidia.com/gpu": 8}}), "LimitRange")
    assert limits["spec"] == {"limits": [{"type": "Container", "defaultRequest": {"cpu": "100m", "memory": "256Mi"}}]}


def test_nothing_goes_in_or_out_but_to_the_namespace_itself_and_dns() -> None:
    policies = {p["metadata"]["name"]: p["spec"] for p in of(tenant(), "NetworkPolicy")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for spec in policies.values():
        assert spec["podSelector"] == {}
        assert spec.get("ingress", []) in ([], [{"from": [{"podSelector": {}}]}])
    egress = [rule for spec in policies.values() for rule in spec.get("egress", [])]
    own, dns = sorted(egress, key=lambda rule: "ports" in rule)
    assert own == {"to": [{"podSelector": {}}]}
    assert {(port["protocol"], port["port"]) for port in dns["ports"]} == {("UDP", 53), ("TCP", 53)}
    (peer,) = dns["to"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kube-system"}
    assert peer["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}


def granted(rules: Iterable[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {(g, r, v) for rule in rules for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}


WALLS = {
    "resourcequotas",
    "limitranges",
    "networkpolicies",
    "roles",
    "rolebindings",
    "namespaces",
    "podsecuritypolicies",
    "events",
}
READS = {"get", "list", "watch"}


@pytest.mark.parametrize("role", sorted(ROLE_RULES))
def test_no_role_reaches_beyond_or_moves_its_walls(role: str) -> None:
    grants = granted(ROLE_RULES[role])
    assert not [grant for grant in grants if "*" in "".join(grant)]
    assert not [grant for grant in grants if grant[2] in {"escalate", "bind", "impersonate", "approve"}]
    assert not [grant for grant in grants if grant[1] in WALLS and grant[2] not in READS]
    # A token of a service account would outlive the person's group.
    assert not [grant for grant in grants if grant[1] == "serviceaccounts/token"]
    assert not [grant for grant in grants if grant[1] in {"nodes", "persistentvolumes", "clusterroles"}]


def test_roles_contain_one_another() -> None:
    view, edit, admin = (granted(ROLE_RULES[role]) for role in ("view", "edit", "admin"))
    assert view < edit < admin


def test_a_viewer_sees_no_secret_and_changes_nothing() -> None:
    grants = granted(ROLE_RULES["view"])
    assert {verb for _, _, verb in grants} == READS
    assert not [grant for grant in grants if grant[1] in {"secrets", "pods/exec"}]


def test_an_editor_runs_workloads() -> None:
    grants = granted(ROLE_RULES["edit"])
    for group, resource in (("", "pods"), ("apps", "deployments"), ("batch", "jobs"), ("", "secrets")):
        assert {(group, resource, verb) for verb in ("create", "update", "patch", "delete")} <= grants
    assert ("", "pods/exec", "create") in grants


def test_bindings_bind_groups_to_the_namespaces_own_role() -> None:
    for binding in of(tenant(**FULL), "RoleBinding"):
        role = binding["metadata"]["name"].removeprefix("tenant-")
        assert binding["roleRef"] == {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": binding["metadata"]["name"],
        }
        assert [subject["name"] for subject in binding["subjects"]] == sorted(FULL["groups"][role])
        assert {subject["kind"] for subject in binding["subjects"]} == {"Group"}


def test_a_role_without_groups_is_not_made() -> None:
    plan = tenant(groups={"edit": ["writers"]})
    assert [role["metadata"]["name"] for role in of(plan, "Role")] == ["tenant-edit"]
    assert [role["metadata"]["name"] for role in of(plan, "RoleBinding")] == ["tenant-edit"]
