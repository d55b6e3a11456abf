"""cert-manager, the Gateway API and the operators of training: what they reach, what is theirs, what has ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from espalier.addons import RECORDS, each_once
from espalier.blueprint import build
from espalier.blueprint.order import plan_addons
from espalier.charts.objects import Object
from espalier.charts.phases import in_order
from espalier.commands.check import addons_document
from espalier.content import Content
from espalier.settings import validate
from espalier.types import AddonInputs, Facts, Manifest, Planned

TWICE = ("cert-manager", "jobset", "kubeflow-trainer", "lws")
RETIRED = sorted(id for id, record in RECORDS.items() if record.state == "retired")


def inputs(id: str, kind: str = "eks", **options: Any) -> AddonInputs:
    return AddonInputs(Facts(kind, "1.36", True), (), RECORDS[id].options.model_validate(options))


def wall(id: str, **options: Any) -> Manifest:
    made = [planned.manifest for planned in RECORDS[id].objects(inputs(id, **options))]
    (found,) = [one for one in made if one["kind"] == "NetworkPolicy"]
    return found


def refused(*ids: str, kind: str = "eks", beside: dict[str, dict[str, Any]] | None = None) -> list[str]:
    wanted = {id: dict[str, Any]() for id in ids} | (beside or {})
    _, mistakes = plan_addons(wanted, RECORDS, Facts(kind, "1.36", True), ())
    return [mistake.text() for mistake in mistakes]


def anywhere(policy: Manifest) -> list[int]:
    """Ports of every address that its pods may reach."""
    return [port["port"] for rule in policy["spec"]["egress"] if "to" not in rule for port in rule["ports"]]


@pytest.mark.parametrize("id", [*TWICE, "mpi-operator", "training-operator-v1"])
def test_a_controller_reaches_api_servers_and_no_metadata_server(id: str) -> None:
    assert anywhere(wall(id)) == [443, 6443]


def test_cert_manager_proves_domains_by_http_only_where_it_is_to() -> None:
    last = wall("cert-manager", http01=True)["spec"]["egress"][-1]
    assert [port["port"] for port in last["ports"]] == [80]
    assert {"ipBlock", "namespaceSelector"} == {key for peer in last["to"] for key in peer}
    assert anywhere(wall("cert-manager", http01=True)) == anywhere(wall("cert-manager")) == [443, 6443]


def test_cert_manager_adds_nothing_to_everybodys_roles_and_stays_out_of_kube_system() -> None:
    content = RECORDS["cert-manager"].content
    assert content is not None
    told = content.values(inputs("cert-manager"))
    assert told["global"]["rbac"] == {"aggregateClusterRoles": False}
    assert told["global"]["leaderElection"] == {"namespace": "cert-manager"}
    assert [told[key]["replicaCount"] for key in ("webhook", "cainjector")] == [told["replicaCount"]] * 2 == [2, 2]


@pytest.mark.parametrize("id", [*TWICE, "mpi-operator", "training-operator-v1"])
def test_its_namespace_takes_restricted_pods_alone(id: str) -> None:
    """Of manifests that bring their namespace, tests/upstream says so."""
    content = RECORDS[id].content
    assert content is not None
    if id in TWICE:
        assert content.namespace_labels == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert not RECORDS[id].privileged_namespaces


def test_a_trainer_without_jobset_is_told_what_to_add() -> None:
    assert refused("kubeflow-trainer") == [
        "espalier:addons.kubeflow-trainer: got no jobset; accepted: jobset beside it. Add `jobset: {}` to "
        'espalier:addons, or `jobset: {existing: "0.12.0"}` where the cluster has it already.'
    ]


def test_a_trainer_with_another_jobset_is_refused() -> None:
    assert refused("kubeflow-trainer", beside={"jobset": {"existing": "0.12.4"}}) == []
    assert refused("kubeflow-trainer", beside={"jobset": {"existing": "0.8.1"}}) == [
        "espalier:addons.kubeflow-trainer: got jobset 0.8.1; accepted: jobset 0.12 beside kubeflow-trainer 2.3.0 "
        "(https://github.com/kubeflow/trainer/blob/v2.3.0/charts/kubeflow-trainer/Chart.yaml). Upgrade jobset first, "
        "or remove kubeflow-trainer."
    ]


def test_gke_has_gateways_of_its_own() -> None:
    assert refused("gateway-api", kind="gke") == [
        "espalier:addons.gateway-api: got on a cluster of kind gke; accepted: GKE's own, which it keeps at the version "
        "that it serves. Switch it on (`gcloud container clusters update --gateway-api=standard`), then say "
        '`gateway-api: {existing: "<its version>"}`.'
    ]
    assert refused(kind="gke", beside={"gateway-api": {"existing": "1.5.0"}}) == []


def test_both_mpi_jobs_and_the_old_operator_are_in_one_stack() -> None:
    assert refused("kubeflow-base", "mpi-operator", "training-operator-v1") == []


@pytest.mark.parametrize("id", RETIRED)
def test_what_has_ended_is_refused_with_its_successors(id: str) -> None:
    ended = RECORDS[id].ended
    assert ended is not None
    (text,) = refused(id)
    assert f"retired since {ended.since} ({ended.source})" in text
    assert text.endswith(ended.instead)
    for successor in ended.successors:
        assert RECORDS[successor].state != "retired"
        assert successor in text


def test_one_of_them_word_by_word() -> None:
    assert refused("mxnet-operator") == [
        "espalier:addons.mxnet-operator: got mxnet-operator, retired since 2022-02-01 "
        "(https://github.com/kubeflow/trainer/issues/1996); accepted: kubeflow-trainer. Run it as a TrainJob on a "
        "TrainingRuntime with an image of your own: `espalier sample STACK custom-runtime`."
    ]


def test_no_add_on_takes_anothers_id() -> None:
    one = RECORDS["jobset"]
    with pytest.raises(ValueError, match="two add-ons jobset"):
        each_once((one, replace(one, version="0")))


def test_the_registry_tells_what_has_ended() -> None:
    rows = {row["id"]: row for row in addons_document()["addons"]}
    assert {id for id, row in rows.items() if row["ended"]} == {*RETIRED, "training-operator-v1"}
    told = rows["tf-operator"]["ended"]
    assert told is not None
    assert (rows["tf-operator"]["state"], told["since"], told["successors"]) == (
        "retired",
        "2022-02-01",
        ["training-operator-v1", "kubeflow-trainer"],
    )


def test_a_stack_with_what_the_cluster_has_makes_nothing_of_it() -> None:
    block = {"cluster": {"kind": "simulated"}, "addons": {"cert-manager": {"existing": "1.17.2"}}}
    (addon,) = build(validate(block, where="espalier"), RECORDS).addons
    assert (addon.content, addon.version, addon.manifests) == ("existing", "1.17.2", ())


def test_own_custom_resources_come_after_the_pods_that_judge_them() -> None:
    content = Content(source=RECORDS["jobset"].content.source, namespace="n")  # type: ignore[union-attr]
    names = {"kind": "Thing", "plural": "things"}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "names": names, "scope": "Cluster"},
    }
    pods = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}}
    thing = Planned("thing", {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}})
    policy = Planned("policy", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}})
    ordered = in_order(content, [Object("s", crd), Object("s", pods)], (thing, policy))
    assert [planned.manifest["kind"] for planned in ordered] == [
        "Namespace",
        "CustomResourceDefinition",
        "ConfigMap",
        "Deployment",
        "Thing",
    ]
