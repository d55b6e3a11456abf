"""What an Azure subscription and region answered, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from espalier.preflight.model import NotAsked
from espalier.preflight.parts import Part


@dataclass(frozen=True, slots=True)
class Usage:
    """A regional quota in vCPUs."""

    title: str
    limit: int
    used: int


@dataclass(frozen=True, slots=True)
class Size:
    """A VM size in the region. `zones` without those that the subscription may not use."""

    family: str
    zones: frozenset[str]
    refused: str
    """Why the subscription may not use it here at all, "" where it may."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """A member of a capacity reservation group."""

    size: str
    count: int
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Running:
    """A cluster of the wanted name. `pools`: agent pool -> version."""

    version: str
    tags: Mapping[str, str]
    pools: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a role grants: action patterns, and those that it takes out."""

    actions: tuple[str, ...]
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All answers; one that was not given says why."""

    subscription: str
    usages: Mapping[str, Usage] | NotAsked
    """Name in lower case -> quota: a family of sizes, `cores` for all, `lowprioritycores` for spot."""
    sizes: Mapping[str, Size] | NotAsked
    reservations: Mapping[str, tuple[Reserved, ...] | NotAsked | None]
    """Id of a capacity reservation group -> its members, None where it is not there."""
    group: bool | NotAsked
    """Whether the resource group is there."""
    allowed: tuple[Allowed, ...] | NotAsked
    cluster: Running | NotAsked | None
    subnets: Mapping[str, int | NotAsked | None]
    """Subnet that the stack names -> free addresses."""
    encryption_sets: Mapping[str, bool | NotAsked]
    """Disk encryption set that the stack names -> whether it is there."""
    versions: Mapping[str, bool] | NotAsked
    """Kubernetes minor -> whether it is a preview."""
    parts: tuple[Part, ...] = ()
    """Buckets, registries and the private zone of the stack."""
