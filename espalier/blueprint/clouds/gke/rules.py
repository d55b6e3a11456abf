"""What GKE cannot do of a pool, each with what it can.

Source: the preconditions of GoogleCloudPlatform/cluster-toolkit's gke-node-pool module, GKE's documents on flex-start,
reservations, compact placement and TPU slices, and the node pool's own schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from espalier.blueprint.clouds.gke import machines, zones
from espalier.blueprint.clouds.gke.pools import KEPT, has_fabric, hosts_of, seconds
from espalier.blueprint.clouds.model import Wanted
from espalier.settings.gke import Gke
from espalier.settings.tree import path_text
from espalier.types import Mistake

_RESERVATION: Final = re.compile(
    r"^(projects/[^/]+/reservations/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?(/reservationBlocks/[^/]+(/reservationSubBlocks/[^/]+)?)?$"
)
_DISK_IMAGE: Final = re.compile(r"^(projects/[^/]+/)?global/images/(family/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
RELEASE: Final = re.compile(r"^1\.(\d+)\.\d+-gke\.\d+$")
_SKEW: Final = 2
"""Minor versions that GKE lets nodes be behind their control plane."""
_WEEK: Final = 7 * 86_400
_OWN_PREFIXES: Final = ("cloud.google.com/", "kubernetes.io/", "k8s.io/", "node.gke.io/", "topology.gke.io/")
_CLIENTS: Final = 48
"""Pods that GKE lets share a GPU. Source: GKE, "GPU time-sharing"."""
_SURGE: Final = 20


def pool_mistakes(cluster: Gke, wanted: Wanted) -> Iterator[Mistake]:
    """All that GKE cannot do of a pool."""
    yield from _slices(wanted)
    yield from _places(cluster, wanted)
    yield from _reserved(wanted)
    yield from _flex(wanted)
    yield from _compact(wanted)
    yield from _fabric(cluster, wanted)
    yield from _disk(wanted)
    yield from _image(cluster, wanted)
    yield from _sharing(wanted)
    yield from _domain(wanted)
    yield from _nodes(wanted)


def _slices(wanted: Wanted) -> Iterator[Mistake]:
    """TPU slices are whole, and of a machine that has their topology."""
    pool, machine = wanted.pool, wanted.machine
    if pool.topology is None:
        return
    if pool.topology not in machine.topologies:
        accepted = f"slices of {machine.name}: {', '.join(machine.topologies)}"
        do = "Change it, or remove `machine` and `count`: the topology chooses them."
        yield Mistake(f"{wanted.path}.topology", repr(pool.topology), accepted, do)
        return
    hosts = hosts_of(wanted)
    for key, number in (("min", pool.nodes.min), ("max", pool.nodes.max), ("start", pool.nodes.start or 0)):
        if number % hosts:
            accepted = f"a multiple of {hosts}: a {pool.topology} slice of {machine.name} has so many machines"
            yield Mistake(f"{wanted.path}.nodes.{key}", str(number), accepted, "Count whole slices.")


def _places(cluster: Gke, wanted: Wanted) -> Iterator[Mistake]:
    known = zones.zones(cluster.region)
    pool = wanted.pool
    named = [(f"{wanted.path}.zones", pool.zones or ())]
    named.append((f"{wanted.path}.reservation.zones", pool.reservation.zones if pool.reservation else ()))
    for path, found in named:
        for index, zone in enumerate(found):
            if known is not None and zone not in known:
                yield Mistake(
                    f"{path}[{index}]", repr(zone), f"zones of {cluster.region}: {', '.join(known)}", "Correct it."
                )
            elif known is None and not zone.startswith(f"{cluster.region}-"):
                yield Mistake(f"{path}[{index}]", repr(zone), f"a zone of {cluster.region}", "Correct it.")
    if pool.machines:
        do = "Make a second pool, with the same labels, for the other machine."
        got = f"{len(pool.machines)} further machine types"
        yield Mistake(f"{wanted.path}.machines", got, "nothing: a GKE node pool has one machine type", do)


def _reserved(wanted: Wanted) -> Iterator[Mistake]:
    pool, found = wanted.pool, wanted.pool.reservation
    path = f"{wanted.path}.reservation"
    if "reserved" not in pool.capacity:
        if found is not None:
            do = "Add reserved to `capacity`, or remove `reservation`."
            yield Mistake(path, "a reservation that no kind of capacity takes from", "capacity: [reserved, ...]", do)
        return
    if found is None:
        do = "Add reservation: {id: <name>, zones: [<zone>]}."
        yield Mistake(path, "nothing", "the reservation that reserved capacity is taken from", do)
        return
    if found.type in ("capacity-block", "group"):
        do = "Write reservation or future; blocks of a reservation are named in its id."
        yield Mistake(f"{path}.type", found.type, "reservation or future: Google Cloud has no other", do)
    if not _RESERVATION.match(found.id):
        accepted = "a reservation's name, or projects/<project>/reservations/<name>[/reservationBlocks/<block>]"
        yield Mistake(f"{path}.id", repr(found.id), accepted, "Correct it.")
    if not found.zones and not pool.zones:
        do = "Add reservation.zones: a specific reservation is in one zone."
        yield Mistake(f"{path}.zones", "nothing", "the zones that the reservation is in", do)
    if found.zones and pool.zones and set(found.zones) != set(pool.zones) and pool.capacity == ("reserved",):
        accepted = f"the reservation's zones, {', '.join(found.zones)}"
        yield Mistake(f"{wanted.path}.zones", ", ".join(pool.zones), accepted, "Remove `zones`.")
    if found.type == "future" and pool.capacity[0] == "reserved" and (pool.nodes.min or wanted.start):
        do = "Set min and start to 0 until it begins."
        yield Mistake(f"{wanted.path}.nodes", "nodes at once", "no nodes before a future reservation begins", do)


def _flex(wanted: Wanted) -> Iterator[Mistake]:
    pool = wanted.pool
    if "flex" not in pool.capacity:
        if pool.flex is not None:
            do = "Add flex to `capacity`, or remove `flex`."
            yield Mistake(f"{wanted.path}.flex", "flex that no kind of capacity uses", "capacity: [flex, ...]", do)
        return
    index = pool.capacity.index("flex")
    if wanted.accelerator is None:
        do = "Use spot or on-demand."
        yield Mistake(f"{wanted.path}.capacity[{index}]", "flex", "flex-start for machines with GPUs or TPUs", do)
    if pool.flex and seconds(pool.flex.max_run) > _WEEK:
        yield Mistake(f"{wanted.path}.flex.max-run", pool.flex.max_run, "at most 7d", "Shorten it.")
    if index == 0 and (pool.nodes.min or wanted.start):
        key, got = ("min", pool.nodes.min) if pool.nodes.min else ("start", wanted.start)
        do = "Set it to 0, or prefer another kind of capacity."
        yield Mistake(f"{wanted.path}.nodes.{key}", str(got), "0: flex-start nodes come when they are asked for", do)


def _compact(wanted: Wanted) -> Iterator[Mistake]:
    pool, machine = wanted.pool, wanted.machine
    if pool.placement != "compact" or machines.is_tpu(machine):
        return
    path = f"{wanted.path}.placement"
    if len(pool.zones or ()) > 1:
        do = "Name one zone, or remove `placement`."
        yield Mistake(f"{wanted.path}.zones", ", ".join(pool.zones or ()), "one zone: compact nodes share it", do)
    if not machines.compact_allowed(machine, flex=False):
        do = "Choose N2, C3, A2 or another that Google places close together, or remove `placement`."
        yield Mistake(path, f"compact {machine.name}", "machines other than E2, N1 and N4", do)
    elif "flex" in pool.capacity and pool.flex and pool.flex.queued:
        yield Mistake(path, "compact, with queued provisioning", "compact only for TPUs there", "Remove `placement`.")
    elif "flex" in pool.capacity and not machines.compact_allowed(machine, flex=True):
        accepted = "flex-start that is compact on A3 Ultra, A4 and H4D alone"
        yield Mistake(path, f"compact {machine.name} from flex-start", accepted, "Remove `placement`, or flex.")


def _fabric(cluster: Gke, wanted: Wanted) -> Iterator[Mistake]:
    release = wanted.pool.image.release or ""
    if has_fabric(cluster, wanted) and RELEASE.match(release) and not machines.has_fabric_nodes(release):
        accepted = f"{machines.FABRIC_NODES} or later: DRANET attaches {wanted.machine.name}'s networks from there on"
        yield Mistake(f"{wanted.path}.image.release", release, accepted, "Raise it, or set fabric: false.")
    if not wanted.pool.fabric:
        return
    path, machine = f"{wanted.path}.fabric", wanted.machine
    if not machines.has_fabric(machine):
        do = "Remove it, or choose A3 with 8 GPUs, A4 or A4X."
        yield Mistake(path, f"true, for {machine.name}", "machines with networks for their accelerators", do)
    elif not machines.has_fabric_version(cluster.version):
        do = "Raise the version; below it these networks need VPCs that Espalier does not make."
        accepted = f'"1.35" or later: GKE attaches them by itself (DRANET, {machines.FABRIC_NODES}, Dataplane V2)'
        yield Mistake(path, f"true, in {cluster.version}", accepted, do)
    elif len(wanted.pool.zones or ()) > 1:
        do = "Name one zone, or remove `fabric`."
        yield Mistake(path, "true, in several zones", "one zone: such a network is of one", do)


def _disk(wanted: Wanted) -> Iterator[Mistake]:
    pool, path = wanted.pool, f"{wanted.path}.disk"
    types = machines.disk_types(wanted.machine)
    kind = pool.disk.type or types[0]
    if kind not in types:
        accepted = f"boot disks of {wanted.machine.name}: {', '.join(types)}"
        yield Mistake(f"{path}.type", repr(kind), accepted, "Change it, or remove it.")
    elif kind != "hyperdisk-balanced":
        for key, number in (("iops", pool.disk.iops), ("throughput", pool.disk.throughput)):
            if number is not None:
                do = "Remove it, or choose a machine and a disk of Hyperdisk."
                yield Mistake(f"{path}.{key}", str(number), f"nothing: {kind} has what its size gives", do)
    least = 10
    if machines.disk_gib(pool) < least:
        yield Mistake(f"{path}.size", str(pool.disk.size), f"at least {least}Gi", "Raise it; images need about 50Gi.")
    if pool.preload and pool.preload.snapshot and not _DISK_IMAGE.match(pool.preload.snapshot):
        accepted = "a disk image: global/images/<name> or projects/<project>/global/images/<name>"
        yield Mistake(f"{wanted.path}.preload.snapshot", repr(pool.preload.snapshot), accepted, "Correct it.")


def _image(cluster: Gke, wanted: Wanted) -> Iterator[Mistake]:
    image, path = wanted.pool.image, f"{wanted.path}.image"
    if image.os not in (None, "cos", "ubuntu"):
        yield Mistake(f"{path}.os", str(image.os), "cos or ubuntu: the node images of GKE", "Change or remove it.")
    elif image.os == "ubuntu" and machines.is_tpu(wanted.machine):
        yield Mistake(f"{path}.os", "ubuntu, with TPUs", "cos: TPU nodes have no other image", "Remove it.")
    if image.release is None:
        return
    found = RELEASE.match(image.release)
    if found is None:
        accepted = "a whole GKE version, such as 1.35.1-gke.1396002"
        do = "Write one of `gcloud container get-server-config`, or remove it."
        yield Mistake(f"{path}.release", repr(image.release), accepted, do)
        return
    minor, control = int(found[1]), int(cluster.version.split(".")[1])
    if not control - _SKEW <= minor <= control:
        accepted = f"1.{control - _SKEW} to {cluster.version}: nodes follow their control plane, at most {_SKEW} behind"
        yield Mistake(f"{path}.release", image.release, accepted, "Upgrade the one that is behind, a minor at a time.")


def _sharing(wanted: Wanted) -> Iterator[Mistake]:
    pool, accelerator = wanted.pool, wanted.accelerator
    if pool.sharing is None or accelerator is None or pool.driver.owner in KEPT:
        return
    if pool.sharing.mig:
        known = machines.PARTITIONS.get(accelerator.name, ())
        if pool.sharing.mig.removeprefix("all-") not in known:
            accepted = f"GKE's partitions of {accelerator.name}: {', '.join(f'all-{size}' for size in known)}"
            yield Mistake(f"{wanted.path}.sharing.mig", pool.sharing.mig, accepted, "Choose one of these.")
    if (pool.sharing.time_slices or 0) > _CLIENTS:
        got = str(pool.sharing.time_slices)
        yield Mistake(f"{wanted.path}.sharing.time-slices", got, f"at most {_CLIENTS} on GKE", "Lower it.")


def _domain(wanted: Wanted) -> Iterator[Mistake]:
    """Machines whose GPUs share a network of their own over several nodes."""
    pool, machine = wanted.pool, wanted.machine
    if machine.name == machines.METAL:
        do = "Choose GB200 (a4x-highgpu-4g), or make its pool beside the stack."
        accepted = "machines that are no bare metal: Espalier makes neither its networks nor its huge pages"
        yield Mistake(f"{wanted.path}.accelerator", machine.name, accepted, do)
    elif machines.domain_of(machine) and pool.nodes.max > machines.DOMAIN_NODES:
        accepted = f"at most {machines.DOMAIN_NODES}: a node pool is one NVLink domain"
        do = "Lower it, and make a further pool for a further domain."
        yield Mistake(f"{wanted.path}.nodes.max", str(pool.nodes.max), accepted, do)


def _nodes(wanted: Wanted) -> Iterator[Mistake]:
    """Labels, upgrades, and what the pool of cluster components needs."""
    pool = wanted.pool
    for key in sorted(pool.labels):
        if key.startswith(_OWN_PREFIXES):
            accepted = "labels of your own: GKE sets those of Kubernetes and of Google Cloud"
            path = path_text((key,), f"{wanted.path}.labels")
            yield Mistake(path, key, accepted, "Remove it, or choose another key.")
    if (pool.surge or 0) > _SURGE:
        accepted = f"at most {_SURGE}: GKE upgrades so many nodes at once"
        yield Mistake(f"{wanted.path}.surge", str(pool.surge), accepted, "Lower it.")
    if not wanted.system:
        return
    if pool.capacity[0] != "on-demand" and pool.capacity[0] != "reserved":
        do = "Put on-demand first, or make a pool of its own: {name: system, machine: ..., nodes: {min: 1, max: 3}}."
        accepted = "on-demand or reserved: cluster components run on this pool"
        yield Mistake(f"{wanted.path}.capacity[0]", pool.capacity[0], accepted, do)
    if pool.taints:
        do = "Remove them, or make a pool of its own for cluster components."
        accepted = "none on the pool that cluster components run on: GKE's own pods tolerate none"
        yield Mistake(f"{wanted.path}.taints", ", ".join(taint.key for taint in pool.taints), accepted, do)
    if pool.nodes.min < 1:
        accepted = "at least 1 on the pool that cluster components run on"
        yield Mistake(f"{wanted.path}.nodes.min", str(pool.nodes.min), accepted, "Raise it.")
