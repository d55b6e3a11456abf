"""A premium Azure Files account for shared volumes, reached by a private endpoint alone."""

from __future__ import annotations

from pulumi_azure_native import network, privatedns, storage

from espalier.blueprint.clouds.aks.model import AksFiles, AksPlan
from espalier.components.cluster.aks.azure import Azure
from espalier.components.cluster.aks.network import Network

_ZONE = "privatelink.file.core.windows.net"


def files_of(azure: Azure, plan: AksPlan, files: AksFiles, inside: Network) -> storage.StorageAccount:
    """The account with its endpoint in the network. Shares are made in it as claims ask for them."""
    account = storage.StorageAccount(
        f"{azure.name}-files",
        account_name=files.account,
        resource_group_name=azure.group,
        location=azure.location,
        kind="FileStorage",
        sku={"name": files.sku},
        # NFS has no HTTPS: the storage class has it encrypted in transit instead.
        enable_https_traffic_only=False,
        minimum_tls_version="TLS1_2",
        allow_blob_public_access=False,
        allow_shared_key_access=False,
        public_network_access="Disabled",
        network_rule_set={"default_action": storage.DefaultAction.DENY, "bypass": "None"},
        tags=azure.tags,
        opts=azure.options(protect=plan.protected),
    )
    _endpoint(azure, plan, account, inside)
    return account


def _endpoint(azure: Azure, plan: AksPlan, account: storage.StorageAccount, inside: Network) -> None:
    zone = privatedns.PrivateZone(
        f"{azure.name}-files-zone",
        private_zone_name=_ZONE,
        resource_group_name=azure.group,
        location="Global",
        tags=azure.tags,
        opts=azure.options(),
    )
    privatedns.VirtualNetworkLink(
        f"{azure.name}-files-zone-link",
        virtual_network_link_name=plan.name,
        private_zone_name=_ZONE,
        resource_group_name=azure.group,
        location="Global",
        registration_enabled=False,
        virtual_network={"id": inside.id},
        tags=azure.tags,
        opts=azure.options(after=[zone]),
    )
    endpoint = network.PrivateEndpoint(
        f"{azure.name}-files-endpoint",
        private_endpoint_name=f"{plan.name}-files",
        resource_group_name=azure.group,
        location=azure.location,
        subnet={"id": inside.endpoints},
        private_link_service_connections=[
            {"name": "files", "private_link_service_id": account.id, "group_ids": ["file"]}
        ],
        tags=azure.tags,
        opts=azure.options(),
    )
    network.PrivateDnsZoneGroup(
        f"{azure.name}-files-names",
        private_dns_zone_group_name="default",
        private_endpoint_name=f"{plan.name}-files",
        resource_group_name=azure.group,
        private_dns_zone_configs=[{"name": "files", "private_dns_zone_id": zone.id}],
        opts=azure.options(after=[endpoint]),
    )
