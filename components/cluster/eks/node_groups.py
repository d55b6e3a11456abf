"""Managed node groups of EKS, each with a launch template of its own."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksNodeGroup, EksPlan


def node_groups(
    parent: pulumi.Resource,
    name: str,
    plan: EksPlan,
    cluster_name: pulumi.Input[str],
    node_role_arn: pulumi.Input[str],
    subnet_of: dict[str, pulumi.Input[str]],
    security_groups: Sequence[pulumi.Input[str]],
    after: Sequence[pulumi.Resource],
) -> list[aws.eks.NodeGroup]:
    """A group for each of the plan's, in the plan's order. `subnet_of` has a private subnet for each zone;
    `security_groups` are the cluster's own; `after` is what must stand before the first node starts."""
    groups = [group for group in plan.groups if isinstance(group, EksNodeGroup)]
    return [_group(parent, name, group, cluster_name, node_role_arn, subnet_of, after) for group in groups]


def _group(
    parent: pulumi.Resource,
    name: str,
    group: EksNodeGroup,
    cluster_name: pulumi.Input[str],
    node_role_arn: pulumi.Input[str],
    subnet_of: dict[str, pulumi.Input[str]],
    after: Sequence[pulumi.Resource],
) -> aws.eks.NodeGroup:
    return aws.eks.NodeGroup(
        f"{name}-group-{group.key}",
        cluster_name=cluster_name,
        node_group_name=group.name,
        node_role_arn=node_role_arn,
        subnet_ids=[subnet_of[zone] for zone in group.zones if zone in subnet_of],
        ami_type=group.ami_type,
        capacity_type=group.capacity_type,
        instance_types=list(group.instance_types),
        labels=dict(group.labels),
        scaling_config={"min_size": group.minimum, "max_size": group.maximum, "desired_size": group.start},
        opts=pulumi.ResourceOptions(
            parent=parent, depends_on=list(after), ignore_changes=["scalingConfig.desiredSize"]
        ),
    )
