"""AKS's agent pools: each kind of capacity of a pool becomes one; the system's pool has a first one besides.

AKS wants one agent pool of mode System in the cluster's own request, and that one keeps its name and machine for life:
the request fails when it names a pool that the cluster does not have (pulumi-azure-native issues 579 and 2719). So one
node of the system's pool is made with the cluster, and all others by an agent pool that has generations.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Final, Literal

from espalier.blueprint.clouds.aks.model import AksNodeGroup
from espalier.blueprint.clouds.aks.tags import resource_tags
from espalier.blueprint.clouds.aks.zones import zones
from espalier.blueprint.clouds.model import NodeGroup, Wanted
from espalier.blueprint.clouds.naming import generation_of, physical
from espalier.blueprint.ownership import owners_of
from espalier.quantity import parse_quantity
from espalier.settings.aks import Aks
from espalier.types import CapacityKind, Taint

NAME_LIMIT: Final = 12
"""Characters of a Linux agent pool's name: lower-case letters and digits, a letter first (azure-aks-docs,
use-system-pools.md)."""
PODS: Final = 110
"""Pods a node where a pool says none; AKS's own default is 250 with an overlay network."""
SYSTEM_TAINT: Final = Taint("CriticalAddonsOnly", "true")
SPOT_TAINT: Final = Taint("kubernetes.azure.com/scalesetpriority", "spot")
"""AKS gives it to every spot node; a pool that does not name it differs at each refresh."""
OS_SKU: Final = {"ubuntu": "Ubuntu", "azure-linux": "AzureLinux"}
_GIB: Final = 2**30
_LETTER: Final[dict[CapacityKind, str]] = {"reserved": "r", "spot": "s", "flex": "f", "on-demand": "d"}


def groups(cluster: Aks, wanted: Wanted) -> tuple[NodeGroup, ...]:
    """The agent pools of a pool, in its order of preference."""
    capacity = wanted.pool.capacity
    if wanted.system:
        return _system_groups(cluster, wanted, capacity[0])
    pool = wanted.pool
    found: list[NodeGroup] = []
    for kind in capacity:
        first = kind == capacity[0]
        least, start = (pool.nodes.min, wanted.start) if first else (0, 0)
        found.append(_group(cluster, wanted, kind, minimum=least, maximum=pool.nodes.max, start=start))
        if kind == "spot":
            found += [
                _group(cluster, wanted.on(machine), kind, minimum=0, maximum=pool.nodes.max, start=0, further=True)
                for machine in wanted.alternatives
            ]
    return tuple(found)


def _system_groups(cluster: Aks, wanted: Wanted, kind: CapacityKind) -> tuple[NodeGroup, ...]:
    nodes = wanted.pool.nodes
    if cluster.given is not None:
        return (_group(cluster, wanted, kind, minimum=nodes.min, maximum=nodes.max, start=wanted.start),)
    first = _group(cluster, wanted, kind, minimum=1, maximum=1, start=1, inline=True)
    if nodes.max == 1:
        return (first,)
    others = _group(cluster, wanted, kind, minimum=nodes.min - 1, maximum=nodes.max - 1, start=max(wanted.start - 1, 0))
    return (first, others)


def zones_of(cluster: Aks, wanted: Wanted, kind: CapacityKind) -> tuple[str, ...]:
    """The zones of an agent pool: the reservation's, the pool's, else the cluster's; the first where it must be one."""
    pool = wanted.pool
    held = pool.reservation.zones if pool.reservation and kind == "reserved" else ()
    there = held or pool.zones or cluster.zones or zones(cluster.region) or ()
    return there[:1] if together(wanted) else there


def together(wanted: Wanted) -> bool:
    """Whether its nodes must be near one another: InfiniBand reaches no further than one scale set in one zone."""
    pool = wanted.pool
    return pool.placement == "compact" or (pool.placement is None and wanted.machine.infiniband)


def disk_gib(wanted: Wanted) -> int:
    """Size of the OS disk, in GiB."""
    size = wanted.pool.disk.size
    if size is None:
        return 200 if wanted.accelerator else 100
    return ceil(parse_quantity(size) / _GIB)


def mig_profiles(mig: dict[str, int]) -> dict[str, str]:
    """Profiles that AKS cuts, by the names that it has for them: of each number of slices the one of most instances."""
    found: dict[str, str] = {}
    for profile in sorted(mig, key=lambda name: (-mig[name], name)):
        slices = profile.split("g.")[0]
        if slices in ("1", "2", "3", "4", "7") and "+" not in profile and f"MIG{slices}g" not in found.values():
            found[profile] = f"MIG{slices}g"
    return dict(sorted(found.items()))


def _group(
    cluster: Aks,
    wanted: Wanted,
    kind: CapacityKind,
    *,
    minimum: int,
    maximum: int,
    start: int,
    inline: bool = False,
    further: bool = False,
) -> AksNodeGroup:
    """`further`: of one of the pool's further sizes, since an agent pool has one size alone."""
    pool, spot = wanted.pool, kind == "spot"
    system = inline or (wanted.system and minimum > 0)
    labels, taints = _labels(wanted, kind), _taints(wanted, kind)
    there = zones_of(cluster, wanted, kind)
    fixed = _fixed(cluster, wanted, kind, there)
    key = f"{pool.name}-{kind}" + (f"-{_slug(wanted.machine.name)}" if further else "")
    # What is off or not said is left out: a setting that Espalier learns later changes no name.
    generation = "" if inline else generation_of({"key": key} | {name: value for name, value in fixed.items() if value})
    stem = pool.name.replace("-", "")
    name = physical(stem if inline else f"{stem}{_LETTER[kind]}", generation, NAME_LIMIT, joint="")
    mode = "System" if system else "User"
    made = _made_labels(cluster, wanted, name, mode, there, spot)
    surge = _surge(wanted, kind)
    return AksNodeGroup(
        key=f"{key}-first" if inline else key,
        name=name,
        generation=generation,
        pool=pool.name,
        shape=wanted.shape(
            kind,
            labels={**labels, **made},
            taints=taints,
            pods=pool.max_pods or PODS,
            storage_gib=disk_gib(wanted),
        ),
        labels=labels,
        taints=taints,
        minimum=minimum,
        maximum=maximum,
        start=start,
        zones=there,
        inline=inline,
        mode=mode,
        vm_size=wanted.machine.name,
        os_sku=OS_SKU[pool.image.os or "ubuntu"],
        os_disk_type=_disk_type(wanted),
        os_disk_gib=disk_gib(wanted),
        max_pods=pool.max_pods or PODS,
        spot=spot,
        gpu_driver=_driver(wanted),
        gpu_instance_profile=_mig(wanted),
        tags=resource_tags(wanted.devices, wanted.count),
        reservation=pool.reservation.id if pool.reservation and kind == "reserved" else None,
        snapshot=pool.image.release,
        autoscaled=cluster.autoscaler != "none" and not inline,
        max_surge=surge,
        max_unavailable="1" if surge == "0" else None,
        # A GPU's driver is not signed for it (azure-aks-docs, use-trusted-launch.md).
        secure_boot=wanted.accelerator is None and wanted.machine.architecture == "amd64",
        host_encryption=cluster.host_encryption,
        fips=cluster.fips,
        compact=pool.placement == "compact",
        notes=tuple(_further_notes(wanted))
        if further
        else tuple(_first_notes(wanted) if inline else _notes(cluster, wanted, kind, there, surge)),
    )


def _slug(size: str) -> str:
    """Standard_NC4as_T4_v3 as part of a resource's name."""
    return size.removeprefix("Standard_").replace("_", "-").lower()


def _labels(wanted: Wanted, kind: CapacityKind) -> dict[str, str]:
    given = wanted.labels(kind)
    if kind == "spot":
        given[SPOT_TAINT.key] = SPOT_TAINT.value
    return dict(sorted(given.items()))


def _taints(wanted: Wanted, kind: CapacityKind) -> tuple[Taint, ...]:
    found = wanted.taints()
    if kind == "spot":
        found = (*found, SPOT_TAINT)
    return (SYSTEM_TAINT, *found) if wanted.system and not wanted.alone else found


def _made_labels(
    cluster: Aks, wanted: Wanted, name: str, mode: str, there: tuple[str, ...], spot: bool
) -> dict[str, str]:
    """Labels that AKS and the kubelet give by themselves. Source: azure-aks-docs, use-labels.md (2026-08)."""
    made = {
        "kubernetes.azure.com/agentpool": name,
        "kubernetes.azure.com/mode": mode.lower(),
        "kubernetes.azure.com/os-sku": OS_SKU[wanted.pool.image.os or "ubuntu"],
        "kubernetes.azure.com/priority": "spot" if spot else "regular",
        "kubernetes.azure.com/role": "agent",
        "kubernetes.io/arch": wanted.machine.architecture,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": wanted.machine.name,
        "topology.kubernetes.io/region": cluster.region,
    }
    if wanted.accelerator is not None and wanted.accelerator.vendor == "nvidia":
        made["kubernetes.azure.com/accelerator"] = "nvidia"
    made["topology.kubernetes.io/zone"] = f"{cluster.region}-{there[0]}" if there else "0"
    return made


def _disk_type(wanted: Wanted) -> Literal["Ephemeral", "Managed"]:
    """Ephemeral where the size's temporary disk holds it.

    For sizes with an accelerator the catalogue's number has NVMe disks in it, which an OS disk cannot use.
    """
    said = wanted.pool.disk.type
    if said == "Ephemeral" or said == "Managed":
        return said
    room = (wanted.machine.local_disk_gb or 0) * 10**9
    fits = not wanted.accelerator and wanted.pool.local_disks == "ephemeral" and room >= disk_gib(wanted) * _GIB
    return "Ephemeral" if fits else "Managed"


def _driver(wanted: Wanted) -> Literal["Install", "None"] | None:
    owners = owners_of(wanted.pool, wanted.accelerator, "aks")
    if owners is None:
        return None
    return "Install" if owners.driver.who == "cloud" else "None"


def _mig(wanted: Wanted) -> str | None:
    sharing = wanted.pool.sharing
    if wanted.accelerator is None or sharing is None or sharing.mig is None:
        return None
    return mig_profiles(dict(wanted.accelerator.mig))[sharing.mig.removeprefix("all-")]


def _surge(wanted: Wanted, kind: CapacityKind) -> str | None:
    """Nodes more during an upgrade; spot pools take none, and no setting for it (azure-aks-docs, spot-node-pool.md)."""
    if kind == "spot":
        return None
    default = 0 if kind == "reserved" and not wanted.system else 1
    return str(default if wanted.pool.surge is None else wanted.pool.surge)


def _fixed(cluster: Aks, wanted: Wanted, kind: CapacityKind, there: tuple[str, ...]) -> dict[str, object]:
    """What AKS cannot change in place.

    Source: azure-aks-docs: manage-node-pools.md (size, zones), spot-node-pool.md, gpu-multi-instance.md,
    use-nvidia-gpu.md (driver, and taints of a pool with a GPU; those of others can be: use-node-taints.md).
    """
    pool = wanted.pool
    return {
        "machine": wanted.machine.name,
        "spot": kind == "spot",
        "zones": there,
        "os": pool.image.os or "ubuntu",
        "snapshot": pool.image.release,
        "disk": [_disk_type(wanted), disk_gib(wanted)],
        "pods": pool.max_pods or PODS,
        "driver": _driver(wanted),
        "mig": _mig(wanted),
        "reservation": pool.reservation.id if pool.reservation and kind == "reserved" else None,
        "compact": pool.placement == "compact",
        "host-encryption": cluster.host_encryption,
        "fips": cluster.fips,
        "taints": [str(taint) for taint in _taints(wanted, kind)] if wanted.accelerator else [],
    }


def _notes(
    cluster: Aks, wanted: Wanted, kind: CapacityKind, there: tuple[str, ...], surge: str | None
) -> Iterator[str]:
    pool = wanted.pool
    group = f"{pool.name}-{kind}"
    said = pool.zones or (pool.reservation.zones if pool.reservation and kind == "reserved" else ())
    if together(wanted) and not said and len(cluster.zones or zones(cluster.region) or ()) > 1:
        yield f"{group}: its nodes stand close together, hence in one zone, {there[0]}; `zones` chooses another"
    if surge == "0":
        yield f"{group}: upgraded without spare nodes: one fewer while it lasts"
    if _mig(wanted):
        yield (
            f"{group}: AKS's autoscaler takes a node without whole GPUs for one that is not ready, so it counts nodes "
            "of MIG slices late; keep nodes.min at what is always in use"
        )
    if kind == "spot":
        yield f"{group}: an upgrade takes spot nodes away without spare ones and without a drain"
    if (wanted.machine.local_disk_gb or 0) > 2000 and pool.local_disks == "ephemeral":
        yield f"{group}: AKS gives the machine's NVMe disks to nothing by itself; its OS disk holds pods' files"


def _further_notes(wanted: Wanted) -> Iterator[str]:
    yield (
        f"{wanted.pool.name}-spot: {wanted.machine.name} is an agent pool of its own, which may grow to nodes.max by "
        "itself"
    )


def _first_notes(wanted: Wanted) -> Iterator[str]:
    name = wanted.pool.name
    if wanted.alone:
        yield (
            f"{name}: add-ons and tenants' pods without a device run on the system pool, which hence is not tainted "
            f"{SYSTEM_TAINT}; a second pool without an accelerator changes that"
        )
    yield f"{name}: one of its nodes is made with the cluster and keeps its machine when the pool's changes"
    if wanted.pool.nodes.min < 2:
        yield f"{name}: one system node is for trying out; Azure asks for two at least, and advises three"
