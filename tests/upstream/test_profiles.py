"""Tenants as Profiles against Kubeflow's own definitions, labels and configuration."""

from __future__ import annotations

from typing import Any

import jsonschema
import yaml

from espalier.blueprint.profiles import LABELS
from tests.unit.test_profiles import SMALL, blueprint, objects
from tests.upstream.values import folder_of, schemas_of


def config(start: str) -> dict[str, Any]:
    text = (folder_of("kubeflow-dashboard") / "manifests.yaml").read_text("utf-8")
    (found,) = [
        one["data"]
        for one in yaml.safe_load_all(text)
        if one and one["kind"] == "ConfigMap" and one["metadata"]["name"].startswith(start)
    ]
    return found


def test_a_profile_is_one_of_kubeflows() -> None:
    schema = schemas_of("kubeflow-dashboard", "v1")["Profile"]
    found = objects(blueprint(SMALL), "Profile")
    assert len(found) == 2
    for one in found.values():
        jsonschema.validate(dict(one), schema)


def test_an_access_is_one_of_istios() -> None:
    schema = schemas_of("istio-base", "v1")["AuthorizationPolicy"]
    for one in objects(blueprint(SMALL), "AuthorizationPolicy").values():
        jsonschema.validate({"spec": one["spec"]}, schema)


def test_the_controller_finds_nothing_to_change_of_a_namespace() -> None:
    wanted = yaml.safe_load(config("profiles-namespace-labels-data")["namespace-labels.yaml"])
    levels = {key for key in wanted if key.startswith("pod-security.kubernetes.io/")}
    assert levels == {"pod-security.kubernetes.io/enforce"}
    # What it sets in any case, besides (setNamespaceLabelsAndServiceMesh).
    assert dict(LABELS) == {key: wanted[key] for key in wanted if key not in levels} | {"istio-injection": "enabled"}


def test_people_are_let_in_by_the_header_and_the_gateways_that_kubeflow_uses() -> None:
    known = config("profiles-config")
    assert known["USERID_PREFIX"] == ""
    for one in objects(blueprint(SMALL), "AuthorizationPolicy").values():
        (rule,) = one["spec"]["rules"]
        assert rule["when"][0]["key"] == f"request.headers[{known['USERID_HEADER']}]"
        assert rule["from"][0]["source"]["principals"] == [
            known["ISTIO_INGRESS_GATEWAY_PRINCIPAL"],
            known["KFP_UI_PRINCIPAL"],
        ]
