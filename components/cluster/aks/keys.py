"""Keys of a cluster's own: of disks, in a vault that only Azure's own services reach, and of Kubernetes Secrets."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, compute, keyvault

from espalier.blueprint.clouds.aks.identities import CRYPTO_SERVICE_USER
from espalier.blueprint.clouds.aks.model import AksPlan
from espalier.components.cluster.aks.azure import Azure
from espalier.components.cluster.aks.roles import definition


@dataclass(frozen=True, slots=True)
class DiskKeys:
    """The set, the vault, and what must stand before a disk is encrypted by them."""

    id: pulumi.Output[str]
    vault: keyvault.Vault
    granted: pulumi.Resource


@dataclass(frozen=True, slots=True)
class SecretsKey:
    """The key of Kubernetes Secrets, by the address of its version, and its vault."""

    url: pulumi.Output[str]
    vault: keyvault.Vault


def secrets_key(azure: Azure, plan: AksPlan, tenant: pulumi.Input[str]) -> SecretsKey:
    """A key in a vault of its own, which AKS reaches over public addresses: none that a firewall knows.

    AKS holds on to one version, which must neither expire nor go while any Secret is encrypted by it: so it does not
    rotate. Source: azure-aks-docs, use-kms-etcd-encryption.md (2026-08).
    """
    vault = _vault(azure, plan, tenant, "secrets-vault", plan.keys.secrets_vault, closed=False)
    key = keyvault.Key(
        f"{azure.name}-secrets-key",
        key_name="secrets",
        resource_group_name=azure.group,
        vault_name=plan.keys.secrets_vault,
        properties={"kty": "RSA", "key_size": 4096, "key_ops": ["encrypt", "decrypt", "wrapKey", "unwrapKey"]},
        tags=azure.tags,
        opts=azure.options(after=[vault], protect=plan.protected),
    )
    return SecretsKey(key.key_uri_with_version, vault)


def disk_keys(azure: Azure, plan: AksPlan, tenant: pulumi.Input[str]) -> DiskKeys:
    """The vault, its key and the set that disks name. The key rotates once a year, and the set follows it."""
    vault = _vault(azure, plan, tenant, "vault", plan.keys.vault, closed=True)
    key = vault_key(azure, plan, "disks", vault)
    disks = compute.DiskEncryptionSet(
        f"{azure.name}-disks",
        disk_encryption_set_name=f"{plan.name}-disks",
        resource_group_name=azure.group,
        location=azure.location,
        identity={"type": "SystemAssigned"},
        encryption_type="EncryptionAtRestWithCustomerKey",
        active_key={"key_url": key.key_uri_with_version, "source_vault": {"id": vault.id}},
        rotation_to_latest_key_version_enabled=True,
        tags=azure.tags,
        opts=azure.options(protect=plan.protected),
    )
    granted = authorization.RoleAssignment(
        f"{azure.name}-role-disk-key",
        scope=vault.id,
        role_definition_id=definition(azure, CRYPTO_SERVICE_USER, vault.id),
        principal_id=disks.identity.apply(lambda identity: identity.principal_id if identity else ""),
        principal_type="ServicePrincipal",
        opts=azure.options(),
    )
    return DiskKeys(disks.id, vault, granted)


def vault_key(azure: Azure, plan: AksPlan, name: str, vault: keyvault.Vault) -> keyvault.Key:
    """A key of the vault's that rotates once a year; `name` is what it is for."""
    return keyvault.Key(
        f"{azure.name}-{name.removesuffix('s')}-key",
        key_name=name,
        resource_group_name=azure.group,
        vault_name=plan.keys.vault,
        properties={
            "kty": "RSA",
            "key_size": 4096,
            "key_ops": ["wrapKey", "unwrapKey"],
            "rotation_policy": {
                "attributes": {"expiry_time": "P2Y"},
                "lifetime_actions": [
                    {
                        "action": {"type": keyvault.KeyRotationPolicyActionType.ROTATE},
                        "trigger": {"time_after_create": "P1Y"},
                    }
                ],
            },
        },
        tags=azure.tags,
        opts=azure.options(after=[vault], protect=plan.protected),
    )


def _vault(
    azure: Azure, plan: AksPlan, tenant: pulumi.Input[str], key: str, name: str, *, closed: bool
) -> keyvault.Vault:
    """A vault by Entra's roles alone; a `closed` one lets in no network, but for services that Azure trusts."""
    return keyvault.Vault(
        f"{azure.name}-{key}",
        vault_name=name,
        resource_group_name=azure.group,
        location=azure.location,
        properties={
            "tenant_id": tenant,
            "sku": {"family": "A", "name": keyvault.SkuName.STANDARD},
            "enable_rbac_authorization": True,
            "enable_soft_delete": True,
            # A disk encryption set takes keys of such vaults only; lost with its key, a cluster's Secrets are gone.
            "enable_purge_protection": True,
            "soft_delete_retention_in_days": 90,
            "public_network_access": "Disabled" if closed else "Enabled",
            "network_acls": {"bypass": "AzureServices", "default_action": "Deny" if closed else "Allow"},
        },
        tags=azure.tags,
        opts=azure.options(protect=plan.protected),
    )
