"""A node pool's nested arguments: plan to SDK, one for one."""

from __future__ import annotations

import pulumi
from pulumi_gcp import container

from espalier.blueprint.clouds.gke import GkeNodePool, GkePlan
from espalier.components.cluster.gke.control_plane_args import SCOPES

_EFFECTS = {"NoSchedule": "NO_SCHEDULE", "PreferNoSchedule": "PREFER_NO_SCHEDULE", "NoExecute": "NO_EXECUTE"}
_RESERVATION = "compute.googleapis.com/reservation-name"


def autoscaling(group: GkeNodePool) -> container.NodePoolAutoscalingArgs | None:
    """Limits in total, or a zone: the API takes one of the two."""
    limits = group.autoscaling
    if limits is None:
        return None
    if limits.per_zone:
        return container.NodePoolAutoscalingArgs(
            min_node_count=limits.minimum, max_node_count=limits.maximum, location_policy=limits.policy
        )
    return container.NodePoolAutoscalingArgs(
        total_min_node_count=limits.minimum, total_max_node_count=limits.maximum, location_policy=limits.policy
    )


def node_config(
    plan: GkePlan, group: GkeNodePool, key: pulumi.Input[str] | None, account: pulumi.Input[str]
) -> container.NodePoolNodeConfigArgs:
    """The nodes themselves."""
    return container.NodePoolNodeConfigArgs(
        machine_type=group.machine_type,
        image_type=group.image_type,
        spot=group.spot,
        flex_start=True if group.flex else None,
        max_run_duration=group.max_run,
        guest_accelerators=_gpus(group),
        reservation_affinity=_reservation(group),
        boot_disk=container.NodePoolNodeConfigBootDiskArgs(
            disk_type=group.disk_type,
            size_gb=group.disk_gib,
            provisioned_iops=group.disk_iops,
            provisioned_throughput=group.disk_throughput,
        ),
        boot_disk_kms_key=key,
        ephemeral_storage_local_ssd_config=container.NodePoolNodeConfigEphemeralStorageLocalSsdConfigArgs(
            local_ssd_count=group.ephemeral_ssds
        )
        if group.ephemeral_ssds
        else None,
        local_nvme_ssd_block_config=container.NodePoolNodeConfigLocalNvmeSsdBlockConfigArgs(
            local_ssd_count=group.raw_ssds
        )
        if group.raw_ssds
        else None,
        secondary_boot_disks=[
            container.NodePoolNodeConfigSecondaryBootDiskArgs(
                disk_image=group.preload_image, mode="CONTAINER_IMAGE_CACHE"
            )
        ]
        if group.preload_image
        else None,
        gcfs_config=container.NodePoolNodeConfigGcfsConfigArgs(enabled=group.streaming),
        gvnic=container.NodePoolNodeConfigGvnicArgs(enabled=True),
        labels=dict(group.labels),
        taints=[
            container.NodePoolNodeConfigTaintArgs(key=taint.key, value=taint.value, effect=_EFFECTS[taint.effect])
            for taint in group.taints
        ],
        resource_labels={**plan.tags, "espalier-pool": group.pool},
        tags=[f"{plan.name}-nodes"],
        service_account=account,
        oauth_scopes=SCOPES,
        metadata={"disable-legacy-endpoints": "true"},
        shielded_instance_config=container.NodePoolNodeConfigShieldedInstanceConfigArgs(
            enable_secure_boot=group.secure_boot, enable_integrity_monitoring=True
        ),
        workload_metadata_config=container.NodePoolNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
        kubelet_config=container.NodePoolNodeConfigKubeletConfigArgs(
            insecure_kubelet_readonly_port_enabled="FALSE",
            shutdown_grace_period_seconds=group.shutdown[0] if group.shutdown else None,
            shutdown_grace_period_critical_pods_seconds=group.shutdown[1] if group.shutdown else None,
        ),
    )


def _gpus(group: GkeNodePool) -> list[container.NodePoolNodeConfigGuestAcceleratorArgs] | None:
    gpus = group.gpus
    if gpus is None:
        return None
    sharing = None
    if gpus.sharing is not None:
        sharing = container.NodePoolNodeConfigGuestAcceleratorGpuSharingConfigArgs(
            gpu_sharing_strategy=gpus.sharing, max_shared_clients_per_gpu=gpus.clients
        )
    return [
        container.NodePoolNodeConfigGuestAcceleratorArgs(
            type=gpus.type,
            count=gpus.count,
            gpu_partition_size=gpus.partition,
            gpu_driver_installation_config=(
                container.NodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfigArgs(
                    gpu_driver_version=gpus.driver
                )
            ),
            gpu_sharing_config=sharing,
        )
    ]


def _reservation(group: GkeNodePool) -> container.NodePoolNodeConfigReservationAffinityArgs:
    if group.reservation is None:
        return container.NodePoolNodeConfigReservationAffinityArgs(consume_reservation_type="NO_RESERVATION")
    return container.NodePoolNodeConfigReservationAffinityArgs(
        consume_reservation_type="SPECIFIC_RESERVATION", key=_RESERVATION, values=[group.reservation]
    )
