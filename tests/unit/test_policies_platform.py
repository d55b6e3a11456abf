"""The rules on accelerators and on money, over the facts that Platform registers."""

from typing import Any

import pytest

from espalier.policies.devices import is_accelerator
from espalier.policies.rules.accelerators import elastic_pools, limit_ranges, tainted_pools
from espalier.policies.rules.cost import ceiling
from espalier.types import Finding, Registered

UNKNOWN = {"$unknown": True}
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
PLATFORM = Registered(
    "urn:pulumi:local::espalier::espalier:index:Platform::platform", "espalier:index:Platform", "platform", {}
)


def pool(nodes: Any = None, taints: Any = (TAINT,), devices: Any = None) -> dict[str, Any]:
    filled = {"nvidia.com/gpu": 8} if devices is None else devices
    return {"name": "h100", "devices": filled, "nodes": nodes or {"min": 0, "max": 4}, "taints": taints}


def facts(*pools: Any, cost: Any = None) -> dict[str, Any]:
    return {"pools": list(pools), "cost": cost}


def messages(results: Any) -> list[str]:
    return [result.message for result in results if isinstance(result, Finding)]


def limit_range(*limits: Any) -> Registered:
    props = {"metadata": {"name": "limits", "namespace": "vision"}, "spec": {"limits": list(limits)}}
    return Registered("urn:lr", "kubernetes:core/v1:LimitRange", "limits", props)


def node(taints: Any, capacity: Any = None) -> Registered:
    size = {"cpu": "8", "nvidia.com/gpu": "8"} if capacity is None else capacity
    props = {"metadata": {"name": "gpu-1"}, "spec": {"taints": taints}, "status": {"capacity": size}}
    return Registered("urn:node", "kubernetes:core/v1:Node", "gpu-1", props)


def simulated_node(taints: Any, capacity: str) -> Registered:
    metadata = {"name": "gpu-1", "annotations": {"espalier.dev/simulated-capacity": capacity}}
    props = {"metadata": metadata, "spec": {"taints": taints}}
    return Registered("urn:node", "kubernetes:core/v1:Node", "gpu-1", props)


def test_a_simulated_node_with_devices_needs_its_taint_as_a_real_one():
    taint = [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    assert messages(tainted_pools([simulated_node(taint, '{"nvidia.com/gpu": "8"}')], None)) == []
    (message,) = messages(tainted_pools([simulated_node([], '{"nvidia.com/gpu": "8"}')], None))
    assert "has nvidia.com/gpu but no NoSchedule taint" in message


@pytest.mark.parametrize("capacity", ["{", "7", "[]", "null"])
def test_a_simulated_capacity_that_is_none_is_no_crash(capacity: str):
    assert messages(tainted_pools([simulated_node([], capacity)], None)) == []


# LimitRange


def test_a_limit_range_on_cpu_and_memory_passes():
    fine = limit_range({"type": "Container", "defaultRequest": {"cpu": "100m", "memory": "256Mi"}})
    assert list(limit_ranges([fine], facts(pool()))) == []


@pytest.mark.parametrize("field", ["default", "defaultRequest", "max", "min", "maxLimitRequestRatio"])
@pytest.mark.parametrize("device", ["nvidia.com/mig-1g.10gb", "google.com/tpu", "amd.com/gpu", "aws.amazon.com/neuron"])
def test_an_accelerator_anywhere_in_a_limit_range_is_a_finding_even_without_facts(field: str, device: str):
    (message,) = messages(limit_ranges([limit_range({"type": "Container", field: {device: "1"}})], None))
    assert f"LimitRange vision/limits: names {device}" in message


def test_a_device_of_the_platforms_own_pools_counts_whoever_sells_it():
    own = limit_range({"default": {"example.com/npu": "1"}})
    assert list(limit_ranges([own], None)) == []
    assert len(messages(limit_ranges([own], facts(pool(devices={"example.com/npu": 4}))))) == 1


@pytest.mark.parametrize("limit", [UNKNOWN, {"default": UNKNOWN}])
def test_an_unknown_limit_is_not_judged(limit: Any):
    (text,) = limit_ranges([limit_range(limit)], None)
    assert isinstance(text, str)


def test_ordinary_resources_are_no_accelerators():
    for name in ("cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "vpc.amazonaws.com/efa", "google.com/other"):
        assert not is_accelerator(name, frozenset())


# Elastic pools


@pytest.mark.parametrize(
    "nodes", [{"min": 0, "max": 4}, {"min": 0.0, "max": 4.0, "start": 1.0}, {"min": 2, "max": 2}, {"min": 0, "max": 0}]
)
def test_elastic_and_fixed_pools_pass(nodes: Any):
    assert list(elastic_pools([PLATFORM], facts(pool(nodes)))) == []


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ({"min": 1, "max": 4}, "never has fewer than 1 nodes"),
        ({"min": 0}, "has no maximum"),
        ({"min": 0, "max": None}, "has no maximum"),
        ({"max": 4}, "has no minimum"),
        ({"min": 4, "max": 2}, "never has fewer than 4 nodes"),
        ("many", "has no maximum"),
    ],
)
def test_an_unbounded_pool_or_one_that_idles_is_a_finding(nodes: Any, said: str):
    (finding,) = elastic_pools([PLATFORM], facts(pool(nodes)))
    assert isinstance(finding, Finding)
    assert finding.urn == PLATFORM.urn
    assert f"pool h100: {said}" in finding.message


def test_a_pool_without_devices_may_idle():
    assert list(elastic_pools([PLATFORM], facts(pool({"min": 1, "max": 3}, devices={})))) == []


@pytest.mark.parametrize("known", [None, {"pools": UNKNOWN}, facts(pool({"min": UNKNOWN, "max": 1})), facts(UNKNOWN)])
def test_pools_that_are_not_known_are_not_judged(known: Any):
    (text,) = elastic_pools([PLATFORM], known)
    assert isinstance(text, str)


# Taints


@pytest.mark.parametrize("effect", ["NoSchedule", "NoExecute"])
def test_a_tainted_pool_and_node_pass(effect: str):
    taint = {**TAINT, "effect": effect}
    assert list(tainted_pools([PLATFORM, node([taint])], facts(pool(taints=[taint])))) == []


@pytest.mark.parametrize("taints", [[], None, [{**TAINT, "effect": "PreferNoSchedule"}]])
def test_an_untainted_pool_is_a_finding(taints: Any):
    (message,) = messages(tainted_pools([PLATFORM], facts(pool(taints=taints))))
    assert "pool h100: has devices but no NoSchedule taint" in message


@pytest.mark.parametrize("taints", [[], None, [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]])
def test_an_untainted_node_with_accelerators_is_a_finding(taints: Any):
    (finding,) = tainted_pools([node(taints)], facts())
    assert isinstance(finding, Finding)
    assert finding.urn == "urn:node"
    assert "Node gpu-1: has nvidia.com/gpu but no NoSchedule taint" in finding.message


def test_nodes_without_accelerators_need_no_taint():
    longhorn = Registered("u", "kubernetes:longhorn.io/v1beta2:Node", "n", node([]).props)
    assert list(tainted_pools([node([], {"cpu": "8"}), longhorn], facts())) == []


@pytest.mark.parametrize("unclear", [node(UNKNOWN), node([{**TAINT, "effect": UNKNOWN}]), node([], UNKNOWN)])
def test_a_node_that_cannot_be_read_is_not_judged(unclear: Registered):
    (text,) = tainted_pools([unclear], facts())
    assert isinstance(text, str)


def test_unknown_taints_of_a_pool_are_not_judged_and_without_facts_the_nodes_still_are():
    (text,) = tainted_pools([PLATFORM], facts(pool(taints=UNKNOWN)))
    assert text == "pool h100: its taints are not known"
    results = list(tainted_pools([node([])], None))
    assert len(messages(results)) == 1
    assert any(isinstance(result, str) for result in results)


# Cost


def cost(most: Any, limit: Any) -> dict[str, Any]:
    return facts(cost={"currency": "USD", "per": "hour", "min": 0, "max": most, "unknown": ["h100"], "ceiling": limit})


@pytest.mark.parametrize("most", [0, 399.99, 400.0])
def test_a_cost_within_the_ceiling_passes(most: float):
    assert list(ceiling([PLATFORM], cost(most, 400))) == []


def test_a_cost_above_the_ceiling_is_a_finding():
    (message,) = messages(ceiling([PLATFORM], cost(400.01, 400.0)))
    assert "cost 400.01 USD/h, above the ceiling of 400.00 USD/h" in message


@pytest.mark.parametrize("most", [None, "lots", True])
def test_an_unknown_price_under_a_ceiling_is_a_finding_that_names_the_pool(most: Any):
    (message,) = messages(ceiling([PLATFORM], cost(most, 400)))
    assert "no price of: h100" in message


def test_a_maximum_that_is_no_number_is_above_any_ceiling():
    assert len(messages(ceiling([PLATFORM], cost(float("nan"), 400)))) == 1


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (None, "no facts of a Platform"),
        (cost(1, None), "no ceiling is set"),
        (facts(), "no ceiling is set"),
        (cost(1, UNKNOWN), "the ceiling is not known"),
        (cost(UNKNOWN, 400), "the worst case is not known yet"),
    ],
)
def test_without_a_ceiling_or_a_value_the_cost_is_not_judged(known: Any, said: str):
    (text,) = ceiling([PLATFORM], known)
    assert isinstance(text, str)
    assert said in text
