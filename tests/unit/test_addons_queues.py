"""What Kueue, Volcano and KAI are told, and in which order they come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from espalier.addons import RECORDS
from espalier.addons.kai_scheduler import values as kai
from espalier.addons.kueue import FRAMEWORKS, Options, configuration, values
from espalier.addons.volcano import configuration as volcano
from espalier.blueprint import build
from espalier.blueprint.build import facts_of, inputs_of
from espalier.settings import validate
from espalier.types import AddonInputs, AddonRecord, Facts, QueueFacts
from tests.unit.test_eks_cluster import BLOCK, GIVEN

FACTS = Facts("eks", "1.35", True)
H100 = {"name": "h100", "accelerator": "H100-80", "nodes": {"max": 4}, "capacity": ["spot", "on-demand"]}


def inputs(beside: set[str] | None = None, options: Options | None = None, **queues: Any) -> AddonInputs:
    named: dict[str, dict[str, Any]] = {id: {} for id in sorted(beside or ())}
    return AddonInputs(FACTS, (), options or Options(), named, QueueFacts(**queues))


def of_stack(**keys: Any) -> AddonInputs:
    block = {"cluster": {"kind": "simulated"}, "addons": {"kueue": {}}, **keys}
    found = inputs_of(validate(block, where="espalier"), RECORDS["kueue"], RECORDS)
    assert found
    return found


def test_nothing_in_a_tenants_namespace_goes_by_its_queue() -> None:
    config = configuration(inputs())
    assert config["manageJobsWithoutQueueName"] is True
    assert config["managedJobsNamespaceSelector"] == {
        "matchExpressions": [{"key": "espalier.dev/tenant", "operator": "Exists"}]
    }
    assert {"batch/job", "pod"} <= set(config["integrations"]["frameworks"])
    assert configuration(inputs(enforce=False))["manageJobsWithoutQueueName"] is False


def test_kueue_is_told_of_no_job_whose_definition_is_not_there() -> None:
    kinds = configuration(inputs())["integrations"]["frameworks"]
    assert kinds == ["batch/job", "pod", "deployment", "statefulset"]
    more = configuration(inputs({"jobset", "kueue"}))["integrations"]["frameworks"]
    assert more == [*kinds, "jobset.x-k8s.io/jobset"]
    given = configuration(inputs(options=Options(frameworks=["ray.io/rayjob"])))["integrations"]["frameworks"]
    assert given == [*kinds, "ray.io/rayjob"]


def test_kueue_comes_after_the_add_ons_whose_jobs_it_serves_and_does_without_them() -> None:
    base = AddonRecord("jobset", "1.0.0", "test", "optional", "Apache-2.0", "here", type(Options()), lambda _: ())
    lws = replace(base, id="lws", needs=frozenset({"jobset"}))
    records = {**RECORDS, "jobset": base, "lws": lws}
    block = {"cluster": {"kind": "simulated"}, "addons": {"kueue": {}, "jobset": {}, "lws": {}}}
    plans = {plan.id: plan for plan in build(validate(block, where="espalier"), records).addons}
    assert [plans[id].wave for id in ("jobset", "lws", "kueue")] == [0, 1, 2]
    assert (plans["kueue"].needs, plans["kueue"].after) == ((), ("jobset", "lws"))
    alone = build(validate({**block, "addons": {"kueue": {}}}, where="espalier"), records).addons
    assert [(plan.wave, plan.after) for plan in alone] == [(0, ())]


def test_devices_of_several_flavours_are_counted_once_more() -> None:
    config = configuration(of_stack(pools=[H100]))
    assert config["resources"] == {
        "quotaCheckStrategy": "IgnoreUndeclared",
        "transformations": [
            {
                "input": "nvidia.com/gpu",
                "strategy": "Retain",
                "outputs": {"count.espalier.dev/all-nvidia.com_gpu": "1"},
            }
        ],
    }
    assert "transformations" not in configuration(of_stack(pools=[{**H100, "capacity": ["spot"]}]))["resources"]


@pytest.mark.parametrize(
    ("keys", "time"),
    [
        ({}, "30m"),
        ({"pools": [{**H100, "capacity": ["flex"]}]}, "24h"),
        ({"pools": [{**H100, "capacity": ["flex"]}], "queues": {"start-within": "2h"}}, "2h"),
    ],
)
def test_what_does_not_start_gives_its_devices_back(keys: dict[str, Any], time: str) -> None:
    assert configuration(of_stack(**keys))["waitForPodsReady"]["timeout"] == time


def test_fair_sharing_is_on_where_there_is_borrowing() -> None:
    assert "fairSharing" in configuration(inputs())
    assert "fairSharing" not in configuration(inputs(borrowing=False))


def test_a_part_of_a_job_is_never_admitted_where_slices_are_whole() -> None:
    tpu = {"name": "v6e", "accelerator": "TPU-v6e", "topology": "4x4", "nodes": {"max": 8}}
    gates = values(of_stack(pools=[tpu]))["controllerManager"]["featureGates"]
    assert gates == [{"name": "PartialAdmission", "enabled": False}]
    assert values(of_stack(pools=[H100]))["controllerManager"]["featureGates"] == []


def test_there_are_two_kueues_of_the_released_image() -> None:
    made = values(inputs())
    manager = made["controllerManager"]
    assert manager["replicas"] == 2
    assert manager["podDisruptionBudget"]["enabled"]
    assert manager["manager"]["image"]["repository"] == "registry.k8s.io/kueue/kueue"
    assert yaml.safe_load(made["managerConfig"]["controllerManagerConfigYaml"]) == configuration(inputs())


@pytest.mark.parametrize(
    ("queues", "actions"),
    [
        ({}, "allocate, preempt, reclaim, backfill"),
        ({"preemption": "reclaim"}, "allocate, reclaim, backfill"),
        ({"preemption": "never"}, "allocate, backfill"),
        ({"borrowing": False}, "allocate, preempt, backfill"),
    ],
)
def test_volcano_stops_only_what_may_be_stopped(queues: dict[str, Any], actions: str) -> None:
    config = volcano(inputs(**queues))
    assert config["actions"] == actions
    plugins = [plugin["name"] for tier in config["tiers"] for plugin in tier["plugins"]]
    assert "capacity" in plugins
    assert "proportion" not in plugins  # a scheduler has one of the two


@pytest.mark.parametrize(
    ("autoscaler", "preemption", "first"),
    [
        ("none", "reclaim", "enqueue"),
        ("none", "priority", "allocate"),  # what makes room needs pods to make it for
        ("karpenter", "reclaim", "allocate"),  # no autoscaler sees a job whose pods are not made
        ("", "reclaim", "allocate"),  # nor one that nobody names
    ],
)
def test_volcano_holds_no_pod_back_that_must_be_seen_to_wait(autoscaler: str, preemption: str, first: str) -> None:
    found = replace(inputs(preemption=preemption), facts=replace(FACTS, autoscaler=autoscaler))
    assert volcano(found)["actions"].split(", ")[0] == first


@pytest.mark.parametrize(
    ("cluster", "scales"),
    [
        ({"kind": "simulated", "autoscaler": "karpenter"}, True),
        ({"kind": "simulated"}, False),
        ({"kind": "existing", "version": "1.36", "kubeconfig": "k", "context": "there"}, True),
        ({**BLOCK, **GIVEN}, True),
    ],
)
def test_kai_and_volcano_know_whether_something_may_scale(cluster: dict[str, Any], scales: bool) -> None:
    settings = validate({"cluster": cluster, "queues": {"preemption": "never"}}, where="espalier")
    facts = facts_of(settings)
    assert kai(replace(inputs(), facts=facts))["global"]["clusterAutoscaling"] is scales
    actions = volcano(replace(inputs(preemption="never"), facts=facts))["actions"]
    assert actions.startswith("allocate") is scales


def test_a_queueing_system_excludes_the_others() -> None:
    systems = {"kueue", "volcano", "kai-scheduler"}
    assert all(set(RECORDS[id].conflicts) == systems - {id} for id in systems)
    assert set(FRAMEWORKS) == set(RECORDS["kueue"].after)
