"""What is proven of Kueue's queues, from the objects that will be applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from espalier.blueprint import names
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.proofs import device_maxima
from espalier.blueprint.queues.flavours import unit_of
from espalier.blueprint.queues.kueue import ALL, counted
from espalier.blueprint.queues.model import Shared
from espalier.blueprint.tenants import TenantPlan
from espalier.types import Manifest, NodeShape, Planned, Proof

Amounts = Mapping[tuple[str, str], Mapping[str, str]]
"""Quota and limits by flavour and resource, in the order of the object."""


def prove_queues(
    shared: Shared, objects: Sequence[Planned], pools: Sequence[PoolPlan], tenants: Sequence[TenantPlan]
) -> tuple[Proof, ...]:
    """Each tenant's quota, each device's sum, each pool's order, and each slice's wholeness."""
    queues = {name: amounts_of(queue) for name, queue in _named(objects, "ClusterQueue").items()}
    cohort = {name: amounts_of(one) for name, one in _named(objects, "Cohort").items()}
    flavours = _named(objects, "ResourceFlavor")
    counters = counted(shared)
    walls = {tenant.name: _walls(tenant) for tenant in tenants}
    held = [pool for pool in pools if pool.shape.devices]
    return (
        *(
            _tenant(tenant, queues[tenant.name], counters, shared.borrowing)
            for tenant in tenants
            if any(tenant.quota.devices.values())
        ),
        *(_sum(device, most, pools, queues, cohort, counters) for device, most in device_maxima(pools).items()),
        *(_order(pool, queues, flavours, walls) for pool in held),
        *(_whole(pool, {**queues, **cohort}, flavours) for pool in held if unit_of(pool) > 1),
    )


def amounts_of(manifest: Manifest) -> Amounts:
    """Of a ClusterQueue or a Cohort."""
    return {
        (flavour["name"], resource["name"]): resource
        for group in manifest["spec"].get("resourceGroups", [])
        for flavour in group["flavors"]
        for resource in flavour["resources"]
    }


def _named(objects: Sequence[Planned], kind: str) -> dict[str, Manifest]:
    return {p.manifest["metadata"]["name"]: p.manifest for p in objects if p.manifest["kind"] == kind}


def _reach(amount: Mapping[str, str]) -> int:
    """Quota and what may be borrowed at most."""
    return int(amount["nominalQuota"]) + int(amount.get("borrowingLimit", 0))


def _tenant(tenant: TenantPlan, amounts: Amounts, counters: Mapping[str, str], borrowing: bool) -> Proof:
    """All of a tenant's quota can be had, on the flavours that hold the device, and how much of it by right."""
    told: list[str] = []
    ok = True
    for device, quota in sorted(tenant.quota.devices.items()):
        rungs = {flavour: amount for (flavour, name), amount in amounts.items() if name == device and _reach(amount)}
        total = amounts.get((ALL, counters[device])) if device in counters else next(iter(rungs.values()), None)
        own, most = (int(total["nominalQuota"]), _reach(total)) if total else (0, 0)
        enough = sum(map(_reach, rungs.values())) >= most and (own or most) and (most >= quota or not borrowing)
        ok = ok and (quota == 0 or (bool(rungs) and bool(enough)))
        where = ", then ".join(rungs) or "no flavour holds it: name the pools that do"
        told.append(f"{device}: {own} by right and {most} at most of a quota of {quota}, on {where}")
    return Proof(f"queue/{tenant.name}", ok, "; ".join(told))


def _sum(
    device: str,
    most: int,
    pools: Sequence[PoolPlan],
    queues: Mapping[str, Amounts],
    cohort: Mapping[str, Amounts],
    counters: Mapping[str, str],
) -> Proof:
    """What all have by right, and what is idle, is no more than the pools hold: borrowers find no more than that."""
    backing = {pool.name: pool.shape.devices.get(device, 0) * pool.maximum for pool in pools}
    sums: dict[tuple[str, str], int] = {}
    for amounts in (*queues.values(), *cohort.values()):
        for key, amount in amounts.items():
            sums[key] = sums.get(key, 0) + int(amount["nominalQuota"])
    by_flavour = {flavour: count for (flavour, name), count in sums.items() if name == device and count}
    over = [f"{flavour} {count}" for flavour, count in by_flavour.items() if count > _most(flavour, backing)]
    total = sums.get((ALL, counters[device]), 0) if device in counters else sum(by_flavour.values())
    ok = not over and total <= most
    said = f"{total} of {most} with all pools at their maxima; each flavour no more than its pool's"
    return Proof(f"queue-sum/{device}", ok, said if ok else f"{total} of {most}; over: {', '.join(over) or 'the sum'}")


def _most(flavour: str, backing: Mapping[str, int]) -> int:
    """What the flavour's pool holds: a flavour's name is the pool's, or begins with it."""
    pool = next((name for name in sorted(backing, key=len, reverse=True) if _of_pool(flavour, name)), "")
    return backing.get(pool, 0)


def _of_pool(flavour: str, pool: str) -> bool:
    kinds = ("reserved", "spot", "flex", "on-demand")
    return flavour == pool or any(flavour == f"{pool}-{kind}" for kind in kinds)


def _walls(tenant: TenantPlan) -> tuple[set[str], set[str]]:
    """Pools and kinds of capacity on which the admission policies let no pod of the tenant's be placed."""
    notes: list[Mapping[str, str]] = [
        planned.manifest["metadata"].get("annotations", {})
        for work in tenant.workspaces
        for planned in work.objects
        if planned.manifest["kind"] == "Namespace"
    ]
    pools, kinds = (
        {name for note in notes for name in note.get(key, "").split(",") if name}
        for key in (names.FORBIDDEN_POOLS, names.FORBIDDEN_CAPACITY)
    )
    return pools, kinds


def _order(
    pool: PoolPlan,
    queues: Mapping[str, Amounts],
    flavours: Mapping[str, Manifest],
    walls: Mapping[str, tuple[set[str], set[str]]],
) -> Proof:
    """Every queue tries the kinds of capacity that its tenant may use, in the pool's order; who is admitted can run."""
    kinds = [shape.capacity_kind for shape in pool.shapes]
    apart = [kind for kind in kinds if f"{pool.name}-{kind}" in flavours]
    covered = {f"{pool.name}-{kind}": [kind] for kind in apart}
    covered |= {pool.name: [kind for kind in kinds if kind not in apart]} if pool.name in flavours else {}
    faults = [
        f"{name} does not serve {shape.capacity_kind}: {why}"
        for name, served in covered.items()
        for shape in pool.shapes
        if shape.capacity_kind in served and (why := _shut_out(flavours[name]["spec"], shape))
    ]
    if missing := [kind for kind in kinds if not any(kind in served for served in covered.values())]:
        faults.append(f"no flavour of {', '.join(missing)}")
    for queue, amounts in queues.items():
        tried = [name for name in dict.fromkeys(flavour for flavour, _ in amounts) if name in covered]
        places = [kinds.index(covered[name][0]) for name in tried]
        pools, barred = walls.get(queue, (set[str](), set[str]()))
        mine = {name for name, served in covered.items() if pool.name not in pools and set(served) - barred}
        if set(tried) != mine or places != sorted(places):
            faults.append(f"{queue} tries {', then '.join(tried) or 'none'}")
    said = ", then ".join(kinds)
    chosen = "; its autoscaler chooses" if pool.name in flavours else ""
    return Proof(f"queue-order/{pool.name}", not faults, "; ".join(faults) or said + chosen)


def _shut_out(flavour: Mapping[str, Any], shape: NodeShape) -> str:
    """Why who is admitted to the flavour cannot run on such nodes; "" where it can."""
    wrong = [
        f"it selects {key}={value}" for key, value in flavour["nodeLabels"].items() if shape.labels.get(key) != value
    ]
    wrong += [
        f"it does not select {key}={value}"
        for key, value in names.selector_of(shape).items()
        if key not in flavour["nodeLabels"]
    ]
    wrong += [
        f"it does not tolerate {taint}"
        for taint in shape.taints
        if not any(map(taint.tolerated_by, flavour["tolerations"]))
    ]
    return ", ".join(wrong)


def _whole(pool: PoolPlan, amounts: Mapping[str, Amounts], flavours: Mapping[str, Any]) -> Proof:
    """No quota and no limit ends within a slice."""
    unit = unit_of(pool)
    broken = list(_broken(pool, unit, amounts))
    said = f"every quota and limit is a multiple of {unit}, the devices of a slice"
    return Proof(f"queue-slice/{pool.name}", not broken, "; ".join(broken) or said)


def _broken(pool: PoolPlan, unit: int, amounts: Mapping[str, Amounts]) -> Iterator[str]:
    for queue, found in amounts.items():
        for (flavour, device), amount in found.items():
            if not _of_pool(flavour, pool.name):
                continue
            for key in ("nominalQuota", "borrowingLimit", "lendingLimit"):
                if int(amount.get(key, 0)) % unit:
                    yield f"{queue}: {key} {amount[key]} {device} on {flavour} is no multiple of {unit}"
