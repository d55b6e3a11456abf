"""Queues of pools and tenants: objects, refusals with their texts, proofs that fail when an object is wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.blueprint.admission import NOTEBOOKS
from espalier.blueprint.queues import QueuePlan, queue_mistakes
from espalier.blueprint.queues.kueue import ALL, LOCAL_QUEUE, counted
from espalier.blueprint.queues.proofs import prove_queues
from espalier.settings import validate
from espalier.types import Facts, Manifest, Mistake, Mistakes, NodeShape, Planned, Taint
from tests.unit.test_gke_cluster import CLUSTER as GKE
from tests.unit.test_gke_cluster import SYSTEM as SYSTEM_OF_GKE

GPU, TPU = "nvidia.com/gpu", "google.com/tpu"
COUNTER = "count.espalier.dev/all-nvidia.com_gpu"
H100 = {"name": "h100", "accelerator": "H100-80", "nodes": {"max": 4}, "capacity": ["spot", "on-demand"]}
L4 = {"name": "l4", "accelerator": "L4", "count": 1, "nodes": {"max": 4}}
V6E = {"name": "v6e", "accelerator": "TPU-v6e", "topology": "4x4", "nodes": {"max": 8}}
V5E = {"name": "v5e", "accelerator": "TPU-v5e", "topology": "2x2", "nodes": {"max": 4}}
SYSTEM = {"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"max": 1}}


def tenant(name: str, queue: dict[str, Any] | None = None, **devices: int) -> dict[str, Any]:
    known = {"gpu": GPU, "tpu": TPU, "mig": "nvidia.com/mig-1g.10gb"}
    quota = {"devices": {known[key]: count for key, count in devices.items()}}
    return {"name": name, "quota": quota, **({"queue": queue} if queue else {})}


def blueprint(system: str = "kueue", **keys: Any) -> Blueprint:
    addons = {system: {}} if system else {}
    return build(validate({"cluster": {"kind": "simulated"}, "addons": addons, **keys}, where="espalier"), RECORDS)


def queues(system: str = "kueue", **keys: Any) -> QueuePlan:
    plan = blueprint(system, **keys).queues
    assert plan
    return plan


def refused(system: str = "kueue", **keys: Any) -> list[Mistake]:
    with pytest.raises(Mistakes) as raised:
        blueprint(system, **keys)
    return list(raised.value.mistakes)


def objects(plan: QueuePlan) -> dict[tuple[str, str], Manifest]:
    return {(p.manifest["kind"], p.manifest["metadata"]["name"]): p.manifest for p in plan.objects}


def amounts(manifest: Manifest) -> dict[tuple[str, str], tuple[int, int | None, int | None]]:
    """Nominal quota, borrowing limit and lending limit by flavour and resource."""
    return {
        (flavour["name"], row["name"]): (
            int(row["nominalQuota"]),
            int(row["borrowingLimit"]) if "borrowingLimit" in row else None,
            int(row["lendingLimit"]) if "lendingLimit" in row else None,
        )
        for group in manifest["spec"]["resourceGroups"]
        for flavour in group["flavors"]
        for row in flavour["resources"]
    }


# What it comes to --------------------------------------------------------------------------------------------------


def test_nothing_said_gives_each_tenant_its_quota_on_every_kind_and_no_more_in_all() -> None:
    plan = queues(pools=[H100], tenants=[tenant("a", gpu=8), tenant("b", gpu=16)])
    made = objects(plan)
    assert amounts(made["ClusterQueue", "a"]) == {
        ("h100-spot", GPU): (8, 0, None),
        ("h100-on-demand", GPU): (8, 0, None),
        (ALL, COUNTER): (8, 0, None),
    }
    assert amounts(made["Cohort", "espalier"])[ALL, COUNTER] == (8, None, None)
    assert counted(plan.shared) == {GPU: COUNTER}
    spec = made["ClusterQueue", "a"]["spec"]
    assert spec["cohortName"] == "espalier"
    assert spec["namespaceSelector"] == {"matchLabels": {"espalier.dev/tenant": "a"}}
    assert spec["preemption"] == {
        "reclaimWithinCohort": "Any",
        "withinClusterQueue": "LowerPriority",
        "borrowWithinCohort": {"policy": "Never"},
    }


def test_flavours_select_and_tolerate_the_nodes_of_their_kind_in_the_pools_order() -> None:
    plan = queues(pools=[H100, L4], tenants=[tenant("a", gpu=8)])
    assert [flavour.name for flavour in plan.shared.flavours] == ["h100-spot", "h100-on-demand", "l4-on-demand"]
    spec = objects(plan)["ResourceFlavor", "h100-spot"]["spec"]
    assert spec["nodeLabels"] == {
        "espalier.dev/accelerator": "H100-80",
        "espalier.dev/capacity": "spot",
        "espalier.dev/pool": "h100",
    }
    assert {"key": GPU, "operator": "Equal", "value": "present", "effect": "NoSchedule"} in spec["tolerations"]
    tried = [flavour for flavour, device in amounts(objects(plan)["ClusterQueue", "a"]) if device == GPU]
    assert tried == ["h100-spot", "h100-on-demand", "l4-on-demand"]


def test_an_autoscaler_goes_down_the_ladder_itself() -> None:
    """A queue never learns that a cloud has no spot node: where an autoscaler knows the order, it chooses."""
    plan = queues(cluster={"kind": "simulated", "autoscaler": "karpenter"}, pools=[SYSTEM, H100], tenants=[])
    (flavour,) = plan.shared.flavours
    assert (flavour.name, flavour.kind) == ("h100", "")
    assert "espalier.dev/capacity" not in flavour.labels
    kept = queues(
        cluster={"kind": "simulated", "autoscaler": "karpenter"},
        pools=[SYSTEM, H100],
        tenants=[],
        queues={"ladder": "kinds"},
    )
    assert [one.kind for one in kept.shared.flavours] == ["spot", "on-demand"]


def test_queued_nodes_are_a_flavour_of_their_own_behind_a_check() -> None:
    pool = {**H100, "capacity": ["spot", "flex", "on-demand"], "flex": {"queued": True}}
    plan = queues(pools=[pool], tenants=[tenant("a", gpu=8)], queues={"ladder": "pools"})
    assert [flavour.name for flavour in plan.shared.flavours] == ["h100", "h100-flex"]
    made = objects(plan)
    name = "espalier-provisioning-best-effort-atomic-scale-up"
    assert made["ClusterQueue", "a"]["spec"]["admissionChecksStrategy"] == {
        "admissionChecks": [{"name": name, "onFlavors": ["h100-flex"]}]
    }
    assert made["ProvisioningRequestConfig", name]["spec"]["managedResources"] == [GPU]
    assert made["AdmissionCheck", name]["spec"]["controllerName"] == "kueue.x-k8s.io/provisioning-request"


def test_quotas_beyond_the_pools_are_shares_and_the_rest_is_borrowed() -> None:
    plan = queues(pools=[L4], tenants=[tenant("a", gpu=4), tenant("b", gpu=4)])
    assert amounts(objects(plan)["ClusterQueue", "a"]) == {("l4-on-demand", GPU): (2, 2, None)}
    assert [note for note in plan.notes if "2 of the 4 nvidia.com/gpu of a are its own" in note]
    alone = queues(pools=[L4], tenants=[tenant("a", gpu=4), tenant("b", gpu=4)], queues={"borrowing": False})
    made = objects(alone)
    assert amounts(made["ClusterQueue", "a"]) == {("l4-on-demand", GPU): (2, None, None)}
    assert "cohortName" not in made["ClusterQueue", "a"]["spec"]
    assert ("Cohort", "espalier") not in made
    assert made["ClusterQueue", "a"]["spec"]["preemption"]["reclaimWithinCohort"] == "Never"


def test_what_a_tenant_borrows_and_lends_is_in_its_queue_and_its_namespaces() -> None:
    mine = tenant("a", {"weight": 3, "borrow": {GPU: 2}, "lend": {GPU: 1}}, gpu=2)
    made = blueprint(pools=[L4], tenants=[mine, tenant("b", gpu=2)])
    assert made.queues
    queue = objects(made.queues)["ClusterQueue", "a"]
    assert amounts(queue) == {("l4-on-demand", GPU): (2, 2, 1)}
    assert queue["spec"]["fairSharing"] == {"weight": "3"}
    assert [work.hard[f"requests.{GPU}"] for one in made.tenants for work in one.workspaces] == ["4", "2"]


NEAR_AND_FAR = [{**L4, "name": name, "count": 2} for name in ("near", "far")]
"""Two pools of 8."""


def rights(plan: QueuePlan, name: str) -> dict[str, tuple[int, int]]:
    """Quota and what may be borrowed, by flavour."""
    found = amounts(objects(plan)["ClusterQueue", name])
    return {flavour: (own, borrow or 0) for (flavour, _), (own, borrow, _) in found.items()}


def test_a_tenant_of_some_pools_has_its_own_there_and_the_others_leave_it_room() -> None:
    tenants = [tenant("all", gpu=8), {**tenant("bound", gpu=8), "pools": ["near"]}]
    plan = queues(pools=NEAR_AND_FAR, tenants=tenants)
    assert rights(plan, "bound") == {"near-on-demand": (8, 0), ALL: (8, 0)}
    assert rights(plan, "all") == {"near-on-demand": (0, 8), "far-on-demand": (8, 0), ALL: (8, 0)}
    assert plan.notes == ()
    assert {proof.name: proof.ok for proof in plan.proofs}["queue-order/far"]


def test_who_may_use_the_fewest_pools_comes_first_and_has_each_device_once() -> None:
    third = {**L4, "name": "third", "count": 2}
    tenants = [
        {**tenant("wide", gpu=8), "pools": ["near", "far"]},
        {**tenant("narrow", gpu=8), "pools": ["near"]},
        tenant("all", gpu=8),
    ]
    plan = queues(pools=[*NEAR_AND_FAR, third], tenants=tenants)
    assert rights(plan, "narrow") == {"near-on-demand": (8, 0), ALL: (8, 0)}
    assert rights(plan, "wide") == {"near-on-demand": (0, 8), "far-on-demand": (8, 0), ALL: (8, 0)}
    assert rights(plan, "all")["third-on-demand"] == (8, 0)
    alone = queues(pools=[*NEAR_AND_FAR, third], tenants=[tenants[0], tenant("all", gpu=16)])
    assert rights(alone, "all")["far-on-demand"] == (8, 0)
    assert alone.notes == ()


def test_who_share_a_pool_that_is_too_small_part_it_though_others_have_room() -> None:
    tenants = [{**tenant(name, gpu=8), "pools": ["near"]} for name in ("a", "b")]
    plan = queues(pools=NEAR_AND_FAR, tenants=tenants)
    for name in ("a", "b"):
        assert rights(plan, name) == {"near-on-demand": (4, 4), ALL: (4, 4)}
        assert (
            f"queues: 4 of the 8 nvidia.com/gpu of {name} are its own; all tenants' quotas together are more than the "
            "pools that it may use hold"
        ) in plan.notes
    assert amounts(objects(plan)["Cohort", "espalier"])["far-on-demand", GPU] == (8, None, None)


def test_a_tenant_of_some_kinds_of_capacity_has_no_flavour_of_another() -> None:
    steady = {**tenant("steady", gpu=8), "capacity": ["on-demand"]}
    by_kind = queues(pools=[H100], tenants=[steady, tenant("b", gpu=8)])
    assert rights(by_kind, "steady") == {"h100-on-demand": (8, 0), ALL: (8, 0)}
    assert set(rights(by_kind, "b")) == {"h100-spot", "h100-on-demand", ALL}
    by_pool = queues(pools=[H100], tenants=[steady], queues={"ladder": "pools"})
    assert rights(by_pool, "steady") == {"h100": (8, 0)}  # the pods' own node affinity keeps them off spot


def by_kind(spot: int, other: int, gpu: int = 16) -> dict[str, Any]:
    bounded = tenant("a", gpu=gpu)
    return {**bounded, "quota": {**bounded["quota"], "capacity": {"spot": {GPU: spot}, "on-demand": {GPU: other}}}}


def test_a_bound_by_kind_of_capacity_is_that_of_the_flavours_of_the_kind() -> None:
    plan = queues(pools=[H100], tenants=[by_kind(8, 4), tenant("b", gpu=16)])
    assert rights(plan, "a") == {"h100-spot": (8, 0), "h100-on-demand": (4, 0), ALL: (12, 0)}
    two = [H100, {**H100, "name": "more", "capacity": ["spot"]}]
    found = rights(queues(pools=two, tenants=[by_kind(8, 4)]), "a")
    assert sum(own + borrow for flavour, (own, borrow) in found.items() if flavour.endswith("-spot")) == 8
    made = blueprint(pools=[H100], tenants=[by_kind(8, 4)])
    kinds = [planned.manifest["kind"] for work in made.tenants[0].workspaces for planned in work.objects]
    assert kinds.count("ResourceQuota") == 1, "Kueue places by quotas before there is a pod with a class"


def test_a_tenant_without_a_pool_that_holds_a_device_has_no_group_of_it_and_no_check() -> None:
    flex = [{**L4, "name": name, "capacity": ["flex"], "flex": {"queued": True}} for name in ("one", "two")]
    tenants = [{**tenant("a", gpu=8), "pools": ["h100"]}, tenant("b"), {**tenant("c"), "pools": ["two"]}]
    made = objects(queues(pools=[H100, *flex, V6E], tenants=tenants))
    spec = made["ClusterQueue", "a"]["spec"]
    assert [group["coveredResources"] for group in spec["resourceGroups"]] == [[GPU], [COUNTER]]
    assert "admissionChecksStrategy" not in spec
    for name, behind in (("b", ["one-flex", "two-flex"]), ("c", ["two-flex"])):
        (check,) = made["ClusterQueue", name]["spec"]["admissionChecksStrategy"]["admissionChecks"]
        assert check["onFlavors"] == behind


def test_slices_are_whole_in_every_number() -> None:
    plan = queues(pools=[V6E], tenants=[tenant("a", tpu=24), tenant("b", {"borrow": {TPU: 8}}, tpu=16)])
    made = objects(plan)
    assert amounts(made["ClusterQueue", "a"]) == {("v6e-on-demand", TPU): (16, 0, None)}
    assert amounts(made["ClusterQueue", "b"]) == {("v6e-on-demand", TPU): (16, 0, None)}
    assert {proof.name: proof.ok for proof in plan.proofs}["queue-slice/v6e"]


def test_every_namespace_has_the_default_queue() -> None:
    share = {"devices": {GPU: 4}}
    workspaces = [{"name": "dev", "quota": share}, {"name": "prod", "quota": share}]
    plan = queues(pools=[H100], tenants=[{**tenant("a", gpu=8), "workspaces": workspaces}])
    local = [p.manifest for p in plan.objects if p.manifest["kind"] == "LocalQueue"]
    assert [one["metadata"]["namespace"] for one in local] == ["a-dev", "a-prod"]
    assert {one["metadata"]["name"] for one in local} == {LOCAL_QUEUE} == {"default"}
    assert {one["spec"]["clusterQueue"] for one in local} == {"a"}


def test_topology_is_for_pools_whose_nodes_stand() -> None:
    standing = {
        **H100,
        "name": "near",
        "capacity": ["on-demand"],
        "placement": "compact",
        "nodes": {"min": 4, "max": 4},
    }
    plan = queues(pools=[standing, {**V6E, "name": "tpu"}], tenants=[], queues={"topology": True})
    made = objects(plan)
    (topology,) = [name for kind, name in made if kind == "Topology"]
    assert made["ResourceFlavor", "near-on-demand"]["spec"]["topologyName"] == topology
    assert "topologyName" not in made["ResourceFlavor", "tpu-on-demand"]["spec"]
    assert [note for note in plan.notes if "topology of tpu-on-demand" in note]
    assert (
        "topologyName" not in objects(queues(pools=[standing], tenants=[]))["ResourceFlavor", "near-on-demand"]["spec"]
    )


def test_without_devices_a_queue_holds_nothing_and_is_there() -> None:
    plan = queues(pools=[SYSTEM], tenants=[tenant("a")])
    assert objects(plan)["ClusterQueue", "a"]["spec"]["resourceGroups"] == []


def test_work_of_higher_priority_is_first_in_queues_and_on_nodes_alike() -> None:
    made = blueprint(pools=[H100], tenants=[])
    assert made.queues
    on_nodes = {p.manifest["metadata"]["name"]: p.manifest["value"] for p in made.objects}
    in_queues = {name: one["value"] for (kind, name), one in objects(made.queues).items() if "PriorityClass" in kind}
    assert in_queues == on_nodes


def test_names_are_dns_labels_for_other_clusters_too() -> None:
    long = "a" * 30
    plan = queues(pools=[{**H100, "name": long}], tenants=[tenant(long, gpu=8)])
    assert all(len(name) <= 63 and "." not in name for _, name in objects(plan))


# Other systems -----------------------------------------------------------------------------------------------------


def test_volcano_has_a_queue_a_tenant() -> None:
    mine = tenant("a", {"weight": 2, "borrow": {GPU: 8}, "lend": {GPU: 3}}, gpu=8)
    (queue,) = [p.manifest for p in queues("volcano", pools=[H100], tenants=[mine]).objects]
    assert queue["spec"] == {
        "weight": 2,
        "reclaimable": True,
        "parent": "root",
        "capability": {"cpu": "16", "memory": "64Gi", GPU: "16"},
        "deserved": {"cpu": "16", "memory": "64Gi", GPU: "8"},
        "guarantee": {"resource": {GPU: "5"}},
    }


def test_kai_has_queues_under_one_of_its_own() -> None:
    plan = queues("kai-scheduler", pools=[H100], tenants=[tenant("a", {"borrow": {GPU: 8}}, gpu=8)])
    root, mine = [p.manifest for p in plan.objects]
    assert root["spec"]["resources"]["gpu"] == {"quota": 32, "limit": 32, "overQuotaWeight": 1}
    assert mine["spec"]["parentQueue"] == root["metadata"]["name"] == "espalier"
    assert mine["spec"]["resources"]["gpu"] == {"quota": 8, "limit": 16, "overQuotaWeight": 1}


def classes(system: str) -> dict[str, Manifest]:
    """Espalier's priority classes in a stack with such a system."""
    found = blueprint(system, pools=[H100], tenants=[tenant("a", gpu=8)]).objects
    return {p.manifest["metadata"]["name"]: p.manifest for p in found if p.manifest["kind"] == "PriorityClass"}


def test_volcano_takes_back_for_batch_work_what_its_queue_has_lent() -> None:
    """Its reclaim skips a pod whose class preempts never (v1.15.1, actions/reclaim/reclaim.go)."""
    assert {one["preemptionPolicy"] for one in classes("volcano").values()} == {"PreemptLowerPriority"}
    assert classes("kueue")["espalier-batch"]["preemptionPolicy"] == "Never"


def test_kai_lets_batch_work_borrow_and_nothing_that_somebody_waits_for() -> None:
    """Work of 100 and more stays within its queue's own, and is never stopped (v0.17.0, docs/priority)."""
    found = classes("kai-scheduler")
    assert [name for name, one in found.items() if one["value"] < 100] == ["espalier-batch"]
    assert list(found) == sorted(found, key=lambda name: -found[name]["value"])


@pytest.mark.parametrize("system", ["kueue", "kai-scheduler"])
def test_a_tenant_may_name_a_foreign_class_only_below_all_of_ours(system: str) -> None:
    found = blueprint(system, pools=[H100], tenants=[tenant("a", gpu=8)]).objects
    (guard,) = (p.manifest for p in found if p.suffix == "guard-pods")
    least = min(one["value"] for one in classes(system).values())
    assert guard["spec"]["validations"][0]["expression"].endswith(f"< {least}")


@pytest.mark.parametrize("other", ["volcano", "kai-scheduler"])
def test_two_systems_would_own_the_same_pods(other: str) -> None:
    addons = {"kueue": {}, other: {}}
    texts = [mistake.text() for mistake in refused("", pools=[H100], addons=addons)]
    first, second = sorted(addons)
    path = f"espalier:addons.{first}" if "-" not in first else f'espalier:addons["{first}"]'
    assert texts[0] in (
        f"{path}: got beside {second}; accepted: one of the two. Remove {first} or {second}.",
        f"espalier:addons.{first}: got beside {second}; accepted: one of the two. Remove {first} or {second}.",
    )


def test_work_that_is_admitted_selects_the_class_by_which_gke_keeps_a_pools_order() -> None:
    ladder = {**L4, "capacity": ["spot", "on-demand"]}
    found = blueprint(cluster=GKE, pools=[SYSTEM_OF_GKE, ladder], tenants=[tenant("a", gpu=4)])
    assert found.queues
    key, value = "cloud.google.com/compute-class", "espalier-l4"
    assert objects(found.queues)["ResourceFlavor", "l4"]["spec"]["nodeLabels"][key] == value
    assert all(proof.ok for proof in found.queues.proofs)
    spoiled = [replace(p, manifest=copy.deepcopy(dict(p.manifest))) for p in found.queues.objects]
    (flavour,) = [p.manifest for p in spoiled if p.manifest["kind"] == "ResourceFlavor"]
    del flavour["spec"]["nodeLabels"][key]
    (proof,) = [one for one in prove_queues(found.queues.shared, spoiled, found.pools, found.tenants) if not one.ok]
    assert proof.name == "queue-order/l4"
    assert f"it does not select {key}={value}" in proof.evidence


@pytest.mark.parametrize(
    ("version", "capacity", "tenants", "said"),
    [
        ("1.35", ["spot", "on-demand"], [tenant("a", gpu=4)], True),
        ("1.36", ["spot", "on-demand"], [tenant("a", gpu=4)], False),
        ("1.35", ["on-demand"], [tenant("a", gpu=4)], False),
        ("1.35", ["spot", "on-demand"], [], False),
    ],
)
def test_notebooks_with_devices_say_where_they_go_where_a_queue_would_let_them_on_spot(
    version: str, capacity: list[str], tenants: list[Any], said: bool
) -> None:
    """To refuse the update by which Kueue lets a pod go would hold it back for ever: it is asked when it is made."""
    steady = {**L4, "name": "steady", "capacity": ["on-demand"]}
    pools = [SYSTEM_OF_GKE, {**L4, "capacity": capacity}, steady]
    found = blueprint(cluster={**GKE, "version": version}, pools=pools, tenants=tenants)
    assert found.queues is not None
    told = (
        "queues: before Kubernetes 1.36 notebooks with devices of l4 are refused unless they say that they stay off "
        "spot, whose taint Kueue's flavours tolerate: by nodeSelector: {espalier.dev/capacity: on-demand}, or by a "
        "pool without spot"
    )
    assert (told in found.queues.notes) is said
    policies = [one.manifest for one in found.objects if one.manifest["metadata"]["name"] == NOTEBOOKS]
    asked = [rule["expression"] for one in policies for rule in one["spec"].get("validations", ())[1:]]
    assert len(asked) == said
    assert all('"nvidia.com/gpu"' in one and '["steady"]' in one for one in asked)


def test_without_kueue_no_notebook_is_asked_where_it_goes() -> None:
    pools = [SYSTEM_OF_GKE, {**L4, "capacity": ["spot", "on-demand"]}]
    found = blueprint("volcano", cluster={**GKE, "version": "1.35"}, pools=pools, tenants=[tenant("a", gpu=4)])
    (policy,) = [one.manifest for one in found.objects if one.suffix == "notebooks-policy"]
    assert len(policy["spec"]["validations"]) == 1


# Refusals ----------------------------------------------------------------------------------------------------------

NEAR = {**H100, "placement": "compact"}
MANY = [{**L4, "name": f"l{index}", "capacity": ["reserved", "spot", "flex", "on-demand"]} for index in range(17)]
SETTINGS = validate({"cluster": {"kind": "simulated"}, "pools": [L4]}, where="espalier")
FACTS = Facts("simulated", "1.36", runs_containers=False)
POOL = build(SETTINGS, RECORDS).pools[0]


def tainted(count: int) -> NodeShape:
    return replace(POOL.shape, taints=tuple(Taint(f"key{index}", "") for index in range(count)))


CASES: list[tuple[str, str, dict[str, Any], str]] = [
    ("a device that nobody has", "kueue", {"pools": [L4], "tenants": [tenant("a", {"borrow": {TPU: 1}}, gpu=1)]},
     'espalier:tenants[0].queue.borrow["google.com/tpu"]: got \'google.com/tpu\'; accepted: nvidia.com/gpu. '
     "Name a device that a pool advertises."),
    ("more than there is", "kueue", {"pools": [L4], "tenants": [tenant("a", {"borrow": {GPU: 4}}, gpu=1)]},
     'espalier:tenants[0].queue.borrow["nvidia.com/gpu"]: got 4; accepted: at most 3: with its quota of 1, all that '
     "the pools have. Lower it."),
    ("more than its pools have", "kueue",
     {"pools": [L4, {**L4, "name": "other"}],
      "tenants": [{**tenant("a", {"borrow": {GPU: 4}}, gpu=1), "pools": ["other"]}]},
     'espalier:tenants[0].queue.borrow["nvidia.com/gpu"]: got 4; accepted: at most 3: with its quota of 1, all that '
     "the pools that it may use have. Lower it."),
    ("borrowing that is off", "kueue", {"pools": [L4], "tenants": [tenant("a", {"borrow": {GPU: 1}}, gpu=1)],
                                        "queues": {"borrowing": False}},
     "espalier:tenants[0].queue.borrow: got borrowing, which is off; accepted: nothing. Remove it, or set "
     "espalier:queues.borrowing: true."),
    ("lends what it has not", "kueue", {"pools": [L4], "tenants": [tenant("a", {"lend": {GPU: 2}}, gpu=1)]},
     'espalier:tenants[0].queue.lend["nvidia.com/gpu"]: got 2; accepted: at most 1, its quota. Lower it, or '
     "remove it."),
    ("less than a slice", "kueue", {"pools": [V6E], "tenants": [tenant("a", tpu=8)]},
     'espalier:tenants[0].quota.devices["google.com/tpu"]: got 8; accepted: 0, or at least 16: a slice of v6e has 16. '
     "Count whole slices."),
    ("less than a slice by right", "kueue",
     {"pools": [{**V6E, "nodes": {"max": 4}}], "tenants": [tenant("a", tpu=16), tenant("b", tpu=16)],
      "queues": {"borrowing": False}},
     'espalier:tenants[1].quota.devices["google.com/tpu"]: got 16, of which it has 0 by right; accepted: at least '
     "16 by right, without borrowing: a slice of v6e has 16. Lower others' quotas, raise a pool's nodes.max, or set "
     "espalier:queues.borrowing: true."),
    ("kinds apart, and not all queued", "kueue",
     {"pools": [H100], "tenants": [by_kind(8, 4)], "queues": {"enforce": False}},
     "espalier:tenants[0].quota.capacity: got a bound, with work that is not queued; accepted: a bound where Kueue "
     "queues all work. Set espalier:queues.enforce: true, or remove it."),
    ("kinds apart, in flavours of several", "kueue",
     {"pools": [H100], "tenants": [by_kind(8, 4)], "queues": {"ladder": "pools"}},
     "espalier:tenants[0].quota.capacity: got h100, of spot and other capacity, among which an autoscaler chooses; "
     "accepted: flavours of one kind of capacity each. Set espalier:queues.ladder: kinds, or make pools of one kind."),
    ("no topology to be known", "kueue", {"pools": [NEAR], "queues": {"topology": True}},
     "espalier:queues.topology: got true, without a pool whose topology can be known before its nodes are there; "
     "accepted: a pool with placement: compact or a slice over several nodes, whose nodes all stand (nodes.min equal "
     "to nodes.max) or are queued for. Remove it, or set the pool's nodes.min."),
    ("too many flavours", "kueue", {"pools": MANY},
     "espalier:pools: got 68 kinds of capacity with nvidia.com/gpu; accepted: at most 64, Kueue's bound. Set "
     "espalier:queues.ladder: pools, or make a stack of its own of some pools."),
    ("a key of Kueue's", "volcano", {"pools": [L4], "queues": {"ladder": "pools"}},
     "espalier:queues.ladder: got pools, with volcano; accepted: a stack with kueue. Remove the key."),
    ("another key of Kueue's", "kai-scheduler", {"pools": [L4], "queues": {"enforce": False}},
     "espalier:queues.enforce: got false, with kai-scheduler; accepted: a stack with kueue. Remove the key."),
    ("a time of Kueue's", "volcano", {"pools": [L4], "queues": {"start-within": "5m"}},
     "espalier:queues.start-within: got 5m, with volcano; accepted: a stack with kueue. Remove the key."),
    ("Volcano's own queue", "volcano", {"pools": [L4], "tenants": [tenant("root", gpu=1)]},
     "espalier:tenants[0].name: got root, a queue of Volcano's own; accepted: another name. Rename the tenant."),
    ("KAI preempts", "kai-scheduler", {"pools": [L4], "queues": {"preemption": "never"}},
     "espalier:queues.preemption: got never, with kai-scheduler; accepted: priority: KAI reclaims and preempts always. "
     "Remove the key, or use kueue."),
    ("KAI and TPUs", "kai-scheduler", {"pools": [L4, V5E]},
     "espalier:pools: got google.com/tpu, with kai-scheduler; accepted: nvidia.com/gpu, which its queues count. Use "
     "kueue for this stack."),
    ("KAI lends", "kai-scheduler", {"pools": [L4], "tenants": [tenant("a", {"lend": {GPU: 0}}, gpu=1)]},
     "espalier:tenants[0].queue.lend: got a bound, with kai-scheduler; accepted: nothing: KAI lends all that is idle. "
     "Remove it, or use kueue."),
]  # fmt: skip


@pytest.mark.parametrize(("system", "keys", "text"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_refusal_says_where_what_and_how(system: str, keys: dict[str, Any], text: str) -> None:
    assert [mistake.text() for mistake in refused(system, **keys)] == [text]


@pytest.mark.parametrize("keys", [{"queues": {}}, {"tenants": [tenant("a", {"weight": 2}, gpu=1)]}])
def test_kueue_is_the_default_where_queues_are_spoken_of_and_none_is_named(keys: dict[str, Any]) -> None:
    plan = queues("", pools=[L4], **keys)
    assert plan.system == "kueue"
    assert queues("volcano", pools=[L4], **keys).system == "volcano"


def test_a_stack_that_does_not_speak_of_queues_has_none_and_is_told_of_them() -> None:
    tenants = [tenant("a", gpu=1), {"name": "b", "quota": {"cpu": 4}}]
    plain = blueprint("", pools=[L4], tenants=tenants)
    assert (plain.queues, [addon.id for addon in plain.addons]) == (None, [])
    assert plain.notes == (
        "queues: work of a does not wait for devices in a queue, and what one tenant leaves idle no other may use "
        "beyond its quota; `espalier:queues: {}` brings Kueue",
    )
    assert blueprint("", pools=[L4], tenants=tenants[1:]).notes == ()
    assert blueprint("kueue", pools=[L4], tenants=tenants).notes == ()


def test_of_many_tenants_without_queues_a_few_are_named() -> None:
    (note,) = blueprint("", pools=[L4], tenants=[tenant(f"t{index}", gpu=1) for index in range(500)]).notes
    assert "work of t0, t1, t2, t3, t4, t5, t6, t7, ... t499 (500 in all) does not wait" in note


def test_queues_of_a_teams_own_add_on_are_its_own_affair() -> None:
    own = replace(RECORDS["node-feature-discovery"], id="own", content=None, provides=frozenset({"queues"}))
    keys = {"cluster": {"kind": "simulated"}, "addons": {"own": {}}, "pools": [L4], "tenants": [tenant("a", gpu=1)]}
    plain = build(validate(keys, where="espalier"), {**RECORDS, "own": own})
    assert (plain.queues, plain.notes) == (None, ())
    wrong = {**keys, "queues": {"borrowing": False}, "tenants": [tenant("a", {"weight": 2}, gpu=1)]}
    with pytest.raises(Mistakes) as raised:
        build(validate(wrong, where="espalier"), {**RECORDS, "own": own})
    rest = "got queues of another add-on; accepted: a stack with kueue or kai-scheduler or volcano. Remove the key."
    assert [mistake.text() for mistake in raised.value.mistakes] == [
        f"espalier:queues: {rest}",
        f"espalier:tenants[0].queue: {rest}",
    ]


def test_kai_without_gpus_is_refused() -> None:
    (found,) = refused("kai-scheduler", pools=[SYSTEM])
    assert found.text() == (
        "espalier:addons.kai-scheduler: got no pool with GPUs; accepted: a pool with nvidia.com/gpu. Remove it."
    )


def test_more_taints_than_a_flavour_tolerates_are_refused() -> None:
    (found,) = queue_mistakes(SETTINGS, (replace(POOL, shapes=(tainted(9),)),), FACTS, "kueue")
    assert found.text() == (
        "espalier:pools[0].taints: got 9 taints of l4-on-demand, Espalier's and the cloud's among them; accepted: at "
        "most 8, Kueue's bound. Remove some."
    )
    assert queue_mistakes(SETTINGS, (replace(POOL, shapes=(tainted(8),)),), FACTS, "kueue") == []


def test_more_groups_of_devices_than_a_queue_has_are_refused() -> None:
    pools = [{**L4, "name": f"l{index}"} for index in range(16)]
    settings = validate({"cluster": {"kind": "simulated"}, "pools": pools}, where="espalier")
    plans = [
        replace(plan, shapes=(replace(plan.shape, devices={f"example.com/d{index}": 1}),))
        for index, plan in enumerate(build(settings, RECORDS).pools)
    ]
    (found,) = queue_mistakes(settings, plans, FACTS, "kueue")
    assert found.text() == (
        "espalier:pools: got 16 groups of devices that no pool has together; accepted: at most 15, Kueue's bound. Make "
        "a stack of its own of some pools."
    )
    assert queue_mistakes(settings, plans[:15], FACTS, "kueue") == []


# Proofs ------------------------------------------------------------------------------------------------------------

STACK: dict[str, Any] = {
    "pools": [H100, V6E],
    "tenants": [tenant("a", gpu=16, tpu=16), tenant("b", {"borrow": {GPU: 16}}, gpu=8)],
}


def test_proofs_hold_of_a_whole_stack() -> None:
    proofs = {proof.name: proof for proof in queues(**STACK).proofs}
    assert all(proof.ok for proof in proofs.values()), [p.evidence for p in proofs.values() if not p.ok]
    assert list(proofs) == [
        "queue/a", "queue/b", f"queue-sum/{TPU}", f"queue-sum/{GPU}", "queue-order/h100", "queue-order/v6e",
        "queue-slice/v6e",
    ]  # fmt: skip
    assert proofs["queue/b"].evidence == (
        "nvidia.com/gpu: 8 by right and 24 at most of a quota of 8, on h100-spot, then h100-on-demand"
    )
    assert proofs["queue-order/h100"].evidence == "spot, then on-demand"


def _rows(manifest: Any, device: str) -> list[Any]:
    rows = [row for group in manifest["spec"]["resourceGroups"] for f in group["flavors"] for row in f["resources"]]
    return [row for row in rows if row["name"] == device]


def _swap(made: dict[tuple[str, str], Any]) -> None:
    group = next(g for g in made["ClusterQueue", "a"]["spec"]["resourceGroups"] if g["coveredResources"] == [GPU])
    group["flavors"].reverse()


def _overbook(made: dict[tuple[str, str], Any]) -> None:
    _rows(made["ClusterQueue", "a"], COUNTER)[0]["nominalQuota"] = "25"


def _too_little(made: dict[tuple[str, str], Any]) -> None:
    for row in [*_rows(made["ClusterQueue", "a"], GPU), *_rows(made["Cohort", "espalier"], GPU)]:
        row["nominalQuota"] = "0"


def _half_a_slice(made: dict[tuple[str, str], Any]) -> None:
    _rows(made["ClusterQueue", "b"], TPU)[0]["borrowingLimit"] = "8"


def _intolerant(made: dict[tuple[str, str], Any]) -> None:
    made["ResourceFlavor", "h100-spot"]["spec"]["tolerations"] = []


def _elsewhere(made: dict[tuple[str, str], Any]) -> None:
    made["ResourceFlavor", "v6e-on-demand"]["spec"]["nodeLabels"]["espalier.dev/capacity"] = "spot"


@pytest.mark.parametrize(
    ("spoil", "failing"),
    [
        (_swap, {"queue-order/h100": "a tries h100-on-demand, then h100-spot"}),
        (_overbook, {f"queue-sum/{GPU}": "over: the sum"}),
        (_too_little, {"queue/a": "nvidia.com/gpu: 16 by right and 16 at most of a quota of 16, on no flavour"}),
        (
            _half_a_slice,
            {"queue-slice/v6e": "b: borrowingLimit 8 google.com/tpu on v6e-on-demand is no multiple of 16"},
        ),
        (
            _intolerant,
            {"queue-order/h100": "h100-spot does not serve spot: it does not tolerate nvidia.com/gpu=present"},
        ),
        (_elsewhere, {"queue-order/v6e": "it selects espalier.dev/capacity=spot"}),
    ],
)
def test_a_proof_fails_of_what_is_wrong(
    spoil: Callable[[dict[tuple[str, str], Any]], None], failing: dict[str, str]
) -> None:
    whole = blueprint(**STACK)
    assert whole.queues
    spoiled = [replace(p, manifest=copy.deepcopy(dict(p.manifest))) for p in whole.queues.objects]
    spoil({(p.manifest["kind"], p.manifest["metadata"]["name"]): p.manifest for p in spoiled})
    found: list[Planned] = list(spoiled)
    proofs = prove_queues(whole.queues.shared, found, whole.pools, whole.tenants)
    assert {proof.name for proof in proofs if not proof.ok} == set(failing)
    for proof in proofs:
        assert failing.get(proof.name, "") in proof.evidence


def test_a_flavour_behind_the_tenants_walls_fails_the_proof_and_so_does_one_that_is_left_out() -> None:
    whole = blueprint(pools=NEAR_AND_FAR, tenants=[{**tenant("a", gpu=8), "pools": ["near"]}])
    assert whole.queues

    def order(change: Callable[[dict[str, Any]], None]) -> dict[str, str]:
        assert whole.queues
        spoiled = [replace(p, manifest=copy.deepcopy(dict(p.manifest))) for p in whole.queues.objects]
        (queue,) = [p.manifest for p in spoiled if p.manifest["kind"] == "ClusterQueue"]
        change(queue["spec"]["resourceGroups"][0])
        proofs = prove_queues(whole.queues.shared, spoiled, whole.pools, whole.tenants)
        return {
            proof.name: proof.evidence for proof in proofs if proof.name.startswith("queue-order/") and not proof.ok
        }

    def more(group: dict[str, Any]) -> None:
        group["flavors"].append({**copy.deepcopy(group["flavors"][0]), "name": "far-on-demand"})

    assert order(lambda group: None) == {}
    assert order(more) == {"queue-order/far": "a tries far-on-demand"}
    assert order(lambda group: group["flavors"].clear()) == {"queue-order/near": "a tries none"}


def test_a_quota_without_a_pool_is_not_backed() -> None:
    (proof,) = [proof for proof in queues(pools=[], tenants=[tenant("a", gpu=8)]).proofs if proof.name == "queue/a"]
    assert not proof.ok
    assert "no flavour holds it: name the pools that do" in proof.evidence
