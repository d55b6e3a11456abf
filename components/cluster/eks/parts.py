"""Buckets, repositories and the private zone of an EKS cluster, as resources."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan
from espalier.blueprint.clouds.eks.parts import bucket_policy, expiry_policy
from espalier.blueprint.clouds.parts import Bucket, Registry, Zone
from espalier.components.cluster.beside import Beside


def parts(
    parent: pulumi.Resource, name: str, plan: EksPlan, key: pulumi.Input[str] | None, network: pulumi.Input[str]
) -> Beside:
    """What the plan makes, and what it names. `key` is the ARN of the key of disks, `network` the VPC's id."""
    inside = pulumi.ResourceOptions(parent=parent)
    asked = plan.parts
    return Beside(
        buckets={one.key: _bucket(name, plan, one, key, inside) for one in asked.buckets},
        registries={one.key: _registry(name, plan, one, key, inside) for one in asked.registries},
        zone=_zone(name, plan, asked.zone, network, inside) if asked.zone else None,
    )


def _bucket(
    name: str, plan: EksPlan, wanted: Bucket, key: pulumi.Input[str] | None, inside: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    if wanted.given is not None:
        return pulumi.Output.from_input(wanted.url)
    name = f"{name}-bucket-{wanted.key}"
    made = aws.s3.Bucket(
        name,
        bucket=wanted.name,
        force_destroy=not plan.protect,
        tags=dict(plan.tags),
        opts=pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(protect=plan.protect)),
    )
    guarded = [
        aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=made.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=inside,
        ),
        aws.s3.BucketOwnershipControls(
            f"{name}-owner", bucket=made.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=inside
        ),
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=made.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key},
                    "bucket_key_enabled": True,
                }
            ],
            opts=inside,
        ),
    ]
    versions = aws.s3.BucketVersioning(
        f"{name}-versions", bucket=made.bucket, versioning_configuration={"status": "Enabled"}, opts=inside
    )
    _expiry(name, wanted, made, versions, inside)
    # S3 changes one of a bucket's policies at a time, and refuses a policy while access is being blocked.
    aws.s3.BucketPolicy(
        f"{name}-policy",
        bucket=made.bucket,
        policy=json.dumps(bucket_policy(plan.region, wanted.name), sort_keys=True),
        opts=pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=guarded)),
    )
    return made.id.apply(lambda _: wanted.url)


def _expiry(
    name: str,
    wanted: Bucket,
    bucket: aws.s3.Bucket,
    versions: aws.s3.BucketVersioning,
    inside: pulumi.ResourceOptions,
) -> None:
    """Old versions go after a time, and so do uploads that nobody finished."""
    aws.s3.BucketLifecycleConfiguration(
        f"{name}-lifecycle",
        bucket=bucket.bucket,
        rules=[
            {
                "id": "old-versions",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "noncurrent_version_expiration": {"noncurrent_days": wanted.old_versions},
                "expiration": {"expired_object_delete_marker": True},
                "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
            }
        ],
        opts=pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=[versions])),
    )


def _registry(
    name: str, plan: EksPlan, wanted: Registry, key: pulumi.Input[str] | None, inside: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    if wanted.given is not None:
        return pulumi.Output.from_input(wanted.url)
    name = f"{name}-registry-{wanted.key}"
    made = aws.ecr.Repository(
        name,
        name=wanted.name,
        image_tag_mutability="IMMUTABLE",
        image_scanning_configuration={"scan_on_push": True},
        encryption_configurations=[{"encryption_type": "KMS", "kms_key": key}],
        force_delete=not plan.protect,
        tags=dict(plan.tags),
        opts=pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(protect=plan.protect)),
    )
    aws.ecr.LifecyclePolicy(
        f"{name}-lifecycle",
        repository=made.name,
        policy=json.dumps(expiry_policy(wanted.untagged), sort_keys=True),
        opts=inside,
    )
    return made.name.apply(lambda _: wanted.url)


def _zone(
    name: str, plan: EksPlan, wanted: Zone, network: pulumi.Input[str], inside: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The zone's id, known once the network resolves it."""
    if wanted.given is not None and not wanted.linked:
        return pulumi.Output.from_input(wanted.given)
    if wanted.given is not None:
        return aws.route53.ZoneAssociation(
            f"{name}-dns-network", zone_id=wanted.given, vpc_id=network, vpc_region=plan.region, opts=inside
        ).zone_id
    return aws.route53.Zone(
        f"{name}-dns",
        name=wanted.domain,
        comment=f"Private zone of the EKS cluster {plan.name}",
        vpcs=[{"vpc_id": network, "vpc_region": plan.region}],
        # Records are written from within the cluster: a zone that is not kept goes with them.
        force_destroy=not plan.protect,
        tags=dict(plan.tags),
        opts=pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(protect=plan.protect)),
    ).zone_id
