"""Roles that tenants' pods take for their parts of buckets, as resources."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan


def folders(parent: pulumi.Resource, name: str, plan: EksPlan, cluster_name: pulumi.Input[str]) -> None:
    """A role with its policy for each namespace that has a part of a bucket."""
    inside = pulumi.ResourceOptions(parent=parent)
    for folder in plan.folders:
        of = f"{name}-folder-{folder.namespace}"
        role = aws.iam.Role(
            of,
            name=folder.name,
            path=folder.path,
            permissions_boundary=folder.boundary,
            assume_role_policy=json.dumps(folder.trust, sort_keys=True),
            tags=dict(plan.tags),
            opts=inside,
        )
        policy = aws.iam.RolePolicy(
            f"{of}-policy",
            name="espalier",
            role=role.name,
            policy=json.dumps(folder.policy, sort_keys=True),
            opts=inside,
        )
        aws.eks.PodIdentityAssociation(
            f"{of}-pods",
            cluster_name=cluster_name,
            namespace=folder.namespace,
            service_account=folder.service_account,
            role_arn=role.arn,
            tags=dict(plan.tags),
            opts=pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=[policy])),
        )
