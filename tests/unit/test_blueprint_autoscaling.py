"""What a simulated cluster's autoscaler is told of the pools."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.settings import validate


def blueprint(*pools: dict[str, Any], autoscaler: str = "karpenter", **further: Any) -> Blueprint:
    cluster = {"kind": "simulated", "autoscaler": autoscaler}
    settings = validate({"cluster": cluster, "pools": list(pools), **further}, where="test")
    return build(settings, RECORDS)


def types(found: Blueprint) -> dict[str, Any]:
    assert found.machines is not None
    return {row["name"]: row for row in json.loads(found.machines)}


H100: dict[str, Any] = {"name": "h100", "accelerator": "H100-80", "nodes": {"max": 4, "start": 1}}


def test_a_cluster_without_an_autoscaler_tells_it_nothing() -> None:
    found = blueprint(H100, autoscaler="none")
    assert found.machines is None
    assert [pool.node_pools for pool in found.pools] == [()]


def test_a_node_pool_for_each_kind_of_capacity_in_the_order_of_the_ladder() -> None:
    found = blueprint({**H100, "capacity": ["spot", "on-demand"], "labels": {"team": "x"}})
    spot, on_demand = [planned.manifest for planned in found.pools[0].node_pools]
    assert [pool["metadata"]["name"] for pool in (spot, on_demand)] == ["h100-spot", "h100-on-demand"]
    assert spot["spec"]["weight"] > on_demand["spec"]["weight"]
    template = spot["spec"]["template"]
    assert template["metadata"]["labels"].items() >= {"espalier.dev/pool": "h100", "team": "x"}.items()
    assert template["metadata"]["labels"]["espalier.dev/capacity"] == "spot"
    assert {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"} in template["spec"]["taints"]
    asked = {entry["key"]: entry["values"] for entry in template["spec"]["requirements"]}
    assert asked["karpenter.sh/capacity-type"] == ["spot"]
    (machine,) = asked["node.kubernetes.io/instance-type"]
    offered = {r["values"][0] for o in types(found)[machine]["offerings"] for r in o["Requirements"]}
    assert {"spot", "on-demand"} <= offered


@given(maximum=st.integers(1, 50), start=st.integers(0, 50))
def test_no_more_is_made_than_the_pool_may_have(maximum: int, start: int) -> None:
    start = min(start, maximum)
    found = blueprint({**H100, "nodes": {"max": maximum, "start": start}})
    (pool,) = found.pools
    room = maximum - start
    limits = [planned.manifest["spec"]["limits"] for planned in pool.node_pools]
    assert limits == ([{"cpu": str(room * int(pool.shape.capacity["cpu"]))}] if room else [])


@pytest.mark.parametrize(
    ("sharing", "device", "count"),
    [({"mig": "all-1g.10gb"}, "nvidia.com/mig-1g.10gb", "56"), ({"time-slices": 4}, "nvidia.com/gpu", "32")],
)
def test_one_machine_shared_in_two_ways_is_two_types(sharing: dict[str, Any], device: str, count: str) -> None:
    found = blueprint(H100, {**H100, "name": "again"}, {**H100, "name": "shared", "sharing": sharing})
    rows = types(found)
    assert set(rows) == {"p5.48xlarge", "p5.48xlarge.shared"}
    assert rows["p5.48xlarge"]["resources"]["nvidia.com/gpu"] == "8"
    assert rows["p5.48xlarge.shared"]["resources"][device] == count
    used = [p.node_pools[0].manifest["spec"]["template"]["spec"]["requirements"][0]["values"] for p in found.pools]
    assert used == [["p5.48xlarge"], ["p5.48xlarge"], ["p5.48xlarge.shared"]]


def test_a_price_that_is_known_is_the_offerings_and_an_unknown_one_is_not_zero() -> None:
    price = {"spot": 20.5, "date": "2026-11-01"}
    found = blueprint({**H100, "capacity": ["spot", "on-demand"]}, prices={"h100": price})
    prices = {o["Requirements"][0]["values"][0]: o["Price"] for o in types(found)["p5.48xlarge"]["offerings"]}
    assert prices["spot"] == 20.5
    assert prices["on-demand"] > 0
