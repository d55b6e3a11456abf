"""Who may do what in Azure: the control plane's identity, the nodes', and the cluster's administrators.

Each role on the one resource that it is needed for. Source of what AKS needs: azure-aks-docs (2026-08):
private-clusters.md, use-kms-etcd-encryption.md, azure-disk-customer-managed-keys.md,
use-capacity-reservation-groups.md.
GUIDs: MicrosoftDocs/azure-docs, role-based-access-control/built-in-roles.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from espalier.blueprint.clouds.aks.model import AksNodeGroup, Role
from espalier.settings.aks import Aks

NETWORK_CONTRIBUTOR: Final = "4d97b98b-1d4f-4787-a291-c67834d212e7"
DNS_CONTRIBUTOR: Final = "b12aa53e-6015-4669-85d0-8515ebb3ae7f"
CONTRIBUTOR: Final = "b24988ac-6180-42a0-ab88-20f7382dd24c"
READER: Final = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
CRYPTO_USER: Final = "12338af0-0e69-4776-bea7-57ae8d297424"
CRYPTO_SERVICE_USER: Final = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
STORAGE_CONTRIBUTOR: Final = "17d1049b-9a84-46fb-8f53-869881c3d3ab"
ACR_PULL: Final = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
CLUSTER_ADMIN: Final = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"
CLUSTER_USER: Final = "4abbcc35-e782-43d8-92c5-2d3f1bd2253f"


def roles_of(cluster: Aks, groups: Sequence[AksNodeGroup]) -> tuple[Role, ...]:
    """All role assignments of a cluster that is made. A given identity brings its own."""
    if cluster.given is not None:
        return ()
    own = () if cluster.identity else tuple(_control_plane(cluster, groups))
    return (*own, *_nodes(cluster), *_admins(cluster))


def _control_plane(cluster: Aks, groups: Sequence[AksNodeGroup]) -> Iterator[Role]:
    private = cluster.access is None or cluster.access.via != "public"
    # A private API has AKS link a DNS zone to the network itself.
    yield _own("network", NETWORK_CONTRIBUTOR, "network" if private else "subnet")
    if private and cluster.private_dns_zone.startswith("/"):
        yield _own("dns-zone", DNS_CONTRIBUTOR, cluster.private_dns_zone)
    if cluster.disk_encryption == "customer":
        yield _own("disks", READER, cluster.keys.disks or "disks")
    if cluster.keys.secrets is not None and cluster.key_vault is not None:
        yield _own("secrets-key", CRYPTO_USER, cluster.key_vault)
    if makes_secrets_key(cluster):
        yield _own("secrets-key", CRYPTO_USER, "secrets-vault")
    if cluster.storage is not None:
        yield _own("files", STORAGE_CONTRIBUTOR, cluster.storage.id or "files")
    for reservation in sorted({group.reservation for group in groups if group.reservation}):
        yield _own(f"reservation-{digest(reservation)}", CONTRIBUTOR, reservation)


def makes_secrets_key(cluster: Aks) -> bool:
    """Whether a key for Kubernetes Secrets is made."""
    return cluster.secrets_encryption == "customer" and cluster.keys.secrets is None and cluster.given is None


def _own(key: str, role: str, scope: str) -> Role:
    return Role(key=key, role=role, scope=scope, principal="control-plane", principal_type="ServicePrincipal")


def _nodes(cluster: Aks) -> Iterator[Role]:
    given = {f"pull-{digest(one.id)}": one.id for one in cluster.registries if one.id is not None}
    made = {f"pull-of-{one.name}": f"registry-{one.name}" for one in cluster.registries if one.id is None}
    for key, scope in sorted((given | made).items()):
        yield Role(key=key, role=ACR_PULL, scope=scope, principal="kubelet", principal_type="ServicePrincipal")


def _admins(cluster: Aks) -> Iterator[Role]:
    for admin in sorted(set(cluster.access.admins if cluster.access else ())):
        for key, role in (("admin", CLUSTER_ADMIN), ("user", CLUSTER_USER)):
            yield Role(key=f"{key}-{admin}", role=role, scope="cluster", principal=admin, principal_type="Group")


def digest(text: str) -> str:
    """Five characters that tell one id from another in a resource's name."""
    return hashlib.sha256(text.lower().encode()).hexdigest()[:5]
