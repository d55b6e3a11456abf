"""Dex and oauth2-proxy: what people's directories become, what is secret and stays so, and what is refused."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.addons.dex_connectors import IN_CHAIN
from espalier.blueprint.order import plan_addons
from espalier.types import AddonInputs, Facts, Issuer

FACTS = Facts("existing", "1.36", True)
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
ISSUER = Issuer("https://dex.example.com/dex", "kubernetes", "email", "groups")
SECRET = {"name": "directory", "key": "password"}
AD: dict[str, Any] = {
    "type": "ldap",
    "id": "corp",
    "directory": "active-directory",
    "host": "ad.example.com",
    "bind-dn": "cn=dex,dc=example,dc=com",
    "bind-password": SECRET,
    "users": {"base": "ou=people,dc=example,dc=com"},
    "groups": {"base": "ou=groups,dc=example,dc=com", "nested": True},
}
PAGE = {"id": "oauth2-proxy", "redirects": ["https://ml.example.com/oauth2/callback"], "secret": SECRET}
DEX: dict[str, Any] = {"connectors": [AD], "gateway": "own", "clients": [PAGE]}
PROXY: dict[str, Any] = {"url": "https://ml.example.com", "gateway": "own", "groups": ["ml"]}
GATEWAY = {"name": "public", "namespace": "istio-system"}


def inputs(id: str, options: dict[str, Any], issuer: Issuer | None = ISSUER) -> AddonInputs:
    return AddonInputs(FACTS, (), RECORDS[id].options.model_validate(options), {id: options}, issuer=issuer)


def values(id: str, options: dict[str, Any], issuer: Issuer | None = ISSUER) -> dict[str, Any]:
    content = RECORDS[id].content
    assert content is not None
    return dict(content.values(inputs(id, options, issuer)))


def connector(**options: Any) -> dict[str, Any]:
    return values("dex", {**DEX, "connectors": [options]})["config"]["connectors"][0]


def test_active_directorys_groups_are_found_by_matchers_and_through_groups() -> None:
    assert connector(**AD) == {
        "type": "ldap",
        "id": "corp",
        "name": "corp",
        "config": {
            "host": "ad.example.com:636",
            "bindDN": "cn=dex,dc=example,dc=com",
            "bindPW": "${DEX_CORP}",
            "usernamePrompt": "Username",
            "userSearch": {
                "baseDN": "ou=people,dc=example,dc=com",
                "filter": "(objectClass=person)",
                "username": "sAMAccountName",
                "idAttr": "DN",
                "emailAttr": "mail",
                "nameAttr": "displayName",
            },
            "groupSearch": {
                "baseDN": "ou=groups,dc=example,dc=com",
                "filter": "(objectClass=group)",
                "userMatchers": [{"userAttr": "DN", "groupAttr": "member:1.2.840.113556.1.4.1941:"}],
                "nameAttr": "cn",
            },
        },
    }
    assert IN_CHAIN == "1.2.840.113556.1.4.1941"


def test_a_directory_of_the_usual_schema_may_start_tls_later() -> None:
    flat = {**AD["groups"], "nested": False}
    made = connector(**{**AD, "directory": "posix", "start-tls": True, "groups": flat, "ca": SECRET})["config"]
    assert (made["host"], made["startTLS"], made["rootCA"]) == (
        "ad.example.com:389",
        True,
        "/etc/dex-ca/directory/password",
    )
    assert made["userSearch"]["username"] == "uid"
    assert made["groupSearch"]["userMatchers"] == [{"userAttr": "DN", "groupAttr": "member"}]


def test_providers_are_asked_for_groups_and_bounded_to_those_that_are_named() -> None:
    client = {"client-id": "dex", "client-secret": SECRET}
    keycloak = {"type": "oidc", "id": "keycloak", "issuer": "https://id.example.com/realms/ml", "ca": SECRET, **client}
    made = connector(**keycloak)["config"]
    assert made["insecureEnableGroups"] is True
    assert made["redirectURI"] == "https://dex.example.com/dex/callback"
    assert (made["clientSecret"], made["rootCAs"]) == ("${DEX_KEYCLOAK}", ["/etc/dex-ca/directory/password"])
    github = {"type": "github", "id": "gh", "orgs": [{"name": "example", "teams": ["ml"]}], **client}
    assert connector(**github)["config"]["orgs"] == [{"name": "example", "teams": ["ml"]}]
    gitlab = {"type": "gitlab", "id": "gl", "groups": ["example/ml"], **client}
    assert connector(**gitlab)["config"]["groups"] == ["example/ml"]
    saml = {"type": "saml", "id": "adfs", "sso-url": "https://adfs.example.com/adfs/ls", "ca": SECRET}
    assert connector(**saml)["config"]["entityIssuer"] == "https://dex.example.com/dex/callback"


def test_secrets_are_named_and_nowhere_written() -> None:
    made = values("dex", DEX)
    assert made["envVars"] == [
        {"name": "DEX_CORP", "valueFrom": {"secretKeyRef": SECRET}},
        {"name": "DEX_CLIENT_OAUTH2_PROXY", "valueFrom": {"secretKeyRef": SECRET}},
    ]
    kubernetes, page = made["config"]["staticClients"]
    assert kubernetes == {"id": "kubernetes", "name": "Kubernetes", "public": True}
    assert page["secretEnv"] == "DEX_CLIENT_OAUTH2_PROXY"
    assert "secret" not in page
    assert made["config"]["enablePasswordDB"] is False
    proxy = values("oauth2-proxy", PROXY)
    assert proxy["config"]["existingSecret"] == "oauth2-proxy"
    assert not {"clientSecret", "cookieSecret"} & set(proxy["config"])


def test_dex_may_write_where_its_entry_point_does_and_nowhere_else() -> None:
    made = values("dex", DEX)
    assert made["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in made["volumeMounts"]


def test_the_proxy_logs_people_in_by_the_stacks_issuer_and_lets_groups_in() -> None:
    private = Issuer("https://dex.example.com/dex", "kubernetes", "email", "roles", PEM)
    redis = {"url": "redis://redis.sessions:6380", "password": SECRET}
    options = {**PROXY, "upstream": "http://mlflow.mlflow:5000", "redis": redis}
    made = values("oauth2-proxy", options, private)
    config = tomllib.loads(made["config"]["configFile"])
    assert config["oidc_issuer_url"] == "https://dex.example.com/dex"
    assert (config["oidc_groups_claim"], config["allowed_groups"]) == ("roles", ["ml"])
    assert config["redirect_url"] == "https://ml.example.com/oauth2/callback"
    assert config["cookie_secure"] is config["cookie_httponly"] is True
    assert config["provider_ca_files"] == ["/etc/issuer/ca.crt"]
    assert made["sessionStorage"]["redis"]["existingSecret"] == "directory"
    built, authority = RECORDS["oauth2-proxy"].objects(inputs("oauth2-proxy", options, private))
    ports = {port["port"] for rule in built.manifest["spec"]["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 6443, 5000, 6380}
    assert authority.manifest["data"] == {"ca.crt": PEM}


def test_dexs_wall_lets_it_to_its_directories() -> None:
    (built,) = RECORDS["dex"].objects(inputs("dex", DEX))
    ports = {port["port"] for rule in built.manifest["spec"]["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 6443, 636}


def test_a_gateways_route_is_of_the_issuers_host_and_path() -> None:
    _, route = RECORDS["dex"].objects(inputs("dex", {**DEX, "gateway": {**GATEWAY, "listener": "https"}}))
    assert route.manifest["spec"] == {
        "parentRefs": [{"name": "public", "namespace": "istio-system", "sectionName": "https"}],
        "hostnames": ["dex.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/dex"}}],
                "backendRefs": [{"name": "dex", "port": 5556}],
            }
        ],
    }


ADDRESS = "oauth2-proxy.oauth2-proxy.svc.cluster.local:80"
BESIDE = {"istiod": {"authorizer": ADDRESS}, "istio-gateway": {}, "kubeflow-base": {}}


def test_kubeflows_gateway_lets_nobody_in_whom_the_proxy_does_not_know() -> None:
    options, dex = {**PROXY, "gateway": "kubeflow"}, {**DEX, "gateway": "kubeflow"}
    beside = {**BESIDE, "oauth2-proxy": options, "dex": dex}
    parsed = RECORDS["oauth2-proxy"].options.model_validate(options)
    made = RECORDS["oauth2-proxy"].objects(AddonInputs(FACTS, (), parsed, beside, issuer=ISSUER))
    _, route, login, who, nobody = (planned.manifest for planned in made)
    assert route["spec"]["http"][0]["match"] == [{"uri": {"prefix": "/oauth2/"}}]
    assert route["spec"]["gateways"] == ["kubeflow/kubeflow-gateway"]
    free = [{"operation": {"notPaths": ["/oauth2/*", "/dex/*"]}}]
    assert (login["spec"]["action"], login["spec"]["rules"][0]["to"]) == ("CUSTOM", free)
    assert nobody["spec"]["action"] == "DENY"
    assert nobody["spec"]["rules"] == [{"from": [{"source": {"notRequestPrincipals": ["*"]}}], "to": free}]
    (rule,) = who["spec"]["jwtRules"]
    assert rule["audiences"] == ["kubernetes", "oauth2-proxy"]
    assert rule["outputClaimToHeaders"][0] == {"header": "kubeflow-userid", "claim": "email"}
    assert {one["metadata"]["namespace"] for one in (login, who, nobody)} == {"istio-system"}
    assert list(RECORDS["oauth2-proxy"].judges(AddonInputs(FACTS, (), parsed, beside, issuer=ISSUER))) == []


def test_istiod_trusts_who_signs_the_issuers_certificate() -> None:
    private = Issuer("https://dex.example.com/dex", "kubernetes", "email", "groups", PEM)
    assert values("istiod", {}, private)["jwksResolverExtraRootCA"] == PEM
    assert values("istiod", {}, None)["jwksResolverExtraRootCA"] == ""


HERE = "espalier:addons.dex"
ROOT = Issuer("https://ml.example.com", "kubernetes", "email", "groups")
TWICE = {**DEX, "connectors": [AD, AD], "clients": [PAGE, {**PAGE, "id": "kubernetes"}]}
WRONG: list[tuple[dict[str, Any], Issuer | None, list[str]]] = [
    ({"dex": DEX}, None,
     [f"{HERE}: got no identity.issuer; accepted: an issuer that people log in by. Add `identity: {{issuer: "
      "https://...}` under espalier:."]),
    ({"dex": {**DEX, "gateway": GATEWAY}}, ISSUER,
     [f"{HERE}.gateway: got no gateway-api; accepted: the definitions of routes beside it. Add `gateway-api: {{}}` to "
      "espalier:addons, or say `gateway: own`."]),
    ({"dex": TWICE}, ISSUER,
     [f"{HERE}.connectors[1].id: got corp a second time; accepted: each id once. Rename one of them.",
      f"{HERE}.clients[1].id: got kubernetes a second time; accepted: each id once. Rename one of them."]),
    ({"dex": {**DEX, "clients": []}, "oauth2-proxy": PROXY}, ISSUER,
     [f"{HERE}.clients: got no oauth2-proxy; accepted: a client for oauth2-proxy, which logs people in by this issuer. "
      "Add `{id: oauth2-proxy, redirects: [<its url>/oauth2/callback], secret: {name: ..., key: ...}}`."]),
    ({"oauth2-proxy": {**PROXY, "groups": []}}, ISSUER,
     ["espalier:addons.oauth2-proxy: got neither groups nor email-domains; accepted: groups or email-domains: else "
      "every account of the identity provider is let in. Name groups that may see the page, or `email-domains: "
      "[example.com]`."]),
    ({"oauth2-proxy": {**PROXY, "gateway": "kubeflow"}}, ISSUER,
     ["espalier:addons.oauth2-proxy.gateway: got no istio-gateway and no kubeflow-base; accepted: Kubeflow's gateway "
      "beside it. Add `istio-gateway: {}` and `kubeflow-base: {}` to espalier:addons, or name another way.",
      f"espalier:addons.istiod.authorizer: got nothing; accepted: {ADDRESS}, whom Kubeflow's gateway asks. Say "
      f"`istiod: {{authorizer: {ADDRESS}}}`."]),
    ({"dex": {**DEX, "gateway": "kubeflow"}, "kubeflow-base": {}}, ROOT,
     [f"{HERE}.gateway: got no istio-gateway; accepted: Kubeflow's gateway beside it. Add `istio-gateway: {{}}` to "
      "espalier:addons, or name another way.",
      "espalier:identity.issuer: got https://ml.example.com; accepted: an issuer with a path. Add a path to it, "
      "such as /dex: all other paths of the gateway are Kubeflow's pages."]),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "issuer", "texts"), WRONG)
def test_what_cannot_be_is_refused(wanted: dict[str, Any], issuer: Issuer | None, texts: list[str]) -> None:
    _, mistakes = plan_addons(wanted, RECORDS, FACTS, (), issuer=issuer)
    assert [mistake.text() for mistake in mistakes] == texts


def changed(**keys: Any) -> dict[str, Any]:
    return {**DEX, "connectors": [{**AD, **keys}]}


UNREADABLE: list[tuple[str, dict[str, Any], str]] = [
    ("dex", {"gateway": "own"},
     "espalier:addons.dex.connectors: got nothing; accepted: connectors, gateway, clients, title. Correct or remove "
     "the option."),
    ("dex", {**DEX, "connectors": []}, "dex.connectors"),
    ("dex", changed(**{"bind-password": "hunter2"}), "bind-password: got a value that is not shown"),
    ("dex", changed(bindPW="hunter2"), "bindPW: got a value that is not shown"),
    ("dex", changed(groups={"base": "dc=x", "nested": True}, directory="posix"),
     "groups.nested is of Active Directory alone: others list members of members themselves"),
    ("dex", changed(users={"base": "${HOME}"}), "users.base"),
    ("dex", changed(name="{{ .Env.SECRET }}"), "name"),
    ("dex", changed(host="ldap://ad"), "host"),
    ("dex", {**DEX, "connectors": [{"type": "github", "id": "gh", "client-id": "a", "client-secret": SECRET,
                                    "orgs": []}]}, "orgs"),
    ("dex", {**DEX, "connectors": [{"type": "kerberos", "id": "k"}]}, "connectors[0]"),
    ("oauth2-proxy", {"url": "http://ml.example.com", "gateway": "own"}, "oauth2-proxy.url"),
    ("oauth2-proxy", {**PROXY, "cookie-secret": "hunter2"}, "cookie-secret: got a value that is not shown"),
    ("oauth2-proxy", {**PROXY, "upstream": "file:///etc"}, "oauth2-proxy.upstream"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "options", "text"), UNREADABLE)
def test_wrong_options_are_told_without_what_may_be_secret(id: str, options: dict[str, Any], text: str) -> None:
    _, mistakes = plan_addons({id: options}, RECORDS, FACTS, (), issuer=ISSUER)
    told = "\n".join(mistake.text() for mistake in mistakes)
    assert text in told
    assert "hunter2" not in told + json.dumps([mistake.to_json() for mistake in mistakes])
