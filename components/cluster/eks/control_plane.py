"""The control plane of an EKS cluster: made, with its logs and its doors, or given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan
from espalier.blueprint.clouds.eks.plan import ControlPlane, GivenControlPlane
from espalier.components.cluster.eks.identities import Identity
from espalier.components.cluster.eks.network import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A control plane that answers."""

    name: pulumi.Input[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    issuer: pulumi.Output[str]
    security_group: pulumi.Input[str]
    doors: tuple[pulumi.Resource, ...]
    """What lets the deployer's packets in."""


def given(plan: EksPlan, wanted: GivenControlPlane) -> Api:
    """A control plane that is there."""
    return Api(
        name=plan.name,
        endpoint=pulumi.Output.from_input(wanted.endpoint),
        certificate_authority=pulumi.Output.from_input(wanted.certificate),
        issuer=pulumi.Output.from_input(wanted.issuer),
        security_group=wanted.security_group,
        doors=(),
    )


def control_plane(
    parent: pulumi.Resource,
    name: str,
    plan: EksPlan,
    wanted: ControlPlane,
    network: Standing,
    role: Identity,
    key: Identity,
) -> Api:
    """A control plane that is made, with its logs kept for a time and its private endpoint's doors."""
    inside = pulumi.ResourceOptions(parent=parent)
    logs = aws.cloudwatch.LogGroup(
        f"{name}-logs",
        name=f"/aws/eks/{plan.name}/cluster",
        retention_in_days=wanted.retention_days,
        tags=dict(plan.tags),
        opts=inside,
    )
    # Rights last as long as the cluster: without them EKS could not take its network interfaces away.
    made = _cluster(name, plan, wanted, network, role, key, parent, [logs, *role.rights, *key.rights])
    group = made.vpc_config.cluster_security_group_id
    for key_, value in wanted.group_tags.items():
        aws.ec2.Tag(
            f"{name}-group-tag-{key_.rsplit('/', 1)[-1]}", resource_id=group, key=key_, value=value, opts=inside
        )
    return Api(
        name=made.name,
        endpoint=made.endpoint,
        certificate_authority=made.certificate_authority.apply(lambda found: found.data or ""),
        issuer=made.identities.apply(lambda found: (found[0].oidcs or [])[0].issuer or ""),
        security_group=group,
        doors=tuple(_doors(name, plan, wanted, group, inside)),
    )


def _cluster(
    name: str,
    plan: EksPlan,
    wanted: ControlPlane,
    network: Standing,
    role: Identity,
    key: Identity,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
) -> aws.eks.Cluster:
    return aws.eks.Cluster(
        f"{name}-control-plane",
        name=plan.name,
        version=plan.version,
        role_arn=role.arn,
        vpc_config={
            "subnet_ids": list(network.subnets.values()),
            "endpoint_private_access": True,
            "endpoint_public_access": wanted.public,
            "public_access_cidrs": list(wanted.public_cidrs) or None,
        },
        kubernetes_network_config={"service_ipv4_cidr": wanted.services, "ip_family": "ipv4"},
        access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False},
        encryption_config={"provider": {"key_arn": key.arn}, "resources": ["secrets"]},
        enabled_cluster_log_types=list(wanted.logs),
        upgrade_policy={"support_type": "STANDARD"},
        zonal_shift_config={"enabled": wanted.zonal_shift},
        bootstrap_self_managed_addons=False,
        deletion_protection=wanted.deletion_protection,
        tags=dict(plan.tags),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after), protect=plan.protect),
    )


def _doors(
    name: str, plan: EksPlan, wanted: ControlPlane, group: pulumi.Input[str], inside: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    return [
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-api-from-{source}",
            security_group_id=group,
            cidr_ipv4=cidr,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            tags=dict(plan.tags),
            opts=inside,
        )
        for source, cidr in wanted.reached_from.items()
    ]
