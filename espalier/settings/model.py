"""The shape of a stack file: frozen models that refuse what they do not know.

`Settings` is the mapping under `config:` with the `espalier:` prefix taken off. The same models give editors their JSON
Schema and docs their table: a description says what a key is for, `base.FORMS` what its text looks like.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from espalier.settings.base import (
    REGISTRY_PATTERN,
    Bytes,
    Count,
    Day,
    DeviceName,
    GroupName,
    Money,
    Name,
    Strict,
    form,
)
from espalier.settings.clusters import Cluster
from espalier.settings.pool import Pool
from espalier.settings.queues import Queues, TenantQueue

_IDLE_PATTERN = form(r"^[1-9][0-9]{0,3}[mhd]$", "a time, such as 30m, 2h or 1d")


class Groups(Strict):
    """Groups of the identity provider by the role that they have in the tenant's namespaces."""

    view: tuple[GroupName, ...] = Field(default=(), description="groups that may read, without Secrets")
    edit: tuple[GroupName, ...] = Field(default=(), description="groups that may run workloads")
    admin: tuple[GroupName, ...] = Field(
        default=(), description="groups that may also manage service accounts and see who has which role"
    )


class Quota(Strict):
    """What a tenant may ask for at one time, as sums of requests."""

    devices: dict[DeviceName, Count] = Field(default={}, description="devices by resource name")
    cpu: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(default=None, description="vCPUs")
    memory: Bytes | None = Field(default=None, description="memory, as a quantity of bytes")
    storage: Bytes | None = Field(default=None, description="sum of volume claims, as a quantity of bytes")


class Workspace(Strict):
    """A namespace of the tenant with a share of its quota."""

    name: Name = Field(description="the namespace's name within the tenant")
    quota: Quota | None = Field(default=None, description="its share of the tenant's quota")


class TenantIdle(Strict):
    """What becomes of the tenant's notebooks and servers that leave their devices idle; `warden` looks after it."""

    after: Annotated[str, Field(pattern=_IDLE_PATTERN)] = Field(description="how long a device must be idle")
    action: Literal["report", "stop"] = Field(default="report", description="told of, or stopped")


def _workspace_tag(value: Any) -> str:
    return "<workspace>" if isinstance(value, dict | Workspace) else "<name>"


class Tenant(Strict):
    """A team: its groups, its namespaces, its ceiling."""

    name: Name = Field(description="the tenant's name, and the start of its namespaces' names")
    groups: Groups = Field(default_factory=Groups, description="who may do what in its namespaces")
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
    idle: TenantIdle | None = Field(
        default=None, description="what becomes of idle notebooks and servers; default: as the add-on warden says"
    )
    pod_security: Literal["baseline", "restricted"] = Field(
        default="baseline",
        description="the Pod Security level that is enforced; restricted is warned of and audited anyway",
    )
    queue: TenantQueue = Field(default_factory=TenantQueue, description="its place among others that wait for devices")


class PriceOverride(Strict):
    """What a node costs an hour: a negotiated price, or what a host of one's own costs."""

    on_demand: Money | None = Field(default=None, description="USD/h of a node that is paid by the hour")
    spot: Money | None = Field(default=None, description="USD/h of a node that may be taken back")
    reserved: Money | None = Field(default=None, description="USD/h of a node that is reserved")
    flex: Money | None = Field(default=None, description="USD/h of a node that starts when there is room")
    source: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        default="the stack file", description="where the price is from; the plan shows it"
    )
    date: Day = Field(description="the day the price is of")


STALE_AFTER = 180
"""Days after which a price is stale. Half a year: clouds cut accelerators' list prices while they still sell them (AWS
those of P4 and P5 in June 2025), and a shorter limit would mark most lists that are still in force."""


class Cost(Strict):
    """Limits on money, in US dollars."""

    ceiling: Money | None = Field(default=None, description="USD/h that all pools at their maxima may cost")
    stale_after: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=STALE_AFTER, description="days after which the plan marks a price as stale"
    )


class Waiver(Strict):
    """A policy's finding that is accepted, with the reason beside it."""

    policy: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="the policy's name")
    resource: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        description="the resource's name, or a glob of it"
    )
    reason: Annotated[str, Field(min_length=10, max_length=500)] = Field(
        description="why the finding is accepted; the plan shows it"
    )


class Sources(Strict):
    """Where charts and images come from; the defaults are upstream's own."""

    cache: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        default=None,
        description="folder of fetched charts, relative to the stack files; default: the user's cache folder",
    )
    mirror: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        default=None,
        description="URL or folder that stands for all hosts of charts: <mirror>/<host>/<path>",
    )
    registry: Annotated[str, Field(pattern=REGISTRY_PATTERN, max_length=255)] | None = Field(
        default=None,
        description="registry that every image is pulled through: <registry>/<the image's full name>",
    )


class Settings(Strict):
    """One environment, as its stack file says it."""

    cluster: Cluster = Field(description="the Kubernetes cluster that the platform stands on")
    pools: Annotated[tuple[Pool, ...], Field(max_length=200)] = Field(
        default=(), description="node pools; a pool of devices is tainted and may sleep at zero nodes"
    )
    tenants: Annotated[tuple[Tenant, ...], Field(max_length=5000)] = Field(
        default=(), description="teams with their namespaces, quotas and roles"
    )
    queues: Queues = Field(
        default_factory=Queues,
        description="how work waits for devices: `{}` brings Kueue, unless another system is named",
    )
    addons: dict[str, dict[str, Any]] = Field(
        default={},
        description="add-ons by id, each with its options; {} takes the defaults, and `existing` says which version of "
        "it the cluster has already",
    )
    licences: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(max_length=50)] = Field(
        default=(), description="licences by SPDX id that are agreed to, though they are not open source"
    )
    prices: dict[str, PriceOverride] = Field(default={}, description="prices by pool, accelerator or machine name")
    cost: Cost = Field(default_factory=Cost, description="limits on money, in US dollars")
    sources: Sources = Field(default_factory=Sources, description="where charts and images come from")
    waivers: Annotated[tuple[Waiver, ...], Field(max_length=1000)] = Field(
        default=(), description="findings of policies that are accepted"
    )
