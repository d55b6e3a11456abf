"""Records of Kubeflow's parts and of serving against what upstream publishes: keys, images, definitions, pods."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from espalier.addons import RECORDS
from espalier.addons.istio import PROXY
from espalier.addons.kubeflow_base import NAMESPACE
from espalier.addons.kubeflow_hub import MYSQL
from espalier.addons.kubeflow_notebooks import TENSORBOARD
from espalier.addons.kubeflow_pipelines import CACHED, WHOLE
from espalier.addons.serving_runtimes import IMAGES, runtimes
from espalier.blueprint.order import plan_addons
from espalier.charts.images import images_of, unused_paths
from espalier.content import ChartSource, KustomizeSource
from tests.unit.test_training_runtimes import pool as a_pool
from tests.upstream.held import FACTS, UPSTREAM, content_of, edited, folder, inputs, own, pods, read
from tests.upstream.values import schemas_of, strangers

CHARTS = ("argo-workflows", "istio-base", "istio-gateway", "istiod", "kserve")
PLAIN: tuple[str, ...] = (
    "katib",
    "kserve-crd",
    "kubeflow-dashboard",
    "kubeflow-hub",
    "kubeflow-notebooks",
    "kubeflow-pipelines",
)
IDS = (*CHARTS, *PLAIN)
OURS: dict[str, set[str]] = {
    "kubeflow-hub": {MYSQL},
    "kubeflow-notebooks": {TENSORBOARD},
    "kubeflow-pipelines": {CACHED, *WHOLE.values()},
    "istio-gateway": {PROXY},
    "istiod": {PROXY, "busybox:1.28"},  # the latter in a template of its injector, which the list passes over
}
"""Images that a record puts in place of upstream's."""
AS_COMMENTS: dict[str, set[str]] = {
    "argo-workflows": {"controller.pdb.maxUnavailable"},
    "istiod": {"meshConfig.defaultConfig", "resources.limits"},
    "kserve": {"kserve.storage.containerSecurityContext.seccompProfile"},
}
"""Keys that a values.yaml lacks: the chart copies what is around them into the pod."""
SECCOMP_BY_VALUES = {
    "argo-workflows": "controller.podSecurityContext",
    "istio-gateway": "securityContext",
    "istiod": "",
}
"""Records whose pods get their seccomp profile by a value, which upstream's render lacks: where that value is."""
IN_PARTS = ("katib", "kserve-crd", "kubeflow-hub", "kubeflow-pipelines")
"""Records that take folders below upstream's, which would load from a network or ask a cluster, or a variant of it."""
VIRTUAL = {"pipelines.kubeflow.org"}
"""API groups that an add-on asks about and that are no definitions: KFP's API server reviews access to them."""
NAMESPACES = {"istio-gateway": "istio-system"}
"""Where a record is installed elsewhere: Kubeflow's policies look for the gateway's account beside istiod's."""
NOT_TENANTS: dict[str, str] = {"controllerrevisions.metacontroller.k8s.io": "the controller's own"}

CLOSED = ("grpc-xds", "health", "healthz", "http-debug", "metrics")
"""Ports for the node's probes, for the pod's own proxy, and those without encryption that nobody needs."""

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


@pytest.mark.parametrize("id", IDS)
def test_source_version_namespace_and_licence_are_upstreams(id: str) -> None:
    (source,) = read(id, "source.yaml")
    record, content = RECORDS[id], content_of(id)
    assert record.version.removeprefix("v") == source["appVersion"].removeprefix("v")
    assert (record.licence, record.source) == (source["license"], source["git"])
    assert content.namespace == NAMESPACES.get(id, source["namespace"])
    if isinstance(content.source, ChartSource):
        assert source["repo"] in (content.source.repo, content.source.address)
        assert (content.source.name, content.source.version) == (source["chart"], source["version"])
    else:
        assert isinstance(content.source, KustomizeSource)
        assert content.source.url.startswith(f"{source['git']}/archive/refs/tags/{source['version']}")
        if id in IN_PARTS:
            return
        paths = source["path"] if isinstance(source["path"], list) else [source["path"]]
        assert sorted(folder.partition("/")[2] for folder in content.source.folders) == sorted(paths)


@pytest.mark.parametrize("id", CHARTS)
def test_every_value_is_one_that_the_chart_reads(id: str) -> None:
    ours = content_of(id).values(inputs(id))
    (theirs,) = read(id, "values.yaml") or [{}]
    theirs = theirs.get("_internal_defaults_do_not_set", theirs)
    assert set(strangers(ours, theirs)) <= AS_COMMENTS.get(id, set())
    schema = folder(id) / "values.schema.json"
    if schema.is_file():
        jsonschema.Draft7Validator(yaml.safe_load(schema.read_text("utf-8"))).validate(dict(ours))


@pytest.mark.parametrize("id", IDS)
def test_definitions_are_those_that_the_record_names(id: str) -> None:
    facts = content_of(id).facts
    assert facts is not None
    brought = {one["metadata"]["name"] for one in edited(id) if one["kind"] == "CustomResourceDefinition"}
    assert set(facts.crds) == brought


@pytest.mark.parametrize("id", IDS)
def test_images_are_upstreams_pinned_and_none_is_hidden(id: str) -> None:
    facts, content = content_of(id).facts, content_of(id)
    assert facts is not None
    objects = edited(id)
    found = set(images_of(objects, content.images))
    assert found == set(facts.images)
    assert unused_paths(objects, content.images) == []
    theirs = set((folder(id) / "images.txt").read_text("utf-8").split())
    assert found - OURS.get(id, set()) <= theirs, found - theirs
    assert all(image.rpartition(":")[2] not in ("latest", "main", image) for image in found)
    text = str([one for one in objects if one["kind"] != "CustomResourceDefinition"])
    hidden = {image for image in theirs - found if f"{image}'" in text or f'{image}"' in text or f"{image}\\n" in text}
    assert hidden == set()


@pytest.mark.parametrize("id", IDS)
def test_every_namespace_takes_its_pods(id: str) -> None:
    """As Pod Security's restricted level asks of each container; defaults of the pod count."""
    for name, template in pods(edited(id)):
        pod = template["spec"]
        assert not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), name
        assert not [volume for volume in pod.get("volumes", ()) if "hostPath" in volume], name
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            security = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
            assert security.get("runAsNonRoot") is True, (name, container["name"])
            if id in SECCOMP_BY_VALUES:
                told = content_of(id).values(inputs(id))
                for key in filter(None, SECCOMP_BY_VALUES[id].split(".")):
                    told = told[key]
                security |= told
            assert security.get("seccompProfile", {}).get("type") == "RuntimeDefault", (name, container["name"])
            assert security.get("allowPrivilegeEscalation") is False, (name, container["name"])
            assert security.get("capabilities", {}).get("drop") == ["ALL"], (name, container["name"])


@pytest.mark.parametrize("id", IDS)
def test_budgets_and_walls_select_pods_and_walls_let_in_what_these_serve(id: str) -> None:
    templates = [template for _, template in pods(edited(id))]
    brought = [*own(id), *(one for one in edited(id) if one["kind"] == "NetworkPolicy")]
    walls = [one["spec"] for one in brought if one["kind"] == "NetworkPolicy"]
    selectors = [one["spec"]["selector"] for one in own(id) if one["kind"] == "PodDisruptionBudget"]
    for selector in (*selectors, *(wall["podSelector"] for wall in walls)):
        wanted = selector.get("matchLabels", {}).items()
        assert any(wanted <= template["metadata"]["labels"].items() for template in templates), selector
    if content_of(id).namespace == NAMESPACE:
        return  # the namespace's own wall: the pods of its parts, and Istio's gateway
    for template in templates:
        labels = template["metadata"]["labels"].items()
        holds = [wall for wall in walls if wall["podSelector"].get("matchLabels", {}).items() <= labels]
        assert holds, dict(labels)
        open_ports = {port["port"] for wall in holds for rule in wall["ingress"] for port in rule["ports"]}
        served = {
            port["containerPort"]
            for container in template["spec"]["containers"]
            for port in container.get("ports", ())
            if port.get("name") not in CLOSED
        } - {
            container[probe]["httpGet"]["port"]
            for container in template["spec"]["containers"]
            for probe in ("livenessProbe", "readinessProbe")
            if "httpGet" in container.get(probe, {})
        }
        assert served <= open_ports, dict(labels)


@pytest.mark.parametrize("id", IDS)
def test_tenants_make_the_kinds_that_are_defined_for_namespaces(id: str) -> None:
    record = RECORDS[id]
    brought = {id, *(need for need in record.needs if not RECORDS[need].work)} & set(IDS)
    defined = {
        one["metadata"]["name"]
        for brings in brought
        for one in edited(brings)
        if one["kind"] == "CustomResourceDefinition" and one["spec"]["scope"] == "Namespaced"
    }
    work = {
        f"{kind}.{group}" for group, kinds in (*record.work, *record.seen) for kind in kinds if group not in VIRTUAL
    }
    assert work <= defined
    if record.work:
        assert defined - work <= set(NOT_TENANTS)


@pytest.mark.parametrize("id", [id for id in IDS if Path(UPSTREAM / id).is_dir() or id == "kserve"])
def test_webhooks_never_judge_what_other_add_ons_make(id: str) -> None:
    """One that fails closed on kinds of Kubernetes' own would stop all pods of a cluster while it is away."""
    for one in edited(id):
        for hook in one.get("webhooks", ()):
            common = [rule for rule in hook["rules"] if set(rule["apiGroups"]) & {"", "*", "apps", "batch"}]
            assert not common or hook.get("namespaceSelector") or hook.get("objectSelector"), hook["name"]


@pytest.mark.parametrize("id", PLAIN)
def test_api_servers_reach_webhooks_in_the_namespace_of_kubeflow(id: str) -> None:
    objects = [*edited(id), *own(id)]
    services = {one["metadata"]["name"]: one["spec"] for one in objects if one["kind"] == "Service"}
    named = {
        hook["clientConfig"]["service"]["name"]
        for one in objects
        for hook in one.get("webhooks", ())
        if "service" in hook["clientConfig"]
    }
    for name in named:
        selector, (port,) = services[name]["selector"].items(), [p for p in services[name]["ports"] if p["port"] == 443]
        walls = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy"]
        selecting = [wall for wall in walls if wall["podSelector"].get("matchLabels", {"": ""}).items() <= selector]
        open_ports = {
            one["port"]
            for wall in selecting
            for rule in wall["ingress"]
            if not rule.get("from")
            for one in rule["ports"]
        }
        numbers = {
            made["name"]: made["containerPort"]
            for _, template in pods(objects)
            if selector <= template["metadata"]["labels"].items()
            for container in template["spec"]["containers"]
            for made in container.get("ports", ())
            if "name" in made
        }
        target = port["targetPort"]
        assert {target, numbers.get(target)} & open_ports, name


def test_every_runtime_is_one_that_kserves_definition_takes() -> None:
    """A key that the definition lacks is dropped by the API server in silence: here it is an error."""
    schema = schemas_of("kserve-crd", "v1alpha1")["ClusterServingRuntime"]
    found = [planned.manifest for planned in runtimes([a_pool()], IMAGES)]
    assert len(found) == 6
    for runtime in found:
        errors = [f"{e.json_path}: {e.message}" for e in jsonschema.Draft7Validator(schema).iter_errors(runtime)]
        assert errors == []


def test_servers_are_started_as_upstream_starts_them() -> None:
    """Ports and arguments; images, users and resources are ours."""
    theirs = {one["metadata"]["name"]: one["spec"] for one in read("kserve-runtime-configs", "manifests.yaml")}
    pairs = {"mlserver": "mlserver", "tensorflow": "tensorflow-serving", "triton": "tritonserver", "vllm": "vllmserver"}
    ours = {planned.manifest["metadata"]["name"]: planned.manifest["spec"] for planned in runtimes([a_pool()], IMAGES)}
    for name, upstreams in pairs.items():
        container = theirs[f"kserve-{upstreams}"]["containers"][0]
        mine = ours.get(name) or ours[f"{name}-h100"]
        assert mine["containers"][0].get("args") == container.get("args"), name
        assert mine["containers"][0]["name"] == container["name"]
        assert mine["annotations"] == theirs[f"kserve-{upstreams}"]["annotations"]


def test_the_gateway_is_one_that_the_definition_takes() -> None:
    schemas = schemas_of("gateway-api", "v1")
    made = own("kserve", domain="models.example.com", issuer="ours")
    (gateway,) = [one for one in made if one["kind"] == "Gateway"]
    assert list(jsonschema.Draft7Validator(schemas["Gateway"]).iter_errors(gateway)) == []


def test_istios_webhooks_say_what_istiod_would_write_into_them() -> None:
    for id in ("istio-base", "istiod"):
        hooks = [hook for one in edited(id) if one["kind"].startswith("Validating") for hook in one["webhooks"]]
        assert {hook["failurePolicy"] for hook in hooks} == {"Fail"}


def test_what_istio_injects_is_named_whole_and_its_gateway_too() -> None:
    (config,) = [
        one for one in edited("istiod") if one["metadata"]["name"] == "istio-sidecar-injector" and "data" in one
    ]
    told = json.loads(config["data"]["values"])["global"]
    assert (told["proxy"]["image"], told["proxy_init"]["image"]) == (PROXY, PROXY)
    assert json.loads(config["data"]["values"])["global"]["hub"] == PROXY.rpartition("/")[0]


def test_kserves_two_controllers_write_no_headers_into_the_log_and_no_example_names_images() -> None:
    objects = edited("kserve")
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    assert deployment["spec"]["replicas"] == 2
    assert "--v=10" not in str(deployment)
    (config,) = [one for one in objects if one["kind"] == "ConfigMap"]
    assert "_example" not in config["data"]
    assert config["data"]["explainers"] == "{}"


def test_all_of_them_are_in_one_stack() -> None:
    needed = {need for id in IDS for need in RECORDS[id].needs}
    wanted: dict[str, dict[str, Any]] = {id: {} for id in {*IDS, *needed}}
    plans, mistakes = plan_addons(wanted, RECORDS, FACTS, ())
    assert mistakes == ()
    waves = {plan.id: plan.wave for plan in plans}
    assert all(waves[need] < waves[id] for id in IDS for need in RECORDS[id].needs)


def test_the_registry_takes_a_database_that_is_given() -> None:
    given = {"database": {"host": "db.example.com", "port": 3307, "name": "models"}}
    made = {(one["kind"], one["metadata"]["name"]): one for one in edited("kubeflow-hub", **given)}
    assert not [name for _, name in made if name in ("model-registry-db", "metadata-mysql")]
    (server,) = made["Deployment", "model-registry-deployment"]["spec"]["template"]["spec"]["containers"]
    assert "@tcp(db.example.com:$(MYSQL_PORT))/" in str(server["args"])
    told = made["ConfigMap", "model-registry-db-parameters"]["data"]
    assert told == {"MYSQL_DATABASE": "models", "MYSQL_PORT": "3307"}
    ways = [one["spec"] for one in own("kubeflow-hub", **given) if one["metadata"]["name"] == "model-registry-database"]
    assert [port["port"] for rule in ways[0]["egress"] for port in rule["ports"]] == [53, 53, 443, 6443, 3307]


def test_nobody_knows_the_registrys_password() -> None:
    made = edited("kubeflow-hub")
    assert not [one for one in made if one["kind"] == "Secret"]
    assert "ALLOW_EMPTY" not in str(made)
