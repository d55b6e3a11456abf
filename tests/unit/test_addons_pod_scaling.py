"""metrics-server, VPA and KEDA: values from facts, one server of each API, and what tenants get of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from espalier.addons import RECORDS, keda, metrics_server, vertical_pod_autoscaler
from espalier.blueprint.order import plan_addons
from espalier.blueprint.tenants import Given, compile_tenant
from espalier.settings.tenants import Tenant
from espalier.types import AddonInputs, Facts, Manifest

KINDS = ("aks", "eks", "existing", "gke", "onprem", "simulated")


def facts(kind: str) -> Facts:
    return Facts(kind, "1.36", kind != "simulated")


def values(id: str, kind: str = "eks", **options: Any) -> Any:
    record = RECORDS[id]
    assert record.content is not None
    return record.content.values(AddonInputs(facts(kind), (), record.options.model_validate(options)))


def refused(*ids: str, kind: str = "eks", records: Any = RECORDS) -> list[str]:
    _, mistakes = plan_addons({id: {} for id in ids}, records, facts(kind), [])
    return [mistake.text() for mistake in mistakes]


def test_kubelets_certificates_are_checked_but_where_they_sign_their_own() -> None:
    insecure = [kind for kind in KINDS if "--kubelet-insecure-tls" in values("metrics-server", kind)["args"]]
    assert insecure == ["onprem"]
    assert values("metrics-server", "onprem", **{"unsigned-kubelets": False})["args"] == []
    assert values("metrics-server", "existing", **{"unsigned-kubelets": True})["args"] == ["--kubelet-insecure-tls"]


@pytest.mark.parametrize(
    ("nodes", "cpu", "memory"), [(1, "100m", "200Mi"), (100, "100m", "200Mi"), (900, "900m", "1800Mi")]
)
def test_metrics_server_is_sized_by_the_nodes(nodes: int, cpu: str, memory: str) -> None:
    assert values("metrics-server", nodes=nodes)["resources"]["requests"] == {"cpu": cpu, "memory": memory}


def test_each_runs_twice_on_nodes_that_stay_and_may_be_evicted_one_at_a_time() -> None:
    server, operator, vpa = values("metrics-server"), values("keda"), values("vertical-pod-autoscaler")["recommender"]
    for part in (server, operator, vpa):
        required = part["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        keys = [one["key"] for one in required["nodeSelectorTerms"][0]["matchExpressions"]]
        assert keys == ["espalier.dev/accelerator", "espalier.dev/capacity"]
        assert part["tolerations"] == [{"key": "CriticalAddonsOnly", "operator": "Exists"}]
    assert (server["replicas"], vpa["replicas"]) == (2, 2)
    assert {operator[part]["replicaCount"] for part in ("operator", "metricsServer", "webhooks")} == {2}
    assert server["podDisruptionBudget"] == {"enabled": True, "maxUnavailable": 1}
    assert set(operator["podDisruptionBudget"]) == {"operator", "metricServer", "webhooks"}
    assert all(budget == {"maxUnavailable": 1} for budget in operator["podDisruptionBudget"].values())
    assert vpa["podDisruptionBudget"] == {"enabled": True, "minAvailable": 1}


def test_vpa_recommends_and_changes_nothing() -> None:
    told = values("vertical-pod-autoscaler")
    assert told["updater"] == told["admissionController"] == {"enabled": False}


def test_kedas_operator_reads_secrets_only_where_it_is_to() -> None:
    assert values("keda")["permissions"]["operator"]["restrict"]["secret"] is True
    assert values("keda", secrets=True)["permissions"]["operator"]["restrict"]["secret"] is False


def test_keda_reaches_prometheus_and_the_api_server_and_no_metadata_server() -> None:
    inputs = AddonInputs(facts("eks"), (), keda.Options.model_validate({"prometheus-namespace": "metrics"}))
    (planned,) = keda.objects(inputs)
    spec = planned.manifest["spec"]
    assert spec["podSelector"] == {}
    anywhere = [port["port"] for rule in spec["egress"] if "to" not in rule for port in rule["ports"]]
    assert anywhere == [443, 6443]
    (prometheus,) = [r for r in spec["egress"] if "9090" in str(r)]
    assert prometheus["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "metrics"}}}]


@pytest.mark.parametrize(
    ("id", "kind", "text"),
    [
        (
            "metrics-server",
            "gke",
            "espalier:addons.metrics-server: got on a cluster of kind gke; accepted: a cluster without one: GKE runs "
            "its own, which serves v1beta1.metrics.k8s.io. Remove it.",
        ),
        (
            "metrics-server",
            "aks",
            "espalier:addons.metrics-server: got on a cluster of kind aks; accepted: a cluster without one: AKS runs "
            "its own, which serves v1beta1.metrics.k8s.io. Remove it.",
        ),
        (
            "vertical-pod-autoscaler",
            "gke",
            "espalier:addons.vertical-pod-autoscaler: got on a cluster of kind gke; accepted: a cluster without one: "
            "GKE has its own, with the same definitions of autoscaling.k8s.io. Remove it; switch on GKE's own (`gcloud "
            "container clusters update --enable-vertical-pod-autoscaling`).",
        ),
        (
            "vertical-pod-autoscaler",
            "eks",
            "espalier:addons.vertical-pod-autoscaler: got no metrics-server; accepted: metrics-server beside it. Add "
            "`metrics-server: {}` to espalier:addons.",
        ),
    ],
)
def test_what_a_cluster_brings_itself_is_refused_with_why(id: str, kind: str, text: str) -> None:
    assert refused(id, kind=kind) == [text]


def test_vpa_needs_a_metrics_server_where_the_cluster_has_none() -> None:
    needing = [
        kind for kind in KINDS if "vertical-pod-autoscaler" in str(refused("vertical-pod-autoscaler", kind=kind))
    ]
    assert needing == ["eks", "gke", "onprem", "simulated"]  # gke for another reason, above
    plans, mistakes = plan_addons({"vertical-pod-autoscaler": {}, "metrics-server": {}}, RECORDS, facts("eks"), [])
    assert mistakes == ()
    assert [(plan.id, plan.needs) for plan in plans] == [
        ("metrics-server", ()),
        ("vertical-pod-autoscaler", ("metrics-server",)),
    ]


def test_two_servers_of_one_api_are_refused() -> None:
    """As a stack's own record of prometheus-adapter or Datadog would say it in `provides`."""
    other = replace(keda.RECORD, id="prometheus-adapter", content=None)
    assert refused("keda", "prometheus-adapter", records=RECORDS | {other.id: other}) == [
        "espalier:addons.prometheus-adapter: got v1beta1.external.metrics.k8s.io, which add-on keda serves already; "
        "accepted: one server of each API; of two servers one is never asked, "
        "https://github.com/kedacore/keda/issues/470. Remove keda or prometheus-adapter, or turn this API off in one "
        "of the two."
    ]
    assert refused("keda", "metrics-server") == []


@pytest.mark.parametrize(
    ("id", "options", "text"),
    [
        ("keda", {"prometheus-port": 0}, "espalier:addons.keda.prometheus-port: got 0"),
        ("keda", {"prometheus-namespace": "No_Name"}, "espalier:addons.keda.prometheus-namespace: got 'No_Name'"),
        ("metrics-server", {"nodes": "many"}, "espalier:addons.metrics-server.nodes: got 'many'"),
        ("vertical-pod-autoscaler", {"updater": True}, "espalier:addons.vertical-pod-autoscaler.updater: got True"),
    ],
)
def test_a_wrong_option_is_told_by_its_key(id: str, options: dict[str, Any], text: str) -> None:
    _, mistakes = plan_addons({id: options, "metrics-server": {}} | {id: options}, RECORDS, facts("eks"), [])
    assert [mistake.text() for mistake in mistakes if text in mistake.text()], mistakes


def roles_of(*ids: str) -> dict[str, Manifest]:
    tenant = Tenant.model_validate(
        {"name": "vision", "groups": {"view": ["v"], "edit": ["e"], "admin": ["a"]}}, strict=False
    )
    (work,) = compile_tenant(tenant, [], Given.by(RECORDS[id] for id in ids)).workspaces
    objects = [planned.manifest for planned in work.objects]
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == "Role"}


def verbs(role: Manifest, group: str, resource: str) -> set[str]:
    return {
        verb
        for rule in role["rules"]
        if group in rule["apiGroups"] and resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_tenants_make_and_see_the_kinds_of_the_add_ons_that_are_there() -> None:
    roles = roles_of("keda", "metrics-server", "vertical-pod-autoscaler")
    read = {"get", "list", "watch"}
    for group, kind in (("keda.sh", "scaledobjects"), ("autoscaling.k8s.io", "verticalpodautoscalers")):
        assert verbs(roles["tenant-view"], group, kind) == read
        assert {"create", "patch", "delete"} <= verbs(roles["tenant-edit"], group, kind)
        assert {"create", "patch", "delete"} <= verbs(roles["tenant-admin"], group, kind)
    assert verbs(roles["tenant-edit"], "metrics.k8s.io", "pods") == read
    assert not verbs(roles["tenant-admin"], "keda.sh", "clustertriggerauthentications")


def test_without_the_add_ons_a_tenant_is_as_before() -> None:
    assert not verbs(roles_of()["tenant-admin"], "keda.sh", "scaledobjects")


def test_records_that_read_metrics_agree_on_where_there_is_a_server() -> None:
    for kind in KINDS:
        brought = bool(list(metrics_server.refuses(facts(kind))))
        needed = bool(vertical_pod_autoscaler.RECORD.needs_on(facts(kind)))
        assert not (brought and needed), kind
