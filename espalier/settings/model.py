"""The shape of a stack file: frozen models that refuse what they do not know.

`Settings` is the mapping under `config:` with the `espalier:` prefix taken off. The same models give editors their JSON
Schema and docs their table: a description says what a key is for, `base.FORMS` what its text looks like.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from espalier.settings.base import REGISTRY_PATTERN, Day, Money, Strict
from espalier.settings.clusters import Cluster
from espalier.settings.identity import Identity
from espalier.settings.pool import Pool
from espalier.settings.queues import Queues
from espalier.settings.tenants import Tenant


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
    identity: Identity | None = Field(
        default=None, description="the identity provider of tenants' people; default: the cluster's own names are taken"
    )
    queues: Queues = Field(
        default_factory=Queues,
        description="how work waits for devices: `{}` brings Kueue, unless another system is named",
    )
    profile: Literal["starter", "kubeflow", "serving", "llm", "full"] | None = Field(
        default=None, description="a set of add-ons by one word, with their defaults where `addons` does not name them"
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
