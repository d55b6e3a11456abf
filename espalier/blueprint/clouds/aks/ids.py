"""Resource ids of Azure."""

from __future__ import annotations

import hashlib
from typing import Final

from espalier.settings.aks import Aks

RESERVATIONS: Final = "Microsoft.Compute/capacityReservationGroups"
SNAPSHOTS: Final = "Microsoft.ContainerService/snapshots"
NETWORKS: Final = "Microsoft.Network/virtualNetworks"
DNS_ZONES: Final = "Microsoft.Network/privateDnsZones"
IDENTITIES: Final = "Microsoft.ManagedIdentity/userAssignedIdentities"
REGISTRIES: Final = "Microsoft.ContainerRegistry/registries"
VAULTS: Final = "Microsoft.KeyVault/vaults"
DISK_SETS: Final = "Microsoft.Compute/diskEncryptionSets"
ACCOUNTS: Final = "Microsoft.Storage/storageAccounts"
WORKSPACES: Final = "Microsoft.OperationalInsights/workspaces"
_PARTS: Final = 9


def is_a(resource: str, kind: str) -> bool:
    """Whether a text is the resource id of something of this type. Azure does not mind upper or lower case."""
    parts = resource.split("/")
    if len(parts) != _PARTS or not all(parts[1:]):
        return False
    fixed = ("", parts[1].lower(), parts[3].lower(), parts[5].lower())
    return fixed == ("", "subscriptions", "resourcegroups", "providers") and f"{parts[6]}/{parts[7]}".lower() == (
        kind.lower()
    )


def form_of(kind: str) -> str:
    """What a resource id of this type looks like."""
    return f"/subscriptions/<id>/resourceGroups/<group>/providers/{kind}/<name>"


def name_of(resource: str) -> str:
    """The last part of a resource id."""
    return resource.rsplit("/", 1)[-1]


def group_of(resource: str) -> str:
    """The resource group of a resource id."""
    return resource.split("/")[4]


def place(cluster: Aks) -> str:
    """What tells a cluster from all others in Azure, as far as the stack file says it."""
    return f"{cluster.subscription}/{cluster.resource_group}/{cluster.region}/{cluster.name}"


def global_name(cluster: Aks, prefix: str) -> str:
    """A name that is unique in all of Azure, of lower-case letters and digits, at most 24."""
    return f"{prefix}{cluster.name.replace('-', '')[:14]}{hashlib.sha256(place(cluster).encode()).hexdigest()[:8]}"
