"""A GKE cluster, decided. Names and values are those of Google's API; None leaves a field out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from espalier.blueprint.clouds.model import CloudPlan, NodeGroup
from espalier.blueprint.clouds.route import Route
from espalier.types import Planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """The accelerators of a node, as a node pool asks for them."""

    type: str
    count: int
    driver: Literal["DEFAULT", "LATEST", "INSTALLATION_DISABLED"]
    """Never left out: GKE's own default would show as a change that replaces the pool."""
    partition: str | None
    """MIG partition size, such as 1g.10gb."""
    sharing: Literal["TIME_SHARING", "MPS"] | None
    clients: int
    """Pods that share a device; 1 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """Limits of a node pool: of all its zones together, or of each zone."""

    minimum: int
    maximum: int
    per_zone: bool
    policy: Literal["ANY", "BALANCED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Nodes close together: by Compute Engine's own choice, in a TPU slice, or in one NVLink domain."""

    tpu_topology: str | None = None
    workload_policy: str | None = None
    """Name of the resource policy that is made for these nodes, where their family needs one."""
    policy_topology: str | None = None
    """The topology of that policy, such as 2x2x2 of a TPU slice or 1x72 of an NVLink domain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GkeNodePool(NodeGroup):
    """A node pool: one kind of capacity of a pool, or one multi-host TPU slice of it."""

    awaited: bool
    """What lives in the cluster waits for its nodes: cluster components run on it."""
    machine_type: str
    image_type: str
    node_version: str | None
    """A whole GKE version where the pool pins one; else GKE upgrades it after its control plane."""
    gpus: Gpus | None
    spot: bool
    shutdown: tuple[int, int] | None
    """Seconds by which a node's end is put off for pods, and those of them for system pods; None: GKE's default."""
    reservation: str | None
    flex: bool
    max_run: str | None
    """Seconds with an s, such as 604800s."""
    queued: bool
    autoscaling: Autoscaling | None
    initial: int
    """Nodes a zone at first."""
    placement: Placement | None
    disk_type: str
    disk_gib: int
    disk_iops: int | None
    disk_throughput: int | None
    ephemeral_ssds: int
    raw_ssds: int
    preload_image: str | None
    streaming: bool
    fabric: bool
    """GKE attaches the machine's networks for its accelerators (DRANET)."""
    fabric_later: bool
    """It will, from a later minor version on, and of that the pool is made anew."""
    max_pods: int | None
    surge: int
    secure_boot: bool
    arm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GkeNetwork:
    """Where the cluster stands. `made` is False for a network that is given."""

    made: bool
    network: str
    """Name of the network to make, else the given one's path."""
    subnetwork: str
    nodes: str | None
    """Range of the subnetwork that is made; pods' and Services' are its secondary ranges."""
    pods: str | None
    services: str | None
    pods_range: str
    services_range: str
    nat: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GkeAccess:
    """How its API is reached, and who administers it."""

    via: Literal["network", "tunnel", "dns-endpoint", "public"]
    cidrs: tuple[str, ...]
    route: Route
    admins: tuple[str, ...]
    condition: str
    """Keeps the admins' role to this cluster (IAM's Common Expression Language)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When GKE may maintain the cluster: RFC 3339 times of one occurrence, and RFC 5545's rule of the others."""

    start: str
    end: str
    recurrence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A maintenance exclusion; without `end` it lasts as long as the minor version is supported."""

    name: str
    start: str
    end: str | None
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenCluster:
    """A cluster that Espalier did not make."""

    endpoint: str
    certificate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRight:
    """What a service account of the cluster may do in a part of a bucket."""

    namespace: str
    bucket: str
    """Its name."""
    role: str
    pool: str
    """The project's workload identity pool."""
    subject: str
    """Who it is in the pool."""
    condition: str
    """Keeps the role to that part (IAM's Common Expression Language)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GkePlan(CloudPlan):
    """A cluster, its network, its identities, its keys and its node pools."""

    project: str
    location: str
    version: str
    channel: str
    apis: tuple[str, ...]
    """Services of the project to switch on; empty where they are on already."""
    network: GkeNetwork
    access: GkeAccess
    service_account: str | None
    """Email of the nodes' account; None: one is made."""
    account_id: str
    node_roles: tuple[str, ...]
    secrets_key: str | None
    """Path of the key that encrypts Secrets; None: one is made."""
    disks_key: str | None
    master_cidr: str | None
    security_group: str | None
    window: Window
    pauses: tuple[Pause, ...]
    nodes_follow: bool
    """Nodes take their control plane's version in the same run: by itself GKE upgrades none of them."""
    profile: Literal["BALANCED", "OPTIMIZE_UTILIZATION"]
    limits: Mapping[str, int]
    """Node auto-provisioning: vCPUs, memory in GB and devices at most; empty: it is off."""
    metrics: tuple[str, ...]
    logs: tuple[str, ...]
    filestore: bool
    deletion_protection: bool
    given: GivenCluster | None
    objects: tuple[Planned, ...]
    """What the cluster holds from the first: storage classes."""
    classes: Mapping[str, Planned]
    """Pool -> the ComputeClass that names its node pools in the order of its kinds of capacity."""
    oidc_issuer: str
    folders: tuple[FolderRight, ...] = ()
    """Of tenants' parts of buckets."""

    @property
    def path(self) -> str:
        """As other resources name the cluster."""
        return f"projects/{self.project}/locations/{self.location}/clusters/{self.name}"
