"""Statements about the blueprint, computed from the objects that will be applied and never from our own lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.tenants import TenantPlan
from espalier.types import AddonPlan, AddonRecord, Manifest, NodeShape, Proof, Taint

FABRICS: Final = ("vpc.amazonaws.com/efa",)
"""Resources of fast networks: their plugins are add-ons on every image."""


def prove(
    pools: Sequence[PoolPlan],
    tenants: Sequence[TenantPlan],
    addons: Sequence[AddonPlan],
    records: Mapping[str, AddonRecord],
) -> tuple[Proof, ...]:
    """All proofs, in a stable order."""
    return (
        *(_seen(addon) for addon in addons if addon.held),
        *(_reaches(addon, records[addon.id], pools) for addon in addons if records[addon.id].reaches),
        *(_one_owner(device, pools, addons, records) for device in _base_devices(pools)),
        *(_not_held(pool, addons) for pool in pools if pool.accelerator),
        *(_quota_fits(tenant, pools) for tenant in tenants if tenant.quota.devices),
    )


def daemonset_reaches(template: Mapping[str, Any], shape: NodeShape) -> str | None:
    """None where the pod template's pods can be scheduled on such nodes, else why not."""
    spec = template.get("spec", {})
    for taint in shape.taints:
        if taint.effect != "PreferNoSchedule" and not any(tolerates(t, taint) for t in spec.get("tolerations", [])):
            return f"does not tolerate {taint}"
    for key, value in sorted(spec.get("nodeSelector", {}).items()):
        if shape.labels.get(key) != value:
            return f"selects {key}={value}"
    required = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required and not any(_term_matches(term, shape.labels) for term in required["nodeSelectorTerms"]):
        return "its node affinity matches none of the labels"
    return None


def tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    """As Kubernetes' Toleration.ToleratesTaint (api core/v1 toleration.go)."""
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    key = toleration.get("key") or ""
    if key and key != taint.key:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return bool(key) and operator == "Equal" and (toleration.get("value") or "") == taint.value


def _term_matches(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return all(_expression_matches(e, labels) for e in term.get("matchExpressions", [])) and bool(
        term.get("matchExpressions")
    )


def _expression_matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values", [])
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case "Gt" | "Lt":
            number = labels.get(key, "")
            return number.isdigit() and (
                int(number) > int(values[0]) if operator == "Gt" else int(number) < int(values[0])
            )
        case _:
            return False


def _daemonsets(addon: AddonPlan) -> list[Mapping[str, Any]]:
    return [manifest for manifest in addon.manifests if manifest["kind"] == "DaemonSet"]


def _seen(addon: AddonPlan) -> Proof:
    """No objects, no proof: what was recorded once may have changed since."""
    return Proof(f"content/{addon.id}", False, _unseen(addon), held=True)


def _unseen(addon: AddonPlan) -> str:
    assert addon.held is not None  # noqa: S101 - asked of add-ons that are held up
    return f"{addon.id} is not rendered: {addon.held.why}. {addon.held.do}"


def _reaches(addon: AddonPlan, record: AddonRecord, pools: Sequence[PoolPlan]) -> Proof:
    """Every node that holds a device of the add-on gets at least one of its DaemonSets."""
    if addon.held:
        return Proof(f"daemonset/{addon.id}", False, _unseen(addon), held=True)
    missed: list[str] = []
    reached: list[str] = []
    for pool in pools:
        if not any(_has(pool, device) and not _of_the_cloud(pool, device) for device in record.reaches):
            continue
        for shape in pool.shapes:
            answers = {
                d["metadata"]["name"]: daemonset_reaches(d["spec"]["template"], shape) for d in _daemonsets(addon)
            }
            if any(why is None for why in answers.values()):
                reached.append(f"{pool.name}/{shape.capacity_kind}")
            else:
                reasons = "; ".join(f"{name} {why}" for name, why in sorted(answers.items())) or "no DaemonSet"
                missed.append(f"{pool.name}/{shape.capacity_kind}: {reasons}")
    evidence = "; ".join(missed) if missed else f"reaches {', '.join(reached) or 'no pool: none holds its device'}"
    return Proof(f"daemonset/{addon.id}", not missed, evidence)


_STAYING: Final = ("Deployment", "StatefulSet", "ReplicaSet", "Job", "Pod")
"""Kinds whose pods an autoscaler does not remove a node beneath as readily as a DaemonSet's."""


def _not_held(pool: PoolPlan, addons: Sequence[AddonPlan]) -> Proof:
    """No pod of an add-on can land on the pool's nodes and keep an idle one: DaemonSets apart, which go with it."""
    holders = [
        f"{addon.id}: {manifest['kind']} {manifest['metadata']['name']} on {shape.capacity_kind}"
        for addon in addons
        for manifest in addon.manifests
        if manifest["kind"] in _STAYING
        for shape in pool.shapes
        if daemonset_reaches(_template(manifest), shape) is None
    ]
    taints = ", ".join(str(taint) for taint in pool.shape.taints)
    evidence = f"could land there: {'; '.join(holders)}" if holders else f"{taints} keeps the pods of all add-ons off"
    return Proof(f"unheld/{pool.name}", not holders, evidence)


def _template(manifest: Manifest) -> Mapping[str, Any]:
    """The pod template of a workload; of a Pod, itself."""
    return manifest if manifest["kind"] == "Pod" else manifest["spec"]["template"]


def _base_devices(pools: Sequence[PoolPlan]) -> list[str]:
    """What some plugin must advertise: accelerators by their plain names, and the adapters of fast networks."""
    accelerators = {pool.accelerator.resource for pool in pools if pool.accelerator}
    return sorted(accelerators | {fabric for fabric in FABRICS if any(_has(pool, fabric) for pool in pools)})


def _has(pool: PoolPlan, device: str) -> bool:
    """Whether the pool's nodes have the device, shared or not."""
    plain = pool.accelerator is not None and pool.accelerator.resource == device
    return plain or any(device in shape.capacity for shape in pool.shapes)


def _of_the_cloud(pool: PoolPlan, device: str) -> bool:
    """Whether the cloud's own plugin advertises it."""
    theirs = pool.owners is not None and pool.owners.device_plugin.who == "cloud"
    return theirs and device not in FABRICS


def _one_owner(
    device: str, pools: Sequence[PoolPlan], addons: Sequence[AddonPlan], records: Mapping[str, AddonRecord]
) -> Proof:
    """Exactly one owner advertises a device on each pool: the cloud's own plugin, or one add-on's."""
    name = f"owner/{device}"
    having = [pool for pool in pools if _has(pool, device)]
    theirs = [pool for pool in having if _of_the_cloud(pool, device)]
    ours = ", ".join(pool.name for pool in having if pool not in theirs)
    owners = [addon.id for addon in addons if f"device-plugin/{device}" in records[addon.id].provides]
    said = [f"{pool.name}: {pool.owners.device_plugin.why}" for pool in theirs if pool.owners]
    if not ours:
        return Proof(name, True, "; ".join(said))
    if len(owners) > 1:
        return Proof(name, False, f"{' and '.join(owners)} both own the device plugin of {ours}")
    held = next((addon for addon in addons if addon.id in owners and addon.held), None)
    if held is not None:
        return Proof(name, False, _unseen(held), held=True)
    if not owners and any(pool.groups for pool in having):
        why = "the node image brings no plugin for it"
        known = sorted(id for id, record in records.items() if f"device-plugin/{device}" in record.provides)
        do = f"add {' or '.join(known)} to espalier:addons" if known else "no add-on of Espalier's brings one yet"
        return Proof(name, False, f"nobody advertises {device} on {ours}: {why}; {do}")
    who = owners[0] if owners else "the nodes themselves, no add-on"
    return Proof(name, True, "; ".join([f"{who}: pools {ours}", *said]))


def _quota_fits(tenant: TenantPlan, pools: Sequence[PoolPlan]) -> Proof:
    backing = device_maxima(pools)
    parts = [f"{n} {device} of {backing.get(device, 0)}" for device, n in sorted(tenant.quota.devices.items())]
    fits = all(n <= backing.get(device, 0) for device, n in tenant.quota.devices.items())
    return Proof(f"quota/{tenant.name}", fits, "; ".join(parts))


def device_maxima(pools: Sequence[PoolPlan]) -> dict[str, int]:
    """Device -> how many there are with every pool at its maximum."""
    totals: dict[str, int] = {}
    for pool in pools:
        for device, count in pool.shape.devices.items():
            totals[device] = totals.get(device, 0) + count * pool.maximum
    return dict(sorted(totals.items()))
