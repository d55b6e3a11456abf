"""What keeps a cluster from being deleted by mistake, besides Pulumi's own protection."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_azure_native import authorization

from espalier.blueprint.clouds.aks.model import AksPlan
from espalier.components.cluster.aks.azure import Azure


def lock(azure: Azure, things: Mapping[str, pulumi.Input[str]]) -> None:
    """Locks on what is made once and never replaced.

    A lock holds for what is below, too: so there is none on the cluster, whose agent pools come and go, nor on a
    storage account, whose shares do. They are not protected themselves: without `deletion-protection` they go.
    """
    for key, scope in sorted(things.items()):
        authorization.ManagementLockByScope(
            f"{azure.name}-lock-{key}",
            lock_name="espalier",
            scope=scope,
            level="CanNotDelete",
            notes="Espalier: set deletion-protection: false in the stack file to take this off.",
            opts=azure.options(),
        )


def deny_deletion(azure: Azure, plan: AksPlan, group: pulumi.Input[str]) -> None:
    """A policy that denies the deletion of the cluster, or of its group, and leaves its agent pools alone.

    Source: MicrosoftDocs/azure-docs, governance/policy/concepts/effect-deny-action.md: what is below a resource of
    the condition's type is not protected.
    """
    rule = {
        "if": {
            "allOf": [
                {"field": "type", "equals": "Microsoft.ContainerService/managedClusters"},
                {"field": "name", "equals": plan.name},
            ]
        },
        "then": {
            "effect": "denyAction",
            "details": {"actionNames": ["delete"], "cascadeBehaviors": {"resourceGroup": "deny"}},
        },
    }
    defined = authorization.PolicyDefinition(
        f"{azure.name}-deny-deletion",
        policy_definition_name=f"espalier-{plan.name}-deny-deletion",
        display_name=f"Espalier: cluster {plan.name} is not deleted by mistake",
        mode="Indexed",
        policy_type="Custom",
        policy_rule=rule,
        opts=azure.options(),
    )
    authorization.PolicyAssignment(
        f"{azure.name}-deny-deletion-assigned",
        policy_assignment_name="espalier-deny-deletion",
        scope=group,
        policy_definition_id=defined.id,
        opts=azure.options(),
    )
