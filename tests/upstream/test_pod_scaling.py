"""Our values for metrics-server, VPA and KEDA against upstream's values.yaml and rendered objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from espalier.addons import RECORDS
from espalier.blueprint.scaling import Server, scaled_object
from espalier.content import ChartSource
from espalier.types import AddonInputs, Facts, Manifest
from tests.upstream.test_karpenter import closed

UPSTREAM = Path(__file__).parents[2].parent / "shared" / "upstream"
IDS = ("keda", "metrics-server", "vertical-pod-autoscaler")
COPIED = ("affinity", "podSecurityContext", "resources")
"""Values that the charts put into a pod as they are: Kubernetes' fields, of which upstream's defaults name a few."""
ON_PREM = Facts("onprem", "1.36", True)

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


def read(id: str, file: str) -> list[Any]:
    return [one for one in yaml.safe_load_all((UPSTREAM / id / file).read_text("utf-8")) if one]


def values(id: str) -> Mapping[str, Any]:
    record = RECORDS[id]
    assert record.content is not None
    return record.content.values(AddonInputs(ON_PREM, (), record.options()))


def unknown(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Keys that the chart does not read: a misspelt one changes nothing, and nobody notices."""
    for key, value in ours.items():
        where = f"{path}.{key}"
        if key not in theirs:
            yield where
        elif key not in COPIED and isinstance(value, dict) and isinstance(theirs[key], dict) and theirs[key]:
            yield from unknown(value, theirs[key], where)


@pytest.mark.parametrize("id", IDS)
def test_every_value_is_one_that_the_chart_reads(id: str) -> None:
    assert list(unknown(values(id), read(id, "values.yaml")[0])) == []


@pytest.mark.parametrize("id", IDS)
def test_chart_and_version_are_those_that_these_are_of(id: str) -> None:
    (source,) = read(id, "source.yaml")
    content = RECORDS[id].content
    assert content is not None
    assert isinstance(content.source, ChartSource)
    assert (content.source.name, content.source.version) == (source["chart"], source["version"])
    assert (content.source.repo, RECORDS[id].version) == (source["repo"], source["appVersion"])
    assert content.namespace == source["namespace"]


@pytest.mark.parametrize("id", IDS)
def test_a_record_provides_every_api_that_its_chart_serves(id: str) -> None:
    served = {
        f"apiservice/{one['metadata']['name']}" for one in read(id, "manifests.yaml") if one["kind"] == "APIService"
    }
    assert {what for what in RECORDS[id].provides if what.startswith("apiservice/")} == served


@pytest.mark.parametrize("id", ["keda", "vertical-pod-autoscaler"])
def test_tenants_make_the_kinds_that_the_chart_defines_for_namespaces(id: str) -> None:
    """Without those that no user writes: VPA's checkpoints, and KEDA's events, which call addresses of any kind."""
    defined = {
        (one["spec"]["group"], one["spec"]["names"]["plural"])
        for one in read(id, "crds.yaml")
        if one["spec"]["scope"] == "Namespaced"
    }
    ours = {(group, kind) for group, kinds in RECORDS[id].work for kind in kinds}
    left_out = {("autoscaling.k8s.io", "verticalpodautoscalercheckpoints"), ("eventing.keda.sh", "cloudeventsources")}
    assert ours <= defined
    assert defined - ours <= left_out


def test_the_selectors_of_spreading_are_those_of_the_pods() -> None:
    found = {"metrics-server": [values("metrics-server")["topologySpreadConstraints"]]}
    found["keda"] = list(values("keda")["topologySpreadConstraints"].values())
    for id, spreads in found.items():
        pods = [one["spec"]["template"]["metadata"]["labels"] for one in read(id, "manifests.yaml") if is_workload(one)]
        for (spread,) in spreads:
            selector = spread["labelSelector"]["matchLabels"].items()
            assert sum(selector <= labels.items() for labels in pods) == 1, (id, selector)


@pytest.mark.parametrize("keys", [{"minimum": 0, "demand": "sum(waiting)"}, {"minimum": 1, "mig": True}])
def test_a_servers_scaled_object_is_one_that_keda_takes_whole(keys: dict[str, Any]) -> None:
    """A key that the definition lacks is dropped by the API server in silence: here it is an error."""
    (definition,) = [one for one in read("keda", "crds.yaml") if one["spec"]["names"]["kind"] == "ScaledObject"]
    (version,) = definition["spec"]["versions"]
    made = scaled_object(Server(name="llm", namespace="vision", maximum=4, prometheus="http://p:9090", **keys))
    schema = closed(version["schema"]["openAPIV3Schema"])
    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(made)] == []


def is_workload(manifest: Manifest) -> bool:
    return manifest["kind"] == "Deployment"
