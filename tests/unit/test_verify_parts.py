"""The judgements of `verify` that need no cluster."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build, names
from espalier.blueprint.pools import PoolPlan
from espalier.settings import load_file, validate
from espalier.types import Check
from espalier.verify.contention import contention_tasks, judge
from espalier.verify.disruption import reclaim_tasks, sold_out, stock_out_tasks
from espalier.verify.elastic import revived
from espalier.verify.model import CancelledError, Context, NotProven, Outcome, Skipped, Verification, until
from espalier.verify.nodes import Node, follows, sharing
from espalier.verify.pods import probe_pod
from espalier.verify.quota import same_quantity
from espalier.verify.slices import amounts
from espalier.verify.stage import Stage
from espalier.verify.tenants import at_home

if TYPE_CHECKING:
    from espalier.kube import Client

ROOT = Path(__file__).parents[2]


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
    found = sharing(trainium, [node({neuron: "16", f"{neuron}core": cores})])
    assert isinstance(found, Outcome)
    assert found.ok == ok


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


def elastic() -> Blueprint:
    return build(load_file(ROOT / "stacks" / "Pulumi.elastic.yaml").settings, RECORDS)


def test_nothing_of_a_cluster_is_broken_whose_name_is_not_known() -> None:
    context = Context(elastic(), cast("Client", None), simulated=True, probe=True)
    stage = Stage(context)
    with sold_out(context):  # would ask the cluster's autoscaler
        tasks = [*stock_out_tasks(context, stage), *reclaim_tasks(context, stage)]
    assert [task.name for task in tasks] == [
        *(f"stock-out/{name}" for name in ("h100", "l4-slices")),
        *(f"reclaim/{name}" for name in ("h100", "l4-slices")),
    ]
    assert all(isinstance(found := task.run(), NotProven) and "name is not known" in found.why for task in tasks)


def test_no_tenants_quota_is_contended_for_on_a_cluster_that_is_not_simulated() -> None:
    context = Context(elastic(), cast("Client", None), simulated=False, probe=True)
    assert contention_tasks(context, Stage(context)) == []


EXCEEDED = (
    'pods "a" is forbidden: exceeded quota: tenant, requested: requests.nvidia.com/gpu=1, '
    "used: requests.nvidia.com/gpu=8, limited: requests.nvidia.com/gpu=8"
)
NO_POD = 'pods "a" is forbidden: exceeded quota: tenant, requested: pods=1, used: pods=5, limited: pods=5'
MODIFIED = "the object has been modified; please apply"


@pytest.mark.parametrize(
    ("said", "highest", "ok", "says"),
    [
        ([""] * 8 + [EXCEEDED] * 12, 8, True, "8 admitted, 12 refused, such as"),
        ([""] * 9 + [EXCEEDED] * 11, 9, False, "the quota is 8, and 9 were held"),
        ([""] * 20, 0, False, "20 admitted, 0 refused; the quota is 8"),
        ([""] * 6 + [EXCEEDED] * 14, 6, False, "though only 6 of 8 were held"),
        ([""] * 7 + [EXCEEDED] * 12 + [MODIFIED], 7, True, "never more than 7 of 8 held"),
        ([EXCEEDED] * 12, 8, True, "0 admitted, 12 refused"),
        ([""] * 5 + [NO_POD] * 15, 5, True, "never more than 5 of 8 held"),
        ([""] * 8 + ["may not create pods"], 8, False, 'refused with "may not create pods"'),
    ],
)
def test_a_quota_holds_in_a_rush_where_just_what_fits_is_admitted(
    said: list[str], highest: int, ok: bool, says: str
) -> None:
    found = judge("20 pods", said, 8, highest, 1)
    assert isinstance(found, Outcome)
    assert (found.ok, says in found.evidence) == (ok, True), found.evidence


def test_a_pod_that_asks_the_quota_is_one_that_the_guards_let_through() -> None:
    """What guards read is on the namespace; before Kubernetes 1.36 they refuse what selects no pool of the tenant's."""
    held = {"pools": ["l4"], "capacity": ["on-demand"], "registries": ["registry.example.com/x", "a.example.com/y"]}
    stack: dict[str, Any] = {
        "cluster": {"kind": "existing", "version": "1.35", "kubeconfig": "k", "context": "c"},
        "pools": [
            {"name": "l4", "accelerator": "L4", "nodes": {"max": 4}, "capacity": ["spot", "on-demand"]},
            {"name": "h100", "accelerator": "H100-80", "count": 8, "nodes": {"max": 1}},
        ],
        "tenants": [{"name": "free"}, {"name": "held", **held}],
    }
    made = build(validate(stack, where="test"), RECORDS)
    free, bound = (
        at_home(probe_pod("p", work.namespace, {"nvidia.com/gpu": 1}), work)["spec"]
        for tenant in made.tenants
        for work in tenant.workspaces
    )
    assert free == probe_pod("p", "free", {"nvidia.com/gpu": 1})["spec"]
    assert [container["image"] for container in bound["containers"]] == ["a.example.com/y/pause:3.10"]
    assert set(bound["nodeSelector"]) == {names.POOL, names.CAPACITY}
    assert not set(bound["nodeSelector"].values()) & {"h100", "spot", ""}
    assert bound["tolerations"] == []


def test_the_pods_that_try_a_node_ask_for_all_of_it_together() -> None:
    assert amounts(pool()) == [{"nvidia.com/gpu": 1}] * 8
    assert amounts(pool(sharing=SLICED)) == [{"nvidia.com/mig-1g.10gb": 1}] * 56
    many = amounts(pool(sharing={"time-slices": 16}))
    assert (len(many), sum(each["nvidia.com/gpu"] for each in many)) == (61, 128)
    slice_of_four = pool(accelerator="TPU-v6e", count=None, topology="4x4", nodes={"max": 4})
    assert amounts(slice_of_four) == [{"google.com/tpu": 4}]


class Evicting:
    """A cluster that takes the first pod away before it runs."""

    def __init__(self) -> None:
        self.made = 1

    def find_object(self, _: object) -> dict[str, Any] | None:
        return {"status": {"phase": "Running"}} if self.made > 1 else None

    def create(self, _: object) -> None:
        self.made += 1


def test_a_pod_that_is_evicted_before_it_runs_is_made_anew_and_not_taken_for_a_failure() -> None:
    cluster = Evicting()
    context = Context(elastic(), cast("Client", cluster), simulated=True, probe=True)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "b"}}
    assert revived(context, pod) is None
    assert revived(context, pod) == {"status": {"phase": "Running"}}
    assert cluster.made == 2
