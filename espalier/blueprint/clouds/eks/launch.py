"""The launch template of a node group: disks, network interfaces, reservation, and what the node is told at start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Literal

from espalier.blueprint.clouds.eks.images import family
from espalier.blueprint.clouds.model import Wanted
from espalier.quantity import parse_quantity
from espalier.settings.pool import Pool
from espalier.types import CapacityKind

GIB: Final = 2**30
HOP_LIMIT: Final = 2
"""The instance metadata service answers over two hops: agents of the cloud that run in pods (CNI, CSI drivers, the
autoscaler) ask it for region and zone. Version 2 alone is answered, so a pod that is tricked into sending one plain
request gets no credential."""
PODS: Final = 110
"""Pods a node where a pool names no number: the kubelet's default, and what cluster-autoscaler takes every template
to hold (cloudprovider/aws/aws_manager.go, buildNodeFromTemplate)."""
JOINED: Final = 4
"""From so many EFA interfaces on, a machine is made for work across nodes, and its pool uses them by itself."""
HUGE_PAGES: Final = 5128 * 2 * 2**20
"""Bytes of 2 MiB pages that EKS's accelerated images set aside where EFA is used (EKS user guide, ml/node-efa)."""
_BOUNDARY: Final = "espalier-node-config"
_MOUNT = """#!/bin/bash
set -euo pipefail
mkdir -p /var/lib/containerd
mount -o noatime,discard /dev/xvdb /var/lib/containerd
"""
"""Runs before the kubelet and containerd start: nodeadm's run phase follows cloud-init's scripts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """An EBS volume of the node, always encrypted. `size_gib` None is the size of its image or snapshot."""

    device: str
    size_gib: int | None = None
    type: str = "gp3"
    iops: int | None = None
    throughput: int | None = None
    """MiB/s, gp3 alone."""
    snapshot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A network interface: `efa` carries addresses, too; `efa-only` carries none."""

    card: int
    device: int
    type: Literal["interface", "efa", "efa-only"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchTemplate:
    """What EC2 starts for a node group. EKS adds the image, the role and its own part of the user data."""

    volumes: tuple[Volume, ...]
    interfaces: tuple[Interface, ...]
    """Empty where the one that EC2 makes by itself is enough."""
    placement: Literal["cluster", "spread"] | None
    reservation: str | None
    """Id of a capacity reservation or of a capacity block."""
    reservation_group: str | None
    """ARN of a resource group of reservations."""
    instance_type: str | None
    """Only for a capacity block, whose node group must not name one."""
    market: Literal["capacity-block"] | None
    user_data: str
    """Plain text; the API takes it in base64."""
    image: str | None = None
    """Id of an image that EKS knows nothing of: the node joins by its user data alone, which names the API then."""


def fabric(wanted: Wanted) -> bool:
    """Whether the nodes use EFA: as the pool says, else where the machine is made for work across nodes."""
    said = wanted.pool.fabric
    return (wanted.machine.efa or 0) >= JOINED if said is None else said and bool(wanted.machine.efa)


def placement(wanted: Wanted, kind: CapacityKind) -> Literal["cluster", "spread"] | None:
    """The strategy of the group's placement group: close together where EFA joins the nodes.

    None for reserved capacity, whose place was settled when it was reserved: a capacity block's machines stand close
    together by themselves, and another reservation's can join no placement group that it was not made in.
    """
    said = wanted.pool.placement
    if kind == "reserved":
        return None
    if said == "compact" or (said is None and fabric(wanted)):
        return "cluster"
    return "spread" if said == "spread" else None


def one_zone(wanted: Wanted) -> bool:
    """Whether all nodes of a group must stand in one zone: EFA and placement close together do not cross zones."""
    return fabric(wanted) or wanted.pool.placement == "compact"


def interfaces(wanted: Wanted) -> tuple[Interface, ...]:
    """One interface a network card. Where the first card has no EFA it carries the addresses alone.

    Source: EKS user guide, ml/node-efa: card 0 `efa` at device 0, all others `efa-only` at device 1, which need no
    addresses (VPC CNI 1.18.5 or later).
    """
    if not fabric(wanted):
        return ()
    efa = wanted.machine.efa or 0
    cards = max(wanted.machine.network_cards or efa, 1)
    first = Interface(card=0, device=0, type="efa" if efa >= cards else "interface")
    return (first, *(Interface(card=card, device=1, type="efa-only") for card in range(1, cards)))


def huge_pages(wanted: Wanted) -> int:
    """Bytes of 2 MiB pages that a node sets aside; its memory for pods is less by them."""
    return HUGE_PAGES if fabric(wanted) and wanted.accelerator is not None and family(wanted) == "al2023" else 0


def disk_gib(pool: Pool) -> int:
    """Size of the node's own volume in GiB."""
    if pool.disk.size is None:
        return 200 if pool.accelerator else 100
    return ceil(parse_quantity(pool.disk.size) / GIB)


def storage_gib(wanted: Wanted) -> int:
    """Ephemeral storage of a node in GiB: its local disks as one array, less a twentieth for the file system."""
    local = wanted.machine.local_disk_gb or 0
    if not array(wanted):
        return disk_gib(wanted.pool)
    return int(local * 1e9 / GIB * 0.95)


def template_of(wanted: Wanted, kind: CapacityKind) -> LaunchTemplate:
    """The launch template of one kind of capacity of a pool."""
    held = wanted.pool.reservation if kind == "reserved" else None
    block = held is not None and held.type == "capacity-block"
    return LaunchTemplate(
        volumes=_volumes(wanted),
        interfaces=interfaces(wanted),
        placement=placement(wanted, kind),
        reservation=held.id if held and held.type != "group" else None,
        reservation_group=held.id if held and held.type == "group" else None,
        instance_type=wanted.machine.name if block else None,
        market="capacity-block" if block else None,
        user_data=_bottlerocket(wanted) if family(wanted) == "bottlerocket" else _al2023(wanted),
    )


def _volumes(wanted: Wanted) -> tuple[Volume, ...]:
    """Bottlerocket keeps its images and logs on the second volume, AL2023 on the first (or on a snapshot's)."""
    disk = wanted.pool.disk
    snapshot = wanted.pool.preload.snapshot if wanted.pool.preload else None
    own = Volume(
        device="/dev/sda1" if family(wanted) == "ubuntu" else "/dev/xvda",
        size_gib=disk_gib(wanted.pool),
        type=disk.type or "gp3",
        iops=disk.iops,
        throughput=disk.throughput,
    )
    if family(wanted) != "bottlerocket":
        return (own, Volume(device="/dev/xvdb", snapshot=snapshot)) if snapshot else (own,)
    data = Volume(
        device="/dev/xvdb",
        size_gib=own.size_gib,
        type=own.type,
        iops=own.iops,
        throughput=own.throughput,
        snapshot=snapshot,
    )
    return Volume(device="/dev/xvda"), data


def array(wanted: Wanted) -> bool:
    """Whether the machine's own disks become one file system for images and ephemeral storage."""
    if family(wanted) == "ubuntu":
        return False
    return wanted.pool.local_disks == "ephemeral" and bool(wanted.machine.local_disk_gb)


def _al2023(wanted: Wanted) -> str:
    """nodeadm's configuration, which EKS merges with its own (amazon-eks-ami, nodeadm/doc/api)."""
    snapshot = wanted.pool.preload.snapshot if wanted.pool.preload else None
    spec: dict[str, Any] = {"kubelet": {"config": {"maxPods": wanted.pool.max_pods or PODS}}}
    if array(wanted):
        # The snapshot's volume is where containerd keeps its images; the array must not be mounted over it.
        storage = {"strategy": "RAID0"} | ({"disabledMounts": ["Containerd"]} if snapshot else {})
        spec["instance"] = {"localStorage": storage}
    config = {"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": spec}
    # JSON is YAML: no part of it can be read in two ways.
    parts = [("application/node.eks.aws", json.dumps(config, indent=2, sort_keys=True))]
    if snapshot:
        parts.append(("text/x-shellscript", _MOUNT))
    body = "".join(f"--{_BOUNDARY}\nContent-Type: {kind}\n\n{text.rstrip()}\n\n" for kind, text in parts)
    return f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{_BOUNDARY}"\n\n{body}--{_BOUNDARY}--\n'


def _bottlerocket(wanted: Wanted) -> str:
    """Bottlerocket's settings in TOML (bottlerocket.dev, settings.kubernetes and settings.bootstrap-commands)."""
    settings: list[tuple[str, Mapping[str, Any]]] = [
        ("settings.kubernetes", {"max-pods": wanted.pool.max_pods or PODS}),
    ]
    if array(wanted):
        bind = ["apiclient", "ephemeral-storage", "bind", "--dirs"]
        commands = [
            ["apiclient", "ephemeral-storage", "init"],
            [*bind, "/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods"],
        ]
        setup = {"commands": commands, "essential": True, "mode": "always"}
        settings.append(("settings.bootstrap-commands.local-disks", setup))
    # Numbers, booleans and lists of strings are written alike in JSON and TOML.
    return "\n".join(
        f"[{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        for table, values in settings
    )
