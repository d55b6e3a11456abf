"""EKS's own add-ons, as resources."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan
from espalier.blueprint.clouds.eks.addons import ManagedAddon
from espalier.blueprint.clouds.eks.identities import RoleKey
from espalier.components.cluster.eks.identities import Identity

_AGENT = "eks-pod-identity-agent"


def addons(
    parent: pulumi.Resource,
    name: str,
    plan: EksPlan,
    wanted: Sequence[ManagedAddon],
    cluster_name: pulumi.Input[str],
    roles: Mapping[RoleKey, Identity],
    pods: Mapping[str, pulumi.Input[str]],
    after: Sequence[pulumi.Resource],
) -> list[pulumi.Resource]:
    """`wanted` add-ons, all later than `after`; one that takes a role comes later than the agent that hands it out."""
    made: dict[str, pulumi.Resource] = {}
    for addon in wanted:
        role = roles[addon.role] if addon.role else None
        needs = [*after, *(role.rights if role else ()), *([made[_AGENT]] if role and _AGENT in made else [])]
        made[addon.name] = aws.eks.Addon(
            f"{name}-addon-{addon.name}",
            cluster_name=cluster_name,
            addon_name=addon.name,
            addon_version=addon.version,
            configuration_values=_configuration(plan, addon, pods),
            pod_identity_associations=[{"role_arn": role.arn, "service_account": addon.service_account or ""}]
            if role
            else None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=dict(plan.tags),
            opts=pulumi.ResourceOptions(parent=parent, depends_on=needs),
        )
    return list(made.values())


def _configuration(
    plan: EksPlan, addon: ManagedAddon, pods: Mapping[str, pulumi.Input[str]]
) -> pulumi.Input[str] | None:
    if not addon.pod_subnets:
        return json.dumps(addon.configuration, sort_keys=True) if addon.configuration else None
    subnets = {zone: {"id": subnet} for zone, subnet in pods.items()}
    network = {"create": True, "region": plan.region, "subnets": subnets}
    return pulumi.Output.json_dumps({**addon.configuration, "eniConfig": network}, sort_keys=True)
