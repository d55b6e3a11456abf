"""Tenants' parts of S3 buckets: a role for each namespace, which its pods take by Pod Identity."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from espalier.blueprint.clouds.eks.identities import where_of
from espalier.blueprint.clouds.eks.parts import parts_of
from espalier.blueprint.clouds.eks.plan import EksPlan, FolderRole
from espalier.blueprint.clouds.eks.policies import Document, Where, allow, document, trusted_pods
from espalier.blueprint.clouds.eks.storage import classes_of
from espalier.blueprint.clouds.naming import physical
from espalier.blueprint.clouds.tenancy import ACCOUNT, Folder, Tenancy, to_addresses, to_the_cloud
from espalier.settings.eks import Eks

_ROLE: Final = 64
"""Characters of a role's name, at most (IAM, quotas: name requirements)."""
_AGENT: Final = "169.254.170.23/32"
"""Where the Pod Identity agent of a node answers (EKS user guide, pod-id-agent-setup)."""
_OBJECTS: Final = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
)


def grant(plan: EksPlan, cluster: Eks, folders: Sequence[Folder]) -> EksPlan:
    """The plan with a role for each folder."""
    return replace(plan, folders=tuple(_role(cluster, folder) for folder in folders))


def _role(cluster: Eks, folder: Folder) -> FolderRole:
    where = where_of(cluster)
    own = hashlib.sha256(f"{cluster.name}/{folder.namespace}".encode()).hexdigest()[:8]
    return FolderRole(
        namespace=folder.namespace,
        service_account=ACCOUNT,
        name=physical(f"{cluster.name}-{cluster.region}-{folder.namespace}", own, _ROLE),
        path=cluster.roles.path,
        boundary=cluster.roles.boundary,
        trust=trusted_pods(where, folder.namespace, ACCOUNT),
        policy=policy(where, folder, cluster.keys.disks if folder.bucket.given is None else None),
    )


def policy(where: Where, folder: Folder, key: str | None) -> Document:
    """Lists, reads and writes what is under the prefix. `key` is a given one that the bucket is encrypted by.

    Of a key that Espalier makes, its own policy lets the account use it through S3. A bucket's key asks KMS for the
    bucket, and not for each object (S3 user guide, bucket-key: the encryption context is its ARN).
    """
    bucket = where.arn("s3", folder.bucket.name, global_=True, owned=False)
    listed = {"StringLike": {"s3:prefix": f"{folder.prefix}*"}}
    statements = [
        allow("List", ["s3:ListBucket"], bucket, listed),
        allow("Objects", _OBJECTS, f"{bucket}/{folder.prefix}*"),
    ]
    if key is not None:
        through: Mapping[str, Any] = {
            "StringEquals": {
                "kms:ViaService": f"s3.{where.region}.amazonaws.com",
                "kms:EncryptionContext:aws:s3:arn": bucket,
            }
        }
        statements.append(allow("Key", ["kms:Decrypt", "kms:GenerateDataKey"], key, through))
    return document(statements)


def _shared_class(cluster: Eks) -> str:
    return next((one.name for one in classes_of(cluster) if one.provisioner != "ebs.csi.aws.com"), "")


TENANCY: Final = Tenancy(
    parts=parts_of,
    grant=grant,
    egress=lambda _: [to_addresses(_AGENT, 80), to_the_cloud()],
    shared_class=_shared_class,
)
