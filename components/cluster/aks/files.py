"""A premium Azure Files account for shared volumes, reached by a private endpoint alone."""

from __future__ import annotations

from pulumi_azure_native import storage

from espalier.blueprint.clouds.aks.model import AksFiles, AksPlan
from espalier.components.cluster.aks.azure import Azure
from espalier.components.cluster.aks.network import Network
from espalier.components.cluster.aks.private import private_endpoint, private_zone


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
    zone = private_zone(azure, plan, "files", inside)
    private_endpoint(azure, plan, "files", account.id, "file", zone, inside)
    return account
