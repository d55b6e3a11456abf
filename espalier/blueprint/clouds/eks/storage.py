"""Storage classes of an EKS cluster, and the shared file system behind one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from espalier.blueprint.clouds.eks.addons import tags_of
from espalier.blueprint.clouds.eks.identities import disk_key_arn
from espalier.settings.eks import Eks

NFS: Final = (2049, 2049)
LUSTRE: Final = ((988, 988), (1018, 1023))
"""Ports of FSx for Lustre (FSx for Lustre user guide, limit access with security groups)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageClass:
    """A storage class; `filled` are the parameters that only the made file system or network can tell."""

    name: str
    provisioner: str
    parameters: Mapping[str, str]
    default: bool
    binding: Literal["WaitForFirstConsumer", "Immediate"]
    expands: bool
    filled: tuple[Literal["fileSystemId", "subnetId", "securityGroupIds"], ...] = ()

    @property
    def manifest(self) -> dict[str, object]:
        """The object, without what is filled in."""
        marked = {"storageclass.kubernetes.io/is-default-class": "true"} if self.default else {}
        return {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": self.name, **({"annotations": marked} if marked else {})},
            "provisioner": self.provisioner,
            "parameters": dict(self.parameters),
            "reclaimPolicy": "Delete",
            "volumeBindingMode": self.binding,
            "allowVolumeExpansion": self.expands,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """A file system that pods write at once: EFS, made or given; of Lustre each claim makes one of its own."""

    type: Literal["efs", "fsx-lustre"]
    id: str | None
    """An EFS that is there."""
    ports: tuple[tuple[int, int], ...]
    """From and to, that its security group lets the cluster's network in by; none for one that is there."""

    @property
    def made(self) -> bool:
        """Whether an EFS is made."""
        return self.type == "efs" and self.id is None


def file_system_of(cluster: Eks) -> FileSystem | None:
    """The shared file system that a cluster block without mistakes asks for."""
    if cluster.storage is None:
        return None
    if cluster.storage.type == "efs":
        return FileSystem(type="efs", id=cluster.storage.id, ports=() if cluster.storage.id else (NFS,))
    return FileSystem(type="fsx-lustre", id=None, ports=LUSTRE)


def classes_of(cluster: Eks) -> tuple[StorageClass, ...]:
    """Storage classes of a cluster that is made: encrypted gp3 by default.

    EKS's own class gp2 is not a default from Kubernetes 1.30 on (EKS user guide, kubernetes-versions-standard).
    """
    return () if cluster.given is not None else tuple(_classes(cluster))


def _classes(cluster: Eks) -> Iterator[StorageClass]:
    key = disk_key_arn(cluster)
    yield StorageClass(
        name="gp3",
        provisioner="ebs.csi.aws.com",
        parameters={"type": "gp3", "encrypted": "true", **({"kmsKeyId": key} if key else {})},
        default=True,
        binding="WaitForFirstConsumer",
        expands=True,
    )
    if cluster.storage and cluster.storage.type == "efs":
        yield _efs(cluster.storage.id)
    elif cluster.storage:
        yield _lustre(cluster)


def _efs(id_: str | None) -> StorageClass:
    """Each claim is a folder of its own, with a user of its own, behind an access point."""
    known = {"fileSystemId": id_} if id_ else {}
    return StorageClass(
        name="efs",
        provisioner="efs.csi.aws.com",
        parameters={"provisioningMode": "efs-ap", "directoryPerms": "700", **known},
        default=False,
        binding="Immediate",
        expands=False,
        filled=() if id_ else ("fileSystemId",),
    )


def _lustre(cluster: Eks) -> StorageClass:
    """Each claim makes a file system, at least 1.2 TiB, in the first zone (aws-fsx-csi-driver, docs)."""
    return StorageClass(
        name="fsx-lustre",
        provisioner="fsx.csi.aws.com",
        parameters={
            "deploymentType": "PERSISTENT_2",
            "perUnitStorageThroughput": "125",
            "extraTags": ",".join(f"{key}={value}" for key, value in tags_of(cluster).items()),
            **({"kmsKeyId": cluster.keys.disks} if cluster.keys.disks else {}),
        },
        default=False,
        binding="Immediate",
        expands=True,
        filled=("subnetId", "securityGroupIds"),
    )
