"""What every cloud's compiler is given: machines, prices, regions, names; and what no cloud can do."""

import string
from collections.abc import Sequence
from dataclasses import replace
from importlib import util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.blueprint.clouds import machines, sdks
from espalier.blueprint.clouds.eks.folders import TENANCY
from espalier.blueprint.clouds.model import Compiler, Wanted
from espalier.blueprint.clouds.naming import generation_of, physical
from espalier.blueprint.clouds.unsaid import chosen_machines, unsaid_counts
from espalier.blueprint.clouds.wanted import Site, region_mistakes, wanted_of
from espalier.catalogue import Catalogue, catalogue
from espalier.settings.eks import Eks
from espalier.settings.gke import Gke
from espalier.settings.load import load_file
from espalier.settings.model import PriceOverride
from espalier.settings.pool import Pool
from espalier.types import Mistake, Price

CATALOGUE = catalogue()
ROOT = Path(__file__).parents[2]
PATH = "espalier:pools[0]"


def a_pool(**keys: Any) -> Pool:
    return Pool.model_validate_json(__import__("json").dumps({"name": "p", "nodes": {"max": 4}, **keys}))


def a_site(cloud: str, region: str, **keys: Any) -> Site:
    """A compiler that knows two regions."""
    zones = {"us-east-1": ("us-east-1a", "us-east-1b"), "us-central1": ("us-central1-a",), "europe-west2": ()}
    compiler = Compiler(
        cloud=cloud,
        zones=zones.get,
        regions=lambda: sorted(zones),
        cluster_mistakes=lambda _: (),
        pool_mistakes=lambda _, __: (),
        groups=lambda _, __: (),
        plan=lambda _, __: pytest.fail("no plan is asked for"),
        tenancy=TENANCY,
    )
    kind: Any = {"aws": Eks, "gcp": Gke}[cloud]
    known = {"name": "c", "version": "1.35", "region": region, "kind": {"aws": "eks", "gcp": "gke"}[cloud], **keys}
    return Site(cluster=kind.model_construct(**known), compiler=compiler, catalogue=CATALOGUE)


def wanted(pool: Pool, cloud: str, region: str, **prices: PriceOverride) -> tuple[Wanted | None, list[Mistake]]:
    accelerator = CATALOGUE.accelerators[pool.accelerator] if pool.accelerator else None
    return wanted_of(pool, PATH, accelerator, prices, a_site(cloud, region), system=False)


def machine_of(pool: Pool, cloud: str, region: str) -> str:
    found, mistakes = wanted(pool, cloud, region)
    assert not mistakes
    assert found is not None
    return found.machine.name


@pytest.mark.parametrize(
    ("keys", "cloud", "region", "machine"),
    [
        ({"accelerator": "H100-80", "count": 8}, "aws", "us-east-1", "p5.48xlarge"),
        ({"accelerator": "H100-80", "count": 1}, "aws", "us-east-1", "p5.4xlarge"),
        ({"accelerator": "L4", "count": 4}, "gcp", "us-central1", "g2-standard-48"),
        ({"accelerator": "T4", "count": 1, "machine": "n1-standard-8"}, "gcp", "us-central1", "n1-standard-8"),
        ({"accelerator": "TPU-v5e", "topology": "2x4"}, "gcp", "us-central1", "ct5lp-hightpu-8t"),
        ({"accelerator": "TPU-v5e", "topology": "2x4", "count": 4}, "gcp", "us-central1", "ct5lp-hightpu-4t"),
        ({"accelerator": "TPU-v6e", "topology": "4x4"}, "gcp", "us-central1", "ct6e-standard-4t"),
    ],
)
def test_a_pool_gets_the_smallest_machine_with_its_devices(
    keys: dict[str, Any], cloud: str, region: str, machine: str
) -> None:
    assert machine_of(a_pool(**keys), cloud, region) == machine


@given(cpu=st.integers(1, 96), memory=st.integers(1, 384), cloud=st.sampled_from(["aws", "gcp"]))
def test_without_prices_a_size_gets_the_smallest_plain_machine_that_holds_it(cpu: int, memory: int, cloud: str) -> None:
    pool = a_pool(machine={"cpu": cpu, "memory": f"{memory}Gi"})
    found, mistakes = machines.pick(pool, PATH, None, CATALOGUE, "aws" if cloud == "aws" else "gcp")
    rows = [r for r in CATALOGUE.machines("aws" if cloud == "aws" else "gcp").values() if not r.accelerator]
    fitting = [r for r in rows if r.vcpu >= cpu and r.memory_gib >= memory and not r.retired]
    if found is None:
        assert [m.path for m in mistakes] == [f"{PATH}.machine"]
        assert not [r for r in fitting if r.architecture == "amd64"]
    else:
        assert found in fitting
        assert all(r.vcpu >= found.vcpu for r in fitting if r.architecture == "amd64")


PLACES = [("aws", "us-east-1"), ("gcp", "us-central1"), ("gcp", "europe-west4"), ("aws", "eu-west-3")]


@given(cpu=st.integers(1, 64), memory=st.integers(1, 256), place=st.sampled_from(PLACES))
def test_a_size_gets_the_cheapest_plain_machine_of_its_region(cpu: int, memory: int, place: tuple[str, str]) -> None:
    cloud: Any = place[0]
    pool = a_pool(machine={"cpu": cpu, "memory": f"{memory}Gi"})
    found, mistakes = wanted(pool, *place)
    rows = [r for r in CATALOGUE.machines(cloud).values() if not r.accelerator and r.architecture == "amd64"]
    fitting = [r for r in rows if r.vcpu >= cpu and r.memory_gib >= memory and not r.retired]
    listed = {r.name: CATALOGUE.price(r, place[1], "on-demand") for r in fitting}
    known = {name: price.per_hour for name, price in listed.items() if price}
    if found is None:
        assert [m.path for m in mistakes] == [f"{PATH}.machine"]
        assert not fitting
    elif known:
        assert known.get(found.machine.name) == min(known.values())
    else:
        assert found.machine == min(fitting, key=lambda r: (r.vcpu, r.memory_gib, r.name))


@pytest.mark.parametrize(("accelerator", "count"), [("L4", 1), ("T4", 1), ("T4", 4), ("A100-40", 2)])
def test_devices_come_with_their_cheapest_machine(accelerator: str, count: int) -> None:
    found, _ = wanted(a_pool(accelerator=accelerator, count=count), "gcp", "us-central1")
    assert found is not None
    rows = [r for r in CATALOGUE.machines_with(accelerator, "gcp") if count in r.counts(accelerator) and not r.retired]
    prices = [CATALOGUE.price(row, "us-central1", "on-demand", accelerator, count) for row in rows]
    mine = CATALOGUE.price(found.machine, "us-central1", "on-demand", accelerator, count)
    assert mine is not None
    assert mine.per_hour == min(price.per_hour for price in prices if price)


def test_a_negotiated_price_changes_the_choice() -> None:
    pool = a_pool(machine={"cpu": 4, "memory": "16Gi"})
    price = PriceOverride.model_validate({"on-demand": 0.05, "source": "contract", "date": "2026-11-01"})
    found, _ = wanted(pool, "aws", "us-east-1", **{"m7i.xlarge": price})
    assert found is not None
    assert found.machine.name == "m7i.xlarge"
    (note,) = chosen_machines([pool], {"m7i.xlarge": price}, a_site("aws", "us-east-1"))
    assert note == (
        "pool p: m7i.xlarge at 0.05 USD/h, the cheapest on demand of 34 machines that fit (prices of 2026-07-20 to "
        "2026-11-01); then m6i.xlarge at 0.192 USD/h. Name it as `machine:` so that a new price moves nothing"
    )


def test_a_kind_of_capacity_that_only_some_machines_have_comes_before_their_price() -> None:
    pool = a_pool(machine={"cpu": 4, "memory": "16Gi"}, capacity=["spot"])
    rows = [CATALOGUE.machines("aws")[name] for name in ("m6i.xlarge", "m7i.xlarge")]
    cheaper = replace(rows[0], capacity=("on-demand",))
    found = machines.cheapest_first(pool, [cheaper, rows[1]], 0, lambda row, _: Price(float(len(row.capacity)), "", ""))
    assert [row.name for row in found] == ["m7i.xlarge", "m6i.xlarge"]


def test_a_choice_by_size_says_that_no_price_is_known() -> None:
    pool = a_pool(machine={"cpu": 4, "memory": "16Gi"})
    (note,) = chosen_machines([pool], {}, a_site("aws", "eu-west-3"))
    assert note == (
        "pool p: m6i.xlarge, the smallest of 34 machines that fit: no price of theirs in eu-west-3 is known. "
        "Name it as `machine:` so that a new price moves nothing"
    )


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (["m7i.xlarge"], "m7i.xlarge at 1 USD/h (price of 2026-11-01), the only one of 34 machines that fit whose "),
        (
            ["m6i.xlarge", "m7i.xlarge"],
            "m6i.xlarge at 1 USD/h, the cheapest on demand of the 2 whose price is known (prices of 2026-11-01) of 34 "
            "machines that fit, 32 without one; then m7i.xlarge at 1 USD/h. ",
        ),
    ],
)
def test_the_cheapest_is_so_among_machines_with_a_price(known: list[str], said: str) -> None:
    pool = a_pool(machine={"cpu": 4, "memory": "16Gi"})
    price = PriceOverride.model_validate({"on-demand": 1.0, "date": "2026-11-01"})
    (note,) = chosen_machines([pool], dict.fromkeys(known, price), a_site("aws", "eu-west-3"))
    assert note.startswith(f"pool p: {said}")
    assert note.endswith("Name it as `machine:` so that a new price moves nothing")


def test_what_is_not_sold_as_the_pool_asks_did_not_lose_by_its_price() -> None:
    pool = a_pool(accelerator="H100-80", count=8, capacity=["spot"])
    site = a_site("gcp", "us-central1")
    (note,) = chosen_machines([pool], {}, site)
    assert note.startswith("pool p: a3-highgpu-8g at 88.49 USD/h (price of 2026-08-03), the only one of 2 machines")
    rows = CATALOGUE.machines_with("H100-80", "gcp")
    without = {row.name: replace(row, capacity=("on-demand",)) for row in rows if row.name == "a3-megagpu-8g"}
    known = Catalogue(CATALOGUE.accelerators, {"gcp": without})
    assert list(chosen_machines([pool], {}, replace(site, catalogue=known))) == []


@pytest.mark.parametrize("stack", ["aws-prod", "azure-prod", "gcp-prod"])
def test_no_price_moves_a_machine_of_production(stack: str) -> None:
    """A slice's machine follows from its topology."""
    pools = load_file(ROOT / "stacks" / f"Pulumi.{stack}.yaml").settings.pools
    assert [pool.name for pool in pools if not isinstance(pool.machine, str) and pool.topology is None] == []


def test_a_pool_that_names_its_machine_is_told_of_no_choice() -> None:
    site = a_site("aws", "us-east-1")
    assert list(chosen_machines([a_pool(machine="m6i.xlarge"), a_pool(accelerator="H100-80")], {}, site)) == []


@pytest.mark.parametrize(
    ("keys", "cloud", "path", "accepted"),
    [
        ({"machine": "p5.48xlarg"}, "aws", "machine", "such as p5.48xlarge"),
        ({"machine": "p5.48xlarge"}, "aws", "machine", "the pool's accelerator"),
        ({"machine": "m6i.xlarge", "accelerator": "H100-80"}, "aws", "machine", "a machine with H100-80"),
        ({"machine": "p5.48xlarge", "accelerator": "H100-80", "count": 4}, "aws", "count", "8: what p5.48xlarge has"),
        ({"accelerator": "H100-80", "count": 3}, "aws", "count", "1 or 8 of H100-80 a node in aws"),
        ({"accelerator": "TPU-v5e", "topology": "2x4"}, "aws", "accelerator", "what aws has: A100-40"),
        ({"accelerator": "Trainium"}, "gcp", "accelerator", "what gcp has: A100-40"),
        ({"machine": {"cpu": 4000, "memory": "1Gi"}}, "aws", "machine", "at most what aws has"),
        ({"accelerator": "H200", "machine": "p5e.48xlarge"}, "aws", "capacity[0]", "sold: reserved"),
        ({"machine": "m6i.xlarge", "machines": ["m6i.2xlarge"]}, "aws", "machines[0]", "machines like m6i.xlarge"),
        ({"machine": "m6i.xlarge", "machines": ["nonsense"]}, "aws", "machines[0]", "a machine of aws"),
    ],
)
def test_what_the_cloud_does_not_have_is_said_with_what_it_has(
    keys: dict[str, Any], cloud: str, path: str, accepted: str
) -> None:
    found, mistakes = wanted(a_pool(**keys), cloud, "us-east-1" if cloud == "aws" else "us-central1")
    assert found is None
    assert [mistake.path for mistake in mistakes] == [f"{PATH}.{path}"]
    assert accepted in mistakes[0].accepted
    assert mistakes[0].do


def test_a_machine_that_the_region_lacks_names_what_is_close() -> None:
    pool = a_pool(accelerator="H100-80", count=8, machine="a3-highgpu-8g")
    offered = CATALOGUE.regions(CATALOGUE.machines("gcp")["a3-highgpu-8g"])
    lacking = "europe-west2"
    assert lacking not in offered
    found, mistakes = wanted(pool, "gcp", lacking)
    assert found is None
    (mistake,) = mistakes
    assert mistake.path == f"{PATH}.machine"
    assert f"not in the price list of {lacking}" in mistake.got
    assert "europe-west1" in mistake.do
    known = PriceOverride.model_validate_json('{"on-demand": 80.0, "date": "2026-11-01"}')
    assert wanted(pool, "gcp", lacking, p=known)[0] is not None


def test_an_own_price_comes_before_the_list_and_an_unknown_one_is_none() -> None:
    pool = a_pool(accelerator="H100-80", count=8, capacity=["spot", "on-demand"])
    listed, _ = wanted(pool, "aws", "us-east-1")
    assert listed is not None
    assert listed.prices["spot"] is None
    price = listed.prices["on-demand"]
    assert price is not None
    assert (price.per_hour, price.date) == (55.04, "2026-07-20")
    own = PriceOverride.model_validate_json('{"spot": 20.5, "date": "2026-11-01", "source": "a contract"}')
    ours, _ = wanted(pool, "aws", "us-east-1", p=own)
    assert ours is not None
    assert ours.prices["spot"] is not None
    assert (ours.prices["spot"].per_hour, ours.prices["spot"].source) == (20.5, "a contract")
    assert ours.prices["on-demand"] == price


def test_a_pool_that_says_no_count_is_told_how_many_it_gets() -> None:
    said = a_pool(accelerator="L4", count=1)
    named = a_pool(accelerator="L4", machine="g6.xlarge")
    compiler = a_site("aws", "us-east-1").compiler
    assert list(unsaid_counts([said, named, a_pool(machine={"cpu": 4, "memory": "8Gi"})], compiler, CATALOGUE)) == []
    (note,) = unsaid_counts([a_pool(accelerator="L4")], compiler, CATALOGUE)
    assert note == "pool p: 8 L4 a node, since it says no `count`; there are also 1, 4"


@pytest.mark.parametrize(
    ("region", "zones", "paths"),
    [
        ("us-east-1", None, []),
        ("us-east-1", ("us-east-1b",), []),
        ("us-east-1", ("us-east-1z",), ["espalier:cluster.zones[0]"]),
        ("us-eest-1", None, ["espalier:cluster.region"]),
        ("us-new-9", ("us-new-9a",), []),
    ],
)
def test_regions_and_zones_are_known_or_given(region: str, zones: Sequence[str] | None, paths: list[str]) -> None:
    mistakes = region_mistakes(a_site("aws", region, zones=zones))
    assert [mistake.path for mistake in mistakes] == paths
    if region == "us-eest-1":
        assert "us-east-1" in mistakes[0].accepted


_STEM = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=80).map(lambda t: "a" + t)


@given(stems=st.lists(_STEM, min_size=2, max_size=20, unique=True), limit=st.integers(20, 63))
def test_physical_names_fit_and_stay_apart(stems: list[str], limit: int) -> None:
    names = [physical(stem, "0a1b2", limit) for stem in stems]
    assert all(len(name) <= limit and name.endswith("-0a1b2") for name in names)
    assert len(set(names)) == len(names)


def test_a_generation_changes_with_what_is_fixed_and_not_with_its_order() -> None:
    assert generation_of({"a": 1, "b": 2}) == generation_of({"b": 2, "a": 1})
    assert generation_of({"a": 1, "b": 2}) != generation_of({"a": 1, "b": 3})


def test_a_missing_sdk_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sdks.missing_sdk("simulated") is None
    assert sdks.missing_sdk("gke") is None
    monkeypatch.setattr(sdks, "find_spec", lambda name: None if name == "pulumi_gcp" else SimpleNamespace())
    missing = sdks.missing_sdk("gke")
    assert missing is not None
    assert missing[0] == "pulumi_gcp"
    assert "espalier[gcp]" in missing[1]
    assert sdks.missing_sdk("eks") is None
    assert util.find_spec("pulumi_aws") is not None
