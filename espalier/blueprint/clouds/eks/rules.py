"""What EKS cannot do of a pool, and what it can instead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from espalier.blueprint import names
from espalier.blueprint.clouds.eks import images, launch, tags, ubuntu
from espalier.blueprint.clouds.eks.zones import chosen
from espalier.blueprint.clouds.model import Wanted
from espalier.settings.eks import Eks
from espalier.settings.pool import Reservation
from espalier.settings.tree import path_text
from espalier.types import Mistake

_RESERVATION: Final = re.compile(r"cr-[0-9a-f]{8,17}")
_GROUP: Final = re.compile(r"arn:aws[a-z-]*:resource-groups:[a-z0-9-]+:[0-9]{12}:group/.+")
_SNAPSHOT: Final = re.compile(r"snap-[0-9a-f]{8,17}")
_BLOCKS: Final = ("p4d.", "p4de.", "p5.", "p5e.", "p5en.", "p6", "trn1.", "trn2")
"""Machines that EC2 sells as capacity blocks (EC2 user guide, capacity blocks)."""
_GP3: Final = {"iops": (3000, 80_000), "throughput": (125, 2000), "size": (20, 65_536)}
_IO2: Final = {"iops": (100, 256_000), "size": (20, 65_536)}
"""Bounds of EBS volumes (EC2 API, EbsBlockDevice); 20 GiB is the least that EKS's images take."""
_TYPES: Final = 20
"""Machine types of a node group (EKS API, CreateNodegroup)."""
_SPREAD: Final = 7
"""Instances a zone of a spread placement group (EC2 user guide)."""
_OWN_TAGS: Final = 25
"""Labels and taints of the user's own: 50 tags of an Auto Scaling group, less what EKS and Espalier put on it."""
_RESERVED_LABELS: Final = ("kubernetes.io", "k8s.io", "eks.amazonaws.com", "karpenter.sh", "karpenter.k8s.aws")


def pool_mistakes(cluster: Eks, wanted: Wanted) -> Iterator[Mistake]:
    """Everything that EKS cannot do of a pool whose machine is settled."""
    yield from _images(wanted)
    karpenter = cluster.autoscaler == "karpenter" and not wanted.system
    yield from ubuntu.mistakes(cluster, wanted, fabric=launch.fabric(wanted), karpenter=karpenter)
    yield from _zones(cluster, wanted)
    yield from _reservation(wanted)
    yield from _kinds(wanted)
    yield from _fabric(wanted)
    yield from _interfaces(cluster, wanted)
    yield from _disks(wanted)
    yield from _preload(wanted)
    yield from _pods(wanted)
    yield from _labels(wanted)
    yield from _release(cluster, wanted)
    yield from _karpenter(cluster, wanted)
    yield from _system(cluster, wanted)


def _images(wanted: Wanted) -> Iterator[Mistake]:
    image, path = wanted.pool.image, f"{wanted.path}.image"
    there = images.images_for(wanted)
    if images.ami_type(wanted) is None:
        what = wanted.accelerator.name if wanted.accelerator else "no accelerator"
        got = f"{image.os or 'al2023'}, on {wanted.machine.name} ({wanted.machine.architecture}, {what})"
        accepted = " or ".join(there) or "none: EKS has no image with a driver for this accelerator and architecture"
        do = "Choose one of these, or remove it." if there else "Choose another accelerator or machine."
        yield Mistake(f"{path}.os", got, accepted, do)
    elif wanted.pool.sharing is not None and images.family(wanted) == "bottlerocket":
        do = "Set image.os: al2023, or remove `sharing`."
        accepted = "al2023, whose device plugin is an add-on: Bottlerocket brings a plugin of its own"
        yield Mistake(f"{path}.os", "bottlerocket with devices that are shared", accepted, do)


def _zones(cluster: Eks, wanted: Wanted) -> Iterator[Mistake]:
    pool = wanted.pool
    there = chosen(cluster.region, cluster.zones)
    named = [(f"{wanted.path}.zones", zone, index) for index, zone in enumerate(pool.zones or ())]
    if pool.reservation:
        path = f"{wanted.path}.reservation.zones"
        named += [(path, zone, index) for index, zone in enumerate(pool.reservation.zones)]
    for path, zone, index in named:
        if there and zone not in there:
            do = "Correct it, or add it to the cluster's `zones`, whose subnets nodes stand in."
            yield Mistake(f"{path}[{index}]", repr(zone), f"zones of the cluster: {', '.join(there)}", do)
    if launch.one_zone(wanted) and len(pool.zones or ()) > 1:
        why = "EFA does not cross zones" if launch.fabric(wanted) else "nodes stand close together in one zone alone"
        do = "Keep one of them" + (", or set fabric: false." if launch.fabric(wanted) else ", or remove `placement`.")
        yield Mistake(f"{wanted.path}.zones", f"{len(pool.zones or ())} zones", f"one zone: {why}", do)
    most = _SPREAD * len(pool.zones or there or ("",))
    if pool.placement == "spread" and pool.nodes.max > most:
        do = "Lower nodes.max, or remove `placement`: a group spreads over its zones by itself."
        accepted = f"at most {most}: {_SPREAD} a zone of a spread placement group"
        yield Mistake(f"{wanted.path}.nodes.max", str(pool.nodes.max), accepted, do)


def _reservation(wanted: Wanted) -> Iterator[Mistake]:
    pool, path = wanted.pool, f"{wanted.path}.reservation"
    held = pool.reservation
    if held is None:
        if "reserved" in pool.capacity:
            do = "Add reservation: {id: cr-..., zones: [...]}, or remove reserved from `capacity`."
            yield Mistake(path, "nothing", "what reserved capacity is taken from", do)
        return
    if "reserved" not in pool.capacity:
        do = "Add reserved to `capacity`, or remove `reservation`."
        yield Mistake(path, f"{held.id}, which no node is taken from", "a reservation beside capacity: [reserved]", do)
    if held.type == "group":
        if not _GROUP.fullmatch(held.id):
            accepted = "the ARN of a resource group of reservations, arn:aws:resource-groups:REGION:ACCOUNT:group/NAME"
            yield Mistake(f"{path}.id", repr(held.id), accepted, "Correct the id, or the type.")
        return
    if not _RESERVATION.fullmatch(held.id):
        accepted = f"the id of a {held.type}, cr- and hexadecimal digits"
        yield Mistake(f"{path}.id", repr(held.id), accepted, "Correct the id; a group's ARN has type: group.")
    yield from _place_and_time(wanted, held)


def _place_and_time(wanted: Wanted, held: Reservation) -> Iterator[Mistake]:
    """Where and from when a single reservation's nodes can be had."""
    pool, path = wanted.pool, f"{wanted.path}.reservation"
    if len(held.zones or pool.zones or ()) != 1:
        got = f"{len(held.zones)} zones" if held.zones else "nothing"
        yield Mistake(f"{path}.zones", got, "the one zone that it is in", "Add zones: [the reservation's zone].")
    if held.zones and pool.zones and not set(held.zones) <= set(pool.zones):
        accepted = f"zones with the reservation's: {', '.join(held.zones)}"
        yield Mistake(f"{wanted.path}.zones", ", ".join(pool.zones), accepted, "Add it, or remove `zones`.")
    if pool.placement is not None and pool.capacity == ("reserved",):
        do = "Remove `placement`; reserve the machines close together."
        yield Mistake(f"{wanted.path}.placement", pool.placement, "nothing: the reservation has settled it", do)
    if held.type in ("capacity-block", "future"):
        yield from _not_yet(wanted, held.type)
    if held.type == "capacity-block" and not wanted.machine.name.startswith(_BLOCKS):
        do = "Set type: reservation, or choose another machine."
        accepted = "a machine that is sold as capacity blocks: P4d to P6, Trn1, Trn2"
        yield Mistake(f"{path}.type", f"capacity-block of {wanted.machine.name}", accepted, do)


def _not_yet(wanted: Wanted, type: str) -> Iterator[Mistake]:
    """Capacity that begins later: a group that must have nodes before cannot be made."""
    what = "a capacity block" if type == "capacity-block" else "a reservation of the future"
    if wanted.pool.capacity[0] != "reserved":
        return
    for key, number in (("min", wanted.pool.nodes.min), ("start", wanted.start)):
        if number:
            accepted = f"0: {what} has no nodes before it begins, nor after it ends"
            do = "Set it to 0; the autoscaler starts nodes once pods ask for them."
            yield Mistake(f"{wanted.path}.nodes.{key}", str(number), accepted, do)
            return


def _kinds(wanted: Wanted) -> Iterator[Mistake]:
    pool = wanted.pool
    if pool.flex is not None:
        do = "Remove `flex`; on EKS a capacity block is what begins later: capacity: [reserved], "
        do += "reservation: {type: capacity-block, ...}."
        yield Mistake(f"{wanted.path}.flex", "flex capacity", "what EKS has: reserved, spot, on-demand", do)
    if pool.machines and "spot" not in pool.capacity:
        do = "Add spot to `capacity`, or remove `machines`."
        accepted = "further machine types of spot capacity; other kinds start the pool's own machine"
        yield Mistake(f"{wanted.path}.machines", ", ".join(pool.machines), accepted, do)
    if len(pool.machines or ()) >= _TYPES:
        accepted = f"at most {_TYPES - 1} besides the pool's own"
        yield Mistake(f"{wanted.path}.machines", f"{len(pool.machines or ())} types", accepted, "Remove some.")


def _fabric(wanted: Wanted) -> Iterator[Mistake]:
    pool, machine = wanted.pool, wanted.machine
    if pool.fabric and not machine.efa:
        known = "which has no EFA" if machine.efa == 0 else "whose EFA interfaces are not known"
        do = "Remove `fabric`, or choose a machine of `espalier catalogue --cloud aws` with EFA."
        yield Mistake(f"{wanted.path}.fabric", f"true on {machine.name}, {known}", "a machine with EFA", do)
    if launch.fabric(wanted) and pool.placement == "spread":
        do = "Remove `placement`, or set fabric: false."
        yield Mistake(f"{wanted.path}.placement", "spread", "compact where nodes are joined by EFA", do)
    if launch.fabric(wanted) and wanted.alternatives:
        do = "Remove `machines`, or set fabric: false."
        accepted = f"one machine type where EFA joins the nodes: {machine.name}"
        yield Mistake(f"{wanted.path}.machines", ", ".join(pool.machines or ()), accepted, do)


def _interfaces(cluster: Eks, wanted: Wanted) -> Iterator[Mistake]:
    """Source: EKS user guide, ml/node-efa."""
    asked = cluster.addon_versions.get("vpc-cni")
    if asked is None or not any(one.type == "efa-only" for one in launch.interfaces(wanted)):
        return
    if [int(part) for part in asked[1:].partition("-")[0].split(".")] < [1, 18, 5]:
        accepted = f"v1.18.5 or later, for the EFA interfaces without addresses of {wanted.machine.name}"
        yield Mistake("espalier:cluster.addon-versions.vpc-cni", asked, accepted, "Raise it, or remove it.")


def _disks(wanted: Wanted) -> Iterator[Mistake]:
    disk, path = wanted.pool.disk, f"{wanted.path}.disk"
    if disk.type not in (None, "gp3", "io2"):
        yield Mistake(f"{path}.type", repr(disk.type), "gp3 or io2", "Write one of them, or remove it.")
        return
    bounds = _IO2 if disk.type == "io2" else _GP3
    name = disk.type or "gp3"
    found = (("size", launch.disk_gib(wanted.pool)), ("iops", disk.iops), ("throughput", disk.throughput))
    for key, value in found:
        if value is None:
            continue
        if key not in bounds:
            yield Mistake(f"{path}.{key}", str(value), "gp3, which has a throughput of its own", "Remove it.")
            continue
        low, high = bounds[key]
        if not low <= value <= high:
            unit = {"size": "GiB", "iops": "operations a second", "throughput": "MiB/s"}[key]
            yield Mistake(f"{path}.{key}", f"{value} {unit}", f"{low} to {high} {unit} of {name}", "Change it.")
    if disk.type == "io2" and disk.iops is None:
        yield Mistake(f"{path}.iops", "nothing", "the operations a second that io2 is paid by", "Add `iops`.")


def _preload(wanted: Wanted) -> Iterator[Mistake]:
    preload, path = wanted.pool.preload, f"{wanted.path}.preload"
    if preload is None:
        return
    if preload.streaming:
        do = "Remove it; on EKS images come from a snapshot: preload: {snapshot: snap-...}."
        yield Mistake(f"{path}.streaming", "true", "a snapshot; EKS streams no images", do)
    if preload.snapshot and not _SNAPSHOT.fullmatch(preload.snapshot):
        yield Mistake(f"{path}.snapshot", repr(preload.snapshot), "an EBS snapshot's id, snap-...", "Correct it.")


def _pods(wanted: Wanted) -> Iterator[Mistake]:
    """Source: EKS user guide, choosing an instance type: the most that a managed node group lets a node have."""
    most = 110 if wanted.machine.vcpu < 30 else 250
    if (wanted.pool.max_pods or 0) > most:
        accepted = f"at most {most} on {wanted.machine.name} with {wanted.machine.vcpu} vCPUs"
        do = "Lower it" + (", or take a machine with 30 vCPUs or more." if most == 110 else ".")
        yield Mistake(f"{wanted.path}.max-pods", str(wanted.pool.max_pods), accepted, do)


def _labels(wanted: Wanted) -> Iterator[Mistake]:
    pool = wanted.pool
    for key in sorted(pool.labels):
        domain, slash, _ = key.partition("/")
        path = path_text((key,), f"{wanted.path}.labels")
        if slash and domain.endswith(_RESERVED_LABELS) and not domain.endswith("node.kubernetes.io"):
            accepted = "labels outside Kubernetes' and EKS's own domains, which a kubelet may not set"
            yield Mistake(path, key, accepted, "Rename it, such as example.com/team.")
        if len(tags.LABEL + key) > tags.KEY_LIMIT:
            accepted = f"at most {tags.KEY_LIMIT - len(tags.LABEL)} characters: the autoscaler reads it from a tag"
            yield Mistake(path, f"{len(key)} characters", accepted, "Shorten it.")
    if len(pool.labels) + len(pool.taints) > _OWN_TAGS:
        got = f"{len(pool.labels)} labels and {len(pool.taints)} taints"
        accepted = f"at most {_OWN_TAGS} together: the autoscaler reads each from a tag, and a group has 50"
        yield Mistake(f"{wanted.path}.labels", got, accepted, "Remove some.")
    seen = {names.SPOT: "Espalier", **({wanted.accelerator.resource: "Espalier"} if wanted.accelerator else {})}
    for index, taint in enumerate(pool.taints):
        path = f"{wanted.path}.taints[{index}].key"
        if taint.key in seen:
            accepted = "each key once: the autoscaler reads one taint a key from its tags"
            yield Mistake(path, f"{taint.key}, which {seen[taint.key]} sets already", accepted, "Rename or remove it.")
        elif len(tags.TAINT + taint.key) > tags.KEY_LIMIT:
            accepted = f"at most {tags.KEY_LIMIT - len(tags.TAINT)} characters: the autoscaler reads it from a tag"
            yield Mistake(path, f"{len(taint.key)} characters", accepted, "Shorten it.")
        seen.setdefault(taint.key, f"taints[{index}]")


def _release(cluster: Eks, wanted: Wanted) -> Iterator[Mistake]:
    pool = wanted.pool
    if pool.image.release is None or images.family(wanted) != "al2023":
        return
    release = images.RELEASE.fullmatch(pool.image.release)
    version = images.nodes_version(cluster, karpenter=cluster.autoscaler == "karpenter" and not wanted.system)
    if release is None or release["minor"] != version:
        accepted = f"a release of the cluster's version, {version}.x-YYYYMMDD"
        yield Mistake(f"{wanted.path}.image.release", repr(pool.image.release), accepted, "Correct it, or remove it.")


def _karpenter(cluster: Eks, wanted: Wanted) -> Iterator[Mistake]:
    """What Karpenter cannot do that cluster-autoscaler can."""
    pool, other = wanted.pool, "or set espalier:cluster.autoscaler: cluster-autoscaler."
    if cluster.autoscaler != "karpenter" or wanted.system:
        return
    for key, number in (("min", pool.nodes.min), ("start", pool.nodes.start or 0)):
        if number:
            accepted = "0: Karpenter makes nodes for pods, and none before"
            yield Mistake(f"{wanted.path}.nodes.{key}", str(number), accepted, f"Set it to 0, {other}")
    if pool.reservation is not None and pool.reservation.type == "group":
        accepted = "a reservation or a capacity block: Karpenter selects these by their ids"
        yield Mistake(f"{wanted.path}.reservation.type", "group", accepted, f"Name one by its id, {other}")


def _system(cluster: Eks, wanted: Wanted) -> Iterator[Mistake]:
    """What cluster components run on must be there; a cluster that is given has them elsewhere."""
    pool = wanted.pool
    if not wanted.system or cluster.given is not None:
        return
    if set(pool.capacity) - {"on-demand", "reserved"}:
        do = "Set capacity: [on-demand], or mark another pool system."
        accepted = "on-demand or reserved: cluster components run on it, the autoscaler among them"
        yield Mistake(f"{wanted.path}.capacity", ", ".join(pool.capacity), accepted, do)
    if not pool.nodes.min:
        do = "Set nodes.min: 2, so that one node may go."
        accepted = "at least 1: the autoscaler itself runs on it"
        yield Mistake(f"{wanted.path}.nodes.min", "0", accepted, do)
