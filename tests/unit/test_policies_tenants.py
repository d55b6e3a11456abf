"""The rules on tenant namespaces and on what tenants may do, over manifests as a Tenant registers them."""

from collections.abc import Mapping
from typing import Any

import pytest

from espalier.policies.rules.access import least_privilege
from espalier.policies.rules.tenants import default_deny, pod_security, quota
from espalier.types import Finding, Registered

UNKNOWN = {"$unknown": True}
RBAC = "rbac.authorization.k8s.io"
FACTS: dict[str, Any] = {
    "pools": [
        {"name": "h100", "devices": {"nvidia.com/gpu": 8}},
        {"name": "v6e", "devices": {"google.com/tpu": 4}},
        {"name": "system", "devices": {}},
    ],
    "tenants": [
        {
            "name": "vision",
            "namespaces": ["vision"],
            "groups": {"edit": ["vision-engineers"], "view": ["readers"]},
            "people": ["olga@example.com"],
        }
    ],
}
HARD = {
    "requests.cpu": "200",
    "requests.memory": "1Ti",
    "requests.nvidia.com/gpu": "8",
    "requests.google.com/tpu": "0",
}


def made(token: str, name: str, namespace: Any = "vision", **body: Any) -> Registered:
    metadata = {"name": name, "namespace": namespace, "labels": body.pop("labels", {})}
    urn = f"urn:pulumi:local::espalier::kubernetes:{token}::{name}"
    return Registered(urn, f"kubernetes:{token}", name, {"metadata": metadata, **body})


def namespace(level: Any = "baseline", name: Any = "vision") -> Registered:
    labels = {"espalier.dev/tenant": "vision", "pod-security.kubernetes.io/enforce": level}
    return made("core/v1:Namespace", name, None, labels=labels)


def resource_quota(hard: Any, where: Any = "vision", **spec: Any) -> Registered:
    return made("core/v1:ResourceQuota", "tenant", where, spec={"hard": hard, **spec})


def network_policy(where: Any = "vision", **spec: Any) -> Registered:
    return made("networking.k8s.io/v1:NetworkPolicy", "default-deny", where, spec=spec)


def findings(results: Any) -> list[str]:
    return [result.message for result in results if isinstance(result, Finding)]


def not_judged(results: Any) -> list[str]:
    return [result for result in results if isinstance(result, str)]


# Quota


def test_a_quota_on_cpu_memory_and_every_device_passes():
    assert list(quota([namespace(), resource_quota(HARD)], FACTS)) == []


def test_two_quotas_and_the_short_names_count_together():
    parts = [resource_quota({"cpu": "4", "memory": "8Gi"}), resource_quota(dict(list(HARD.items())[2:]))]
    assert list(quota([namespace(), *parts], FACTS)) == []


@pytest.mark.parametrize("gone", HARD)
def test_each_missing_cap_is_a_finding_on_the_namespace(gone: str):
    hard = {name: value for name, value in HARD.items() if name != gone}
    (finding,) = quota([namespace(), resource_quota(hard)], FACTS)
    assert isinstance(finding, Finding)
    assert finding.urn == namespace().urn
    assert f"caps {gone};" in finding.message


def test_a_scoped_quota_and_one_of_another_namespace_cap_nothing():
    scoped = resource_quota(HARD, scopes=["BestEffort"])
    elsewhere = resource_quota(HARD, "language")
    (message,) = findings(quota([namespace(), scoped, elsewhere], FACTS))
    assert "requests.cpu, requests.memory, requests.google.com/tpu, requests.nvidia.com/gpu" in message


def test_a_namespace_that_only_the_facts_know_needs_a_quota_too():
    assert len(findings(quota([], FACTS))) == 1


def test_a_namespace_without_the_tenant_label_needs_no_quota():
    assert list(quota([made("core/v1:Namespace", "kube-system", None)], {"pools": FACTS["pools"]})) == []


@pytest.mark.parametrize("unclear", [resource_quota(UNKNOWN), resource_quota(HARD, UNKNOWN)])
def test_a_quota_that_cannot_be_read_is_not_judged(unclear: Registered):
    results = list(quota([namespace(), unclear], FACTS))
    assert findings(results) == []
    assert not_judged(results) == ["namespace vision: a ResourceQuota's contents or namespace is not known"]


def test_an_unknown_amount_is_still_a_cap():
    assert list(quota([namespace(), resource_quota({**HARD, "requests.cpu": UNKNOWN})], FACTS)) == []


def test_without_facts_the_devices_are_not_judged_but_the_rest_is():
    results = list(quota([namespace(), resource_quota({"requests.cpu": "4"})], None))
    assert "requests.memory" in findings(results)[0]
    assert not_judged(results)[0].startswith("devices:")


def test_a_tenant_namespace_whose_name_is_not_known_is_not_judged():
    (text,) = quota([namespace(name=UNKNOWN)], {"tenants": []})
    assert isinstance(text, str)
    assert "its name is not known" in text


# Pod Security


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_the_two_levels_pass(level: str):
    assert list(pod_security([namespace(level)], None)) == []


@pytest.mark.parametrize("level", ["privileged", "", None, ["baseline"]])
def test_any_other_level_is_a_finding(level: Any):
    (message,) = findings(pod_security([namespace(level)], None))
    assert "Namespace vision" in message
    assert "baseline or restricted" in message


def test_an_unknown_level_is_not_judged_and_a_namespace_of_no_tenant_is_free():
    system = made("core/v1:Namespace", "kube-system", None)
    (text,) = pod_security([namespace(UNKNOWN), system], None)
    assert isinstance(text, str)


# Default deny


def test_a_policy_that_selects_all_pods_and_allows_nothing_passes():
    wall = network_policy(podSelector={}, policyTypes=["Ingress", "Egress"])
    assert list(default_deny([namespace(), wall], FACTS)) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"podSelector": {"matchLabels": {"app": "x"}}, "policyTypes": ["Ingress", "Egress"]},
        {"podSelector": {}, "policyTypes": ["Ingress"]},
        {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [{}]},
        {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}]},
        {"podSelector": {}},
    ],
)
def test_a_policy_that_leaves_a_gap_is_a_finding(spec: Mapping[str, Any]):
    (message,) = findings(default_deny([namespace(), network_policy(**spec)], FACTS))
    assert "namespace vision" in message


def test_a_wall_around_another_namespace_does_not_count():
    wall = network_policy("language", podSelector={}, policyTypes=["Ingress", "Egress"])
    assert len(findings(default_deny([namespace(), wall], FACTS))) == 1


def test_an_unknown_rule_list_or_namespace_is_not_judged():
    hidden = network_policy(podSelector={}, policyTypes=["Ingress", "Egress"], egress=UNKNOWN)
    lost = network_policy(UNKNOWN, podSelector={}, policyTypes=["Ingress", "Egress"])
    for policy in (hidden, lost):
        (text,) = default_deny([namespace(), policy], FACTS)
        assert isinstance(text, str)


# Least privilege


def role(kind: str = "Role", name: str = "tenant-edit", where: Any = "vision", **rule: Any) -> Registered:
    filled = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "create"], **rule}
    return made(f"{RBAC}/v1:{kind}", name, where, rules=[filled])


def binding(kind: str, name: str, *subjects: Mapping[str, Any], to: str = "RoleBinding") -> Registered:
    return made(f"{RBAC}/v1:{to}", "bound", roleRef={"kind": kind, "name": name}, subjects=list(subjects))


def group(name: str) -> Mapping[str, Any]:
    return {"kind": "Group", "name": name, "apiGroup": RBAC}


def test_narrow_roles_and_their_bindings_pass():
    resources = [namespace(), role(), binding("Role", "tenant-edit", group("vision-engineers"))]
    assert list(least_privilege([*resources, binding("ClusterRole", "view", group("readers"))], FACTS)) == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"verbs": ["*"]}, "a wildcard in verbs"),
        ({"resources": ["*"]}, "a wildcard in resources"),
        ({"apiGroups": ["*"]}, "a wildcard in apiGroups"),
        ({"verbs": ["impersonate"], "resources": ["serviceaccounts"]}, "the verbs impersonate"),
        ({"verbs": ["bind", "escalate"], "resources": ["clusterroles"]}, "the verbs bind, escalate"),
        ({"resources": ["resourcequotas"], "verbs": ["patch"]}, "may change resourcequotas"),
        ({"resources": ["limitranges"], "verbs": ["delete"]}, "may change limitranges"),
        ({"resources": ["networkpolicies"], "verbs": ["create"]}, "may change networkpolicies"),
        ({"resources": ["namespaces/finalize"], "verbs": ["update"]}, "may change namespaces"),
        ({"resources": ["roles"], "verbs": ["get", "update"]}, "may change roles"),
    ],
)
def test_a_broad_role_in_a_tenant_namespace_is_a_finding(rule: Mapping[str, Any], said: str):
    (message,) = findings(least_privilege([namespace(), role(**rule)], FACTS))
    assert said in message
    assert list(least_privilege([namespace(), role(where="platform", **rule)], FACTS)) == []


def test_reading_what_is_protected_is_fine():
    protected = ["resourcequotas", "limitranges", "networkpolicies", "roles"]
    assert list(least_privilege([namespace(), role(resources=protected, verbs=["get", "list", "watch"])], FACTS)) == []


@pytest.mark.parametrize("broad", ["cluster-admin", "admin", "edit"])
def test_kubernetes_own_broad_roles_are_a_finding_for_whomever_they_are_bound(broad: str):
    (message,) = findings(least_privilege([namespace(), binding("ClusterRole", broad, group("anyone"))], FACTS))
    assert f"binds ClusterRole {broad}" in message


def test_a_cluster_role_bound_in_a_tenant_namespace_is_judged_as_a_role_there():
    wide = role("ClusterRole", "operator", None, verbs=["*"])
    bound = binding("ClusterRole", "operator", group("vision-engineers"))
    assert "a wildcard in verbs" in findings(least_privilege([namespace(), wide, bound], FACTS))[0]
    assert list(least_privilege([namespace(), wide], FACTS)) == []


@pytest.mark.parametrize(
    "subject",
    [
        group("vision-engineers"),
        group("system:serviceaccounts:vision"),
        {"kind": "ServiceAccount", "name": "default", "namespace": "vision"},
        {"kind": "User", "name": "olga@example.com", "apiGroup": RBAC},
    ],
)
def test_a_cluster_role_binding_for_a_tenant_is_a_finding(subject: Mapping[str, Any]):
    bound = binding("ClusterRole", "node-reader", subject, to="ClusterRoleBinding")
    (message,) = findings(least_privilege([namespace(), bound], FACTS))
    assert "rights in every namespace" in message


def test_a_cluster_role_binding_for_others_passes_unless_everyone_becomes_an_administrator():
    operator = {"kind": "ServiceAccount", "name": "operator", "namespace": "operators"}
    subjects = (group("platform-team"), group("system:serviceaccounts:operators"), operator)
    theirs = binding("ClusterRole", "cluster-admin", *subjects, to="ClusterRoleBinding")
    everyone = group("system:authenticated")
    discovery = binding("ClusterRole", "system:discovery", everyone, to="ClusterRoleBinding")
    assert list(least_privilege([namespace(), theirs, discovery], FACTS)) == []
    opened = binding("ClusterRole", "cluster-admin", everyone, to="ClusterRoleBinding")
    assert len(findings(least_privilege([namespace(), opened], FACTS))) == 1


@pytest.mark.parametrize(
    "unclear",
    [
        role(verbs=UNKNOWN),
        role(verbs=["get", UNKNOWN]),
        role(where=UNKNOWN, verbs=["*"]),
        binding("ClusterRole", "not-registered", group("x")),
        binding("Role", "not-registered", group("x")),
        binding("ClusterRole", "x", {"kind": "Group", "name": UNKNOWN}, to="ClusterRoleBinding"),
        made(f"{RBAC}/v1:RoleBinding", "bound", roleRef=UNKNOWN, subjects=[]),
        made(f"{RBAC}/v1:RoleBinding", "bound", roleRef={"kind": "ClusterRole", "name": UNKNOWN}, subjects=[]),
        made(f"{RBAC}/v1:RoleBinding", "bound", roleRef={"kind": UNKNOWN, "name": "view"}, subjects=[]),
    ],
)
def test_what_cannot_be_read_of_access_is_not_judged(unclear: Registered):
    (text,) = least_privilege([namespace(), unclear], FACTS)
    assert isinstance(text, str)


def test_without_facts_cluster_role_bindings_are_told_as_not_judged():
    bound = binding("ClusterRole", "x", group("vision-engineers"), to="ClusterRoleBinding")
    (text,) = least_privilege([namespace(), bound], None)
    assert isinstance(text, str)
    assert "groups are not known" in text
