"""Tenants as Kubeflow's Profiles: one namespace, one quota, the same people, and an order in which both go."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.blueprint.profiles import LABELS
from espalier.components import platform
from espalier.content import ContentFacts, Contents, Rendered
from espalier.engine.model import Resource
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.policies.judge import judge
from espalier.settings import Settings, validate
from espalier.types import Mistakes, Planned, Registered

MESH = ("cert-manager", "gateway-api", "istio-base", "istio-cni", "istiod", "istio-gateway")
ADDONS: dict[str, Any] = {id: {} for id in (*MESH, "kubeflow-base", "kubeflow-dashboard") if id in RECORDS}
SMALL: dict[str, Any] = {
    "name": "small",
    "owners": ["olga@example.com"],
    "groups": {"view": ["readers"]},
    "workspaces": [
        {"name": "ana", "owners": ["ana.b@example.com"], "quota": {"cpu": 4}},
        {"name": "ben", "quota": {"cpu": 4}},
    ],
}
ISSUER = {"issuer": "https://id.example.com"}


def settings(*tenants: dict[str, Any], addons: dict[str, Any] = ADDONS) -> Settings:
    stack = {"cluster": {"kind": "simulated"}, "tenants": list(tenants), "addons": addons, "identity": ISSUER}
    return validate(stack, where="espalier")


def contents() -> Contents:
    """Every add-on with one object, as if all had been fetched."""

    def one(id: str) -> Planned:
        return Planned("it", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": id, "namespace": "x"}})

    return {id: Rendered((one(id),), ContentFacts()) for id in ADDONS}


def blueprint(*tenants: dict[str, Any], addons: dict[str, Any] = ADDONS) -> Blueprint:
    return build(settings(*tenants, addons=addons), RECORDS, contents())


def objects(made: Blueprint, kind: str) -> dict[tuple[str, str], Any]:
    """Namespace and name -> each of Kubeflow's objects of a kind."""
    found = [planned.manifest for planned in made.profiles if planned.manifest["kind"] == kind]
    return {(one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in found}


def namespaces(made: Blueprint) -> dict[str, Any]:
    theirs = [p.manifest for tenant in made.tenants for work in tenant.workspaces for p in work.objects]
    return {one["metadata"]["name"]: one["metadata"] for one in theirs if one["kind"] == "Namespace"}


def test_each_workspace_is_a_profile_of_its_first_owner_without_a_quota_of_its_own() -> None:
    found = objects(blueprint(SMALL), "Profile")
    owner = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io"}
    assert {name: one["spec"] for (_, name), one in found.items()} == {
        "small-ana": {"owner": {**owner, "name": "ana.b@example.com"}},
        "small-ben": {"owner": {**owner, "name": "olga@example.com"}},
    }


def test_the_controller_finds_its_owner_and_all_its_labels_on_the_namespace() -> None:
    found = namespaces(blueprint({**SMALL, "pod-security": "restricted"}))
    assert {name: one["annotations"]["owner"] for name, one in found.items()} == {
        "small-ana": "ana.b@example.com",
        "small-ben": "olga@example.com",
    }
    for one in found.values():
        assert one["labels"].items() >= LABELS.items()
        assert one["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        assert one["labels"]["espalier.dev/tenant"] == "small"


def test_further_owners_are_bound_by_the_names_that_the_dashboard_gives() -> None:
    made = blueprint(SMALL)
    key = ("small-ana", "user-olga-example-com-clusterrole-admin")
    (bound,), (let_in,) = objects(made, "RoleBinding").items(), objects(made, "AuthorizationPolicy").items()
    assert bound[0] == let_in[0] == key
    assert bound[1]["metadata"]["annotations"] == {"user": "olga@example.com", "role": "admin"}
    assert bound[1]["roleRef"]["name"] == "kubeflow-admin"
    assert [one["name"] for one in bound[1]["subjects"]] == ["olga@example.com"]
    (rule,) = let_in[1]["spec"]["rules"]
    assert rule["when"] == [{"key": "request.headers[kubeflow-userid]", "values": ["olga@example.com"]}]
    assert rule["from"][0]["source"]["principals"]


def test_the_api_server_and_policies_know_owners_by_both_names() -> None:
    made = blueprint(SMALL)
    assert made.policy_facts()["tenants"][0]["people"] == [
        "ana.b@example.com",
        "oidc:ana.b@example.com",
        "oidc:olga@example.com",
        "olga@example.com",
    ]


def test_an_owner_may_change_and_the_namespace_with_it() -> None:
    made = blueprint({"name": "small", "owners": ["new@example.com", "olga@example.com"]})
    assert namespaces(made)["small"]["annotations"] == {"owner": "new@example.com"}
    assert objects(made, "Profile")["", "small"]["spec"]["owner"]["name"] == "new@example.com"
    assert list(objects(made, "RoleBinding")) == [("small", "user-olga-example-com-clusterrole-admin")]


def test_without_the_dashboard_nothing_is_kubeflows() -> None:
    made = blueprint({"name": "small"}, addons={})
    assert made.profiles == ()
    assert "annotations" not in namespaces(made)["small"]
    assert not set(LABELS) & set(namespaces(made)["small"]["labels"])


def recorded(monkeypatch: pytest.MonkeyPatch, *tenants: dict[str, Any]) -> dict[str, Resource]:
    made = blueprint(*tenants)
    monkeypatch.setattr(platform, "_blueprint", lambda *_: made)

    def run() -> None:
        platform.Platform("it", {"settings": None}, pulumi.ResourceOptions())

    return {one.name: one for one in record(Program(run, "demo", "test")).resources}


def test_profiles_come_after_their_namespaces_and_controller_and_go_before(monkeypatch: pytest.MonkeyPatch) -> None:
    found = recorded(monkeypatch, SMALL)
    (profile,) = [one for name, one in found.items() if name == "it-profile-small-ana"]
    waits = set(profile.dependencies)
    assert found["it-tenant-small-ana-namespace"].urn in waits
    assert found["it-kubeflow-dashboard-it"].urn in waits
    binding = found["it-profile-small-ana-binding-user-olga-example-com-clusterrole-admin"]
    assert profile.urn in binding.dependencies


def test_no_policy_finds_fault_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = recorded(monkeypatch, SMALL, {"name": "big", "owners": ["olga@example.com", "max@example.com"]})
    props = [(one.urn, one.type, one.name, one.inputs) for one in found.values()]
    faults = {verdict.name: verdict.findings for verdict in judge([Registered(*one) for one in props])}
    assert [name for name, findings in faults.items() if findings] == []


HERE = "espalier:tenants[0]"
WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": "a", "groups": {"edit": ["team"]}},
     [f"{HERE}.owners: got nothing; accepted: at least one owner: kubeflow-dashboard knows a workspace by the person "
      "who owns it. Name one, such as olga@example.com."]),
    ({"name": "a", "workspaces": [{"name": "x", "owners": ["ana"], "quota": {"cpu": 1}},
                                  {"name": "y", "quota": {"cpu": 1}}]},
     [f"{HERE}.workspaces[1].owners: got nothing; accepted: at least one owner: kubeflow-dashboard knows a workspace "
      "by the person who owns it. Name one, such as olga@example.com."]),
    ({"name": "a", "owners": ["ana.b@x.org", "ana-b@x.org"]},
     [f"{HERE}.owners: got ana-b@x.org beside ana.b@x.org; accepted: people whom kubeflow-dashboard tells apart: by "
      "their letters and digits alone. Remove one, or rename them."]),
]  # fmt: skip


@pytest.mark.parametrize(("tenant", "texts"), WRONG)
def test_what_no_profile_can_be_is_refused(tenant: dict[str, Any], texts: list[str]) -> None:
    with pytest.raises(Mistakes) as found:
        blueprint(tenant)
    assert [mistake.text() for mistake in found.value.mistakes] == texts


@pytest.mark.parametrize("tenant", [tenant for tenant, _ in WRONG])
def test_and_is_none_of_a_stacks_affair_without_the_dashboard(tenant: dict[str, Any]) -> None:
    assert blueprint(tenant, addons={}).profiles == ()
