"""Node pools, as a stack file says them: one block for every cloud, on-prem and the simulator."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from espalier.settings.base import (
    MACHINE_PATTERN,
    MIG_PATTERN,
    TOPOLOGY_PATTERN,
    Bytes,
    Count,
    LabelKey,
    LabelValue,
    Name,
    Strict,
    Text,
    Zone,
    form,
)
from espalier.types import CapacityKind

_DRIVER = form(
    r"^(default|latest|[1-9][0-9]{2}(\.[0-9]{1,3}){0,2})$",
    'default, latest, a branch such as "580", or a version such as "580.95.05"',
)
_DURATION = form(r"^[1-9][0-9]{0,3}(m|h|d)$", "a time, such as 90m, 12h or 7d")


class Shape(Strict):
    """A machine by its size."""

    cpu: Annotated[int, Field(ge=1, le=4096)] = Field(description="vCPUs")
    memory: Bytes = Field(description="memory, as a quantity of bytes")


def _machine_tag(value: Any) -> str:
    return "<shape>" if isinstance(value, dict | Shape) else "<name>"


Machine = Annotated[
    Annotated[Annotated[str, Field(pattern=MACHINE_PATTERN)], Tag("<name>")] | Annotated[Shape, Tag("<shape>")],
    Discriminator(_machine_tag),
]


class Nodes(Strict):
    """How many nodes: at least, at most, and at first."""

    min: Count = Field(default=0, description="nodes that stay when nothing runs")
    max: Annotated[int, Field(ge=1, le=15_000)] = Field(description="nodes at most")
    start: Count | None = Field(default=None, description="nodes made at first; default: min")


class Sharing(Strict):
    """One way, at most, of giving a device to several pods."""

    mig: Annotated[str, Field(pattern=MIG_PATTERN)] | None = Field(
        default=None, description="MIG profile that all devices of the node are cut into"
    )
    time_slices: Annotated[int, Field(ge=2, le=64)] | None = Field(
        default=None, description="pods that take turns on a device, without memory isolation"
    )
    mps: Annotated[int, Field(ge=2, le=48)] | None = Field(
        default=None, description="pods that share a device by NVIDIA's Multi-Process Service"
    )


class Reservation(Strict):
    """Capacity that is reserved already: where `capacity` names reserved, its nodes come from here."""

    id: Text = Field(
        description="AWS: cr-... of a reservation or a capacity block, or the ARN of a resource group of them; "
        "GKE: the reservation's name, or its path; AKS: the capacity reservation group's resource id"
    )
    type: Literal["reservation", "capacity-block", "group", "future"] = Field(
        default="reservation", description="what kind of thing the id names"
    )
    zones: Annotated[tuple[Zone, ...], Field(max_length=6)] = Field(default=(), description="the zones that it is in")


class Flex(Strict):
    """Capacity that starts when there is room, and ends after a time (GKE: flex-start and queued provisioning)."""

    max_run: Annotated[str, Field(pattern=_DURATION)] = Field(
        default="7d", description="time after which a node ends, at most 7d"
    )
    queued: bool = Field(default=False, description="nodes come only for a ProvisioningRequest, all of them at once")


class Image(Strict):
    """The operating system of a node."""

    os: Literal["al2023", "bottlerocket", "ubuntu", "cos", "azure-linux", "talos"] | None = Field(
        default=None,
        description="family; default: al2023 on EKS, cos on GKE, ubuntu on AKS. On an existing cluster, what its nodes "
        "run, where that matters: talos",
    )
    release: Text | None = Field(
        default=None,
        description="release of the cloud's image, the image's id (ami-...) of ubuntu on EKS; "
        "default: the newest of the cluster's version",
    )


class Driver(Strict):
    """The driver of the pool's accelerator, and what containers need to reach it."""

    owner: Literal["cloud", "operator", "host"] | None = Field(
        default=None,
        description="who installs it: the cloud's image or installer, an operator in the cluster, or the host's owner; "
        "default: cloud",
    )
    version: Annotated[str, Field(pattern=_DRIVER)] | None = Field(
        default=None, description="which driver; default: its owner's own"
    )
    toolkit: Literal["operator", "host"] | None = Field(
        default=None,
        description="who brings NVIDIA's container toolkit: an operator, or the host's owner; default: the cloud's "
        "image holds it, elsewhere an operator's where there is one",
    )


class Disk(Strict):
    """A node's boot disk; always encrypted."""

    size: Bytes | None = Field(default=None, description="its size; default: 100Gi, 200Gi with an accelerator")
    type: Text | None = Field(default=None, description="as its cloud spells it, such as gp3, pd-balanced or Managed")
    iops: Annotated[int, Field(ge=100, le=1_000_000)] | None = Field(default=None, description="operations a second")
    throughput: Annotated[int, Field(ge=125, le=100_000)] | None = Field(default=None, description="MiB/s")


class Preload(Strict):
    """Container images that a node has when it starts."""

    snapshot: Text | None = Field(
        default=None, description="EBS snapshot (EKS) or disk image (GKE: secondary boot disk) that holds them"
    )
    streaming: bool = Field(default=False, description="images are read while they run (GKE image streaming)")


class TaintSetting(Strict):
    """A taint of one's own, besides those that Espalier gives."""

    key: LabelKey = Field(description="its key")
    value: LabelValue = Field(default="", description="its value")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        default="NoSchedule", description="what it does to pods that do not tolerate it"
    )


class Pool(Strict):
    """A node pool: one block for every cloud, on-prem and the simulator."""

    name: Name = Field(description="the pool's name; its nodes carry it as a label")
    accelerator: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None, description="a name of the catalogue, such as H100-80"
    )
    count: Annotated[int, Field(ge=1, le=64)] | None = Field(default=None, description="devices a node")
    machine: Machine | None = Field(default=None, description="a shape, or a machine type's name")
    topology: Annotated[str, Field(pattern=TOPOLOGY_PATTERN)] | None = Field(
        default=None, description="TPU slice topology, such as 4x4"
    )
    nodes: Nodes = Field(description="how many nodes")
    capacity: Annotated[tuple[CapacityKind, ...], Field(min_length=1, max_length=4)] = Field(
        default=("on-demand",), description="kinds of capacity, in order of preference"
    )
    sharing: Sharing | None = Field(default=None, description="how several pods share a device; default: they do not")
    labels: dict[LabelKey, LabelValue] = Field(default={}, description="further labels of the nodes")
    taints: Annotated[tuple[TaintSetting, ...], Field(max_length=20)] = Field(
        default=(), description="further taints of the nodes"
    )
    system: bool = Field(
        default=False,
        description="the pool that cluster components run on; default: the first pool without an accelerator",
    )
    machines: (
        Annotated[tuple[Annotated[str, Field(pattern=MACHINE_PATTERN)], ...], Field(min_length=1, max_length=20)] | None
    ) = Field(default=None, description="further machine types of the same size that spot capacity may take instead")
    zones: Annotated[tuple[Zone, ...], Field(min_length=1, max_length=6)] | None = Field(
        default=None, description="zones of its nodes; default: the cluster's, or the reservation's"
    )
    placement: Literal["compact", "spread"] | None = Field(
        default=None,
        description="compact: close together, in one zone; default: compact where the machine has a fast network",
    )
    fabric: bool | None = Field(
        default=None, description="the machine's fast network (EFA, GPUDirect, InfiniBand); default: where it has one"
    )
    reservation: Reservation | None = Field(default=None, description="what reserved capacity is taken from")
    flex: Flex | None = Field(default=None, description="how flex capacity is asked for")
    image: Image = Field(default_factory=Image, description="the nodes' operating system")
    driver: Driver = Field(default_factory=Driver, description="the driver of its accelerator")
    disk: Disk = Field(default_factory=Disk, description="the nodes' boot disk")
    local_disks: Literal["ephemeral", "raw", "unused"] = Field(
        default="ephemeral",
        description="the machine's own NVMe disks: for pods' ephemeral storage and images, raw for others, or unused",
    )
    preload: Preload | None = Field(default=None, description="container images that a node has when it starts")
    max_pods: Annotated[int, Field(ge=8, le=256)] | None = Field(
        default=None, description="pods a node; default: the cloud's"
    )
    surge: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None,
        description="nodes more than it has that an upgrade may take; default: 1, 0 where capacity is reserved",
    )
    repair: bool = Field(default=True, description="the cloud replaces nodes that are not healthy")
    tenants: Annotated[tuple[Name, ...], Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="the tenants that alone may use it; default: all"
    )
    readiness: bool | None = Field(
        default=None,
        description="new nodes take no work until all their devices are there; default: true where the add-on warden "
        "opens them and the autoscaler knows that they wait",
    )
