"""What AKS cannot do of a cluster block, and what it can instead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from espalier.blueprint.clouds.aks import ids
from espalier.blueprint.clouds.aks.network import network_mistakes
from espalier.blueprint.clouds.aks.parts import part_mistakes
from espalier.blueprint.clouds.route import TUNNEL
from espalier.settings.aks import GUID_PATTERN, Aks
from espalier.types import Mistake

_KEY_URL: Final = re.compile(
    r"^https://([a-z0-9][-a-z0-9]{1,22}[a-z0-9])\.vault\.azure\.net/keys/[-A-Za-z0-9]+/[0-9a-f]{32}$"
)
_BAD_TAG: Final = re.compile(r"[<>%&\\?/]")
"""Source: Azure Resource Manager, tag-resources.md; label keys may have a /, names of tags may not."""
_TAGS: Final = 45
"""Tags of the user's own: Azure takes 50, and Espalier and AKS add some."""
_FILES_SINCE: Final = "1.33"
"""The first version that encrypts NFS in transit. Source: azure-aks-docs, create-volume-azure-files.md."""
_PATH: Final = "espalier:cluster"


def cluster_mistakes(cluster: Aks) -> Iterator[Mistake]:
    """What AKS cannot do of the cluster block."""
    yield from _access(cluster)
    yield from _admins(cluster)
    yield from _dns(cluster)
    yield from network_mistakes(cluster)
    yield from _keys(cluster)
    yield from _storage(cluster)
    yield from part_mistakes(cluster)
    yield from _resources(cluster)
    yield from _autoscaler(cluster)
    yield from _tags(cluster)
    if cluster.deletion_guard == "policy" and cluster.resource_group is not None and cluster.subscription is None:
        do = "Add subscription: <its id>, or use deletion-guard: lock."
        yield Mistake(f"{_PATH}.subscription", "nothing", "the subscription that the given group is in", do)
    makes_vault = cluster.disk_encryption == "customer" and cluster.keys.disks is None and cluster.given is None
    if cluster.identity is not None and cluster.tenant is None and makes_vault:
        do = "Add tenant: <the Entra tenant's id>, or disk-encryption: platform."
        yield Mistake(f"{_PATH}.tenant", "nothing", "the tenant of the Key Vault that is made", do)
    if cluster.given is not None and cluster.resource_group is None:
        do = "Add resource-group: <the group that the cluster is in>."
        yield Mistake(f"{_PATH}.resource-group", "nothing", "the group of the given cluster", do)


def _access(cluster: Aks) -> Iterator[Mistake]:
    access = cluster.access
    if access is None:
        do = "Add access: {via: network | tunnel | public, admins: [<Entra group's object id>]}."
        yield Mistake(f"{_PATH}.access", "nothing", "how the deployer reaches a private API", do)
        return
    where = f"{_PATH}.access"
    if access.via == "dns-endpoint":
        do = "Use network, from inside it, or tunnel, through a bastion."
        yield Mistake(f"{where}.via", access.via, "network, tunnel or public: the DNS endpoint is GKE's", do)
    if access.via == "tunnel" and access.proxy is None:
        yield Mistake(f"{where}.proxy", "nothing", "the tunnel's local end", TUNNEL)
    if access.via != "tunnel" and access.proxy is not None:
        yield Mistake(f"{where}.proxy", access.proxy, "nothing without a tunnel", "Remove it, or set via: tunnel.")
    if access.via == "public" and not access.cidrs:
        do = "Add cidrs: [<your office's or CI's range>], or set via: network."
        yield Mistake(f"{where}.cidrs", "nothing", "who may reach the public endpoint", do)
    for index, cidr in enumerate(access.cidrs):
        if access.via != "public":
            do = "Remove `cidrs`, or set via: public."
            yield Mistake(f"{where}.cidrs[{index}]", cidr, "nothing: ranges guard a public endpoint only", do)
        elif cidr.endswith("/0"):
            do = "Write the ranges that deployers come from."
            yield Mistake(f"{where}.cidrs[{index}]", cidr, "a range smaller than all of the Internet", do)


def _admins(cluster: Aks) -> Iterator[Mistake]:
    admins = cluster.access.admins if cluster.access else ()
    for index, admin in enumerate(admins):
        if not re.match(GUID_PATTERN, admin):
            do = "Write the group's object id (az ad group show --group <name> --query id)."
            accepted = "the object id of an Entra group, a GUID"
            yield Mistake(f"{_PATH}.access.admins[{index}]", repr(admin), accepted, do)
    if cluster.access is not None and not admins and cluster.given is None:
        do = "Add the object id of a group that the deployer is in: local accounts are off."
        yield Mistake(f"{_PATH}.access.admins", "nobody", "at least one Entra group", do)


def _dns(cluster: Aks) -> Iterator[Mistake]:
    zone, where = cluster.private_dns_zone, f"{_PATH}.private-dns-zone"
    if zone != "system" and cluster.access is not None and cluster.access.via == "public":
        yield Mistake(where, zone, "nothing: a public API has a public name", "Remove it, or set via: network.")
    if not zone.startswith("/"):
        return
    suffix = f"privatelink.{cluster.region}.azmk8s.io"
    name = ids.name_of(zone).lower()
    if name != suffix and not name.endswith(f".{suffix}"):
        yield Mistake(where, name, f"a zone named {suffix}, or below it", "Name a zone of the cluster's region.")


def _keys(cluster: Aks) -> Iterator[Mistake]:
    keys = cluster.keys
    if keys.disks is not None and not ids.is_a(keys.disks, ids.DISK_SETS):
        do = "Write the resource id of a disk encryption set; Espalier makes one where none is named."
        yield Mistake(f"{_PATH}.keys.disks", repr(keys.disks), ids.form_of(ids.DISK_SETS), do)
    if keys.disks is not None and cluster.disk_encryption == "platform":
        do = "Remove one of them."
        yield Mistake(f"{_PATH}.keys.disks", keys.disks, "nothing with disk-encryption: platform", do)
    yield from _secrets(cluster)
    if keys.secrets is None:
        if cluster.key_vault is not None:
            do = "Add keys: {secrets: <the key's URL>}, or remove `key-vault`."
            yield Mistake(f"{_PATH}.key-vault", cluster.key_vault, "nothing without a key under keys.secrets", do)
        return
    url = _KEY_URL.match(keys.secrets)
    if url is None:
        accepted = "https://<vault>.vault.azure.net/keys/<key>/<version>"
        do = "Write the key's URL with its version (az keyvault key show --query key.kid)."
        yield Mistake(f"{_PATH}.keys.secrets", repr(keys.secrets), accepted, do)
    if cluster.key_vault is None:
        do = "Add key-vault: <the vault's resource id>; the control plane is given the key's use there."
        yield Mistake(f"{_PATH}.key-vault", "nothing", "the vault that keys.secrets is in", do)
    elif url is not None and ids.name_of(cluster.key_vault).lower() != url.group(1):
        do = "Correct one of them."
        yield Mistake(f"{_PATH}.key-vault", ids.name_of(cluster.key_vault), f"{url.group(1)}, as in keys.secrets", do)


def _secrets(cluster: Aks) -> Iterator[Mistake]:
    """Who makes the key of Kubernetes Secrets, and who may use it."""
    wants, where = cluster.secrets_encryption, f"{_PATH}.secrets-encryption"
    if wants == "platform" and cluster.keys.secrets is not None:
        yield Mistake(where, "platform", "customer, as keys.secrets names a key", "Remove one of them.")
    if wants == "customer" and cluster.keys.secrets is None and cluster.identity is not None and not cluster.given:
        do = "Name a key that the identity may use under keys.secrets, or leave `identity` out."
        yield Mistake(where, "customer, with a given identity", "a key that is there: a given one has its roles", do)


def _storage(cluster: Aks) -> Iterator[Mistake]:
    storage, where = cluster.storage, f"{_PATH}.storage"
    if storage is None:
        return
    if storage.type != "azure-files":
        yield Mistake(f"{where}.type", storage.type, "azure-files: the others are of other clouds", "Change it.")
    if storage.id is not None and not ids.is_a(storage.id, ids.ACCOUNTS):
        do = "Write the resource id of a premium FileStorage account."
        yield Mistake(f"{where}.id", repr(storage.id), ids.form_of(ids.ACCOUNTS), do)
    if storage.id is None and cluster.given is not None:
        do = "Name an account with a private endpoint in that network under storage.id."
        accepted = "the id of an account: beside a given cluster none is made"
        yield Mistake(f"{where}.id", "nothing, with a given cluster", accepted, do)
    elif storage.id is None and cluster.network.id is not None and cluster.endpoints is None:
        do = "Add endpoints: {}, or name an account with a private endpoint in that network under storage.id."
        accepted = "the id of an account, or `endpoints`: it is reached by a private endpoint in that network alone"
        yield Mistake(f"{where}.id", "nothing, with a given network", accepted, do)
    if cluster.version < _FILES_SINCE:
        do = f'Set version: "{_FILES_SINCE}" or later.'
        yield Mistake(where, f"Kubernetes {cluster.version}", f"{_FILES_SINCE} or later, which encrypts NFS", do)


def _resources(cluster: Aks) -> Iterator[Mistake]:
    named = [("identity", cluster.identity, ids.IDENTITIES), ("key-vault", cluster.key_vault, ids.VAULTS)]
    if cluster.monitoring is not None:
        named.append(("monitoring.workspace", cluster.monitoring.workspace, ids.WORKSPACES))
    for key, value, kind in named:
        if value is not None and not ids.is_a(value, kind):
            yield Mistake(f"{_PATH}.{key}", repr(value), ids.form_of(kind), "Write the resource id of such a thing.")


def _autoscaler(cluster: Aks) -> Iterator[Mistake]:
    if cluster.autoscaler == "karpenter":
        do = "Remove `autoscaler`: AKS's own autoscaler scales the agent pools, from zero, too."
        accepted = "managed or none: Karpenter is node auto-provisioning on AKS, which makes machines beside the pools"
        yield Mistake(f"{_PATH}.autoscaler", "karpenter", accepted, do)
    elif cluster.autoscaler == "cluster-autoscaler":
        do = "Remove `autoscaler`."
        accepted = "managed or none: AKS runs cluster-autoscaler itself"
        yield Mistake(f"{_PATH}.autoscaler", "cluster-autoscaler", accepted, do)


def _tags(cluster: Aks) -> Iterator[Mistake]:
    if len(cluster.tags) > _TAGS:
        yield Mistake(f"{_PATH}.tags", f"{len(cluster.tags)} tags", f"at most {_TAGS} on Azure", "Remove some.")
    for key in sorted(cluster.tags):
        if _BAD_TAG.search(key):
            do = "Write it without /, such as team."
            yield Mistake(f"{_PATH}.tags[{key!r}]", key, "a name without < > % & \\ ? /, as Azure has it", do)
