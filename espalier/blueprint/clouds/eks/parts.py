"""S3 buckets, ECR repositories and a private hosted zone of an EKS cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from espalier.blueprint.clouds.eks.policies import Document, document
from espalier.blueprint.clouds.eks.zones import partition
from espalier.blueprint.clouds.parts import AT, Bucket, Parts, Registry, Zone, common_mistakes, world_wide
from espalier.settings.eks import Eks
from espalier.settings.parts import Bucket as AskedBucket
from espalier.settings.parts import Registry as AskedRegistry
from espalier.types import Mistake

_BUCKET: Final = 63
"""Characters of a bucket's name, at most (S3 user guide, general purpose bucket naming rules)."""
_RESERVED: Final = ("xn--", "sthree-", "amzn-s3-demo-")
"""What S3 keeps as the beginning of its own names (same source)."""
_S3: Final = re.compile(r"^(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]$")
_REPOSITORY: Final = re.compile(
    r"^arn:(aws|aws-us-gov):ecr:([a-z0-9-]+):([0-9]{12}):repository/([a-z0-9]+([._/-]+[a-z0-9]+)*)$"
)
_HOSTED_ZONE: Final = re.compile(r"^Z[0-9A-Z]{1,31}$")
_DOMAINS: Final = ("amazonaws.com", "compute.internal", "ec2.internal", "eks.amazonaws.com")
"""What the network's own names and AWS's endpoints are under."""


def parts_of(cluster: Eks) -> Parts:
    """What stands beside a cluster without mistakes."""
    return Parts(
        buckets=tuple(_bucket(cluster, asked) for asked in cluster.buckets),
        registries=tuple(_registry(cluster, asked) for asked in cluster.registries),
        zone=_zone(cluster),
    )


def _bucket(cluster: Eks, asked: AskedBucket) -> Bucket:
    place = f"{cluster.account_id}/{cluster.region}/{cluster.name}"
    name = asked.id or world_wide(f"{cluster.name}-{asked.name}", place, _BUCKET)
    return Bucket(key=asked.name, name=name, url=f"s3://{name}", given=asked.id, old_versions=asked.old_versions)


def _registry(cluster: Eks, asked: AskedRegistry) -> Registry:
    found = _REPOSITORY.match(asked.id or "")
    account, region = (found[3], found[2]) if found else (cluster.account_id, cluster.region)
    name = found[4] if found else f"{cluster.name}/{asked.name}"
    return Registry(
        key=asked.name,
        name=name,
        url=f"{account}.dkr.ecr.{region}.amazonaws.com/{name}",
        given=asked.id,
        untagged=asked.untagged,
    )


def _zone(cluster: Eks) -> Zone | None:
    """A zone that is there is associated with a network that is made; with a given one, it is already."""
    if cluster.dns is None:
        return None
    linked = cluster.dns.id is None or cluster.network.id is None
    return Zone(domain=cluster.dns.zone, name=cluster.dns.zone, given=cluster.dns.id, linked=linked)


def encrypted_parts(cluster: Eks) -> tuple[str, ...]:
    """Services besides those of disks that the key of disks is used through."""
    parts = parts_of(cluster)
    wanted = {"ecr": parts.makes_registries, "s3": parts.makes_buckets}
    return tuple(service for service, needed in wanted.items() if needed)


def bucket_policy(region: str, bucket: str) -> Document:
    """Nobody reaches the bucket but by TLS (S3 user guide, security best practices); of TLS S3 takes 1.2 and later."""
    arn = f"arn:{partition(region)}:s3:::{bucket}"
    everything = {"Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    return document([{"Sid": "OnlyTls", "Effect": "Deny", **everything, "Condition": plain}])


def expiry_policy(days: int) -> dict[str, Any]:
    """Lifecycle policy of a repository (ECR user guide, lifecycle policy properties)."""
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    rule = {
        "rulePriority": 1,
        "description": f"untagged for {days} days",
        "selection": selection,
        "action": {"type": "expire"},
    }
    return {"rules": [rule]}


def part_mistakes(cluster: Eks) -> Iterator[Mistake]:
    """What AWS cannot do of buckets, repositories and a zone."""
    yield from common_mistakes(cluster, _DOMAINS, given=cluster.given is not None)
    if cluster.given is not None:
        return
    for index, asked in enumerate(cluster.buckets):
        yield from _bucket_mistakes(cluster, asked, f"{AT}.buckets[{index}]")
    for index, registry in enumerate(cluster.registries):
        yield from _registry_mistakes(cluster, registry, f"{AT}.registries[{index}]")
    dns = cluster.dns
    if dns is not None and dns.id is not None and not _HOSTED_ZONE.match(dns.id):
        do = "Write the zone's id alone, without /hostedzone/."
        yield Mistake(f"{AT}.dns.id", repr(dns.id), "a hosted zone's id, such as Z0123456789ABCDEFGHIJ", do)


def _bucket_mistakes(cluster: Eks, asked: AskedBucket, path: str) -> Iterator[Mistake]:
    if asked.id is None:
        yield from _account(cluster, path)
        if cluster.name.startswith(_RESERVED):
            accepted = f"a cluster's name that begins with none of {', '.join(_RESERVED)}: S3 keeps these"
            yield Mistake(f"{path}.name", f"bucket {cluster.name}-{asked.name}", accepted, "Rename the cluster.")
    elif not _S3.match(asked.id):
        accepted = "a bucket's name: 3 to 63 lower-case letters, digits, . and -"
        yield Mistake(f"{path}.id", repr(asked.id), accepted, "Write its name alone, without s3:// or an ARN.")


def _registry_mistakes(cluster: Eks, asked: AskedRegistry, path: str) -> Iterator[Mistake]:
    if asked.id is None:
        yield from _account(cluster, path)
        return
    found = _REPOSITORY.match(asked.id)
    if found is None:
        accepted = "an ECR repository's ARN, such as arn:aws:ecr:us-east-1:123456789012:repository/images"
        yield Mistake(f"{path}.id", repr(asked.id), accepted, "Write its ARN.")
    elif found[1] != partition(cluster.region):
        accepted = f"an ARN of the partition {partition(cluster.region)}, which {cluster.region} is in"
        yield Mistake(f"{path}.id", asked.id, accepted, "Correct the ARN, or the region.")
    elif cluster.network.egress == "none" and cluster.network.id is None and found[2] != cluster.region:
        accepted = f"a repository of {cluster.region}: without egress nodes reach no other region"
        yield Mistake(f"{path}.id", f"one of {found[2]}", accepted, "Replicate it there, or let nodes out.")


def _account(cluster: Eks, path: str) -> Iterator[Mistake]:
    if cluster.account_id is None:
        do = "Add account-id: <twelve digits>, or name one that is there by its id."
        yield Mistake(f"{path}.id", "nothing, without account-id", "account-id, which its name and its key need", do)
