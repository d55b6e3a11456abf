"""Who people are: the identity provider whose tokens the API server and the web pages take."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from espalier.settings.base import Strict, form

_ISSUER = form(r"^https://[^\s/@?#]+(/[^\s?#]*)?$", "an https:// URL without a query, such as https://id.example.com")
_CLIENT = form(r"^[A-Za-z0-9][-A-Za-z0-9_.:/]{0,254}$", "a client's id, such as kubernetes")
_CLAIM = form(r"^[A-Za-z][-A-Za-z0-9_.:/]{0,99}$", "a claim's name, such as groups")
_PREFIX = form(
    r"^[A-Za-z0-9]\S{0,98}[:/#|]$",
    "text that ends with :, /, # or |, such as oidc:, and does not start with system: or eks:",
)
_PEM = form(
    r"^-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s-]+-----END CERTIFICATE-----\s*$",
    "certificates in PEM, from BEGIN CERTIFICATE to END CERTIFICATE",
)
_POOL = form(
    r"^[a-z][-a-z0-9]{4,61}[a-z0-9]$", "a workforce pool's id: lower-case letters, digits and -, 6 to 63 characters"
)


def _of_nobody_else(prefix: str) -> str:
    """A directory may hold a group `system:masters`, or one called `masters`: neither may become Kubernetes' own."""
    if prefix.startswith(("system:", "eks:")):
        raise PydanticCustomError("prefix", "a prefix of your own: system: is Kubernetes', and eks: Amazon's")
    return prefix


Prefix = Annotated[str, Field(pattern=_PREFIX), AfterValidator(_of_nobody_else)]
Claim = Annotated[str, Field(pattern=_CLAIM)]


class Identity(Strict):
    """The identity provider. Tenants' `groups` and `owners` are its names; a cluster's prefixes are put before them."""

    issuer: Annotated[str, Field(pattern=_ISSUER, max_length=255)] | None = Field(
        default=None,
        description="URL of the OpenID Connect issuer, as tokens have it in `iss`: Keycloak's realm, Entra, or where "
        "the add-on dex is reached",
    )
    client_id: Annotated[str, Field(pattern=_CLIENT)] = Field(
        default="kubernetes", description="the audience that tokens for the API server have"
    )
    username_claim: Claim = Field(default="email", description="the claim that names a person")
    username_prefix: Prefix = Field(default="oidc:", description="what the API server puts before a person's name")
    groups_claim: Claim = Field(default="groups", description="the claim that names a person's groups")
    groups_prefix: Prefix = Field(default="oidc:", description="what the API server puts before a group's name")
    ca: Annotated[str, Field(pattern=_PEM, max_length=65536)] | None = Field(
        default=None, description="PEM of who signs the issuer's certificate; default: those that everybody trusts"
    )
    workforce_pool: Annotated[str, Field(pattern=_POOL)] | None = Field(
        default=None, description="the workforce identity pool by which Google knows people: GKE takes no other issuer"
    )
