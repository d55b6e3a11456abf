"""What a node advertises is computed once: node templates, ceilings, quotas and prices agree, whatever the pool."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.blueprint import build
from espalier.blueprint.autoscaling import machine_types
from espalier.blueprint.clouds.eks.tags import RESOURCE, asg_tags
from espalier.blueprint.nodes import node_manifest
from espalier.blueprint.pools import PoolPlan, compile_pools
from espalier.blueprint.proofs import device_maxima
from espalier.blueprint.sharing import advertised, geometries, geometry, shares
from espalier.catalogue import Accelerator, accelerators
from espalier.settings import validate
from espalier.settings.model import PriceOverride
from espalier.settings.pool import Pool, Sharing
from espalier.types import Mistakes

NVIDIA = {name: row for name, row in accelerators().items() if row.vendor == "nvidia"}
EVERY = [(name, mig) for name, row in NVIDIA.items() for mig in geometries(row)]
"""Every accelerator with every geometry that a pool may write."""


@pytest.mark.parametrize(
    ("name", "mig", "count", "expected"),
    [
        ("A100-80", "all-1g.10gb", 8, {"nvidia.com/mig-1g.10gb": 56}),
        ("A100-80", "all-1g.20gb", 8, {"nvidia.com/mig-1g.20gb": 32}),
        ("H100-80", "all-3g.40gb", 8, {"nvidia.com/mig-3g.40gb": 16}),
        ("H100-80", "all-1g.10gb+me", 1, {"nvidia.com/mig-1g.10gb.me": 1}),
        (
            "A100-40",
            "all-balanced",
            8,
            {"nvidia.com/mig-1g.5gb": 16, "nvidia.com/mig-2g.10gb": 8, "nvidia.com/mig-3g.20gb": 8},
        ),
        (
            "H100-80",
            "all-balanced",
            1,
            {"nvidia.com/mig-1g.10gb": 2, "nvidia.com/mig-2g.20gb": 1, "nvidia.com/mig-3g.40gb": 1},
        ),
        ("RTX-PRO-6000", "all-balanced", 2, {"nvidia.com/mig-1g.24gb": 4, "nvidia.com/mig-2g.48gb": 2}),
    ],
)
def test_the_table_of_geometries(name: str, mig: str, count: int, expected: dict[str, int]) -> None:
    """Source: NVIDIA/mig-parted v0.15.0, deployments/systemd/config-default.yaml."""
    assert advertised(NVIDIA[name], count, Sharing(mig=mig)) == expected


@pytest.mark.parametrize(("name", "mig"), EVERY, ids=[f"{name} {mig}" for name, mig in EVERY])
def test_every_geometry_fits_its_device(name: str, mig: str) -> None:
    row = NVIDIA[name]
    profiles = {profile.name: profile for profile in row.profiles}
    cut = geometry(row, mig)
    assert sum(profiles[profile].slices * number for profile, number in cut.items()) <= row.mig_slices[0]
    assert sum(profiles[profile].memory_slices * number for profile, number in cut.items()) <= row.mig_slices[1]


WAYS = st.one_of(
    st.none(),
    st.integers(2, 64).map(lambda copies: {"time-slices": copies}),
    st.integers(2, 48).map(lambda copies: {"mps": copies}),
)


@st.composite
def blocks(draw: st.DrawFn) -> dict[str, Any]:
    """A pool of NVIDIA's devices, shared in any way, or cut in any."""
    if draw(st.booleans()):
        name, mig = draw(st.sampled_from(EVERY))
        sharing: dict[str, Any] | None = {"mig": mig}
    else:
        name, sharing = draw(st.sampled_from(sorted(NVIDIA))), draw(WAYS)
    most = draw(st.integers(1, 9))
    block = {"name": "p", "accelerator": name, "count": draw(st.integers(1, 16)), "nodes": {"max": most}}
    return block | ({"sharing": sharing} if sharing else {})


def compiled(block: dict[str, Any], *, simulated: bool = True) -> PoolPlan:
    price = PriceOverride.model_validate({"on-demand": 12.5, "date": "2026-11-01", "source": "a test"})
    pool = Pool.model_validate(block, strict=False)
    (plan,), mistakes = compile_pools([pool], {"p": price}, simulated=simulated)
    assert mistakes == ()
    return plan


def of_devices(resources: dict[str, str]) -> dict[str, int]:
    return {name: int(number) for name, number in resources.items() if name.startswith("nvidia.com/")}


@settings(max_examples=150, deadline=None)
@given(block=blocks())
def test_all_that_is_told_of_a_node_agrees(block: dict[str, Any]) -> None:
    plan = compiled(block)
    shape, devices = plan.shape, dict(plan.shape.devices)
    row = NVIDIA[block["accelerator"]]
    sharing = block.get("sharing", {})
    copies = sharing.get("time-slices") or sharing.get("mps")
    if copies or not sharing:
        assert devices == {"nvidia.com/gpu": block["count"] * (copies or 1)}
    else:
        assert sum(devices.values()) == block["count"] * sum(geometry(row, sharing["mig"]).values())
        assert "nvidia.com/gpu" not in devices  # a slice and a whole device are never mistaken for one another
    assert of_devices(dict(shape.capacity)) == devices
    played = json.loads(node_manifest(shape, "n")["metadata"]["annotations"]["espalier.dev/simulated-capacity"])
    assert of_devices(played) == devices
    (type_,) = json.loads(machine_types([plan]))
    assert of_devices(type_["resources"]) == devices
    tags = asg_tags(shape.labels, shape.taints, devices, {}, pods=110, storage_gib=100)
    template = {key.removeprefix(RESOURCE): value for key, value in tags.items() if key.startswith(RESOURCE)}
    assert {name: number for name, number in of_devices(template).items() if number} == devices
    assert device_maxima([plan]) == {name: number * plan.maximum for name, number in sorted(devices.items())}
    assert compiled(block, simulated=False).shape.devices == devices


@settings(max_examples=150, deadline=None)
@given(block=blocks())
def test_the_prices_of_all_that_a_node_has_come_to_the_nodes(block: dict[str, Any]) -> None:
    plan = compiled(block)
    prices = plan.device_prices(plan.shape)
    assert prices.keys() == plan.shape.devices.keys()
    total = sum((prices[name] or 0) * number for name, number in plan.shape.devices.items())
    assert total == pytest.approx(12.5)
    assert all(price and price > 0 for price in prices.values())


def test_a_larger_slice_costs_more_and_an_unknown_price_stays_unknown() -> None:
    row = NVIDIA["H100-80"]
    devices = advertised(row, 8, Sharing(mig="all-balanced"))
    parts = shares(row, {"mig": "all-balanced"}, devices)
    assert parts["nvidia.com/mig-3g.40gb"] == pytest.approx(3 * parts["nvidia.com/mig-1g.10gb"])
    pool = Pool.model_validate({"name": "p", "accelerator": "L4", "nodes": {"max": 1}}, strict=False)
    (plan,), _ = compile_pools([pool], {}, simulated=True)
    assert plan.device_prices(plan.shape) == {"nvidia.com/gpu": None}


def test_devices_and_cores_of_neuron_are_two_names_for_one_price() -> None:
    row: Accelerator = accelerators()["Trainium"]
    parts = shares(row, {}, {"aws.amazon.com/neuron": 16, "aws.amazon.com/neuroncore": 32})
    assert parts == {"aws.amazon.com/neuron": 1 / 16, "aws.amazon.com/neuroncore": 1 / 32}


@settings(max_examples=40, deadline=None)
@given(block=blocks())
def test_a_quota_may_promise_exactly_what_the_pools_hold(block: dict[str, Any]) -> None:
    most = device_maxima([compiled(block)])

    def stack(further: int) -> None:
        quota = {"devices": {name: number + further for name, number in most.items()}, "cpu": 1, "memory": "1Gi"}
        tenants = [{"name": "t", "groups": {"edit": ["g"]}, "quota": quota}]
        build(validate({"cluster": {"kind": "simulated"}, "pools": [block], "tenants": tenants}, where="espalier"), {})

    stack(0)
    with pytest.raises(Mistakes) as caught:
        stack(1)
    assert len(caught.value.mistakes) == len(most)
