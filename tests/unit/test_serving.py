"""KServe: what its values say, how models are reached, and the runtimes of the pools."""

from __future__ import annotations

from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.addons.serving_runtimes import IMAGES, SERVERS, runtimes
from espalier.blueprint import build
from espalier.blueprint.order import plan_addons
from espalier.settings import validate
from espalier.types import AddonInputs, Facts, Manifest, PoolFacts
from tests.unit.test_training_runtimes import GPU, PRESENT, pool

FACTS = Facts("eks", "1.36", True)
STACK: dict[str, dict[str, Any]] = {"cert-manager": {}, "gateway-api": {}, "kserve-crd": {}}
DOMAIN = {"domain": "models.example.com", "issuer": "ours"}


def inputs(*pools: PoolFacts, **options: Any) -> AddonInputs:
    return AddonInputs(FACTS, pools, RECORDS["kserve"].options.model_validate(options), STACK)


def told(**options: Any) -> dict[str, Any]:
    content = RECORDS["kserve"].content
    assert content is not None
    return content.values(inputs(**options))["kserve"]


def own(*pools: PoolFacts, **options: Any) -> list[Manifest]:
    return [planned.manifest for planned in RECORDS["kserve"].objects(inputs(*pools, **options))]


def made(*pools: PoolFacts, **images: str) -> dict[str, Manifest]:
    found = [planned.manifest for planned in runtimes(pools, {**IMAGES, **images})]
    return {one["metadata"]["name"]: one["spec"] for one in found}


def refused(options: dict[str, Any], *without: str) -> list[str]:
    wanted = {id: said for id, said in STACK.items() if id not in without} | {"kserve": options}
    _, mistakes = plan_addons(wanted, RECORDS, FACTS, ())
    return [mistake.text() for mistake in mistakes]


def walls(**options: Any) -> dict[str, Any]:
    block = {
        "cluster": {"kind": "simulated"},
        "addons": {**STACK, "kserve": options},
        "tenants": [{"name": "vision"}],
    }
    (tenant,) = build(validate(block, where="espalier"), RECORDS).tenants
    (spec,) = [
        planned.manifest["spec"]
        for planned in tenant.workspaces[0].objects
        if planned.manifest["metadata"]["name"] == "allow-own-namespace"
    ]
    return spec


def test_servers_run_on_processors_and_on_each_pool_that_they_have_an_image_for() -> None:
    found = made(pool("h100"), pool("mi300", vendor="amd", devices={"amd.com/gpu": 8}), pool("cpu", devices={}))
    on_processors = {"mlserver", "tensorflow", "triton"}
    assert set(found) == on_processors | {"tensorflow-h100", "triton-h100", "vllm-h100"}
    assert "vllm-mi300" in made(
        pool("mi300", vendor="amd", devices={"amd.com/gpu": 8}), **{"vllm/amd": "r.example.com/vllm:1"}
    )


def test_a_runtime_of_a_pool_goes_there_and_asks_for_one_device() -> None:
    spec = made(pool("h100", devices={GPU: 8}))["vllm-h100"]
    assert spec["nodeSelector"] == {"espalier.dev/pool": "h100"}
    assert [(one["key"], one["value"]) for one in spec["tolerations"]] == [(PRESENT.key, PRESENT.value)]
    (container,) = spec["containers"]
    assert container["resources"]["limits"] == {GPU: "1"}
    cut = made(pool("a100", devices={"nvidia.com/mig-1g.10gb": 56}))["triton-a100"]
    assert cut["containers"][0]["resources"]["limits"] == {"nvidia.com/mig-1g.10gb": "1"}


def test_none_on_arm_of_a_server_that_is_built_for_amd64_alone() -> None:
    found = made(pool("gh200", labels={"kubernetes.io/arch": "arm64"}))
    assert "triton-gh200" in found
    assert "tensorflow-gh200" not in found


def test_of_one_format_and_protocol_one_runtime_comes_first() -> None:
    """KServe refuses two that choose themselves for a format by the same priority."""
    found = made(pool("h100"), pool("l4"))
    chosen = [
        (form["name"], form["version"], form["priority"])
        for spec in found.values()
        for form in spec["supportedModelFormats"]
        if form["autoSelect"]
    ]
    assert len(chosen) == len(set(chosen))
    assert all(
        "priority" in form or not form["autoSelect"] for s in found.values() for form in s["supportedModelFormats"]
    )
    assert not any(form["autoSelect"] for form in found["vllm-h100"]["supportedModelFormats"])


def test_a_restricted_namespace_takes_each() -> None:
    for name, spec in made(pool("h100")).items():
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["runAsNonRoot"], name
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}
            assert security["allowPrivilegeEscalation"] is False
        assert all(set(volume) == {"name", "emptyDir"} for volume in spec["volumes"])


def test_every_image_stays_what_it_is() -> None:
    assert all(image.rpartition(":")[2] not in ("", "latest") and "/" in image for image in IMAGES.values())
    assert {kind.partition("/")[0] for kind in IMAGES} == set(SERVERS)


def test_models_are_served_without_knative_and_within_the_cluster_alone_by_default() -> None:
    controller = told()["controller"]
    assert controller["deploymentMode"] == "Standard"
    assert controller["gateway"]["disableIngressCreation"] is True
    assert not [one for one in own() if one["kind"] in ("Gateway", "Certificate")]


def test_a_model_gets_no_limit_that_ends_it() -> None:
    assert told()["inferenceservice"]["resources"]["limits"] == {"cpu": "", "memory": ""}


def test_with_a_domain_models_are_served_by_https_to_routes_of_tenants() -> None:
    gateway = told(**DOMAIN)["controller"]["gateway"]
    assert (gateway["domain"], gateway["urlScheme"]) == ("models.example.com", "https")
    assert gateway["ingressGateway"] == {"enableGatewayApi": True, "kserveGateway": "kserve/kserve-ingress-gateway"}
    (certificate,) = [one["spec"] for one in own(**DOMAIN) if one["kind"] == "Certificate"]
    (spec,) = [one["spec"] for one in own(**DOMAIN) if one["kind"] == "Gateway"]
    (listener,) = spec["listeners"]
    assert (listener["protocol"], listener["hostname"]) == ("HTTPS", "*.models.example.com")
    assert certificate["dnsNames"] == [listener["hostname"]]
    assert listener["tls"]["certificateRefs"] == [{"kind": "Secret", "name": certificate["secretName"]}]
    (selector,) = listener["allowedRoutes"]["namespaces"]["selector"]["matchExpressions"]
    assert selector == {"key": "espalier.dev/tenant", "operator": "Exists"}


def test_what_goes_through_tenants_walls() -> None:
    plain, with_domain = walls(), walls(**DOMAIN)
    assert plain["ingress"] == [{"from": [{"podSelector": {}}]}]
    assert plain["egress"][2:] == [{"ports": [{"protocol": "TCP", "port": 443}]}]
    assert walls(downloads=False)["egress"][2:] == []
    (proxies,) = with_domain["ingress"][1:]
    assert [port["port"] for port in proxies["ports"]] == [8080, 8081, 9081]
    (peer,) = proxies["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kserve"}
    assert peer["podSelector"]["matchLabels"] == {"gateway.networking.k8s.io/gateway-name": "kserve-ingress-gateway"}
    (elsewhere,) = walls(**DOMAIN, **{"gateway-namespace": "envoy-gateway-system"})["ingress"][1]["from"]
    assert elsewhere == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "envoy-gateway-system"}}}


def test_what_it_needs_is_said() -> None:
    assert refused({}) == []
    assert refused({}, "kserve-crd") == [
        "espalier:addons.kserve: got no kserve-crd; accepted: kserve-crd beside it. Add `kserve-crd: {}` to "
        'espalier:addons, or `kserve-crd: {existing: "0.20.0"}` where the cluster has it already.'
    ]
    assert refused({"domain": "models.example.com"}, "gateway-api") == [
        "espalier:addons.kserve.domain: got models.example.com; accepted: a domain beside gateway-api. Add "
        "`gateway-api: {}` to espalier:addons and a controller for its gateways, or remove the domain.",
        "espalier:addons.kserve.domain: got a domain without an issuer; accepted: models served by HTTPS. Name the "
        "ClusterIssuer that signs its certificate, or remove the domain.",
    ]


def test_models_that_go_to_zero_need_knative() -> None:
    assert refused({"mode": "Knative"}) == [
        "espalier:addons.kserve.mode: got Knative; accepted: Knative beside knative-serving. Add "
        "`knative-serving: {}` to espalier:addons, or take Standard."
    ]
    given = {**STACK, "knative-operator": {}, "knative-serving": {}, "kserve": {"mode": "Knative"}}
    plans, mistakes = plan_addons(given, RECORDS, FACTS, ())
    assert not mistakes
    order = [plan.id for plan in sorted(plans, key=lambda plan: plan.wave)]
    assert order.index("knative-operator") < order.index("knative-serving") < order.index("kserve")
    told = RECORDS["kserve"].content.values(inputs(mode="Knative"))["kserve"]["controller"]  # type: ignore[union-attr]
    assert (told["deploymentMode"], told["gateway"]) == ("Knative", {"disableIstioVirtualHost": True})
    [mistake] = RECORDS["kserve"].judges(
        AddonInputs(FACTS, (), inputs(mode="Knative", domain="a.b", issuer="ca").options, {**given})
    )
    assert mistake.text() == (
        "espalier:addons.kserve.domain: got a.b; accepted: a domain with mode Standard. "
        "Say the domain of knative-serving instead."
    )


def test_knative_lets_pods_say_where_they_run() -> None:
    record = RECORDS["knative-serving"]
    options = record.options(layer="istio", domain="models.example.com")
    made = {one.suffix: one.manifest for one in record.objects(AddonInputs(FACTS, (), options))}
    spec = made["serving"]["spec"]
    assert spec["ingress"] == {"istio": {"enabled": True}}
    assert spec["config"]["domain"] == {"models.example.com": ""}
    assert spec["config"]["features"]["kubernetes.podspec-tolerations"] == "enabled"
    assert spec["config"]["features"]["secure-pod-defaults"] == "enabled"
    assert [mistake.text() for mistake in record.judges(AddonInputs(FACTS, (), options))] == [
        "espalier:addons.knative-serving.layer: got istio; accepted: istio beside istiod and istio-gateway. "
        "Add `istiod: {}` and `istio-gateway: {}` to espalier:addons, or take kourier."
    ]


@pytest.mark.parametrize(("key", "value"), [("domain", "no spaces"), ("images", {"vllm/amd": "vllm:latest"})])
def test_wrong_options_are_refused(key: str, value: Any) -> None:
    assert len(refused({key: value})) == 1


def test_definitions_of_another_version_are_refused() -> None:
    wanted = {**STACK, "kserve-crd": {"existing": "0.15.2"}, "kserve": {}}
    _, mistakes = plan_addons(wanted, RECORDS, FACTS, ())
    assert [mistake.got for mistake in mistakes] == ["kserve-crd 0.15.2"]
