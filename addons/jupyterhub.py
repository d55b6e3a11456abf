"""JupyterHub: notebooks for people who log in by the stack's identity provider, on the pool that they choose.

Facts: jupyterhub/zero-to-jupyterhub-k8s 4.4.0 (values.yaml, values.schema.yaml, templates); oauthenticator 17 (groups
come by `auth_state_groups_key`, and need `manage_groups`). The chart makes up tokens, others with each render
(its issue 2887): they are given as words here, taken out of its Secret again, and read from the stack's, without which
hub and proxy do not start. All notebooks are in one namespace, for people; tenants' own are Kubeflow's or their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.notebook_profiles import profiles
from espalier.addons.placement import staying_affinity, system_tolerations
from espalier.addons.saved import sqlite
from espalier.addons.training_runtimes import PinnedImage
from espalier.content import ChartSource, Content, ContentFacts, ImagePath
from espalier.types import AddonInputs, AddonRecord, ByHand, Data, Mistake

NAME: Final = "jupyterhub"
VERSION: Final = "4.4.0"
NAMESPACE: Final = "jupyterhub"
_GIVEN_BY_THE_STACK: Final = "hub.config."
"""How keys of the chart's Secret begin whose values are in the stack's."""
_ELSEWHERE: Final = "in-the-secret-of-the-stack"
Url = Annotated[str, Field(pattern=r"^https://[^\s]+$", max_length=500)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )


class Login(_Strict):
    """An OpenID provider's addresses, as its `.well-known/openid-configuration` tells them, and who may come in."""

    authorize_url: Url = Field(description="authorization_endpoint")
    token_url: Url = Field(description="token_endpoint")
    userdata_url: Url = Field(description="userinfo_endpoint")
    callback_url: Url = Field(description="the hub's own: https://<its host>/hub/oauth_callback")
    client_id: str = Field(min_length=1, max_length=200, description="the client; its secret is in `secret`")
    username_claim: str = Field(default="email", pattern=r"^[\w.-]+$", description="what people are called by")
    groups_claim: str = Field(default="groups", pattern=r"^[\w.-]+$", description="where their groups are told")
    groups: Annotated[list[str], Field(min_length=1, max_length=100)] = Field(description="who may come in")
    admins: Annotated[list[str], Field(max_length=100)] = Field(default=[], description="groups of administrators")


class Options(_Strict):
    """Who logs in, secrets by reference, and what notebooks get."""

    login: Login | None = Field(default=None, description="the identity provider; without it there is no hub")
    secret: Name = Field(
        default="jupyterhub",
        description="Secret of namespace jupyterhub with hub.config.ConfigurableHTTPProxy.auth_token, "
        "hub.config.JupyterHub.cookie_secret, hub.config.CryptKeeper.keys, and values.yaml with the client's secret at "
        "hub.config.GenericOAuthenticator.client_secret",
    )
    database: str = Field(
        default="",
        pattern=r"^(postgresql\+psycopg2://[^\s:@/]+@[^\s]+)?$",
        description="PostgreSQL of the hub, without a password, which is hub.db.password of `secret`; "
        "default: a file on a volume",
    )
    images: Annotated[list[PinnedImage], Field(max_length=50)] = Field(
        default=[], description="further images of notebooks, with their registry and a pinned tag"
    )
    storage: str = Field(default="10Gi", pattern=r"^[1-9][0-9]*[GT]i$", description="disk of each person")
    spot: bool = Field(default=False, description="whether notebooks may be on nodes that may be taken back")
    cull_after: Annotated[int, Field(ge=0, le=43200)] = Field(
        default=60, description="minutes without work after which a notebook is stopped; 0: never"
    )


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart: one hub, reached within the cluster, and a profile for each pool."""
    options: Options = inputs.options
    placed: dict[str, Any] = {"tolerations": system_tolerations(), "resources": _bounds("200m", "512Mi", "2Gi")}
    return {
        "hub": {
            **placed,
            "existingSecret": options.secret,
            "cookieSecret": _ELSEWHERE,
            "config": _config(options),
            "db": {"type": "postgres", "url": options.database} if options.database else {"type": "sqlite-pvc"},
            "networkPolicy": {"egressAllowRules": {"cloudMetadataServer": False}},
        },
        "proxy": {
            "secretToken": _ELSEWHERE,
            "service": {"type": "ClusterIP"},
            "chp": {**placed, "networkPolicy": {"egressAllowRules": {"cloudMetadataServer": False}}},
        },
        "singleuser": {
            "image": _image(inputs),
            # A container with rights over the network would be needed, where the policy does the same.
            "cloudMetadata": {"blockWithIptables": False},
            "storage": {"capacity": options.storage},
            "startTimeout": 1800,  # a node with devices takes minutes to come
            "profileList": profiles(inputs.pools, options.images, spot=options.spot),
        },
        "scheduling": {"userScheduler": {"enabled": False}, "userPlaceholder": {"enabled": False}},
        "prePuller": {"hook": {"enabled": False}, "continuous": {"enabled": False}},
        "cull": {"enabled": options.cull_after > 0, "timeout": (options.cull_after or 60) * 60, "every": 300},
    }


def _config(options: Options) -> dict[str, Any]:
    config: dict[str, Any] = {
        "JupyterHub": {"authenticator_class": "generic-oauth", "admin_access": False},
        "CryptKeeper": {"keys": [_ELSEWHERE]},
        "KubeSpawner": {
            "container_security_context": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            }
        },
    }
    if login := options.login:
        config["GenericOAuthenticator"] = {
            "authorize_url": login.authorize_url,
            "token_url": login.token_url,
            "userdata_url": login.userdata_url,
            "oauth_callback_url": login.callback_url,
            "client_id": login.client_id,
            "username_claim": login.username_claim,
            "scope": ["openid", "profile", "email", "groups"],
            "manage_groups": True,
            "auth_state_groups_key": f"oauth_user.{login.groups_claim}",
            "allowed_groups": login.groups,
            "admin_groups": login.admins,
            "enable_auth_state": True,
        }
    return config


def _image(inputs: AddonInputs) -> dict[str, str]:
    first = profiles(inputs.pools, inputs.options.images, spot=inputs.options.spot)[0]
    name, _, tag = str(first["kubespawner_override"]["image"]).rpartition(":")
    return {"name": name, "tag": tag}


def _bounds(cpu: str, memory: str, most: str) -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": most}}


def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Its Secret without the words that stand for the stack's, and its pods on nodes that stay."""
    del inputs
    if manifest["kind"] == "Secret" and manifest["metadata"]["name"] == "hub":
        data = manifest.get("data") or {}
        return {**manifest, "data": {key: one for key, one in data.items() if not key.startswith(_GIVEN_BY_THE_STACK)}}
    if manifest["kind"] != "Deployment":
        return manifest
    template = manifest["spec"]["template"]
    pod = {**template["spec"], "affinity": {**(template["spec"].get("affinity") or {}), **staying_affinity()}}
    return {**manifest, "spec": {**manifest["spec"], "template": {**template, "spec": pod}}}


def judges(inputs: AddonInputs) -> Iterator[Mistake]:
    """The chart's own default lets anybody in under any name."""
    if inputs.options.login is None:
        accepted = "an identity provider that people log in by, and the groups that may come in"
        do = "Add `login: {authorize-url: ..., token-url: ..., userdata-url: ..., callback-url: ..., client-id: ..., "
        yield Mistake(f"espalier:addons.{NAME}.login", "nothing", accepted, f"{do}groups: [...]}}`.")


_IMAGES: Final[Sequence[str]] = (
    "quay.io/jupyterhub/configurable-http-proxy:5.2.0",
    f"quay.io/jupyterhub/k8s-hub:{VERSION}",
)

_OF_PROFILES: Final = r"\bimage: [\"']?([^\s\"']+/[^\s\"']+:[^\s\"']+)"
"""As people choose them."""
_OF_PARTS: Final = r"\bimage:\n\s+name: (\S+)"
"""Name and tag apart: those that run are in containers and in profiles, others are turned off."""

RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="notebooks",
    tier="core",
    licence="BSD-3-Clause",
    source="https://github.com/jupyterhub/zero-to-jupyterhub-k8s",
    options=Options,
    content=Content(
        source=ChartSource(NAME, VERSION, "https://hub.jupyter.org/helm-chart/"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        values=values,
        edit=edit,
        images=(
            ImagePath("Secret", 'data["values.yaml"]', "hub", _OF_PROFILES, optional=True),
            ImagePath("Secret", 'data["values.yaml"]', "hub", _OF_PARTS, front=True),
        ),
        facts=ContentFacts(images=tuple(_IMAGES)),
    ),
    data=(
        sqlite(
            "who logged in, servers, tokens",
            NAMESPACE,
            "hub",
            "hub",
            "hub-db-dir",
            "/srv/jupyterhub/jupyterhub.sqlite",
            given="database",
        ),
        Data(
            "people's files",
            "a volume for each person, which the hub makes",
            ByHand(
                save="a VolumeSnapshot of each claim, or Velero's backup of the namespace",
                restore="a claim of the same name from the snapshot, while the person's server is stopped",
            ),
            namespace=NAMESPACE,
            claims=("claim-*",),
        ),
    ),
    judges=judges,
)
