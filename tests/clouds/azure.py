"""What each resource of the azure-native provider asks of Azure: models of azure-mgmt, and what stands in the path.

azure-native writes the API's own names, with `properties` left out; so there is little to say here. Services whose
azure-mgmt package is not at hand are held against the arguments of Pulumi's SDK, which is written from Azure's
specifications: members, types and enumerations, though not what only the cloud writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.clouds.shapes import azure, native
from tests.clouds.translate import Row

_PATH = "stands in the request's path"
_IN_PATH = {"resourceGroupName": _PATH, "resourceName": _PATH, "scope": _PATH}


def _row(package: str, model: str, *in_path: str, **keys: Any) -> Row:
    left_out = {**_IN_PATH, **dict.fromkeys(in_path, _PATH)}
    return Row(shape=azure(package, model), left_out=left_out, **keys)


def _native(module: str, name: str) -> Row:
    return Row(shape=native(module, f"{name}Args"))


# Source: Kubernetes' taint in one line, as the description of nodeTaints shows it: key=value:NoSchedule.
_TAINT = r"([-a-z0-9.]+/)?[-A-Za-z0-9_.]+(=[-A-Za-z0-9_.]*)?:(NoSchedule|PreferNoSchedule|NoExecute)"
# Source: Azure, naming rules of Microsoft.ContainerService: pools of Linux have 1 to 12 characters.
_POOL = r"[a-z][a-z0-9]{0,11}"
_ROLE = r"/(subscriptions/[^/]+/)?providers/Microsoft\.Authorization/roleDefinitions/[-0-9a-f]{36}"

_ASSIGNMENT = _row(
    "authorization",
    "RoleAssignmentCreateParameters",
    "roleAssignmentName",
    patterns={"properties.roleDefinitionId": rf"(/subscriptions/[^/]+(/resourceGroups/[^/]+)?)?{_ROLE}"},
)

RESOURCES: Mapping[str, tuple[Row, ...]] = {
    "azure-native:containerregistry:Registry": (_native("containerregistry", "Registry"),),
    "azure-native:containerservice:ManagedCluster": (
        _row(
            "containerservice",
            "ManagedCluster",
            patterns={
                "properties.agentPoolProfiles.name": _POOL,
                "properties.agentPoolProfiles.nodeTaints": _TAINT,
                "properties.kubernetesVersion": r"1\.\d+(\.\d+)?",
                "properties.dnsPrefix": r"[A-Za-z0-9]([-A-Za-z0-9]{0,52}[A-Za-z0-9])?",
            },
        ),
    ),
    "azure-native:containerservice:AgentPool": (
        _row(
            "containerservice",
            "AgentPool",
            "agentPoolName",
            names={"type": "properties.type"},
            patterns={"properties.nodeTaints": _TAINT, "properties.orchestratorVersion": r"1\.\d+(\.\d+)?"},
        ),
    ),
    "azure-native:containerservice:MaintenanceConfiguration": (
        _row("containerservice", "MaintenanceConfiguration", "configName"),
    ),
    # Network
    "azure-native:network:VirtualNetwork": (_row("network", "VirtualNetwork", "virtualNetworkName"),),
    "azure-native:network:Subnet": (_row("network", "Subnet", "virtualNetworkName", "subnetName"),),
    "azure-native:network:NatGateway": (_row("network", "NatGateway", "natGatewayName"),),
    "azure-native:network:PublicIPAddress": (_row("network", "PublicIPAddress", "publicIpAddressName"),),
    "azure-native:network:PublicIPPrefix": (_row("network", "PublicIPPrefix", "publicIpPrefixName"),),
    "azure-native:network:NetworkSecurityGroup": (_row("network", "NetworkSecurityGroup", "networkSecurityGroupName"),),
    "azure-native:network:SecurityRule": (
        _row("network", "SecurityRule", "networkSecurityGroupName", "securityRuleName"),
    ),
    "azure-native:network:RouteTable": (_row("network", "RouteTable", "routeTableName"),),
    "azure-native:network:PrivateEndpoint": (_row("network", "PrivateEndpoint", "privateEndpointName"),),
    "azure-native:network:PrivateDnsZoneGroup": (
        _row("network", "PrivateDnsZoneGroup", "privateEndpointName", "privateDnsZoneGroupName"),
    ),
    # Machines
    "azure-native:compute:DiskEncryptionSet": (_row("compute", "DiskEncryptionSet", "diskEncryptionSetName"),),
    "azure-native:compute:ProximityPlacementGroup": (
        _row("compute", "ProximityPlacementGroup", "proximityPlacementGroupName"),
    ),
    "azure-native:compute:CapacityReservationGroup": (
        _row("compute", "CapacityReservationGroup", "capacityReservationGroupName"),
    ),
    # Who may do what
    "azure-native:authorization:RoleAssignment": (_ASSIGNMENT,),
    "azure-native:authorization:RoleDefinition": (
        _row("authorization", "RoleDefinition", "roleDefinitionId", names={"roleType": "properties.type"}),
    ),
    # By Pulumi's SDK
    "azure-native:authorization:ManagementLockByScope": (_native("authorization", "ManagementLockByScope"),),
    "azure-native:authorization:PolicyAssignment": (_native("authorization", "PolicyAssignment"),),
    "azure-native:authorization:PolicyDefinition": (_native("authorization", "PolicyDefinition"),),
    "azure-native:keyvault:Key": (_native("keyvault", "Key"),),
    "azure-native:keyvault:Vault": (_native("keyvault", "Vault"),),
    "azure-native:managedidentity:FederatedIdentityCredential": (
        _native("managedidentity", "FederatedIdentityCredential"),
    ),
    "azure-native:managedidentity:UserAssignedIdentity": (_native("managedidentity", "UserAssignedIdentity"),),
    "azure-native:monitor:DiagnosticSetting": (_native("monitor", "DiagnosticSetting"),),
    "azure-native:privatedns:PrivateZone": (_native("privatedns", "PrivateZone"),),
    "azure-native:privatedns:VirtualNetworkLink": (_native("privatedns", "VirtualNetworkLink"),),
    "azure-native:resources:ResourceGroup": (_native("resources", "ResourceGroup"),),
    "azure-native:storage:BlobContainer": (_native("storage", "BlobContainer"),),
    "azure-native:storage:BlobServiceProperties": (_native("storage", "BlobServiceProperties"),),
    "azure-native:storage:FileShare": (_native("storage", "FileShare"),),
    "azure-native:storage:ManagementPolicy": (_native("storage", "ManagementPolicy"),),
    "azure-native:storage:StorageAccount": (_native("storage", "StorageAccount"),),
}
"""Type of resource -> its one call."""

NO_API: Mapping[str, str] = {}
"""Types of the azure-native provider that ask nothing of Azure, each with the reason."""
