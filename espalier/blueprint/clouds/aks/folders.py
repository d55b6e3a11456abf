"""Tenants' parts of blob containers: an identity of Entra's for each namespace, which its pods take by federation."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from espalier.blueprint.clouds.aks import ids
from espalier.blueprint.clouds.aks.model import AksPlan, FolderIdentity, FolderRole
from espalier.blueprint.clouds.aks.network import network_of
from espalier.blueprint.clouds.aks.parts import parts_of
from espalier.blueprint.clouds.tenancy import ACCOUNT, Folder, Tenancy, to_addresses, to_the_cloud
from espalier.settings.aks import Aks

_BLOBS: Final = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
_READ: Final = f"{_BLOBS}/read"
_CHANGE: Final = (f"{_BLOBS}/add/action", f"{_BLOBS}/delete", f"{_BLOBS}/write")


def grant(plan: AksPlan, cluster: Aks, folders: Sequence[Folder]) -> AksPlan:
    """The plan with an identity for each folder, and the one role that all have, each where its condition says."""
    return replace(
        plan,
        folders=tuple(_identity(cluster, folder) for folder in folders),
        folder_role=_role(cluster, folders) if folders else None,
    )


def _identity(cluster: Aks, folder: Folder) -> FolderIdentity:
    return FolderIdentity(
        namespace=folder.namespace,
        name=f"{cluster.name}-{folder.namespace}",
        subject=f"system:serviceaccount:{folder.namespace}:{ACCOUNT}",
        scope=folder.bucket.given or f"bucket-{folder.bucket.key}",
        condition=condition(folder.prefix),
    )


def _role(cluster: Aks, folders: Sequence[Folder]) -> FolderRole:
    """A role of data alone: Azure's own Storage Blob Data Contributor may delete the whole container, too, and
    conditions bind no action of that sort (azure-docs, role-based-access-control, built-in-roles/storage.md)."""
    digest = hashlib.sha256(ids.place(cluster).encode()).hexdigest()[:8]
    groups = {folder.bucket.given.partition("/providers/")[0] for folder in folders if folder.bucket.given}
    name = f"Blobs of tenants of {cluster.name} {digest}"
    return FolderRole(
        name=name,
        guid=str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        data_actions=tuple(sorted((_READ, *_CHANGE))),
        groups=tuple(sorted(groups)),
        made=any(folder.bucket.given is None for folder in folders),
    )


def condition(prefix: str) -> str:
    """Blobs whose path begins with the prefix, and lists of such (azure-docs, storage-auth-abac-examples.md, "Read or
    list blobs in named containers with a path")."""
    lists = "SubOperationMatches{'Blob.List'}"
    path = f"@Resource[{_BLOBS}:path] StringStartsWith '{prefix}'"
    asked = f"@Request[{_BLOBS}:prefix] StringStartsWith '{prefix}'"
    others = [f"!(ActionMatches{{'{_READ}'}} AND NOT {lists})", *(f"!(ActionMatches{{'{one}'}})" for one in _CHANGE)]
    return f"(({' AND '.join(others)}) OR ({path})) AND ((!(ActionMatches{{'{_READ}'}} AND {lists})) OR ({asked}))"


def _egress(cluster: Aks) -> list[dict[str, Any]]:
    """To Entra, and to the private endpoint of blobs; in a given network nobody says where that is."""
    ranges = _PRIVATE if cluster.network.id is not None else (network_of(cluster).endpoints,)
    return [to_the_cloud(), *(to_addresses(cidr, 443) for cidr in ranges)]


TENANCY: Final = Tenancy(
    parts=parts_of,
    grant=grant,
    egress=_egress,
    shared_class=lambda cluster: "azure-files" if cluster.storage else "",
    annotated=True,
)
