"""What a pool's nodes advertise, carry and cost: arithmetic that holds for every pool."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.blueprint.money import cost_of
from espalier.blueprint.nodes import generation_of
from espalier.blueprint.pools import PoolPlan, compile_pool, compile_pools
from espalier.blueprint.proofs import device_maxima
from espalier.catalogue import accelerators
from espalier.settings.model import PriceOverride
from espalier.settings.pool import Pool

KINDS = ("reserved", "spot", "flex", "on-demand")
GPUS = [row for row in accelerators().values() if row.vendor == "nvidia"]
TPUS = [row for row in accelerators().values() if row.vendor == "google"]


def pool(**keys: Any) -> Pool:
    return Pool.model_validate({"name": "p", "nodes": {"max": 4}, **keys}, strict=False)


def plan(prices: dict[str, PriceOverride] | None = None, **keys: Any) -> PoolPlan:
    return compile_pool(pool(**keys), prices or {}, simulated=True)


@st.composite
def pools(draw: st.DrawFn, name: str = "p") -> Pool:
    """Any pool that the catalogue allows."""
    row = draw(st.sampled_from([None, *accelerators().values()]))
    keys: dict[str, Any] = {"name": name, "capacity": draw(st.lists(st.sampled_from(KINDS), min_size=1, unique=True))}
    hosts = 1
    if row is None:
        keys["machine"] = {"cpu": draw(st.integers(1, 512)), "memory": f"{draw(st.integers(1, 4096))}Gi"}
    else:
        keys["accelerator"] = row.name
        if row.topologies:
            keys["topology"], hosts = draw(st.sampled_from([few for few in row.topologies.items() if few[1] <= 64]))
        else:
            keys["count"] = draw(st.none() | st.integers(1, 64))
        ways = [st.none(), st.integers(2, 48).map(lambda n: {"mps": n})]
        ways += [st.integers(2, 64).map(lambda n: {"time-slices": n})]
        ways += [st.sampled_from(sorted(row.mig)).map(lambda p: {"mig": f"all-{p}"})] if row.mig else []
        keys["sharing"] = draw(st.one_of(ways)) if row.vendor == "nvidia" else None
    least, more, extra = (draw(st.integers(0, 3)) for _ in range(3))
    most = least + more + extra + 1
    keys["nodes"] = {"min": least * hosts, "max": most * hosts, "start": (least + more) * hosts}
    return pool(**keys)


@given(pools())
def test_a_node_advertises_its_devices_times_what_sharing_makes_of_each(drawn: Pool) -> None:
    row = accelerators()[drawn.accelerator] if drawn.accelerator else None
    (plans, mistakes) = compile_pools([drawn], {}, simulated=True)
    assert mistakes == ()
    shape = plans[0].shape
    if row is None:
        assert shape.devices == {}
        return
    count = drawn.count or row.per_node
    (device, number), *others = shape.devices.items()
    assert not others
    if drawn.sharing is not None and drawn.sharing.mig:
        profile = drawn.sharing.mig.removeprefix("all-")
        assert (device, number) == (f"nvidia.com/mig-{profile.replace('+', '.')}", count * row.mig[profile])
    elif drawn.sharing is not None:
        assert (device, number) == (row.resource, count * ((drawn.sharing.time_slices or drawn.sharing.mps) or 0))
    else:
        assert (device, number) == (row.resource, count)


@given(pools())
def test_capacity_tells_the_devices_and_the_taint_guards_them(drawn: Pool) -> None:
    made = compile_pool(drawn, {}, simulated=True)
    assert [shape.capacity_kind for shape in made.shapes] == list(drawn.capacity)
    for shape in made.shapes:
        assert {key: int(value) for key, value in shape.capacity.items() if "/" in key} == shape.devices
        assert set(shape.capacity) - set(shape.devices) == {"cpu", "memory", "ephemeral-storage", "pods"}
        resource = made.accelerator.resource if made.accelerator else None
        assert [str(taint) for taint in shape.taints] == ([f"{resource}=present:NoSchedule"] if resource else [])
        assert shape.labels["espalier.dev/pool"] == drawn.name
        assert shape.labels["espalier.dev/capacity"] == shape.capacity_kind


@given(pools())
def test_a_simulated_pool_starts_with_its_nodes_and_any_other_with_none(drawn: Pool) -> None:
    made = compile_pool(drawn, {}, simulated=True)
    assert len({node.manifest["metadata"]["name"] for node in made.nodes}) == made.start == drawn.nodes.start
    for node in made.nodes:
        reported = node.manifest["metadata"]["annotations"]["espalier.dev/simulated-capacity"]
        assert json.loads(reported) == made.shape.capacity
        assert node.manifest.get("spec", {}).get("taints", []) == [taint.to_json() for taint in made.shape.taints]
        assert node.manifest["metadata"]["labels"].items() >= made.shape.labels.items()
    elsewhere = compile_pool(drawn, {}, simulated=False)
    assert elsewhere.nodes == ()
    assert not [key for key in elsewhere.shape.labels if "simulated" in key or key.startswith("topology.")]


@given(st.lists(pools(), min_size=1, max_size=5))
def test_device_maxima_add_up_over_pools(drawn: list[Pool]) -> None:
    plans = [compile_pool(one, {}, simulated=True) for one in drawn]
    maxima = device_maxima(plans)
    assert list(maxima) == sorted(maxima)
    for device, total in maxima.items():
        assert total == sum(made.maximum * made.shape.devices.get(device, 0) for made in plans)
    assert set(maxima) == {device for made in plans for device in made.shape.devices}


# Money ------------------------------------------------------------------------------------------------------------

AMOUNTS = st.none() | st.integers(0, 10**6).map(lambda n: n / 100)


def price(**kinds: float | None) -> PriceOverride:
    return PriceOverride.model_validate({**kinds, "date": "2026-11-01"})


@given(pools(), st.tuples(*[AMOUNTS] * 4))
def test_unknown_prices_are_never_zero(drawn: Pool, amounts: tuple[float | None, ...]) -> None:
    by_kind = dict(zip(KINDS, amounts, strict=True))
    made = compile_pool(drawn, {drawn.name: price(**by_kind)}, simulated=True)
    (cost,) = (total := cost_of([made], None)).pools
    missing = [kind for kind in drawn.capacity if by_kind[kind] is None]
    assert total.unknown == tuple(f"{drawn.name}/{kind}" for kind in missing)
    if missing:
        assert cost.high is None
        assert cost.low == (0 if drawn.nodes.min == 0 else None)
        return
    known = [by_kind[kind] or 0 for kind in drawn.capacity]
    assert cost.high == pytest.approx(drawn.nodes.max * max(known), abs=1e-4)
    assert cost.low == pytest.approx(drawn.nodes.min * min(known), abs=1e-4)
    assert cost.low is not None
    assert cost.low <= cost.high


@given(st.lists(st.tuples(pools(), st.integers(0, 10**6)), min_size=1, max_size=5))
def test_the_platform_costs_what_its_pools_cost(drawn: list[tuple[Pool, int]]) -> None:
    plans = [
        compile_pool(one, {one.name: price(**dict.fromkeys(KINDS, cents / 100))}, simulated=True)
        for one, cents in drawn
    ]
    total = cost_of(plans, None)
    assert total.low == pytest.approx(sum(row.low or 0 for row in total.pools), abs=1e-3)
    assert total.high == pytest.approx(sum(row.high or 0 for row in total.pools), abs=1e-3)


@given(pools(), st.integers(1, 10**5), st.integers(1, 100))
def test_more_nodes_never_cost_less(drawn: Pool, cents: int, more: int) -> None:
    made = compile_pool(drawn, {drawn.name: price(**dict.fromkeys(KINDS, cents / 100))}, simulated=True)
    wider = cost_of([replace(made, maximum=made.maximum + more)], None)
    assert (wider.high or 0) > (cost_of([made], None).high or 0)
    assert wider.low == cost_of([made], None).low


def test_one_pool_of_unknown_price_makes_the_sum_unknown() -> None:
    known = plan({"p": price(**{"on-demand": 1.0})}, accelerator="T4")
    total = cost_of([known, plan(name="q", accelerator="T4", nodes={"min": 1, "max": 2})], None)
    assert (total.low, total.high, total.unknown) == (None, None, ("q/on-demand",))


def test_a_price_is_found_by_pool_then_accelerator_then_machine() -> None:
    keys = {"p": 1.0, "L40S": 2.0, "g6e.48xlarge": 3.0}
    prices = {key: price(**{"on-demand": amount}) for key, amount in keys.items()}
    for key, amount in keys.items():
        found = plan(prices, accelerator="L40S").shape.price
        assert found is not None
        assert found.per_hour == amount
        del prices[key]
    assert plan(prices, accelerator="L40S").shape.price is None


def test_half_a_machine_is_not_that_machine_at_its_price() -> None:
    prices = {"g6e.48xlarge": price(**{"on-demand": 30.0})}
    half = plan(prices, accelerator="L40S", count=4).shape
    assert (half.machine, half.price) == ("4xL40S", None)
    assert (half.capacity["cpu"], half.capacity["memory"]) == ("96", "768Gi")
    named = plan(prices, accelerator="L40S", count=4, machine="g6e.24xlarge").shape
    assert named.machine == "g6e.24xlarge"


# Generations ------------------------------------------------------------------------------------------------------

BASE: dict[str, Any] = {"accelerator": "A100-80", "count": 8, "capacity": ["spot"], "nodes": {"max": 4}}


@pytest.mark.parametrize(
    "change",
    [
        {"accelerator": "A100-40"},
        {"count": 4},
        {"machine": {"cpu": 8, "memory": "32Gi"}},
        {"capacity": ["on-demand"]},
        {"sharing": {"mig": "all-1g.10gb"}},
        {"sharing": {"time-slices": 2}},
    ],
    ids=str,
)
def test_what_cannot_change_on_a_live_node_makes_a_generation(change: dict[str, Any]) -> None:
    assert generation_of(plan(**{**BASE, **change}).shape) != generation_of(plan(**BASE).shape)


def test_one_machine_with_other_accelerators_is_another_generation() -> None:
    machine = {"cpu": 8, "memory": "32Gi"}
    made = {generation_of(plan(**BASE | {"accelerator": row.name, "machine": machine}).shape) for row in GPUS}
    assert len(made) == len(GPUS)


@pytest.mark.parametrize("row", TPUS, ids=lambda row: row.name)
def test_each_slice_topology_is_another_generation(row: Any) -> None:
    made = {generation_of(plan(accelerator=row.name, topology=t, nodes={"max": 64}).shape) for t in row.topologies}
    assert len(made) == len(row.topologies)


@pytest.mark.parametrize(
    "change",
    [{"nodes": {"min": 1, "max": 40, "start": 7}}, {"labels": {"team": "vision"}}, {"capacity": ["spot", "on-demand"]}],
    ids=str,
)
def test_what_can_change_keeps_the_generation(change: dict[str, Any]) -> None:
    assert generation_of(plan(**{**BASE, **change}).shape) == generation_of(plan(**BASE).shape)


def test_a_price_keeps_the_generation() -> None:
    prices = {"p": price(spot=1.0)}
    assert generation_of(plan(prices, **BASE).shape) == generation_of(plan(**BASE).shape)


@given(pools())
def test_names_and_labels_are_such_as_kubernetes_takes(drawn: Pool) -> None:
    label = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
    made = compile_pool(drawn, {}, simulated=True)
    for shape in made.shapes:
        for key, value in shape.labels.items():
            assert label.fullmatch(value), (key, value)
            assert len(value) <= 63, (key, value)
    for node in made.nodes:
        assert len(node.manifest["metadata"]["name"]) <= 63
