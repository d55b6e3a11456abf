"""What Pulumi would do between two recorded graphs of one stack: what is replaced, and what goes before its successor.

Pulumi makes a replacement before it deletes the old resource, unless `delete_before_replace` says otherwise or the
provider does: a resource whose own name stays the same cannot stand beside its successor (pulumi-terraform-bridge,
nameRequiresDeleteBeforeReplace; azure-native does alike).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from espalier.blueprint import names
from espalier.engine.model import Resource
from espalier.engine.values import UNKNOWN, has_unknown
from tests.clouds.recorded import Graph

POOLS: Mapping[str, str] = {
    "aws:eks/nodeGroup:NodeGroup": "nodeGroupName",
    "gcp:container/nodePool:NodePool": "name",
    "azure-native:containerservice:AgentPool": "agentPoolName",
}
"""Types of node pools, and the input that names one in its cloud."""
CLUSTERS: Mapping[str, str] = {
    "aws:eks/cluster:Cluster": "name",
    "gcp:container/cluster:Cluster": "name",
    "azure-native:containerservice:ManagedCluster": "resourceName",
}
VOLUMES: Mapping[str, str] = {
    "aws:efs/fileSystem:FileSystem": "creationToken",
    "aws:fsx/lustreFileSystem:LustreFileSystem": "",
    "aws:kms/key:Key": "",
    "gcp:filestore/instance:Instance": "name",
    "gcp:kms/cryptoKey:CryptoKey": "name",
    "aws:s3/bucket:Bucket": "bucket",
    "aws:ecr/repository:Repository": "name",
    "gcp:storage/bucket:Bucket": "name",
    "gcp:artifactregistry/repository:Repository": "repositoryId",
    "azure-native:storage:StorageAccount": "accountName",
    "azure-native:storage:BlobContainer": "containerName",
    "azure-native:containerregistry:Registry": "registryName",
    "azure-native:keyvault:Vault": "vaultName",
    "azure-native:keyvault:Key": "keyName",
    "azure-native:compute:DiskEncryptionSet": "diskEncryptionSetName",
}
"""What holds data, and the keys without which nobody reads it. Without a name, the provider makes one."""
_NAMES = {
    **POOLS,
    **CLUSTERS,
    **VOLUMES,
    "aws:ec2/launchTemplate:LaunchTemplate": "name",
    "aws:ec2/placementGroup:PlacementGroup": "name",
    "gcp:compute/resourcePolicy:ResourcePolicy": "name",
    "azure-native:compute:ProximityPlacementGroup": "proximityPlacementGroupName",
}

_ACCELERATORS = tuple(
    f"nodeConfig.guestAccelerators.{key}"
    for key in (
        "count",
        "type",
        "gpuDriverInstallationConfig.gpuDriverVersion",
        "gpuPartitionSize",
        "gpuSharingConfig.gpuSharingStrategy",
        "gpuSharingConfig.maxSharedClientsPerGpu",
    )
)
FORCES: Mapping[str, tuple[str, ...]] = {
    # Source: ForceNew in terraform-provider-aws, internal/service/eks/node_group.go.
    "aws:eks/nodeGroup:NodeGroup": (
        "amiType",
        "capacityType",
        "clusterName",
        "diskSize",
        "instanceTypes",
        "launchTemplate.id",
        "launchTemplate.name",
        "nodeGroupName",
        "nodeRoleArn",
        "remoteAccess",
        "subnetIds",
    ),
    # internal/service/eks/cluster.go; encryption once it is there, by its CustomizeDiff.
    "aws:eks/cluster:Cluster": (
        "accessConfig.bootstrapClusterCreatorAdminPermissions",
        "bootstrapSelfManagedAddons",
        "encryptionConfig",
        "kubernetesNetworkConfig.ipFamily",
        "kubernetesNetworkConfig.serviceIpv4Cidr",
        "name",
        "outpostConfig",
        "roleArn",
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": ("name", "namePrefix"),
    "aws:ec2/placementGroup:PlacementGroup": ("name", "partitionCount", "spreadLevel", "strategy"),
    "aws:efs/fileSystem:FileSystem": (
        "availabilityZoneName",
        "creationToken",
        "encrypted",
        "kmsKeyId",
        "performanceMode",
    ),
    "aws:fsx/lustreFileSystem:LustreFileSystem": (
        "deploymentType",
        "driveCacheType",
        "kmsKeyId",
        "securityGroupIds",
        "storageType",
        "subnetIds",
    ),
    # internal/service/s3/bucket.go, internal/service/ecr/repository.go.
    "aws:s3/bucket:Bucket": ("bucket", "bucketPrefix", "objectLockEnabled"),
    "aws:ecr/repository:Repository": ("encryptionConfigurations", "name"),
    "aws:kms/key:Key": ("customKeyStoreId", "customerMasterKeySpec", "keyUsage", "multiRegion"),
    # Source: ForceNew in terraform-provider-google, google/services/container/resource_container_node_pool.go and
    # node_config.go, 2026-08.
    "gcp:container/nodePool:NodePool": (
        "cluster",
        "initialNodeCount",
        "location",
        "maxPodsPerNode",
        "name",
        "networkConfig.acceleratorNetworkProfile",
        "networkConfig.additionalNodeNetworkConfigs",
        "networkConfig.additionalPodNetworkConfigs",
        "networkConfig.createPodRange",
        "networkConfig.podIpv4CidrBlock",
        "networkConfig.podRange",
        "networkConfig.subnetwork",
        "placementPolicy",
        "project",
        "queuedProvisioning",
        *_ACCELERATORS,
        "nodeConfig.advancedMachineFeatures",
        "nodeConfig.bootDiskKmsKey",
        "nodeConfig.ephemeralStorageLocalSsdConfig",
        "nodeConfig.flexStart",
        "nodeConfig.localNvmeSsdBlockConfig",
        "nodeConfig.localSsdCount",
        "nodeConfig.maxRunDuration",
        "nodeConfig.metadata",
        "nodeConfig.minCpuPlatform",
        "nodeConfig.oauthScopes",
        "nodeConfig.preemptible",
        "nodeConfig.reservationAffinity",
        "nodeConfig.secondaryBootDisks",
        "nodeConfig.serviceAccount",
        "nodeConfig.shieldedInstanceConfig",
        "nodeConfig.spot",
    ),
    # resource_container_cluster.go
    "gcp:container/cluster:Cluster": (
        "clusterIpv4Cidr",
        "datapathProvider",
        "defaultMaxPodsPerNode",
        "description",
        "initialNodeCount",
        "ipAllocationPolicy.clusterIpv4CidrBlock",
        "ipAllocationPolicy.clusterSecondaryRangeName",
        "ipAllocationPolicy.servicesIpv4CidrBlock",
        "ipAllocationPolicy.servicesSecondaryRangeName",
        "location",
        "masterAuth.clientCertificateConfig",
        "name",
        "network",
        "networkingMode",
        "privateClusterConfig.masterIpv4CidrBlock",
        "privateClusterConfig.privateEndpointSubnetwork",
        "project",
        "subnetwork",
    ),
    "gcp:filestore/instance:Instance": ("kmsKeyName", "location", "name", "networks", "tier", "zone"),
    "gcp:storage/bucket:Bucket": ("enableObjectRetention", "hierarchicalNamespace", "location", "name", "project"),
    "gcp:artifactregistry/repository:Repository": ("format", "kmsKeyName", "location", "mode", "repositoryId"),
    "gcp:kms/cryptoKey:CryptoKey": ("keyRing", "name", "purpose"),
    # Source: forceNewMap in pulumi-azure-native, provider/pkg/gen/replacement.go, and what stands in the path.
    "azure-native:containerservice:AgentPool": (
        "agentPoolName",
        "gpuInstanceProfile",
        "resourceGroupName",
        "resourceName",
        "vmSize",
    ),
    "azure-native:containerservice:ManagedCluster": (
        "diskEncryptionSetID",
        "dnsPrefix",
        "fqdnSubdomain",
        "linuxProfile",
        "location",
        "networkProfile",
        "nodeResourceGroup",
        "resourceGroupName",
        "resourceName",
    ),
    "azure-native:storage:StorageAccount": ("accountName", "isHnsEnabled", "location", "resourceGroupName"),
    "azure-native:storage:BlobContainer": ("accountName", "containerName", "resourceGroupName"),
    "azure-native:containerregistry:Registry": ("encryption", "location", "registryName", "resourceGroupName"),
    "azure-native:keyvault:Vault": ("location", "resourceGroupName", "vaultName"),
    "azure-native:keyvault:Key": ("keyName", "properties", "resourceGroupName", "vaultName"),
    "azure-native:compute:DiskEncryptionSet": ("diskEncryptionSetName", "location", "resourceGroupName"),
}
"""Inputs whose change replaces a resource."""

REFUSED: Mapping[str, tuple[str, ...]] = {
    # Source: AKS, "PropertyChangeNotAllowed" of agentPoolProfile; azure-aks-docs use-spot, use-nvidia-gpu, resize.
    "azure-native:containerservice:AgentPool": (
        "availabilityZones",
        "capacityReservationGroupID",
        "enableEncryptionAtHost",
        "gpuProfile.driver",
        "kubeletDiskType",
        "maxPods",
        "osDiskSizeGB",
        "osDiskType",
        "osType",
        "proximityPlacementGroupID",
        "scaleSetEvictionPolicy",
        "scaleSetPriority",
        "spotMaxPrice",
        "vnetSubnetID",
    ),
}
"""Inputs that a provider would change in place, and that the cloud then refuses to change."""

Op = Literal["create", "update", "replace", "delete-before-replace", "delete", "same"]


@dataclass(frozen=True)
class Step:
    """What becomes of one resource."""

    op: Op
    why: tuple[str, ...] = ()
    """Inputs that differ; for a replacement those that force it."""


def steps(old: Graph, new: Graph) -> dict[str, Step]:
    """Each resource of either graph, in the order in which Pulumi comes to it; deletions last."""
    found: dict[str, Step] = {}
    order = sorted(new.resources, key=lambda name: (len(new.before[name]), name))
    for name in order:
        found[name] = _step(name, old, new, found)
    gone = sorted(old.resources.keys() - new.resources.keys(), key=lambda name: (-len(old.before[name]), name))
    return found | {name: Step("delete") for name in gone}


def _step(name: str, old: Graph, new: Graph, done: Mapping[str, Step]) -> Step:
    resource = new.resources[name]
    before = old.resources.get(name)
    if before is None or before.urn != resource.urn:
        return Step("create")
    ignored = tuple(str(path) for path in resource.options.get("ignoreChanges", ()))
    differ = [path for path in _differences(before.inputs, resource.inputs) if not _below(path, ignored)]
    unknown = list(_unknown_paths(dict(resource.inputs)))
    renewed = [path for path in unknown if _source_is(path, resource, new, done, _RENEWED)]
    forced = [path for path in (*differ, *renewed) if _below(path, FORCES.get(resource.type, ()))]
    forced += [path for path in differ if _below(path, tuple(resource.options.get("replaceOnChanges", ())))]
    if not forced:
        # A template that changes in place has a new version, which its node group then moves to.
        versions = [path for path in unknown if path == "launchTemplate.version"]
        differ += [path for path in versions if _source_is(path, resource, new, done, {"update"})]
        return Step("update", tuple(differ)) if differ else Step("same")
    named = _NAMES.get(resource.type, "")
    stays = bool(named) and _at(before.inputs, named) == _at(resource.inputs, named)
    first = bool(resource.options.get("deleteBeforeReplace")) or (stays and bool(named))
    return Step("delete-before-replace" if first else "replace", tuple(sorted(set(forced))))


_RENEWED = {"replace", "delete-before-replace", "create"}


def _source_is(path: str, resource: Resource, graph: Graph, done: Mapping[str, Step], ops: set[str]) -> bool:
    """Whether what is not known comes from a resource of which this becomes."""
    known = {found.urn: name for name, found in graph.resources.items()}
    sources = (known[urn] for urn in resource.property_dependencies.get(path.partition(".")[0], ()) if urn in known)
    return any(done[source].op in ops for source in sources)


def lost(old: Graph, new: Graph) -> list[str]:
    """Pools, clusters and volumes that go before their successor stands, or that the cloud would refuse to change.

    A pool that leaves the program has a successor where another group of the same pool stays or is made: deletions
    come last.
    """
    guarded = {**POOLS, **CLUSTERS, **VOLUMES}
    stay = {pool_of(resource) for resource in new.of(*POOLS).values()}
    found: list[str] = []
    for name, step in steps(old, new).items():
        resource = new.resources.get(name) or old.resources[name]
        if resource.type not in guarded:
            continue
        kept = resource.type in CLUSTERS or resource.type in VOLUMES
        if step.op == "delete" and pool_of(resource) in stay:
            continue
        if step.op in {"delete", "delete-before-replace"} or (step.op == "replace" and kept):
            found.append(f"{name}: {step.op} by {', '.join(step.why) or 'leaving the program'}")
        elif step.op == "update":
            refused = [path for path in step.why if _below(path, REFUSED.get(resource.type, ()))]
            found += [f"{name}: the cloud refuses to change {path}" for path in refused]
    return found


def pool_of(resource: Resource) -> str:
    """The pool of the stack file that a node pool is of, by the label of its nodes; empty for what is none."""
    for path in ("labels", "nodeConfig.labels", "nodeLabels"):
        labels = _at(resource.inputs, path)
        if resource.type in POOLS and isinstance(labels, Mapping):
            return str(labels.get(names.POOL, ""))
    return "none"


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Paths of inputs that differ, lists left out of the path."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            yield from _differences(before, after, path)
    elif old != new:
        yield path


def _unknown_paths(value: Any, path: str = "") -> Iterator[str]:
    if value is UNKNOWN:
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unknown_paths(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and has_unknown(value):
        for item in value:
            yield from _unknown_paths(item, path)


def _below(path: str, places: Iterable[str]) -> bool:
    """Whether a path is one of the places, is in one, or holds one."""
    return any(
        path == place or path.startswith(f"{place}.") or place.startswith(f"{path}.") for place in places if place
    )


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
