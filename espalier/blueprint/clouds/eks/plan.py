"""An EKS cluster, decided: what its components map to resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from espalier.blueprint.clouds.eks.addons import ManagedAddon
from espalier.blueprint.clouds.eks.identities import Entry, Key, PodIdentity, Role
from espalier.blueprint.clouds.eks.model import EksNodeGroup
from espalier.blueprint.clouds.eks.network import AnyNetwork
from espalier.blueprint.clouds.eks.policies import Document
from espalier.blueprint.clouds.eks.storage import FileSystem, StorageClass
from espalier.blueprint.clouds.model import CloudPlan
from espalier.blueprint.clouds.route import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """A control plane that is made."""

    secrets_key: Key
    services: str
    """Range of Services."""
    public: bool
    """Whether a public endpoint stands besides the private one."""
    public_cidrs: tuple[str, ...]
    reached_from: Mapping[str, str]
    """Ranges that reach the private endpoint: a stable name each."""
    group_tags: Mapping[str, str]
    """Tags of the cluster's security group, besides EKS's own."""
    logs: tuple[str, ...]
    retention_days: int
    deletion_protection: bool
    zonal_shift: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenControlPlane:
    """A control plane that is there."""

    endpoint: str
    certificate: str
    security_group: str
    issuer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruptions:
    """The queue that Karpenter reads EC2's warnings from."""

    queue: str
    policy: Document
    events: Mapping[str, Mapping[str, Any]]
    """Name of a rule -> the events that it sends there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProfile:
    """The instance profile that Karpenter's nodes start with: it holds the nodes' role."""

    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProvider:
    """What EKS is told of the provider of people's identities."""

    name: str
    issuer: str
    client_id: str
    username_claim: str
    username_prefix: str
    groups_claim: str
    groups_prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRole:
    """A role that the pods of one namespace take."""

    namespace: str
    service_account: str
    name: str
    path: str
    boundary: str | None
    trust: Document
    policy: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class EksPlan(CloudPlan):
    """A cluster, its network, its identities, its add-ons and its node groups.

    `tags` are those of everything, Espalier's own among them.
    """

    version: str
    nodes_version: str
    """Of the groups that EKS manages: an older minor than `version` during an upgrade's first step."""
    account: str | None
    network: AnyNetwork
    control: ControlPlane | GivenControlPlane
    roles: tuple[Role, ...]
    disk_key: Key | None
    entries: tuple[Entry, ...]
    addons: tuple[ManagedAddon, ...]
    identities: tuple[PodIdentity, ...]
    classes: tuple[StorageClass, ...]
    file_system: FileSystem | None
    interruptions: Interruptions | None
    node_profile: NodeProfile | None
    """None where EKS makes the nodes, and their profile."""
    image_cache: tuple[str, ...]
    """Registries that ECR caches, each under its own name."""
    route: Route
    system_pools: frozenset[str]
    """Pools that cluster components run on: these stand before anything in the cluster does."""
    protect: bool
    """What holds data is not deleted before this is taken off."""
    provider: IdentityProvider | None = None
    """Whose tokens it takes besides IAM's."""
    folders: tuple[FolderRole, ...] = ()
    """Of tenants' parts of buckets."""

    def managed(self, *, system: bool) -> tuple[EksNodeGroup, ...]:
        """The groups that EKS manages: those of the system pools, or all others."""
        groups = (group for group in self.groups if isinstance(group, EksNodeGroup) and not group.karpenter)
        return tuple(group for group in groups if (group.pool in self.system_pools) == system)
