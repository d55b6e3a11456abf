"""Which of EKS's optimised images a pool's nodes start from.

Source: `amiType` of CreateNodegroup in botocore's model of EKS (2026): it has no Neuron image for Arm, and none of
Bottlerocket with Neuron; Canonical's Ubuntu is a custom image to it (`ubuntu`). AWS: what the NVIDIA images hold is in
awslabs/amazon-eks-ami and Bottlerocket's variants.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from espalier.blueprint.clouds.model import Wanted
from espalier.settings.eks import Eks

Family = Literal["al2023", "bottlerocket", "ubuntu"]

AMI_TYPES: Final[dict[tuple[Family, str, str], str]] = {
    ("al2023", "", "amd64"): "AL2023_x86_64_STANDARD",
    ("al2023", "", "arm64"): "AL2023_ARM_64_STANDARD",
    ("al2023", "nvidia", "amd64"): "AL2023_x86_64_NVIDIA",
    ("al2023", "nvidia", "arm64"): "AL2023_ARM_64_NVIDIA",
    ("al2023", "aws", "amd64"): "AL2023_x86_64_NEURON",
    ("bottlerocket", "", "amd64"): "BOTTLEROCKET_x86_64",
    ("bottlerocket", "", "arm64"): "BOTTLEROCKET_ARM_64",
    ("bottlerocket", "nvidia", "amd64"): "BOTTLEROCKET_x86_64_NVIDIA",
    ("bottlerocket", "nvidia", "arm64"): "BOTTLEROCKET_ARM_64_NVIDIA",
    ("ubuntu", "", "amd64"): "CUSTOM",
    ("ubuntu", "", "arm64"): "CUSTOM",
    ("ubuntu", "nvidia", "amd64"): "CUSTOM",
    ("ubuntu", "nvidia", "arm64"): "CUSTOM",
}
"""Operating system, accelerator's vendor ("" for none), architecture -> amiType."""

RELEASE: Final = re.compile(r"(?P<minor>1\.[0-9]+)\.[0-9]+-(?P<date>[0-9]{8})")
"""A release of al2023: Kubernetes' version and the day, 1.35.2-20260801 (EKS API, releaseVersion)."""

FAMILIES: Final[tuple[Family, ...]] = ("al2023", "bottlerocket", "ubuntu")


def family(wanted: Wanted) -> Family | None:
    """The operating system of a pool's nodes; None for one that managed node groups have no image of."""
    os = wanted.pool.image.os or "al2023"
    return os if os in ("al2023", "bottlerocket", "ubuntu") else None


def image_version(release: str) -> str:
    """What a release of al2023 is called in its images' names: v20260801 of 1.35.2-20260801.

    Source: EKS user guide, "Retrieve recommended Amazon Linux AMI IDs": amazon-eks-node-al2023-...-1.35-v20260801.
    """
    found = RELEASE.fullmatch(release)
    return f"v{found['date']}" if found else release


def nodes_version(cluster: Eks, *, karpenter: bool = False) -> str:
    """The Kubernetes minor of managed groups' nodes; that of `karpenter`'s own is always the control plane's."""
    return cluster.version if karpenter else cluster.nodes_version or cluster.version


def alias(wanted: Wanted) -> str:
    """The image as Karpenter selects it.

    Source: karpenter-provider-aws, pkg/providers/amifamily: al2023.go, resolvePath, takes the version into the image's
    name as it stands; bottlerocket.go into the path of its parameters, which has the release as EKS writes it.
    """
    os, release = family(wanted), wanted.pool.image.release
    if release is None:
        return f"{os}@latest"
    return f"{os}@{image_version(release) if os == 'al2023' else release}"


def vendor(wanted: Wanted) -> str:
    """Whose driver the image must hold; "" for none."""
    return wanted.accelerator.vendor if wanted.accelerator else ""


def ami_type(wanted: Wanted) -> str | None:
    """The amiType of a pool; None where EKS has no such image."""
    os = family(wanted)
    return None if os is None else AMI_TYPES.get((os, vendor(wanted), wanted.machine.architecture))


def images_for(wanted: Wanted) -> tuple[Family, ...]:
    """The operating systems that there is an image of for the pool's machine."""
    machine = wanted.machine.architecture
    return tuple(os for os in FAMILIES if (os, vendor(wanted), machine) in AMI_TYPES)
