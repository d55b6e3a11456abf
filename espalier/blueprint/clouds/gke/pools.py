"""Node pools: from a portable pool to what GKE's API takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from espalier.blueprint import names
from espalier.blueprint.clouds.gke import machines, zones
from espalier.blueprint.clouds.gke.compute_classes import class_of, class_taint
from espalier.blueprint.clouds.gke.model import Autoscaling, GkeNodePool, Gpus, Placement
from espalier.blueprint.clouds.model import Wanted
from espalier.blueprint.clouds.naming import generation_of, physical
from espalier.blueprint.notice import GKE_CRITICAL, GKE_SHUTDOWN, extended
from espalier.settings.gke import Gke
from espalier.settings.pool import Pool
from espalier.types import CapacityKind, Taint

NAME_LIMIT: Final = 40
DEFAULT_PODS: Final = 110
_IMAGES: Final = {"cos": "COS_CONTAINERD", "ubuntu": "UBUNTU_CONTAINERD"}
_SPOT: Final = Taint("cloud.google.com/gke-spot", "true")
"""Not GKE's own on Standard node pools, but the key that its documents give for it."""
KEPT: Final = ("operator", "host")
"""Owners of a driver for whom GKE's installer and device plugin are switched off."""
_QUEUED: Final = Taint("cloud.google.com/gke-queued", "true")
"""GKE adds it by itself to pools with queued provisioning."""
_ARM: Final = Taint("kubernetes.io/arch", "arm64")
"""GKE adds it by itself to pools of Arm machines."""
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400}
_WORKLOAD_POLICY: Final = ("tpu7x",)
"""TPU families whose multi-host slices need a workload policy. Source: cluster-toolkit modules/compute/
resource-policy; the others take the topology alone."""


def hosts_of(wanted: Wanted) -> int:
    """Machines of one slice of the pool's topology; 1 for what is no TPU slice."""
    return wanted.machine.topologies.get(wanted.pool.topology or "", 1)


def groups(cluster: Gke, wanted: Wanted) -> tuple[GkeNodePool, ...]:
    """One node pool a kind of capacity; of multi-host TPU slices one a slice, since a slice comes and goes whole."""
    wanted = replace(wanted, devices=advertised(wanted))
    found: list[GkeNodePool] = []
    for kind in wanted.pool.capacity:
        first = kind == wanted.pool.capacity[0]
        hosts = hosts_of(wanted)
        if hosts == 1:
            least, start = (wanted.pool.nodes.min, wanted.start) if first else (0, 0)
            found.append(_node_pool(cluster, wanted, kind, f"{wanted.pool.name}-{kind}", least, start))
            continue
        for index in range(wanted.pool.nodes.max // hosts):
            least = hosts if first and index < wanted.pool.nodes.min // hosts else 0
            start = hosts if first and index < wanted.start // hosts else 0
            key = f"{wanted.pool.name}-{kind}-{index}"
            found.append(_node_pool(cluster, wanted, kind, key, least, start, slice_index=index))
    return tuple(found)


def advertised(wanted: Wanted) -> dict[str, int]:
    """What GKE's device plugin advertises: a MIG partition counts as a plain device, told apart by a label.

    Source: GoogleCloudPlatform/container-engine-accelerators, pkg/gpu/nvidia/mig and manager.go.
    """
    pool, accelerator = wanted.pool, wanted.accelerator
    if accelerator is None or pool.sharing is None or pool.sharing.mig is None:
        return dict(wanted.devices)
    if pool.driver.owner in KEPT:
        return dict(wanted.devices)
    return {accelerator.resource: wanted.count * accelerator.mig[pool.sharing.mig.removeprefix("all-")]}


def pool_zones(cluster: Gke, wanted: Wanted, kind: CapacityKind) -> tuple[str, ...]:
    """Zones of the pool's nodes: its own, the reservation's, else those of the cluster that have the machine."""
    pool = wanted.pool
    if kind == "reserved" and pool.reservation and pool.reservation.zones:
        return pool.reservation.zones
    if pool.zones:
        return pool.zones
    own = cluster.zones or zones.usual_zones(cluster.region)
    have = zones.zones_with(wanted.machine.name, pool.accelerator or "", cluster.region) if pool.accelerator else None
    return tuple(zone for zone in own if zone in have) or have if have else own


def is_compact(wanted: Wanted, kind: CapacityKind) -> bool:
    """Whether GPU nodes are placed close together: where asked for, else for machines with a fast network.

    Not by default in a reservation, which has a placement of its own, and never with queued provisioning.
    """
    pool = wanted.pool
    if pool.placement is not None:
        return pool.placement == "compact"
    if kind in ("reserved", "flex") or pool.fabric is False:
        return False
    return machines.has_fabric(wanted.machine) and machines.compact_allowed(wanted.machine, flex=False)


def has_fabric(cluster: Gke, wanted: Wanted) -> bool:
    """Whether GKE attaches the networks of the machine's accelerators."""
    return (
        wanted.pool.fabric is not False
        and machines.has_fabric(wanted.machine)
        and machines.has_fabric_version(cluster.version)
    )


def _node_pool(
    cluster: Gke, wanted: Wanted, kind: CapacityKind, key: str, least: int, start: int, slice_index: int | None = None
) -> GkeNodePool:
    pool, machine = wanted.pool, wanted.machine
    hosts = hosts_of(wanted)
    most = hosts if slice_index is not None else pool.nodes.max
    stand = _zones_of_group(cluster, wanted, kind, slice_index)
    queued = kind == "flex" and bool(pool.flex and pool.flex.queued)
    ssds = machines.local_ssds(machine)
    fixed = _fixed(cluster, wanted, kind)
    generation = generation_of(fixed)
    name = physical(key, generation, NAME_LIMIT)
    labels = _labels(cluster, wanted, kind, queued)
    taints = _taints(cluster, wanted, kind)
    per_zone = machines.is_tpu(machine) and (kind == "flex" or slice_index is not None)
    return GkeNodePool(
        key=key,
        name=name,
        generation=generation,
        pool=pool.name,
        shape=wanted.shape(
            kind,
            labels=labels | _clouds_labels(wanted, kind, name) | _place_labels(cluster, stand),
            taints=(*taints, *((_QUEUED,) if queued else ()), *((_ARM,) if machine.architecture == "arm64" else ())),
            pods=pool.max_pods or DEFAULT_PODS,
            storage_gib=machines.storage_gib(pool, machine),
        ),
        labels=labels,
        taints=(*taints, *wanted.startup),
        minimum=least,
        maximum=most,
        start=start,
        zones=stand,
        awaited=wanted.system and least > 0,
        machine_type=machine.name,
        image_type=_IMAGES[pool.image.os or "cos"],
        node_version=pool.image.release,
        gpus=_gpus(wanted),
        spot=kind == "spot",
        shutdown=(GKE_SHUTDOWN, GKE_CRITICAL) if kind == "spot" and extended(cluster.version) else None,
        reservation=pool.reservation.id if kind == "reserved" and pool.reservation else None,
        flex=kind == "flex",
        max_run=f"{seconds(pool.flex.max_run if pool.flex else '7d')}s" if kind == "flex" else None,
        queued=queued,
        autoscaling=_autoscaling(cluster, wanted, least, most, per_zone=per_zone),
        initial=-(-start // max(len(stand), 1)),
        placement=_placement(wanted, kind, name, slice_index),
        disk_type=pool.disk.type or machines.disk_types(machine)[0],
        disk_gib=machines.disk_gib(pool),
        disk_iops=pool.disk.iops,
        disk_throughput=pool.disk.throughput,
        ephemeral_ssds=ssds if pool.local_disks == "ephemeral" else 0,
        raw_ssds=ssds if pool.local_disks == "raw" else 0,
        preload_image=pool.preload.snapshot if pool.preload else None,
        streaming=bool(pool.preload),  # a secondary boot disk of images is read by image streaming
        fabric=has_fabric(cluster, wanted),
        fabric_later=pool.fabric is not False and machines.has_fabric(machine) and not has_fabric(cluster, wanted),
        max_pods=pool.max_pods,
        surge=surge_of(pool, kind, hosts),
        repair=pool.repair and kind != "flex",  # GKE refuses repair where nodes end by themselves
        secure_boot=pool.driver.owner != "operator",  # an operator's driver is not signed
        arm=machine.architecture == "arm64",
    )


def _zones_of_group(cluster: Gke, wanted: Wanted, kind: CapacityKind, slice_index: int | None) -> tuple[str, ...]:
    """A slice, nodes placed close together and their networks are of one zone; slices spread only where asked for."""
    stand = pool_zones(cluster, wanted, kind)
    if slice_index is not None:
        return (stand[slice_index % len(stand)],) if wanted.pool.placement == "spread" else stand[:1]
    limited_per_zone = kind == "flex" and machines.is_tpu(wanted.machine)
    single = limited_per_zone or is_compact(wanted, kind) or has_fabric(cluster, wanted)
    return stand[:1] if single else stand


def _fixed(cluster: Gke, wanted: Wanted, kind: CapacityKind) -> dict[str, Any]:
    """What cannot change in place: of a changed one, a second node pool is made first."""
    pool = wanted.pool
    return {
        "machine": wanted.machine.name,
        "count": wanted.count,
        "kind": kind,
        "topology": pool.topology,
        "image": pool.image.os,
        "driver": [pool.driver.owner, pool.driver.version],
        "sharing": pool.sharing.model_dump() if pool.sharing else None,
        "reservation": pool.reservation.model_dump() if kind == "reserved" and pool.reservation else None,
        "flex": pool.flex.model_dump() if kind == "flex" and pool.flex else None,
        "disk": pool.disk.model_dump(),
        "local-disks": pool.local_disks,
        "preload": pool.preload.model_dump() if pool.preload else None,
        "max-pods": pool.max_pods,
        "taints": [str(taint) for taint in (*_lasting_taints(wanted, kind), *wanted.startup)],
        "compact": is_compact(wanted, kind),
        "fabric": has_fabric(cluster, wanted),
        "account": cluster.service_account,
        "key": cluster.keys.disks,
    }


def _labels(cluster: Gke, wanted: Wanted, kind: CapacityKind, queued: bool) -> dict[str, str]:
    """Labels to ask for. GKE sets those of TPUs itself, and those of NVIDIA's MIG manager have no reader here."""
    found = wanted.labels(kind)
    theirs = {"nvidia.com/mig.config", "nvidia.com/mps.capable", "nvidia.com/device-plugin.config"}
    drop = theirs if wanted.pool.driver.owner not in KEPT else set[str]()
    ours = {key: value for key, value in found.items() if not key.startswith("cloud.google.com/") and key not in drop}
    if queued:
        ours["cloud.google.com/gke-queued"] = "true"  # GKE adds the taint alone
    if has_fabric(cluster, wanted):
        ours["cloud.google.com/gke-networking-dra-driver"] = "true"
    if wanted.pool.driver.owner in KEPT:
        ours["gke-no-default-nvidia-gpu-device-plugin"] = "true"
    if name := class_of(cluster, wanted):
        ours[names.COMPUTE_CLASS] = name
    return dict(sorted({**ours, **wanted.pool.labels}.items()))


def _clouds_labels(wanted: Wanted, kind: CapacityKind, name: str) -> dict[str, str]:
    """Labels that GKE sets itself. Source: GKE, "Node labels"; cluster-autoscaler's gce provider."""
    pool, machine = wanted.pool, wanted.machine
    found = {
        "cloud.google.com/gke-nodepool": name,
        "cloud.google.com/machine-family": machine.name.split("-")[0],
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": machine.name,
    }
    if kind == "spot":
        found["cloud.google.com/gke-spot"] = "true"
    if kind == "flex":
        found["cloud.google.com/gke-flex-start"] = "true"
    if machines.is_tpu(machine):
        found["cloud.google.com/gke-tpu-accelerator"] = machine.cloud_accelerator
        found[names.TPU_TOPOLOGY] = pool.topology or ""
    elif wanted.accelerator is not None:
        found |= _gpu_labels(wanted)
    return found


def _place_labels(cluster: Gke, stand: tuple[str, ...]) -> dict[str, str]:
    """Where the nodes stand; of a pool over several zones, the zone of a node is not known before."""
    zone = {"topology.kubernetes.io/zone": stand[0]} if len(stand) == 1 else {}
    return {"topology.kubernetes.io/region": cluster.region, **zone}


def _gpu_labels(wanted: Wanted) -> dict[str, str]:
    gpus = _gpus(wanted)
    if gpus is None:
        return {}
    found = {"cloud.google.com/gke-accelerator": gpus.type}
    found["cloud.google.com/gke-accelerator-count"] = str(gpus.count)
    if gpus.driver != "INSTALLATION_DISABLED":
        found["cloud.google.com/gke-gpu-driver-version"] = gpus.driver.lower()
    if gpus.partition:
        found["cloud.google.com/gke-gpu-partition-size"] = gpus.partition
    if gpus.sharing:
        strategy = {"TIME_SHARING": "time-sharing", "MPS": "mps"}[gpus.sharing]
        found["cloud.google.com/gke-gpu-sharing-strategy"] = strategy
        found["cloud.google.com/gke-max-shared-clients-per-gpu"] = str(gpus.clients)
    return found


def _taints(cluster: Gke, wanted: Wanted, kind: CapacityKind) -> tuple[Taint, ...]:
    """All taints that are declared: a list that leaves GKE's own accelerator taint out would replace the pool.

    That of a ComputeClass comes and goes with the pool's other kinds of capacity, and changes in place.
    """
    name = class_of(cluster, wanted)
    return (*_lasting_taints(wanted, kind), *((class_taint(name),) if name else ()))


def _lasting_taints(wanted: Wanted, kind: CapacityKind) -> tuple[Taint, ...]:
    return (*wanted.taints(), *((_SPOT,) if kind == "spot" else ()))


def _gpus(wanted: Wanted) -> Gpus | None:
    """None for TPUs, which come with their machine type alone."""
    pool, machine = wanted.pool, wanted.machine
    if wanted.accelerator is None or machines.is_tpu(machine):
        return None
    shared = pool.sharing.time_slices or pool.sharing.mps or 1 if pool.sharing else 1
    mig = pool.sharing.mig if pool.sharing else None
    kept = pool.driver.owner in KEPT
    return Gpus(
        type=machine.cloud_accelerator or machines.TYPES[wanted.accelerator.name],
        count=wanted.count,
        driver="INSTALLATION_DISABLED" if kept else "LATEST" if pool.driver.version == "latest" else "DEFAULT",
        partition=mig.removeprefix("all-") if mig and not kept else None,
        sharing=None if shared == 1 or kept else "MPS" if pool.sharing and pool.sharing.mps else "TIME_SHARING",
        clients=shared,
    )


def _autoscaling(cluster: Gke, wanted: Wanted, least: int, most: int, *, per_zone: bool) -> Autoscaling | None:
    """Totals over all zones; for TPUs per zone, of which there is one: totals of flex-start slices are refused."""
    if cluster.autoscaler == "none":
        return None
    scarce = wanted.accelerator is not None or "spot" in wanted.pool.capacity
    policy = "ANY" if scarce and wanted.pool.placement != "spread" else "BALANCED"
    return Autoscaling(minimum=least, maximum=most, per_zone=per_zone, policy=policy)


def _placement(wanted: Wanted, kind: CapacityKind, name: str, slice_index: int | None) -> Placement | None:
    if slice_index is not None:
        topology = wanted.pool.topology
        if wanted.machine.name.split("-")[0] not in _WORKLOAD_POLICY:
            return Placement(tpu_topology=topology)
        return Placement(tpu_topology=topology, workload_policy=f"{name}-slice", policy_topology=topology)
    if machines.domain_of(wanted.machine):
        return Placement(workload_policy=f"{name}-domain", policy_topology=machines.domain_of(wanted.machine))
    if machines.is_tpu(wanted.machine) or not is_compact(wanted, kind):
        return None
    return Placement()


def surge_of(pool: Pool, kind: CapacityKind, hosts: int) -> int:
    """Nodes more than it has that an upgrade may take; where 0, one node at a time is missing instead."""
    if hosts > 1:
        return 0
    if pool.surge is not None:
        return pool.surge
    return 0 if kind == "reserved" else 1


def seconds(duration: str) -> int:
    """90m, 12h or 7d in seconds."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]
