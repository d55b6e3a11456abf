"""From the cluster block to the plan of an EKS cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from espalier.blueprint.clouds.eks.addons import addons_of, tags_of
from espalier.blueprint.clouds.eks.identities import (
    disk_key,
    entries_of,
    pod_identities,
    profile_name,
    roles_of,
    secrets_key,
    where_of,
)
from espalier.blueprint.clouds.eks.images import nodes_version
from espalier.blueprint.clouds.eks.model import EksNodeGroup
from espalier.blueprint.clouds.eks.network import MadeNetwork, discovery_of, network_of, services_of
from espalier.blueprint.clouds.eks.parts import encrypted_parts, parts_of
from espalier.blueprint.clouds.eks.plan import ControlPlane, EksPlan, GivenControlPlane, Interruptions, NodeProfile
from espalier.blueprint.clouds.eks.policies_karpenter import interruption_queue
from espalier.blueprint.clouds.eks.storage import classes_of, file_system_of
from espalier.blueprint.clouds.eks.zones import chosen
from espalier.blueprint.clouds.model import CloudPlan, NodeGroup
from espalier.blueprint.clouds.route import route_of
from espalier.blueprint.clouds.upgrades import upgrade_notes
from espalier.settings.cloud import CloudCluster
from espalier.settings.eks import Eks

if TYPE_CHECKING:
    from espalier.blueprint.pools import PoolPlan


def plan(cluster: CloudCluster, pools: Sequence[PoolPlan]) -> CloudPlan:
    """The cluster of a block without mistakes, with all its groups."""
    assert isinstance(cluster, Eks)  # noqa: S101 - its own kind's
    groups = tuple(group for pool in pools for group in pool.groups)
    made = cluster.given is None
    karpenter = cluster.autoscaler == "karpenter"
    return EksPlan(
        kind="eks",
        name=cluster.name,
        region=cluster.region,
        zones=chosen(cluster.region, cluster.zones),
        tags=tags_of(cluster),
        groups=groups,
        notes=(
            *_notes(cluster),
            *upgrade_notes(_opaque(groups)),
            *(note for group in groups if isinstance(group, EksNodeGroup) for note in group.notes),
        ),
        parts=parts_of(cluster),
        version=cluster.version,
        nodes_version=nodes_version(cluster),
        account=cluster.account_id,
        network=network_of(cluster),
        control=_control(cluster),
        roles=roles_of(cluster),
        disk_key=disk_key(cluster),
        entries=entries_of(cluster) if made else (),
        addons=addons_of(cluster),
        identities=pod_identities(cluster),
        classes=classes_of(cluster),
        file_system=file_system_of(cluster) if made else None,
        interruptions=_interruptions(cluster) if karpenter else None,
        node_profile=NodeProfile(name=profile_name(cluster), path=cluster.roles.path) if karpenter else None,
        image_cache=tuple(sorted(set(cluster.image_cache))),
        route=route_of(cluster.access),
        system_pools=frozenset(pool.name for pool in pools if pool.system),
        protect=cluster.deletion_protection,
    )


def _control(cluster: Eks) -> ControlPlane | GivenControlPlane:
    given, access = cluster.given, cluster.access
    if given is not None:
        return GivenControlPlane(
            endpoint=given.endpoint,
            certificate=given.certificate,
            security_group=given.security_group,
            issuer=given.issuer or "",
        )
    public = access is not None and access.via == "public"
    return ControlPlane(
        secrets_key=secrets_key(cluster),
        services=services_of(cluster),
        public=public,
        public_cidrs=access.cidrs if access and public else (),
        reached_from={} if public else _reached_from(cluster),
        group_tags=discovery_of(cluster),
        logs=cluster.logs.types,
        retention_days=cluster.logs.retention_days,
        deletion_protection=cluster.deletion_protection,
        zonal_shift=cluster.zonal_shift,
    )


def _reached_from(cluster: Eks) -> dict[str, str]:
    """The network itself where it is made, and the ranges that `access` names: the cluster's group lets nobody else."""
    network = network_of(cluster)
    inside = {"network": network.cidr} if isinstance(network, MadeNetwork) else {}
    named = cluster.access.cidrs if cluster.access else ()
    return inside | {f"cidr-{cidr.replace('/', '-')}": cidr for cidr in named}


def _interruptions(cluster: Eks) -> Interruptions:
    """Events that Karpenter acts on (aws/karpenter-provider-aws, cloudformation.yaml)."""
    details = {
        "capacity": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
        "health": ("aws.health", "AWS Health Event"),
        "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
        "spot": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
        "state": ("aws.ec2", "EC2 Instance State-change Notification"),
    }
    return Interruptions(
        queue=cluster.name,
        policy=interruption_queue(where_of(cluster).arn("sqs", cluster.name)),
        events={name: {"source": [source], "detail-type": [kind]} for name, (source, kind) in details.items()},
    )


def _opaque(groups: Sequence[NodeGroup]) -> Iterator[str]:
    """Groups of Bottlerocket and Ubuntu, whose releases have numbers and ids of their own."""
    for group in groups:
        if isinstance(group, EksNodeGroup):
            bottlerocket = group.release is not None and group.ami_type.startswith("BOTTLEROCKET")
            yield from (group.name,) if bottlerocket or group.template.image else ()


def _notes(cluster: Eks) -> Iterator[str]:
    if (nodes := nodes_version(cluster)) != cluster.version:
        theirs = "; Karpenter's nodes go there by themselves" if cluster.autoscaler == "karpenter" else ""
        yield (
            f"upgrades: node groups stay at {nodes} while the control plane and EKS's add-ons go to {cluster.version}; "
            f"an up without nodes-version takes them after{theirs}"
        )
    if cluster.keys.disks is not None:
        yield "keys.disks: its policy must let AWSServiceRoleForAutoScaling use it, or no node starts"
    elif cluster.given is None and disk_key(cluster) is None:
        yield "disks are encrypted with the account's key aws/ebs: with account-id, Espalier makes one of its own"
    if cluster.keys.disks is not None and (services := encrypted_parts(cluster)):
        through = " and ".join({"ecr": "ECR", "s3": "S3"}[service] for service in services)
        yield f"keys.disks: it encrypts what is in {through}, too, so its policy must let who reads there use it"
    if cluster.network.egress == "none":
        yield "network.egress none: nodes pull from ECR alone, so sources.registry must name a registry there"
