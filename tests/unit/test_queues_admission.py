"""Over any pools and tenants, what Kueue would admit by our objects: never more than there is, and rights are kept."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.blueprint.proofs import device_maxima
from espalier.blueprint.queues import QueuePlan
from espalier.blueprint.queues.kueue import ALL
from espalier.blueprint.queues.shares import shares
from espalier.settings import validate
from tests.unit.queue_model import Model

GPU, TPU = "nvidia.com/gpu", "google.com/tpu"
KINDS = ("reserved", "spot", "flex", "on-demand")


@st.composite
def stacks(draw: st.DrawFn) -> dict[str, Any]:
    """Up to three pools of GPUs and one of TPU slices; up to four tenants, with quotas that the pools could back."""
    pools: list[dict[str, Any]] = [
        {
            "name": f"p{index}",
            "accelerator": "L4",
            "count": draw(st.sampled_from((1, 4, 8))),
            "nodes": {"max": draw(st.integers(1, 4))},
            "capacity": draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True)),
        }
        for index in range(draw(st.integers(1, 3)))
    ]
    slices = draw(st.integers(0, 2))
    if slices:
        pools.append({"name": "tpu", "accelerator": "TPU-v6e", "topology": "4x4", "nodes": {"max": 4 * slices}})
    most = sum(pool["count"] * pool["nodes"]["max"] for pool in pools if pool["name"] != "tpu")
    tenants: list[dict[str, Any]] = []
    for index in range(draw(st.integers(1, 4))):
        quota = draw(st.integers(0, most))
        devices = {GPU: quota} | ({TPU: 16 * draw(st.integers(0, slices))} if slices else {})
        queue: dict[str, Any] = {"weight": draw(st.integers(1, 5))}
        if draw(st.booleans()):
            queue["borrow"] = {GPU: draw(st.integers(0, most - quota))}
        if draw(st.booleans()):
            queue["lend"] = {GPU: draw(st.integers(0, quota))}
        tenants.append(draw(bounded(pools, {"name": f"t{index}", "quota": {"devices": devices}, "queue": queue})))
    return {"cluster": {"kind": "simulated"}, "pools": pools, "tenants": tenants, "addons": {"kueue": {}}}


@st.composite
def bounded(draw: st.DrawFn, pools: list[dict[str, Any]], tenant: dict[str, Any]) -> dict[str, Any]:
    """The tenant on some pools and some kinds of capacity alone, or on all; with no more than these could back."""
    named = [pool["name"] for pool in pools]
    mine = draw(st.none() | st.lists(st.sampled_from(named), min_size=1, unique=True))
    offered = sorted({kind for pool in pools for kind in pool.get("capacity", ["on-demand"])})
    kinds = draw(st.none() | st.lists(st.sampled_from(offered), min_size=1, unique=True))
    within = {GPU: 0, TPU: 0}
    for pool in pools:
        usable = not kinds or set(kinds) & set(pool.get("capacity", ["on-demand"]))
        if usable and (mine is None or pool["name"] in mine):
            device, count = (TPU, 4) if pool["name"] == "tpu" else (GPU, pool["count"])
            within[device] += count * pool["nodes"]["max"]
    quota = {device: min(count, within[device]) for device, count in tenant["quota"]["devices"].items()}
    queue = dict(tenant["queue"])
    if "borrow" in queue:
        queue["borrow"] = {GPU: min(queue["borrow"][GPU], within[GPU] - quota[GPU])}
    if "lend" in queue:
        queue["lend"] = {GPU: min(queue["lend"][GPU], quota[GPU])}
    bounds = {"pools": mine, "capacity": kinds}
    return {**tenant, "quota": {"devices": quota}, "queue": queue, **{key: one for key, one in bounds.items() if one}}


def planned(stack: dict[str, Any]) -> tuple[Blueprint, QueuePlan]:
    blueprint = build(validate(stack, where="espalier"), RECORDS)
    assert blueprint.queues
    return blueprint, blueprint.queues


JOBS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from((GPU, TPU)), st.sampled_from((1, 2, 8, 16))), max_size=30)


@settings(max_examples=60, deadline=None)
@given(stacks(), JOBS)
def test_what_is_admitted_is_never_more_than_the_pools_hold(stack: dict[str, Any], jobs: list[Any]) -> None:
    blueprint, plan = planned(stack)
    model = Model.of(plan.shared, plan.objects)
    maxima = device_maxima(blueprint.pools)
    for number, device, count in jobs:
        tenant = plan.shared.tenants[number % len(plan.shared.tenants)]
        if device not in maxima or (device == TPU and count % 16):
            continue
        model.admit(tenant.name, device, count)
        for known, most in maxima.items():
            keys = [(flavour.name, known) for flavour in plan.shared.holding(known)]
            assert sum(map(model.used_by_all, keys)) <= most
            assert all(model.used_by_all((f.name, known)) <= f.devices[known] for f in plan.shared.holding(known))
            for one in plan.shared.tenants:
                (share,) = [share for share in one.shares if share.device == known]
                assert sum(model.used(one.name, key) for key in keys) <= share.ceiling


@settings(max_examples=60, deadline=None)
@given(stacks(), JOBS)
def test_a_tenant_gets_back_what_is_its_own(stack: dict[str, Any], jobs: list[Any]) -> None:
    """Whatever the others have taken: device by device up to its share, slices whole."""
    _, plan = planned(stack)
    model = Model.of(plan.shared, plan.objects)
    first, *others = plan.shared.tenants
    for number, device, count in jobs:
        if others and device in plan.shared.devices and not (device == TPU and count % 16):
            model.admit(others[number % len(others)].name, device, count)
    for share in first.shares:
        unit = 16 if share.device == TPU else 1
        for _ in range(share.own // unit):
            assert model.admit(first.name, share.device, unit) is not None


@settings(max_examples=60, deadline=None)
@given(stacks())
def test_a_queue_has_what_its_tenant_may_use_and_nothing_else(stack: dict[str, Any]) -> None:
    _, plan = planned(stack)
    assert [proof.evidence for proof in plan.proofs if not proof.ok] == []
    for tenant, block in zip(plan.shared.tenants, stack["tenants"], strict=True):
        mine = {
            flavour.name
            for flavour in plan.shared.flavours
            if flavour.pool in (block.get("pools") or [flavour.pool])
            and set(flavour.kinds) & set(block.get("capacity") or flavour.kinds)
        }
        assert {flavour for flavour, _ in Model.of(plan.shared, plan.objects).queues[tenant.name]} - {ALL} == mine
        for share in tenant.shares:
            assert share.own <= share.quota <= share.ceiling
            assert sum(share.flavours.values()) >= share.own


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 200), st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 100)), st.sampled_from((1, 4, 16))
)
def test_shares_are_whole_bounded_and_used_up(capacity: int, wanted: dict[str, int], unit: int) -> None:
    found = shares(capacity, wanted, unit)
    assert found.keys() == wanted.keys()
    assert all(count % unit == 0 and 0 <= count <= wanted[name] for name, count in found.items())
    wishes = sum(count // unit for count in wanted.values())
    assert sum(found.values()) == unit * min(capacity // unit, wishes)
    assert shares(capacity, dict(reversed(wanted.items())), unit) == found
