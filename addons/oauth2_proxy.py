"""oauth2-proxy: lets nobody to a web page who has not logged in by the stack's identity provider.

Facts: oauth2-proxy/manifests oauth2-proxy-10.7.0 (values.yaml, templates), oauth2-proxy v7.15.3, configuration.
Sessions are in people's cookies, under a key that all replicas have; where groups make them larger than 4 kB, in Redis.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field

from espalier.addons.login import Closed, SecretKey, Text, Url, Way, missing, routes
from espalier.addons.oauth2_kubeflow import front_door, unasked
from espalier.addons.placement import apart, one_at_a_time, staying_affinity, system_tolerations
from espalier.addons.walls import wall
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord, Mistake, Planned

NAME: Final = "oauth2-proxy"
VERSION: Final = "10.7.0"
NAMESPACE: Final = "oauth2-proxy"
_LABELS: Final = {"app.kubernetes.io/name": NAME}
_OURS: Final = {"app.kubernetes.io/managed-by": "espalier"}
_CA: Final = "issuer-ca"
_HTTP, _METRICS, _SERVICE = 4180, 44180, 80
_REDIS_PORT: Final = 6379
_UPSTREAM: Final = r"^(static://[0-9]{3}|https?://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?/?)$"
Domain = Annotated[str, Field(pattern=r"^(\*|\.?[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)$")]


class Redis(Closed):
    """A Redis for sessions."""

    url: str = Field(pattern=r"^rediss?://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?$")
    password: SecretKey

    @property
    def port(self) -> int:
        """Where the wall lets it go."""
        _, _, port = self.url.rpartition("/")[2].partition(":")
        return int(port or _REDIS_PORT)


class Options(Closed):
    """The page before which it stands, and whom it lets there."""

    url: Url = Field(description="where people's browsers find it")
    gateway: Way = Field(description="the Gateway before it, kubeflow for Kubeflow's, or own")
    upstream: str = Field(
        default="static://202",
        pattern=_UPSTREAM,
        description="the page behind it; default: it only says yes or no, to a gateway that asks it",
    )
    client_id: Text = Field(default=NAME, description="its id at the issuer")
    secret: str = Field(
        default=NAME,
        pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$",
        description="the Secret with client-id, client-secret and cookie-secret, which is 32 random bytes",
    )
    groups: list[Text] = Field(default=[], description="groups of the identity provider that are let in")
    email_domains: list[Domain] = Field(default=[], description="domains of addresses that are let in")
    redis: Redis | None = Field(default=None, description="where sessions are kept; default: people's cookies")


def judges(inputs: AddonInputs) -> Iterator[Mistake]:
    """An issuer, a way in, and whom it lets in: by default upstream's chart admits every account of the provider."""
    options: Options = inputs.options
    yield from missing(inputs, NAME, options.gateway)
    if options.gateway == "kubeflow":
        yield from unasked(inputs)
    if not options.groups and not options.email_domains:
        accepted = "groups or email-domains: else every account of the identity provider is let in"
        do = "Name groups that may see the page, or `email-domains: [example.com]`."
        yield Mistake(f"espalier:addons.{NAME}", "neither groups nor email-domains", accepted, do)


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall with a way to the page and to Redis, the issuer's CA where it has one, and the route."""
    options: Options = inputs.options
    out = sorted({port for port in (_port_of(options.upstream), options.redis and options.redis.port) if port})
    authority: list[Planned] = []
    if inputs.issuer and inputs.issuer.ca:
        metadata = {"name": _CA, "namespace": NAMESPACE, "labels": _OURS}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": inputs.issuer.ca}}
        authority = [Planned("issuer-ca", body)]
    built = wall(NAMESPACE, (_HTTP, _METRICS), out=out)
    # Kubeflow's pages are at the root of the same host: there the proxy has the path of its own answers alone.
    url = f"{options.url.rstrip('/')}/oauth2" if options.gateway == "kubeflow" else options.url
    front = front_door(inputs) if options.gateway == "kubeflow" else ()
    return (built, *authority, *routes(options.gateway, NAME, NAMESPACE, url, _SERVICE), *front)


def _port_of(upstream: str) -> int | None:
    """The port that is called; 443 is let through anyway."""
    if upstream.startswith("static:"):
        return None
    _, _, port = upstream.rstrip("/").rpartition("/")[2].partition(":")
    return int(port) if port else 80 if upstream.startswith("http:") else None


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Two, on nodes that stay; their three secrets are those of a Secret that is there."""
    options: Options = inputs.options
    ca = bool(inputs.issuer and inputs.issuer.ca)
    return {
        "replicaCount": 2,
        "podDisruptionBudget": {"enabled": True, "minAvailable": None, **one_at_a_time()},
        "affinity": staying_affinity(),
        "tolerations": system_tolerations(),
        "topologySpreadConstraints": apart(_LABELS),
        "priorityClassName": "system-cluster-critical",
        "serviceAccount": {"automountServiceAccountToken": False},
        "enableServiceLinks": False,
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "config": {"existingSecret": options.secret, "configFile": _config(inputs)},
        "extraVolumes": [{"name": _CA, "configMap": {"name": _CA}}] if ca else [],
        "extraVolumeMounts": [{"name": _CA, "mountPath": "/etc/issuer", "readOnly": True}] if ca else [],
        "sessionStorage": _sessions(options.redis),
        "initContainers": {"waitForRedis": {"enabled": False}},
    }


def _sessions(redis: Redis | None) -> dict[str, Any]:
    if redis is None:
        return {"type": "cookie"}
    kept = {"clientType": "standalone", "standalone": {"connectionUrl": redis.url}}
    return {
        "type": "redis",
        "redis": {**kept, "existingSecret": redis.password.name, "passwordKey": redis.password.key},
    }


def _config(inputs: AddonInputs) -> str:
    """oauth2_proxy.cfg: JSON's texts, lists and numbers are TOML's, too."""
    options: Options = inputs.options
    issuer = inputs.issuer
    assert issuer is not None  # noqa: S101 - refused before
    known: dict[str, Any] = {
        "provider": "oidc",
        "oidc_issuer_url": issuer.url,
        "oidc_groups_claim": issuer.groups_claim,
        "redirect_url": f"{options.url.rstrip('/')}/oauth2/callback",
        "scope": "openid profile email groups offline_access",
        "code_challenge_method": "S256",
        "email_domains": list(options.email_domains) or ["*"],
        "allowed_groups": list(options.groups),
        "upstreams": [options.upstream],
        "reverse_proxy": True,
        "skip_provider_button": True,
        "set_authorization_header": True,
        "set_xauthrequest": True,
        "cookie_secure": True,
        "cookie_httponly": True,
        "cookie_samesite": "lax",
        "cookie_name": "__Host-oauth2-proxy",
        "cookie_expire": "24h",
        # Who is out of a group is out of the page within the hour.
        "cookie_refresh": "1h",
        **({"provider_ca_files": ["/etc/issuer/ca.crt"]} if issuer.ca else {}),
    }
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in known.items())


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="identity",
    tier="core",
    licence="MIT",
    source="https://github.com/oauth2-proxy/oauth2-proxy",
    options=Options,
    objects=objects,
    judges=judges,
    content=Content(
        source=ChartSource(NAME, VERSION, "https://oauth2-proxy.github.io/manifests"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        values=values,
        facts=ContentFacts(images=("quay.io/oauth2-proxy/oauth2-proxy:v7.15.3",)),
    ),
    after=frozenset({"dex", "gateway-api", "istio-base", "istio-gateway", "kubeflow-base"}),
)
