"""Registries, the private zone and the storage account of buckets beside an AKS cluster, as resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, containerregistry, managedidentity, privatedns, storage

from espalier.blueprint.clouds.aks import ids
from espalier.blueprint.clouds.aks.identities import CRYPTO_SERVICE_USER
from espalier.blueprint.clouds.aks.model import AksPlan
from espalier.blueprint.clouds.parts import Bucket, Registry, Zone
from espalier.components.cluster.aks.azure import Azure
from espalier.components.cluster.aks.keys import DiskKeys, vault_key
from espalier.components.cluster.aks.network import Network
from espalier.components.cluster.aks.private import private_endpoint, private_zone
from espalier.components.cluster.aks.roles import definition
from espalier.components.cluster.beside import Beside


@dataclass(frozen=True, slots=True)
class Made:
    """What stands beside the cluster, and ids of registries and containers for roles, by the plan's words."""

    beside: Beside
    scopes: Mapping[str, pulumi.Input[str]]


def parts_of(azure: Azure, plan: AksPlan, inside: Network, keys: DiskKeys | None) -> Made:
    """All that the plan makes, and what it names."""
    asked = plan.parts
    scopes: dict[str, pulumi.Input[str]] = {}
    registries: dict[str, pulumi.Input[str]] = {one.key: one.url for one in asked.registries}
    if asked.makes_registries:
        zone = private_zone(azure, plan, "registries", inside)
        for one in (one for one in asked.registries if one.given is None):
            made, names = _registry(azure, plan, one, zone, inside)
            scopes[f"registry-{one.key}"] = made.id
            registries[one.key] = names.urn.apply(lambda _, url=one.url: url)
    buckets: dict[str, pulumi.Input[str]] = {one.key: one.url for one in asked.buckets}
    if asked.makes_buckets:
        for key, container in _buckets(azure, plan, inside, keys).items():
            scopes[f"bucket-{key}"] = container.id
            buckets[key] = container.id.apply(lambda _, url=buckets[key]: url)
    found = Beside(
        buckets=buckets,
        registries=registries,
        zone=_zone(azure, plan, asked.zone, inside) if asked.zone else None,
    )
    return Made(found, scopes)


def _registry(
    azure: Azure, plan: AksPlan, wanted: Registry, zone: pulumi.Input[str], inside: Network
) -> tuple[containerregistry.Registry, pulumi.Resource]:
    """A registry that the network alone reaches, by Entra identities alone."""
    made = containerregistry.Registry(
        f"{azure.name}-registry-{wanted.key}",
        registry_name=wanted.name,
        resource_group_name=azure.group,
        location=azure.location,
        sku={"name": containerregistry.SkuName.PREMIUM},
        admin_user_enabled=False,
        anonymous_pull_enabled=False,
        public_network_access="Disabled",
        network_rule_bypass_options="AzureServices",
        zone_redundancy="Enabled" if plan.zones else "Disabled",
        policies={"retention_policy": {"status": "enabled", "days": wanted.untagged}},
        tags=azure.tags,
        opts=azure.options(protect=plan.protected),
    )
    names = private_endpoint(azure, plan, f"registry-{wanted.key}", made.id, "registry", zone, inside)
    return made, names


def _buckets(azure: Azure, plan: AksPlan, inside: Network, keys: DiskKeys | None) -> dict[str, storage.BlobContainer]:
    """Containers of one account, each known once the network reaches it."""
    account = _account(azure, plan, keys)
    versions = storage.BlobServiceProperties(
        f"{azure.name}-blobs-versions",
        account_name=plan.blobs,
        blob_services_name="default",
        resource_group_name=azure.group,
        is_versioning_enabled=True,
        delete_retention_policy={"enabled": True, "days": plan.blobs_kept},
        container_delete_retention_policy={"enabled": True, "days": 30},
        opts=azure.options(after=[account]),
    )
    made = [one for one in plan.parts.buckets if one.given is None]
    storage.ManagementPolicy(
        f"{azure.name}-blobs-lifecycle",
        account_name=plan.blobs,
        management_policy_name="default",
        resource_group_name=azure.group,
        policy={"rules": [_rule(one) for one in made]},
        opts=azure.options(after=[versions]),
    )
    zone = private_zone(azure, plan, "blobs", inside)
    names = private_endpoint(azure, plan, "blobs", account.id, "blob", zone, inside)
    return {one.key: _container(azure, plan, one, [account, names]) for one in made}


def _container(azure: Azure, plan: AksPlan, wanted: Bucket, after: list[pulumi.Resource]) -> storage.BlobContainer:
    return storage.BlobContainer(
        f"{azure.name}-bucket-{wanted.key}",
        account_name=plan.blobs,
        container_name=wanted.name,
        resource_group_name=azure.group,
        public_access=storage.PublicAccess.NONE,
        opts=azure.options(after=after, protect=plan.protected),
    )


def _rule(wanted: Bucket) -> storage.ManagementPolicyRuleArgsDict:
    after: storage.DateAfterCreationArgsDict = {"days_after_creation_greater_than": float(wanted.old_versions)}
    return {
        "name": f"old-versions-{wanted.key}",
        "type": "Lifecycle",
        "enabled": True,
        "definition": {
            "filters": {"blob_types": ["blockBlob"], "prefix_match": [f"{wanted.name}/"]},
            "actions": {"version": {"delete": after}},
        },
    }


def _account(azure: Azure, plan: AksPlan, keys: DiskKeys | None) -> storage.StorageAccount:
    """The account: private, by Entra identities alone, encrypted by a key of the cluster's vault where it has one."""
    encrypted = _encryption(azure, plan, keys) if keys else None
    return storage.StorageAccount(
        f"{azure.name}-blobs",
        account_name=plan.blobs,
        resource_group_name=azure.group,
        location=azure.location,
        kind="StorageV2",
        sku={"name": "Standard_ZRS" if plan.zones else "Standard_LRS"},
        access_tier=storage.AccessTier.HOT,
        enable_https_traffic_only=True,
        minimum_tls_version="TLS1_2",
        allow_blob_public_access=False,
        allow_shared_key_access=False,
        allow_cross_tenant_replication=False,
        public_network_access="Disabled",
        network_rule_set={"default_action": storage.DefaultAction.DENY, "bypass": "None"},
        identity=encrypted.identity if encrypted else None,
        encryption=encrypted.encryption if encrypted else None,
        tags=azure.tags,
        opts=azure.options(after=[encrypted.granted] if encrypted else [], protect=plan.protected),
    )


@dataclass(frozen=True, slots=True)
class _Encrypted:
    identity: storage.IdentityArgsDict
    encryption: storage.EncryptionArgsDict
    granted: pulumi.Resource


def _encryption(azure: Azure, plan: AksPlan, keys: DiskKeys) -> _Encrypted:
    """A key of its own in the cluster's vault, and who uses it: an account cannot have an identity before it stands."""
    key = vault_key(azure, plan, "blobs", keys.vault)
    user = managedidentity.UserAssignedIdentity(
        f"{azure.name}-blobs-identity",
        resource_name_=f"{plan.name}-blobs",
        resource_group_name=azure.group,
        location=azure.location,
        tags=azure.tags,
        opts=azure.options(),
    )
    granted = authorization.RoleAssignment(
        f"{azure.name}-role-blobs-key",
        scope=keys.vault.id,
        role_definition_id=definition(azure, CRYPTO_SERVICE_USER, keys.vault.id),
        principal_id=user.principal_id,
        principal_type="ServicePrincipal",
        opts=azure.options(),
    )
    named: storage.KeyVaultPropertiesArgsDict = {
        "key_name": "blobs",
        # The key's address begins with its vault's, and is known once the key stands.
        "key_vault_uri": key.key_uri.apply(lambda uri: uri.split("/keys/")[0]),
    }
    return _Encrypted(
        identity={"type": storage.IdentityType.USER_ASSIGNED, "user_assigned_identities": [user.id]},
        encryption={
            "key_source": storage.KeySource.MICROSOFT_KEYVAULT,
            "key_vault_properties": named,
            "encryption_identity": {"encryption_user_assigned_identity": user.id},
        },
        granted=granted,
    )


def _zone(azure: Azure, plan: AksPlan, wanted: Zone, inside: Network) -> pulumi.Input[str]:
    """The zone's id, known once the network resolves it."""
    if wanted.given is not None and not wanted.linked:
        return wanted.given
    group = ids.group_of(wanted.given) if wanted.given else azure.group
    zone: list[pulumi.Resource] = []
    if wanted.given is None:
        made = privatedns.PrivateZone(
            f"{azure.name}-dns",
            private_zone_name=wanted.domain,
            resource_group_name=group,
            location="Global",
            tags=azure.tags,
            opts=azure.options(protect=plan.protected),
        )
        zone.append(made)
    link = privatedns.VirtualNetworkLink(
        f"{azure.name}-dns-network",
        virtual_network_link_name=plan.name,
        private_zone_name=wanted.name,
        resource_group_name=group,
        location="Global",
        registration_enabled=False,
        virtual_network={"id": inside.id},
        tags=azure.tags,
        opts=azure.options(after=zone),
    )
    return link.id.apply(lambda id_: id_.partition("/virtualNetworkLinks/")[0])
