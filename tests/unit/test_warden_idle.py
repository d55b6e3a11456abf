"""What stands idle: only what was measured all along, in a tenant's namespace, for the tenant's time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.blueprint.order import plan_addons
from espalier.settings import validate
from espalier.types import Facts, Mistakes
from espalier.warden.idle import Idle, Rule, covered, idle, owner_of, pods_of, queries, rules_of
from espalier.warden.rules import Watch, config_of, text_of
from tests.unit.test_addons_warden import of, planned, rights
from tests.unit.test_blueprint_gates import H100, SYSTEM, blueprint

GPU = "nvidia.com/gpu"
NOW = 1_800_000_000.0
RULE = Rule(7200, "stop")
WATCH: dict[str, Any] = {"idle": {"prometheus": "http://prometheus.monitoring:9090"}}


def pod(name: str = "nb-0", *, age: float = 9000, device: str = GPU, phase: str = "Running", **labels: str) -> Any:
    made = labels or {"notebook-name": "nb"}
    return {
        "metadata": {"namespace": "vision", "name": name, "labels": {k.replace("_", "-"): v for k, v in made.items()}},
        "spec": {"containers": [{"resources": {"limits": {device: "1"}}}]},
        "status": {"phase": phase, "startTime": text_of(NOW - age)},
    }


def going(one: Any) -> Any:
    one["metadata"]["deletionTimestamp"] = text_of(NOW)
    return one


def found(pods: list[Any], use: dict[str, float], known: set[str] | None = None, rule: Rule = RULE) -> list[Idle]:
    used = {("vision", name): value for name, value in use.items()}
    seen = frozenset(("vision", name) for name in (use if known is None else known))
    rules = {"vision": rule}
    return idle(pods, rules, {rule.after: used}, {rule.after: seen}, frozenset({GPU}), 1.0, NOW)


def test_a_notebook_that_used_nothing_all_the_time_is_idle() -> None:
    (one,) = found([pod()], {"nb-0": 0.0})
    assert one == Idle("Notebook", "vision", "nb", "stop", "used its devices by no more than nb-0 0% for 7200 s")


@pytest.mark.parametrize(
    ("pods", "use", "known"),
    [
        ([pod()], {"nb-0": 40.0}, None),  # it works
        ([pod()], {}, None),  # nobody measured it
        ([pod()], {"nb-0": 0.0}, set()),  # not all along
        ([pod(age=7199)], {"nb-0": 0.0}, None),  # it is younger than the tenant's time
        ([pod(device="cpu")], {"nb-0": 0.0}, None),  # it holds no device
        ([pod(phase="Succeeded")], {"nb-0": 0.0}, None),  # it has ended
        ([going(pod())], {"nb-0": 0.0}, None),  # it was asked to end
        ([pod(app="x")], {"nb-0": 0.0}, None),  # nobody said that it may be stopped
        ([pod("nb-0"), pod("nb-1")], {"nb-0": 0.0, "nb-1": 3.0}, None),  # one of its pods works
        ([pod("nb-0"), pod("nb-1")], {"nb-0": 0.0}, None),  # one of its pods tells nothing
    ],
)
def test_what_is_not_known_to_be_idle_is_left_alone(pods: list[Any], use: dict[str, float], known: Any) -> None:
    assert found(pods, use, known) == []


def test_another_namespace_has_no_rule() -> None:
    other = pod()
    other["metadata"]["namespace"] = "kube-system"
    assert found([other], {"nb-0": 0.0}) == []


@pytest.mark.parametrize(
    ("labels", "owner", "named"),
    [
        ({"notebook-name": "nb"}, None, ("Notebook", "nb")),
        ({"espalier.dev/stop-when-idle": "true"}, {"kind": "StatefulSet", "name": "s"}, ("StatefulSet", "s")),
        (
            {"espalier.dev/stop-when-idle": "true", "pod-template-hash": "5d"},
            {"kind": "ReplicaSet", "name": "web-5d"},
            ("Deployment", "web"),
        ),
        ({"espalier.dev/stop-when-idle": "true"}, {"kind": "Job", "name": "j"}, None),
        ({"espalier.dev/stop-when-idle": "no"}, {"kind": "StatefulSet", "name": "s"}, None),
        ({}, {"kind": "StatefulSet", "name": "s"}, None),
    ],
)
def test_whom_a_pod_belongs_to(labels: dict[str, str], owner: Any, named: Any) -> None:
    made = {"metadata": {"name": "p", "labels": labels, "ownerReferences": [owner] if owner else []}}
    assert owner_of(made) == named


def namespace(name: str, tenant: bool = True, **notes: str) -> Any:
    labels = {"espalier.dev/tenant": name} if tenant else {}
    annotations = {f"espalier.dev/idle-{key}": value for key, value in notes.items()}
    return {"metadata": {"name": name, "labels": labels, "annotations": annotations}}


def test_a_tenants_word_goes_before_the_platforms_and_stops_only_where_that_may_be() -> None:
    spaces = [
        namespace("own", after="60", action="stop"),
        namespace("silent"),
        namespace("wrong", after="soon", action="stop"),
        namespace("kube-system", tenant=False, after="60", action="stop"),
    ]
    default = Rule(3600, "report")
    stops = rules_of(spaces, default, may_stop=True)
    assert stops == {"own": Rule(60, "stop"), "silent": default}
    assert rules_of(spaces, None, may_stop=False) == {"own": Rule(60, "report")}


def test_metrics_tell_of_pods_by_either_label() -> None:
    def series(value: str, **labels: str) -> Any:
        return {"metric": labels, "value": [0, value]}

    answer = {
        "data": {
            "result": [
                series("0", namespace="monitoring", pod="dcgm-1", exported_namespace="vision", exported_pod="nb-0"),
                series("0.4", namespace="vision", pod="nb-1"),
                series("0.1", namespace="vision", pod="nb-1"),
                series("NaN", namespace="vision", pod="nb-2"),
                series("1", gpu="0"),
            ]
        }
    }
    assert pods_of(answer, 100.0) == {("vision", "nb-0"): 0.0, ("vision", "nb-1"): 40.0}


@given(after=st.integers(600, 100_000), share=st.floats(0, 1.2))
def test_a_hole_in_the_metrics_is_no_idleness(after: int, share: float) -> None:
    pods = covered({("v", "p"): share * after / 60}, after)
    assert (("v", "p") in pods) == (share * after / 60 >= 0.95 * after / 60)


def test_what_prometheus_is_asked_covers_all_of_the_time() -> None:
    asked = [query for query, _, _ in queries(7200)]
    assert "max_over_time(DCGM_FI_DEV_GPU_UTIL[7200s])" in asked
    assert "count_over_time(DCGM_FI_PROF_GR_ENGINE_ACTIVE[7200s:60s])" in asked


def test_it_may_stop_only_where_the_platform_says_so() -> None:
    plain = rights(planned())
    looks = rights(planned(WATCH)) - plain
    assert looks == {("namespaces", "list"), ("events", "create")}
    stops = rights(planned({"idle": {**WATCH["idle"], "action": "stop"}})) - plain - looks
    scale = {(f"{kind}/scale", verb) for kind in ("deployments", "statefulsets") for verb in ("get", "patch")}
    assert stops == {*scale, ("notebooks", "patch"), ("horizontalpodautoscalers", "list")}


def test_the_way_to_prometheus_is_open_and_no_other() -> None:
    ports = of(planned(WATCH), "NetworkPolicy")["spec"]["egress"][0]["ports"]
    assert {(port["protocol"], port["port"]) for port in ports} == {
        ("TCP", 443),
        ("TCP", 6443),
        ("TCP", 9090),
        ("UDP", 53),
        ("TCP", 53),
    }


def test_options_reach_the_program() -> None:
    text = of(planned({"idle": {**WATCH["idle"], "after": "2h", "below": 3}}), "ConfigMap")["data"]["config.json"]
    assert config_of(text).idle == Watch("http://prometheus.monitoring:9090", 3, after=7200)
    assert json.loads(of(planned(), "ConfigMap")["data"]["config.json"])["idle"] is None


@pytest.mark.parametrize("url", ["prometheus:9090", "http://user:secret@prometheus", "file:///etc/passwd"])
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    facts = Facts("simulated", "1.36", runs_containers=False)
    _, mistakes = plan_addons({"warden": {"idle": {"prometheus": url}}}, RECORDS, facts, [])
    assert [mistake.path for mistake in mistakes] == ["espalier:addons.warden.idle.prometheus"]


def tenant(**idle: str) -> dict[str, Any]:
    return {"tenants": [{"name": "vision", "idle": idle}]}


def test_a_tenants_time_is_an_annotation_of_its_namespaces() -> None:

    settings = {"cluster": {"kind": "simulated"}, "pools": [SYSTEM, H100], "addons": {"warden": WATCH}}
    made = build(validate(settings | tenant(after="2h"), where="test"), RECORDS)
    (space,) = [p.manifest for p in made.tenants[0].workspaces[0].objects if p.manifest["kind"] == "Namespace"]
    assert space["metadata"]["annotations"] == {"espalier.dev/idle-after": "7200", "espalier.dev/idle-action": "report"}


def test_a_time_that_nobody_looks_after_is_refused() -> None:
    texts = refused_with({"warden": {}}, after="2h")
    assert texts == [
        "espalier:tenants[0].idle: got 2h with nobody to look; accepted: a time where warden is told where metrics are."
        " Add `warden: {idle: {prometheus: http://...}}` to espalier:addons, or remove `idle`."
    ]


def test_a_stop_where_nobody_may_stop_is_refused() -> None:
    texts = refused_with({"warden": WATCH}, after="2h", action="stop")
    assert texts == [
        "espalier:tenants[0].idle.action: got stop; accepted: report, unless warden may stop. Set "
        "espalier:addons.warden.idle.action: stop, which gives it the rights; or report here."
    ]


def refused_with(addons: dict[str, Any], **idle: str) -> list[str]:

    settings = {"cluster": {"kind": "simulated"}, "pools": [SYSTEM, H100], "addons": addons}
    with pytest.raises(Mistakes) as caught:
        build(validate(settings | tenant(**idle), where="test"), RECORDS)
    return [mistake.text() for mistake in caught.value.mistakes]


def test_what_it_remembers_is_nobodys_to_declare() -> None:
    """Its ConfigMap has no data of ours: a second `up` takes nothing away. Gates are proven beside it."""
    made = blueprint(SYSTEM, H100, addons={"warden": {"idle": {**WATCH["idle"], "action": "stop"}}})
    (addon,) = [addon for addon in made.addons if addon.id == "warden"]
    assert "data" not in of(addon, "ConfigMap", "espalier-warden-stopped")
    assert next(proof for proof in made.proofs if proof.name == "gate/h100").ok
