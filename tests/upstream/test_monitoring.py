"""kube-prometheus-stack against upstream's chart: keys, definitions, images, and the monitors' Services."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from espalier.addons import RECORDS
from espalier.charts.images import images_of
from espalier.types import AddonInputs, Facts, Manifest
from tests.unit.test_training_runtimes import pool as a_pool
from tests.upstream.staged import UPSTREAM, read
from tests.upstream.values import schemas_of, strangers

ID = "kube-prometheus-stack"
RECORD = RECORDS[ID]
SUBCHARTS = ("grafana", "kube-state-metrics", "prometheus-node-exporter")
"""Their own values are not in this chart's."""
BESIDE = {"kueue": {}, "nvidia-gpu-operator": {}, "dcgm-exporter": {}, "kserve": {}}

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


def inputs(kind: str = "onprem", **options: Any) -> AddonInputs:
    return AddonInputs(Facts(kind, "1.36", True), (a_pool(),), RECORD.options.model_validate(options), BESIDE)


def own(kind: str) -> list[Manifest]:
    return [one for planned in RECORD.objects(inputs()) if (one := planned.manifest)["kind"] == kind]


def told(kind: str = "onprem", **options: Any) -> dict[str, Any]:
    assert RECORD.content is not None
    return dict(RECORD.content.values(inputs(kind, **options)))


def test_every_value_is_one_that_the_chart_reads() -> None:
    ours = told("eks")
    known = read(ID, "values.yaml")[0]
    assert {key for key in strangers(ours, known) if not key.startswith(SUBCHARTS)} == set()
    assert set(SUBCHARTS) <= set(known)


def test_definitions_and_images_are_upstreams() -> None:
    assert RECORD.content is not None
    assert RECORD.content.facts is not None
    (source,) = read(ID, "source.yaml")
    assert set(RECORD.content.facts.crds) == set(source["crds"])
    assert (RECORD.version, RECORD.licence) == (source["version"], source["license"])
    theirs = set(images_of(read(ID, "manifests.yaml"), ()))
    listed = set((UPSTREAM / ID / "images.txt").read_text("utf-8").split())
    assert theirs <= set(RECORD.content.facts.images) <= listed


def test_monitors_ask_services_that_are_there() -> None:
    """The GPU operator makes its exporter's Service itself: no chart holds it."""
    schema = schemas_of(ID, "v1")["ServiceMonitor"]
    found = {one["metadata"]["name"]: one for one in own("ServiceMonitor")}
    assert set(found) == {"dcgm-exporter", "kueue", "nvidia-gpu-operator"}
    for one in found.values():
        assert [e.message for e in jsonschema.Draft7Validator(schema).iter_errors(one)] == []
    for id in ("dcgm-exporter", "kueue"):
        wanted = found[id]["spec"]["selector"]["matchLabels"].items()
        (endpoint,) = found[id]["spec"]["endpoints"]
        services = [
            one
            for one in read(id, "manifests.yaml")
            if one["kind"] == "Service" and wanted <= one["metadata"]["labels"].items()
        ]
        assert endpoint["port"] in {port.get("name") for one in services for port in one["spec"]["ports"]}
        content = RECORDS[id].content
        assert content is not None
        assert found[id]["spec"]["namespaceSelector"] == {"matchNames": [content.namespace]}


def test_dashboards_are_of_what_the_stack_has() -> None:
    found = {one["metadata"]["name"]: json.loads(next(iter(one["data"].values()))) for one in own("ConfigMap")}
    assert set(found) == {f"dashboard-{name}" for name in ("devices", "queues", "tenants", "serving")}
    titles = [panel["title"] for panel in found["dashboard-devices"]["panels"]]
    assert f"{a_pool().name}: nvidia.com/gpu asked for, of all" in titles
    query = found["dashboard-devices"]["panels"][0]["targets"][0]["expr"]
    assert 'resource="nvidia_com_gpu"' in query
    assert f'label_espalier_dev_pool="{a_pool().name}"' in query
    bare = AddonInputs(Facts("onprem", "1.36", True), (), RECORD.options())
    assert [one.suffix for one in RECORD.objects(bare)] == ["network-policy", "dashboard-tenants"]


def test_nobody_logs_in_to_grafana_unless_the_stack_names_a_secret() -> None:
    assert told()["grafana"]["env"] == {"GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true"}
    assert told()["grafana"]["grafana.ini"]["auth.anonymous"] == {"enabled": True, "org_role": "Viewer"}
    named = told(**{"grafana-secret": "grafana"})["grafana"]
    assert named["admin"] == {"existingSecret": "grafana"}
    assert "env" not in named
    (wall,) = own("NetworkPolicy")
    ports = [port["port"] for rule in wall["spec"]["ingress"] for port in rule.get("ports", ())]
    assert ports == [9090, 10250]


def test_the_least_is_one_of_each_and_clouds_hide_their_control_plane() -> None:
    least = told(replicas=1)
    assert least["prometheus"]["prometheusSpec"]["replicas"] == 1
    assert least["prometheus"]["podDisruptionBudget"] == {"enabled": False}
    assert told()["alertmanager"]["alertmanagerSpec"]["replicas"] == 2
    assert told("eks")["kubeEtcd"] == {"enabled": False}
    assert "kubeEtcd" not in told()
    assert told(storage="1Ti")["prometheus"]["prometheusSpec"]["retentionSize"] == "921GiB"


def test_prometheus_reaches_tenants_pods() -> None:
    (peer,) = RECORD.traffic.callers
    assert (peer.namespace, peer.ports) == ("monitoring", ())
    assert peer.pods == {"app.kubernetes.io/name": "prometheus"}
