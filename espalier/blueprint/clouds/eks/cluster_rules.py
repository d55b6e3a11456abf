"""What EKS cannot do of a cluster block, and what it can instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from espalier.blueprint.clouds.eks.access_rules import access_mistakes, identity_mistakes, tag_mistakes, unused_mistakes
from espalier.blueprint.clouds.eks.addons import VERSIONS
from espalier.blueprint.clouds.eks.network_rules import given_network_mistakes, made_network_mistakes, room_mistakes
from espalier.blueprint.clouds.eks.parts import part_mistakes
from espalier.blueprint.clouds.eks.zones import chosen, zones
from espalier.blueprint.clouds.model import Wanted
from espalier.settings.eks import RETENTION, Eks, GivenCluster
from espalier.types import Mistake

AT: Final = "espalier:cluster"
SKEW: Final = 3
"""Minors that a kubelet may be behind the API server (Kubernetes, version skew policy)."""
_EFS: Final = re.compile(r"fs-[0-9a-f]{8,17}")


def cluster_mistakes(cluster: Eks) -> Iterator[Mistake]:
    """Everything that EKS cannot do of the cluster block."""
    yield from _place(cluster)
    yield from access_mistakes(cluster)
    yield from given_network_mistakes(cluster) if cluster.network.id else made_network_mistakes(cluster)
    yield from _storage(cluster)
    yield from part_mistakes(cluster)
    yield from _kept(cluster)
    yield from identity_mistakes(cluster)
    yield from unused_mistakes(cluster)
    yield from tag_mistakes(cluster)
    if cluster.given is not None:
        yield from _given(cluster, cluster.given)


def stack_mistakes(cluster: Eks, wanted: Sequence[Wanted]) -> Iterator[Mistake]:
    """What the pools together lack: nodes for cluster components, and room in the network."""
    if cluster.given is None and wanted and not any(one.system for one in wanted):
        do = "Add one: - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}."
        yield Mistake("espalier:pools", "only pools of accelerators", "a pool that cluster components run on", do)
    if cluster.network.id is None:
        yield from room_mistakes(cluster, wanted)


def _behind(cluster: Eks, nodes: str) -> int:
    """How many minors nodes are behind the control plane; less than none if they are ahead."""
    return int(cluster.version.partition(".")[2]) - int(nodes.partition(".")[2])


def _place(cluster: Eks) -> Iterator[Mistake]:
    named = chosen(cluster.region, cluster.zones)
    if cluster.region.startswith("cn-"):
        accepted = "a region of AWS outside China"
        yield Mistake(f"{AT}.region", cluster.region, accepted, "Choose another; China's services have other names.")
    if cluster.version not in VERSIONS and cluster.given is None:
        accepted = f"{', '.join(VERSIONS)}: versions that Espalier has EKS's add-ons for"
        yield Mistake(f"{AT}.version", cluster.version, accepted, "Choose one of these.")
    if cluster.nodes_version is not None and not 0 <= _behind(cluster, cluster.nodes_version) <= SKEW:
        accepted = f"{cluster.version}, or a minor at most {SKEW} behind it"
        yield Mistake(f"{AT}.nodes-version", cluster.nodes_version, accepted, "Change it, or remove it.")
    if cluster.zones is not None and len(set(cluster.zones)) < 2 and cluster.given is None:
        near = ", ".join(zones(cluster.region) or ()) or "of its region"
        do = "Name two; a pool may stand in one of them by its own `zones`."
        yield Mistake(f"{AT}.zones", ", ".join(cluster.zones), f"at least two zones for the control plane: {near}", do)
    if len(set(named)) < len(named):
        yield Mistake(f"{AT}.zones", ", ".join(named), "each zone once", "Remove one of them.")
    if cluster.region == "us-west-1" and cluster.zones is None:
        do = "Name the two: aws ec2 describe-availability-zones --region us-west-1."
        yield Mistake(f"{AT}.zones", "nothing", "the two of us-west-1's zones that the account sees", do)
    if cluster.autoscaler == "managed":
        accepted = "cluster-autoscaler, karpenter or none on EKS"
        yield Mistake(f"{AT}.autoscaler", "managed", accepted, "Choose one; managed is GKE's and AKS's.")
    if "maintenance" in cluster.model_fields_set:
        accepted = "nothing on EKS, which changes no cluster by itself while its version is supported"
        yield Mistake(f"{AT}.maintenance", "a window", accepted, "Remove it.")


def _storage(cluster: Eks) -> Iterator[Mistake]:
    storage = cluster.storage
    if storage is None:
        return
    if storage.type not in ("efs", "fsx-lustre"):
        owner = "GKE's" if storage.type == "filestore" else "AKS's"
        yield Mistake(
            f"{AT}.storage.type", storage.type, "efs or fsx-lustre", f"Choose one; {storage.type} is {owner}."
        )
    elif storage.type == "fsx-lustre" and storage.id is not None:
        do = "Remove `id`: each claim makes a file system of its own; or choose efs, or write a PersistentVolume."
        yield Mistake(f"{AT}.storage.id", storage.id, "nothing beside fsx-lustre", do)
    elif storage.id is not None and not _EFS.fullmatch(storage.id):
        do = "Write the file system's id, and see that it has a mount target in each of `zones`."
        yield Mistake(f"{AT}.storage.id", repr(storage.id), "an EFS file system's id, such as fs-0a1b2c3d4e5f60718", do)


def _kept(cluster: Eks) -> Iterator[Mistake]:
    days = cluster.logs.retention_days
    if days not in RETENTION:
        near = sorted(RETENTION, key=lambda number: (abs(number - days), number))[:2]
        accepted = f"one of {', '.join(map(str, RETENTION))}"
        do = f"Choose {' or '.join(str(number) for number in sorted(near))}."
        yield Mistake(f"{AT}.logs.retention-days", str(days), accepted, do)


def _given(cluster: Eks, given: GivenCluster) -> Iterator[Mistake]:
    """A cluster that is there: what its nodes need is named, and nothing of it is asked for anew."""
    if cluster.network.id is None:
        do = "Add network.id, network.subnets and zones: where its nodes stand."
        yield Mistake(f"{AT}.network.id", "nothing beside `given`", "the VPC of the cluster that is there", do)
    if cluster.roles.nodes is None:
        do = "Add the ARN of a role that the cluster lets nodes in with."
        yield Mistake(f"{AT}.roles.nodes", "nothing beside `given`", "the nodes' role", do)
    made = {
        "storage": cluster.storage is not None,
        "groups": bool(cluster.groups),
        "addon-versions": bool(cluster.addon_versions),
        "logs": "logs" in cluster.model_fields_set,
        "keys.secrets": cluster.keys.secrets is not None,
        "pod-subnets": bool(cluster.pod_subnets),
        "network.services": cluster.network.services is not None,
        "roles.cluster": cluster.roles.cluster is not None,
    }
    for key in sorted(key for key, said in made.items() if said):
        do = "Remove it, or remove `given`, and Espalier makes the cluster."
        yield Mistake(f"{AT}.{key}", "a part of a cluster that is made", "nothing beside `given`", do)
    if cluster.access is not None and cluster.access.admins:
        do = "Remove `admins`: whom the cluster lets in is its own matter."
        yield Mistake(f"{AT}.access.admins", "administrators beside `given`", "nothing", do)
    if cluster.region not in given.endpoint:
        accepted = f"the API of a cluster in {cluster.region}"
        yield Mistake(f"{AT}.given.endpoint", given.endpoint, accepted, "Correct it, or the region.")
