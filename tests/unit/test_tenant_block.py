"""The tenant block: what each key becomes, what it may cost, and what is refused, with its text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.settings import validate
from espalier.types import Manifest, Mistakes

PRICED = {"on-demand": 8.0, "spot": 3.0, "date": "2026-11-01"}
STACK: dict[str, Any] = {
    "cluster": {"kind": "simulated"},
    "pools": [
        {"name": "cpu", "machine": {"cpu": 8, "memory": "32Gi"}, "nodes": {"max": 10}},
        {"name": "l4", "accelerator": "L4", "count": 4, "nodes": {"max": 4}, "capacity": ["spot", "on-demand"]},
        {"name": "h100", "accelerator": "H100-80", "count": 8, "nodes": {"max": 2}},
    ],
    "prices": {
        "cpu": {"on-demand": 1.0, "date": "2026-11-01"},
        "l4": PRICED,
        "h100": {"on-demand": 50.0, "date": "2026-11-01"},
    },
}
GPUS = {"nvidia.com/gpu": 8}


def platform(*tenants: dict[str, Any], **keys: Any) -> Blueprint:
    return build(validate({**STACK, **keys, "tenants": list(tenants)}, where="espalier"), RECORDS)


def of(blueprint: Blueprint, kind: str) -> dict[str, Manifest]:
    """Namespace -> its one object of a kind."""
    objects = [p.manifest for tenant in blueprint.tenants for work in tenant.workspaces for p in work.objects]
    return {one["metadata"].get("namespace", one["metadata"]["name"]): one for one in objects if one["kind"] == kind}


def notes(**keys: Any) -> dict[str, str]:
    made = of(platform({"name": "a", **keys}), "Namespace")["a"]["metadata"]
    return {key.removeprefix("espalier.dev/"): value for key, value in made.get("annotations", {}).items()}


def test_policies_know_all_people_of_a_tenant() -> None:
    spaces = [{"name": "x", "owners": ["ben", "ana"], "quota": {"cpu": 1}}, {"name": "y", "quota": {"cpu": 1}}]
    made = platform({"name": "a", "owners": ["olga", "ana"], "workspaces": spaces}, {"name": "b"})
    assert [tenant["people"] for tenant in made.policy_facts()["tenants"]] == [["ana", "ben", "olga"], []]


def test_one_line_is_a_whole_tenant_with_nothing_to_lift() -> None:
    made = platform({"name": "a"})
    assert notes() == {}
    assert of(made, "ResourceQuota")["a"]["spec"]["hard"] == {
        "requests.cpu": "16",
        "requests.memory": "64Gi",
        "requests.storage": "200Gi",
        "requests.nvidia.com/gpu": "0",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    assert of(made, "RoleBinding") == {}


def test_counts_and_storage_by_class_are_the_quotas() -> None:
    quota = {"storage-classes": {"fast": "1Ti"}, "objects": {"pods": 50, "services.loadbalancers": 2}}
    hard = of(platform({"name": "a", "quota": quota}), "ResourceQuota")["a"]["spec"]["hard"]
    assert hard["fast.storageclass.storage.k8s.io/requests.storage"] == "1Ti"
    assert (hard["pods"], hard["services.loadbalancers"], hard["services.nodeports"]) == ("50", "2", "0")


def test_owners_and_a_workspaces_own_groups() -> None:
    works = [
        {"name": "ana", "owners": ["ana@x.org"], "groups": {}, "quota": {"cpu": 4}},
        {"name": "ben", "quota": {"cpu": 4}},
    ]
    made = platform({"name": "a", "owners": ["olga@x.org"], "groups": {"edit": ["team"]}, "workspaces": works})
    bindings = [p.manifest for work in made.tenants[0].workspaces for p in work.objects]
    found = {
        (one["metadata"]["namespace"], one["roleRef"]["name"], subject["kind"], subject["name"])
        for one in bindings
        if one["kind"] == "RoleBinding"
        for subject in one["subjects"]
    }
    assert found == {
        ("a-ana", "tenant-admin", "User", "ana@x.org"),
        ("a-ana", "tenant-admin", "User", "olga@x.org"),
        ("a-ben", "tenant-admin", "User", "olga@x.org"),
        ("a-ben", "tenant-edit", "Group", "team"),
    }
    assert made.tenants[0].groups == {"edit": ("team",)}


def test_bounds_are_annotations_that_policies_read() -> None:
    assert notes(pools=["l4"]) == {"forbidden-pools": "h100"}
    assert notes(pools=[]) == {"forbidden-pools": "h100,l4"}
    assert notes(capacity=["spot"]) == {"forbidden-capacity": "on-demand"}
    assert notes(priority="interactive") == {"priority-classes": "espalier-batch,espalier-interactive"}
    assert notes(registries=["r.io/b", "r.io/a"]) == {"image-registries": "r.io/a,r.io/b"}


def test_policies_are_there_for_what_some_tenant_says() -> None:
    def guards(**keys: Any) -> set[str]:
        named = {p.manifest["metadata"]["name"] for p in platform({"name": "a", **keys}).objects}
        return {name.removeprefix("espalier-guard-") for name in named} & {"placement", "images", "pods"}

    assert guards() == {"pods"}
    assert guards(pools=["l4"]) == guards(capacity=["on-demand"]) == {"pods", "placement"}
    assert guards(registries=["r.io"]) == {"pods", "images"}


def kept(h100: list[str], **keys: Any) -> Blueprint:
    cpu, l4, dear = STACK["pools"]
    return platform({"name": "a", **keys}, {"name": "b"}, pools=[cpu, l4, {**dear, "tenants": h100}])


def test_a_pool_that_is_kept_for_tenants_is_forbidden_to_the_others() -> None:
    made = kept(["a"], quota={"devices": {"nvidia.com/gpu": 17}})
    found = of(made, "Namespace")
    assert "annotations" not in found["a"]["metadata"] or "espalier.dev/forbidden-pools" not in str(found["a"])
    assert found["b"]["metadata"]["annotations"]["espalier.dev/forbidden-pools"] == "h100"
    assert "espalier-guard-placement" in {p.manifest["metadata"]["name"] for p in made.objects}


@pytest.mark.parametrize(
    ("h100", "keys", "said"),
    [
        (["b"], {"quota": {"devices": {"nvidia.com/gpu": 17}}},
         "got 17; accepted: at most 16, the pools that the tenant may use at their maxima"),
        (["b"], {"pools": ["l4", "h100"]}, "espalier:tenants[0].pools: got h100, which is for b alone; accepted: pools "
         "that the tenant may use. Take it out, or add the tenant to the pool's."),
        (["c"], {}, "espalier:pools[2].tenants[0]: got 'c'; accepted: a, b. Name a tenant of this stack."),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_pool_that_is_kept_is_said(h100: list[str], keys: dict[str, Any], said: str) -> None:
    with pytest.raises(Mistakes) as raised:
        kept(h100, **keys)
    assert said in str(raised.value)


def test_a_pool_without_an_accelerator_is_not_kept() -> None:
    cpu, *rest = STACK["pools"]
    with pytest.raises(Mistakes) as raised:
        platform({"name": "a"}, pools=[{**cpu, "tenants": ["a"]}, *rest])
    assert str(raised.value) == (
        "espalier:pools[0].tenants: got pool cpu, which has none; accepted: a pool with an accelerator. Remove it: "
        "pods without a device go to any pool that has room."
    )


HOUR = 730.0
CPU = 2.0 * HOUR
"""The default quota's 16 vCPUs and 64Gi are two nodes of pool cpu."""


@pytest.mark.parametrize(
    ("keys", "month"),
    [
        ({}, CPU),
        ({"quota": {"cpu": 17}}, 3 * HOUR),
        ({"quota": {"cpu": 1, "memory": "65Gi"}}, 3 * HOUR),
        # The dearest first: one whole H100 node; then L4s, on-demand.
        ({"quota": {"devices": {"nvidia.com/gpu": 8}}}, CPU + 50 * HOUR),
        ({"quota": {"devices": {"nvidia.com/gpu": 9}}}, CPU + 100 * HOUR),
        ({"quota": {"devices": {"nvidia.com/gpu": 17}}}, CPU + 108 * HOUR),
        ({"quota": {"devices": GPUS}, "pools": ["l4"]}, CPU + 16 * HOUR),
        # All nodes of pool cpu are on-demand: with spot alone none of them.
        ({"quota": {"devices": GPUS}, "pools": ["l4"], "capacity": ["spot"]}, 6 * HOUR),
    ],
)
def test_the_worst_case_is_of_whole_nodes_from_the_dearest_on(keys: dict[str, Any], month: float) -> None:
    (worst,) = platform({"name": "a", **keys}).worst
    assert worst.month == pytest.approx(month)


@given(st.integers(0, 32), st.integers(0, 32))
def test_more_devices_never_cost_less(one: int, two: int) -> None:
    made = platform(*({"name": n, "quota": {"devices": {"nvidia.com/gpu": c}}} for n, c in (("a", one), ("b", two))))
    first, second = made.worst
    assert first.month is not None
    assert second.month is not None
    assert (first.month <= second.month) or one > two


def test_what_may_be_borrowed_counts_where_queues_let_it() -> None:
    tenant = {"name": "a", "quota": {"devices": GPUS}, "queue": {"borrow": {"nvidia.com/gpu": 8}}}
    (worst,) = platform(tenant, addons={"kueue": {}}).worst
    assert worst.month == pytest.approx(CPU + 100 * HOUR)


def test_an_unknown_price_is_no_sum() -> None:
    prices = {"cpu": STACK["prices"]["cpu"], "h100": STACK["prices"]["h100"]}
    free = {"kind": "existing", "version": "1.36", "kubeconfig": "k", "context": "c"}
    (worst,) = platform({"name": "a", "quota": {"devices": GPUS}}, prices=prices, cluster=free).worst
    assert (worst.month, worst.unknown) == (None, ("l4/on-demand", "l4/spot"))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "kube-system"}, "tenants[0].name: got namespace kube-system; accepted: a namespace that is not "
     "Kubernetes' or the platform's own. Rename it."),
    ({"name": "kubeflow"}, "tenants[0].name: got namespace kubeflow; accepted: a namespace that is not "
     "Kubernetes' or the platform's own. Rename it."),
    ({"name": "Vision"}, "tenants[0].name: got 'Vision'; accepted: a name of lower-case letters, digits and -"),
    ({"name": "a" * 31}, "at most 30 characters"),
    ({"quota": {"devices": {"nvidia.com/gpu": -1}}}, "got -1; accepted: a whole number from 0 to 100,000"),
    ({"quota": {"devices": {"nvidia.com/gpu": 0.5}}}, "got 0.5; accepted: a whole number from 0 to 100,000"),
    ({"quota": {"devices": {"nvidia.com/gpu": 33}}}, "got 33; accepted: at most 32, all pools at their maxima"),
    ({"quota": {"devices": {"nvidia.com/gpu": 17}}, "pools": ["l4"]},
     "got 17; accepted: at most 16, the pools that the tenant may use at their maxima"),
    ({"quota": {"devices": {"nvidia.com/gpu": 17}}, "capacity": ["spot"]}, "at most 16, the pools that the tenant may"),
    ({"quota": {"objects": {"scaledobjects": 1}}}, "what a ResourceQuota counts: configmaps, "),
    ({"quota": {"storage-classes": {"Fast": "1Ti"}}}, "a StorageClass's name"),
    ({"groups": {"edit": ["x"], "view": ["x"]}},
     "got x, which is in view already; accepted: each group in one role. Keep it in one of them."),
    ({"workspaces": [{"name": "w", "groups": {"edit": ["x"], "admin": ["x"]}}]},
     "tenants[0].workspaces[0].groups.admin[0]: got x, which is in edit already"),
    ({"groups": {"edit": ["system:masters"]}}, "names that start with system: are Kubernetes' own"),
    ({"owners": ["system:admin"]}, "and none of the cluster's own (system:, eks:)"),
    ({"pools": ["l40"]}, "tenants[0].pools[0]: got 'l40'; accepted: l4, h100. Name a pool that has an "
     "accelerator."),
    ({"pools": ["cpu"]}, "tenants[0].pools[0]: got 'cpu'; accepted: l4, h100."),
    ({"capacity": ["reserved"]}, "tenants[0].capacity: got reserved; accepted: on-demand, spot. Name a kind of "
     "capacity that a pool has."),
    ({"placement": {"regions": ["eu-west-1"]}}, "tenants[0].placement.regions: got a cluster whose region is "
     "not known; accepted: eu-west-1. Move the tenant to a stack that is there, or widen its placement."),
    ({"placement": {"clusters": ["onprem"]}}, "tenants[0].placement.clusters: got a cluster of kind simulated; "
     "accepted: onprem."),
    ({"budget": 100.0}, "tenants[0].budget: got 100 USD a month; its quota may cost 1,460; accepted: at least "
     "what the quota may cost at the dearest. Lower the quota, narrow pools or capacity, or raise the budget."),
    ({"registries": ["https://r.io"]}, "a registry with its path, such as registry.example.com/mirror"),
    ({"quota": {"devices": GPUS, "capacity": {"spot": {"nvidia.com/gpu": -1}}}},
     "quota.capacity.spot[\"nvidia.com/gpu\"]: got -1; accepted: a whole number from 0 to 100,000"),
    ({"quota": {"devices": GPUS, "capacity": {"spot": {"nvidia.com/gpu": 0.5}}}},
     "quota.capacity.spot[\"nvidia.com/gpu\"]: got 0.5; accepted: a whole number from 0 to 100,000"),
    ({"quota": {"devices": GPUS, "capacity": {"flex": {"nvidia.com/gpu": 1}}}},
     "tenants[0].quota.capacity.flex: got an unknown key; accepted: the keys on-demand, spot."),
    ({"quota": {"devices": GPUS, "capacity": {"on-demand": {"nvidia.com/gpu": 9}}}},
     'tenants[0].quota.capacity.on-demand["nvidia.com/gpu"]: got 9; accepted: at most 8, the quota of devices. '
     "Lower it, or raise the quota of devices."),
    ({"quota": {"devices": {"nvidia.com/gpu": 20}, "capacity": {"spot": {"nvidia.com/gpu": 17}}}},
     'tenants[0].quota.capacity.spot["nvidia.com/gpu"]: got 17; accepted: at most 16, what it may use of pools with '
     "such capacity at their maxima. Lower it, or give a pool such capacity."),
    ({"quota": {"devices": GPUS, "capacity": {"spot": {"nvidia.com/gpu": 1}}}, "capacity": ["on-demand"]},
     'tenants[0].quota.capacity.spot["nvidia.com/gpu"]: got 1; accepted: at most 0, what it may use'),
    ({"quota": {"devices": GPUS, "capacity": {"spot": {"nvidia.com/gpu": 4}}}, "workspaces": [
        {"name": "w", "quota": {"devices": {"nvidia.com/gpu": 4}, "capacity": {"spot": {"nvidia.com/gpu": 4}}}},
        {"name": "x", "quota": {"devices": {"nvidia.com/gpu": 4}, "capacity": {"spot": {"nvidia.com/gpu": 1}}}}]},
     'tenants[0].quota.capacity.spot["nvidia.com/gpu"]: got 4, less than its workspaces\' 4 + 1; accepted: at least '
     "their sum."),
    ({"quota": {"devices": GPUS, "capacity": {"spot": {"nvidia.com/gpu": 4}}}, "workspaces": [
        {"name": "w", "quota": {"devices": {"nvidia.com/gpu": 4}, "capacity": {"spot": {"nvidia.com/gpu": 4}}}},
        {"name": "x", "quota": {"devices": {"nvidia.com/gpu": 4}}}]},
     'tenants[0].workspaces[1].quota.capacity.spot["nvidia.com/gpu"]: got nothing; accepted: a workspace\'s share of '
     "it. Write it: what a workspace has of its own stands in the place of the tenant's."),
    ({"quota": {"devices": GPUS}, "workspaces": [
        {"name": "w", "quota": {"devices": GPUS, "capacity": {"spot": {"nvidia.com/gpu": 4}}}}]},
     'tenants[0].workspaces[0].quota.capacity.spot["nvidia.com/gpu"]: got nvidia.com/gpu; accepted: the devices that '
     "the tenant's quota bounds so: none. Add it to the tenant's quota, or remove it here."),
    ({"quota": {"objects": {"pods": 3}}, "workspaces": [
        {"name": "w", "quota": {"objects": {"pods": 2}}}, {"name": "x", "quota": {"objects": {"pods": 2}}}]},
     "tenants[0].quota.objects.pods: got 3, less than its workspaces' 2 + 2; accepted: at least their sum."),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "said"), WRONG, ids=lambda value: str(value)[:60])
def test_what_is_wrong_is_said(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(Mistakes) as raised:
        platform({"name": "a", **keys})
    assert said in str(raised.value)


def test_a_budget_without_a_price_cannot_be_kept() -> None:
    free = {"kind": "existing", "version": "1.36", "kubeconfig": "k", "context": "c"}
    with pytest.raises(Mistakes) as raised:
        platform({"name": "a", "budget": 9e6, "quota": {"devices": GPUS}}, prices={}, cluster=free)
    assert str(raised.value) == (
        "espalier:tenants[0].budget: got 9,000,000 USD, and no price of cpu/on-demand, h100/on-demand, l4/on-demand, "
        "l4/spot; accepted: a budget where all prices are known. Add the price to espalier:prices, or remove "
        "the budget."
    )


# Quotas by kind of capacity ---------------------------------------------------------------------------------------

SPOT = ["espalier-batch-spot", "espalier-interactive-spot", "espalier-serving-spot"]


def apart(spot: int | None = None, other: int | None = None, devices: int = 8) -> dict[str, Any]:
    sides = {"spot": spot, "on-demand": other}
    bounds = {side: {"nvidia.com/gpu": count} for side, count in sides.items() if count is not None}
    return {"devices": {"nvidia.com/gpu": devices}, "capacity": bounds}


def scoped(blueprint: Blueprint) -> dict[str, tuple[Any, Any]]:
    """Of the ResourceQuotas that count by class: name -> what they hold, and their scope."""
    objects = [p.manifest for tenant in blueprint.tenants for work in tenant.workspaces for p in work.objects]
    quotas = [one for one in objects if one["kind"] == "ResourceQuota" and "scopeSelector" in one["spec"]]
    found = {one["metadata"]["name"]: one["spec"] for one in quotas}
    return {name: (spec["hard"], spec["scopeSelector"]["matchExpressions"]) for name, spec in found.items()}


def test_devices_of_a_kind_of_capacity_are_counted_by_classes_of_their_own() -> None:
    made = platform({"name": "a", "quota": apart(6, 2)}, {"name": "b"})
    by = {"scopeName": "PriorityClass", "values": SPOT}
    assert scoped(made) == {
        "tenant-spot": ({"requests.nvidia.com/gpu": "6"}, [{**by, "operator": "In"}]),
        "tenant-on-demand": ({"requests.nvidia.com/gpu": "2"}, [{**by, "operator": "NotIn"}]),
    }
    classes = [p.manifest["metadata"]["name"] for p in made.objects if p.manifest["kind"] == "PriorityClass"]
    assert set(SPOT) < set(classes)
    values = {p.manifest["metadata"]["name"]: p.manifest for p in made.objects if p.manifest["kind"] == "PriorityClass"}
    assert all(values[name]["value"] == values[name.removesuffix("-spot")]["value"] for name in SPOT)
    assert made.tenants[0].workspaces[0].kinds == {"spot": {"nvidia.com/gpu": 6}, "on-demand": {"nvidia.com/gpu": 2}}


def test_who_is_bounded_by_kind_has_the_classes_for_spot_and_nobody_else_has() -> None:
    assert notes(quota=apart(6))["spot-by-class"] == "true"
    assert set(SPOT) < set(notes(quota=apart(6))["priority-classes"].split(","))
    assert notes(quota=apart(6), priority="batch")["priority-classes"] == "espalier-batch,espalier-batch-spot"
    assert "spot-by-class" not in notes(quota={"devices": GPUS})
    kinds = [p.manifest["metadata"]["name"] for p in platform({"name": "a"}).objects]
    assert not set(SPOT) & set(kinds)


@pytest.mark.parametrize(
    ("quota", "usd"),
    [
        (apart(devices=16), CPU + 100 * HOUR),
        (apart(16, 8, devices=16), CPU + (50 + 6) * HOUR),
        (apart(4, 16, devices=16), CPU + 100 * HOUR),
        (apart(16, 0, devices=16), CPU + 12 * HOUR),
        (apart(None, 4, devices=16), CPU + (50 + 9) * HOUR),
    ],
    ids=["no bound", "half not on spot", "all may be on others", "spot alone", "one side bounds the other"],
)
def test_the_worst_case_knows_how_many_may_be_on_dear_capacity(quota: dict[str, Any], usd: float) -> None:
    (worst,) = platform({"name": "a", "quota": quota}).worst
    assert worst.month == pytest.approx(usd)


@given(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 40)), st.one_of(st.none(), st.integers(0, 40)))
def test_a_bound_never_makes_the_worst_case_worse(devices: int, spot: int | None, other: int | None) -> None:
    devices = min(devices, 32)
    bounds = {side: None if most is None else min(most, devices, 16) for side, most in (("s", spot), ("o", other))}
    free = platform({"name": "a", "quota": {"devices": {"nvidia.com/gpu": devices}}}).worst[0].month
    bound = platform({"name": "a", "quota": apart(bounds["s"], bounds["o"], devices)}).worst[0].month
    assert free is not None
    assert bound is not None
    assert bound <= free + 1e-6
