"""What a tenant has besides its quota: secrets by reference, a shared volume, a part of a bucket, its host names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from espalier.settings.base import Bytes, Name, Strict, form

_OBJECT = form(
    r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", "a name of lower-case letters, digits and -, at most 63 characters"
)
CLASS_PATTERN = form(
    r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$", "a StorageClass's name: lower-case letters, digits, - and ."
)
_KEY = form(r"^[^\s]([^\n]*[^\s])?$", "where the store keeps it, without spaces around it")
_PREFIX = form(
    r"^([A-Za-z0-9][-A-Za-z0-9_.]*/)+$",
    "folders of letters, digits, -, _ and ., each with a / after it, such as teams/vision/",
)
_DOMAIN = form(
    r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+$",
    "a domain of lower-case letters, digits and -, at least two labels, such as vision.ml.example.com",
)


class TenantSecret(Strict):
    """A Secret that the add-on external-secrets fetches into each of the tenant's namespaces; its value is in no file
    of Espalier's."""

    name: Annotated[str, Field(pattern=_OBJECT)] = Field(description="the Secret's name")
    store: Annotated[str, Field(pattern=_OBJECT)] = Field(description="the store that it is fetched from, by its name")
    store_kind: Literal["ClusterSecretStore", "SecretStore"] = Field(
        default="ClusterSecretStore", description="the store's kind; a SecretStore stands in the namespace itself"
    )
    key: Annotated[str, Field(pattern=_KEY, min_length=1, max_length=512)] = Field(
        description="the secret's key in the store; its properties become those of the Secret, and a pull secret's "
        "value is the whole of a Docker config.json"
    )


class SharedVolume(Strict):
    """A claim named `shared` in each of the tenant's namespaces, which many pods write at once."""

    size: Bytes = Field(description="its size, within the quota of storage")
    storage_class: Annotated[str, Field(pattern=CLASS_PATTERN)] | None = Field(
        default=None, description="a StorageClass of volumes for many writers; default: the one of cluster.storage"
    )


class TenantBucket(Strict):
    """A part of a bucket, which pods of the tenant reach by a cloud identity of their namespace."""

    name: Name = Field(description="one of espalier:cluster.buckets, made or given")
    prefix: Annotated[str, Field(pattern=_PREFIX, max_length=200)] | None = Field(
        default=None,
        description="what their objects' names begin with; default: <tenant>/. Of several workspaces each has "
        "<prefix><workspace>/",
    )


class Exposure(Strict):
    """Host names that the tenant's routes and ingresses may have; whoever has none may make neither."""

    domains: Annotated[
        tuple[Annotated[str, Field(pattern=_DOMAIN, max_length=253)], ...], Field(min_length=1, max_length=20)
    ] = Field(description="its domains: host names are these, or below them")
    gateway: Annotated[str, Field(pattern=_OBJECT)] | None = Field(
        default=None,
        description="namespace of the gateway whose pods reach the tenant's; default: none, and its pods are reached "
        "from their namespace alone",
    )
