"""Canonical's Ubuntu images on EKS: the image that NVIDIA's operator installs a driver on, and how its nodes join.

Such an image is a custom one to EKS, which then adds nothing to the node's user data, gives it no labels or taints at
its start, and takes neither a version nor a release of the group. EKS resolves no SSM parameter in a launch template
either (aws/containers-roadmap issue 1951), so the stack file names the image by its id.

Sources: Canonical, "Deploy managed Ubuntu nodes on EKS" (bootstrap.sh) and "Find Ubuntu images" (the parameter's
path); the image's own /etc/eks/bootstrap.sh for its options; EKS user guide, "Customize managed nodes with launch
templates"; terraform-aws-eks issue 3459 (no version beside an image).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from espalier.blueprint.clouds.eks.images import family, nodes_version, vendor
from espalier.blueprint.clouds.eks.network import services_of
from espalier.blueprint.clouds.model import Wanted
from espalier.settings.eks import Eks
from espalier.types import Mistake, Taint

ENDPOINT: Final = "@ENDPOINT@"
CERTIFICATE: Final = "@CERTIFICATE@"
"""Where the API's URL and its authority (base64) go in the user data: they are known once the control plane stands."""
RELEASE: Final = "24.04"
_IMAGE: Final = re.compile(r"ami-[0-9a-f]{8,17}")
_DNS: Final = 10
"""The cluster's DNS has the tenth address of its Services' range."""


def parameter(cluster: Eks, wanted: Wanted) -> str:
    """The SSM parameter that holds the newest image of the nodes' version."""
    place = f"/aws/service/canonical/ubuntu/eks/{RELEASE}/{nodes_version(cluster)}/stable/current"
    return f"{place}/{wanted.machine.architecture}/hvm/ebs-gp3/ami-id"


def user_data(
    cluster: Eks, group: str, capacity_type: str, labels: Mapping[str, str], taints: Sequence[Taint], pods: int
) -> str:
    """What a node runs at its start: it joins by the image's own script, with the labels that EKS knows its group by.

    The API's URL and authority are handed to it, so that no node has to ask EKS for them.
    """
    all_labels = {**labels, "eks.amazonaws.com/capacityType": capacity_type, "eks.amazonaws.com/nodegroup": group}
    kubelet = [
        f"--max-pods={pods}",
        "--node-labels=" + ",".join(f"{key}={value}" for key, value in sorted(all_labels.items())),
        *(["--register-with-taints=" + ",".join(str(taint) for taint in taints)] if taints else []),
    ]
    lines = [
        "#!/bin/bash",
        "set -euo pipefail",
        f"/etc/eks/bootstrap.sh {cluster.name} \\",
        f"  --apiserver-endpoint {ENDPOINT} \\",
        f"  --b64-cluster-ca {CERTIFICATE} \\",
        *([] if cluster.given else [f"  --dns-cluster-ip {_dns(cluster)} \\"]),
        "  --use-max-pods false \\",
        f"  --kubelet-extra-args '{' '.join(kubelet)}'",
    ]
    return "\n".join(lines) + "\n"


def mistakes(cluster: Eks, wanted: Wanted, *, fabric: bool, karpenter: bool) -> Iterator[Mistake]:
    """What Canonical's image lacks, and what it needs to be told; nothing of a pool with another image."""
    if family(wanted) != "ubuntu":
        return
    pool, path = wanted.pool, wanted.path
    if karpenter:
        accepted = "al2023 or bottlerocket: Karpenter tells an image of its family Custom nothing of its NodePool"
        do = "Change image.os, or set espalier:cluster.autoscaler: cluster-autoscaler."
        yield Mistake(f"{path}.image.os", "ubuntu, under Karpenter", accepted, do)
        return
    if not _IMAGE.fullmatch(pool.image.release or ""):
        got = repr(pool.image.release) if pool.image.release else "nothing"
        accepted = "the id of an image, ami-...: a node group's template takes no parameter in its place"
        do = (
            f"Write what this answers: aws ssm get-parameter --region {cluster.region} --name "
            f"{parameter(cluster, wanted)} --query Parameter.Value."
        )
        yield Mistake(f"{path}.image.release", got, accepted, do)
    if vendor(wanted) == "nvidia" and pool.driver.owner != "operator":
        do = "Set driver: {owner: operator}, or image.os: al2023, whose image holds a driver."
        accepted = "operator: Canonical's image for EKS holds no driver of NVIDIA's"
        yield Mistake(f"{path}.driver.owner", f"{pool.driver.owner or 'cloud'}, on ubuntu", accepted, do)
    if fabric:
        do = "Set fabric: false, or image.os: al2023."
        yield Mistake(f"{path}.fabric", "EFA, on ubuntu", "false: Canonical's image for EKS has no driver of EFA", do)
    if pool.preload is not None and pool.preload.snapshot:
        do = "Remove `preload`, or set image.os: al2023."
        accepted = "al2023 or bottlerocket, whose images read them from a volume of their own"
        yield Mistake(f"{path}.preload.snapshot", "a snapshot, on ubuntu", accepted, do)


def notes(wanted: Wanted, group: str) -> Iterator[str]:
    """What the image leaves to the stack's owner."""
    if family(wanted) != "ubuntu":
        return
    image = wanted.pool.image.release
    yield f"{group}: its image is {image}: an upgrade of the cluster does not change it, `image.release` does"
    if wanted.machine.local_disk_gb and wanted.pool.local_disks == "ephemeral":
        yield f"{group}: Canonical's image leaves the machine's own disks unused; pods have the boot disk"


def _dns(cluster: Eks) -> str:
    return str(ipaddress.IPv4Network(services_of(cluster))[_DNS])
