"""Which pools are gated: their new nodes carry a startup taint until all their devices are allocatable.

Without it an autoscaler starts a second node while the first one's device plugin still comes up (gpu-operator#708,
autoscaler#2232), and a node that is to be cut by MIG gives out whole GPUs first (gpu-operator#2670). The taint is of
cluster-autoscaler's reserved prefix, which managed autoscalers know too (GKE, "Autoscaling a cluster", startup taints);
Karpenter takes any taint that its NodePool names under startupTaints. Managed node groups of EKS give taints to new
nodes alone, so what is taken off stays off (Cilium's guide gates nodes of EKS and GKE in the same way). AKS puts the
taints of an agent pool back (azure-aks-docs, use-node-taints.md): there the API server gives the taint (`gate_policy`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from espalier.blueprint import names
from espalier.blueprint.admission import may_mutate
from espalier.blueprint.clouds import cloud_of
from espalier.blueprint.clouds.model import NodeGroup
from espalier.blueprint.gate_policy import tainted_pools
from espalier.blueprint.ownership import CLAIMS
from espalier.catalogue import Accelerator
from espalier.settings.clusters import Existing
from espalier.settings.model import Settings
from espalier.settings.pool import Pool
from espalier.types import AddonPlan, Mistake, NodeShape, Proof

WARDEN: Final = "warden"
"""The add-on that takes the taint off."""
CONFIG: Final = "config.json"
"""The key of its ConfigMap that says what each pool's nodes have."""


def gated_pools(settings: Settings, autoscaler: str, known: Mapping[str, Accelerator]) -> frozenset[str]:
    """The pools whose new nodes wait, by name. `autoscaler` is what makes nodes here; `known` are all accelerators."""
    if WARDEN not in settings.addons or _never(settings, autoscaler):
        return frozenset()
    return frozenset(
        pool.name
        for pool in settings.pools
        if pool.accelerator and pool.readiness is not False and not _by_claims(pool, settings, known)
    )


def by_claims(vendor: str, addons: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether such devices are handed out by claims, so that no node's allocatable ever tells of them.

    The scheduler then takes them from ResourceSlices (KEP-5004, DRAExtendedResource). A gate would never open, and a
    well node would count as failed.
    """
    return vendor == "nvidia" and addons.get(CLAIMS, {}).get("gpus") is True


def gate_mistakes(settings: Settings, autoscaler: str, known: Mapping[str, Accelerator]) -> tuple[Mistake, ...]:
    """Gates that are asked for where nobody would open them, or that could not be set."""
    return tuple(
        mistake
        for index, pool in enumerate(settings.pools)
        if pool.readiness
        for mistake in _refused(pool, f"espalier:pools[{index}].readiness", settings, autoscaler, known)
    )


def gate_notes(settings: Settings, known: Mapping[str, Accelerator]) -> tuple[str, ...]:
    """What a plan says of nodes that are not gated though the add-on is there, or not by their cloud."""
    cloud = cloud_of(settings.cluster)
    wanted = [pool for pool in settings.pools if pool.accelerator and pool.readiness is not False]
    if WARDEN not in settings.addons or cloud is None:
        return ()
    claimed = [pool.name for pool in wanted if _by_claims(pool, settings, known)]
    pools = ", ".join(pool.name for pool in wanted if pool.name not in claimed)
    found = (_of_aks(pools, cloud.version),) if pools and cloud.kind == "aks" else ()
    said = (
        f"readiness: nodes of {', '.join(claimed)} do not wait for their GPUs, and warden does not count these: "
        f"{CLAIMS} hands them out by claims, of which a node's allocatable tells nothing",
    )
    return (*found, *(said if claimed else ()))


def _of_aks(pools: str, version: str) -> str:
    if may_mutate(version):
        return (
            f"readiness: new nodes of {pools} get the startup taint from the API server (the policy "
            "espalier-warden-gates), since AKS puts a pool's own taints back; nodes that join before the first up is "
            "through do not wait"
        )
    return (
        f"readiness: nodes of {pools} take work as soon as they are Ready: AKS puts a pool's taints back, and the API "
        "server gives them only from Kubernetes 1.36 on, so none can wait for its devices; warden marks and drains "
        "nodes whose devices fail all the same"
    )


def gate_proof(
    pool: str, shapes: Sequence[NodeShape], addons: Sequence[AddonPlan], groups: Sequence[NodeGroup] = ()
) -> Proof:
    """Somebody gives nodes the pool's startup taint and takes it off, and knows what a node has when all is there.

    `groups` are those that a cloud makes the nodes by; without any, whoever makes them gives the taint.
    """
    name = f"gate/{pool}"
    bare = [group.key for group in groups if names.STARTUP_TAINT not in group.taints]
    if bare and pool not in tainted_pools(addons):
        return Proof(name, False, f"nobody gives new nodes of {', '.join(bare)} {names.STARTUP_TAINT}")
    told = next((entry for addon in addons for entry in _told(addon, pool)), None)
    if told is None:
        return Proof(name, False, f"nobody takes {names.STARTUP_TAINT} off nodes of {pool}: they would wait for ever")
    devices: Mapping[str, int] = told["devices"]
    wrong = [
        f"{shape.capacity_kind}: {device} is {shape.capacity.get(device, 'missing')}, and the gate waits for {count}"
        for shape in shapes
        for device, count in sorted(devices.items())
        if not shape.capacity.get(device, "").isdigit() or int(shape.capacity[device]) < count
    ]
    unseen = [f"{device} opens nothing" for shape in shapes for device in shape.devices if device not in devices]
    if told["gate"] != names.STARTUP_TAINT.key:
        wrong.append(f"the gate is {told['gate']}, and nodes carry {names.STARTUP_TAINT.key}")
    if found := [*wrong, *unseen]:
        return Proof(name, False, "; ".join(found))
    waits = ", ".join(f"{count} {device}" for device, count in sorted(devices.items()))
    return Proof(name, True, f"{names.STARTUP_TAINT.key} goes once {waits} are allocatable")


def _told(addon: AddonPlan, pool: str) -> Iterator[dict[str, Any]]:
    for manifest in addon.manifests:
        if addon.id == WARDEN and manifest["kind"] == "ConfigMap" and CONFIG in manifest.get("data", {}):
            pools: dict[str, dict[str, Any]] = json.loads(manifest["data"][CONFIG])["pools"]
            if pool in pools:
                yield pools[pool]


def _never(settings: Settings, autoscaler: str) -> str | None:
    """Why no pool of the stack can be gated."""
    cluster = settings.cluster
    if isinstance(cluster, Existing):
        return "the nodes of a cluster that is there already are not tainted by Espalier"
    if cluster.kind == "simulated":
        return (
            None if autoscaler == "karpenter" else "a simulated node that no autoscaler makes has its devices at once"
        )
    if cluster.kind == "aks" and not may_mutate(cluster.version):
        return (
            "AKS puts a pool's taints back as soon as somebody takes them off, and the API server gives them only from "
            "Kubernetes 1.36 on"
        )
    return None


def _by_claims(pool: Pool, settings: Settings, known: Mapping[str, Accelerator]) -> bool:
    accelerator = known.get(pool.accelerator or "")
    return accelerator is not None and by_claims(accelerator.vendor, settings.addons)


def _refused(
    pool: Pool, path: str, settings: Settings, autoscaler: str, known: Mapping[str, Accelerator]
) -> Iterator[Mistake]:
    if pool.accelerator is None:
        yield Mistake(path, "true without an accelerator", "nothing: a plain node waits for no device", "Remove it.")
    elif why := _never(settings, autoscaler):
        yield Mistake(path, "true", f"false or nothing here: {why}", "Remove it.")
    elif _by_claims(pool, settings, known):
        why = f"{CLAIMS} hands its GPUs out by claims, and no node's allocatable tells of them"
        yield Mistake(path, "true", f"false or nothing here: {why}", f"Remove it, or set {CLAIMS}'s gpus: false.")
    elif WARDEN not in settings.addons:
        do = f"Add `{WARDEN}: {{}}` to espalier:addons: without it such nodes would wait for ever."
        yield Mistake(path, f"true without the add-on {WARDEN}", f"true beside {WARDEN}", do)
