"""Keys that encrypt Secrets and disks: given by path, or made in a ring of the cluster's own."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp import kms, projects, storage

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
    """Both keys; those that are made with the rights of the agents of GKE and of Compute Engine, and of those that
    buckets and registries are encrypted by.

    Rings and keys stay when the cluster goes: volumes that outlive it could not be read without them.
    """
    if plan.secrets_key is not None and plan.disks_key is not None:
        return Keys.given(plan)
    kept = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(retain_on_delete=True))
    agent = projects.ServiceIdentity(
        f"{name}-agent", project=plan.project, service="container.googleapis.com", opts=opts
    )
    ring = kms.KeyRing(f"{name}-keys", name=plan.name, project=plan.project, location=plan.region, opts=kept)
    members = {"secrets": agent.member, "disks": agent.member.apply(_compute_agent)}
    paths: dict[str, pulumi.Input[str]] = {}
    grants: list[pulumi.Resource] = []
    for use, given in (("secrets", plan.secrets_key), ("disks", plan.disks_key)):
        if given is not None:
            paths[use] = given
            continue
        key = kms.CryptoKey(
            f"{name}-key-{use}",
            name=use,
            key_ring=ring.id,
            purpose="ENCRYPT_DECRYPT",
            rotation_period=_ROTATION,
            labels=dict(plan.tags),
            opts=kept,
        )
        paths[use] = key.id
        grant = kms.CryptoKeyIAMMember(
            f"{name}-key-{use}-use", crypto_key_id=key.id, role=_ROLE, member=members[use], opts=opts
        )
        grants.append(grant)
        if use == "disks":
            grants += _of_parts(name, plan, key, agent, opts)
    return Keys(paths["secrets"], paths["disks"], tuple(grants))


def _of_parts(
    name: str, plan: GkePlan, key: kms.CryptoKey, agent: projects.ServiceIdentity, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """The key's use for the agents of Artifact Registry and Cloud Storage, where these keep anything by it."""
    members: dict[str, pulumi.Input[str]] = {}
    if plan.parts.makes_registries:
        members["registries"] = projects.ServiceIdentity(
            f"{name}-agent-registries", project=plan.project, service="artifactregistry.googleapis.com", opts=opts
        ).member
    if plan.parts.makes_buckets:
        # Asking for this agent makes it. The project is known once GKE's own is there: no plan asks.
        found = storage.get_project_service_account_output(
            project=agent.member.apply(lambda _: plan.project), opts=pulumi.InvokeOutputOptions(parent=opts.parent)
        )
        members["buckets"] = pulumi.Output.concat("serviceAccount:", found.email_address)
    return [
        kms.CryptoKeyIAMMember(
            f"{name}-key-disks-use-{what}", crypto_key_id=key.id, role=_ROLE, member=member, opts=opts
        )
        for what, member in sorted(members.items())
    ]


def _compute_agent(member: str) -> str:
    """Compute Engine's agent, which encrypts disks: the project's number is in its name as it is in GKE's."""
    return member.split("@")[0] + "@compute-system.iam.gserviceaccount.com"
