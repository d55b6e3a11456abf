"""Add-ons of the catalogue tier against upstream's charts: keys, definitions, images, and what becomes of the pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
import yaml

from espalier.addons import RECORDS
from espalier.addons.charted import LEVEL
from espalier.addons.shelf import SHELF
from espalier.charts.images import images_of
from espalier.charts.objects import CRD, objects_of
from espalier.charts.values import merged
from espalier.content import ChartSource, Content, is_hook
from espalier.types import AddonInputs, AddonRecord, Facts, Manifest
from tests.upstream.samples import schema_of
from tests.upstream.staged import FOLDERS, UPSTREAM, items_of, read
from tests.upstream.values import strangers

IDS = sorted(record.id for record in SHELF)
RESTRICTED = [id for id in IDS if (RECORDS[id].content or Content).namespace_labels[LEVEL] == "restricted"]  # type: ignore[index,union-attr]
TURNED_OFF = {
    "dragonfly": {"docker.io/busybox:latest"},
    "gatekeeper": {"curlimages/curl:8.20.0", "openpolicyagent/gatekeeper-crds:v3.23.0"},
}
"""Images that upstream's own values bring and a row's do not."""

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


def content_of(id: str) -> Content:
    content = RECORDS[id].content
    assert content is not None
    return content


def folder_of(id: str) -> str:
    return FOLDERS.get(id, (id,))[0]


def inputs(record: AddonRecord) -> AddonInputs:
    return AddonInputs(Facts("onprem", "1.36", True), (), record.options())


def edited(id: str) -> list[Manifest]:
    """Upstream's objects as the row wants them."""
    content = content_of(id)
    objects, mistakes = objects_of(id, content, items_of(id), {})
    assert mistakes == []
    return [one for obj in objects if (one := content.edit(inputs(RECORDS[id]), obj.manifest)) is not None]


def pods(id: str, kinds: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    for one in edited(id):
        if one["kind"] in kinds:
            yield one["spec"]["template"]["spec"]


@pytest.mark.parametrize("id", IDS)
def test_source_version_namespace_and_licence_are_upstreams(id: str) -> None:
    record, content = RECORDS[id], content_of(id)
    assert isinstance(content.source, ChartSource)
    (whole,) = read(folder_of(id), "source.yaml")
    parts = {part["chart"]: part for part in (whole, *(whole.get("parts") or ()))}
    source = {**whole, **parts[content.source.name]}
    assert (record.version, content.source.name) == (source["version"], source["chart"])
    assert (record.licence, record.source) == (source["license"], source["git"])
    assert content.namespace == source["namespace"]
    assert source["repo"] in (content.source.repo, content.source.address)


@pytest.mark.parametrize("id", IDS)
def test_every_value_is_one_that_the_chart_reads(id: str) -> None:
    ours = content_of(id).values(inputs(RECORDS[id]))
    assert set(strangers(ours, read(folder_of(id), "values.yaml")[0])) == set()
    schema = UPSTREAM / folder_of(id) / "values.schema.json"
    if schema.is_file():
        whole = merged(read(folder_of(id), "values.yaml")[0], ours)  # as Helm judges them
        jsonschema.validate(whole, yaml.safe_load(schema.read_text("utf-8")))


@pytest.mark.parametrize("id", IDS)
def test_definitions_are_upstreams(id: str) -> None:
    facts = content_of(id).facts
    assert facts is not None
    assert set(facts.crds) <= set(read(folder_of(id), "source.yaml")[0].get("crds") or ())
    if facts.crds:
        brought = {one["metadata"]["name"] for one in edited(id) if one["kind"] == CRD}
        assert brought == set(facts.crds)


@pytest.mark.parametrize("id", IDS)
def test_images_are_upstreams_and_pinned(id: str) -> None:
    content = content_of(id)
    assert content.facts is not None
    found = set(images_of([one for one in edited(id) if not is_hook(one)], content.images))
    assert set(content.facts.images) - found <= {"docker.io/busybox:1.38.0"}
    assert all(image.rpartition(":")[2] not in ("latest", "main", image) for image in content.facts.images)


@pytest.mark.parametrize("id", RESTRICTED)
def test_its_pods_are_taken_by_a_namespace_of_restricted_pods(id: str) -> None:
    """Host paths apart: those that upstream's own values bring are replaced by a row's."""
    for pod in pods(id, ("Deployment", "StatefulSet")):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod.get("hostNetwork")
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert not container["securityContext"].get("privileged")


@pytest.mark.parametrize("id", IDS)
def test_its_pods_stay_off_accelerators_and_spot_nodes_and_are_bounded(id: str) -> None:
    for pod in pods(id, ("Deployment", "StatefulSet")):
        (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        assert {one["key"] for one in term["matchExpressions"]} >= {"espalier.dev/accelerator", "espalier.dev/capacity"}
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert container["resources"]["requests"]
            assert container.get("imagePullPolicy") != "Always"


@pytest.mark.parametrize("id", IDS)
def test_its_wall_lets_in_what_its_pods_serve(id: str) -> None:
    made = [planned.manifest for planned in RECORDS[id].objects(inputs(RECORDS[id]))]
    walls = [one for one in made if one["kind"] == "NetworkPolicy"]
    served = {
        port["containerPort"]
        for pod in pods(id, ("Deployment", "StatefulSet"))
        for container in pod["containers"]
        for port in container.get("ports") or ()
    }
    for wall in walls:
        let_in = {port["port"] for rule in wall["spec"]["ingress"] for port in rule["ports"]}
        assert served <= let_in | {8081}  # opencost's, which its values turn off


@pytest.mark.parametrize("id", IDS)
def test_its_budgets_select_the_pods_of_one_workload(id: str) -> None:
    labels = [
        one["spec"]["template"]["metadata"]["labels"].items()
        for one in edited(id)
        if one["kind"] in ("Deployment", "StatefulSet")
    ]
    for planned in RECORDS[id].objects(inputs(RECORDS[id])):
        if planned.manifest["kind"] == "PodDisruptionBudget":
            wanted = planned.manifest["spec"]["selector"]["matchLabels"].items()
            assert len([found for found in labels if wanted <= found]) == 1, planned.suffix


def test_what_a_stack_must_give_is_asked_for() -> None:
    record = RECORDS["external-dns"]
    assert [mistake.text() for mistake in record.judges(inputs(record))] == [
        "espalier:addons.external-dns.values.provider.name: got nothing; accepted: who serves the zone: aws, google, "
        "azure, cloudflare, .... Give it: the chart installs nothing that works without it.",
        "espalier:addons.external-dns.values.txtOwnerId: got nothing; accepted: a word that no other cluster signs its "
        "names with. Give it: the chart installs nothing that works without it.",
        "espalier:addons.external-dns.values.domainFilters: got nothing; accepted: the zones that it may write to. "
        "Give it: the chart installs nothing that works without it.",
    ]
    values = {"provider": {"name": "aws"}, "txtOwnerId": "prod", "domainFilters": ["example.com"]}
    given = AddonInputs(Facts("onprem", "1.36", True), (), record.options(values=values))
    assert list(record.judges(given)) == []


def test_values_of_the_stack_are_laid_on_the_rows() -> None:
    record = RECORDS["external-secrets"]
    given = AddonInputs(Facts("onprem", "1.36", True), (), record.options(values={"webhook": {"port": 9443}}))
    told = content_of("external-secrets").values(given)
    assert (told["webhook"]["replicaCount"], told["webhook"]["port"]) == (2, 9443)
    assert told["leaderElect"] is True


def test_definitions_that_are_another_add_ons_are_left_out() -> None:
    """Envoy Gateway's chart brings Gateway API's, and the policy that guards them."""
    content = content_of("envoy-gateway")
    assert content.facts is not None
    brought = [one for file in ("crds.yaml", "manifests.yaml") for one in read("envoy-gateway", file)]
    made = [one for one in brought if content.edit(inputs(RECORDS["envoy-gateway"]), one) is not None]
    assert {one["metadata"]["name"] for one in made if one["kind"] == CRD} == set(content.facts.crds)
    assert not [one for one in made if one["kind"].startswith("ValidatingAdmissionPolicy")]
    assert [one for one in brought if one["kind"] == "ValidatingAdmissionPolicy"]


def test_images_are_not_pulled_each_time() -> None:
    theirs = next(one for one in read("velero", "manifests.yaml") if one["kind"] == "Deployment")
    pod = theirs["spec"]["template"]["spec"]
    always = {**pod, "containers": [{**one, "imagePullPolicy": "Always"} for one in pod["containers"]]}
    manifest = {**theirs, "spec": {**theirs["spec"], "template": {**theirs["spec"]["template"], "spec": always}}}
    made = content_of("velero").edit(inputs(RECORDS["velero"]), manifest)
    assert made is not None
    assert [one["imagePullPolicy"] for one in made["spec"]["template"]["spec"]["containers"]] == ["IfNotPresent"]


def test_the_schedule_of_the_stack_s_data_is_one_that_velero_takes() -> None:
    """As the chart's template writes it: `schedule` and `template` are copied."""
    record = RECORDS["velero"]
    given = AddonInputs(Facts("onprem", "1.36", True), (), record.options(), kept=("kubeflow", "mlflow"))
    values = content_of("velero").values(given)
    assert set(strangers(values, read("velero", "values.yaml")[0])) == set()
    schema = yaml.safe_load((UPSTREAM / "velero" / "values.schema.json").read_text("utf-8"))
    jsonschema.validate(merged(read("velero", "values.yaml")[0], values), schema)
    (made,) = values["schedules"].values()
    manifest = {"apiVersion": "velero.io/v1", "kind": "Schedule", "metadata": {"name": "velero-stack"}, "spec": made}
    jsonschema.Draft7Validator(schema_of(manifest)).validate(manifest)
    assert set(made) == {"schedule", "template"}
