"""Blob containers, container registries and a private DNS zone beside an AKS cluster."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from espalier.blueprint.clouds.aks import ids
from espalier.blueprint.clouds.naming import physical
from espalier.blueprint.clouds.parts import AT, Bucket, Parts, Registry, Zone, common_mistakes
from espalier.settings.aks import Aks
from espalier.settings.parts import Bucket as AskedBucket
from espalier.settings.parts import Registry as AskedRegistry
from espalier.types import Mistake

_REGISTRY: Final = 50
"""Characters of a registry's name, at most; letters and digits alone (Azure Resource Manager, naming rules)."""
_CONTAINER: Final = re.compile(
    r"^/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/]{1,90}/providers/Microsoft\.Storage/storageAccounts/"
    r"([a-z0-9]{3,24})/blobServices/default/containers/([a-z0-9](-?[a-z0-9]){2,62})$",
    re.IGNORECASE,
)
_CONTAINER_NAME: Final = re.compile(r"^[a-z0-9](-?[a-z0-9]){2,62}$")
"""3 to 63 characters, no two hyphens together (same source)."""
_MOST_DAYS: Final = 365
"""Days that a registry keeps manifests without a tag, or a storage account deleted blobs, at most.

Source: azure-docs, container-registry-retention-policy.md and soft-delete-blob-overview.md.
"""
_DOMAINS: Final = ("azmk8s.io", "windows.net", "azurecr.io", "internal.cloudapp.net", "azure.com", "microsoft.com")
"""What nodes and pods reach Azure by; what is privatelink's is below these, too."""


def parts_of(cluster: Aks) -> Parts:
    """What stands beside a cluster without mistakes. All buckets that are made are in one storage account."""
    return Parts(
        buckets=tuple(_bucket(cluster, asked) for asked in cluster.buckets),
        registries=tuple(_registry(cluster, asked) for asked in cluster.registries),
        zone=_zone(cluster),
    )


def blob_account(cluster: Aks) -> str:
    """Name of the storage account that buckets are made in; "" where none is made."""
    return ids.global_name(cluster, "bl") if any(asked.id is None for asked in cluster.buckets) else ""


def blobs_kept(cluster: Aks) -> int:
    """Days that the account keeps deleted blobs and versions: the most that a bucket asks for; 0 where none is made.

    Azure counts a version's age from its writing, not from its end: by that rule alone, what was written long ago would
    be gone as soon as it is overwritten.
    """
    asked = [asked.old_versions for asked in cluster.buckets if asked.id is None]
    return min(max(asked, default=0), _MOST_DAYS)


def _bucket(cluster: Aks, asked: AskedBucket) -> Bucket:
    found = _CONTAINER.match(asked.id or "")
    account, name = (found[1], found[2]) if found else (blob_account(cluster), asked.name)
    return Bucket(
        key=asked.name,
        name=name,
        url=f"https://{account}.blob.core.windows.net/{name}",
        given=asked.id,
        old_versions=asked.old_versions,
    )


def _registry(cluster: Aks, asked: AskedRegistry) -> Registry:
    place = hashlib.sha256(f"{ids.place(cluster)}/{asked.name}".encode()).hexdigest()[:8]
    stem = f"{cluster.name}{asked.name}".replace("-", "")
    name = ids.name_of(asked.id) if asked.id else physical(stem, place, _REGISTRY, joint="")
    return Registry(
        key=asked.name, name=name, url=f"{name.lower()}.azurecr.io", given=asked.id, untagged=asked.untagged
    )


def _zone(cluster: Aks) -> Zone | None:
    """A zone that is there is linked to a network that is made; a given network is linked already."""
    if cluster.dns is None:
        return None
    linked = cluster.dns.id is None or cluster.network.id is None
    return Zone(domain=cluster.dns.zone, name=cluster.dns.zone, given=cluster.dns.id, linked=linked)


def part_notes(cluster: Aks) -> Iterator[str]:
    """What Azure does of buckets and registries that the stack file does not say."""
    parts = parts_of(cluster)
    if parts.makes_registries:
        yield (
            "registries: Premium, which a private endpoint and the clean-up of untagged images want; a tag may move in "
            "them, so images are best named by digest, with a tag of their own that stays: Azure deletes manifests "
            "without a tag, also those that are pulled by digest; Microsoft Defender scans what is pushed, where it is "
            "on; Azure encrypts them by keys of its own, since it reaches no vault behind a firewall before a registry "
            "stands"
        )
    if parts.makes_buckets:
        yield (
            "buckets: Azure counts old-versions from an object's writing; from its end it is kept by soft delete, for "
            f"{blobs_kept(cluster)} days in all buckets that are made, where it is restored before it is read"
        )
    if parts.makes_buckets and not (cluster.disk_encryption == "customer" and cluster.keys.disks is None):
        yield "buckets: encrypted by Azure's own keys; with a Key Vault of the cluster's, by one of that"


def part_mistakes(cluster: Aks) -> Iterator[Mistake]:
    """What Azure cannot do of containers, registries and a zone."""
    yield from common_mistakes(cluster, _DOMAINS, given=cluster.given is not None)
    if cluster.given is not None:
        return
    for index, asked in enumerate(cluster.buckets):
        yield from _bucket_mistakes(cluster, asked, f"{AT}.buckets[{index}]")
    for index, registry in enumerate(cluster.registries):
        path = f"{AT}.registries[{index}]"
        if registry.id is None:
            yield from _private(cluster, path, "registry")
            if registry.untagged > _MOST_DAYS:
                accepted = f"at most {_MOST_DAYS} days, as Azure's registries have it"
                yield Mistake(f"{path}.untagged", str(registry.untagged), accepted, "Lower it.")
        elif not ids.is_a(registry.id, ids.REGISTRIES):
            do = "Write the resource id of such a thing."
            yield Mistake(f"{path}.id", repr(registry.id), ids.form_of(ids.REGISTRIES), do)
    yield from _zone_mistakes(cluster)


def _bucket_mistakes(cluster: Aks, asked: AskedBucket, path: str) -> Iterator[Mistake]:
    if asked.id is None:
        yield from _private(cluster, path, "container")
        if not _CONTAINER_NAME.match(asked.name):
            accepted = "a container's name on Azure: at least 3 characters, no two hyphens together"
            yield Mistake(f"{path}.name", repr(asked.name), accepted, "Rename it.")
    elif not _CONTAINER.match(asked.id):
        accepted = f"{ids.form_of(ids.ACCOUNTS)}/blobServices/default/containers/<container>"
        yield Mistake(f"{path}.id", repr(asked.id), accepted, "Write the container's resource id.")


def _private(cluster: Aks, path: str, what: str) -> Iterator[Mistake]:
    if cluster.network.id is not None and cluster.endpoints is None:
        do = "Add endpoints: {}, or name one that has a private endpoint in that network."
        accepted = f"the id of a {what}, or `endpoints`: it is reached by a private endpoint in that network alone"
        yield Mistake(f"{path}.id", "nothing, with a given network", accepted, do)


def _zone_mistakes(cluster: Aks) -> Iterator[Mistake]:
    dns = cluster.dns
    if dns is None or dns.id is None:
        return
    path = f"{AT}.dns.id"
    if not ids.is_a(dns.id, ids.DNS_ZONES):
        do = "Write the resource id of a private DNS zone."
        yield Mistake(path, repr(dns.id), ids.form_of(ids.DNS_ZONES), do)
    elif ids.name_of(dns.id).lower() != dns.zone:
        yield Mistake(path, ids.name_of(dns.id), f"{dns.zone}, as dns.zone says", "Correct one of them.")
    elif cluster.subscription and dns.id.split("/")[2].lower() != cluster.subscription.lower():
        do = "Make one there; a zone of another subscription is linked by hand."
        yield Mistake(path, f"subscription {dns.id.split('/')[2]}", "a zone of the cluster's subscription", do)
