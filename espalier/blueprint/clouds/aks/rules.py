"""What AKS cannot do of a pool, and what it can instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from espalier.blueprint.clouds.aks.ids import RESERVATIONS, SNAPSHOTS, form_of, is_a
from espalier.blueprint.clouds.aks.network import room_mistakes
from espalier.blueprint.clouds.aks.pools import OS_SKU, disk_gib, mig_profiles, together
from espalier.blueprint.clouds.aks.zones import zones
from espalier.blueprint.clouds.model import Wanted
from espalier.settings.aks import Aks
from espalier.types import Mistake

MIG: Final = frozenset({"A100-40", "A100-80", "H100-80", "H100-NVL", "H200"})
"""Accelerators that AKS cuts. Source: azure-aks-docs, gpu-multi-instance.md (2026-05): A100, H100 and H200 sizes."""
NOT_TAKEN: Final = "AKS does not take it yet"
"""What the catalogue notes of such a machine."""
LEAST_SYSTEM: Final = (4, 4)
"""vCPUs and GiB of a system node at least. Source: azure-aks-docs, use-system-pools.md."""
DISK: Final = (30, 2048)
"""GiB of an OS disk. Source: AKS's API, AgentPool.osDiskSizeGB; 30 is the node image's own."""
RESERVED_PREFIXES: Final = ("kubernetes.azure.com/", "kubernetes.io/")
"""Source: azure-aks-docs, use-labels.md."""


def pool_mistakes(cluster: Aks, wanted: Wanted) -> Iterator[Mistake]:
    """What AKS cannot do of a pool."""
    yield from _machine(wanted)
    yield from _zones(cluster, wanted)
    yield from _capacity(wanted)
    yield from _reservation(wanted)
    yield from _sharing(wanted)
    yield from _image(cluster, wanted)
    yield from _disk(wanted)
    yield from _node(wanted)
    if wanted.system:
        yield from _system(wanted)


def stack_mistakes(cluster: Aks, pools: Sequence[Wanted]) -> Iterator[Mistake]:
    """What the pools together lack or cannot have."""
    system = [one for one in pools if one.system]
    if not system and cluster.given is None:
        do = "Add one: {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}."
        yield Mistake("espalier:pools", "no pool for the system", "a pool without an accelerator: AKS needs one", do)
    for one in system[1:]:
        do = "Keep it in one pool."
        yield Mistake(f"{one.path}.system", f"a second system pool, besides {system[0].pool.name}", "one", do)
    yield from room_mistakes(cluster, pools)


def _machine(wanted: Wanted) -> Iterator[Mistake]:
    machine = wanted.machine
    key = "machine" if wanted.pool.machine else "accelerator"
    if NOT_TAKEN in machine.note:
        do = "Choose another machine; see `espalier catalogue --cloud azure`."
        yield Mistake(f"{wanted.path}.{key}", machine.name, f"a size that AKS takes ({machine.note.rstrip('.')})", do)
    if wanted.pool.machines and "spot" not in wanted.pool.capacity:
        do = "Add spot to `capacity`, or remove `machines`."
        accepted = "further sizes of spot capacity, each an agent pool of its own"
        yield Mistake(f"{wanted.path}.machines", ", ".join(wanted.pool.machines), accepted, do)


def _zones(cluster: Aks, wanted: Wanted) -> Iterator[Mistake]:
    there, pool = zones(cluster.region), wanted.pool
    named = [("zones", pool.zones or ())]
    if pool.reservation is not None:
        named.append(("reservation.zones", pool.reservation.zones))
    for key, chosen in named:
        for index, zone in enumerate(chosen):
            if there is not None and zone not in there:
                accepted = f"zones of {cluster.region}: {', '.join(there)}" if there else f"nothing: {cluster.region} "
                accepted += "" if there else "has no zones"
                do = "Write the zone's number in quotes." if there else f"Remove `{key}`."
                yield Mistake(f"{wanted.path}.{key}[{index}]", repr(zone), accepted, do)
    held = pool.reservation.zones if pool.reservation is not None else ()
    if pool.zones and not set(held) <= set(pool.zones):
        accepted = f"zones with the reservation's: {', '.join(held)}"
        yield Mistake(f"{wanted.path}.zones", ", ".join(pool.zones), accepted, "Add it, or remove `zones`.")
    if together(wanted) and len(pool.zones or ()) > 1:
        why = "compact placement" if pool.placement == "compact" else f"InfiniBand of {wanted.machine.name}"
        accepted = f"one zone: {why} reaches no further"
        yield Mistake(f"{wanted.path}.zones", ", ".join(pool.zones or ()), accepted, "Keep one of them.")


def _capacity(wanted: Wanted) -> Iterator[Mistake]:
    pool = wanted.pool
    if pool.flex is not None:
        do = "Remove `flex`; a Kueue ProvisioningRequest has AKS's autoscaler start several nodes at once."
        yield Mistake(f"{wanted.path}.flex", "flex", "nothing: Azure sells no capacity that starts by itself later", do)
    if pool.surge is not None and pool.capacity == ("spot",):
        do = "Remove `surge`."
        yield Mistake(f"{wanted.path}.surge", str(pool.surge), "nothing: spot pools are upgraded without spares", do)
    if not pool.repair:
        do = "Remove `repair`."
        yield Mistake(f"{wanted.path}.repair", "false", "true: AKS replaces nodes that are not healthy by itself", do)


def _reservation(wanted: Wanted) -> Iterator[Mistake]:
    pool = wanted.pool
    held = pool.reservation
    if held is None:
        if "reserved" in pool.capacity:
            do = "Add reservation: {id: <the capacity reservation group's resource id>}."
            yield Mistake(f"{wanted.path}.reservation", "nothing", "what reserved capacity is taken from", do)
        return
    if "reserved" not in pool.capacity:
        do = "Add reserved to `capacity`, or remove `reservation`."
        yield Mistake(f"{wanted.path}.reservation", "a reservation that nothing takes", "reserved in `capacity`", do)
    if held.type not in ("reservation", "group"):
        do = "Name a capacity reservation group, and remove `type`."
        accepted = "reservation or group: Azure has capacity reservation groups only"
        yield Mistake(f"{wanted.path}.reservation.type", held.type, accepted, do)
    elif not is_a(held.id, RESERVATIONS):
        accepted = form_of(RESERVATIONS)
        do = "Write the resource id of the capacity reservation group."
        yield Mistake(f"{wanted.path}.reservation.id", repr(held.id), accepted, do)


def _sharing(wanted: Wanted) -> Iterator[Mistake]:
    sharing, accelerator = wanted.pool.sharing, wanted.accelerator
    if sharing is None or sharing.mig is None or accelerator is None:
        return
    where = f"{wanted.path}.sharing.mig"
    if accelerator.name not in MIG:
        do = "Use time-slices, or one of these accelerators."
        yield Mistake(where, f"MIG of {accelerator.name}", f"MIG of {', '.join(sorted(MIG))} on AKS", do)
        return
    known = mig_profiles(dict(accelerator.mig))
    if sharing.mig.removeprefix("all-") not in known:
        accepted = ", ".join(f"all-{profile} ({name})" for profile, name in known.items())
        do = "Choose one of these; AKS names profiles by their slices alone."
        yield Mistake(where, repr(sharing.mig), accepted, do)


def _image(cluster: Aks, wanted: Wanted) -> Iterator[Mistake]:
    image, preload = wanted.pool.image, wanted.pool.preload
    if image.os is not None and image.os not in OS_SKU:
        do = "Choose one of these, or remove `os`."
        yield Mistake(f"{wanted.path}.image.os", image.os, ", ".join(OS_SKU), do)
    if cluster.fips and wanted.machine.architecture == "arm64" and image.os != "azure-linux":
        do = "Set image.os: azure-linux, choose an amd64 machine, or remove the cluster's `fips`."
        got = f"{image.os or 'ubuntu'} on {wanted.machine.name}, which is arm64"
        yield Mistake(f"{wanted.path}.image.os", got, "azure-linux: on arm64 it alone has FIPS", do)
    if image.release is not None and not is_a(image.release, SNAPSHOTS):
        accepted = form_of(SNAPSHOTS)
        do = "Take a node pool snapshot (az aks nodepool snapshot create), and write its resource id."
        yield Mistake(f"{wanted.path}.image.release", repr(image.release), accepted, do)
    if preload is not None:
        do = "Remove `preload`: a registry under `registries` is near, and nodes.min: 1 keeps a node that has them."
        accepted = "nothing: AKS has no disk of images, and Pulumi's SDK does not speak of its artifact streaming"
        yield Mistake(f"{wanted.path}.preload", "images to start with", accepted, do)


def _disk(wanted: Wanted) -> Iterator[Mistake]:
    disk, where = wanted.pool.disk, f"{wanted.path}.disk"
    if disk.type not in (None, "Ephemeral", "Managed"):
        do = "Write Ephemeral, Managed, or nothing."
        yield Mistake(
            f"{where}.type", repr(disk.type), "Ephemeral or Managed: AKS chooses the kind of managed disk", do
        )
    for key, value in (("iops", disk.iops), ("throughput", disk.throughput)):
        if value is not None:
            do = f"Remove `{key}`; a larger disk is faster."
            yield Mistake(f"{where}.{key}", str(value), "nothing: an AKS node's OS disk has the speed of its size", do)
    if not DISK[0] <= disk_gib(wanted) <= DISK[1]:
        accepted = f"{DISK[0]}Gi to {DISK[1]}Gi"
        yield Mistake(f"{where}.size", str(disk.size), accepted, "Change `size`; volumes hold more.")
    room = wanted.machine.local_disk_gb
    if disk.type == "Ephemeral" and room is not None and room * 10**9 < disk_gib(wanted) * 2**30:
        accepted = f"Managed, or at most the {room:g} GB of {wanted.machine.name}'s own disk"
        yield Mistake(
            f"{where}.type", f"Ephemeral of {disk_gib(wanted)} GiB", accepted, "Lower `size`, or use Managed."
        )


def _node(wanted: Wanted) -> Iterator[Mistake]:
    pool = wanted.pool
    if pool.max_pods is not None and not 10 <= pool.max_pods <= 250:
        yield Mistake(f"{wanted.path}.max-pods", str(pool.max_pods), "10 to 250 on AKS", "Change it.")
    if pool.fabric and not wanted.machine.infiniband:
        do = "Remove `fabric`, or choose a machine with InfiniBand, such as Standard_ND96isr_H100_v5."
        yield Mistake(f"{wanted.path}.fabric", "true", f"false: {wanted.machine.name} has no InfiniBand", do)
    if pool.fabric is False and wanted.machine.infiniband:
        do = "Remove `fabric`."
        yield Mistake(f"{wanted.path}.fabric", "false", f"true: {wanted.machine.name} comes with InfiniBand", do)
    keys = [(f"labels[{key!r}]", key) for key in sorted(pool.labels)]
    keys += [(f"taints[{index}].key", taint.key) for index, taint in enumerate(pool.taints)]
    for where, key in keys:
        if key.startswith(RESERVED_PREFIXES):
            accepted = f"a key that does not start with {' or '.join(RESERVED_PREFIXES)}, which are AKS's own"
            yield Mistake(f"{wanted.path}.{where}", key, accepted, "Rename it.")


def _system(wanted: Wanted) -> Iterator[Mistake]:
    pool, path = wanted.pool, wanted.path
    if wanted.accelerator is not None:
        do = "Mark a pool without an accelerator."
        yield Mistake(f"{path}.system", f"true, with {wanted.accelerator.name}", "a pool without an accelerator", do)
    if pool.capacity[0] == "spot" or len(pool.capacity) > 1:
        do = "Write capacity: [on-demand] here, and add another pool for spot."
        accepted = "on-demand or reserved alone: AKS keeps spot out of system pools"
        yield Mistake(f"{path}.capacity", ", ".join(pool.capacity), accepted, do)
    if wanted.machine.vcpu < LEAST_SYSTEM[0] or wanted.machine.memory_gib < LEAST_SYSTEM[1]:
        got = f"{wanted.machine.name} with {wanted.machine.vcpu} vCPUs"
        accepted = f"at least {LEAST_SYSTEM[0]} vCPUs and {LEAST_SYSTEM[1]} GiB for AKS's system pool"
        yield Mistake(f"{path}.machine", got, accepted, "Choose a larger machine, or mark another pool as `system`.")
    if pool.nodes.min < 1:
        yield Mistake(f"{path}.nodes.min", "0", "at least 1: AKS's system pool never sleeps", "Write min: 2 or more.")
    if pool.surge == 0:
        accepted = "at least 1: AKS upgrades system pools with a spare node only"
        yield Mistake(f"{path}.surge", "0", accepted, "Remove `surge`.")
    if pool.max_pods is not None and pool.max_pods < 30:
        yield Mistake(f"{path}.max-pods", str(pool.max_pods), "at least 30 on a system pool", "Raise it.")
