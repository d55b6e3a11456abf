"""The tenant block: a team, who is in it, its namespaces, and what holds it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from espalier.settings.base import (
    REGISTRY_PATTERN,
    Bytes,
    Count,
    DeviceName,
    GroupName,
    Money,
    Name,
    Region,
    Strict,
    form,
)
from espalier.settings.pool import CapacityKind
from espalier.settings.queues import TenantQueue
from espalier.settings.tenant_parts import CLASS_PATTERN, Exposure, SharedVolume, TenantBucket, TenantSecret

_IDLE_PATTERN = form(r"^[1-9][0-9]{0,3}[mhd]$", "a time, such as 30m, 2h or 1d")
_PERSON_PATTERN = form(
    r"^\S(.*\S)?$",
    "a person of the identity provider, such as ana@example.com, and none of the cluster's own (system:, eks:)",
)

COUNTED: Final = (
    "configmaps",
    "count/cronjobs.batch",
    "count/deployments.apps",
    "count/jobs.batch",
    "count/statefulsets.apps",
    "persistentvolumeclaims",
    "pods",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
)
"""What a ResourceQuota counts. An add-on's own kinds are not among them: a quota on these refuses every create where
nobody counts them."""
_COUNTED_PATTERN = form(
    f"^({'|'.join(COUNTED).replace('.', '[.]')})$", f"what a ResourceQuota counts: {', '.join(COUNTED)}"
)


def _a_person(name: str) -> str:
    if name.startswith(("system:", "eks:")):
        raise PydanticCustomError(
            "person", "a person of the identity provider; names that start with system: or eks: are the cluster's own"
        )
    return name


PersonName = Annotated[str, Field(min_length=1, max_length=256, pattern=_PERSON_PATTERN), AfterValidator(_a_person)]


class Groups(Strict):
    """Groups of the identity provider by the role that they have in the tenant's namespaces."""

    view: tuple[GroupName, ...] = Field(default=(), description="groups that may read, without Secrets")
    edit: tuple[GroupName, ...] = Field(default=(), description="groups that may run workloads")
    admin: tuple[GroupName, ...] = Field(
        default=(), description="groups that may also manage service accounts and see who has which role"
    )


class CapacityQuota(Strict):
    """Devices by kind of capacity, within the quota's devices; those that are not named are not bounded by kind."""

    spot: dict[DeviceName, Count] = Field(default={}, description="devices on nodes that may be taken back")
    on_demand: dict[DeviceName, Count] = Field(
        default={}, description="devices on all other nodes: on-demand, reserved and flex"
    )


class Quota(Strict):
    """What a tenant may ask for at one time, as sums of requests."""

    devices: dict[DeviceName, Count] = Field(default={}, description="devices by resource name")
    capacity: CapacityQuota | None = Field(
        default=None,
        description="how many of the devices may be on spot nodes, and how many on others; default: all on any",
    )
    cpu: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(default=None, description="vCPUs")
    memory: Bytes | None = Field(default=None, description="memory, as a quantity of bytes")
    storage: Bytes | None = Field(default=None, description="sum of volume claims, as a quantity of bytes")
    storage_classes: dict[Annotated[str, Field(pattern=CLASS_PATTERN)], Bytes] = Field(
        default={}, description="sum of volume claims of a StorageClass, by its name; within `storage`"
    )
    objects: dict[Annotated[str, Field(pattern=_COUNTED_PATTERN)], Count] = Field(
        default={}, description="objects by what a ResourceQuota counts; default: no load balancers, no node ports"
    )


class Workspace(Strict):
    """A namespace of the tenant with a share of its quota."""

    name: Name = Field(description="the namespace's name within the tenant")
    quota: Quota | None = Field(default=None, description="its share of the tenant's quota")
    groups: Groups | None = Field(
        default=None, description="who may do what in it, in place of the tenant's groups; default: these"
    )
    owners: Annotated[tuple[PersonName, ...], Field(max_length=100)] = Field(
        default=(), description="people who have the role admin in it alone"
    )


class TenantIdle(Strict):
    """What becomes of the tenant's notebooks and servers that leave their devices idle; `warden` looks after it."""

    after: Annotated[str, Field(pattern=_IDLE_PATTERN)] = Field(description="how long a device must be idle")
    action: Literal["report", "stop"] = Field(default="report", description="told of, or stopped")


class TenantPlacement(Strict):
    """Where the tenant's data and work may be: a stack elsewhere refuses the tenant."""

    clusters: (
        Annotated[
            tuple[Literal["eks", "gke", "aks", "onprem", "existing", "simulated"], ...],
            Field(min_length=1, max_length=6),
        ]
        | None
    ) = Field(default=None, description="kinds of clusters; default: any")
    regions: Annotated[tuple[Region, ...], Field(min_length=1, max_length=50)] | None = Field(
        default=None, description="regions of clouds; default: any"
    )


def _workspace_tag(value: Any) -> str:
    return "<workspace>" if isinstance(value, dict | Workspace) else "<name>"


class Tenant(Strict):
    """A team: its groups, its namespaces, its ceiling."""

    name: Name = Field(description="the tenant's name, and the start of its namespaces' names")
    groups: Groups = Field(default_factory=Groups, description="who may do what in its namespaces")
    owners: Annotated[tuple[PersonName, ...], Field(max_length=100)] = Field(
        default=(), description="people who have the role admin in all its namespaces"
    )
    workspaces: Annotated[
        tuple[
            Annotated[
                Annotated[Name, Tag("<name>")] | Annotated[Workspace, Tag("<workspace>")],
                Discriminator(_workspace_tag),
            ],
            ...,
        ],
        Field(min_length=1, max_length=50),
    ] = Field(
        default=("team",),
        description="its namespaces: <tenant> for one, <tenant>-<workspace> for several, each with its quota then",
    )
    quota: Quota = Field(default_factory=Quota, description="what it may ask for at one time")
    budget: Money | None = Field(
        default=None,
        description="USD a month that its quota may cost at the dearest: a quota that may cost more is refused",
    )
    pools: Annotated[tuple[Name, ...], Field(max_length=200)] | None = Field(
        default=None, description="pools with an accelerator that it may use; default: all"
    )
    capacity: Annotated[tuple[CapacityKind, ...], Field(min_length=1, max_length=4)] | None = Field(
        default=None, description="kinds of capacity that it may use; default: all"
    )
    placement: TenantPlacement | None = Field(default=None, description="where its data and work may be")
    priority: Literal["batch", "interactive", "serving"] = Field(
        default="serving", description="the highest of Espalier's priority classes that its pods may have"
    )
    registries: (
        Annotated[
            tuple[Annotated[str, Field(pattern=REGISTRY_PATTERN, max_length=255)], ...],
            Field(min_length=1, max_length=50),
        ]
        | None
    ) = Field(default=None, description="registries with their paths that its images come from; default: any")
    secrets: Annotated[tuple[TenantSecret, ...], Field(max_length=50)] = Field(
        default=(), description="Secrets by reference, fetched by the add-on external-secrets; default: none"
    )
    pull_secrets: Annotated[tuple[TenantSecret, ...], Field(max_length=20)] = Field(
        default=(),
        description="credentials of registries by reference, fetched likewise; pods use them without naming them",
    )
    shared_volume: SharedVolume | None = Field(
        default=None, description="a volume that many pods write at once; default: none"
    )
    bucket: TenantBucket | None = Field(default=None, description="its part of a bucket; default: none")
    exposure: Exposure | None = Field(
        default=None, description="host names that it may serve by; default: none, so that nothing is exposed"
    )
    idle: TenantIdle | None = Field(
        default=None, description="what becomes of idle notebooks and servers; default: as the add-on warden says"
    )
    pod_security: Literal["baseline", "restricted"] = Field(
        default="baseline",
        description="the Pod Security level that is enforced; restricted is warned of and audited anyway",
    )
    queue: TenantQueue = Field(default_factory=TenantQueue, description="its place among others that wait for devices")
