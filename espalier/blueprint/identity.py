"""Who people are, as each kind of API server sees it: the names that are bound, and the issuers that it trusts.

Facts: kubernetes.io, reference/access-authn-authz/authentication, "Using Authentication Configuration" (v1 since 1.34,
v1beta1 since 1.30); EKS API reference, OidcIdentityProviderConfigRequest (one issuer, reached over the internet);
docs.cloud.google.com/kubernetes-engine/docs/how-to/oidc (Workforce Identity Federation and its principals; Identity
Service for GKE is deprecated since 2026-07-01); learn.microsoft.com/azure/aks/external-identity-provider-
authentication-overview (JWT authenticators are a preview; Entra names groups by their object ids).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from espalier.blueprint.clouds import cloud_of
from espalier.settings.base import hyphenated
from espalier.settings.eks import Eks
from espalier.settings.identity import Identity
from espalier.settings.model import Settings
from espalier.settings.tenants import Tenant, Workspace
from espalier.types import Issuer, Mistake

_ENTRA: Final = "https://login.microsoftonline.com/"
_OBJECT_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_POOLS: Final = "iam.googleapis.com/locations/global/workforcePools"
_OF_TOKENS: Final = ("client_id", "username_claim", "username_prefix", "groups_claim", "groups_prefix", "ca")
_PREFIXES: Final = ("username_prefix", "groups_prefix")
_V1: Final = 34
"""The minor version of Kubernetes that has AuthenticationConfiguration as v1."""


@dataclass(frozen=True, slots=True)
class Naming:
    """What the API server puts before the identity provider's names of people and groups."""

    people: str = ""
    groups: str = ""
    own: frozenset[str] = frozenset()
    """Groups that the cluster's cloud gives by itself, under just this name."""

    def person(self, name: str) -> str:
        """A person's name, as a RoleBinding has it."""
        return f"{self.people}{name}"

    def group(self, name: str) -> str:
        """A group's name, as a RoleBinding has it."""
        return name if name in self.own else f"{self.groups}{name}"


AS_THEY_ARE: Final = Naming()


def naming_of(settings: Settings) -> Naming:
    """How this stack's API server names people; without an identity provider, as tenants do."""
    identity, cloud = settings.identity, cloud_of(settings.cluster)
    kind = cloud.kind if cloud else ""
    own = frozenset(cloud.groups) if isinstance(cloud, Eks) else frozenset[str]()
    if identity is None or kind == "aks":
        return Naming(own=own)
    if kind == "gke":
        pool = f"{_POOLS}/{identity.workforce_pool}"
        return Naming(f"principal://{pool}/subject/", f"principalSet://{pool}/group/")
    return Naming(identity.username_prefix, identity.groups_prefix, own)


def issuer_of(settings: Settings) -> Issuer | None:
    """What add-ons that people log in to know of the identity provider."""
    identity = settings.identity
    if identity is None or identity.issuer is None:
        return None
    return Issuer(
        url=identity.issuer,
        client_id=identity.client_id,
        username_claim=identity.username_claim,
        groups_claim=identity.groups_claim,
        ca=identity.ca or "",
    )


def jwt_authenticators(settings: Settings) -> list[dict[str, Any]]:
    """`jwt` of an AuthenticationConfiguration; empty where no file of ours tells the API server whom to trust."""
    identity, cloud = settings.identity, cloud_of(settings.cluster)
    if identity is None or identity.issuer is None or (cloud is not None and cloud.kind != "eks"):
        return []
    authority = {"certificateAuthority": identity.ca} if identity.ca else {}
    username = {"claim": identity.username_claim, "prefix": identity.username_prefix}
    groups = {"claim": identity.groups_claim, "prefix": identity.groups_prefix}
    return [
        {
            "issuer": {"url": identity.issuer, "audiences": [identity.client_id], **authority},
            "claimMappings": {"username": username, "groups": groups},
        }
    ]


def authentication_configuration(settings: Settings) -> dict[str, Any]:
    """The file that an API server of one's own reads by --authentication-config, and again whenever it changes."""
    minor = int(settings.cluster.version.partition(".")[2])
    version = "v1" if minor >= _V1 else "v1beta1"
    return {
        "apiVersion": f"apiserver.config.k8s.io/{version}",
        "kind": "AuthenticationConfiguration",
        "jwt": jwt_authenticators(settings),
    }


def identity_mistakes(settings: Settings) -> list[Mistake]:
    """What the cluster's kind cannot do of the identity provider, and names that collide once they are bound."""
    identity = settings.identity
    found = list(_alike(settings.tenants))
    if identity is None:
        return found
    cloud = cloud_of(settings.cluster)
    by_kind = {"eks": _on_eks, "gke": _on_gke, "aks": _on_aks}
    found += by_kind[cloud.kind](settings, identity) if cloud else _on_ones_own(identity)
    found += _prefixed(settings, identity)
    return found


def _path(key: str) -> str:
    return f"espalier:identity.{hyphenated(key)}"


def _no_issuer(identity: Identity) -> Iterator[Mistake]:
    if identity.issuer is None:
        yield Mistake(_path("issuer"), "nothing", "the URL of an OpenID Connect issuer", "Add the key.")


def _no_pool(identity: Identity) -> Iterator[Mistake]:
    if identity.workforce_pool is not None:
        accepted = "an issuer alone: workforce pools are Google's"
        yield Mistake(_path("workforce_pool"), repr(identity.workforce_pool), accepted, "Remove the key.")


def _on_ones_own(identity: Identity) -> Iterator[Mistake]:
    yield from _no_issuer(identity)
    yield from _no_pool(identity)


def _on_eks(settings: Settings, identity: Identity) -> Iterator[Mistake]:
    yield from _on_ones_own(identity)
    if identity.ca is not None:
        do = "Give the issuer a certificate that everybody trusts, and remove the key."
        accepted = "no CA: EKS reaches an issuer over the internet, and trusts public certificates alone"
        yield Mistake(_path("ca"), "a CA", accepted, do)
    cluster = cloud_of(settings.cluster)
    groups = cluster.groups if isinstance(cluster, Eks) else {}
    for name in sorted(groups):
        if name.startswith(identity.groups_prefix):
            theirs = name.removeprefix(identity.groups_prefix)
            got = f"{name}, which is what people of the provider's group {theirs} have, too"
            accepted = f"groups of IAM principals that do not start with {identity.groups_prefix}"
            yield Mistake(f"espalier:cluster.groups.{name}", got, accepted, "Rename it here and in the tenants.")


def _on_gke(settings: Settings, identity: Identity) -> Iterator[Mistake]:
    del settings
    if identity.workforce_pool is None:
        accepted = "the id of a workforce identity pool: GKE takes no other issuer (Identity Service for GKE is ended)"
        do = "Federate the identity provider in a workforce pool of your organisation, and name it."
        yield Mistake(_path("workforce_pool"), "nothing", accepted, do)
    yield from _unheeded(identity, _PREFIXES, "no prefix: a workforce pool's principals are bound by their full names")
    if identity.issuer is None:
        why = "only beside an issuer, which web pages log in by"
        yield from _unheeded(identity, tuple(key for key in _OF_TOKENS if key not in _PREFIXES), why)


def _on_aks(settings: Settings, identity: Identity) -> Iterator[Mistake]:
    yield from _on_ones_own(identity)
    if identity.issuer is not None and not identity.issuer.startswith(_ENTRA):
        accepted = f"Microsoft Entra, {_ENTRA}<tenant>/v2.0: AKS knows people by no other (its JWT authenticators are "
        do = "Federate the identity provider in Entra, and name that."
        yield Mistake(_path("issuer"), identity.issuer, f"{accepted}a preview)", do)
    yield from _unheeded(identity, _PREFIXES, "no prefix: AKS puts none before Entra's names")
    for path, group in _groups_of(settings.tenants):
        if not _OBJECT_ID.fullmatch(group):
            accepted = "the object id of a group in Entra, by which AKS knows it"
            yield Mistake(path, repr(group), accepted, "Name the group by its object id.")


def _unheeded(identity: Identity, keys: Iterable[str], accepted: str) -> Iterator[Mistake]:
    for key in keys:
        if key in identity.model_fields_set:
            yield Mistake(_path(key), repr(getattr(identity, key))[:60], accepted, "Remove the key.")


def _groups_of(tenants: Iterable[Tenant]) -> Iterator[tuple[str, str]]:
    """Each group that a tenant or a workspace names, with its path."""
    for index, tenant in enumerate(tenants):
        blocks = [(f"espalier:tenants[{index}]", tenant.groups)]
        for at, work in enumerate(tenant.workspaces):
            if isinstance(work, Workspace) and work.groups is not None:
                blocks.append((f"espalier:tenants[{index}].workspaces[{at}]", work.groups))
        for path, groups in blocks:
            for role, members in (("view", groups.view), ("edit", groups.edit), ("admin", groups.admin)):
                yield from ((f"{path}.groups.{role}[{place}]", group) for place, group in enumerate(members))


def _people_of(tenants: Iterable[Tenant]) -> Iterator[tuple[str, str]]:
    for index, tenant in enumerate(tenants):
        path = f"espalier:tenants[{index}]"
        yield from ((f"{path}.owners[{place}]", person) for place, person in enumerate(tenant.owners))
        for at, work in enumerate(tenant.workspaces):
            if isinstance(work, Workspace):
                where = f"{path}.workspaces[{at}].owners"
                yield from ((f"{where}[{place}]", person) for place, person in enumerate(work.owners))


def _prefixed(settings: Settings, identity: Identity) -> Iterator[Mistake]:
    """Names that have their prefix already would get it twice, and be nobody's."""
    naming = naming_of(settings)
    for prefix, names in ((naming.groups, _groups_of(settings.tenants)), (naming.people, _people_of(settings.tenants))):
        for path, name in names:
            if prefix and name.startswith(prefix):
                rest = name.removeprefix(prefix)
                accepted = f"the identity provider's own name: {prefix} is put before it"
                yield Mistake(path, repr(name), accepted, f"Write {rest}.")


def _alike(tenants: Iterable[Tenant]) -> Iterator[Mistake]:
    """Directories take Vision and vision for one group; to Kubernetes they are two, of which a token has one."""
    first: dict[str, tuple[str, str]] = {}
    for path, group in _groups_of(tenants):
        there, spelt = first.setdefault(group.casefold(), (path, group))
        if spelt != group:
            got = f"{group!r}, which {there.removeprefix('espalier:')} spells {spelt}"
            accepted = "one spelling of a group, as tokens have it: Kubernetes tells capitals from small letters"
            yield Mistake(path, got, accepted, "Spell both alike.")
