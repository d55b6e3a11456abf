"""A portable pool, compiled to agent pools: sizes, drivers, MIG, spot, reservations, names, generations, ladders."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from espalier.blueprint import Blueprint, build
from espalier.blueprint.clouds.aks import AksNodeGroup, AksPlan
from espalier.blueprint.clouds.aks.pools import SYSTEM_TAINT, mig_profiles
from espalier.blueprint.clouds.aks.zones import regions, zones
from espalier.catalogue import catalogue
from espalier.settings import validate

ADMIN = "11111111-2222-3333-4444-555555555555"
SYSTEM: dict[str, Any] = {"name": "system", "machine": "Standard_D8s_v5", "nodes": {"min": 3, "max": 6}, "system": True}
GENERAL: dict[str, Any] = {"name": "general", "machine": "Standard_D8s_v5", "nodes": {"max": 4}}
RESERVATION = (
    "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/shared/providers/"
    "Microsoft.Compute/capacityReservationGroups/h100"
)


def blueprint(*pools: dict[str, Any], **cluster: Any) -> Blueprint:
    block = {
        "kind": "aks",
        "name": "ml",
        "version": "1.35",
        "region": "eastus",
        "access": {"via": "network", "admins": [ADMIN]},
    } | {key.replace("_", "-"): value for key, value in cluster.items()}
    return build(validate({"cluster": block, "pools": list(pools)}, where="espalier"), {})


def plan(*pools: dict[str, Any], **cluster: Any) -> AksPlan:
    found = blueprint(*pools, **cluster).cloud
    assert isinstance(found, AksPlan)
    return found


def groups(*pools: dict[str, Any], **cluster: Any) -> dict[str, AksNodeGroup]:
    return {g.key: g for g in plan(SYSTEM, GENERAL, *pools, **cluster).groups if isinstance(g, AksNodeGroup)}


def gpu(name: str, accelerator: str, count: int, **keys: Any) -> dict[str, Any]:
    return {"name": name, "accelerator": accelerator, "count": count, "nodes": {"max": 4}} | keys


def region_of(accelerator: str) -> str:
    """A region with zones that sells it."""
    known = catalogue()
    sold = {region for machine in known.machines_with(accelerator, "azure") for region in known.regions(machine)}
    return min(region for region in sold if zones(region))


def test_a_spot_pool_has_the_taint_that_azure_forces_and_no_spare_nodes() -> None:
    found = groups(gpu("t4", "T4", 1, capacity=["spot", "on-demand"]))
    spot, paid = found["t4-spot"], found["t4-on-demand"]
    assert spot.node_taints == (
        "nvidia.com/gpu=present:NoSchedule",
        "kubernetes.azure.com/scalesetpriority=spot:NoSchedule",
    )
    assert spot.labels["kubernetes.azure.com/scalesetpriority"] == "spot"
    assert (spot.spot, spot.max_surge, spot.max_unavailable) == (True, None, None)
    assert paid.node_taints == ("nvidia.com/gpu=present:NoSchedule",)
    assert (paid.spot, paid.max_surge) == (False, "1")
    assert (spot.minimum, spot.maximum, paid.minimum, paid.maximum) == (0, 4, 0, 4)
    assert spot.shape.labels["kubernetes.azure.com/priority"] == "spot"
    assert spot.vm_size == "Standard_NC4as_T4_v3"


def test_reserved_capacity_comes_from_its_group_and_zone_and_is_upgraded_without_spares() -> None:
    held = {"id": RESERVATION, "zones": ["2"]}
    found = groups(gpu("h100", "H100-80", 8, capacity=["reserved", "on-demand"], reservation=held))
    reserved, paid = found["h100-reserved"], found["h100-on-demand"]
    assert (reserved.reservation, reserved.zones) == (RESERVATION, ("2",))
    assert (reserved.max_surge, reserved.max_unavailable) == ("0", "1")
    assert paid.reservation is None
    assert paid.zones == ("1",)  # InfiniBand reaches no further than one zone
    assert any("upgraded without spare nodes" in note for note in reserved.notes)


@pytest.mark.parametrize(
    ("accelerator", "owner", "driver"),
    [
        ("H100-80", None, "Install"),
        ("H100-80", "cloud", "Install"),
        ("H100-80", "operator", "None"),
        ("MI300X", None, "None"),
    ],
)
def test_the_drivers_owner_decides_the_gpu_profile(accelerator: str, owner: str | None, driver: str) -> None:
    pool = gpu("p", accelerator, 8, **({"driver": {"owner": owner}} if owner else {}))
    found = groups(pool, region=region_of(accelerator))
    assert found["p-on-demand"].gpu_driver == driver
    assert found["general-on-demand"].gpu_driver is None


@pytest.mark.parametrize(
    ("accelerator", "count", "profile", "named", "instances"),
    [
        ("A100-40", 8, "all-1g.5gb", "MIG1g", 56),
        ("A100-80", 4, "all-2g.20gb", "MIG2g", 12),
        ("A100-80", 4, "all-3g.40gb", "MIG3g", 8),
        ("H100-80", 8, "all-4g.40gb", "MIG4g", 8),
        ("H100-NVL", 1, "all-1g.12gb", "MIG1g", 7),
        ("H200", 8, "all-7g.141gb", "MIG7g", 8),
    ],
)
def test_a_mig_profile_is_azures_name_for_it(
    accelerator: str, count: int, profile: str, named: str, instances: int
) -> None:
    pool = gpu("p", accelerator, count, sharing={"mig": profile})
    group = groups(pool, region=region_of(accelerator))["p-on-demand"]
    assert group.gpu_instance_profile == named
    resource = f"nvidia.com/mig-{profile.removeprefix('all-')}"
    assert group.shape.devices == {resource: instances}
    # The autoscaler knows a size's whole GPUs only: it is told of the slices, and that nothing is whole.
    tag = "k8s.io_cluster-autoscaler_node-template_resources_nvidia.com_"
    assert group.tags == {f"{tag}gpu": "0", f"{tag}{resource.removeprefix('nvidia.com/')}": str(instances)}


def test_every_accelerator_that_azure_cuts_has_each_of_its_names_once() -> None:
    known = catalogue().accelerators
    for name in ("A100-40", "A100-80", "H100-80", "H100-NVL", "H200"):
        assert sorted(mig_profiles(dict(known[name].mig)).values()) == ["MIG1g", "MIG2g", "MIG3g", "MIG4g", "MIG7g"]
    # Of two profiles of one slice, AKS's is the one of most instances.
    assert "1g.20gb" not in mig_profiles(dict(known["A100-80"].mig))


def test_one_system_node_is_made_with_the_cluster_and_the_others_apart() -> None:
    found = groups()
    first, others = found["system-on-demand-first"], found["system-on-demand"]
    assert (first.inline, first.name, first.generation) == (True, "system", "")
    assert (first.minimum, first.maximum, first.autoscaled, first.mode) == (1, 1, False, "System")
    assert (others.minimum, others.maximum, others.autoscaled, others.mode) == (2, 5, True, "System")
    assert first.node_taints == others.node_taints == ("CriticalAddonsOnly=true:NoSchedule",)
    assert found["general-on-demand"].mode == "User"


def test_a_small_system_pool_has_no_others_or_others_that_sleep() -> None:
    one = {g.key for g in plan(SYSTEM | {"nodes": {"min": 1, "max": 1}}, GENERAL).groups}
    assert one == {"system-on-demand-first", "general-on-demand"}
    found = {g.key: g for g in plan(SYSTEM | {"nodes": {"min": 1, "max": 3}}, GENERAL).groups}
    others = found["system-on-demand"]
    assert isinstance(others, AksNodeGroup)
    assert (others.minimum, others.mode) == (0, "User")  # AKS lets no pool of mode System sleep


def test_the_system_pool_is_tainted_once_another_takes_plain_pods() -> None:
    alone = [g for g in plan(SYSTEM).groups if isinstance(g, AksNodeGroup)]
    assert {g.node_taints for g in alone} == {()}
    assert any("is not tainted" in note for note in plan(SYSTEM).notes)
    beside_gpus = [g for g in plan(SYSTEM, gpu("t4", "T4", 1)).groups if g.pool == "system"]
    assert all(SYSTEM_TAINT not in g.taints for g in beside_gpus)
    spot_only = [g for g in plan(SYSTEM, GENERAL | {"capacity": ["spot"]}).groups if g.pool == "system"]
    assert all(SYSTEM_TAINT not in g.taints for g in spot_only)
    with_other = [g for g in plan(SYSTEM, GENERAL).groups if g.pool == "system"]
    assert all(SYSTEM_TAINT in g.taints for g in with_other)
    assert not any("is not tainted" in note for note in plan(SYSTEM, GENERAL).notes)


def test_the_cost_counts_each_node_of_the_system_pool_once() -> None:
    found = blueprint(SYSTEM, GENERAL)
    price = found.pools[0].shape.price
    assert price is not None
    (cost,) = [row for row in found.cost.pools if row.pool == "system"]
    assert cost.low == pytest.approx(3 * price.per_hour, abs=0.01)
    assert cost.high == pytest.approx(6 * price.per_hour, abs=0.01)


NAME = re.compile(r"^[a-z][a-z0-9]{0,11}$")


def test_names_fit_azures_twelve_characters_and_differ() -> None:
    stems = ["a-b", "ab", "a-very-long-name-of-a-pool", "a-very-long-name-of-a-pond", "h100", "h-100", "x" * 30]
    pools = [GENERAL | {"name": name, "capacity": ["on-demand", "spot"]} for name in stems]
    made = plan(SYSTEM | {"name": "the-system-of-all"}, *pools).groups
    names = [group.name for group in made]
    assert all(NAME.match(name) for name in names), names
    assert len(set(names)) == len(names) == 2 + 2 * len(stems)


BASE = gpu("p", "A100-80", 4)
NEW_GENERATION: list[tuple[str, dict[str, Any]]] = [
    ("machine", {"count": 2}),
    ("zones", {"zones": ["1"]}),
    ("os", {"image": {"os": "azure-linux"}}),
    ("disk", {"disk": {"size": "300Gi"}}),
    ("max-pods", {"max-pods": 50}),
    ("driver", {"driver": {"owner": "operator"}}),
    ("mig", {"sharing": {"mig": "all-1g.10gb"}}),
    ("taints", {"taints": [{"key": "team", "value": "a"}]}),
    ("placement", {"placement": "compact"}),
]


@pytest.mark.parametrize(("what", "change"), NEW_GENERATION, ids=[what for what, _ in NEW_GENERATION])
def test_what_azure_cannot_change_makes_a_new_generation(what: str, change: dict[str, Any]) -> None:
    before, after = groups(BASE)["p-on-demand"], groups(BASE | change)["p-on-demand"]
    assert before.key == after.key
    assert before.generation != after.generation, what
    assert before.name != after.name


IN_PLACE: list[tuple[str, dict[str, Any]]] = [
    ("nodes", {"nodes": {"min": 1, "max": 9}}),
    ("labels", {"labels": {"team": "a"}}),
    ("surge", {"surge": 3}),
]


@pytest.mark.parametrize(("what", "change"), IN_PLACE, ids=[what for what, _ in IN_PLACE])
def test_what_azure_changes_in_place_keeps_the_generation(what: str, change: dict[str, Any]) -> None:
    assert groups(BASE)["p-on-demand"].name == groups(BASE | change)["p-on-demand"].name, what
    assert groups(BASE, version="1.34")["p-on-demand"].name == groups(BASE)["p-on-demand"].name


def test_the_first_system_pool_keeps_its_name_whatever_changes() -> None:
    other = SYSTEM | {"machine": "Standard_D16s_v5", "disk": {"size": "200Gi"}}
    before = {g.key: g.name for g in plan(SYSTEM, GENERAL).groups}
    after = {g.key: g.name for g in plan(other, GENERAL).groups}
    assert before["system-on-demand-first"] == after["system-on-demand-first"]
    assert before["system-on-demand"] != after["system-on-demand"]


SIZES = ["Standard_D8as_v5", "Standard_D8s_v6"]


def test_further_sizes_of_spot_are_agent_pools_of_their_own_before_on_demand() -> None:
    """An agent pool has one size; a market that is out of one may have another."""
    pool = {"name": "c", "machine": "Standard_D8s_v5", "nodes": {"max": 4}, "machines": SIZES}
    found = plan(SYSTEM, GENERAL, pool | {"capacity": ["spot", "on-demand"]})
    made = {g.key: g for g in found.groups if isinstance(g, AksNodeGroup) and g.pool == "c"}
    assert {key: (g.vm_size, g.spot, g.minimum, g.maximum) for key, g in made.items()} == {
        "c-spot": ("Standard_D8s_v5", True, 0, 4),
        "c-spot-d8as-v5": ("Standard_D8as_v5", True, 0, 4),
        "c-spot-d8s-v6": ("Standard_D8s_v6", True, 0, 4),
        "c-on-demand": ("Standard_D8s_v5", False, 0, 4),
    }
    assert len({g.name for g in made.values()}) == 4
    assert all(re.fullmatch(r"[a-z][a-z0-9]{0,11}", g.name) for g in made.values())
    assert found.priorities is not None
    for group in made.values():
        places = [place for place, held in found.priorities.items() if f"^aks-{group.name}-.*" in held]
        assert places == ["100" if group.spot else "90"]
    assert "c-spot: Standard_D8as_v5 is an agent pool of its own, which may grow to nodes.max by itself" in found.notes
    alone = plan(
        SYSTEM,
        GENERAL,
        {key: value for key, value in pool.items() if key != "machines"} | {"capacity": ["spot", "on-demand"]},
    )
    before = {g.key: g.name for g in alone.groups}
    assert {key: group.name for key, group in made.items() if key in before} == {
        key: name for key, name in before.items() if key in made
    }


def test_each_further_size_counts_in_the_cost() -> None:
    pool = {"name": "c", "machine": "Standard_D8s_v5", "nodes": {"max": 4}, "machines": SIZES, "capacity": ["spot"]}
    prices = {
        name: {"spot": amount, "source": "s", "date": "2026-11-01"}
        for name, amount in (("Standard_D8s_v5", 0.1), ("Standard_D8as_v5", 0.2), ("Standard_D8s_v6", 0.4))
    }
    block = {"kind": "aks", "name": "ml", "version": "1.35", "region": "eastus"}
    block |= {"access": {"via": "network", "admins": [ADMIN]}}
    tree = {"cluster": block, "pools": [SYSTEM, GENERAL, pool], "prices": prices}
    cost = build(validate(tree, where="espalier"), {}).cost
    assert [row.high for row in cost.pools if row.pool == "c"] == [2.8]


def test_the_expander_tries_each_pools_kinds_in_its_order() -> None:
    held = {"id": RESERVATION}
    ladder = gpu("h100", "H100-80", 8, capacity=["reserved", "spot", "on-demand"], reservation=held)
    found = plan(SYSTEM, GENERAL, ladder)
    names = {group.key: group.name for group in found.groups}
    assert found.autoscaler is not None
    assert found.autoscaler.expander == "priority"
    assert found.priorities is not None
    assert list(found.priorities) == ["100", "90", "80"]
    assert f"^aks-{names['h100-reserved']}-.*" in found.priorities["100"]
    assert found.priorities["90"] == (f"^aks-{names['h100-spot']}-.*",)
    assert found.priorities["80"] == (f"^aks-{names['h100-on-demand']}-.*",)
    # Each scale set's name is matched once: the expander wants patterns that exclude one another.
    for name in names.values():
        scale_set = f"aks-{name}-12345678-vmss"
        matched = [p for patterns in found.priorities.values() for p in patterns if re.match(p, scale_set)]
        assert len(matched) == 1


def test_without_a_choice_there_is_no_ladder_and_without_an_autoscaler_no_profile() -> None:
    found = plan(SYSTEM, GENERAL)
    assert found.priorities is None
    assert found.autoscaler is not None
    assert found.autoscaler.expander == "least-waste"
    still = plan(SYSTEM, GENERAL | {"capacity": ["on-demand", "spot"]}, autoscaler="none")
    assert (still.autoscaler, still.priorities) == (None, None)
    assert not any(group.autoscaled for group in still.groups if isinstance(group, AksNodeGroup))


def test_a_region_without_zones_has_pools_without_zones() -> None:
    found = [g for g in plan(SYSTEM, GENERAL, region="westus").groups if isinstance(g, AksNodeGroup)]
    assert {g.zones for g in found} == {()}
    assert {g.shape.labels["topology.kubernetes.io/zone"] for g in found} == {"0"}
    assert zones("westus") == ()
    assert zones("nowhere") is None


def test_every_region_of_the_price_list_is_in_the_table() -> None:
    known = set(regions())
    machines = catalogue().machines("azure").values()
    priced = {region for machine in machines for region in catalogue().regions(machine)}
    public = {
        r for r in priced if not r.startswith(("usgov", "china", "usdod", "attatlanta", "attdallas", "attnewyork"))
    }
    assert public <= known, sorted(public - known)


def test_secure_boot_stays_off_where_a_gpus_driver_would_not_load() -> None:
    found = groups(gpu("t4", "T4", 1))
    assert found["general-on-demand"].secure_boot
    assert not found["t4-on-demand"].secure_boot


def test_an_os_disk_is_on_the_machine_where_it_fits() -> None:
    big, small = GENERAL | {"machine": "Standard_D8ds_v5"}, GENERAL | {"machine": "Standard_D8s_v5"}
    assert {
        g.os_disk_type for g in plan(SYSTEM, big).groups if isinstance(g, AksNodeGroup) and g.pool == "general"
    } == {"Ephemeral"}
    assert {g.os_disk_type for g in plan(SYSTEM, small).groups if isinstance(g, AksNodeGroup)} == {"Managed"}


def test_a_group_is_the_same_each_time() -> None:
    first, second = groups(BASE), groups(BASE)
    assert first == second
    assert replace(first["p-on-demand"], name="x") != second["p-on-demand"]


def test_fips_is_of_all_nodes_and_makes_new_ones() -> None:
    plain, fips = groups(BASE), groups(BASE, fips=True)
    assert {group.fips for group in fips.values()} == {True}
    assert plain["p-on-demand"].generation != fips["p-on-demand"].generation
