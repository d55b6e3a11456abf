"""What a plan says of nodes that nobody replaces."""

from __future__ import annotations

from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.settings import validate
from tests.unit import eks_stacks, test_aks_pools, test_gke_cluster

L4: dict[str, Any] = {"name": "l4", "accelerator": "L4", "count": 1}
STANDS = L4 | {"nodes": {"min": 1, "max": 2}}
SLEEPS = L4 | {"nodes": {"max": 2}}
T4: dict[str, Any] = {"name": "t4", "accelerator": "T4", "count": 1, "nodes": {"min": 1, "max": 2}}
AKS = {
    "kind": "aks",
    "name": "ml",
    "version": "1.35",
    "region": "eastus",
    "access": {"via": "network", "admins": [test_aks_pools.ADMIN]},
}
AT_MINIMUM = "is drained by warden and stays, marked, for you to end: at its nodes.min no autoscaler takes one away"


def said(kind: str, *pools: dict[str, Any], warden: Any = None, **cluster: Any) -> list[str]:
    """The plan's notes about repair; with the warden where `warden` are its options."""
    tree: dict[str, Any]
    if kind == "eks":
        tree = {**eks_stacks.STACK, "pools": [eks_stacks.SYSTEM, *pools]}
    elif kind == "gke":
        tree = {"cluster": test_gke_cluster.CLUSTER, "pools": [test_gke_cluster.SYSTEM, *pools]}
    else:
        tree = {"cluster": dict(AKS), "pools": [test_aks_pools.SYSTEM, *pools]}
    tree["cluster"] = tree["cluster"] | cluster
    tree["addons"] = {} if warden is None else {"warden": warden}
    cloud = build(validate(tree, where="espalier"), RECORDS).cloud
    assert cloud is not None
    return [note for note in cloud.notes if note.startswith("repair: ")]


@pytest.mark.parametrize(("kind", "off"), [("eks", "l4-on-demand"), ("gke", "l4-on-demand")])
def test_a_pool_whose_repair_is_off_is_named(kind: str, off: str) -> None:
    assert said(kind, SLEEPS) == []
    (note,) = said(kind, SLEEPS | {"repair": False})
    assert note == f"repair: nobody replaces nodes of {off} that are not Ready: their cloud is not asked to"


def test_gke_never_repairs_flex_start() -> None:
    (note,) = said("gke", SLEEPS | {"capacity": ["flex", "on-demand"], "flex": {"max-run": "1d"}})
    assert "nodes of l4-flex that" in note


def test_aks_repairs_always() -> None:
    assert said("aks", T4) == []


@pytest.mark.parametrize("kind", ["eks", "gke", "aks"])
def test_a_drained_node_of_a_pool_that_stands_is_yours_to_end(kind: str) -> None:
    (note,) = said(kind, T4 if kind == "aks" else STANDS, warden={})
    assert AT_MINIMUM in note
    assert ("EKS replaces those of which its own agent tells" in note) == (kind == "eks")


def test_nothing_stays_where_the_warden_drains_nothing_or_an_autoscaler_ends_it() -> None:
    assert said("eks", SLEEPS, warden={}) == []
    assert said("eks", STANDS, warden={"health": {"action": "report"}}) == []
    assert said("eks", SLEEPS | {"repair": False}, warden={}, autoscaler="karpenter") == []
