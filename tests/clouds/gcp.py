"""What each resource of the Google provider asks of Google: schemas of the discovery documents, and other spellings.

Source of the calls: terraform-provider-google, google/services/<service>/resource_<resource>.go. A schema says nothing
of who must be named how; such forms come from the description of the same field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.clouds.shapes import google
from tests.clouds.translate import Row

_PATH = "stands in the request's path"
_PROVIDER = "of the provider, not of the API"
_COMMON = {"project": _PATH, "deletionPolicy": _PROVIDER}
_NAME = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"


def _row(service: str, schema: str, names: Mapping[str, str] | None = None, **keys: Any) -> Row:
    left_out = {**_COMMON, **keys.pop("left_out", {})}
    return Row(shape=google(service, schema), names=names or {}, left_out=left_out, **keys)


_NODE_CONFIG = {
    "guestAccelerators": "accelerators",
    "guestAccelerators.count": "acceleratorCount",
    "guestAccelerators.type": "acceleratorType",
    "gpudirectStrategy": "gpuDirectConfig.gpuDirectStrategy",
    "hostMaintenancePolicy": "hostMaintenancePolicy",
    "linuxNodeConfig.hugepagesConfig": "hugepages",
    "loggingVariant": "loggingConfig.variantConfig.variant",
}
_NODES = {f"nodeConfig.{key}": place for key, place in _NODE_CONFIG.items()}

_BINDING = _row(
    "cloudresourcemanager.v3",
    "Binding",
    {"member": "members"},
    left_out=dict.fromkeys(
        ("serviceAccountId", "cryptoKeyId", "keyRingId", "subnetwork", "region", "bucket", "repository", "location"),
        _PATH,
    ),
    # Source: the descriptions of Binding.role and Binding.members.
    patterns={
        "role": r"roles/[A-Za-z0-9_.]+|(projects|organizations)/[^/]+/roles/[A-Za-z0-9_.]+",
        "members": r"(user|group|serviceAccount|domain):\S+|principal(Set)?://iam\.googleapis\.com/\S+"
        r"|serviceAccount:\S+\.svc\.id\.goog\[[-a-z0-9]+/[-a-z0-9]+\]",
    },
)
_SERVICE_ACCOUNT = r"[a-z]([-a-z0-9]{4,28}[a-z0-9])"

RESOURCES: Mapping[str, tuple[Row, ...]] = {
    "gcp:container/cluster:Cluster": (
        _row(
            "container.v1",
            "Cluster",
            {
                "minMasterVersion": "initialClusterVersion",
                "nodeLocations": "locations",
                "nodeConfig": "nodeConfig",
                **_NODES,
                "clusterAutoscaling": "autoscaling",
                "clusterAutoscaling.enabled": "enableNodeAutoprovisioning",
                "clusterAutoscaling.autoProvisioningDefaults": "autoprovisioningNodePoolDefaults",
                "clusterAutoscaling.autoProvisioningDefaults.diskSize": "diskSizeGb",
                "clusterAutoscaling.autoProvisioningLocations": "autoprovisioningLocations",
                "datapathProvider": "networkConfig.datapathProvider",
                "defaultMaxPodsPerNode": "defaultMaxPodsConstraint.maxPodsPerNode",
                "defaultSnatStatus": "networkConfig.defaultSnatStatus",
                "dnsConfig": "networkConfig.dnsConfig",
                "enableCiliumClusterwideNetworkPolicy": "networkConfig.enableCiliumClusterwideNetworkPolicy",
                "enableFqdnNetworkPolicy": "networkConfig.enableFqdnNetworkPolicy",
                "enableIntranodeVisibility": "networkConfig.enableIntraNodeVisibility",
                "enableL4IlbSubsetting": "networkConfig.enableL4ilbSubsetting",
                "enableLegacyAbac": "legacyAbac.enabled",
                "enableMultiNetworking": "networkConfig.enableMultiNetworking",
                "enableShieldedNodes": "shieldedNodes.enabled",
                "gatewayApiConfig": "networkConfig.gatewayApiConfig",
                "inTransitEncryptionConfig": "networkConfig.inTransitEncryptionConfig",
                "networkPerformanceConfig": "networkConfig.networkPerformanceConfig",
                "networkingMode": "ipAllocationPolicy.useIpAliases",
                "privateIpv6GoogleAccess": "networkConfig.privateIpv6GoogleAccess",
                "serviceExternalIpsConfig": "networkConfig.serviceExternalIpsConfig",
                "loggingConfig.enableComponents": "componentConfig.enableComponents",
                "monitoringConfig.enableComponents": "componentConfig.enableComponents",
                "monitoringConfig.managedPrometheus": "managedPrometheusConfig",
                "maintenancePolicy": "maintenancePolicy.window",
                "maintenancePolicy.maintenanceExclusions.exclusionOptions": "maintenanceExclusionOptions",
                "maintenancePolicy.recurringWindow.startTime": "window.startTime",
                "maintenancePolicy.recurringWindow.endTime": "window.endTime",
            },
            left_out={"deletionProtection": _PROVIDER, "location": _PATH, "removeDefaultNodePool": _PROVIDER},
            keyed={"maintenancePolicy.maintenanceExclusions": "exclusionName"},
            values={"networkingMode": {"VPC_NATIVE": True, "ROUTES": False}},
            patterns={"name": r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"},
        ),
    ),
    "gcp:container/nodePool:NodePool": (
        _row(
            "container.v1",
            "NodePool",
            {
                "nodeConfig": "config",
                **_NODES,
                "nodeCount": "initialNodeCount",
                "nodeLocations": "locations",
                "maxPodsPerNode": "maxPodsConstraint.maxPodsPerNode",
                "nodeDrainConfigs": "nodeDrainConfig",
            },
            left_out={"cluster": _PATH, "location": _PATH, "ignoreNodeCountChanges": _PROVIDER},
            # Source: GKE, naming of node pools: at most 40 characters, the cluster's own form.
            patterns={"name": r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"},
        ),
    ),
    # Network
    "gcp:compute/network:Network": (
        _row(
            "compute.v1",
            "Network",
            {"routingMode": "routingConfig.routingMode"},
            left_out={"deleteDefaultRoutesOnCreate": "further calls"},
        ),
    ),
    "gcp:compute/subnetwork:Subnetwork": (
        _row("compute.v1", "Subnetwork", left_out={"sendSecondaryIpRangeIfEmpty": _PROVIDER}),
    ),
    "gcp:compute/router:Router": (_row("compute.v1", "Router", left_out={"region": _PATH}),),
    "gcp:compute/routerNat:RouterNat": (
        _row(
            "compute.v1",
            "RouterNat",
            {"subnetworks.sourceIpRangesToNats": "sourceIpRangesToNat", "initialNatIps": "natIps"},
            left_out={"router": _PATH, "region": _PATH},
        ),
    ),
    "gcp:compute/firewall:Firewall": (
        _row(
            "compute.v1",
            "Firewall",
            {
                "allows": "allowed",
                "allows.protocol": "IPProtocol",
                "denies": "denied",
                "denies.protocol": "IPProtocol",
            },
        ),
    ),
    "gcp:compute/address:Address": (_row("compute.v1", "Address", left_out={"region": _PATH}),),
    "gcp:compute/globalAddress:GlobalAddress": (_row("compute.v1", "Address"),),
    "gcp:compute/route:Route": (_row("compute.v1", "Route"),),
    "gcp:compute/resourcePolicy:ResourcePolicy": (_row("compute.v1", "ResourcePolicy", left_out={"region": _PATH}),),
    "gcp:servicenetworking/connection:Connection": (
        _row("servicenetworking.v1", "Connection", left_out={"updateOnCreationFail": _PROVIDER, "service": _PATH}),
    ),
    "gcp:dns/managedZone:ManagedZone": (_row("dns.v1", "ManagedZone", left_out={"forceDestroy": _PROVIDER}),),
    # Identities and keys
    "gcp:serviceaccount/account:Account": (
        _row(
            "iam.v1",
            "CreateServiceAccountRequest",
            {"displayName": "serviceAccount.displayName", "description": "serviceAccount.description"},
            left_out={"createIgnoreAlreadyExists": _PROVIDER},
            # Source: the description of CreateServiceAccountRequest.accountId.
            patterns={"accountId": _SERVICE_ACCOUNT},
        ),
    ),
    "gcp:serviceaccount/iAMMember:IAMMember": (_BINDING,),
    "gcp:projects/iAMMember:IAMMember": (_BINDING,),
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": (_BINDING,),
    "gcp:kms/keyRingIAMMember:KeyRingIAMMember": (_BINDING,),
    "gcp:compute/subnetworkIAMMember:SubnetworkIAMMember": (_BINDING,),
    "gcp:projects/iAMCustomRole:IAMCustomRole": (
        _row(
            "iam.v1",
            "CreateRoleRequest",
            {key: f"role.{key}" for key in ("title", "description", "stage")}
            | {"permissions": "role.includedPermissions"},
            patterns={"roleId": r"[a-zA-Z0-9_.]{3,64}"},
        ),
    ),
    "gcp:kms/keyRing:KeyRing": (
        _row("cloudkms.v1", "KeyRing", {"name": "name"}, left_out={"location": _PATH, "name": _PATH}),
    ),
    "gcp:kms/cryptoKey:CryptoKey": (
        _row(
            "cloudkms.v1",
            "CryptoKey",
            left_out={"keyRing": _PATH, "name": _PATH, "skipInitialVersionCreation": "a parameter of the call"},
        ),
    ),
    "gcp:projects/service:Service": (
        _row(
            "serviceusage.v1",
            "EnableServiceRequest",
            left_out={"service": _PATH, "disableOnDestroy": _PROVIDER, "disableDependentServices": _PROVIDER},
        ),
    ),
    "gcp:projects/serviceIdentity:ServiceIdentity": (
        _row("serviceusage.v1", "EnableServiceRequest", left_out={"service": _PATH}),
    ),
    "gcp:storage/bucketIAMMember:BucketIAMMember": (_BINDING,),
    "gcp:storage/bucket:Bucket": (
        _row(
            "storage.v1",
            "Bucket",
            {
                "uniformBucketLevelAccess": "iamConfiguration.uniformBucketLevelAccess.enabled",
                "publicAccessPrevention": "iamConfiguration.publicAccessPrevention",
                "lifecycleRules": "lifecycle.rule",
                "lifecycleRules.condition.withState": "isLive",
            },
            left_out={"forceDestroy": _PROVIDER},
            values={"lifecycleRules.condition.withState": {"LIVE": True, "ARCHIVED": False}},
            # Source: Cloud Storage, bucket naming guidelines.
            patterns={"name": r"(?!goog)(?!.*google)[a-z0-9][-a-z0-9_]{1,61}[a-z0-9]"},
        ),
    ),
    "gcp:artifactregistry/repository:Repository": (
        _row(
            "artifactregistry.v1",
            "Repository",
            left_out={"location": _PATH, "repositoryId": "a parameter of the call"},
            keyed={"cleanupPolicies": "id"},
        ),
    ),
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": (_BINDING,),
    "gcp:filestore/instance:Instance": (
        _row("file.v1", "Instance", left_out={"location": _PATH, "zone": _PATH, "name": _PATH}),
    ),
}
"""Type of resource -> its one call."""

NO_API: Mapping[str, str] = {}
"""Types of the Google provider that ask nothing of Google, each with the reason."""
