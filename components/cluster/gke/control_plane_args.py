"""The control plane's nested arguments: plan to SDK, one for one."""

from __future__ import annotations

from pulumi_gcp import container

from espalier.blueprint.clouds.gke import GkePlan
from espalier.components.cluster.gke.identities import NodeAccount
from espalier.components.cluster.gke.keys import Keys

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
"""All: what nodes may do is decided by their account's roles."""


def maintenance(plan: GkePlan) -> container.ClusterMaintenancePolicyArgs:
    """The weekly window and the exclusions."""
    return container.ClusterMaintenancePolicyArgs(
        recurring_window=container.ClusterMaintenancePolicyRecurringWindowArgs(
            start_time=plan.window.start, end_time=plan.window.end, recurrence=plan.window.recurrence
        ),
        maintenance_exclusions=[
            container.ClusterMaintenancePolicyMaintenanceExclusionArgs(
                exclusion_name=pause.name,
                start_time=pause.start,
                end_time=pause.end,
                exclusion_options=container.ClusterMaintenancePolicyMaintenanceExclusionExclusionOptionsArgs(
                    scope=pause.scope, end_time_behavior=None if pause.end else "UNTIL_END_OF_SUPPORT"
                ),
            )
            for pause in plan.pauses
        ],
    )


def private(plan: GkePlan) -> container.ClusterPrivateClusterConfigArgs:
    """Nodes without public addresses, and an API without one unless the plan says public."""
    return container.ClusterPrivateClusterConfigArgs(
        enable_private_nodes=True,
        enable_private_endpoint=plan.access.via != "public",
        master_ipv4_cidr_block=plan.master_cidr,
    )


def endpoints(plan: GkePlan) -> container.ClusterControlPlaneEndpointsConfigArgs:
    """The DNS endpoint answers from outside only where it is the way in; Google identities alone are taken there."""
    return container.ClusterControlPlaneEndpointsConfigArgs(
        dns_endpoint_config=container.ClusterControlPlaneEndpointsConfigDnsEndpointConfigArgs(
            allow_external_traffic=plan.access.via == "dns-endpoint",
            enable_k8s_certs_via_dns=False,
            enable_k8s_tokens_via_dns=False,
        ),
        ip_endpoints_config=container.ClusterControlPlaneEndpointsConfigIpEndpointsConfigArgs(enabled=True),
    )


def networks(plan: GkePlan) -> container.ClusterMasterAuthorizedNetworksConfigArgs:
    """Ranges that may reach the API's address; without any, the cluster's own nodes alone."""
    return container.ClusterMasterAuthorizedNetworksConfigArgs(
        cidr_blocks=[
            container.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs(cidr_block=cidr) for cidr in plan.access.cidrs
        ],
        gcp_public_cidrs_access_enabled=False,
    )


def monitoring(plan: GkePlan) -> container.ClusterMonitoringConfigArgs:
    """Metrics of the components, kept by Google's managed Prometheus."""
    return container.ClusterMonitoringConfigArgs(
        enable_components=list(plan.metrics),
        managed_prometheus=container.ClusterMonitoringConfigManagedPrometheusArgs(enabled=True),
    )


def autoscaling(plan: GkePlan, keys: Keys, account: NodeAccount) -> container.ClusterClusterAutoscalingArgs:
    """The autoscaler's profile, and node auto-provisioning with its limits where it is on."""
    if not plan.limits:
        return container.ClusterClusterAutoscalingArgs(enabled=False, autoscaling_profile=plan.profile)
    return container.ClusterClusterAutoscalingArgs(
        enabled=True,
        autoscaling_profile=plan.profile,
        auto_provisioning_locations=list(plan.zones),
        resource_limits=[
            container.ClusterClusterAutoscalingResourceLimitArgs(resource_type=kind, minimum=0, maximum=most)
            for kind, most in plan.limits.items()
        ],
        auto_provisioning_defaults=container.ClusterClusterAutoscalingAutoProvisioningDefaultsArgs(
            service_account=account.email,
            oauth_scopes=SCOPES,
            boot_disk_kms_key=keys.disks,
            image_type="COS_CONTAINERD",
            management=container.ClusterClusterAutoscalingAutoProvisioningDefaultsManagementArgs(
                auto_repair=True, auto_upgrade=True
            ),
            shielded_instance_config=(
                container.ClusterClusterAutoscalingAutoProvisioningDefaultsShieldedInstanceConfigArgs(
                    enable_secure_boot=True, enable_integrity_monitoring=True
                )
            ),
        ),
    )


def default_pool(plan: GkePlan, keys: Keys, account: NodeAccount) -> container.ClusterNodeConfigArgs:
    """Nodes that GKE insists on for a moment: no less guarded than those that stay."""
    return container.ClusterNodeConfigArgs(
        machine_type="e2-medium",
        disk_type="pd-balanced",
        disk_size_gb=50,
        boot_disk_kms_key=keys.disks,
        service_account=account.email,
        oauth_scopes=SCOPES,
        resource_labels=dict(plan.tags),
        metadata={"disable-legacy-endpoints": "true"},
        shielded_instance_config=container.ClusterNodeConfigShieldedInstanceConfigArgs(
            enable_secure_boot=True, enable_integrity_monitoring=True
        ),
        workload_metadata_config=container.ClusterNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
    )
