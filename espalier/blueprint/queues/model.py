"""Queues, decided: what may be used where, and by whom. Plain data that each queueing system's objects come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from espalier.types import CapacityKind, Planned, Proof, Taint

SYSTEMS: Final = ("kueue", "kai-scheduler", "volcano")
"""Add-ons that bring a queueing system; a stack has one of them at most."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """Nodes that a queue tells apart: a pool's of one kind of capacity, or the whole pool's (`kind` is "" then)."""

    name: str
    pool: str
    kind: CapacityKind | Literal[""]
    labels: Mapping[str, str]
    """Labels that its nodes have and no other flavour's: a pod that is admitted selects by them."""
    taints: tuple[Taint, ...]
    devices: Mapping[str, int]
    """Devices with all its nodes."""
    unit: int = 1
    """Devices that are used together or not at all: those of a TPU slice over several nodes."""
    kinds: tuple[CapacityKind, ...] = ()
    """The kinds of capacity that its nodes are of."""
    topology: tuple[str, ...] = ()
    """Labels of its nodes from the widest to the closest, where work may ask for nodes close together."""
    queued: str = ""
    """The class of ProvisioningRequest that its nodes come for; "" where they come for pods."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a tenant has of a device. `own` is its by right; `ceiling` is its quota and what it may borrow beyond it."""

    device: str
    quota: int
    own: int
    ceiling: int
    lend: int
    """How many of `own` others may use while it leaves them idle."""
    flavours: Mapping[str, int]
    """Of `own`, how many of each flavour that the tenant may use; where several hold the device, `own` bounds their
    sum."""
    caps: Mapping[str, int] = field(default_factory=dict[str, int])
    """At most of each flavour, its own and borrowed, where the quota bounds a kind of capacity."""


@dataclass(frozen=True, slots=True)
class TenantQueues:
    """A tenant's place: its shares by device, in the order of the devices' names."""

    name: str
    namespaces: tuple[str, ...]
    weight: int
    cpu: int
    """vCPUs of its quota."""
    memory: str
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    """Devices that no tenant has by right, and all that may borrow can use: of all nodes, and of each flavour."""

    device: str
    total: int
    flavours: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Shared:
    """All queues of a stack, whichever system serves them."""

    borrowing: bool
    preemption: Literal["never", "reclaim", "priority"]
    flavours: tuple[Flavour, ...]
    """In the order in which they are tried: the pools' order, and within a pool that of its capacity."""
    tenants: tuple[TenantQueues, ...]
    idle: tuple[Idle, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        return tuple(one.device for one in self.idle)

    def holding(self, device: str) -> tuple[Flavour, ...]:
        """The flavours that hold the device."""
        return tuple(flavour for flavour in self.flavours if device in flavour.devices)


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """The queues with the objects of their system, and what was proven of them."""

    system: str
    shared: Shared
    objects: tuple[Planned, ...]
    """In the order of their needs; they come after the system's add-on and the tenants."""
    proofs: tuple[Proof, ...] = ()
    notes: Sequence[str] = field(default=())
