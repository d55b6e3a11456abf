"""The catalogue's rows as frozen values, as every reader of the catalogue gets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Final, Literal

from espalier.types import CapacityKind

Cloud = Literal["aws", "gcp", "azure", "onprem"]
CLOUDS: Final[tuple[Cloud, ...]] = ("aws", "gcp", "azure", "onprem")
"""In the order in which people read them."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row's facts come from and of which day they are.

    `unverified` names the columns that no second source confirmed; "all" is the whole row.
    """

    source: str
    date: str
    unverified: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        return not self.unverified


@dataclass(frozen=True, slots=True)
class MigProfile:
    """A way of cutting an NVIDIA device. `memory_gib` as NVIDIA writes it, rounded up; `count` is at most a device."""

    name: str
    slices: int
    memory_slices: int
    memory_gib: int
    count: int


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A device model. Memory in GiB; `host_*` is what comes with one device on the reference machine."""

    name: str
    vendor: str
    resource: str
    """The extended resource that its device plugin advertises when nothing is shared."""
    memory_gib: int
    cores: int
    """NeuronCores a device; 0 for what has none."""
    per_node: int
    host_cpu: int
    host_memory_gib: int
    reference: str
    """The machine that a pool gets which names no other."""
    mig_slices: tuple[int, int]
    """Compute and memory slices of a device; (0, 0) for what has no MIG."""
    profiles: tuple[MigProfile, ...]
    topologies: Mapping[str, int]
    """TPU slice topology -> hosts of the reference machine, smallest first; empty for what is not a TPU."""
    labels: Mapping[str, str]
    origin: Origin

    @property
    def mig(self) -> Mapping[str, int]:
        """Instances a device where all of it is cut by one profile."""
        return {profile.name: profile.count for profile in self.profiles}

    @property
    def topology_words(self) -> str:
        """What topologies are taken: all of a short list, else the small ones and the largest."""
        return words(tuple(self.topologies))


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine type of a cloud, or of a site of one's own. None is unknown, never zero.

    `memory_gib` in GiB, `local_disk_gb` in GB (10^9 bytes) of all local disks, `network_gbps` in Gbit/s of all
    interfaces, `efa` in interfaces; `network_cards` is what EFA interfaces are spread over.
    """

    name: str
    cloud: Cloud
    accelerator: str
    """The accelerator that it comes with, "" for none."""
    devices: int
    attachable: Mapping[str, tuple[int, ...]]
    """Accelerators that can be added, with the numbers that can be."""
    cloud_accelerator: str
    """The cloud's own name of the accelerator, as its node pools and labels spell it."""
    vcpu: int
    memory_gib: float
    architecture: Literal["amd64", "arm64"]
    local_disk_gb: float | None
    network_gbps: float | None
    network_cards: int | None
    efa: int | None
    infiniband: bool
    topologies: Mapping[str, int]
    """TPU slice topology -> hosts of this machine."""
    capacity: tuple[CapacityKind, ...]
    """The ways in which the cloud sells it."""
    retired: str
    """The day from which the cloud no longer offers it, "" for none."""
    note: str
    origin: Origin

    def counts(self, accelerator: str) -> tuple[int, ...]:
        """The numbers of `accelerator` that a node of this machine can have."""
        return (self.devices,) if self.accelerator == accelerator else self.attachable.get(accelerator, ())


@dataclass(frozen=True, slots=True)
class ListPrice:
    """What a machine costs an hour by a cloud's list, USD."""

    per_hour: float
    origin: Origin


def chips(topology: str) -> int:
    """Chips of a TPU slice: the product of its sides."""
    return prod(int(side) for side in topology.split("x"))


def words(topologies: tuple[str, ...], shown: int = 8) -> str:
    """A list that a line holds."""
    if len(topologies) <= shown + 1:
        return ", ".join(topologies)
    return f"{', '.join(topologies[:shown])}, ... {topologies[-1]} ({len(topologies)} in all)"
