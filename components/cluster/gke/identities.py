"""The nodes' service account."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp import projects, serviceaccount

from espalier.blueprint.clouds.gke import GkePlan


@dataclass(frozen=True, slots=True)
class NodeAccount:
    """Its email, and what must stand before nodes use it."""

    email: pulumi.Input[str]
    ready: tuple[pulumi.Resource, ...]


def node_account(name: str, plan: GkePlan, opts: pulumi.ResourceOptions) -> NodeAccount:
    """The account that is given, else one that is made for these nodes alone."""
    if plan.service_account is not None:
        return NodeAccount(plan.service_account, ())
    account = serviceaccount.Account(
        f"{name}-nodes",
        account_id=plan.account_id,
        project=plan.project,
        display_name=f"Nodes of {plan.name}",
        opts=opts,
    )
    roles = [
        projects.IAMMember(
            f"{name}-nodes-{role.removeprefix('roles/').replace('.', '-').lower()}",
            project=plan.project,
            role=role,
            member=account.member,
            opts=opts,
        )
        for role in plan.node_roles
    ]
    return NodeAccount(account.email, tuple(roles))
