"""cluster-autoscaler on EKS: at the cluster's minor, in the pools' order of preference, with no right too many."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from espalier.addons import RECORDS
from espalier.addons.cluster_autoscaler import NAME, RECORD, RELEASES, pattern_of
from espalier.blueprint.order import plan_addons, with_implied
from espalier.settings.pool import Pool
from espalier.types import AddonInputs, AddonPlan, Facts
from tests.unit.eks_stacks import a_cluster, a_pool, compiled

UUID = "3ac5b5c2-2b4d-8c7e-1f2a-0123456789ab"
NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", fullmatch=True)
KINDS = ("reserved", "spot", "on-demand")


def facts(version: str = "1.35", kind: str = "eks", autoscaler: str = "cluster-autoscaler") -> Facts:
    return Facts(kind, version, runs_containers=True, cluster="prod", region="eu-west-1", autoscaler=autoscaler)


def planned(*pools: Pool, options: dict[str, Any] | None = None, known: Facts | None = None) -> AddonPlan:
    plans, mistakes = compiled(*pools)
    assert mistakes == ()
    made, wrong = plan_addons({NAME: options or {}}, RECORDS, known or facts(), [plan.facts() for plan in plans])
    assert wrong == ()
    return made[0]


def one(plan: AddonPlan, kind: str) -> Any:
    return next(manifest for manifest in plan.manifests if manifest["kind"] == kind)


def flags(plan: AddonPlan) -> dict[str, str]:
    command = one(plan, "Deployment")["spec"]["template"]["spec"]["containers"][0]["command"]
    return dict(part.removeprefix("--").split("=", 1) for part in command[1:])


@pytest.mark.parametrize("minor", sorted(RELEASES))
def test_the_release_is_of_the_clusters_minor(minor: str) -> None:
    plan = planned(a_pool(accelerator="L4"), known=facts(minor))
    image = one(plan, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"registry.k8s.io/autoscaling/cluster-autoscaler:v{plan.version}"
    assert plan.version.startswith(f"{minor}.")


@pytest.mark.parametrize(
    ("known", "text"),
    [
        (
            facts("1.99"),
            f"got Kubernetes 1.99; accepted: a version that it has a release for: {', '.join(RELEASES)}. Take one of "
            "these versions, or an Espalier that knows a release for this one.",
        ),
        (
            facts(kind="gke", autoscaler="managed"),
            "got on a cluster of kind gke; accepted: a cluster of kind eks. Remove it; GKE and AKS scale their pools "
            "themselves, other clusters have nothing to ask for nodes.",
        ),
        (
            facts(autoscaler="karpenter"),
            "got beside autoscaler: karpenter; accepted: one autoscaler. Remove it, or set "
            "espalier:cluster.autoscaler: cluster-autoscaler.",
        ),
    ],
)
def test_where_it_cannot_be_is_a_mistake(known: Facts, text: str) -> None:
    _, mistakes = plan_addons({NAME: {}}, RECORDS, known, [])
    assert [mistake.text() for mistake in mistakes] == [f"espalier:addons.cluster-autoscaler: {text}"]


def test_a_cluster_of_eks_has_it_without_a_word_and_with_the_options_it_is_given() -> None:
    assert with_implied({}, {NAME: RECORD}, facts()) == {NAME: {}}
    named = {NAME: {"max-node-provision-time": "5m"}}
    assert with_implied(named, {NAME: RECORD}, facts()) == named
    for other in (facts(autoscaler="karpenter"), facts(autoscaler="none"), facts(autoscaler=""), facts(kind="gke")):
        assert NAME not in with_implied({}, RECORDS, other)


def test_times_are_options_and_nothing_else_is() -> None:
    plan = planned(a_pool(accelerator="L4"), options={"max-node-provision-time": "6m"})
    assert flags(plan)["max-node-provision-time"] == "6m"
    for wrong in ({"max-node-provision-time": "soon"}, {"expander": "random"}):
        assert plan_addons({NAME: wrong}, RECORDS, facts(), [])[1]


def test_it_looks_for_the_groups_of_its_own_cluster() -> None:
    discovery = flags(planned(a_pool(accelerator="L4")))["node-group-auto-discovery"]
    assert discovery == "asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/prod"


def test_a_stock_out_falls_through_within_minutes() -> None:
    found = flags(planned(a_pool(accelerator="L4")))
    assert found["expander"].startswith("priority")
    assert minutes(found["max-node-provision-time"]) <= 10
    assert minutes(found["initial-node-group-backoff-duration"]) >= 1  # or the refused kind is asked for again
    assert found["skip-nodes-with-system-pods"] == "false"


def minutes(text: str) -> int:
    assert text.endswith("m")
    return int(text[:-1])


def priority_of(plan: AddonPlan, group: str) -> list[int]:
    """As the priority expander finds them: every number that has a pattern for the group."""
    config = next(m for m in plan.manifests if m["metadata"]["name"] == "cluster-autoscaler-priority-expander")
    table: dict[int, list[str]] = yaml.safe_load(config["data"]["priorities"])
    return [number for number, patterns in table.items() if any(re.search(pattern, group) for pattern in patterns)]


def test_kinds_of_capacity_are_tried_in_the_pools_order() -> None:
    held = {"id": "cr-0123456789abcdef0", "zones": ["us-east-1a"]}
    pool = a_pool(name="l4", accelerator="L4", capacity=["reserved", "spot", "on-demand"], reservation=held)
    plan = planned(pool)
    order = [priority_of(plan, f"eks-l4-{kind}-0a1b2-{UUID}") for kind in KINDS]
    assert all(len(found) == 1 for found in order)
    assert order == sorted(order, reverse=True)


@given(mine=NAMES, other=NAMES, kind=st.sampled_from(KINDS), others=st.sampled_from(KINDS))
def test_no_two_patterns_match_one_group(mine: str, other: str, kind: str, others: str) -> None:
    group = f"eks-{mine}-{kind}-0a1b2-{UUID}"
    assert re.search(pattern_of(mine, kind), group)
    assert bool(re.search(pattern_of(other, others), group)) == ((mine, kind) == (other, others))


@pytest.mark.parametrize(
    ("mine", "kind", "other", "others"),
    [("a", "spot", "a-spot", "on-demand"), ("a", "spot", "a-spot-0a1b2", "spot"), ("b", "spot", "a-b", "spot")],
)
def test_names_that_continue_one_another_are_told_apart(mine: str, kind: str, other: str, others: str) -> None:
    assert not re.search(pattern_of(mine, kind), f"eks-{other}-{others}-0a1b2-{UUID}")


def test_every_group_of_a_stack_matches_one_pattern() -> None:
    """A group that matches none is never used (expander/priority/priority.go)."""
    pools = (a_pool(name="l4", accelerator="L4", capacity=["spot", "on-demand"]), a_pool(name="t4", accelerator="T4"))
    plans, _ = compiled(*pools)
    plan = planned(*pools)
    groups = [group.name for one in plans for group in one.groups]
    assert len(groups) == 4
    assert all(len(priority_of(plan, f"eks-{group}-{UUID}")) == 1 for group in groups)


def test_its_rights_end_at_its_own_namespace_but_for_reading_and_moving_pods() -> None:
    plan = planned(a_pool(accelerator="L4"))
    changing = {
        (resource, verb)
        for rule in one(plan, "ClusterRole")["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if verb not in ("get", "list", "watch")
    }
    assert changing == {
        ("nodes", "update"),
        ("pods/eviction", "create"),
        ("pods/status", "update"),
        ("events", "create"),
        ("events", "patch"),
    }
    assert not any(
        "secrets" in rule["resources"] for kind in ("ClusterRole", "Role") for rule in one(plan, kind)["rules"]
    )
    named = [rule for rule in one(plan, "Role")["rules"] if {"update", "delete"} & set(rule["verbs"])]
    assert all(rule.get("resourceNames") for rule in named)


def test_it_stands_on_nodes_that_stay_and_one_of_two_always_runs() -> None:
    plan = planned(a_pool(accelerator="L4"))
    deployment, budget = one(plan, "Deployment")["spec"], one(plan, "PodDisruptionBudget")["spec"]
    pod = deployment["template"]["spec"]
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {"key": "espalier.dev/accelerator", "operator": "DoesNotExist"} in terms[0]["matchExpressions"]
    assert {"key": "espalier.dev/capacity", "operator": "NotIn", "values": ["spot"]} in terms[0]["matchExpressions"]
    assert (deployment["replicas"], budget["maxUnavailable"]) == (2, 1)
    assert budget["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
    assert pod["containers"][0]["resources"]["requests"]["cpu"] == "1"
    assert pod["serviceAccountName"] == "cluster-autoscaler"


def test_objects_are_the_same_for_the_same_pools() -> None:
    plans, _ = compiled(a_pool(accelerator="L4"), cluster=a_cluster())
    inputs = AddonInputs(facts(), tuple(plan.facts() for plan in plans), RECORD.options())
    assert RECORD.objects(inputs) == RECORD.objects(inputs)
