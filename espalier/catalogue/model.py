"""What a plan needs of the catalogue: accelerators, as frozen values. Machines are in `machines`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Final, Literal

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
class Busbw:
    """What an all-reduce over all devices is known to reach: bus bandwidth in GB/s (10^9 bytes), as NVIDIA's nccl-tests
    define it (doc/PERFORMANCE.md). `node` is of one node's devices, `nodes` of two nodes'. None is unknown."""

    node: float | None
    nodes: float | None
    origin: Origin


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


def chips(topology: str) -> int:
    """Chips of a TPU slice: the product of its sides."""
    return prod(int(side) for side in topology.split("x"))


def words(topologies: tuple[str, ...], shown: int = 8) -> str:
    """A list that a line holds."""
    if len(topologies) <= shown + 1:
        return ", ".join(topologies)
    return f"{', '.join(topologies[:shown])}, ... {topologies[-1]} ({len(topologies)} in all)"
