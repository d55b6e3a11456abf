"""The rule on buckets and registries, over resources as the clouds' providers are asked for them."""

from __future__ import annotations

from typing import Any

import pytest

from espalier.policies.rules.stores import private
from espalier.types import Finding, Registered

UNKNOWN = {"$unknown": True}
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
FOUR = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
S3 = "aws:s3/bucket:Bucket"
GCS = "gcp:storage/bucket:Bucket"
ACCOUNT = "azure-native:storage:StorageAccount"
ACR = "azure-native:containerregistry:Registry"
PULL = "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember"


def made(type_: str, **props: Any) -> Registered:
    return Registered(f"urn:pulumi:prod::espalier::{type_}::one", type_, "one", props)


def said(*resources: Registered) -> tuple[list[str], list[str]]:
    """What is found, and what is not judged."""
    results = list(private(resources, None))
    return [one.message for one in results if isinstance(one, Finding)], [
        one for one in results if isinstance(one, str)
    ]


@pytest.mark.parametrize(
    "resources",
    [
        (made(S3, bucket="a"), made(BLOCK, bucket="a", **FOUR)),
        (made(GCS, publicAccessPrevention="enforced", uniformBucketLevelAccess=True),),
        (made(ACCOUNT, allowBlobPublicAccess=False),),
        (made(ACR, adminUserEnabled=False),),
        (made(PULL, member="serviceAccount:nodes@example.iam.gserviceaccount.com"),),
    ],
)
def test_what_is_private_passes(resources: tuple[Registered, ...]) -> None:
    assert said(*resources) == ([], [])


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ((made(S3, bucket="a"),), "one: no BucketPublicAccessBlock names it; add one with all four true"),
        (
            (made(S3, bucket="a"), made(BLOCK, bucket="b", **FOUR)),
            "one: no BucketPublicAccessBlock names it; add one with all four true",
        ),
        (
            (made(BLOCK, bucket="a", **{**FOUR, "ignorePublicAcls": False}),),
            "one: may be opened to everybody; set ignorePublicAcls to True",
        ),
        (
            (made(GCS, uniformBucketLevelAccess=True),),
            "one: may be opened to everybody; set publicAccessPrevention to enforced",
        ),
        ((made(ACCOUNT),), "one: may be opened to everybody; set allowBlobPublicAccess to False"),
        (
            (made(ACR, anonymousPullEnabled=True),),
            "one: has anonymousPullEnabled; switch it off, and let identities in by roles",
        ),
        ((made(PULL, member="allUsers"),), "one: lets allUsers in; name who may"),
        (
            (made("gcp:storage/bucketIAMBinding:BucketIAMBinding", members=["allAuthenticatedUsers"]),),
            "one: lets allAuthenticatedUsers in; name who may",
        ),
    ],
)
def test_what_everybody_may_read_is_found(resources: tuple[Registered, ...], text: str) -> None:
    assert said(*resources) == ([text], [])


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ((made(S3),), "one: whether its public access is blocked is not known"),
        (
            (made(S3, bucket="a"), made(BLOCK, bucket=UNKNOWN, **FOUR)),
            "one: whether its public access is blocked is not known",
        ),
        ((made(ACCOUNT, allowBlobPublicAccess=UNKNOWN),), "one: its allowBlobPublicAccess is not known"),
        ((made(PULL, member=UNKNOWN),), "one: whom it lets in is not known"),
    ],
)
def test_what_is_not_known_yet_is_not_judged(resources: tuple[Registered, ...], text: str) -> None:
    assert said(*resources) == ([], [text])
