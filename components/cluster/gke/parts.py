"""Buckets, repositories and the private zone beside a GKE cluster, as resources."""

from __future__ import annotations

import pulumi
from pulumi_gcp import artifactregistry, dns, storage

from espalier.blueprint.clouds.gke import GkePlan
from espalier.blueprint.clouds.gke.parts import email_of, place_of
from espalier.blueprint.clouds.parts import Bucket, Registry, Zone
from espalier.components.cluster.beside import Beside
from espalier.components.cluster.gke.identities import NodeAccount
from espalier.components.cluster.gke.keys import Keys
from espalier.components.cluster.gke.network import Place

_READER = "roles/artifactregistry.reader"


def parts_of(
    name: str, plan: GkePlan, keys: Keys, place: Place, account: NodeAccount, opts: pulumi.ResourceOptions
) -> Beside:
    """What the plan makes, and what it names; with the nodes' right to pull of each repository."""
    asked = plan.parts
    kept = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=plan.deletion_protection or None))
    return Beside(
        buckets={one.key: _bucket(name, plan, one, keys, kept) for one in asked.buckets},
        registries={one.key: _registry(name, plan, one, keys, account, kept, opts) for one in asked.registries},
        zone=_zone(name, plan, asked.zone, place, kept) if asked.zone else None,
    )


def _bucket(name: str, plan: GkePlan, wanted: Bucket, keys: Keys, kept: pulumi.ResourceOptions) -> pulumi.Input[str]:
    if wanted.given is not None:
        return wanted.url
    return storage.Bucket(
        f"{name}-bucket-{wanted.key}",
        name=wanted.name,
        project=plan.project,
        location=plan.region.upper(),
        storage_class="STANDARD",
        uniform_bucket_level_access=True,
        public_access_prevention="enforced",
        versioning=storage.BucketVersioningArgs(enabled=True),
        lifecycle_rules=[
            storage.BucketLifecycleRuleArgs(
                action=storage.BucketLifecycleRuleActionArgs(type="Delete"),
                condition=storage.BucketLifecycleRuleConditionArgs(
                    days_since_noncurrent_time=wanted.old_versions, with_state="ARCHIVED"
                ),
            ),
            storage.BucketLifecycleRuleArgs(
                action=storage.BucketLifecycleRuleActionArgs(type="AbortIncompleteMultipartUpload"),
                condition=storage.BucketLifecycleRuleConditionArgs(age=7),
            ),
        ],
        encryption=storage.BucketEncryptionArgs(default_kms_key_name=keys.disks) if keys.disks else None,
        force_destroy=not plan.deletion_protection,
        labels=dict(plan.tags),
        opts=pulumi.ResourceOptions.merge(kept, pulumi.ResourceOptions(depends_on=[*keys.ready])),
    ).name.apply(lambda _: wanted.url)


def _registry(
    name: str,
    plan: GkePlan,
    wanted: Registry,
    keys: Keys,
    account: NodeAccount,
    kept: pulumi.ResourceOptions,
    opts: pulumi.ResourceOptions,
) -> pulumi.Input[str]:
    name = f"{name}-registry-{wanted.key}"
    project, location = plan.project, plan.region
    repository: pulumi.Input[str] = wanted.name
    if wanted.given is not None:
        project, location, repository = place_of(wanted.given)
    else:
        repository = _repository(name, plan, wanted, keys, kept).repository_id
    right = artifactregistry.RepositoryIamMember(
        f"{name}-pull",
        project=project,
        location=location,
        repository=repository,
        role=_READER,
        member=f"serviceAccount:{plan.service_account or email_of(plan.account_id, plan.project)}",
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[*account.ready])),
    )
    return right.repository.apply(lambda _: wanted.url)


def _repository(
    name: str, plan: GkePlan, wanted: Registry, keys: Keys, kept: pulumi.ResourceOptions
) -> artifactregistry.Repository:
    """Tags never move; what has none any more goes after a time, and what is new is scanned as the project says."""
    policy = artifactregistry.RepositoryCleanupPolicyArgs(
        id="untagged",
        action="DELETE",
        condition=artifactregistry.RepositoryCleanupPolicyConditionArgs(
            tag_state="UNTAGGED", older_than=f"{wanted.untagged * 86_400}s"
        ),
    )
    return artifactregistry.Repository(
        name,
        repository_id=wanted.name,
        project=plan.project,
        location=plan.region,
        format="DOCKER",
        description=f"Images of the GKE cluster {plan.name}",
        docker_config=artifactregistry.RepositoryDockerConfigArgs(immutable_tags=True),
        cleanup_policies=[policy],
        cleanup_policy_dry_run=False,
        vulnerability_scanning_config=artifactregistry.RepositoryVulnerabilityScanningConfigArgs(
            enablement_config="INHERITED"
        ),
        kms_key_name=keys.disks,
        labels=dict(plan.tags),
        opts=pulumi.ResourceOptions.merge(kept, pulumi.ResourceOptions(depends_on=[*keys.ready])),
    )


def _zone(name: str, plan: GkePlan, wanted: Zone, place: Place, kept: pulumi.ResourceOptions) -> pulumi.Input[str]:
    if wanted.given is not None:
        return wanted.given
    network = dns.ManagedZonePrivateVisibilityConfigNetworkArgs(network_url=place.network)
    return dns.ManagedZone(
        f"{name}-dns",
        name=wanted.name,
        project=plan.project,
        dns_name=f"{wanted.domain}.",
        description=f"Private zone of the GKE cluster {plan.name}",
        visibility="private",
        private_visibility_config=dns.ManagedZonePrivateVisibilityConfigArgs(networks=[network]),
        # Records are written from within the cluster: a zone that is not kept goes with them.
        force_destroy=not plan.deletion_protection,
        labels=dict(plan.tags),
        opts=kept,
    ).id
