"""Istio: what it may do where, what its gateway is reached by, and what goes through tenants' walls."""

from __future__ import annotations

from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint.order import plan_addons
from espalier.types import AddonInputs, Facts

IDS = ("istio-base", "istio-cni", "istiod", "istio-gateway")
FACTS = Facts("onprem", "1.36", True)


def told(id: str, **options: Any) -> Any:
    record = RECORDS[id]
    assert record.content is not None
    return record.content.values(AddonInputs(FACTS, (), record.options.model_validate(options)))


def refused(version: str = "1.36", **beside: dict[str, Any]) -> list[str]:
    wanted = {id: dict[str, Any]() for id in IDS} | {id.replace("_", "-"): said for id, said in beside.items()}
    _, mistakes = plan_addons(wanted, RECORDS, Facts("onprem", version, True), ())
    return [mistake.text() for mistake in mistakes]


def test_its_parts_come_one_after_the_other() -> None:
    plans, mistakes = plan_addons({id: {} for id in IDS}, RECORDS, FACTS, ())
    assert mistakes == ()
    assert [plan.id for plan in sorted(plans, key=lambda plan: plan.wave)] == list(IDS)


def test_only_the_plugin_has_access_to_nodes() -> None:
    levels = {
        id: content.namespace_labels.get("pod-security.kubernetes.io/enforce")
        for id in IDS
        if (content := RECORDS[id].content) and content.create_namespace
    }
    assert levels == {"istio-base": "restricted", "istio-cni": "privileged"}
    assert [id for id in IDS if RECORDS[id].privileged_namespaces] == ["istio-cni"]
    assert RECORDS["istio-cni"].everywhere
    assert told("istiod")["cni"] == {"enabled": True}


def test_the_plugin_knows_where_gke_has_its_folder() -> None:
    content = RECORDS["istio-cni"].content
    assert content is not None
    on = {kind: content.values(AddonInputs(Facts(kind, "1.36", True), (), None)) for kind in ("gke", "eks")}
    assert on["gke"]["global"] == {"platform": "gke"}
    assert "global" not in on["eks"]


def test_a_sidecar_fits_a_tenants_quota_and_a_restricted_namespace() -> None:
    proxy = told("istiod")["global"]["proxy"]
    assert proxy["resources"]["requests"] == {"cpu": "25m", "memory": "64Mi"}
    assert proxy["seccompProfile"] == {"type": "RuntimeDefault"}


def test_two_of_each_that_is_asked() -> None:
    assert told("istiod")["autoscaleMin"] == told("istio-gateway")["autoscaling"]["minReplicas"] == 2


def test_the_gateway_stays_within_the_cluster_unless_it_is_to_be_exposed() -> None:
    assert told("istio-gateway")["service"]["type"] == "ClusterIP"
    service = told("istio-gateway", exposed=True, **{"source-ranges": ["192.0.2.0/24"]})["service"]
    assert (service["type"], service["loadBalancerSourceRanges"]) == ("LoadBalancer", ["192.0.2.0/24"])


def test_the_gateway_reaches_pods_and_nothing_outside() -> None:
    (wall,) = RECORDS["istio-gateway"].objects(AddonInputs(FACTS, (), RECORDS["istio-gateway"].options()))
    assert wall.manifest["spec"]["egress"] == [{"to": [{"namespaceSelector": {}}]}]


def test_policies_may_ask_oauth2_proxy_where_the_stack_names_it() -> None:
    assert "extensionProviders" not in told("istiod")["meshConfig"]
    (provider,) = told("istiod", authorizer="oauth2-proxy.auth.svc.cluster.local:80")["meshConfig"][
        "extensionProviders"
    ]
    assert provider["name"] == "oauth2-proxy"
    assert provider["envoyExtAuthzHttp"]["service"] == "oauth2-proxy.auth.svc.cluster.local"
    assert provider["envoyExtAuthzHttp"]["port"] == 80


def test_sidecars_in_tenants_namespaces_get_their_certificates() -> None:
    (server,) = RECORDS["istiod"].traffic.servers
    assert (server.namespace, server.pods, server.ports) == ("istio-system", {"app": "istiod"}, (15012,))


@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_kubernetes_that_it_is_not_made_for_is_refused(version: str) -> None:
    found = refused(version)
    assert len(found) == 4
    assert all(f"got Kubernetes {version}" in text for text in found)


def test_definitions_of_another_version_are_refused() -> None:
    assert len(refused(istio_base={"existing": "1.22.1"})) == 2
