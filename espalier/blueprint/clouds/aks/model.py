"""An AKS cluster, decided: what its components make, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from espalier.blueprint.clouds.model import CloudPlan, NodeGroup
from espalier.blueprint.clouds.route import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class AksNodeGroup(NodeGroup):
    """An agent pool. `zones` are empty in a region that has none."""

    inline: bool
    """It is the cluster's first agent pool, which AKS asks for in the cluster's own request."""
    mode: Literal["System", "User"]
    vm_size: str
    os_sku: str
    os_disk_type: Literal["Ephemeral", "Managed"]
    os_disk_gib: int
    max_pods: int
    spot: bool
    gpu_driver: Literal["Install", "None"] | None
    """None for nodes without a GPU."""
    gpu_instance_profile: str | None
    """MIG1g to MIG7g."""
    reservation: str | None
    """Resource id of a capacity reservation group."""
    snapshot: str | None
    """Resource id of a node pool snapshot that fixes the node image."""
    autoscaled: bool
    max_surge: str | None
    max_unavailable: str | None
    secure_boot: bool
    host_encryption: bool
    fips: bool
    compact: bool
    """Its nodes stand in a proximity placement group of their own."""
    tags: Mapping[str, str]
    """What its autoscaler reads besides the machine type: resources that this does not tell."""
    notes: tuple[str, ...]

    @property
    def node_taints(self) -> tuple[str, ...]:
        """As AKS spells them."""
        return tuple(str(taint) for taint in self.taints)


@dataclass(frozen=True, slots=True, kw_only=True)
class AksNetwork:
    """The network: `subnet_id` is of a given one, else all is made by the ranges."""

    network_id: str
    """Of a given virtual network; "" for one that is made."""
    subnet_id: str
    range: str
    nodes: str
    """Range of the nodes' subnet."""
    endpoints: str
    """Range of the subnet for private endpoints."""
    endpoints_id: str
    """The subnet for private endpoints in a given network; "" for none, and in a network that is made."""
    zones: Mapping[str, str]
    """Private DNS zones that are there, for private endpoints to files, blobs or registries."""
    nat: bool
    outbound: Literal["userAssignedNATGateway", "loadBalancer", "userDefinedRouting", "none"]
    pods: str
    services: str
    dns: str
    """Address of the cluster's DNS, within `services`."""
    isolated: bool
    """Nodes reach nothing but the network: AKS mirrors what they start from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AksApi:
    """How the API is reached."""

    private: bool
    dns_zone: str
    """system, none or a private DNS zone's resource id; "" for a public API."""
    public_name: bool
    """The private API has a public name."""
    ranges: tuple[str, ...]
    """Who may reach a public API."""
    route: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role of the control plane's, or of others', on one resource."""

    key: str
    """Stable for life: the resource's name ends with it."""
    role: str
    """GUID of a built-in role."""
    scope: str
    """A resource id; of what is made: network, subnet, cluster, disks, files, secrets-vault or registry-<name>."""
    principal: str
    """An object id; of what is made or AKS makes: control-plane or kubelet."""
    principal_type: Literal["Group", "ServicePrincipal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AksKeys:
    """Encryption. Whatever is not named here, Azure encrypts by keys of its own."""

    vault: str
    """Name of the Key Vault that is made for disks; "" for none."""
    disk_set: str
    """Resource id of a given disk encryption set; "" for none."""
    etcd_key: str
    """URL of a given key that Kubernetes Secrets are encrypted by; "" for none."""
    secrets_vault: str
    """Name of the Key Vault that is made for the key of Kubernetes Secrets; "" for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AksFiles:
    """A premium Azure Files account for shared volumes."""

    account: str
    """Its name in Azure."""
    group: str
    """Resource group of a given account; "" for one that is made."""
    sku: Literal["PremiumV2_ZRS", "PremiumV2_LRS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AksMonitoring:
    """What is sent to a Log Analytics workspace."""

    workspace: str
    containers: bool
    metrics: bool
    defender: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AksGiven:
    """A cluster that is there."""

    endpoint: str
    certificate: str
    issuer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AksAutoscaler:
    """The profile of AKS's autoscaler, one for all pools. Times as AKS spells them; what is text there is text here.

    Source of the defaults that it departs from: azure-aks-docs, cluster-autoscaler.md (2026-08).
    """

    expander: Literal["priority", "least-waste"]
    scan_interval: str = "10s"
    max_node_provision_time: str = "10m"
    """A stock-out of spot falls through to the next kind of capacity after this, and a GPU's driver fits into it."""
    max_graceful_termination_sec: str = "600"
    scale_down_delay_after_add: str = "10m"
    scale_down_unneeded_time: str = "10m"
    scale_down_utilization_threshold: str = "0.5"
    ignore_daemonsets: bool = True
    """A node with nothing but DaemonSets is idle."""
    skip_nodes_with_local_storage: str = "false"
    """Scratch files must not keep a GPU awake."""
    skip_nodes_with_system_pods: str = "false"
    """AKS's own pods must not, either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderIdentity:
    """An identity that the pods of one namespace take, and where it reaches."""

    namespace: str
    name: str
    subject: str
    """Who it is to the cluster's issuer of tokens."""
    scope: str
    """A container's resource id; of one that is made: bucket-<name in the stack file>."""
    condition: str
    """Keeps its role to a part of the container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRole:
    """The role of such identities."""

    name: str
    """Unique in its Entra tenant."""
    guid: str
    data_actions: tuple[str, ...]
    groups: tuple[str, ...]
    """Ids of the resource groups of given containers."""
    made: bool
    """Some container is made, in the cluster's own group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AksPlan(CloudPlan):
    """A cluster, its network, its identity and its agent pools."""

    version: str
    subscription: str
    """Its id; "" for that of the deployer's Azure configuration."""
    tenant: str
    resource_group: str
    makes_group: bool
    node_group: str
    """Resource group that AKS makes for nodes, disks and load balancers."""
    given: AksGiven | None
    network: AksNetwork
    api: AksApi
    login: str
    """How kubelogin gets a token."""
    admins: tuple[str, ...]
    identity: str
    """Resource id of a given identity of the control plane; "" for one that is made."""
    roles: tuple[Role, ...]
    keys: AksKeys
    files: AksFiles | None
    blobs: str
    """Name of the storage account that buckets are made in; "" where none is made."""
    blobs_kept: int
    """Days that it keeps deleted blobs and versions; 0 where none is made."""
    tier: Literal["Free", "Standard", "Premium"]
    support: Literal["KubernetesOfficial", "AKSLongTermSupport"]
    upgrade_channel: str
    node_os_channel: str
    day: str
    start: str
    hours: int
    autoscaler: AksAutoscaler | None
    """None where nothing scales pools."""
    priorities: Mapping[str, tuple[str, ...]] | None
    """Priority -> patterns of scale sets, for the priority expander; None where no pool has a choice."""
    monitoring: AksMonitoring | None
    azure_policy: bool
    protected: bool
    deny_deletion: bool
    """An Azure Policy denies the cluster's deletion."""
    folders: tuple[FolderIdentity, ...] = ()
    """Of tenants' parts of buckets."""
    folder_role: FolderRole | None = None
