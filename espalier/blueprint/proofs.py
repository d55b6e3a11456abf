"""Statements about the blueprint, computed from the objects that will be applied and never from our own lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from espalier.blueprint.gates import gate_proof
from espalier.blueprint.owner_proofs import owner_proofs
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.reach import daemonset_reaches, not_selected
from espalier.blueprint.tenants import TenantPlan
from espalier.types import AddonPlan, AddonRecord, Manifest, Proof

FABRICS: Final = ("vpc.amazonaws.com/efa",)
"""Resources of fast networks: their plugins are add-ons on every image."""
_REGISTERS: Final = ("/kubelet/device-plugins", "/kubelet/plugins_registry", "/kubelet")
"""Directories of the host where the kubelet finds device plugins and DRA's drivers; or its root, wherever it is."""
_OWN: Final = (
    "add an add-on of your own whose record provides device-plugin/{}, or say that the hosts have it "
    "(driver: {{owner: host}})"
)


def prove(
    pools: Sequence[PoolPlan],
    tenants: Sequence[TenantPlan],
    addons: Sequence[AddonPlan],
    records: Mapping[str, AddonRecord],
) -> tuple[Proof, ...]:
    """All proofs, in a stable order."""
    return (
        *(_seen(addon) for addon in addons if addon.held),
        *(_reaches(addon, records[addon.id], pools) for addon in addons if _is_an_agent(addon, records[addon.id])),
        *(_one_owner(device, pools, addons, records) for device in _base_devices(pools)),
        *owner_proofs(pools, addons, records),
        *(_not_held(pool, addons) for pool in pools if pool.accelerator),
        *(
            # NodePools of a simulated cluster's autoscaler stand for the cloud's groups.
            gate_proof(pool.name, pool.shapes, addons, () if pool.node_pools else pool.groups)
            for pool in pools
            if pool.shape.startup_taints
        ),
        *(_quota_fits(tenant, pools) for tenant in tenants if tenant.quota.devices),
    )


def _seen(addon: AddonPlan) -> Proof:
    """No objects, no proof: what was recorded once may have changed since."""
    return Proof(f"content/{addon.id}", False, _unseen(addon), held=True)


def _unseen(addon: AddonPlan) -> str:
    assert addon.held is not None  # noqa: S101 - asked of add-ons that are held up
    return f"{addon.id} is not rendered: {addon.held.why}. {addon.held.do}"


_CNI: Final = ("/etc/cni", "/opt/cni")
"""Directories of the host in which a network plugin installs itself (containerd's defaults)."""


def _is_an_agent(addon: AddonPlan, record: AddonRecord) -> bool:
    return bool(record.reaches) or record.everywhere or _serves_every_node(addon)


def _serves_every_node(addon: AddonPlan) -> bool:
    """Whether its objects say so: a storage driver, or a network plugin. Pods of any node may need these."""
    return any(
        manifest["kind"] == "CSIDriver" or (manifest["kind"] == "DaemonSet" and _is_network(manifest))
        for manifest in addon.manifests
    )


def _is_network(manifest: Manifest) -> bool:
    volumes = manifest["spec"]["template"].get("spec", {}).get("volumes") or ()
    return any(str((volume.get("hostPath") or {}).get("path", "")).startswith(_CNI) for volume in volumes)


def _reaches(addon: AddonPlan, record: AddonRecord, pools: Sequence[PoolPlan]) -> Proof:
    """Every node that the add-on is to serve gets its DaemonSets, its operator's among them.

    Which of them a node is to have, their selectors say: one that selects it and does not tolerate its taints misses
    it, whatever the others do, and so does the add-on where none selects it. Also a node that is marked as failed:
    what would mend it must land there.
    """
    if addon.held:
        return Proof(f"daemonset/{addon.id}", False, _unseen(addon), held=True)
    templates = dict(_pods(addon, record))
    missed: list[str] = []
    reached: list[str] = []
    for pool in pools:
        if not (_is_to_reach(record, pool) or _serves_every_node(addon)):
            continue
        for shape in pool.shapes:
            worst = replace(shape, taints=(*shape.taints, *pool.later_taints))
            selecting = {name: pod for name, pod in templates.items() if not_selected(pod, worst) is None}
            answers = {name: daemonset_reaches(pod, worst) for name, pod in (selecting or templates).items()}
            if answers and not any(answers.values()):
                reached.append(f"{pool.name}/{shape.capacity_kind}")
            else:
                said = (f"{name} {why}" for name, why in sorted(answers.items()) if why)
                missed.append(f"{pool.name}/{shape.capacity_kind}: {'; '.join(said) or 'no DaemonSet'}")
    evidence = "; ".join(missed) if missed else f"reaches {', '.join(reached) or 'no pool: none holds its device'}"
    return Proof(f"daemonset/{addon.id}", not missed, evidence)


def _is_to_reach(record: AddonRecord, pool: PoolPlan) -> bool:
    if record.everywhere:
        return True
    return any(_has(pool, device) and not _of_the_cloud(pool, device) for device in record.reaches)


def _pods(addon: AddonPlan, record: AddonRecord) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names and pod templates of the DaemonSets that are applied, and of those that an operator makes of the rest."""
    for manifest in addon.manifests:
        if manifest["kind"] == "DaemonSet":
            yield manifest["metadata"]["name"], manifest["spec"]["template"]
        yield from record.operands(manifest)


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
        if daemonset_reaches(_template(manifest), replace(shape, startup_taints=())) is None
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


def _nobodys(pool: PoolPlan) -> bool:
    """Whether an add-on must bring its plugin: a cloud's nodes, where no stack file says that the hosts have it."""
    plugin = pool.owners.device_plugin.who if pool.owners else ""
    return plugin == "nobody" or (bool(pool.groups) and plugin != "host")


def _one_owner(
    device: str, pools: Sequence[PoolPlan], addons: Sequence[AddonPlan], records: Mapping[str, AddonRecord]
) -> Proof:
    """Exactly one owner advertises a device on each pool: the cloud's own plugin, or one add-on's."""
    name = f"owner/{device}"
    having = [pool for pool in pools if _has(pool, device)]
    theirs = [pool for pool in having if _of_the_cloud(pool, device)]
    ours = ", ".join(pool.name for pool in having if pool not in theirs)
    owners = [addon.id for addon in addons if f"device-plugin/{device}" in addon.provides]
    said = [f"{pool.name}: {pool.owners.device_plugin.why}" for pool in theirs if pool.owners]
    if not ours:
        return Proof(name, True, "; ".join(said))
    if len(owners) > 1:
        return Proof(name, False, f"{' and '.join(owners)} both own the device plugin of {ours}")
    held = next((addon for addon in addons if addon.id in owners and addon.held), None)
    if held is not None:
        return Proof(name, False, _unseen(held), held=True)
    if not owners and any(_nobodys(pool) for pool in having):
        in_cloud = any(pool.groups for pool in having)
        why = "the node image brings no plugin for it" if in_cloud else "its vendor's nodes are not known to"
        known = sorted(id for id, record in records.items() if f"device-plugin/{device}" in record.provides)
        do = f"add {' or '.join(known)} to espalier:addons" if known else _OWN.format(device)
        return Proof(name, False, f"nobody advertises {device} on {ours}: {why}; {do}")
    plugin = next((addon for addon in addons if addon.id in owners and addon.content != "existing"), None)
    if plugin is not None:
        bare = _without_plugin(plugin, records[plugin.id], [pool for pool in having if pool not in theirs])
        if bare:
            why = "none of its DaemonSets that reach these nodes has the kubelet's directory of plugins"
            return Proof(name, False, f"{plugin.id} brings no device plugin to {', '.join(bare)}: {why}")
    who = owners[0] if owners else "the nodes themselves, no add-on"
    return Proof(name, True, "; ".join([f"{who}: pools {ours}", *said]))


def _without_plugin(addon: AddonPlan, record: AddonRecord, pools: Sequence[PoolPlan]) -> list[str]:
    """Nodes that none of the add-on's plugins reaches, whatever else of it does."""
    made = dict(_pods(addon, record))
    operands = {name for manifest in addon.manifests for name, _ in record.operands(manifest)}
    plugins = [pod for name, pod in made.items() if _registers(pod) or (name in operands and "driver" not in name)]
    return [
        f"{pool.name}/{shape.capacity_kind}"
        for pool in pools
        for shape in pool.shapes
        if not any(daemonset_reaches(pod, shape) is None for pod in plugins)
    ]


def _registers(template: Mapping[str, Any]) -> bool:
    """Whether such pods have a directory of the kubelet's in which plugins of devices make themselves known."""
    volumes = template.get("spec", {}).get("volumes") or ()
    paths = (str((volume.get("hostPath") or {}).get("path", "")).rstrip("/") for volume in volumes)
    return any(path.endswith(_REGISTERS) for path in paths)


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
