"""Identities that tenants' pods take for their parts of buckets, as resources."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_azure_native import authorization, managedidentity

from espalier.blueprint.clouds.aks.model import AksPlan
from espalier.components.cluster.aks.azure import Azure

CLIENT_ID = "azure.workload.identity/client-id"
"""Annotation by which a service account says who it is (azure-aks-docs, workload-identity-overview.md)."""
_AUDIENCE = "api://AzureADTokenExchange"


def folders(
    azure: Azure,
    plan: AksPlan,
    group: pulumi.Input[str],
    issuer: pulumi.Input[str],
    scopes: Mapping[str, pulumi.Input[str]],
) -> dict[str, dict[str, pulumi.Output[str]]]:
    """An identity with its right for each namespace that has a part of a bucket; the annotations of its account.

    `group` is the id of the cluster's resource group, `scopes` has the ids of containers that are made.
    """
    wanted = plan.folder_role
    if wanted is None:
        return {}
    places = [*([group] if wanted.made else []), *wanted.groups]
    role = authorization.RoleDefinition(
        f"{azure.name}-folders-role",
        role_definition_id=wanted.guid,
        role_name=wanted.name,
        role_type="CustomRole",
        description="Reads, lists, writes and deletes blobs, and nothing of their container",
        scope=places[0],
        assignable_scopes=places,
        permissions=[{"actions": [], "data_actions": list(wanted.data_actions)}],
        opts=azure.options(),
    )
    found: dict[str, dict[str, pulumi.Output[str]]] = {}
    for folder in plan.folders:
        of = f"{azure.name}-folder-{folder.namespace}"
        identity = managedidentity.UserAssignedIdentity(
            of,
            resource_name_=folder.name,
            resource_group_name=azure.group,
            location=azure.location,
            tags=azure.tags,
            opts=azure.options(),
        )
        managedidentity.FederatedIdentityCredential(
            f"{of}-pods",
            federated_identity_credential_resource_name="pods",
            resource_name_=folder.name,
            resource_group_name=azure.group,
            issuer=issuer,
            subject=folder.subject,
            audiences=[_AUDIENCE],
            opts=azure.options(after=[identity]),
        )
        authorization.RoleAssignment(
            f"{of}-right",
            scope=scopes.get(folder.scope, folder.scope),
            role_definition_id=role.id,
            principal_id=identity.principal_id,
            principal_type="ServicePrincipal",
            condition=folder.condition,
            condition_version="2.0",
            opts=azure.options(),
        )
        found[folder.namespace] = {CLIENT_ID: identity.client_id}
    return found
