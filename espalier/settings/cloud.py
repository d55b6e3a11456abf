"""What the clusters of all clouds have in common: one block, whatever the cloud."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from espalier.settings.base import (
    URL_PATTERN,
    VERSION_PATTERN,
    Cidr,
    LabelKey,
    Region,
    Strict,
    Text,
    Zone,
    form,
)
from espalier.settings.parts import Bucket, Dns, Registry

_CLUSTER_NAME = form(
    r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$",
    "a name of lower-case letters, digits and -, a letter first, at most 40 characters",
)
_WINDOW = form(
    r"^(mon|tue|wed|thu|fri|sat|sun) ([01][0-9]|2[0-3]):[0-5][0-9]$", "a day and a time in UTC, such as sun 02:00"
)


class Network(Strict):
    """The cluster's network: made, by its range, or given, by its id."""

    cidr: Cidr | None = Field(
        default=None, description="range of the network that is made; default: 10.64.0.0/16 where none is given"
    )
    pods: Cidr | None = Field(default=None, description="range of the pods; default: the cloud's kind chooses")
    services: Cidr | None = Field(default=None, description="range of the Services; default: the cloud's kind chooses")
    id: Text | None = Field(
        default=None, description="a network that is there: VPC id, network's self link, or virtual network's id"
    )
    subnets: Annotated[tuple[Text, ...], Field(max_length=16)] = Field(
        default=(), description="its private subnets that nodes stand in"
    )
    egress: Literal["nat", "nat-per-zone", "none"] = Field(
        default="nat-per-zone",
        description="how nodes reach the world: one NAT gateway, one a zone, or only the cloud's own endpoints",
    )


class Access(Strict):
    """How the deployer reaches the cluster's API, and who administers it."""

    via: Literal["network", "tunnel", "dns-endpoint", "public"] = Field(
        description="network: the deployer stands inside it or is routed there; tunnel: by `proxy`, a bastion's or "
        "SSM's; dns-endpoint: GKE's, which asks for a Google identity; public: an endpoint for `cidrs` alone"
    )
    cidrs: Annotated[tuple[Cidr, ...], Field(max_length=50)] = Field(
        default=(),
        description="who may reach a public endpoint; on EKS, who may reach a private one besides its own network",
    )
    proxy: Annotated[str, Field(pattern=URL_PATTERN, max_length=255)] | None = Field(
        default=None,
        description="the tunnel's local end, the same in all clouds: https:// is a port that is forwarded to the API "
        "(SSM, Azure Bastion, ssh -L), such as https://127.0.0.1:8443; socks5:// and http:// are proxies (ssh -D, "
        "IAP), such as socks5://127.0.0.1:1080",
    )
    admins: Annotated[tuple[Text, ...], Field(max_length=50)] = Field(
        default=(),
        description="who administers the cluster, the deployer among them: IAM role or user ARNs; Google identities "
        "such as group:platform@example.com; Entra group object ids",
    )


class Keys(Strict):
    """Encryption keys by id; null: Espalier makes one that rotates."""

    secrets: Text | None = Field(default=None, description="of Kubernetes Secrets (KMS ARN, CMEK path, Key Vault key)")
    disks: Text | None = Field(
        default=None, description="of nodes' disks and volumes; on EKS and GKE of buckets and registries, too"
    )


class SharedStorage(Strict):
    """A file system that many pods write at once."""

    type: Literal["efs", "fsx-lustre", "filestore", "azure-files"] = Field(description="the cloud's service")
    id: Text | None = Field(default=None, description="one that is there; default: it is made")


class Maintenance(Strict):
    """When the cloud may change the cluster by itself."""

    start: Annotated[str, Field(pattern=_WINDOW)] = Field(default="sun 02:00", description="day and time in UTC")
    hours: Annotated[int, Field(ge=4, le=24)] = Field(default=6, description="length in hours")


class CloudCluster(Strict):
    """What the clusters of all clouds have in common. `name` is physical: it is a part of tags and identities."""

    name: Annotated[str, Field(pattern=_CLUSTER_NAME)] = Field(description="the cluster's name in its cloud")
    version: Annotated[str, Field(pattern=VERSION_PATTERN)] = Field(
        description="Kubernetes minor version, as a quoted string"
    )
    region: Region = Field(description="the cloud's region")
    zones: Annotated[tuple[Zone, ...], Field(min_length=1, max_length=6)] | None = Field(
        default=None, description="zones of the region; default: three of it"
    )
    network: Network = Field(default_factory=Network, description="the network that it stands in")
    access: Access | None = Field(
        default=None, description="how the deployer reaches its API; a private API needs it said"
    )
    keys: Keys = Field(default_factory=Keys, description="encryption keys by id; default: Espalier makes them")
    storage: SharedStorage | None = Field(default=None, description="a shared file system; default: none")
    buckets: Annotated[tuple[Bucket, ...], Field(max_length=20)] = Field(
        default=(), description="buckets, each made or named by its id; default: none"
    )
    registries: Annotated[tuple[Registry, ...], Field(max_length=20)] = Field(
        default=(), description="registries of images, each made or named by its id; nodes may pull from them"
    )
    dns: Dns | None = Field(
        default=None, description="a private DNS zone of the network, made or named by its id; default: none"
    )
    maintenance: Maintenance = Field(default_factory=Maintenance, description="when the cloud may change it")
    autoscaler: Literal["cluster-autoscaler", "karpenter", "managed", "none"] | None = Field(
        default=None, description="what scales pools; default: cluster-autoscaler on EKS, managed on GKE and AKS"
    )
    deletion_protection: bool = Field(
        default=True, description="the cluster and its volumes cannot be deleted before this is taken off"
    )
    tags: dict[LabelKey, Annotated[str, Field(max_length=63)]] = Field(
        default={}, description="tags or labels of everything that is made"
    )
