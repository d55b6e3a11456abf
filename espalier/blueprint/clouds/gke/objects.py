"""Objects that a GKE cluster gets with its control plane: storage classes over what its add-ons offer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from espalier.blueprint import names
from espalier.blueprint.clouds.gke.model import GkeNetwork
from espalier.settings.gke import Gke
from espalier.types import Planned

SHARE: Final = re.compile(r"^(\d{1,3}(?:\.\d{1,3}){3}):(/[A-Za-z][A-Za-z0-9_]{0,62})$")
"""A Filestore share as clients mount it, such as 10.0.0.2:/models."""
_DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


def objects(cluster: Gke, network: GkeNetwork, disks_key: str) -> Iterator[Planned]:
    """The default class, encrypted with the cluster's key, and the shared one where the stack asks for it.

    GKE's own default class stays: of several, Kubernetes takes the newest (since 1.26).
    """
    parameters = {"type": "pd-balanced", "disk-encryption-kms-key": disks_key}
    yield _storage_class("disk", "pd.csi.storage.gke.io", parameters, default=True)
    if cluster.storage is None:
        return
    share = SHARE.match(cluster.storage.id or "")
    if share is None:
        path = (
            network.network
            if "/" in network.network
            else f"projects/{cluster.project}/global/networks/{network.network}"
        )
        parameters = {"tier": "zonal", "network": path}
        yield _storage_class("shared", "filestore.csi.storage.gke.io", parameters, default=False)
    else:
        yield _volume(share[1], share[2])


def _storage_class(name: str, provisioner: str, parameters: dict[str, str], *, default: bool) -> Planned:
    return Planned(
        f"storage-{name}",
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": f"espalier-{name}",
                "labels": dict(names.MANAGED_BY),
                **({"annotations": dict(_DEFAULT)} if default else {}),
            },
            "provisioner": provisioner,
            "parameters": parameters,
            "allowVolumeExpansion": True,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )


def _volume(server: str, path: str) -> Planned:
    """A share that is there, as one volume; it stays when the stack goes."""
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "espalier-shared", "labels": dict(names.MANAGED_BY)},
        "spec": {
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "espalier-shared",
            "nfs": {"server": server, "path": path},
        },
    }
    return Planned("storage-shared", manifest)
