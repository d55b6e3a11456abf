"""Roles, keys and access entries of an EKS cluster, as resources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan
from espalier.blueprint.clouds.eks.identities import Key, Role, RoleKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A role with its rights."""

    arn: pulumi.Input[str]
    rights: tuple[pulumi.Resource, ...]
    """What attaches its policies: whoever takes the role needs them first, and loses them last."""


def identities(parent: pulumi.Resource, name: str, plan: EksPlan) -> dict[RoleKey, Identity]:
    """The plan's roles."""
    inside = pulumi.ResourceOptions(parent=parent)
    return {role.key: _identity(f"{name}-role-{role.key}", plan.tags, role, inside) for role in plan.roles}


def _identity(name: str, tags: Mapping[str, str], role: Role, inside: pulumi.ResourceOptions) -> Identity:
    if role.arn is not None:
        return Identity(arn=role.arn, rights=())
    made = aws.iam.Role(
        name,
        name=role.name,
        path=role.path,
        permissions_boundary=role.boundary,
        assume_role_policy=_json(role.trust),
        tags=dict(tags),
        opts=inside,
    )
    rights: list[pulumi.Resource] = [
        aws.iam.RolePolicyAttachment(f"{name}-{arn.rsplit('/', 1)[-1]}", role=made.name, policy_arn=arn, opts=inside)
        for arn in role.managed
    ]
    if role.policy is not None:
        policy = aws.iam.RolePolicy(
            f"{name}-policy", name="espalier", role=made.name, policy=_json(role.policy), opts=inside
        )
        rights.append(policy)
    return Identity(arn=made.arn, rights=tuple(rights))


def node_profile(parent: pulumi.Resource, name: str, plan: EksPlan, role: Identity) -> list[pulumi.Resource]:
    """The instance profile of Karpenter's nodes, where the plan has one, with all that its role may do."""
    wanted = plan.node_profile
    if wanted is None:
        return []
    made = aws.iam.InstanceProfile(
        f"{name}-profile-nodes",
        name=wanted.name,
        path=wanted.path,
        role=pulumi.Output.from_input(role.arn).apply(lambda arn: arn.rsplit("/", 1)[-1]),
        tags=dict(plan.tags),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return [made, *role.rights]


def key(parent: pulumi.Resource, name: str, plan: EksPlan, wanted: Key, what: str) -> Identity:
    """A KMS key that rotates, with its alias; or the one that is given. `what` is encrypted with it."""
    if wanted.arn is not None:
        return Identity(arn=wanted.arn, rights=())
    inside = pulumi.ResourceOptions(parent=parent)
    kept = pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(protect=plan.protect))
    made = aws.kms.Key(
        name,
        description=f"{what} of the EKS cluster {plan.name}",
        enable_key_rotation=True,
        deletion_window_in_days=30,
        policy=None if wanted.policy is None else _json(wanted.policy),
        tags=dict(plan.tags),
        opts=kept,
    )
    alias = aws.kms.Alias(f"{name}-alias", name=wanted.alias, target_key_id=made.key_id, opts=inside)
    return Identity(arn=made.arn, rights=(alias,))


def access(parent: pulumi.Resource, name: str, plan: EksPlan, cluster_name: pulumi.Input[str]) -> list[pulumi.Resource]:
    """Lets in whom the plan names; returns what gives the administrators their rights."""
    inside = pulumi.ResourceOptions(parent=parent)
    granted: list[pulumi.Resource] = []
    for entry in plan.entries:
        made = aws.eks.AccessEntry(
            f"{name}-entry-{entry.key}",
            cluster_name=cluster_name,
            principal_arn=entry.principal,
            kubernetes_groups=list(entry.groups),
            type="STANDARD",
            tags=dict(plan.tags),
            opts=inside,
        )
        if entry.policy is not None:
            granted.append(
                aws.eks.AccessPolicyAssociation(
                    f"{name}-admin-{entry.key}",
                    cluster_name=cluster_name,
                    principal_arn=made.principal_arn,
                    policy_arn=entry.policy,
                    access_scope={"type": "cluster"},
                    opts=inside,
                )
            )
    return granted


def pod_identities(
    parent: pulumi.Resource,
    name: str,
    plan: EksPlan,
    roles: Mapping[RoleKey, Identity],
    cluster_name: pulumi.Input[str],
) -> list[pulumi.Resource]:
    """Service accounts whose pods take a role."""
    return [
        aws.eks.PodIdentityAssociation(
            f"{name}-pods-{identity.role}",
            cluster_name=cluster_name,
            namespace=identity.namespace,
            service_account=identity.service_account,
            role_arn=roles[identity.role].arn,
            tags=dict(plan.tags),
            opts=pulumi.ResourceOptions(parent=parent, depends_on=list(roles[identity.role].rights)),
        )
        for identity in plan.identities
    ]


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, sort_keys=True)
