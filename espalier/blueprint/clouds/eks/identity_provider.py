"""The identity provider that an EKS cluster trusts besides IAM.

Facts: EKS user guide, authenticate-oidc-identity-provider: one for each cluster, which cannot be changed, only taken
off and put on again; that takes minutes, in which the cluster takes no other update.
"""

from __future__ import annotations

from dataclasses import replace

from espalier.blueprint.clouds.eks.plan import EksPlan, GivenControlPlane, IdentityProvider
from espalier.blueprint.clouds.model import CloudPlan
from espalier.settings.identity import Identity


def with_provider(plan: CloudPlan, identity: Identity) -> CloudPlan:
    """The plan with the provider; a cluster that is there already stays as it is."""
    assert isinstance(plan, EksPlan)  # noqa: S101 - its own kind's
    assert identity.issuer is not None  # noqa: S101 - refused before
    if isinstance(plan.control, GivenControlPlane):
        note = (
            f"identity: the cluster is given, so its owner associates {identity.issuer} with these claims and prefixes"
        )
        return replace(plan, notes=(*plan.notes, note))
    provider = IdentityProvider(
        name=plan.name,
        issuer=identity.issuer,
        client_id=identity.client_id,
        username_claim=identity.username_claim,
        username_prefix=identity.username_prefix,
        groups_claim=identity.groups_claim,
        groups_prefix=identity.groups_prefix,
    )
    return replace(plan, provider=provider)
