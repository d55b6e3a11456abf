"""The whole judgement: waivers, order, speed, and that no input makes a rule crash."""

import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espalier.policies.judge import UNUSED_WAIVER, judge
from espalier.policies.registry import RULES
from espalier.types import Registered, Verdict

ALL = (
    "tenant-quota",
    "tenant-pod-security",
    "tenant-default-deny",
    "no-accelerator-in-limitrange",
    "elastic-pools-bounded",
    "tainted-accelerator-pools",
    "pinned-images",
    "no-privileged-pods",
    "tenant-least-privilege",
    "grace-within-notice",
    "budgets-let-evict",
    "replicas-have-a-budget",
    "private-stores",
    "cost-ceiling",
)
ADVISORY = {"grace-within-notice", "replicas-have-a-budget"}
REASON = "the vendor publishes no version"


def registered(token: str, name: str, props: Any) -> Registered:
    return Registered(f"urn:pulumi:local::espalier::{token}::{name}", token, name, props)


def platform(name: str = "platform", **facts: Any) -> Registered:
    return registered("espalier:index:Platform", name, {"facts": {"pools": [], "tenants": [], **facts}})


def pod(name: str, image: Any = "busybox", namespace: str = "vision") -> Registered:
    spec = {"containers": [{"name": "main", "image": image}]}
    return registered(
        "kubernetes:core/v1:Pod", name, {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
    )


def waiver(policy: str, resource: str, reason: Any = REASON) -> dict[str, Any]:
    return {"policy": policy, "resource": resource, "reason": reason}


def verdict(verdicts: tuple[Verdict, ...], name: str) -> Verdict:
    return next(item for item in verdicts if item.name == name)


def test_the_rules_have_unique_names_in_a_fixed_order_and_say_what_they_do():
    assert tuple(rule.name for rule in RULES) == ALL
    assert all(rule.description and rule.fix for rule in RULES)
    assert {rule.name for rule in RULES if rule.level != "mandatory"} == ADVISORY


def test_judging_nothing_finds_nothing_but_says_what_it_did_not_judge():
    verdicts = judge([])
    assert [item.name for item in verdicts] == [*ALL, UNUSED_WAIVER]
    assert all(item.ok for item in verdicts)
    assert verdict(verdicts, "cost-ceiling").not_judged


def test_a_waiver_keeps_the_finding_with_its_reason_and_covers_only_its_policy_and_resource():
    waivers = [waiver("pinned-images", "old-*")]
    found = verdict(judge([platform(waivers=waivers), pod("old-1"), pod("new")]), "pinned-images")
    assert [(item.urn.rsplit("::", 1)[-1], item.waived) for item in found.findings] == [
        ("new", None),
        ("old-1", REASON),
    ]
    assert not found.ok
    assert verdict(judge([platform(waivers=waivers), pod("old-1")]), "pinned-images").ok
    other = [waiver("no-privileged-pods", "old-*")]
    assert not verdict(judge([platform(waivers=other), pod("old-1")]), "pinned-images").ok


def test_a_waiver_of_a_resource_whose_name_holds_colons_is_matched_by_the_whole_name():
    waivers = [waiver("pinned-images", "team::tool")]
    assert verdict(judge([platform(waivers=waivers), pod("team::tool")]), "pinned-images").ok


def test_a_waiver_that_covers_nothing_is_advice():
    waivers = [waiver("pinned-images", "gone"), waiver("no-such-policy", "*"), waiver("pinned-images", "old")]
    unused = judge([platform(waivers=waivers), pod("old")])[-1]
    assert unused.level == "advisory"
    assert [item.message for item in unused.findings] == [
        "unused waiver: pinned-images on gone covers no finding; remove it",
        "unused waiver: no-such-policy on * covers no finding; remove it",
    ]


@pytest.mark.parametrize(
    "entry",
    [
        waiver("pinned-images", "*", None),
        waiver("pinned-images", "*", ""),
        {"policy": "pinned-images", "reason": REASON},
        {"resource": "*", "reason": REASON},
        "all",
        None,
    ],
)
def test_a_waiver_without_a_reason_covers_nothing(entry: Any):
    assert not verdict(judge([platform(waivers=[entry]), pod("old")]), "pinned-images").ok


def test_the_order_of_registration_changes_nothing():
    resources = [platform(waivers=[waiver("pinned-images", "p3")]), *(pod(f"p{n}") for n in range(20))]
    resources += [pod(f"q{n}", {"$unknown": True}) for n in range(5)]
    assert judge(resources[::-1]) == judge(resources)
    assert judge(resources[1::2] + resources[::2]) == judge(resources)


def test_facts_that_are_not_known_put_every_rule_in_doubt():
    hidden = registered("espalier:index:Platform", "platform", {"facts": {"$unknown": True}})
    assert all("the facts of the Platform are not known" in item.not_judged for item in judge([hidden])[:-1])


def test_a_second_platform_is_told():
    verdicts = judge([platform("b"), platform("a")])
    assert "Platform b: only the facts of a were used" in verdict(verdicts, "pinned-images").not_judged


def big_stack(namespaces: int) -> list[Registered]:
    """Ten objects a namespace, as a Tenant with a few workloads has them."""
    names = [f"team-{number}" for number in range(namespaces)]
    made = [platform(tenants=[{"name": name, "namespaces": [name], "groups": {"edit": [name]}} for name in names])]
    for name in names:
        labels = {"espalier.dev/tenant": name, "pod-security.kubernetes.io/enforce": "baseline"}
        meta: dict[str, Any] = {"name": "x", "namespace": name}
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
        hard = {"requests.cpu": "1", "requests.memory": "1Gi"}
        wall = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        bound = {"roleRef": {"kind": "Role", "name": "x"}, "subjects": [{"kind": "Group", "name": name}]}
        bodies: dict[str, dict[str, Any]] = {
            "core/v1:Namespace": {"metadata": {"name": name, "labels": labels}},
            "core/v1:ResourceQuota": {"metadata": meta, "spec": {"hard": hard}},
            "networking.k8s.io/v1:NetworkPolicy": {"metadata": meta, "spec": wall},
            "rbac.authorization.k8s.io/v1:Role": {"metadata": meta, "rules": [rule]},
            "rbac.authorization.k8s.io/v1:RoleBinding": {"metadata": meta, **bound},
        }
        made += [registered(f"kubernetes:{token}", name, body) for token, body in bodies.items()]
        made += [pod(f"{name}-{place}", "app:1.2.3", name) for place in range(5)]
    return made


def test_ten_thousand_resources_are_judged_in_well_under_a_second_and_linearly():
    large, small = big_stack(1000), big_stack(100)
    assert len(large) > 10_000
    assert all(item.ok for item in judge(large))

    def seconds(resources: list[Registered]) -> float:
        start = time.process_time()
        judge(resources)
        return time.process_time() - start

    assert min(seconds(large) for _ in range(3)) < 1.0
    assert min(seconds(large) for _ in range(3)) < 25 * min(seconds(small) for _ in range(5))


def test_rules_and_judge_leave_pulumi_alone():
    """A plan judges in-process and has no time for the SDK's import."""
    program = (
        "import sys, espalier.policies.judge; print([m for m in sys.modules if m.split('.')[0].startswith('pulumi')])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


# fmt: off
WORDS = [
    "metadata", "name", "namespace", "labels", "espalier.dev/tenant", "pod-security.kubernetes.io/enforce",
    "spec", "hard", "limits", "default", "template", "jobTemplate", "containers", "initContainers", "image",
    "securityContext", "privileged", "capabilities", "add", "volumes", "hostPath", "path", "podSelector",
    "policyTypes", "ingress", "rules", "apiGroups", "resources", "verbs", "roleRef", "kind", "subjects",
    "aggregationRule", "status", "capacity", "nvidia.com/gpu", "taints", "effect", "key", "items", "facts",
    "pools", "devices", "nodes", "min", "max", "cost", "ceiling", "currency", "unknown", "tenants",
    "namespaces", "groups", "waivers", "policy", "resource", "reason", "privileged_namespaces", "scopes",
    "hostNetwork", "apiVersion",
]
TOKENS = [
    "core/v1:Namespace", "core/v1:ResourceQuota", "core/v1:LimitRange", "core/v1:Node", "core/v1:Pod",
    "core/v1:PodList", "apps/v1:Deployment", "batch/v1:CronJob", "kubeflow.org/v1:Notebook",
    "networking.k8s.io/v1:NetworkPolicy", "rbac.authorization.k8s.io/v1:Role",
    "rbac.authorization.k8s.io/v1:ClusterRole", "rbac.authorization.k8s.io/v1:RoleBinding",
    "rbac.authorization.k8s.io/v1:ClusterRoleBinding", "helm.sh/v3:Release",
]
# fmt: on
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["ClusterRole", "Group", "cluster-admin", "*", "vision", "NoSchedule", "Pod", "app:1.2.3"])
    | st.just({"$unknown": True})
    | st.just({"$secret": True})
)
KEYS = st.sampled_from(WORDS) | st.text(max_size=4)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)
METADATA = st.fixed_dictionaries(
    {}, optional={"name": JSON, "namespace": JSON | st.just("vision"), "labels": st.dictionaries(KEYS, SCALARS) | JSON}
)
PROPS = st.dictionaries(KEYS, JSON, max_size=5) | st.fixed_dictionaries(
    {"metadata": METADATA},
    optional=dict.fromkeys(("spec", "rules", "roleRef", "subjects", "template", "status", "items"), JSON),
)
FACTS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("pools", "tenants", "privileged_namespaces", "cost", "waivers"), JSON)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tokens=st.lists(st.tuples(st.sampled_from(TOKENS), PROPS), max_size=5),
    facts=FACTS | JSON,
    foreign=st.text(max_size=30),
)
def test_no_json_makes_a_rule_crash(tokens: list[tuple[str, Any]], facts: Any, foreign: str):
    resources = [registered(f"kubernetes:{token}", f"r{n}", props) for n, (token, props) in enumerate(tokens)]
    resources.append(registered("espalier:index:Platform", "platform", {"facts": facts}))
    resources.append(Registered(foreign, foreign, foreign, tokens[0][1] if tokens else {}))
    verdicts = judge(resources)
    assert [item.name for item in verdicts] == [*ALL, UNUSED_WAIVER]
    said = [text for item in verdicts for text in (*item.not_judged, *(f.message for f in item.findings))]
    assert not any("$unknown" in text or "$secret" in text for text in said)


def test_deep_nesting_is_no_recursion_error():
    deep: Any = {"image": "x"}
    for _ in range(5000):
        deep = {"template": [deep]}
    judge([registered("kubernetes:kubeflow.org/v1:Notebook", "deep", {"spec": deep})])
