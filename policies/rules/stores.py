"""Buckets and registries in clouds: nobody reads them who is not named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from espalier.policies.values import is_hidden, texts
from espalier.types import Finding, Registered, Rule

_BUCKET = "aws:s3/bucket:Bucket"
_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_BLOCKED = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_WANTED: Mapping[str, Mapping[str, Any]] = {
    _BLOCK: dict.fromkeys(_BLOCKED, True),
    "gcp:storage/bucket:Bucket": {"publicAccessPrevention": "enforced", "uniformBucketLevelAccess": True},
    "azure-native:storage:StorageAccount": {"allowBlobPublicAccess": False},
}
"""Type of resource -> inputs that must be said: what is not said, the cloud may open."""
_REFUSED: Mapping[str, Mapping[str, Any]] = {
    "azure-native:containerregistry:Registry": {"adminUserEnabled": True, "anonymousPullEnabled": True},
}
"""Type of resource -> inputs that must not be so."""
_GRANTS = ("gcp:storage/bucketIAM", "gcp:artifactregistry/repositoryIam")
_EVERYBODY = ("allUsers", "allAuthenticatedUsers")


def private(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """No bucket, storage account or registry can be read by everybody."""
    del facts
    blocked: list[Any] = []
    for resource in resources:
        yield from _said(resource)
        if resource.type == _BLOCK:
            blocked.append(resource.props.get("bucket"))
        if resource.type.startswith(_GRANTS):
            yield from _granted(resource)
    for bucket in (resource for resource in resources if resource.type == _BUCKET):
        yield from _s3(bucket, blocked)


def _said(resource: Registered) -> Iterator[Finding | str]:
    wanted, refused = _WANTED.get(resource.type, {}), _REFUSED.get(resource.type, {})
    for key in (*wanted, *refused):
        value = resource.props.get(key)
        if is_hidden(value):
            yield f"{resource.name}: its {key} is not known"
        elif key in wanted and value != wanted[key]:
            yield Finding(resource.urn, f"{resource.name}: may be opened to everybody; set {key} to {wanted[key]}")
        elif key in refused and value == refused[key]:
            yield Finding(resource.urn, f"{resource.name}: has {key}; switch it off, and let identities in by roles")


def _granted(resource: Registered) -> Iterator[Finding | str]:
    members = [resource.props.get("member"), *texts(resource.props.get("members"))]
    if is_hidden(resource.props.get("members")) or is_hidden(members[0]):
        yield f"{resource.name}: whom it lets in is not known"
    found = sorted({member for member in members if isinstance(member, str) and member in _EVERYBODY})
    if found:
        yield Finding(resource.urn, f"{resource.name}: lets {', '.join(found)} in; name who may")


def _s3(bucket: Registered, blocked: Sequence[Any]) -> Iterator[Finding | str]:
    """A bucket whose name only AWS will tell is not judged, nor is any where a block's bucket is not known."""
    name = bucket.props.get("bucket")
    if isinstance(name, str) and name in blocked:
        return
    if name is None or is_hidden(name) or any(is_hidden(each) for each in blocked):
        yield f"{bucket.name}: whether its public access is blocked is not known"
    else:
        yield Finding(bucket.urn, f"{bucket.name}: no BucketPublicAccessBlock names it; add one with all four true")


RULES = (
    Rule(
        "private-stores",
        "mandatory",
        "No bucket, storage account or registry in a cloud can be read by everybody.",
        private,
        fix="Block public access (S3: all four of BucketPublicAccessBlock), and let identities in by name.",
    ),
)
