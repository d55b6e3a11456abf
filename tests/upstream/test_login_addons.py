"""Dex and oauth2-proxy against upstream's charts: keys, versions, images, ports, and what their pods may do."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from espalier.addons import RECORDS
from espalier.content import ChartSource, Content
from espalier.types import Issuer
from tests.unit.test_addons_login import AD, DEX, PEM, PROXY, SECRET, inputs, values
from tests.upstream.values import folder_of, schemas_of, strangers, theirs

OIDC = {"type": "oidc", "id": "kc", "issuer": "https://id.example.com", "client-id": "dex", "client-secret": SECRET}
OPTIONS: dict[str, dict[str, Any]] = {
    "dex": {**DEX, "connectors": [AD, {**OIDC, "ca": SECRET}]},
    "oauth2-proxy": {**PROXY, "redis": {"url": "redis://redis.sessions", "password": SECRET}},
}
PRIVATE = Issuer("https://dex.example.com/dex", "kubernetes", "email", "groups", PEM)
AS_COMMENTS = {"oauth2-proxy": {"affinity", "config.existingSecret", "topologySpreadConstraints"}, "dex": set[str]()}
"""Keys that the chart's values.yaml has as comments alone; its templates read them."""

each = pytest.mark.parametrize("id", sorted(OPTIONS))


def content_of(id: str) -> Content:
    content = RECORDS[id].content
    assert content is not None
    return content


def read(id: str, file: str) -> list[Any]:
    return [one for one in yaml.safe_load_all((folder_of(id) / file).read_text("utf-8")) if one]


def template(id: str) -> dict[str, Any]:
    (deployment,) = [one for one in read(id, "manifests.yaml") if one["kind"] == "Deployment"]
    return deployment["spec"]["template"]


@each
def test_chart_version_and_place_are_upstreams(id: str) -> None:
    (source,) = read(id, "source.yaml")
    found = content_of(id).source
    assert isinstance(found, ChartSource)
    assert (found.name, found.version, found.repo) == (source["chart"], source["version"], source["repo"])
    assert RECORDS[id].version == source["version"]
    assert content_of(id).namespace == source["namespace"]


@each
def test_every_value_is_one_that_the_chart_reads(id: str) -> None:
    assert set(strangers(values(id, OPTIONS[id], PRIVATE), theirs(id))) == AS_COMMENTS[id]


@each
def test_images_are_upstreams_and_pinned(id: str) -> None:
    facts = content_of(id).facts
    assert facts is not None
    assert sorted(facts.images) == sorted(set((folder_of(id) / "images.txt").read_text("utf-8").split()))


@each
def test_walls_let_in_what_the_pods_serve_and_routes_go_to_the_service(id: str) -> None:
    made = RECORDS[id].objects(inputs(id, {**OPTIONS[id], "gateway": {"name": "g", "namespace": "n"}}, PRIVATE))
    wall, route = made[0].manifest, made[-1].manifest
    served = {port["containerPort"] for one in template(id)["spec"]["containers"] for port in one["ports"]}
    assert {port["port"] for rule in wall["spec"]["ingress"] for port in rule["ports"]} == served
    (service,) = [one for one in read(id, "manifests.yaml") if one["kind"] == "Service"]
    (backend,) = route["spec"]["rules"][0]["backendRefs"]
    assert backend["name"] == service["metadata"]["name"]
    assert backend["port"] == next(port["port"] for port in service["spec"]["ports"] if port["name"] == "http")


@each
def test_pods_are_spread_by_labels_that_they_have(id: str) -> None:
    (spread,) = values(id, OPTIONS[id], PRIVATE)["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"].items() <= template(id)["metadata"]["labels"].items()


@each
def test_pods_are_restricted(id: str) -> None:
    """With upstream's own settings where ours say nothing: oauth2-proxy's are restricted as they are."""
    defaults, ours = theirs(id), values(id, OPTIONS[id], PRIVATE)
    pod = {**defaults["podSecurityContext"], **ours.get("podSecurityContext", {})}
    container = {**defaults["securityContext"], **ours.get("securityContext", {})}
    both = {**pod, **container}
    assert both["runAsNonRoot"] is True
    assert both["allowPrivilegeEscalation"] is False
    assert both["capabilities"] == {"drop": ["ALL"]}
    assert both["seccompProfile"] == {"type": "RuntimeDefault"}
    assert both["readOnlyRootFilesystem"] is True


def test_the_door_of_kubeflows_gateway_is_of_istios_kinds() -> None:
    options = {**OPTIONS["oauth2-proxy"], "gateway": "kubeflow"}
    made = [planned.manifest for planned in RECORDS["oauth2-proxy"].objects(inputs("oauth2-proxy", options, PRIVATE))]
    schemas = schemas_of("istio-base", "v1")
    mesh = [one for one in made if ".istio.io/" in one["apiVersion"]]
    assert sorted(one["kind"] for one in mesh) == [
        "AuthorizationPolicy",
        "AuthorizationPolicy",
        "RequestAuthentication",
        "VirtualService",
    ]
    for one in mesh:
        jsonschema.validate({"spec": one["spec"]}, schemas[one["kind"]])
