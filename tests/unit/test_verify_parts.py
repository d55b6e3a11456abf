"""The judgements of `verify` that need no cluster."""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from espalier.blueprint import build
from espalier.blueprint.pools import PoolPlan
from espalier.settings import validate
from espalier.types import Check
from espalier.verify.model import CancelledError, NotProven, Outcome, Skipped, Verification, until
from espalier.verify.nodes import Node, follows, sharing
from espalier.verify.quota import same_quantity


def pool(**more: Any) -> PoolPlan:
    block = {"name": "a100", "accelerator": "A100-80", "count": 8, "nodes": {"max": 2}, **more}
    return build(validate({"cluster": {"kind": "simulated"}, "pools": [block]}, where="test"), {}).pools[0]


def node(allocatable: dict[str, str]) -> Node:
    return Node.of({"metadata": {"name": "n"}, "spec": {}, "status": {"allocatable": {"cpu": "4", **allocatable}}})


SLICED = {"mig": "all-1g.10gb"}


@pytest.mark.parametrize(
    ("block", "allocatable", "ok"),
    [
        ({}, {"nvidia.com/gpu": "8"}, True),
        ({}, {"nvidia.com/gpu": "7"}, False),
        ({}, {}, False),
        ({}, {"nvidia.com/gpu": "8", "example.com/nic": "2"}, True),
        ({"sharing": SLICED}, {"nvidia.com/mig-1g.10gb": "56", "nvidia.com/gpu": "0"}, True),
        ({"sharing": SLICED}, {"nvidia.com/mig-1g.10gb": "56", "nvidia.com/gpu": "8"}, False),
        ({"sharing": SLICED}, {"nvidia.com/gpu": "8"}, False),
        ({"sharing": {"time-slices": 4}}, {"nvidia.com/gpu": "32"}, True),
        ({"sharing": {"time-slices": 4}}, {"nvidia.com/gpu": "8"}, False),
    ],
)
def test_sharing_wants_the_blueprints_devices_and_no_other_of_that_vendor(
    block: dict[str, Any], allocatable: dict[str, str], ok: bool
) -> None:
    found = sharing(pool(**block), [node(allocatable)])
    assert isinstance(found, Outcome)
    assert found.ok is ok


def test_one_wrong_node_among_right_ones_is_named() -> None:
    found = sharing(pool(), [node({"nvidia.com/gpu": "8"}), node({"nvidia.com/gpu": "6"})])
    assert found == Outcome(False, "n allocatable: nvidia.com/gpu=6; the blueprint has nvidia.com/gpu=8")


def test_a_pool_without_nodes_proves_nothing() -> None:
    assert sharing(pool(), []) == NotProven("pool a100 has no node now")


@pytest.mark.parametrize(("cores", "ok"), [("32", True), ("16", False), ("0", False)])
def test_a_vendor_may_tell_of_one_device_in_two_ways(cores: str, ok: bool) -> None:
    plan = pool()
    neuron = "aws.amazon.com/neuron"
    capacity = {"cpu": "128", neuron: "16", f"{neuron}core": "32", "vpc.amazonaws.com/efa": "16"}
    shape = replace(plan.shape, capacity=capacity, devices={neuron: 16})
    assert plan.accelerator is not None
    trainium = replace(plan, accelerator=replace(plan.accelerator, resource=neuron), shapes=(shape,))
    assert sharing(trainium, [node({neuron: "16", f"{neuron}core": cores})]).ok == ok


@pytest.mark.parametrize(
    ("status", "must", "ok"),
    [
        ({"observedGeneration": 2, "generation": 2}, 0, True),
        ({"observedGeneration": 1, "generation": 2}, 0, False),
        ({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberReady": 2}, 2, True),
        ({"desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberReady": 1}, 2, False),
        ({"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 3}, 2, False),
        ({"desiredNumberScheduled": 2, "updatedNumberScheduled": 1, "numberReady": 2}, 2, False),
        ({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberReady": 1}, 2, False),
    ],
)
def test_a_daemonset_follows_when_all_its_counts_are_the_nodes(status: dict[str, Any], must: int, ok: bool) -> None:
    assert follows({"observedGeneration": 1, "generation": 1, **status}, must) is ok


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1Ti", "1024Gi", True),
        ("200", "200000m", True),
        ("8", "9", False),
        ("8", None, False),
        (None, None, True),
        ("1E", "1E", True),
        ("1E", "1000P", False),  # beyond what quantities of ours can be: never taken for equal
    ],
)
def test_quantities_are_compared_as_numbers(one: str | None, other: str | None, same: bool) -> None:
    assert same_quantity(one, other) is same


def test_a_wait_is_bounded_and_can_be_cancelled() -> None:
    started = time.monotonic()
    assert until(lambda: None, 0.2, threading.Event()) is None
    assert 0.2 <= time.monotonic() - started < 60
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(CancelledError):
        until(lambda: None, 60, cancelled)
    assert until(lambda: "there", 0, cancelled) == "there"


def test_a_skipped_check_neither_passes_nor_fails() -> None:
    good, bad = Check("a", True, "", 0.0), Check("b", False, "", 0.0)
    assert Verification((good,), (Skipped("land/x", "no node"),)).ok
    assert not Verification((good, bad)).ok
