"""The shared file system of an EKS cluster, and its storage classes, as resources."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan
from espalier.blueprint.clouds.eks.storage import FileSystem
from espalier.components.cluster.eks.ground import Ground
from espalier.components.objects import PROVIDER_VERSION, token_of

Filled = Mapping[str, pulumi.Input[str]]
"""Parameters of storage classes that only made resources can tell."""


def file_system(parent: pulumi.Resource, name: str, plan: EksPlan, ground: Ground) -> Filled:
    """What the plan's shared file system needs, and what its class is told of it."""
    wanted = plan.file_system
    if wanted is None or not wanted.ports:
        return {}
    inside = pulumi.ResourceOptions(parent=parent)
    group = _group(name, plan, wanted, ground, inside)
    filled = {"securityGroupIds": group.id, "subnetId": ground.subnets[plan.zones[0]]}
    return filled | ({"fileSystemId": _efs(name, plan, ground, group, inside)} if wanted.made else {})


def _group(
    name: str, plan: EksPlan, wanted: FileSystem, ground: Ground, inside: pulumi.ResourceOptions
) -> aws.ec2.SecurityGroup:
    """Lets the nodes in. Lustre's servers talk to each other, too, by the same ports."""
    group = aws.ec2.SecurityGroup(
        f"{name}-files",
        description=f"Nodes of {plan.name} reach the shared file system",
        vpc_id=ground.network_id,
        tags={**plan.tags, "Name": f"{plan.name}-files"},
        opts=inside,
    )
    sources = {"nodes": ground.security_group, **({} if wanted.made else {"servers": group.id})}
    for source, id_ in sources.items():
        for low, high in wanted.ports:
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-files-from-{source}-{low}",
                security_group_id=group.id,
                referenced_security_group_id=id_,
                ip_protocol="tcp",
                from_port=low,
                to_port=high,
                tags=dict(plan.tags),
                opts=inside,
            )
    return group


def _efs(
    name: str, plan: EksPlan, ground: Ground, group: aws.ec2.SecurityGroup, inside: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The id, known once every zone has its mount target."""
    made = aws.efs.FileSystem(
        f"{name}-efs",
        encrypted=True,
        kms_key_id=ground.disk_key,
        throughput_mode="elastic",
        tags={**plan.tags, "Name": f"{plan.name}-shared"},
        opts=pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(protect=plan.protect)),
    )
    targets = [
        aws.efs.MountTarget(
            f"{name}-efs-{zone}",
            file_system_id=made.id,
            subnet_id=subnet,
            security_groups=[group.id],
            opts=inside,
        )
        for zone, subnet in ground.subnets.items()
    ]
    return pulumi.Output.all(*[target.file_system_id for target in targets]).apply(lambda ids: str(ids[0]))


def storage_classes(
    parent: pulumi.Resource, name: str, plan: EksPlan, filled: Filled, provider: pulumi.ProviderResource
) -> None:
    """The plan's storage classes, in the cluster."""
    for wanted in plan.classes:
        manifest = wanted.manifest
        parameters = {**wanted.parameters, **{key: filled[key] for key in wanted.filled}}
        pulumi.CustomResource(
            token_of(manifest),
            f"{name}-class-{wanted.name}",
            {**manifest, "parameters": parameters},
            pulumi.ResourceOptions(parent=parent, provider=provider, version=PROVIDER_VERSION),
        )
