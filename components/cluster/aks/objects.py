"""What the cluster component puts into the cluster itself: storage classes and the autoscaler's order of preference."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import yaml

from espalier.blueprint.clouds.aks.model import AksFiles
from espalier.blueprint.names import MANAGED_BY


def storage_class(files: AksFiles, group: str) -> dict[str, object]:
    """The class whose claims many pods write at once; `group` is the account's resource group."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "azure-files", "labels": MANAGED_BY},
        "provisioner": "file.csi.azure.com",
        "parameters": {
            "protocol": "nfs",
            "encryptInTransit": "true",
            "skuName": files.sku,
            "storageAccount": files.account,
            "resourceGroup": group,
        },
        "mountOptions": ["nconnect=4", "noresvport", "actimeo=30"],
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": True,
    }


def disk_class(disks: pulumi.Input[str]) -> dict[str, object]:
    """The default class: disks that are encrypted by the set. Of several defaults Kubernetes takes the newest."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "encrypted-disk",
            "labels": MANAGED_BY,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "disk.csi.azure.com",
        "parameters": {"skuName": "Premium_LRS", "diskEncryptionSetID": disks},
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }


def priorities(ladder: Mapping[str, tuple[str, ...]]) -> dict[str, object]:
    """What the priority expander reads; the autoscaler looks for this name (cluster-autoscaler, expander/priority)."""
    content = {int(priority): list(patterns) for priority, patterns in ladder.items()}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "cluster-autoscaler-priority-expander",
            "namespace": "kube-system",
            "labels": MANAGED_BY,
        },
        "data": {"priorities": yaml.safe_dump(content, sort_keys=True)},
    }
