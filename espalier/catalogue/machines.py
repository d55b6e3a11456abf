"""Machines and list prices as frozen values; a plan that names no machine never imports them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from espalier.catalogue.model import Busbw, Cloud, Origin
from espalier.types import CapacityKind


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
    busbw: Busbw | None
    """What its devices are known to reach together; None where nobody has published it."""
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
