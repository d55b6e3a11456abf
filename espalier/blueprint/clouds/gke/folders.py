"""Tenants' parts of Cloud Storage buckets: what a namespace's service account may do there, without a key or an
account of Google's between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from espalier.blueprint.clouds.gke.model import FolderRight, GkePlan
from espalier.blueprint.clouds.gke.parts import parts_of
from espalier.blueprint.clouds.tenancy import ACCOUNT, Folder, Tenancy, to_addresses, to_the_cloud
from espalier.settings.gke import Gke

ROLE: Final = "roles/storage.objectUser"
"""Reads, lists, writes and deletes objects, and nothing of the bucket itself (Cloud Storage, IAM roles)."""
_METADATA: Final = "169.254.169.254/32"
"""Where a node's GKE metadata server answers pods with their own identity, on Dataplane V2 (GKE, "Authenticate to
Google Cloud APIs from GKE workloads", network policy)."""


def grant(plan: GkePlan, cluster: Gke, folders: Sequence[Folder]) -> GkePlan:
    """The plan with a right for each folder."""
    return replace(plan, folders=tuple(right_of(cluster, folder) for folder in folders))


def right_of(cluster: Gke, folder: Folder) -> FolderRight:
    """The right of the service account that a namespace's pods have."""
    return FolderRight(
        namespace=folder.namespace,
        bucket=folder.bucket.name,
        role=ROLE,
        pool=f"{cluster.project}.svc.id.goog",
        subject=f"ns/{folder.namespace}/sa/{ACCOUNT}",
        condition=condition(folder),
    )


def condition(folder: Folder) -> str:
    """Objects under the prefix. A list is asked of the bucket, and says its prefix (Credential Access Boundaries and
    IAM Conditions, attribute storage.googleapis.com/objectListPrefix)."""
    objects = f"projects/_/buckets/{folder.bucket.name}/objects/{folder.prefix}"
    listed = 'api.getAttribute("storage.googleapis.com/objectListPrefix", "")'
    return f'resource.name.startsWith("{objects}") || {listed}.startsWith("{folder.prefix}")'


TENANCY: Final = Tenancy(
    parts=parts_of,
    grant=grant,
    egress=lambda _: [to_addresses(_METADATA, 80, 8080), to_the_cloud()],
    # Of a share that is given there is one volume alone, and no class that makes more.
    shared_class=lambda cluster: "espalier-shared" if cluster.storage and not cluster.storage.id else "",
)
