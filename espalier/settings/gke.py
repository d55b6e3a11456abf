"""A Standard cluster of Google Kubernetes Engine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from espalier.settings.base import Bytes, Cidr, Day, Name, Strict, Text, form
from espalier.settings.cloud import CloudCluster

_PROJECT = form(
    r"^([a-z][-a-z0-9.]{0,61}[a-z0-9]:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$",
    "a project's id: 6 to 30 lower-case letters, digits and -, a letter first",
)
_EMAIL = form(
    r"^[A-Za-z0-9][-A-Za-z0-9_.+]*@[a-z0-9][-a-z0-9.]*\.[a-z]{2,}$",
    "an email address, such as nodes@my-project.iam.gserviceaccount.com",
)
_RANGE = form(r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$", "the name of a subnetwork's secondary range, such as pods")
_HOST = form(r"^[A-Za-z0-9]([-A-Za-z0-9.]{0,252}[A-Za-z0-9])?$", "a host name or an IPv4 address, without https://")
_BASE64 = form(r"^[A-Za-z0-9+/]+={0,2}$", "base64, as the cluster's clusterCaCertificate has it")

RangeName = Annotated[str, Field(pattern=_RANGE)]
Email = Annotated[str, Field(pattern=_EMAIL, max_length=254)]


class AutoProvisioning(Strict):
    """Pools that GKE makes itself for pods that no pool of the stack fits."""

    cpu: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        description="vCPUs of the whole cluster at most, the stack's own pools among them"
    )
    memory: Bytes = Field(description="memory of the whole cluster at most, the stack's own pools among them")
    devices: dict[Annotated[str, Field(min_length=1, max_length=63)], Annotated[int, Field(ge=1, le=100_000)]] = Field(
        default={},
        description="devices at most by accelerator of the catalogue, such as L4; pools of the stack are among them",
    )


class Exclusion(Strict):
    """Days on which GKE upgrades nothing, or not all, by itself; without an end, nodes follow their control plane's
    version when the stack file raises it."""

    name: Name = Field(description="its name, unique in the cluster")
    start: Day = Field(description="the first day, from 00:00 UTC")
    end: Day | None = Field(
        default=None, description="the day on which it ends, at 00:00 UTC; default: with the minor version's support"
    )
    scope: Literal["no-upgrades", "no-minor-upgrades", "no-minor-or-node-upgrades"] = Field(
        default="no-minor-or-node-upgrades", description="what does not happen; no-upgrades lasts 30 days at most"
    )


class GivenGke(Strict):
    """A GKE cluster that Espalier did not make, to which it adds pools."""

    endpoint: Annotated[str, Field(pattern=_HOST, max_length=253)] = Field(
        description="host of its API: the private or public address, or the DNS endpoint's name"
    )
    certificate: Annotated[str, Field(pattern=_BASE64, max_length=16_384)] = Field(
        description="its certificate authority, PEM in base64; the DNS endpoint does not ask for it"
    )
    location: Text | None = Field(default=None, description="its region or, of a zonal cluster, its zone")


class Gke(CloudCluster):
    """A Standard cluster of Google Kubernetes Engine."""

    kind: Literal["gke"] = Field(description="this kind of cluster")
    project: Annotated[str, Field(pattern=_PROJECT)] = Field(description="id of the Google Cloud project")
    channel: Literal["rapid", "regular", "stable", "extended"] = Field(
        default="regular", description="release channel: how early patches of the minor version come"
    )
    exclusions: Annotated[tuple[Exclusion, ...], Field(max_length=3)] = Field(
        default=(), description="when GKE upgrades nothing, or not all, by itself"
    )
    autoscaling_profile: Literal["balanced", "optimize-utilization"] = Field(
        default="optimize-utilization", description="how soon GKE's autoscaler takes idle nodes away"
    )
    active_migration: bool = Field(
        default=False,
        description="GKE moves pods to the kind of capacity that their pool prefers once there is room again, and "
        "evicts them for it; default: they stay where they started",
    )
    auto_provisioning: AutoProvisioning | None = Field(
        default=None, description="limits of the pools that GKE makes by itself; default: it makes none"
    )
    service_account: Email | None = Field(
        default=None, description="the nodes' service account; default: one is made, with the least that nodes need"
    )
    pods_range: RangeName | None = Field(default=None, description="secondary range for pods in a given subnetwork")
    services_range: RangeName | None = Field(
        default=None, description="secondary range for Services in a given subnetwork"
    )
    master_cidr: Cidr | None = Field(
        default=None,
        description="a /28 for control planes that are peered with the network; default: an address of the subnetwork",
    )
    security_group: Annotated[str, Field(pattern=r"^gke-security-groups@[a-z0-9][-a-z0-9.]*\.[a-z]{2,}$")] | None = (
        Field(
            default=None,
            description="Google group gke-security-groups@<domain> whose member groups RBAC may name: tenants' groups "
            "and group: admins need it",
        )
    )
    enable_apis: bool = Field(
        default=True, description="Espalier switches on the project's APIs that it needs; false: they are on already"
    )
    given: GivenGke | None = Field(
        default=None, description="a cluster that is there: Espalier only adds pools to it; default: it is made"
    )
