"""Who may do what of an EKS cluster: its IAM roles, its keys, and the people that its API lets in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from espalier.blueprint.clouds.eks import policies_karpenter as karpenter
from espalier.blueprint.clouds.eks import policies_load_balancer as load_balancer
from espalier.blueprint.clouds.eks.parts import encrypted_parts
from espalier.blueprint.clouds.eks.policies import (
    Document,
    Where,
    cluster_autoscaler,
    control_plane,
    disk_key_policy,
    for_volumes,
    fsx_driver,
    image_cache,
    trusted_pods,
    trusted_service,
)
from espalier.blueprint.clouds.eks.policies_managed import ManagedPolicy
from espalier.blueprint.clouds.eks.zones import partition
from espalier.settings.eks import Eks

RoleKey = Literal["cluster", "nodes", "network", "volumes", "files", "autoscaler", "lb"]
AUTOSCALERS: Final = {"cluster-autoscaler": "cluster-autoscaler", "karpenter": "karpenter"}
"""Autoscaler -> its service account in kube-system."""
CONTROLLER: Final = "aws-load-balancer-controller"
_ADMIN: Final = "cluster-access-policy/AmazonEKSClusterAdminPolicy"
_ALIAS: Final = "kms:ResourceAliases"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role that is made, or one that is there (`arn`)."""

    key: RoleKey
    name: str
    """Name in IAM, at most 64 characters; the region is in it, since IAM has none."""
    arn: str | None
    trust: Document
    managed: tuple[str, ...]
    """ARNs of AWS's own policies."""
    policy: Document | None
    """A policy of Espalier's, inline."""
    boundary: str | None
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodIdentity:
    """A service account whose pods take a role."""

    role: RoleKey
    namespace: str
    service_account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that is made, or one that is there (`arn`)."""

    alias: str
    arn: str | None
    policy: Document | None
    """None is AWS's default: the account's IAM policies decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A person or a robot that the cluster's API lets in."""

    key: str
    """Stable, unique in the cluster: kind and name of the principal."""
    principal: str
    groups: tuple[str, ...]
    """Kubernetes groups that it is in."""
    policy: str | None
    """ARN of an access policy of EKS that it has in the whole cluster."""


def autoscaler_account(cluster: Eks) -> str | None:
    """The autoscaler's service account in kube-system; None where nothing scales the pools."""
    return AUTOSCALERS.get(cluster.autoscaler or "cluster-autoscaler")


def where_of(cluster: Eks) -> Where:
    """What the cluster's policies are scoped by."""
    return Where(
        partition=partition(cluster.region),
        region=cluster.region,
        account=cluster.account_id or "*",
        cluster=cluster.name,
    )


def role_name(cluster: Eks, key: RoleKey) -> str:
    """The name of a role that is made, such as espalier-dev-us-east-1-nodes."""
    short = {"network": "cni", "volumes": "ebs", "autoscaler": "scaler"}.get(key, key)
    return f"{cluster.name}-{cluster.region}-{short}"


def profile_name(cluster: Eks) -> str:
    """The name of the instance profile that Karpenter's nodes start with, which is that of their role.

    Karpenter could make one of `role`, by IAM, which no endpoint of a network reaches (karpenter-provider-aws,
    concepts/nodeclasses, spec.instanceProfile).
    """
    return role_name(cluster, "nodes")


def roles_of(cluster: Eks) -> tuple[Role, ...]:
    """All roles that the cluster needs, in order of their keys."""
    return tuple(sorted(_roles(cluster), key=lambda role: role.key))


def _roles(cluster: Eks) -> Iterator[Role]:
    where, given = where_of(cluster), cluster.roles
    nodes: tuple[ManagedPolicy, ...] = (
        "AmazonEKSWorkerNodePolicy",
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonSSMManagedInstanceCore",
    )
    pull = image_cache(where, sorted(set(cluster.image_cache))) if cluster.image_cache else None
    yield _service(cluster, "nodes", given.nodes, "ec2", nodes, pull)
    secrets = secrets_key(cluster)
    if cluster.given is None:
        by_alias = {"ForAnyValue:StringEquals": {_ALIAS: secrets.alias}}
        key, by = secrets.arn or where.arn("kms", "key/*"), None if secrets.arn else by_alias
        use = control_plane(where, key, by, least=cluster.load_balancer)
        # Without the controller the control plane makes load balancers of plain Services itself.
        whole: tuple[ManagedPolicy, ...] = () if cluster.load_balancer else ("AmazonEKSClusterPolicy",)
        yield _service(cluster, "cluster", given.cluster, "eks", whole, use)
        yield _pods(cluster, "network", given.network, "aws-node", ("AmazonEKS_CNI_Policy",), None)
        volumes = for_volumes(cluster.keys.disks) if cluster.keys.disks else None
        ebs: ManagedPolicy = "AmazonEBSCSIDriverPolicyV2"
        yield _pods(cluster, "volumes", given.volumes, "ebs-csi-controller-sa", (ebs,), volumes)
    if cluster.storage and cluster.storage.type == "efs":
        efs: ManagedPolicy = "service-role/AmazonEFSCSIDriverPolicy"
        yield _pods(cluster, "files", given.files, "efs-csi-controller-sa", (efs,), None)
    elif cluster.storage:
        yield _pods(cluster, "files", given.files, "fsx-csi-controller-sa", (), fsx_driver(where))
    if account := autoscaler_account(cluster):
        yield _pods(cluster, "autoscaler", given.autoscaler, account, (), _scaling(cluster, where))
    if cluster.load_balancer and cluster.given is None:
        yield _pods(cluster, "lb", given.load_balancer, CONTROLLER, (), load_balancer.controller(where))


def _scaling(cluster: Eks, where: Where) -> Document:
    if cluster.autoscaler != "karpenter":
        return cluster_autoscaler(where)
    nodes = f"role{cluster.roles.path}{role_name(cluster, 'nodes')}"
    node_role = cluster.roles.nodes or where.arn("iam", nodes, global_=True)
    return karpenter.controller(where, node_role, where.arn("sqs", cluster.name))


def _service(
    cluster: Eks,
    key: RoleKey,
    arn: str | None,
    service: str,
    managed: tuple[ManagedPolicy, ...],
    policy: Document | None,
) -> Role:
    return _role(cluster, key, arn, trusted_service(f"{service}.amazonaws.com"), managed, policy)


def _pods(
    cluster: Eks,
    key: RoleKey,
    arn: str | None,
    account: str,
    managed: tuple[ManagedPolicy, ...],
    policy: Document | None,
) -> Role:
    return _role(cluster, key, arn, trusted_pods(where_of(cluster), "kube-system", account), managed, policy)


def _role(
    cluster: Eks,
    key: RoleKey,
    arn: str | None,
    trust: Document,
    managed: tuple[ManagedPolicy, ...],
    policy: Document | None,
) -> Role:
    owner = f"arn:{partition(cluster.region)}:iam::aws:policy"
    return Role(
        key=key,
        name=role_name(cluster, key),
        arn=arn,
        trust=trust,
        managed=tuple(f"{owner}/{name}" for name in managed),
        policy=policy,
        boundary=cluster.roles.boundary,
        path=cluster.roles.path,
    )


def pod_identities(cluster: Eks) -> tuple[PodIdentity, ...]:
    """Service accounts besides those of EKS's own add-ons, which bring their own."""
    found: list[PodIdentity] = []
    if account := autoscaler_account(cluster):
        found.append(PodIdentity(role="autoscaler", namespace="kube-system", service_account=account))
    if cluster.load_balancer and cluster.given is None:
        found.append(PodIdentity(role="lb", namespace="kube-system", service_account=CONTROLLER))
    return tuple(found)


def secrets_key(cluster: Eks) -> Key:
    """The key of Kubernetes Secrets."""
    return Key(alias=f"alias/{cluster.name}-secrets", arn=cluster.keys.secrets, policy=None)


def disk_key(cluster: Eks) -> Key | None:
    """The key of disks; None is the account's own: a key's policy must name the account."""
    if cluster.keys.disks is None and (cluster.account_id is None or cluster.given is not None):
        return None
    policy = None if cluster.keys.disks else disk_key_policy(where_of(cluster), encrypted_parts(cluster))
    return Key(alias=f"alias/{cluster.name}-disks", arn=cluster.keys.disks, policy=policy)


def disk_key_arn(cluster: Eks) -> str | None:
    """What in-cluster objects name the key of disks by: its ARN, or its alias' where it is made."""
    key = disk_key(cluster)
    if key is None:
        return None
    return key.arn or where_of(cluster).arn("kms", key.alias)


def entries_of(cluster: Eks) -> tuple[Entry, ...]:
    """One entry a principal: administrators, and those whom `groups` puts into Kubernetes groups."""
    admins = set(cluster.access.admins) if cluster.access else set[str]()
    members = {principal for principals in cluster.groups.values() for principal in principals}
    policy = f"arn:{partition(cluster.region)}:eks::aws:{_ADMIN}"
    return tuple(
        Entry(
            key=_entry_key(principal),
            principal=principal,
            groups=tuple(sorted(group for group, within in cluster.groups.items() if principal in within)),
            policy=policy if principal in admins else None,
        )
        for principal in sorted(admins | members)
    )


def _entry_key(principal: str) -> str:
    """Account, kind and path of an IAM principal, joined: 123456789012-role-platform."""
    _, _, _, _, account, rest = principal.split(":", 5)
    return "-".join([account, *rest.split("/")])
