"""A cluster of Azure Kubernetes Service."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from espalier.settings.base import Strict, form
from espalier.settings.cloud import CloudCluster

GUID_PATTERN = form(
    r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "a GUID, such as 11111111-2222-3333-4444-555555555555",
)
_GROUP = form(
    r"^[-A-Za-z0-9_.()]{0,89}[-A-Za-z0-9_()]$",
    "a resource group's name: letters, digits, -, _, ( ) and ., at most 90 characters, no . at the end",
)
RESOURCE_PATTERN = form(
    r"^/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/]{1,90}/providers/[A-Za-z.]{1,60}(/[A-Za-z]{1,60}/[^/]{1,120}){1,3}$",
    "a resource id: /subscriptions/<id>/resourceGroups/<group>/providers/<type>/<name>",
)
_HOST = form(r"^[A-Za-z0-9]([-A-Za-z0-9.]{0,252}[A-Za-z0-9])?$", "a host name or an IPv4 address, without https://")
_BASE64 = form(r"^[A-Za-z0-9+/]+={0,2}$", "base64, as a kubeconfig's certificate-authority-data has it")
_URL = form(r"^https://[^\s/]+(/\S*)?$", "a URL that starts with https://")
_ZONE_OF_DNS = form(
    r"^(system|none|/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/]{1,90}/providers/"
    r"Microsoft\.Network/privateDnsZones/[^/]{1,120})$",
    "system, none, or the resource id of a private DNS zone",
)

Guid = Annotated[str, Field(pattern=GUID_PATTERN)]
ResourceId = Annotated[str, Field(pattern=RESOURCE_PATTERN, max_length=600)]


class GivenAks(Strict):
    """An AKS cluster that Espalier did not make, to which it adds pools: `name` in `resource-group`."""

    endpoint: Annotated[str, Field(pattern=_HOST, max_length=253)] = Field(
        description="host of its API: its private or public FQDN"
    )
    certificate: Annotated[str, Field(pattern=_BASE64, max_length=16_384)] = Field(
        description="its certificate authority, base64, as a kubeconfig has it"
    )
    issuer: Annotated[str, Field(pattern=_URL, max_length=512)] | None = Field(
        default=None, description="its OIDC issuer, for workload identity; default: not told"
    )


class Endpoints(Strict):
    """Private endpoints in a given network, for what is made beside the cluster: shared files, buckets, registries."""

    subnet: ResourceId | None = Field(
        default=None, description="the subnet of that network that they stand in; default: the nodes'"
    )
    zones: dict[Literal["files", "buckets", "registries"], ResourceId] = Field(
        default={},
        description="private DNS zones of Azure's own domains that the network resolves already, by what they are for; "
        "default: each is made and linked to the network",
    )


class Monitoring(Strict):
    """What Azure Monitor gets of the cluster."""

    workspace: ResourceId = Field(description="Log Analytics workspace that gets control-plane logs")
    containers: bool = Field(default=False, description="containers' logs go there, too (Container Insights)")
    metrics: bool = Field(default=False, description="managed Prometheus collects metrics")
    defender: bool = Field(default=False, description="Microsoft Defender for Containers watches the cluster")


class Aks(CloudCluster):
    """A cluster of Azure Kubernetes Service."""

    kind: Literal["aks"] = Field(description="this kind of cluster")
    subscription: Guid | None = Field(
        default=None, description="subscription's id; default: that of the deployer's Azure configuration"
    )
    tenant: Guid | None = Field(default=None, description="Entra tenant's id; default: the subscription's tenant")
    resource_group: Annotated[str, Field(pattern=_GROUP)] | None = Field(
        default=None, description="a resource group that is there; default: one of the cluster's name is made"
    )
    given: GivenAks | None = Field(
        default=None, description="a cluster that Espalier did not make: only pools and what lives in it are added"
    )
    identity: ResourceId | None = Field(
        default=None,
        description="user-assigned identity of the control plane, with its roles; default: one with least roles",
    )
    login: Literal["azurecli", "workloadidentity", "msi", "spn"] = Field(
        default="azurecli",
        description="how the command kubelogin gets the deployer's token: az's login, a federated identity (CI), the "
        "machine's identity, or a service principal from the environment",
    )
    tier: Literal["free", "standard", "premium"] = Field(
        default="standard", description="free has no uptime agreement, premium has two years of support a minor"
    )
    private_dns_zone: Annotated[str, Field(pattern=_ZONE_OF_DNS, max_length=600)] = Field(
        default="system",
        description="who resolves the private API, as `dns` does for names of your own: system, a zone that AKS "
        "makes; the id of a zone that is there; "
        "none, a public name for the private address",
    )
    outbound: Literal["nat-gateway", "load-balancer", "user-defined", "none"] | None = Field(
        default=None,
        description="how egress leaves: default nat-gateway, none where network.egress is none; user-defined: routes "
        "of a given network",
    )
    disk_encryption: Literal["customer", "platform"] = Field(
        default="customer",
        description="customer: keys.disks, or a Key Vault, a key that rotates and a disk encryption set are made; "
        "platform: Azure's own keys. Fixed once the cluster stands",
    )
    secrets_encryption: Literal["customer", "platform"] | None = Field(
        default=None,
        description="customer: keys.secrets, or a Key Vault that Entra alone guards and a key are made; platform: "
        "Azure's own keys; default: customer where keys.secrets names a key, else platform",
    )
    key_vault: ResourceId | None = Field(default=None, description="Key Vault that holds the key under keys.secrets")
    endpoints: Endpoints | None = Field(
        default=None,
        description="private endpoints in a given network for what is made beside the cluster; default: none, so that "
        "files, buckets and registries are named; a network that is made has them in any case",
    )
    host_encryption: bool = Field(
        default=False,
        description="temporary disks and caches are encrypted on the host; the subscription must have the feature "
        "EncryptionAtHost",
    )
    fips: bool = Field(
        default=False, description="nodes' images are FIPS-enabled; not with Ubuntu on arm64 (azure-linux has it)"
    )
    upgrades: Literal["patch", "none"] = Field(
        default="patch", description="patch releases of Kubernetes come by themselves, in the maintenance window"
    )
    node_images: Literal["node-image", "security-patch", "unmanaged", "none"] = Field(
        default="node-image", description="how nodes' images are patched, in the maintenance window"
    )
    monitoring: Monitoring | None = Field(default=None, description="Azure Monitor; default: nothing is sent")
    azure_policy: bool = Field(default=False, description="the Azure Policy add-on judges pods, too")
    deletion_guard: Literal["lock", "policy"] = Field(
        default="lock",
        description="with deletion-protection: lock, a CanNotDelete lock on what pools hang on; policy, besides it "
        "an Azure Policy that denies the cluster's deletion (its deployer must be able to define policies)",
    )
