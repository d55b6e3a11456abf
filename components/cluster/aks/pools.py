"""Agent pools: the cluster's first, in its own request, and all others as resources of their own."""

from __future__ import annotations

from collections.abc import Iterable

import pulumi
from pulumi_azure_native import compute, containerservice

from espalier.blueprint.clouds.aks.model import AksNodeGroup, AksPlan
from espalier.components.cluster.aks.azure import Azure

FIRST_KEEPS = tuple(
    f"agentPoolProfiles[0].{field}"
    for field in (
        "vmSize",
        "availabilityZones",
        "osDiskSizeGB",
        "osDiskType",
        "osSKU",
        "maxPods",
        "enableEncryptionAtHost",
        "enableFIPS",
        "creationData",
        "capacityReservationGroupID",
    )
)
"""What AKS cannot change of the first agent pool, in the provider's spelling."""


def first_pool(
    azure: Azure, plan: AksPlan, group: AksNodeGroup, subnet: pulumi.Input[str]
) -> containerservice.ManagedClusterAgentPoolProfileArgsDict:
    """The agent pool that the cluster is made with."""
    profile: containerservice.ManagedClusterAgentPoolProfileArgsDict = {
        "name": group.name,
        "mode": group.mode,
        "type": "VirtualMachineScaleSets",
        "count": group.start,
        "vm_size": group.vm_size,
        "vnet_subnet_id": subnet,
        "orchestrator_version": plan.version,
        "os_type": "Linux",
        "os_sku": group.os_sku,
        "os_disk_size_gb": group.os_disk_gib,
        "os_disk_type": group.os_disk_type,
        "max_pods": group.max_pods,
        "node_labels": group.labels,
        "node_taints": list(group.node_taints),
        "enable_auto_scaling": False,
        "enable_node_public_ip": False,
        "enable_encryption_at_host": group.host_encryption,
        "enable_fips": group.fips,
        "security_profile": {"enable_secure_boot": group.secure_boot, "enable_vtpm": group.secure_boot},
        "upgrade_settings": {"max_surge": group.max_surge},
        "tags": azure.tags,
    }
    # Within an object the SDK sends None as null.
    if group.zones:
        profile["availability_zones"] = list(group.zones)
    if group.reservation:
        profile["capacity_reservation_group_id"] = group.reservation
    if group.snapshot:
        profile["creation_data"] = {"source_resource_id": group.snapshot}
    return profile


def agent_pool(
    azure: Azure,
    plan: AksPlan,
    group: AksNodeGroup,
    subnet: pulumi.Input[str] | None,
    after: Iterable[pulumi.Resource],
) -> containerservice.AgentPool:
    """An agent pool. Its name has the generation in it: a new one stands before the old one goes."""
    return containerservice.AgentPool(
        f"{azure.name}-group-{group.key}",
        agent_pool_name=group.name,
        resource_group_name=azure.group,
        resource_name_=plan.name,
        mode=group.mode,
        type="VirtualMachineScaleSets",
        count=group.start,
        enable_auto_scaling=group.autoscaled,
        min_count=group.minimum if group.autoscaled else None,
        max_count=group.maximum if group.autoscaled else None,
        vm_size=group.vm_size,
        availability_zones=list(group.zones) or None,
        proximity_placement_group_id=_placement(azure, group) if group.compact else None,
        capacity_reservation_group_id=group.reservation,
        scale_set_priority="Spot" if group.spot else "Regular",
        scale_set_eviction_policy="Delete" if group.spot else None,
        spot_max_price=-1.0 if group.spot else None,
        scale_down_mode="Delete",
        vnet_subnet_id=subnet,
        orchestrator_version=plan.version,
        os_type="Linux",
        os_sku=group.os_sku,
        os_disk_size_gb=group.os_disk_gib,
        os_disk_type=group.os_disk_type,
        creation_data={"source_resource_id": group.snapshot} if group.snapshot else None,
        max_pods=group.max_pods,
        node_labels=group.labels,
        node_taints=list(group.node_taints),
        enable_node_public_ip=False,
        enable_encryption_at_host=group.host_encryption,
        enable_fips=group.fips,
        gpu_profile={"driver": group.gpu_driver} if group.gpu_driver else None,
        gpu_instance_profile=group.gpu_instance_profile,
        security_profile={"enable_secure_boot": group.secure_boot, "enable_vtpm": group.secure_boot},
        upgrade_settings=_upgrade(group),
        tags={**azure.tags, **group.tags},
        # The autoscaler owns the number of nodes.
        opts=azure.options(after=after, ignore=["count"]),
    )


def _upgrade(group: AksNodeGroup) -> containerservice.AgentPoolUpgradeSettingsArgsDict | None:
    if group.max_surge is None:
        return None
    if group.max_unavailable is None:
        return {"max_surge": group.max_surge}
    return {"max_surge": group.max_surge, "max_unavailable": group.max_unavailable}


def _placement(azure: Azure, group: AksNodeGroup) -> pulumi.Output[str]:
    return compute.ProximityPlacementGroup(
        f"{azure.name}-placement-{group.key}",
        proximity_placement_group_name=group.name,
        resource_group_name=azure.group,
        location=azure.location,
        proximity_placement_group_type="Standard",
        zones=list(group.zones) or None,
        tags=azure.tags,
        opts=azure.options(),
    ).id
