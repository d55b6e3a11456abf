"""Records of the stack's core against upstream's charts and manifests: keys, versions, definitions, images, objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from espalier.addons import RECORDS
from espalier.addons.training_operator_v1 import INIT_IMAGE
from espalier.addons.training_runtimes import IMAGES, runtimes
from espalier.blueprint.order import plan_addons
from espalier.charts.images import images_of, unused_paths
from espalier.charts.objects import objects_of
from espalier.charts.tool import Item
from espalier.content import ChartSource, Content, KustomizeSource
from espalier.types import AddonInputs, Facts, Manifest, Taint
from tests.unit.test_training_runtimes import pool as a_pool
from tests.upstream.values import schemas_of, strangers

UPSTREAM = Path(__file__).parents[2].parent / "shared" / "upstream"
CHARTS = ("cert-manager", "jobset", "kubeflow-trainer", "lws")
PLAIN = ("gateway-api", "mpi-operator", "training-operator-v1")
IDS = (*CHARTS, *PLAIN)
FACTS = Facts("onprem", "1.36", True)
AS_COMMENTS = {
    "cert-manager": {"podDisruptionBudget.maxUnavailable"},
    "lws": {"podSecurityContext.seccompProfile", "resources.limits"},
}
"""Keys that a values.yaml lacks: the chart copies what is around them into the pod, or has them in its schema."""
NOT_TENANTS = {
    "certificaterequests.cert-manager.io": "made by the controller: seen",
    "disaggregatedsets.disaggregatedset.x-k8s.io": "nothing judges them by default",
    "disaggregatedsetrolescalers.disaggregatedset.x-k8s.io": "made by the controller",
}

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


@cache
def read(id: str, file: str) -> list[Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some definitions are megabytes
    return [one for one in yaml.load_all((UPSTREAM / id / file).read_text("utf-8"), loader) if one]


def content_of(id: str) -> Content:
    content = RECORDS[id].content
    assert content is not None
    return content


def inputs(id: str) -> AddonInputs:
    return AddonInputs(FACTS, (), RECORDS[id].options())


def edited(id: str) -> list[Manifest]:
    """Upstream's objects and definitions as the record wants them, without those of its own."""
    items = [Item("upstream", False, one) for file in ("crds.yaml", "manifests.yaml") for one in read(id, file)]
    objects, mistakes = objects_of(id, content_of(id), items, {})
    assert mistakes == []
    made = (content_of(id).edit(inputs(id), obj.manifest) for obj in objects)
    return [one for one in made if one is not None]


def own(id: str) -> list[Manifest]:
    return [planned.manifest for planned in RECORDS[id].objects(inputs(id))]


def pods(id: str) -> Iterator[Mapping[str, Any]]:
    for one in edited(id):
        if one["kind"] == "Deployment":
            yield one["spec"]["template"]


@pytest.mark.parametrize("id", IDS)
def test_source_version_namespace_and_licence_are_upstreams(id: str) -> None:
    (source,) = read(id, "source.yaml")
    record, content = RECORDS[id], content_of(id)
    assert record.version.removeprefix("v") == source["version"].removeprefix("v")
    assert (record.licence, record.source) == (source["license"], source["git"])
    if source["namespace"]:
        assert content.namespace == source["namespace"]
    if isinstance(content.source, ChartSource):
        assert source["repo"] in (content.source.repo, content.source.address)
        assert content.source.version == source["version"]
    elif isinstance(content.source, KustomizeSource):
        assert content.source.folder.partition("/")[2] == source["path"]
    else:
        assert content.source.url == source["repo"]


@pytest.mark.parametrize("id", CHARTS)
def test_every_value_is_one_that_the_chart_reads(id: str) -> None:
    ours = content_of(id).values(inputs(id))
    found = set(strangers(ours, read(id, "values.yaml")[0]))
    allowed = AS_COMMENTS.get(id, set())
    assert {key for key in found if not any(key.endswith(one) for one in allowed)} == set()
    schema = UPSTREAM / id / "values.schema.json"
    if schema.is_file():
        jsonschema.validate(dict(ours), yaml.safe_load(schema.read_text("utf-8")))


@pytest.mark.parametrize("id", IDS)
def test_definitions_are_those_that_the_record_names(id: str) -> None:
    facts = content_of(id).facts
    assert facts is not None
    brought = {one["metadata"]["name"] for one in edited(id) if one["kind"] == "CustomResourceDefinition"}
    assert set(facts.crds) == brought


@pytest.mark.parametrize("id", IDS)
def test_images_are_upstreams_and_none_is_hidden(id: str) -> None:
    """Without what the record leaves out: cert-manager's check, Trainer's runtimes."""
    facts, content = content_of(id).facts, content_of(id)
    assert facts is not None
    objects = edited(id)
    assert set(images_of(objects, content.images)) == set(facts.images)
    assert unused_paths(objects, content.images) == []
    assert set(facts.images) - {INIT_IMAGE} <= set((UPSTREAM / id / "images.txt").read_text("utf-8").split())
    assert all(image.rpartition(":")[2] not in ("latest", "main", image) for image in facts.images)


@pytest.mark.parametrize("id", IDS)
def test_budgets_and_walls_select_the_pods(id: str) -> None:
    labels = [template["metadata"]["labels"] for template in pods(id)]
    for one in own(id):
        if one["kind"] in ("PodDisruptionBudget", "NetworkPolicy"):
            selector = one["spec"].get("selector") or one["spec"]["podSelector"]
            wanted = selector.get("matchLabels", {}).items()
            assert any(wanted <= found.items() for found in labels), one["metadata"]["name"]


@pytest.mark.parametrize("id", IDS)
def test_walls_let_in_what_the_pods_serve(id: str) -> None:
    """All ports that they name but those of probes, which come from the node."""
    (wall, *_) = [*(one for one in own(id) if one["kind"] == "NetworkPolicy"), None]
    if wall is None:
        assert list(pods(id)) == []
        return
    probes = {"health", "health-probe", "healthcheck", "http-healthz"}
    served = {
        port["containerPort"]
        for template in pods(id)
        for container in template["spec"]["containers"]
        for port in container.get("ports", ())
        if port.get("name") not in probes
    }
    open_to_all = {port["port"] for rule in wall["spec"]["ingress"] for port in rule["ports"]}
    assert served <= open_to_all


@pytest.mark.parametrize("id", ["mpi-operator", "training-operator-v1"])
def test_a_controller_without_values_is_placed_and_bounded(id: str) -> None:
    (deployment,) = [one for one in edited(id) if one["kind"] == "Deployment"]
    (upstreams,) = [one for one in read(id, "manifests.yaml") if one["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    (container,), (theirs,) = pod["containers"], upstreams["spec"]["template"]["spec"]["containers"]
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["selector"] == upstreams["spec"]["selector"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["args"][: len(theirs.get("args", []))] == theirs.get("args", [])
    assert {key: container[key] for key in theirs if key not in ("args", "securityContext")} == {
        key: theirs[key] for key in theirs if key not in ("args", "securityContext")
    }
    assert container["resources"]["limits"] == {"memory": container["resources"]["limits"]["memory"]}


def test_its_namespace_takes_restricted_pods_alone() -> None:
    (namespace,) = [one for one in edited("mpi-operator") if one["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_training_operator_knows_nothing_of_mpi_jobs() -> None:
    objects = edited("training-operator-v1")
    assert not [one["metadata"]["name"] for one in objects if "mpijob" in str(one).lower()]
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    kinds = {one["spec"]["names"]["singular"] for one in objects if one["kind"] == "CustomResourceDefinition"}
    assert {arg.partition("=")[2] for arg in args if arg.startswith("--enable-scheme=")} == kinds


@pytest.mark.parametrize("id", IDS)
def test_tenants_make_the_kinds_that_are_defined_for_namespaces(id: str) -> None:
    record = RECORDS[id]
    defined = {
        one["metadata"]["name"]
        for one in edited(id)
        if one["kind"] == "CustomResourceDefinition" and one["spec"]["scope"] == "Namespaced"
    }
    work = {f"{kind}.{group}" for group, kinds in record.work for kind in kinds}
    seen = {f"{kind}.{group}" for group, kinds in record.seen for kind in kinds}
    assert work | seen <= defined
    assert defined - work - seen <= set(NOT_TENANTS)


def test_every_runtime_is_one_that_trainers_definition_takes() -> None:
    """A key that the definition lacks is dropped by the API server in silence: here it is an error."""
    schema = schemas_of("kubeflow-trainer", "v1alpha1")["ClusterTrainingRuntime"]
    one = a_pool(taints=(Taint("nvidia.com/gpu", "present"),))
    found = [planned.manifest for planned in runtimes([one], IMAGES)]
    assert len(found) == 4
    for runtime in found:
        errors = [f"{e.json_path}: {e.message}" for e in jsonschema.Draft7Validator(schema).iter_errors(runtime)]
        assert errors == []


def test_images_of_runtimes_are_upstreams() -> None:
    theirs = (UPSTREAM / "kubeflow-trainer" / "images.txt").read_text("utf-8").split()
    assert {image.removeprefix("docker.io/") for image in IMAGES.values()} <= set(theirs)


def test_jobset_is_the_version_that_the_trainers_chart_depends_on() -> None:
    (source,) = read("kubeflow-trainer", "source.yaml")
    (depended,) = [one["version"] for one in source["dependencies"] if one["name"] == "jobset"]
    assert RECORDS["kubeflow-trainer"].versions["jobset"].holds(depended)
    assert RECORDS["jobset"].version == depended


def test_all_of_them_are_in_one_stack_and_queues_come_last() -> None:
    wanted: dict[str, dict[str, Any]] = {id: {} for id in (*IDS, "kubeflow-base", "kueue")}
    plans, mistakes = plan_addons(wanted, RECORDS, FACTS, ())
    assert mistakes == ()
    waves = {plan.id: plan.wave for plan in plans}
    assert all(waves[id] < waves["kueue"] for id in RECORDS["kueue"].after & set(waves))
    assert waves["jobset"] < waves["kubeflow-trainer"]
