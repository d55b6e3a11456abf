"""Kueue's objects: flavours, one queue a tenant, one cohort of all, and a local queue in each namespace.

Facts: Kueue v0.19.2, apis/kueue/v1beta2 and the site's concepts (cluster queue, cohort, resource flavor, fair sharing).

CPU and memory are not queued for: a resource belongs to one group of flavours, and were they in it, a job without a
device could be sent to nodes that have some. ResourceQuotas hold them. A device that several flavours hold is counted
twice: by the flavour that is taken, and once more, by a resource of Espalier's own, over all of them (a "quota-only"
flavour, tas_flavorassigner.go), so that going down a ladder never gives a tenant more than its share in all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from espalier.blueprint import names
from espalier.blueprint.priorities import priorities
from espalier.blueprint.queues.model import Flavour, Shared, TenantQueues
from espalier.types import Planned, Taint

API: Final = "kueue.x-k8s.io/v1beta2"
COHORT: Final = "espalier"
ALL: Final = "espalier-counts-over-all-flavours"
"""The flavour by which devices are counted over all others; longer than any other's name can be. It selects no node."""
LOCAL_QUEUE: Final = "default"
"""Kueue's own name of a namespace's queue for work that names none (pkg/controller/constants)."""
CHECK: Final = "espalier-provisioning"


def counted(shared: Shared) -> dict[str, str]:
    """Device -> the resource by which it is counted over all flavours, for those that several hold."""
    return {device: _counter(device) for device in shared.devices if len(shared.holding(device)) > 1}


def _counter(device: str) -> str:
    name = f"all-{device.replace('/', '_')}"
    short = name if len(name) <= 63 else f"all-{hashlib.sha256(device.encode()).hexdigest()[:16]}"
    return f"count.espalier.dev/{short}"


def objects(shared: Shared) -> tuple[Planned, ...]:
    """All objects, each after those that it names."""
    return (
        *_topologies(shared),
        *(_flavour(flavour) for flavour in shared.flavours),
        *([_planned("flavour-all", "ResourceFlavor", ALL, {})] if counted(shared) else []),
        *_checks(shared),
        *_priorities(),
        *_cohort(shared),
        *(planned for tenant in shared.tenants for planned in _tenant(shared, tenant)),
    )


def _planned(
    suffix: str, kind: str, name: str, spec: Mapping[str, Any], needs: Sequence[str] = (), namespace: str = ""
) -> Planned:
    metadata: dict[str, Any] = {"name": name, "labels": dict(names.MANAGED_BY)}
    if namespace:
        metadata["namespace"] = namespace
    manifest = {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": dict(spec)}
    return Planned(f"queue-{suffix}", manifest, tuple(f"queue-{need}" for need in needs))


def _topology_name(levels: Sequence[str]) -> str:
    """Levels cannot change on a live object (CEL), so that others have another name."""
    return f"espalier-{hashlib.sha256(' '.join(levels).encode()).hexdigest()[:8]}"


def _topologies(shared: Shared) -> Iterator[Planned]:
    for levels in dict.fromkeys(flavour.topology for flavour in shared.flavours if flavour.topology):
        name = _topology_name(levels)
        yield _planned(f"topology-{name}", "Topology", name, {"levels": [{"nodeLabel": level} for level in levels]})


def _flavour(flavour: Flavour) -> Planned:
    """Tolerations, not taints: who is admitted to a flavour may stand the taints of its nodes."""
    spec: dict[str, Any] = {
        "nodeLabels": dict(flavour.labels),
        "tolerations": [_toleration(taint) for taint in flavour.taints],
    }
    needs: list[str] = []
    if flavour.topology:
        spec["topologyName"] = _topology_name(flavour.topology)
        needs.append(f"topology-{spec['topologyName']}")
    return _planned(f"flavour-{flavour.name}", "ResourceFlavor", flavour.name, spec, needs)


def _toleration(taint: Taint) -> dict[str, str]:
    same = {"operator": "Equal", "value": taint.value} if taint.value else {"operator": "Exists"}
    return {"key": taint.key, **same, "effect": taint.effect}


def _checks(shared: Shared) -> Iterator[Planned]:
    """A check for each class of ProvisioningRequest: nodes come for the whole job, all of them or none."""
    for provisioning_class in dict.fromkeys(flavour.queued for flavour in shared.flavours if flavour.queued):
        name = _check_name(provisioning_class)
        devices = {
            device for flavour in shared.flavours if flavour.queued == provisioning_class for device in flavour.devices
        }
        config = {"provisioningClassName": provisioning_class, "managedResources": sorted(devices)}
        yield _planned(f"config-{name}", "ProvisioningRequestConfig", name, config)
        parameters = {"apiGroup": "kueue.x-k8s.io", "kind": "ProvisioningRequestConfig", "name": name}
        check = {"controllerName": "kueue.x-k8s.io/provisioning-request", "parameters": parameters}
        yield _planned(f"check-{name}", "AdmissionCheck", name, check, [f"config-{name}"])


def _check_name(provisioning_class: str) -> str:
    return f"{CHECK}-{provisioning_class.partition('.')[0]}"


def _priorities() -> Iterator[Planned]:
    """The values of the PriorityClasses: what a queue holds first is what the scheduler holds first."""
    for name, value, description in priorities():
        metadata = {"name": name, "labels": dict(names.MANAGED_BY)}
        manifest = {"apiVersion": API, "kind": "WorkloadPriorityClass", "metadata": metadata}
        yield Planned(f"queue-priority-{name}", {**manifest, "value": value, "description": description})


def _cohort(shared: Shared) -> Iterator[Planned]:
    """The root of all queues holds what no tenant has by right."""
    if not shared.borrowing:
        return
    amounts: dict[tuple[str, str], dict[str, Any]] = {}
    for one in shared.idle:
        for flavour, count in one.flavours.items():
            amounts[flavour, one.device] = {"nominalQuota": str(count)}
        amounts[ALL, one.device] = {"nominalQuota": str(one.total)}
    yield _planned("cohort", "Cohort", COHORT, {"resourceGroups": _groups(shared, amounts)}, _named(shared))


def _named(shared: Shared) -> list[str]:
    """The suffixes of all flavours."""
    return [*(f"flavour-{flavour.name}" for flavour in shared.flavours), *(["flavour-all"] if counted(shared) else [])]


def _groups(shared: Shared, amounts: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups of devices that some flavour holds together, each with its flavours in their order; then the counters.

    `amounts` has all flavours that are meant.
    """
    found = [
        {
            "coveredResources": list(devices),
            "flavors": [
                {
                    "name": flavour.name,
                    "resources": [
                        {"name": device, **amounts.get((flavour.name, device), {"nominalQuota": "0"})}
                        for device in devices
                    ],
                }
                for flavour in shared.flavours
                if any((flavour.name, device) in amounts for device in devices)
            ],
        }
        for devices in together(shared)
    ]
    found = [group for group in found if group["flavors"]]
    if counters := counted(shared):
        resources = [{"name": counter, **amounts[ALL, device]} for device, counter in counters.items()]
        whole = {"name": ALL, "resources": resources}
        found.append({"coveredResources": list(counters.values()), "flavors": [whole]})
    return found


def together(shared: Shared) -> list[tuple[str, ...]]:
    """Devices in groups: a flavour may stand in one group only, so that devices of one flavour are in one."""
    groups: list[set[str]] = []
    for flavour in shared.flavours:
        joined = set(flavour.devices).union(*(group for group in groups if group & set(flavour.devices)))
        groups = [*(group for group in groups if not group & joined), joined]
    return sorted(tuple(sorted(group)) for group in groups)


def _tenant(shared: Shared, tenant: TenantQueues) -> Iterator[Planned]:
    needs = [*_named(shared), *(["cohort"] if shared.borrowing else [])]
    spec: dict[str, Any] = {
        "namespaceSelector": {"matchLabels": {names.TENANT: tenant.name}},
        "queueingStrategy": "BestEffortFIFO",
        "flavorFungibility": {"whenCanBorrow": "MayStopSearch", "whenCanPreempt": "TryNextFlavor"},
        "preemption": _preemption(shared),
        "fairSharing": {"weight": str(tenant.weight)},
        "resourceGroups": _groups(shared, dict(_amounts(shared, tenant))),
    }
    if shared.borrowing:
        spec["cohortName"] = COHORT
    mine = {name for share in tenant.shares for name in share.flavours}
    held = [flavour for flavour in shared.flavours if flavour.name in mine]
    queued = dict.fromkeys(flavour.queued for flavour in held if flavour.queued)
    if queued:
        needs += [f"check-{_check_name(one)}" for one in queued]
        spec["admissionChecksStrategy"] = {
            "admissionChecks": [
                {"name": _check_name(one), "onFlavors": [f.name for f in held if f.queued == one]} for one in queued
            ]
        }
    yield _planned(f"tenant-{tenant.name}", "ClusterQueue", tenant.name, spec, needs)
    for namespace in tenant.namespaces:
        local = {"clusterQueue": tenant.name}
        yield _planned(f"local-{namespace}", "LocalQueue", LOCAL_QUEUE, local, [f"tenant-{tenant.name}"], namespace)


def _preemption(shared: Shared) -> dict[str, Any]:
    """A tenant takes back what it lent, from whoever has it; it never stops others' work in order to borrow."""
    back = shared.borrowing and shared.preemption != "never"
    return {
        "reclaimWithinCohort": "Any" if back else "Never",
        "withinClusterQueue": "LowerPriority" if shared.preemption == "priority" else "Never",
        "borrowWithinCohort": {"policy": "Never"},
    }


def _amounts(shared: Shared, tenant: TenantQueues) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """Nominal quota and limits by flavour and device; the counter's bound the sum where there is one."""
    counters = counted(shared)
    for share in tenant.shares:
        for flavour in shared.holding(share.device):
            if flavour.name not in share.flavours:
                continue
            own = share.flavours[flavour.name]
            there = min(flavour.devices[share.device], share.caps.get(flavour.name, share.ceiling))
            most = min(share.ceiling, there) // flavour.unit * flavour.unit
            lend = None if share.device in counters else share.lend // flavour.unit * flavour.unit
            yield (flavour.name, share.device), _amount(shared, own, max(most - own, 0), lend)
        if share.device in counters:
            yield (ALL, share.device), _amount(shared, share.own, share.ceiling - share.own, share.lend)


def _amount(shared: Shared, own: int, borrow: int, lend: int | None) -> dict[str, Any]:
    amount = {"nominalQuota": str(own)}
    if not shared.borrowing:
        return amount
    limits = {"lendingLimit": str(lend)} if lend is not None and lend < own else {}
    return {**amount, "borrowingLimit": str(borrow), **limits}
