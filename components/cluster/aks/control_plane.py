"""The AKS cluster itself with its first agent pool, its maintenance windows and what it sends to Azure Monitor."""

from __future__ import annotations

from collections.abc import Iterable

import pulumi
from pulumi_azure_native import containerservice, monitor

from espalier.blueprint.clouds.aks.model import AksMonitoring, AksNodeGroup, AksPlan
from espalier.components.cluster.aks.azure import Azure
from espalier.components.cluster.aks.pools import FIRST_KEEPS, first_pool

LOGS = ("kube-apiserver", "kube-audit-admin", "kube-controller-manager", "cluster-autoscaler", "guard")
"""Control-plane logs (azure-aks-docs, monitor-aks-reference.md)."""


def control_plane(
    azure: Azure,
    plan: AksPlan,
    first: AksNodeGroup,
    *,
    subnet: pulumi.Input[str],
    identity: pulumi.Input[str],
    disks: pulumi.Input[str] | None,
    secrets: pulumi.Input[str] | None,
    after: Iterable[pulumi.Resource],
) -> containerservice.ManagedCluster:
    """The cluster: private, Entra identities only, Cilium, workload identity."""
    return containerservice.ManagedCluster(
        f"{azure.name}-control-plane",
        resource_name_=plan.name,
        resource_group_name=azure.group,
        location=azure.location,
        kubernetes_version=plan.version,
        dns_prefix=plan.name,
        node_resource_group=plan.node_group,
        sku={"name": "Base", "tier": plan.tier},
        support_plan=plan.support,
        identity={"type": containerservice.ResourceIdentityType.USER_ASSIGNED, "user_assigned_identities": [identity]},
        agent_pool_profiles=[first_pool(azure, plan, first, subnet)],
        aad_profile=_entra(plan),
        disable_local_accounts=True,
        enable_rbac=True,
        api_server_access_profile=_api(plan),
        network_profile=_network(plan),
        bootstrap_profile={"artifact_source": "Cache"} if plan.network.isolated else None,
        oidc_issuer_profile={"enabled": True},
        security_profile=_security(plan, secrets),
        disk_encryption_set_id=disks,
        auto_scaler_profile=_autoscaler(plan),
        auto_upgrade_profile={
            "upgrade_channel": plan.upgrade_channel,
            "node_os_upgrade_channel": plan.node_os_channel,
        },
        storage_profile={
            "disk_csi_driver": {"enabled": True},
            "file_csi_driver": {"enabled": True},
            "snapshot_controller": {"enabled": True},
        },
        azure_monitor_profile={"metrics": {"enabled": True}} if plan.monitoring and plan.monitoring.metrics else None,
        addon_profiles=_addons(plan),
        tags=azure.tags,
        opts=azure.options(after=after, ignore=FIRST_KEEPS, protect=plan.protected),
    )


def _entra(plan: AksPlan) -> containerservice.ManagedClusterAADProfileArgsDict:
    profile: containerservice.ManagedClusterAADProfileArgsDict = {
        "managed": True,
        "enable_azure_rbac": True,
        "admin_group_object_ids": list(plan.admins),
    }
    if plan.tenant:
        profile["tenant_id"] = plan.tenant
    return profile


def _api(plan: AksPlan) -> containerservice.ManagedClusterAPIServerAccessProfileArgsDict:
    # `az aks command invoke` would be a second way in, past the network.
    if not plan.api.private:
        return {
            "enable_private_cluster": False,
            "authorized_ip_ranges": list(plan.api.ranges),
            "disable_run_command": True,
        }
    return {
        "enable_private_cluster": True,
        "enable_private_cluster_public_fqdn": plan.api.public_name,
        "private_dns_zone": plan.api.dns_zone,
        "disable_run_command": True,
    }


def _network(plan: AksPlan) -> containerservice.ContainerServiceNetworkProfileArgsDict:
    return {
        "network_plugin": "azure",
        "network_plugin_mode": "overlay",
        "network_dataplane": "cilium",
        "network_policy": "cilium",
        "load_balancer_sku": "standard",
        "outbound_type": plan.network.outbound,
        "pod_cidr": plan.network.pods,
        "service_cidr": plan.network.services,
        "dns_service_ip": plan.network.dns,
    }


def _security(
    plan: AksPlan, secrets: pulumi.Input[str] | None
) -> containerservice.ManagedClusterSecurityProfileArgsDict:
    found: containerservice.ManagedClusterSecurityProfileArgsDict = {
        "workload_identity": {"enabled": True},
        "image_cleaner": {"enabled": True, "interval_hours": 168},
    }
    if secrets is not None:
        found["azure_key_vault_kms"] = {
            "enabled": True,
            "key_id": secrets,
            "key_vault_network_access": "Public",
        }
    if plan.monitoring and plan.monitoring.defender:
        found["defender"] = {
            "log_analytics_workspace_resource_id": plan.monitoring.workspace,
            "security_monitoring": {"enabled": True},
        }
    return found


def _autoscaler(plan: AksPlan) -> containerservice.ManagedClusterPropertiesAutoScalerProfileArgsDict | None:
    profile = plan.autoscaler
    if profile is None:
        return None
    return {
        "expander": profile.expander,
        "scan_interval": profile.scan_interval,
        "max_node_provision_time": profile.max_node_provision_time,
        "max_graceful_termination_sec": profile.max_graceful_termination_sec,
        "scale_down_delay_after_add": profile.scale_down_delay_after_add,
        "scale_down_unneeded_time": profile.scale_down_unneeded_time,
        "scale_down_utilization_threshold": profile.scale_down_utilization_threshold,
        "ignore_daemonsets_utilization": profile.ignore_daemonsets,
        "skip_nodes_with_local_storage": profile.skip_nodes_with_local_storage,
        "skip_nodes_with_system_pods": profile.skip_nodes_with_system_pods,
    }


def _addons(plan: AksPlan) -> dict[str, containerservice.ManagedClusterAddonProfileArgsDict]:
    found: dict[str, containerservice.ManagedClusterAddonProfileArgsDict] = {}
    if plan.azure_policy:
        found["azurepolicy"] = {"enabled": True}
    if plan.monitoring and plan.monitoring.containers:
        found["omsagent"] = {
            "enabled": True,
            "config": {"logAnalyticsWorkspaceResourceID": plan.monitoring.workspace, "useAADAuth": "true"},
        }
    return found


def maintenance(azure: Azure, plan: AksPlan, cluster: containerservice.ManagedCluster) -> list[pulumi.Resource]:
    """The windows in which AKS may upgrade Kubernetes, nodes' images, and its own components."""
    window: containerservice.MaintenanceWindowArgsDict = {
        "schedule": {"weekly": {"day_of_week": plan.day, "interval_weeks": 1}},
        "start_time": plan.start,
        "duration_hours": plan.hours,
        "utc_offset": "+00:00",
    }
    return [
        containerservice.MaintenanceConfiguration(
            f"{azure.name}-maintenance-{key}",
            config_name=config,
            resource_group_name=azure.group,
            resource_name_=plan.name,
            maintenance_window=window,
            opts=azure.options(after=[cluster]),
        )
        for key, config in (
            ("kubernetes", "aksManagedAutoUpgradeSchedule"),
            ("nodes", "aksManagedNodeOSUpgradeSchedule"),
            ("components", "default"),
        )
    ]


def logs(azure: Azure, monitoring: AksMonitoring, cluster: containerservice.ManagedCluster) -> None:
    """Sends the control plane's logs to the workspace."""
    monitor.DiagnosticSetting(
        f"{azure.name}-logs",
        name="espalier",
        resource_uri=cluster.id,
        workspace_id=monitoring.workspace,
        log_analytics_destination_type="Dedicated",
        logs=[{"category": category, "enabled": True} for category in LOGS],
        opts=azure.options(),
    )
