"""The capacity ladder: each cloud's autoscaler tries a pool's kinds of capacity in the order of its stack file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build, wake_aks, wake_eks, wake_gke
from espalier.blueprint.clouds.aks import AksPlan
from espalier.blueprint.clouds.gke import GkePlan
from espalier.blueprint.ladder import ladder_proofs
from espalier.blueprint.wake_node import Recorded
from espalier.catalogue import catalogue
from espalier.components.cluster.aks.objects import priorities
from espalier.settings import validate
from espalier.types import Proof

Objects = tuple[Mapping[str, Any], ...]
KINDS = {
    "eks": ("reserved", "spot", "on-demand"),
    "karpenter": ("reserved", "spot", "on-demand"),
    "gke": ("reserved", "spot", "flex", "on-demand"),
    "aks": ("reserved", "spot", "on-demand"),
}
ACCESS = {"via": "network", "admins": ["arn:aws:iam::123456789012:role/platform"]}
CLUSTERS: dict[str, dict[str, Any]] = {
    "eks": {"kind": "eks", "region": "us-east-1", "access": ACCESS},
    "karpenter": {"kind": "eks", "region": "us-east-1", "autoscaler": "karpenter", "access": ACCESS},
    "gke": {"kind": "gke", "region": "us-central1", "project": "example-ml", "access": {"via": "dns-endpoint"}},
    "aks": {
        "kind": "aks",
        "region": "eastus",
        "access": {"via": "network", "admins": ["11111111-2222-3333-4444-555555555555"]},
    },
}
GROUP = (
    "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/shared/providers/"
    "Microsoft.Compute/capacityReservationGroups/h100"
)
HELD = {
    "eks": {"id": "cr-0123456789abcdef0", "zones": ["us-east-1a"]},
    "karpenter": {"id": "cr-0123456789abcdef0", "zones": ["us-east-1a"]},
    "gke": {"id": "held", "zones": ["us-central1-a"]},
    "aks": {"id": GROUP, "type": "group"},
}


def blueprint(place: str, orders: list[list[str]], **keys: Any) -> Blueprint:
    """A stack with a pool of A100 for each order of kinds of capacity."""
    system = {"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"min": 2, "max": 3}, "system": True}
    pools = [
        {"name": f"p{index}", "accelerator": "A100-80", "nodes": {"max": 4}, "capacity": order}
        | ({"reservation": HELD[place]} if "reserved" in order else {})
        | keys
        for index, order in enumerate(orders)
    ]
    cluster = CLUSTERS[place] | {"name": "ml", "version": "1.35"}
    return build(validate({"cluster": cluster, "pools": [system, *pools]}, where="espalier"), RECORDS)


def told(place: str, found: Blueprint) -> Recorded:
    """What the autoscaler is told, as the components register it; the control plane's own request in short."""
    objects: list[Mapping[str, Any]] = []
    resources: list[Mapping[str, Any]] = []
    cloud = found.cloud
    if isinstance(cloud, GkePlan):
        objects += [planned.manifest for planned in cloud.classes.values()]
    elif isinstance(cloud, AksPlan):
        assert cloud.autoscaler is not None
        profile = {"autoScalerProfile": {"expander": cloud.autoscaler.expander}}
        resources.append({"type": wake_aks.CLUSTER, "inputs": profile})
        objects += [priorities(cloud.priorities)] if cloud.priorities else []
    else:
        resources.append({"type": wake_eks.CLUSTER, "inputs": {}})
        objects += [planned.manifest for addon in found.addons for planned in addon.objects]
    if place == "karpenter":
        # The controller comes from its chart, which no test has.
        objects.append({"kind": "Deployment", "metadata": {"name": "karpenter"}})
        objects += [planned.manifest for pool in found.pools for planned in pool.facts().objects]
    return Recorded(tuple(resources), tuple(objects), catalogue(), "r")


def proofs(place: str, found: Blueprint, recorded: Recorded) -> dict[str, Proof]:
    assert found.cloud is not None
    autoscaler = "karpenter" if place == "karpenter" else found.facts.autoscaler
    return {proof.name: proof for proof in ladder_proofs(found.pools, found.cloud, autoscaler, recorded)}


def orders_of(place: str) -> st.SearchStrategy[list[str]]:
    kinds = KINDS[place]
    return st.permutations(kinds).flatmap(
        lambda order: st.integers(2, len(kinds)).map(lambda length: list(order[:length]))
    )


@pytest.mark.parametrize("place", KINDS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_each_autoscaler_tries_the_kinds_in_the_users_order(place: str, data: st.DataObject) -> None:
    orders = data.draw(st.lists(orders_of(place), min_size=1, max_size=3))
    found = blueprint(place, orders)
    judged = proofs(place, found, told(place, found))
    assert {name: proof.evidence for name, proof in judged.items()} == {
        f"ladder/p{index}": f"tries {' then '.join(order)}" for index, order in enumerate(orders)
    }
    assert all(proof.ok for proof in judged.values())


def edited(recorded: Recorded, kind: str, change: Callable[[dict[str, Any]], None]) -> Recorded:
    copied: Objects = tuple(yaml.safe_load(yaml.safe_dump(_plain(obj))) for obj in recorded.objects)
    for obj in copied:
        if obj["kind"] == kind and ("priorities" in obj.get("data", {}) or kind != "ConfigMap"):
            change(obj)  # pyright: ignore[reportArgumentType]
    return replace(recorded, objects=copied)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}  # pyright: ignore
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value  # pyright: ignore


def _turned(obj: dict[str, Any]) -> None:
    ladder = yaml.safe_load(obj["data"]["priorities"])
    turned = dict(zip(ladder, reversed(list(ladder.values())), strict=True))
    obj["data"]["priorities"] = yaml.safe_dump(turned)


def _lost(obj: dict[str, Any]) -> None:
    ladder = yaml.safe_load(obj["data"]["priorities"])
    obj["data"]["priorities"] = yaml.safe_dump({10: [p for held in ladder.values() for p in held if "spot" in p]})


def _one_rule(obj: dict[str, Any]) -> None:
    obj["spec"]["priorities"] = [{"nodepools": [n for rule in obj["spec"]["priorities"] for n in rule["nodepools"]]}]


@pytest.mark.parametrize(
    ("place", "kind", "change", "evidence"),
    [
        ("gke", "ComputeClass", lambda o: o["spec"]["priorities"].reverse(), "tries on-demand then spot, or several"),
        ("gke", "ComputeClass", _one_rule, "or several at a time; the stack file says spot then on-demand"),
        ("gke", "ComputeClass", lambda o: o["spec"]["priorities"].pop(), "no autoscaler ever tries p0-on-demand-"),
        ("gke", "ComputeClass", lambda o: o["metadata"].update(name="x"), "no autoscaler ever tries p0-on-demand-"),
        ("aks", "ConfigMap", _turned, "tries on-demand then spot, or several"),
        ("eks", "ConfigMap", _turned, "tries on-demand then spot, or several"),
        ("eks", "ConfigMap", _lost, "no autoscaler ever tries p0-on-demand-"),
        ("karpenter", "NodePool", lambda o: o["spec"].update(weight=7), "or several at a time"),
    ],
)
def test_another_order_fails_the_proof(
    place: str, kind: str, change: Callable[[dict[str, Any]], None], evidence: str
) -> None:
    found = blueprint(place, [["spot", "on-demand"]])
    proof = proofs(place, found, edited(told(place, found), kind, change))["ladder/p0"]
    assert not proof.ok
    assert evidence in proof.evidence


def test_another_expander_fails_the_proof() -> None:
    found = blueprint("aks", [["spot", "on-demand"]])
    profile = {"type": wake_aks.CLUSTER, "inputs": {"autoScalerProfile": {"expander": "random"}}}
    proof = proofs("aks", found, replace(told("aks", found), resources=(profile,)))["ladder/p0"]
    assert not proof.ok
    assert proof.evidence.startswith("no autoscaler ever tries p0d")


def test_a_proof_is_held_up_with_karpenters_chart() -> None:
    found = blueprint("karpenter", [["spot", "on-demand"]])
    bare = replace(told("karpenter", found), objects=())
    proof = proofs("karpenter", found, bare)["ladder/p0"]
    assert (proof.ok, proof.held) == (False, True)
    assert proof.evidence == "Karpenter's controller is not among the objects"


def test_further_spot_sizes_are_tried_before_the_next_kind() -> None:
    keys = {"accelerator": None, "machine": "Standard_D8s_v5", "machines": ["Standard_D8as_v5"]}
    found = blueprint("aks", [["spot", "on-demand"]], **keys)
    proof = proofs("aks", found, told("aks", found))["ladder/p0"]
    assert (proof.ok, proof.evidence) == (True, "tries spot then on-demand")
    assert len([group for pool in found.pools for group in pool.groups if pool.name == "p0"]) == 3


def test_a_single_kind_of_capacity_has_nothing_to_prove() -> None:
    for place in KINDS:
        found = blueprint(place, [["spot"]])
        assert proofs(place, found, told(place, found)) == {}


# GKE's ComputeClasses ---------------------------------------------------------------------------------------------


def gke(**keys: Any) -> GkePlan:
    found = blueprint("gke", [["spot", "on-demand"]], **keys).cloud
    assert isinstance(found, GkePlan)
    return found


def test_a_class_names_a_pools_node_pools_rung_by_rung() -> None:
    plan = gke()
    (planned,) = plan.classes.values()
    names = [group.name for group in plan.groups if group.pool == "p0"]
    assert planned.manifest["apiVersion"] == "cloud.google.com/v1"
    assert planned.manifest["kind"] == "ComputeClass"
    assert planned.manifest["metadata"]["name"] == "espalier-p0"
    assert planned.manifest["spec"] == {
        "priorities": [{"nodepools": [names[0]]}, {"nodepools": [names[1]]}],
        "nodePoolAutoCreation": {"enabled": False},
        "activeMigration": {"optimizeRulePriority": False},
        "whenUnsatisfiable": "DoNotScaleUp",
    }


def test_its_nodes_carry_the_classs_label_and_taint_and_its_work_selects_it() -> None:
    found = blueprint("gke", [["spot", "on-demand"]])
    (pool,) = [pool for pool in found.pools if pool.name == "p0"]
    for group in pool.groups:
        assert group.labels["cloud.google.com/compute-class"] == "espalier-p0"
        assert "cloud.google.com/compute-class=espalier-p0:NoSchedule" in {str(taint) for taint in group.taints}
    from espalier.blueprint.wake import works_of

    for work in works_of(pool):
        assert work.selector == {"espalier.dev/pool": "p0", "cloud.google.com/compute-class": "espalier-p0"}


def test_slices_of_one_kind_share_a_rule() -> None:
    topology = {"accelerator": "TPU-v6e", "topology": "4x4", "nodes": {"max": 8}}
    (planned,) = gke(**topology).classes.values()
    rules = [rule["nodepools"] for rule in planned.manifest["spec"]["priorities"]]
    assert [[re.sub(r"-[0-9a-f]{5}$", "", name) for name in rule] for rule in rules] == [
        ["p0-spot-0", "p0-spot-1"],
        ["p0-on-demand-0", "p0-on-demand-1"],
    ]


def test_active_migration_is_asked_for() -> None:
    cluster = CLUSTERS["gke"] | {"name": "ml", "version": "1.35", "active-migration": True}
    pools = [
        {"name": "system", "machine": "e2-standard-4", "nodes": {"min": 1, "max": 3}},
        {"name": "l4", "accelerator": "L4", "nodes": {"max": 2}, "capacity": ["spot", "on-demand"]},
    ]
    plan = build(validate({"cluster": cluster, "pools": pools}, where="espalier"), {}).cloud
    assert isinstance(plan, GkePlan)
    assert plan.classes["l4"].manifest["spec"]["activeMigration"] == {"optimizeRulePriority": True}


PLAIN = "pods that select nothing run on it, and a class's nodes take none of these"


@pytest.mark.parametrize(
    ("pool", "note"),
    [
        ({"machine": "e2-standard-4"}, PLAIN),
        (
            {"accelerator": "L4", "flex": {"queued": True}, "capacity": ["on-demand", "flex"]},
            "queued nodes come for a ProvisioningRequest alone",
        ),
    ],
)
def test_pools_whose_order_no_class_can_keep_say_so(pool: dict[str, Any], note: str) -> None:
    cluster = CLUSTERS["gke"] | {"name": "ml", "version": "1.35"}
    system = {"name": "system", "system": True, "machine": "e2-standard-4", "nodes": {"min": 1, "max": 3}}
    pools = [system, {"name": "p", "capacity": ["on-demand", "spot"], "nodes": {"max": 4}} | pool]
    plan = build(validate({"cluster": cluster, "pools": pools}, where="espalier"), {}).cloud
    assert isinstance(plan, GkePlan)
    assert plan.classes == {}
    kinds = ", ".join(pool.get("capacity", ["on-demand", "spot"]))
    assert (
        f"pool p: {note}, so it has no ComputeClass, and GKE's autoscaler takes the cheapest kind of capacity that has "
        f"room: the order {kinds} is kept only as far as prices agree"
    ) in plan.notes
    assert all("cloud.google.com/compute-class" not in group.labels for group in plan.groups)


def test_a_class_is_told_of_in_the_plan() -> None:
    assert (
        "pool p0: its order spot, on-demand is kept for pods that select cloud.google.com/compute-class: espalier-p0; "
        "no others run on it"
    ) in gke().notes


# What GKE's autoscaler makes of a class ---------------------------------------------------------------------------

CLASS = {"kind": "ComputeClass", "metadata": {"name": "c"}, "spec": {"priorities": [{"nodepools": ["n"]}]}}
TAINT = {"key": "cloud.google.com/compute-class", "value": "c", "effect": "NO_SCHEDULE"}


@pytest.mark.parametrize(
    ("taints", "objects", "broken"),
    [
        ([TAINT], (CLASS,), ""),
        ([TAINT], (), "its ComputeClass c is not among the objects"),
        ([TAINT], (CLASS | {"spec": {"priorities": [{"nodepools": ["m"]}]}},), "ComputeClass c names it in no rule"),
        ([], (CLASS,), "it lacks the taint of ComputeClass c"),
    ],
)
def test_a_node_pool_grows_by_the_rules_of_its_class(taints: list[Any], objects: Objects, broken: str) -> None:
    config = {"machineType": "e2-standard-4", "labels": {"cloud.google.com/compute-class": "c"}, "taints": taints}
    inputs = {"name": "n", "autoscaling": {"totalMaxNodeCount": 4}, "nodeConfig": config}
    resource = {"type": wake_gke.POOL, "urn": "u", "inputs": inputs}
    assert wake_gke.templates(Recorded((resource,), objects, catalogue(), "r"))["n"].broken == broken


def test_a_further_kind_of_capacity_changes_the_pools_first_one_in_place() -> None:
    """Label and taint of a class do; nodes that run are not made anew for it."""
    alone, both = (blueprint("gke", [order]).cloud for order in (["on-demand"], ["on-demand", "spot"]))
    assert alone
    assert both
    (before,) = [group for group in alone.groups if group.pool == "p0"]
    after = next(group for group in both.groups if group.key == before.key)
    assert after.name == before.name
    assert set(map(str, after.taints)) - set(map(str, before.taints)) == {
        "cloud.google.com/compute-class=espalier-p0:NoSchedule"
    }
