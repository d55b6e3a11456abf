"""Role assignments in Azure, each on the one resource that it is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pulumi
from pulumi_azure_native import authorization

from espalier.blueprint.clouds.aks.model import Role
from espalier.components.cluster.aks.azure import Azure


def assign(
    azure: Azure,
    roles: Iterable[Role],
    scopes: Mapping[str, pulumi.Input[str]],
    principals: Mapping[str, pulumi.Input[str]],
) -> list[pulumi.Resource]:
    """The assignments of `roles`; `scopes` and `principals` hold the ids of what is made, by the plan's words."""
    return [
        authorization.RoleAssignment(
            f"{azure.name}-role-{role.key}",
            scope=scopes.get(role.scope, role.scope),
            role_definition_id=definition(azure, role.role, scopes.get(role.scope, role.scope)),
            principal_id=principals.get(role.principal, role.principal),
            principal_type=role.principal_type,
            opts=azure.options(),
        )
        for role in roles
    ]


def definition(azure: Azure, role: str, scope: pulumi.Input[str]) -> pulumi.Input[str]:
    """The id of a built-in role, as the scope's subscription has it."""

    def of(subscription: str) -> str:
        return f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"

    if azure.subscription:
        return of(azure.subscription)
    return pulumi.Output.from_input(scope).apply(lambda id_: of(id_.split("/")[2]))
