"""Which actions the program's resources need, and whether roles grant them.

Source: Azure resource provider operations; `write` makes and changes, `delete` deletes.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from espalier.preflight.azure.facts import Allowed

_PROVIDERS = {
    "authorization": (
        "Microsoft.Authorization",
        {
            "RoleAssignment": "roleAssignments",
            "ManagementLockByScope": "locks",
            "PolicyAssignment": "policyAssignments",
            "PolicyDefinition": "policyDefinitions",
        },
    ),
    "compute": (
        "Microsoft.Compute",
        {"DiskEncryptionSet": "diskEncryptionSets", "ProximityPlacementGroup": "proximityPlacementGroups"},
    ),
    "containerregistry": ("Microsoft.ContainerRegistry", {"Registry": "registries"}),
    "containerservice": (
        "Microsoft.ContainerService",
        {
            "ManagedCluster": "managedClusters",
            "AgentPool": "managedClusters/agentPools",
            "MaintenanceConfiguration": "managedClusters/maintenanceConfigurations",
        },
    ),
    "insights": ("Microsoft.Insights", {"DiagnosticSetting": "diagnosticSettings"}),
    "monitor": ("Microsoft.Insights", {"DiagnosticSetting": "diagnosticSettings"}),
    "keyvault": ("Microsoft.KeyVault", {"Vault": "vaults", "Key": "vaults/keys"}),
    "managedidentity": (
        "Microsoft.ManagedIdentity",
        {
            "UserAssignedIdentity": "userAssignedIdentities",
            "FederatedIdentityCredential": "userAssignedIdentities/federatedIdentityCredentials",
        },
    ),
    "network": (
        "Microsoft.Network",
        {
            "NatGateway": "natGateways",
            "NetworkSecurityGroup": "networkSecurityGroups",
            "PrivateDnsZoneGroup": "privateEndpoints/privateDnsZoneGroups",
            "PrivateEndpoint": "privateEndpoints",
            "PublicIPAddress": "publicIPAddresses",
            "Subnet": "virtualNetworks/subnets",
            "VirtualNetwork": "virtualNetworks",
        },
    ),
    "privatedns": (
        "Microsoft.Network",
        {"PrivateZone": "privateDnsZones", "VirtualNetworkLink": "privateDnsZones/virtualNetworkLinks"},
    ),
    "resources": ("Microsoft.Resources", {"ResourceGroup": "subscriptions/resourceGroups"}),
    "storage": (
        "Microsoft.Storage",
        {
            "BlobContainer": "storageAccounts/blobServices/containers",
            "BlobServiceProperties": "storageAccounts/blobServices",
            "ManagementPolicy": "storageAccounts/managementPolicies",
            "StorageAccount": "storageAccounts",
        },
    ),
}


def _action(type_: str) -> str | None:
    """`azure-native:network:Subnet` -> `Microsoft.Network/virtualNetworks/subnets`."""
    module, _, name = type_.removeprefix("azure-native:").rpartition(":")
    provider, kinds = _PROVIDERS.get(module.partition("/")[0], ("", {}))
    return f"{provider}/{kinds[name]}" if name in kinds else None


def actions_of(types: Iterable[str]) -> list[str]:
    """The actions that resources of these types need, sorted."""
    stems = {stem for type_ in types if (stem := _action(type_))}
    return sorted(f"{stem}/{verb}" for stem in stems for verb in ("read", "write", "delete"))


def unjudged(types: Iterable[str]) -> list[str]:
    """Types of Azure whose actions are not known here."""
    return sorted(type_ for type_ in set(types) if type_.startswith("azure-native:") and _action(type_) is None)


def is_allowed(action: str, roles: Iterable[Allowed]) -> bool:
    """Whether any role grants it: patterns with *, letters' case does not count (Azure role definitions)."""

    def fits(patterns: Iterable[str]) -> bool:
        return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)

    return any(fits(role.actions) and not fits(role.without) for role in roles)
