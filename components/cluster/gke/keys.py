"""Keys that encrypt Secrets and disks: given by path, or made in a ring of the cluster's own."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp.kms.crypto_key import CryptoKey
from pulumi_gcp.kms.crypto_key_iam_member import CryptoKeyIAMMember
from pulumi_gcp.kms.key_ring import KeyRing
from pulumi_gcp.projects.service_identity import ServiceIdentity

from espalier.blueprint.clouds.gke import GkePlan

_ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
_ROTATION = "7776000s"
"""90 days, as Google recommends for keys of its services."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Paths of the keys, and what must stand before Google's agents use them."""

    secrets: pulumi.Input[str] | None
    disks: pulumi.Input[str] | None
    ready: tuple[pulumi.Resource, ...] = ()

    @classmethod
    def given(cls, plan: GkePlan) -> Keys:
        """Those that the plan names, with rights that somebody else has granted."""
        return cls(plan.secrets_key, plan.disks_key)


def keys_of(name: str, plan: GkePlan, opts: pulumi.ResourceOptions) -> Keys:
    """Both keys with the rights of GKE's and Compute Engine's agents. Keys stay when the cluster goes."""
    agent = ServiceIdentity(f"{name}-agent", project=plan.project, service="container.googleapis.com", opts=opts)
    ring = None
    if plan.secrets_key is None or plan.disks_key is None:
        kept = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(retain_on_delete=True))
        ring = KeyRing(f"{name}-keys", name=plan.name, project=plan.project, location=plan.region, opts=kept)
    secrets = _key(name, "secrets", plan, plan.secrets_key, ring, opts)
    disks = _key(name, "disks", plan, plan.disks_key, ring, opts)
    grants = (
        _grant(name, "secrets", secrets, agent.member, opts),
        _grant(name, "disks", disks, agent.member.apply(_compute_agent), opts),
    )
    return Keys(secrets, disks, grants)


def _key(
    name: str, use: str, plan: GkePlan, given: str | None, ring: KeyRing | None, opts: pulumi.ResourceOptions
) -> pulumi.Input[str]:
    if given is not None or ring is None:
        return given or ""
    kept = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(retain_on_delete=True))
    key = CryptoKey(
        f"{name}-key-{use}",
        name=use,
        key_ring=ring.id,
        purpose="ENCRYPT_DECRYPT",
        rotation_period=_ROTATION,
        labels=dict(plan.tags),
        opts=kept,
    )
    return key.id


def _grant(
    name: str, use: str, key: pulumi.Input[str], member: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> CryptoKeyIAMMember:
    return CryptoKeyIAMMember(f"{name}-key-{use}-use", crypto_key_id=key, role=_ROLE, member=member, opts=opts)


def _compute_agent(member: str) -> str:
    """Compute Engine's agent, which encrypts disks: the project's number is in its name as it is in GKE's."""
    return member.split("@")[0] + "@compute-system.iam.gserviceaccount.com"
