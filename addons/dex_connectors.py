"""Where Dex finds people: directories and providers, as its configuration has them; secrets by reference alone.

Facts: dexidp.io/docs/connectors and dex v2.44.0, connector/*: Dex puts variables into a connector's configuration
(`$NAME`, as raw text, so that a password with a quote or a backslash breaks it). LDAP gives refresh tokens, SAML none.
`userMatchers` replaced the flat keys, which give empty groups (dex issue 3281). Active Directory follows groups in
groups by the rule LDAP_MATCHING_RULE_IN_CHAIN (Microsoft, Search Filter Syntax).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from espalier.addons.login import Closed, SecretKey, Text, Url, env

IN_CHAIN: Final = "1.2.840.113556.1.4.1941"
_HOST: Final = r"^[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?$"
_LDAPS: Final = 636
_ID: Final = r"^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$"


class Connector(Closed):
    """What all have."""

    id: str = Field(pattern=_ID, description="its name in addresses; it is a part of people's `sub` for ever")
    name: Text | None = Field(default=None, description="what the login page calls it; default: its id")


class _Attributes(Closed):
    """Attributes and filter of a search, where they are not the directory's own."""

    base: Text = Field(description="where the search starts, such as ou=people,dc=example,dc=com")
    filter: Text | None = Field(default=None, description="what else an entry must be")


class Users(_Attributes):
    """How people are found."""

    username: Text | None = Field(default=None, description="the attribute that people log in by")
    id: Text | None = Field(default=None, description="the attribute that stays when a person is renamed")
    email: Text = Field(default="mail", description="the attribute with the address")
    full_name: Text | None = Field(default=None, description="the attribute with the name")


class LdapGroups(_Attributes):
    """How people's groups are found."""

    member: Text = Field(default="member", description="the group's attribute that lists its members")
    user: Text = Field(default="DN", description="the person's attribute that is listed there")
    name: Text = Field(default="cn", description="the group's attribute that names it")
    nested: bool = Field(default=False, description="whether members of groups in a group are its members, too")


class Ldap(Connector):
    """A directory: Active Directory, or one with the usual schema (OpenLDAP, FreeIPA, 389)."""

    type: Literal["ldap"]
    directory: Literal["active-directory", "posix"] = Field(description="whose attributes are taken")
    host: str = Field(pattern=_HOST, description="its host, with the port where that is not 636; always over TLS")
    bind_dn: Text = Field(description="the account that searches; one that may read and nothing else")
    bind_password: SecretKey
    ca: SecretKey | None = None
    start_tls: bool = Field(default=False, description="whether TLS starts on the plain port, which then is 389")
    users: Users
    groups: LdapGroups

    @model_validator(mode="after")
    def _chained_by_active_directory_alone(self) -> Ldap:
        if self.groups.nested and self.directory != "active-directory":
            raise ValueError("groups.nested is of Active Directory alone: others list members of members themselves")
        return self

    @property
    def port(self) -> int:
        """Where its wall lets Dex go."""
        host, _, port = self.host.partition(":")
        return int(port) if port and host else 389 if self.start_tls else _LDAPS


class Provider(Connector):
    """A provider where Dex itself is a client."""

    client_id: Text
    client_secret: SecretKey


class Oidc(Provider):
    """Another OpenID Connect provider: Keycloak's realm (which knows Kerberos), Entra, Okta, ..."""

    type: Literal["oidc"]
    issuer: Url
    groups_claim: Text = "groups"
    ca: SecretKey | None = None


class Saml(Connector):
    """A SAML 2.0 provider. It gives no refresh tokens: people log in again when theirs end."""

    type: Literal["saml"]
    sso_url: Url
    ca: SecretKey = Field(description="who signs its answers")
    entity_issuer: Text | None = None
    username_attribute: Text = "name"
    email_attribute: Text = "email"
    groups_attribute: Text = "groups"


class Org(Closed):
    """An organisation of GitHub, and its teams that are let in."""

    name: Text
    teams: list[Text] = Field(default=[], description="default: all")


class Github(Provider):
    """GitHub: groups are <organisation>:<team>."""

    type: Literal["github"]
    orgs: list[Org] = Field(min_length=1, description="without any, everybody with an account is let in")


class Gitlab(Provider):
    """GitLab."""

    type: Literal["gitlab"]
    url: Url = "https://gitlab.com"
    groups: list[Text] = Field(min_length=1, description="without any, everybody with an account is let in")


AnyConnector = Annotated[Ldap | Oidc | Saml | Github | Gitlab, Field(discriminator="type")]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A connector in Dex's words, the variables that it names, and the Secrets' keys that it reads as files."""

    config: Mapping[str, Any]
    variables: tuple[Mapping[str, Any], ...] = ()
    files: tuple[SecretKey, ...] = ()


def path_of(secret: SecretKey) -> str:
    """Where a Secret's key is mounted."""
    return f"/etc/dex-ca/{secret.name}/{secret.key}"


Pairs = Iterator[tuple[str, Any]]
"""Keys of a configuration with their values; "secret" and "file" have the key and where its value is."""


def compiled(one: AnyConnector, callback: str) -> Compiled:
    """A connector, as Dex's configuration has it."""
    config: dict[str, Any] = {}
    variables: list[Mapping[str, Any]] = []
    files: list[SecretKey] = []
    for key, value in _pairs(one, callback):
        if key == "secret":
            name = f"DEX_{one.id.upper().replace('-', '_')}"
            variables.append(env(name, value[1]))
            config[value[0]] = f"${{{name}}}"
        elif key == "file":
            files.append(value[1])
            config[value[0]] = [path_of(value[1])] if value[0] == "rootCAs" else path_of(value[1])
        elif value is not None:
            config[key] = value
    body = {"type": one.type, "id": one.id, "name": one.name or one.id, "config": config}
    return Compiled(body, tuple(variables), tuple(files))


def _pairs(one: AnyConnector, callback: str) -> Pairs:
    match one:
        case Ldap():
            return _ldap(one)
        case Oidc():
            return _oidc(one, callback)
        case Saml():
            return _saml(one, callback)
        case Github():
            return _github(one, callback)
        case Gitlab():
            return _gitlab(one, callback)


def _ldap(one: Ldap) -> Pairs:
    ad = one.directory == "active-directory"
    users, groups = one.users, one.groups
    yield "host", one.host if ":" in one.host else f"{one.host}:{one.port}"
    yield "startTLS", one.start_tls or None
    yield "bindDN", one.bind_dn
    yield "secret", ("bindPW", one.bind_password)
    if one.ca:
        yield "file", ("rootCA", one.ca)
    yield "usernamePrompt", "Username"
    search = {
        "baseDN": users.base,
        "filter": users.filter or "(objectClass=person)",
        "username": users.username or ("sAMAccountName" if ad else "uid"),
        "idAttr": users.id or ("DN" if ad else "uid"),
        "emailAttr": users.email,
        "nameAttr": users.full_name or ("displayName" if ad else "cn"),
    }
    yield "userSearch", search
    matcher = {"userAttr": groups.user, "groupAttr": f"{groups.member}:{IN_CHAIN}:" if groups.nested else groups.member}
    wanted = "(objectClass=group)" if ad else "(objectClass=groupOfNames)"
    found = {"baseDN": groups.base, "filter": groups.filter or wanted, "userMatchers": [matcher]}
    yield "groupSearch", {**found, "nameAttr": groups.name}


def _client(one: Provider, callback: str) -> Pairs:
    yield "clientID", one.client_id
    yield "secret", ("clientSecret", one.client_secret)
    yield "redirectURI", callback


def _oidc(one: Oidc, callback: str) -> Pairs:
    yield "issuer", one.issuer
    yield from _client(one, callback)
    if one.ca:
        yield "file", ("rootCAs", one.ca)
    yield "scopes", ["profile", "email"]
    # Dex's name for taking groups as the provider says them: without it people have none.
    yield "insecureEnableGroups", True
    yield "claimMapping", {"groups": one.groups_claim} if one.groups_claim != "groups" else None


def _saml(one: Saml, callback: str) -> Pairs:
    yield "ssoURL", one.sso_url
    yield "file", ("ca", one.ca)
    yield "redirectURI", callback
    yield "entityIssuer", one.entity_issuer or callback
    yield "usernameAttr", one.username_attribute
    yield "emailAttr", one.email_attribute
    yield "groupsAttr", one.groups_attribute


def _github(one: Github, callback: str) -> Pairs:
    yield from _client(one, callback)
    yield "orgs", [{"name": org.name} | ({"teams": list(org.teams)} if org.teams else {}) for org in one.orgs]
    yield "loadAllGroups", False
    yield "teamNameField", "slug"


def _gitlab(one: Gitlab, callback: str) -> Pairs:
    yield "baseURL", one.url
    yield from _client(one, callback)
    yield "groups", list(one.groups)
