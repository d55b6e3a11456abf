"""What a stack file and its plan say about AWS: accounts, roles, keys, node images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from espalier.blueprint.clouds.eks import EksNodeGroup
from espalier.blueprint.clouds.eks.images import image_version, nodes_version
from espalier.blueprint.clouds.model import NodeGroup
from espalier.preflight.needs import Needs
from espalier.settings.eks import Eks

_ARN = re.compile(r"^arn:aws[a-z-]*:(?P<service>[a-z0-9-]+):[a-z0-9-]*:(?P<account>\d{12}):(?P<rest>.+)$")
_IMAGES = {
    "AL2023_x86_64_STANDARD": "amazon-linux-2023/x86_64/standard",
    "AL2023_ARM_64_STANDARD": "amazon-linux-2023/arm64/standard",
    "AL2023_x86_64_NVIDIA": "amazon-linux-2023/x86_64/nvidia",
    "AL2023_ARM_64_NVIDIA": "amazon-linux-2023/arm64/nvidia",
    "AL2023_x86_64_NEURON": "amazon-linux-2023/x86_64/neuron",
}
"""AMI type -> the path of its SSM parameters. Source: EKS User Guide, "Retrieve recommended Amazon Linux AMI IDs"."""
_BOTTLEROCKET = {
    "BOTTLEROCKET_x86_64": ("", "x86_64"),
    "BOTTLEROCKET_ARM_64": ("", "arm64"),
    "BOTTLEROCKET_x86_64_NVIDIA": ("-nvidia", "x86_64"),
    "BOTTLEROCKET_ARM_64_NVIDIA": ("-nvidia", "arm64"),
}
"""AMI type -> variant and architecture. Source: EKS User Guide, "Retrieve recommended Bottlerocket AMI IDs"."""


def arns(needs: Needs, service: str) -> list[str]:
    """All ARNs of a service that the stack file names in its cluster block."""
    found = {
        text for text in _texts(needs.cluster.model_dump()) if (arn := _ARN.match(text)) and arn["service"] == service
    }
    return sorted(found)


def roles_of(needs: Needs) -> list[str]:
    """ARNs of the roles that the stack file names."""
    return [arn for arn in arns(needs, "iam") if ":role/" in arn]


def keys_of(needs: Needs) -> list[str]:
    """KMS keys that the stack file names."""
    named = (needs.cluster.keys.secrets, needs.cluster.keys.disks)
    return sorted({*arns(needs, "kms"), *(key for key in named if key)})


def accounts_of(needs: Needs) -> list[str]:
    """The account that the stack file names, else those whose roles or users are the cluster's administrators."""
    if isinstance(needs.cluster, Eks) and needs.cluster.account_id is not None:
        return [needs.cluster.account_id]
    admins = needs.cluster.access.admins if needs.cluster.access else ()
    return sorted({arn["account"] for text in admins if (arn := _ARN.match(text))})


def users_of(cluster: Eks) -> Iterator[tuple[str, str]]:
    """ARNs of the IAM users that the stack file names, each once, with its key."""
    admins = cluster.access.admins if cluster.access else ()
    named = [("access.admins", each) for each in admins]
    named += [("groups", each) for members in cluster.groups.values() for each in members]
    seen: set[str] = set()
    for key, arn in named:
        if ":user/" in arn and arn not in seen:
            seen.add(arn)
            yield key, arn


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def image_parameter(needs: Needs, group: NodeGroup, release: str) -> str | None:
    """The SSM parameter that tells of a group's image; None for an image that has none.

    A release such as 1.35.2-20261101 is the one of image `amazon-eks-node-al2023-...-1.35-v20261101`.
    """
    cluster = needs.cluster
    if not isinstance(group, EksNodeGroup) or not isinstance(cluster, Eks):
        return None
    version = nodes_version(cluster, karpenter=group.karpenter)
    if group.ami_type in _BOTTLEROCKET:
        variant, architecture = _BOTTLEROCKET[group.ami_type]
        return (
            f"/aws/service/bottlerocket/aws-k8s-{version}{variant}/{architecture}/{release or 'latest'}/image_version"
        )
    path = _IMAGES.get(group.ami_type)
    if path is None:
        return None
    _, architecture, variant = path.split("/")
    image = f"amazon-eks-node-al2023-{architecture}-{variant}-{version}-{image_version(release)}"
    return f"/aws/service/eks/optimized-ami/{version}/{path}/{image if release else 'recommended'}/release_version"
