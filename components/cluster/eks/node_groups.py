"""Managed node groups of EKS, each with a launch template of its own and what an autoscaler reads of it."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksNodeGroup, EksPlan
from espalier.blueprint.clouds.eks.launch import HOP_LIMIT, LaunchTemplate, Volume
from espalier.blueprint.clouds.eks.tags import TEMPLATE
from espalier.blueprint.clouds.eks.ubuntu import CERTIFICATE, ENDPOINT
from espalier.components.cluster.eks.ground import Ground

_EFFECTS = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}
_TAGGED = ("instance", "volume", "network-interface")


def node_groups(
    parent: pulumi.Resource, name: str, plan: EksPlan, ground: Ground, managed: Sequence[EksNodeGroup]
) -> list[aws.eks.NodeGroup]:
    """A group for each of `managed`, in their order."""
    inside = pulumi.ResourceOptions(parent=parent)
    joined = any(group.template.interfaces for group in managed)
    security_groups = [ground.security_group, *([_fabric(name, plan, ground, inside)] if joined else [])]
    return [_group(name, plan, group, ground, security_groups, inside) for group in managed]


def _fabric(name: str, plan: EksPlan, ground: Ground, inside: pulumi.ResourceOptions) -> pulumi.Input[str]:
    """What EFA asks for: all traffic among the interfaces of this security group, out of it and into it."""
    group = aws.ec2.SecurityGroup(
        f"{name}-efa",
        description=f"EFA between the nodes of {plan.name}",
        vpc_id=ground.network_id,
        tags={**plan.tags, "Name": f"{plan.name}-efa"},
        opts=inside,
    )
    for direction in (aws.vpc.SecurityGroupIngressRule, aws.vpc.SecurityGroupEgressRule):
        direction(
            f"{name}-efa-{'in' if direction is aws.vpc.SecurityGroupIngressRule else 'out'}",
            security_group_id=group.id,
            referenced_security_group_id=group.id,
            ip_protocol="-1",
            tags=dict(plan.tags),
            opts=inside,
        )
    return group.id


def _group(
    name: str,
    plan: EksPlan,
    group: EksNodeGroup,
    ground: Ground,
    security_groups: Sequence[pulumi.Input[str]],
    inside: pulumi.ResourceOptions,
) -> aws.eks.NodeGroup:
    template = _template(name, plan, group, ground, security_groups, inside)
    made = aws.eks.NodeGroup(
        f"{name}-group-{group.key}",
        cluster_name=ground.cluster_name,
        node_group_name=group.name,
        node_role_arn=ground.node_role,
        subnet_ids=[ground.subnets[zone] for zone in group.zones],
        # An image of one's own is of the version that it is of.
        version=None if group.template.image else plan.nodes_version,
        release_version=group.release,
        ami_type=group.ami_type,
        capacity_type=group.capacity_type,
        instance_types=list(group.instance_types) or None,
        launch_template={"id": template.id, "version": template.latest_version.apply(str)},
        labels=dict(group.labels),
        taints=[{"key": t.key, "value": t.value, "effect": _EFFECTS[t.effect]} for t in group.taints],
        scaling_config={"min_size": group.minimum, "max_size": group.maximum, "desired_size": group.start},
        update_config={
            "max_unavailable": group.max_unavailable,
            "update_strategy": "DEFAULT" if group.surge else "MINIMAL",
        },
        node_repair_config={"enabled": group.repair},
        tags=dict(plan.tags),
        opts=pulumi.ResourceOptions.merge(
            inside,
            # The autoscaler owns the number of nodes from the first one on.
            pulumi.ResourceOptions(depends_on=list(ground.after), ignore_changes=["scalingConfig.desiredSize"]),
        ),
    )
    _tags(name, group, made, inside)
    return made


def _template(
    name: str,
    plan: EksPlan,
    group: EksNodeGroup,
    ground: Ground,
    security_groups: Sequence[pulumi.Input[str]],
    inside: pulumi.ResourceOptions,
) -> aws.ec2.LaunchTemplate:
    template = group.template
    return aws.ec2.LaunchTemplate(
        f"{name}-template-{group.key}",
        name=f"{plan.name}-{group.name}",
        image_id=template.image,
        instance_type=template.instance_type,
        instance_market_options={"market_type": template.market} if template.market else None,
        capacity_reservation_specification=_reservation(group),
        block_device_mappings=[_volume(volume, ground.disk_key) for volume in template.volumes],
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": HOP_LIMIT,
        },
        network_interfaces=_interfaces(group, security_groups),
        vpc_security_group_ids=None if template.interfaces else [ground.security_group],
        placement={"group_name": _placement(name, plan, group, inside).name} if template.placement else None,
        tag_specifications=[
            {"resource_type": kind, "tags": {**plan.tags, "Name": f"{plan.name}-{group.key}"}} for kind in _TAGGED
        ],
        tags=dict(plan.tags),
        user_data=_user_data(template, ground),
        opts=inside,
    )


def _user_data(template: LaunchTemplate, ground: Ground) -> pulumi.Input[str]:
    if template.image is None:
        return base64.b64encode(template.user_data.encode()).decode()

    def named(found: Sequence[str]) -> str:
        text = template.user_data.replace(ENDPOINT, found[0]).replace(CERTIFICATE, found[1])
        return base64.b64encode(text.encode()).decode()

    return pulumi.Output.all(ground.endpoint, ground.certificate).apply(named)


def placement_groups(parent: pulumi.Resource, name: str, plan: EksPlan) -> list[aws.ec2.PlacementGroup]:
    """Those that Karpenter starts nodes in; a managed group's is made with it."""
    inside = pulumi.ResourceOptions(parent=parent)
    groups = [group for group in plan.groups if isinstance(group, EksNodeGroup) and group.karpenter]
    return [_placement(name, plan, group, inside) for group in groups if group.placement_group]


def _placement(name: str, plan: EksPlan, group: EksNodeGroup, inside: pulumi.ResourceOptions) -> aws.ec2.PlacementGroup:
    return aws.ec2.PlacementGroup(
        f"{name}-placement-{group.key}",
        name=group.placement_group,
        strategy=group.template.placement or "cluster",
        tags=dict(plan.tags),
        opts=inside,
    )


def _reservation(group: EksNodeGroup) -> aws.ec2.LaunchTemplateCapacityReservationSpecificationArgsDict | None:
    template = group.template
    if template.reservation:
        return {"capacity_reservation_target": {"capacity_reservation_id": template.reservation}}
    if template.reservation_group:
        return {"capacity_reservation_target": {"capacity_reservation_resource_group_arn": template.reservation_group}}
    return None


def _volume(volume: Volume, key: pulumi.Input[str] | None) -> aws.ec2.LaunchTemplateBlockDeviceMappingArgs:
    return aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
        device_name=volume.device,
        ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            encrypted="true",
            delete_on_termination="true",
            volume_type=volume.type,
            volume_size=volume.size_gib,
            iops=volume.iops,
            throughput=volume.throughput,
            snapshot_id=volume.snapshot,
            kms_key_id=key,
        ),
    )


def _interfaces(
    group: EksNodeGroup, security_groups: Sequence[pulumi.Input[str]]
) -> list[aws.ec2.LaunchTemplateNetworkInterfaceArgsDict] | None:
    return [
        {
            "network_card_index": interface.card,
            "device_index": interface.device,
            "interface_type": interface.type,
            "delete_on_termination": "true",
            "security_groups": list(security_groups),
        }
        for interface in group.template.interfaces
    ] or None


def _tags(name: str, group: EksNodeGroup, made: aws.eks.NodeGroup, inside: pulumi.ResourceOptions) -> None:
    """One resource a tag: EKS makes the Auto Scaling group, and hands none of the node group's tags on to it."""
    scaled = made.resources.apply(_scaling_group)
    for key, value in group.asg_tags.items():
        aws.autoscaling.Tag(
            f"{name}-group-{group.key}-{key.removeprefix(TEMPLATE)}",
            autoscaling_group_name=scaled,
            tag={"key": key, "value": value, "propagate_at_launch": False},
            opts=inside,
        )


def _scaling_group(found: Sequence[aws.eks.outputs.NodeGroupResource]) -> str:
    """EKS makes exactly one Auto Scaling group for a node group."""
    return next(one.name or "" for resource in found for one in resource.autoscaling_groups or [])
