"""The rules on grace periods and budgets: what passes, what fails with its text, what cannot be judged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.components.objects import token_of
from espalier.policies.rules.disruption import budgets_let_evict, grace_within_notice, replicas_have_a_budget
from espalier.types import AddonInputs, Facts, Finding, Registered
from tests.unit.eks_stacks import a_pool, compiled

UNKNOWN = {"$unknown": True}
SPOT = {"key": "cloud.google.com/gke-spot", "value": "true", "effect": "NoSchedule"}
GPU = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
FACTS = {
    "pools": [
        {
            "name": "l4",
            "ends": [
                {
                    "capacity": "spot",
                    "grace": 15,
                    "labels": {"espalier.dev/pool": "l4", "espalier.dev/capacity": "spot"},
                    "taints": [GPU, SPOT],
                }
            ],
        },
        {"name": "system", "ends": []},
    ]
}
TOLERATES = [{"key": GPU["key"], "operator": "Exists"}, {"key": SPOT["key"], "value": "true"}]
CONTAINERS = [{"name": "main", "image": "example.com/x:1.2.3"}]


def made(kind: str, spec: Any, name: str = "x", api: str = "apps/v1", namespace: Any = "vision") -> Registered:
    props = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
    return Registered(f"urn:{kind}/{name}", f"kubernetes:{api}:{kind}", name, props)


def deployment(replicas: Any = None, name: str = "x", **spec: Any) -> Registered:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": CONTAINERS, **spec}}
    body: dict[str, Any] = {"template": template}
    return made("Deployment", body if replicas is None else body | {"replicas": replicas}, name)


def budget(name: str = "x", **spec: Any) -> Registered:
    selector = {"matchLabels": {"app": name}}
    return made("PodDisruptionBudget", {"selector": selector, **spec}, name, "policy/v1")


def messages(results: Iterable[Finding | str]) -> list[str]:
    return [result.message for result in results if isinstance(result, Finding)]


def doubts(results: Iterable[Finding | str]) -> list[str]:
    return [result for result in results if isinstance(result, str)]


def graced(seconds: Any, **spec: Any) -> Registered:
    return deployment(1, terminationGracePeriodSeconds=seconds, **spec)


def test_a_grace_that_is_cut_short_is_told_with_where_and_by_how_much() -> None:
    assert messages(grace_within_notice([graced(120, tolerations=TOLERATES)], FACTS)) == [
        "Deployment vision/x: terminationGracePeriodSeconds 120 is cut short on l4 (spot, 15 s); save its work sooner, "
        "or keep it off these nodes"
    ]


AWAY = {"key": "espalier.dev/capacity", "operator": "NotIn", "values": ["spot"]}
REQUIRED = {"nodeSelectorTerms": [{"matchExpressions": [AWAY]}]}


@pytest.mark.parametrize(
    ("seconds", "spec"),
    [
        (15, {"tolerations": TOLERATES}),
        (None, {"tolerations": TOLERATES}),
        (120, {}),
        (120, {"tolerations": TOLERATES[:1]}),
        (120, {"tolerations": TOLERATES, "nodeSelector": {"espalier.dev/pool": "other"}}),
        (
            120,
            {
                "tolerations": TOLERATES,
                "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": REQUIRED}},
            },
        ),
        ("soon", {"tolerations": [7, None]}),
    ],
)
def test_a_grace_that_fits_or_never_meets_spot_is_fine(seconds: Any, spec: dict[str, Any]) -> None:
    assert list(grace_within_notice([graced(seconds, **spec)], FACTS)) == []


def test_custom_resources_are_judged_as_deployments_are() -> None:
    pod = {"terminationGracePeriodSeconds": 60, "tolerations": [{"operator": "Exists"}], "containers": CONTAINERS}
    trainer = made(
        "PyTorchJob", {"pytorchReplicaSpecs": {"Worker": {"template": {"spec": pod}}}}, api="kubeflow.org/v1"
    )
    assert len(messages(grace_within_notice([trainer], FACTS))) == 1


@pytest.mark.parametrize("hidden", [{"tolerations": UNKNOWN}, {"nodeSelector": {"a": UNKNOWN}}, {"affinity": UNKNOWN}])
def test_where_it_lands_may_not_be_known(hidden: dict[str, Any]) -> None:
    found = list(grace_within_notice([graced(120, **{"tolerations": TOLERATES, **hidden})], FACTS))
    assert found == ["Deployment vision/x: whether it may land on l4 (spot, 15 s) is not known"]


def test_without_facts_nothing_ends() -> None:
    assert list(grace_within_notice([graced(120, tolerations=TOLERATES)], None)) == []


# Budgets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "numbers", "why"),
    [
        (2, {"maxUnavailable": 0}, "maxUnavailable 0"),
        (2, {"maxUnavailable": "0%"}, "maxUnavailable 0%"),
        (2, {"minAvailable": "100%"}, "minAvailable 100%"),
        (2, {"minAvailable": 2}, "minAvailable 2 of the 2 of Deployment vision/x"),
        (1, {"minAvailable": 1}, "minAvailable 1 of the 1 of Deployment vision/x"),
        (None, {"minAvailable": 1}, "minAvailable 1 of the 1 of Deployment vision/x"),
        (3, {"minAvailable": "90%"}, "minAvailable 90% of the 3 of Deployment vision/x"),
    ],
)
def test_a_budget_that_lets_no_pod_go_is_refused(replicas: int | None, numbers: dict[str, Any], why: str) -> None:
    assert messages(budgets_let_evict([deployment(replicas), budget(**numbers)], None)) == [
        f"PodDisruptionBudget vision/x: {why} lets no pod be evicted, so no node under it drains; set maxUnavailable "
        "to 1, or run one replica more"
    ]


@pytest.mark.parametrize(
    ("replicas", "numbers"),
    [
        (2, {"maxUnavailable": 1}),
        (1, {"maxUnavailable": "1%"}),
        (2, {"minAvailable": 1}),
        (4, {"minAvailable": "75%"}),
        (2, {}),
        (2, {"minAvailable": "many"}),
    ],
)
def test_a_budget_that_leaves_room_is_fine(replicas: int, numbers: dict[str, Any]) -> None:
    assert list(budgets_let_evict([deployment(replicas), budget(**numbers)], None)) == []


def test_a_budget_is_of_its_namespace_and_its_selector() -> None:
    other = made("Deployment", deployment(1).props["spec"], "x", namespace="language")
    assert list(budgets_let_evict([other, deployment(1, name="y"), budget(minAvailable=1)], None)) == []


def test_what_an_autoscaler_or_a_later_value_decides_is_not_judged() -> None:
    target = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}
    told = ["PodDisruptionBudget vision/x: how many pods it covers is not known"]
    for scaler in (
        made("HorizontalPodAutoscaler", target, api="autoscaling/v2"),
        made("ScaledObject", target, api="keda.sh/v1alpha1"),
    ):
        assert list(budgets_let_evict([deployment(1), scaler, budget(minAvailable=1)], None)) == told
    assert list(budgets_let_evict([deployment(UNKNOWN), budget(minAvailable=1)], None)) == told
    assert doubts(budgets_let_evict([budget(minAvailable=UNKNOWN)], None)) == [
        "PodDisruptionBudget vision/x: its numbers are not known"
    ]


def test_several_replicas_without_a_budget_are_told() -> None:
    assert messages(replicas_have_a_budget([deployment(3), budget("y", maxUnavailable=1)], None)) == [
        "Deployment vision/x: 3 replicas and no PodDisruptionBudget; add a PodDisruptionBudget with maxUnavailable 1 "
        "and the selector of its pods"
    ]
    assert list(replicas_have_a_budget([deployment(3), budget(maxUnavailable=1)], None)) == []
    assert list(replicas_have_a_budget([deployment(1)], None)) == []


def test_a_selector_of_expressions_covers_as_kubernetes_has_it() -> None:
    expression = {"key": "app", "operator": "In", "values": ["x", "y"]}
    wide = made("PodDisruptionBudget", {"selector": {"matchExpressions": [expression]}}, api="policy/v1")
    whole = made("PodDisruptionBudget", {"selector": {}}, api="policy/v1")
    none = made("PodDisruptionBudget", {}, api="policy/v1")
    for found, missing in ((wide, 0), (whole, 0), (none, 1)):
        assert len(messages(replicas_have_a_budget([deployment(2), found], None))) == missing


def test_our_own_add_ons_pass() -> None:
    """Those whose objects Espalier writes; the charts' own budgets are held by their values."""
    facts = Facts("eks", "1.35", True, cluster="c", region="eu-west-1", autoscaler="cluster-autoscaler")
    plans, _ = compiled(a_pool(accelerator="L4", capacity=["spot", "on-demand"]))
    inputs = [
        (record, AddonInputs(facts, tuple(plan.facts() for plan in plans), record.options()))
        for record in RECORDS.values()
        if record.content is None
    ]
    objects = [planned.manifest for record, given in inputs for planned in record.objects(given)]
    registered = [
        Registered(f"urn:{number}", token_of(manifest), str(number), json.loads(json.dumps(manifest)))
        for number, manifest in enumerate(objects)
    ]
    assert any(one.kind == "Deployment" for one in registered)
    assert list(budgets_let_evict(registered, None)) == []
    assert list(replicas_have_a_budget(registered, None)) == []
