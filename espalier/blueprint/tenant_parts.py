"""What tenants' namespaces hold besides ceilings and roles: secrets by reference, a shared volume, identities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from espalier.blueprint.clouds import cloud_of, compiler_of
from espalier.blueprint.clouds.tenancy import ACCOUNT, Folder
from espalier.settings.model import Settings
from espalier.settings.tenant_parts import TenantSecret
from espalier.settings.tenants import Tenant, Workspace
from espalier.types import Peer, Traffic

FETCHER: Final = "external-secrets"
"""The add-on that fetches secrets from a store."""
SHARED: Final = "shared"
"""The name of the claim that many pods write."""
VOLUME: Final = "shared-volume"
ROUTES: Final = ("networking.k8s.io", ("ingresses",))
"""What tenants with host names of their own make, besides the routes that add-ons give to all."""
_HOURLY: Final = "1h"
_ACCOUNT_SUFFIX: Final = "account"


@dataclass(frozen=True, slots=True)
class Ways:
    """What a platform has for its tenants' parts."""

    fetches: bool = False
    """The add-on that fetches secrets is there, and not held up."""
    shared_class: str = ""
    """The class of volumes for many writers; "" for none that is known."""
    folders: Mapping[str, Folder] = field(default_factory=dict[str, Folder])
    """Parts of buckets by namespace."""
    egress: Sequence[Mapping[str, Any]] = ()
    """How pods reach these, as egress rules of a NetworkPolicy."""
    annotated: bool = False
    """The cloud's identity is told by an annotation of the service account, which the components fill in."""

    def rules(self, namespace: str) -> Sequence[Mapping[str, Any]]:
        """The egress rules of a namespace."""
        return self.egress if namespace in self.folders else ()


def ways_of(settings: Settings, namespaces: Mapping[str, Sequence[tuple[str, str]]], *, fetches: bool) -> Ways:
    """The ways of a stack without mistakes. `namespaces` are each tenant's workspaces with their namespaces."""
    cluster = cloud_of(settings.cluster)
    if cluster is None:
        return Ways(fetches)
    tenancy = compiler_of(cluster.kind).tenancy
    found = {folder.namespace: folder for folder in folders_of(settings, namespaces)}
    return Ways(fetches, tenancy.shared_class(cluster), found, tenancy.egress(cluster), tenancy.annotated)


def folders_of(settings: Settings, namespaces: Mapping[str, Sequence[tuple[str, str]]]) -> tuple[Folder, ...]:
    """All parts of buckets. Of several workspaces each has its own: whoever is let into one reads no other's."""
    cluster = cloud_of(settings.cluster)
    if cluster is None:
        return ()
    buckets = {bucket.key: bucket for bucket in compiler_of(cluster.kind).tenancy.parts(cluster).buckets}
    return tuple(
        Folder(namespace=namespace, bucket=buckets[tenant.bucket.name], prefix=prefix)
        for tenant in settings.tenants
        if tenant.bucket and tenant.bucket.name in buckets
        for namespace, prefix in _prefixes(tenant, namespaces[tenant.name])
    )


def prefix_of(tenant: Tenant) -> str:
    """What the names of all its objects begin with."""
    return (tenant.bucket and tenant.bucket.prefix) or f"{tenant.name}/"


def _prefixes(tenant: Tenant, spaces: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    base = prefix_of(tenant)
    for name, namespace in spaces:
        yield namespace, base if len(spaces) == 1 else f"{base}{name}/"


def traffic_of_tenant(tenant: Tenant) -> tuple[Traffic, ...]:
    """The gateway that its host names are served by reaches its pods."""
    if tenant.exposure is None or tenant.exposure.gateway is None:
        return ()
    return (Traffic(callers=(Peer(tenant.exposure.gateway),)),)


def storage_of(tenant: Tenant, work: Workspace | str) -> str | None:
    """The storage that the quota of a workspace allows; None where it says nothing."""
    own = work.quota if isinstance(work, Workspace) else None
    return (own or tenant.quota).storage


Made = tuple[str, str, str, str, Mapping[str, Any]]
"""Suffix, API version, kind, name and body of an object."""


def objects_of(tenant: Tenant, namespace: str, ways: Ways) -> Iterator[Made]:
    """The objects of a namespace, the claim first: it is kept when it leaves the stack file."""
    if tenant.shared_volume is not None:
        size, named = tenant.shared_volume.size, tenant.shared_volume.storage_class or ways.shared_class
        spec = {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": named,
            "resources": {"requests": {"storage": size}},
        }
        yield VOLUME, "v1", "PersistentVolumeClaim", SHARED, {"spec": spec}
    if ways.fetches:
        for secret in tenant.secrets:
            yield _fetched(secret, {"dataFrom": [{"extract": {"key": secret.key}}]}, {})
        for secret in tenant.pull_secrets:
            yield _fetched(secret, _config(secret.key), {"template": _DOCKER})
    if (account := _account(tenant, namespace, ways)) is not None:
        yield _ACCOUNT_SUFFIX, "v1", "ServiceAccount", ACCOUNT, account


_DOCKER: Final = {
    "type": "kubernetes.io/dockerconfigjson",
    "data": {".dockerconfigjson": "{{ .config | toString }}"},
}


def _config(key: str) -> dict[str, Any]:
    return {"data": [{"secretKey": "config", "remoteRef": {"key": key}}]}


def _fetched(secret: TenantSecret, source: Mapping[str, Any], target: Mapping[str, Any]) -> Made:
    """An ExternalSecret: a reference, with no value (external-secrets, api/externalsecret and guides/common-k8s-secret-
    types). What is gone from the store stays until it is looked after: `Retain`."""
    spec = {
        "refreshInterval": _HOURLY,
        "secretStoreRef": {"kind": secret.store_kind, "name": secret.store},
        "target": {"name": secret.name, "creationPolicy": "Owner", "deletionPolicy": "Retain", **target},
        **source,
    }
    return f"secret-{secret.name}", "external-secrets.io/v1", "ExternalSecret", secret.name, {"spec": spec}


def _account(tenant: Tenant, namespace: str, ways: Ways) -> dict[str, Any] | None:
    """The service account of pods that name none: with what they pull by, and, where the cloud wants it, who they are.

    The API server makes it with the namespace, and server-side apply adds to it.
    """
    pulls = [{"name": secret.name} for secret in tenant.pull_secrets] if ways.fetches else []
    if not pulls and not (ways.annotated and namespace in ways.folders):
        return None
    return {"imagePullSecrets": pulls} if pulls else {}


def account_suffix(workspace: str) -> str:
    """The suffix of the service account of a workspace, by which components find it."""
    return f"{workspace}-{_ACCOUNT_SUFFIX}"
