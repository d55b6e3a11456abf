"""What stands beside a cluster in its cloud: buckets, registries and a private DNS zone, made or named by their ids."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from espalier.settings.base import Name, Region, Strict, form

_ZONE = form(
    r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+$",
    "a domain of lower-case letters, digits and -, at least two labels, such as ml.example.com",
)

Id = Annotated[str, Field(min_length=1, max_length=600)]
Days = Annotated[int, Field(ge=1, le=3650)]


class Bucket(Strict):
    """A bucket. One that is made is private, versioned and encrypted; with deletion-protection it is never deleted."""

    name: Name = Field(
        description="its name in the stack, unique; the cluster's name and a digest are added to it in S3 and "
        "Cloud Storage, where buckets of all the world share their names"
    )
    id: Id | None = Field(
        default=None,
        description="one that is there: a bucket's name in S3 or Cloud Storage, a container's resource id in Azure; "
        "default: it is made",
    )
    region: Region | None = Field(
        default=None, description="the region of one that is there, for tenants whose placement says where data may be"
    )
    old_versions: Days = Field(
        default=30, description="days that deleted and overwritten objects of a bucket that is made can be read again"
    )


class Registry(Strict):
    """A registry of images. In one that is made, what has no tag any more goes after a time."""

    name: Name = Field(description="its name in the stack, unique; the cluster's name is added to it in the cloud")
    id: Id | None = Field(
        default=None,
        description="one that is there, of which nodes may pull: an ECR repository's ARN, "
        "projects/<project>/locations/<region>/repositories/<name>, or a container registry's resource id in Azure; "
        "default: it is made",
    )
    untagged: Days = Field(default=30, description="days that an image without a tag is kept in one that is made")


class Dns(Strict):
    """A private zone that the cluster's network resolves."""

    zone: Annotated[str, Field(pattern=_ZONE, max_length=253)] = Field(
        description="its domain, such as ml.example.com; the network sees no other zone of this name"
    )
    id: Id | None = Field(
        default=None,
        description="one that is there: a hosted zone's id, projects/<project>/managedZones/<name>, or a private DNS "
        "zone's resource id; default: it is made",
    )
