"""What an AWS account and region answered, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from espalier.preflight.model import NotAsked
from espalier.preflight.parts import Part


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota as Service Quotas tells it. `value` in vCPUs, or in pieces."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance that runs or starts now, not of the stack's own cluster."""

    type: str
    spot: bool
    vcpu: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """A capacity reservation. `ends` is None for one without an end."""

    type: str
    zone: str
    total: int
    available: int
    state: str
    block: bool
    """Whether it is a capacity block."""
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """A cluster of the wanted name. `groups`: node group -> Kubernetes version."""

    version: str
    tags: Mapping[str, str]
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet that the stack names. `public`: it has a route to an internet gateway."""

    vpc: str
    zone: str
    free: int
    public: bool


@dataclass(frozen=True, slots=True)
class Denied:
    """An action that the caller may not do. `explicit`: a policy forbids it; `unsure`: conditions were not known."""

    action: str
    explicit: bool
    unsure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All answers; one that was not given says why."""

    account: str
    caller: str
    """ARN of who asks."""
    now: datetime
    quotas: Mapping[tuple[str, str], Quota] | NotAsked
    """(service, code) -> quota."""
    running: tuple[Machine, ...] | NotAsked
    addresses: int | NotAsked
    """Elastic IPs that are there."""
    networks: int | NotAsked
    """VPCs that are there."""
    offered: Mapping[str, frozenset[str]] | NotAsked
    """Instance type -> zones of the region that have it."""
    reservations: Mapping[str, Reserved | None] | NotAsked
    """Id -> reservation, None for one that is not there."""
    groups: Mapping[str, tuple[Reserved, ...] | NotAsked | None] = field(
        default_factory=dict[str, "tuple[Reserved, ...] | NotAsked | None"]
    )
    """ARN of a resource group of reservations -> its members, None where it is not there."""
    denied: tuple[Denied, ...] | NotAsked
    cluster: Running | NotAsked | None
    taken: Mapping[str, Mapping[str, str] | NotAsked]
    """`role NAME` or `log group NAME` that is there already -> its tags."""
    vpc: str | NotAsked | None
    """The given VPC's state, None where it is not there; "" where none is given."""
    subnets: Mapping[str, Subnet | None] | NotAsked
    keys: Mapping[str, str | NotAsked]
    """KMS key that the stack names -> its state, "" for one that is not there."""
    roles: Mapping[str, bool | NotAsked]
    """ARN of a role that the stack names -> whether it is there."""
    named: Mapping[str, bool | NotAsked]
    """`policy ARN` or `file system ID` that the stack names -> whether it is there."""
    versions: Mapping[str, str] | NotAsked
    """Kubernetes minor -> how EKS supports it (STANDARD_SUPPORT, EXTENDED_SUPPORT)."""
    images: Mapping[str, str | NotAsked | None]
    """SSM parameter of a node image -> its value, None for none."""
    parts: tuple[Part, ...] = ()
    """Buckets, registries and the private zone of the stack."""
