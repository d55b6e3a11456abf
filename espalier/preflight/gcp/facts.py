"""What a Google Cloud project and region answered, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from espalier.preflight.model import NotAsked
from espalier.preflight.parts import Part


@dataclass(frozen=True, slots=True)
class Quota:
    """A regional quota: vCPUs, devices, GB or pieces."""

    limit: float
    usage: float


@dataclass(frozen=True, slots=True)
class Reserved:
    """A reservation in a zone. `accelerators`: type -> devices a machine that are added to its own."""

    machine: str
    zone: str
    count: int
    used: int
    status: str
    specific: bool
    """Only who names it may use it."""


@dataclass(frozen=True, slots=True)
class Running:
    """A cluster of the wanted name. `pools`: node pool -> version."""

    version: str
    labels: Mapping[str, str]
    pools: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All answers; one that was not given says why."""

    caller: str
    project: str | NotAsked
    """The project's state, such as ACTIVE."""
    apis: frozenset[str] | NotAsked
    """APIs that are on."""
    lacking: tuple[str, ...] | NotAsked
    """Permissions that the caller does not have."""
    quotas: Mapping[str, Quota] | NotAsked
    machines: Mapping[str, frozenset[str]] | NotAsked
    """Machine type -> zones that have it."""
    accelerators: Mapping[str, frozenset[str]] | NotAsked
    """Accelerator type -> zones that have it."""
    reservations: Mapping[str, Reserved | None] | NotAsked
    cluster: Running | NotAsked | None
    taken: Mapping[str, NotAsked | None]
    """What has a name that the program gives, None where it is just there: `network NAME`, `service account ID` or
    `key ring NAME`."""
    network: Mapping[str, str | NotAsked | None]
    """`network ID` and `subnetwork NAME` that the stack names -> what it is, None where it is not there."""
    keys: Mapping[str, str | NotAsked | None]
    """Key that the stack names -> state of its primary version."""
    versions: Mapping[str, tuple[str, ...]] | NotAsked
    """Release channel in lower case -> versions that it has."""
    parts: tuple[Part, ...] = ()
    """Buckets, registries and the private zone of the stack."""
