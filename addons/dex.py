"""Dex: one OpenID Connect issuer before directories and providers that speak LDAP, SAML or OpenID Connect.

Facts: dexidp/helm-charts dex-0.24.0 (values.yaml, templates), dex v2.44.0 (cmd/dex/config.go, cmd/docker-entrypoint:
the configuration is written to /tmp first). It keeps its state in definitions that it makes itself when it starts, so
that several may run. Kerberos it does not know: Keycloak does, as a connector of type oidc or as the issuer itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import Field

from espalier.addons.dex_connectors import AnyConnector, Ldap, compiled
from espalier.addons.login import Closed, SecretKey, Text, Url, Way, env, missing, routes
from espalier.addons.placement import apart, one_at_a_time, staying_affinity, system_tolerations
from espalier.addons.walls import wall
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord, Mistake, Planned

NAME: Final = "dex"
VERSION: Final = "0.24.0"
NAMESPACE: Final = "dex"
_LABELS: Final = {"app.kubernetes.io/name": NAME}
_PORT: Final = 5556
_TELEMETRY: Final = 5558
_PROXY: Final = "oauth2-proxy"


class Client(Closed):
    """A page that people log in to: it has a secret, and is sent back to nowhere else."""

    id: str = Field(pattern=r"^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$", description="its id")
    redirects: list[Url] = Field(min_length=1, description="where people are sent back to, whole URLs")
    secret: SecretKey


class Options(Closed):
    """Where people are found, how their browsers get there, and what they may log in to."""

    connectors: list[AnyConnector] = Field(min_length=1, max_length=20, description="directories and providers")
    gateway: Way = Field(description="the Gateway before it, kubeflow for Kubeflow's, or own")
    clients: list[Client] = Field(default=[], max_length=50, description="pages besides the API server")
    title: Text = Field(default="Log in", description="what the login page is called")


def judges(inputs: AddonInputs) -> Iterator[Mistake]:
    """An issuer, a way in, names that are one's own, and the client that oauth2-proxy is."""
    options: Options = inputs.options
    yield from missing(inputs, NAME, options.gateway)
    if options.gateway == "kubeflow" and inputs.issuer and not urlsplit(inputs.issuer.url).path.strip("/"):
        do = "Add a path to it, such as /dex: all other paths of the gateway are Kubeflow's pages."
        yield Mistake("espalier:identity.issuer", inputs.issuer.url, "an issuer with a path", do)
    for key, ids in (("connectors", options.connectors), ("clients", options.clients)):
        seen: set[str] = {inputs.issuer.client_id} if inputs.issuer and key == "clients" else set()
        for at, one in enumerate(ids):
            if one.id in seen:
                path = f"espalier:addons.{NAME}.{key}[{at}].id"
                yield Mistake(path, f"{one.id} a second time", "each id once", "Rename one of them.")
            seen.add(one.id)
    proxy = inputs.beside.get(_PROXY)
    if proxy is not None:
        wanted = str(proxy.get("client-id") or _PROXY)
        if wanted not in {client.id for client in options.clients}:
            do = f"Add `{{id: {wanted}, redirects: [<its url>/oauth2/callback], secret: {{name: ..., key: ...}}}}`."
            accepted = f"a client for {_PROXY}, which logs people in by this issuer"
            yield Mistake(f"espalier:addons.{NAME}.clients", f"no {wanted}", accepted, do)


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall, with a way to the directories' ports; and the route to it."""
    options: Options = inputs.options
    ports = sorted({one.port for one in options.connectors if isinstance(one, Ldap)})
    built = wall(NAMESPACE, (_PORT, _TELEMETRY), out=ports)
    return (built, *routes(options.gateway, NAME, NAMESPACE, inputs.issuer.url if inputs.issuer else "", _PORT))


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Two, on nodes that stay; what is secret comes from Secrets when they start."""
    options: Options = inputs.options
    assert inputs.issuer is not None  # noqa: S101 - refused before
    found = [compiled(one, f"{inputs.issuer.url.rstrip('/')}/callback") for one in options.connectors]
    variables = [dict(variable) for one in found for variable in one.variables]
    variables += [env(_variable(client), client.secret) for client in options.clients]
    secrets = sorted({secret.name for one in found for secret in one.files})
    return {
        "replicaCount": 2,
        "podDisruptionBudget": {"enabled": True, **one_at_a_time()},
        "affinity": staying_affinity(),
        "tolerations": system_tolerations(),
        "topologySpreadConstraints": apart(_LABELS),
        "priorityClassName": "system-cluster-critical",
        "podSecurityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1001,
            "runAsGroup": 1001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "volumes": [
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            *({"name": f"ca-{name}", "secret": {"secretName": name}} for name in secrets),
        ],
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - where Dex's own entry point writes
            *({"name": f"ca-{name}", "mountPath": f"/etc/dex-ca/{name}", "readOnly": True} for name in secrets),
        ],
        "envVars": variables,
        "config": _config(options, inputs.issuer.url, inputs.issuer.client_id, [dict(one.config) for one in found]),
    }


def _variable(client: Client) -> str:
    return f"DEX_CLIENT_{client.id.upper().replace('-', '_')}"


def _config(options: Options, url: str, client_id: str, connectors: list[dict[str, Any]]) -> dict[str, Any]:
    """Whoever asks for tokens of the API server is a program on a person's machine: it has no secret, and Dex sends
    people back to their own machine alone."""
    pages = [
        {"id": one.id, "name": one.id, "redirectURIs": list(one.redirects), "secretEnv": _variable(one)}
        for one in options.clients
    ]
    return {
        "issuer": url,
        "storage": {"type": "kubernetes", "config": {"inCluster": True}},
        "enablePasswordDB": False,
        "oauth2": {"skipApprovalScreen": True, "responseTypes": ["code"]},
        "frontend": {"issuer": options.title},
        # A person who leaves a group has its rights until the token ends.
        "expiry": {"idTokens": "1h", "refreshTokens": {"validIfNotUsedFor": "168h", "absoluteLifetime": "720h"}},
        "staticClients": [{"id": client_id, "name": "Kubernetes", "public": True}, *pages],
        "connectors": connectors,
    }


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="identity",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/dexidp/dex",
    options=Options,
    objects=objects,
    judges=judges,
    content=Content(
        source=ChartSource(NAME, VERSION, "https://charts.dexidp.io"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        values=values,
        facts=ContentFacts(images=("ghcr.io/dexidp/dex:v2.44.0",)),
    ),
    after=frozenset({"gateway-api", "istio-base", "istio-gateway", "kubeflow-base"}),
)
