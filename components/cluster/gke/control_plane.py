"""The control plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_gcp import container

from espalier.blueprint.clouds.gke import GkePlan
from espalier.blueprint.clouds.gke.model import GivenCluster
from espalier.components.cluster.gke.control_plane_args import (
    autoscaling,
    default_pool,
    endpoints,
    maintenance,
    monitoring,
    networks,
    private,
)
from espalier.components.cluster.gke.identities import NodeAccount
from espalier.components.cluster.gke.keys import Keys
from espalier.components.cluster.gke.network import Place


@dataclass(frozen=True, slots=True)
class Reached:
    """A control plane: its path for node pools, its endpoint and certificate authority for clients.

    `version` is what nodes follow; None where GKE upgrades them.
    """

    path: pulumi.Input[str]
    endpoint: pulumi.Output[str]
    certificate: pulumi.Output[str]
    version: pulumi.Output[str] | None = None
    ready: tuple[pulumi.Resource, ...] = ()

    @classmethod
    def given(cls, plan: GkePlan, cluster: GivenCluster) -> Reached:
        """One that Espalier did not make."""
        output = pulumi.Output.from_input
        return cls(plan.path, output(cluster.endpoint), output(cluster.certificate))


def control_plane(
    name: str, plan: GkePlan, keys: Keys, place: Place, account: NodeAccount, opts: pulumi.ResourceOptions
) -> Reached:
    """A private, VPC-native cluster with Dataplane V2 and workload identity, without nodes of its own."""
    cluster = container.Cluster(
        f"{name}-control-plane",
        name=plan.name,
        project=plan.project,
        location=plan.location,
        node_locations=list(plan.zones),
        min_master_version=plan.version,
        release_channel=container.ClusterReleaseChannelArgs(channel=plan.channel),
        maintenance_policy=maintenance(plan),
        network=place.network,
        subnetwork=place.subnetwork,
        networking_mode="VPC_NATIVE",
        datapath_provider="ADVANCED_DATAPATH",
        ip_allocation_policy=container.ClusterIpAllocationPolicyArgs(
            cluster_secondary_range_name=plan.network.pods_range,
            services_secondary_range_name=plan.network.services_range,
        ),
        private_cluster_config=private(plan),
        control_plane_endpoints_config=endpoints(plan),
        master_authorized_networks_config=networks(plan),
        master_auth=container.ClusterMasterAuthArgs(
            client_certificate_config=container.ClusterMasterAuthClientCertificateConfigArgs(
                issue_client_certificate=False
            )
        ),
        anonymous_authentication_config=container.ClusterAnonymousAuthenticationConfigArgs(mode="LIMITED"),
        rbac_binding_config=container.ClusterRbacBindingConfigArgs(
            enable_insecure_binding_system_authenticated=False,
            enable_insecure_binding_system_unauthenticated=False,
        ),
        authenticator_groups_config=container.ClusterAuthenticatorGroupsConfigArgs(security_group=plan.security_group)
        if plan.security_group
        else None,
        enable_legacy_abac=False,
        enable_shielded_nodes=True,
        workload_identity_config=container.ClusterWorkloadIdentityConfigArgs(
            workload_pool=f"{plan.project}.svc.id.goog"
        ),
        database_encryption=container.ClusterDatabaseEncryptionArgs(state="ENCRYPTED", key_name=keys.secrets),
        security_posture_config=container.ClusterSecurityPostureConfigArgs(
            mode="BASIC", vulnerability_mode="VULNERABILITY_DISABLED"
        ),
        addons_config=container.ClusterAddonsConfigArgs(
            gce_persistent_disk_csi_driver_config=container.ClusterAddonsConfigGcePersistentDiskCsiDriverConfigArgs(
                enabled=True
            ),
            gcp_filestore_csi_driver_config=container.ClusterAddonsConfigGcpFilestoreCsiDriverConfigArgs(
                enabled=plan.filestore
            ),
        ),
        cluster_autoscaling=autoscaling(plan, keys, account),
        logging_config=container.ClusterLoggingConfigArgs(enable_components=list(plan.logs)),
        monitoring_config=monitoring(plan),
        cost_management_config=container.ClusterCostManagementConfigArgs(enabled=True),
        remove_default_node_pool=True,
        initial_node_count=1,
        node_config=default_pool(plan, keys, account),
        resource_labels=dict(plan.tags),
        deletion_protection=plan.deletion_protection,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                depends_on=[*keys.ready, *place.ready, *account.ready],
                ignore_changes=["nodeConfig"],  # of the pool that is gone as soon as the cluster stands
            ),
        ),
    )
    return Reached(
        path=cluster.id,
        endpoint=_endpoint(plan, cluster),
        certificate=cluster.master_auth.apply(_certificate),
        version=cluster.master_version if plan.nodes_follow else None,
        ready=(cluster,),
    )


def _endpoint(plan: GkePlan, cluster: container.Cluster) -> pulumi.Output[str]:
    """The DNS endpoint's name where it is used, else the address: the private one where there is no other."""
    if plan.access.via == "dns-endpoint":
        return cluster.control_plane_endpoints_config.apply(_dns)
    return cluster.endpoint


def _dns(found: Any) -> str:
    dns = _field(found, "dns_endpoint_config")
    return str(_field(dns, "endpoint") or "")


def _certificate(found: Any) -> str:
    return str(_field(found, "cluster_ca_certificate") or "")


def _field(found: Any, name: str) -> Any:
    """A field of an output, which comes as an object of the SDK or as a mapping."""
    return found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)
