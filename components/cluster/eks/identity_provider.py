"""The identity provider that an EKS cluster trusts besides IAM, as a resource."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan


def identity_provider(
    parent: pulumi.Resource, name: str, plan: EksPlan, cluster_name: pulumi.Input[str], after: Sequence[pulumi.Resource]
) -> None:
    """Associates it, where the plan has one. It takes many minutes and holds up other updates, so it comes last."""
    wanted = plan.provider
    if wanted is None:
        return
    aws.eks.IdentityProviderConfig(
        f"{name}-identity-provider",
        cluster_name=cluster_name,
        oidc={
            "identity_provider_config_name": wanted.name,
            "issuer_url": wanted.issuer,
            "client_id": wanted.client_id,
            "username_claim": wanted.username_claim,
            "username_prefix": wanted.username_prefix,
            "groups_claim": wanted.groups_claim,
            "groups_prefix": wanted.groups_prefix,
        },
        tags=dict(plan.tags),
        # A cluster has one at a time.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after), delete_before_replace=True),
    )
