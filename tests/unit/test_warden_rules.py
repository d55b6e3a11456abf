"""What the warden decides, as pure functions: when a node opens, when it counts as failed, what is done about it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.warden import rules
from espalier.warden.rules import FAILED, SINCE, WHY, Config, Health, Pool, config_of, decide, lacking, patch_of

GATE = "startup-taint.cluster-autoscaler.kubernetes.io/espalier-device"
GPU, SLICE = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"
WAITING = {"key": GATE, "value": "waiting", "effect": "NoSchedule"}
NOW = 1_800_000_000.0
HEALTH = Health(after=600, start=1800, at_once=1, conditions={"XIDErrors": "True"})
CLAIM = [{"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "name": "claim-1"}]


def node(
    name: str = "n",
    allocatable: dict[str, str] | None = None,
    *,
    taints: list[dict[str, str]] | None = None,
    pool: str = "p",
    ready: str = "True",
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    conditions: list[dict[str, str]] | None = None,
    met: bool = True,
    **metadata: Any,
) -> dict[str, Any]:
    notes = {**({rules.MET: "2026-01-01T00:00:00Z"} if met else {}), **(annotations or {})}
    made = {"name": name, "labels": {rules.POOL: pool, **(labels or {})}, "annotations": notes, **metadata}
    made.setdefault("creationTimestamp", rules.text_of(NOW - 60))
    status = {
        "allocatable": allocatable or {},
        "conditions": [{"type": "Ready", "status": ready}, *(conditions or [])],
    }
    return {"metadata": made, "spec": {"taints": taints or []}, "status": status}


def config(health: Health | None = None, **pool: Any) -> Config:
    fields: dict[str, Any] = {"devices": {GPU: 8}, "gate": GATE, **pool}
    return Config({"p": Pool(**fields)}, health)


def kinds(nodes: list[dict[str, Any]], told: Config, now: float = NOW) -> list[tuple[str, str]]:
    return [(action.kind, action.node) for action in decide(nodes, told, now)]


def since(seconds: float) -> dict[str, str]:
    return {SINCE: rules.text_of(NOW - seconds), WHY: "x"}


@given(
    planned=st.dictionaries(st.sampled_from([GPU, SLICE, "vpc.amazonaws.com/efa"]), st.integers(1, 64)), data=st.data()
)
def test_a_node_opens_only_when_every_device_is_there_in_its_count(
    planned: dict[str, int], data: st.DataObject
) -> None:
    there = {device: data.draw(st.integers(0, 80)) for device in planned}
    enough = all(there[device] >= count for device, count in planned.items())
    whole = SLICE in planned and GPU not in planned
    allocatable = {device: str(count) for device, count in there.items()}
    told = config(devices=planned)
    opened = kinds([node(allocatable=allocatable, taints=[WAITING])], told) == [("open", "n")]
    assert opened == enough
    if whole:  # as long as whole GPUs are given out, slices are not what the node has
        uncut = node(allocatable={**allocatable, GPU: "8"}, taints=[WAITING])
        assert kinds([uncut], told) == []


@pytest.mark.parametrize(
    ("state", "why"),
    [("pending", "nvidia.com/mig.config.state is pending"), ("failed", "nvidia.com/mig.config.state is failed")],
)
def test_a_mig_manager_that_has_not_succeeded_keeps_the_node_closed(state: str, why: str) -> None:
    slices = {SLICE: "56", GPU: "0"}
    cut = node(allocatable=slices, labels={rules.MIG_STATE: state})
    assert lacking(cut, {SLICE: 56}) == why
    assert lacking(node(allocatable=slices, labels={rules.MIG_STATE: "success"}), {SLICE: 56}) is None
    assert lacking(node(allocatable=slices), {SLICE: 56}) is None  # a cloud that cuts them itself tells no state


def test_a_node_that_is_not_ready_or_going_away_stays_closed() -> None:
    whole = {GPU: "8"}
    assert kinds([node(allocatable=whole, taints=[WAITING], ready="False")], config()) == []
    going = node(allocatable=whole, taints=[WAITING], deletionTimestamp="2026-01-01T00:00:00Z")
    assert kinds([going], config()) == []


def test_quantities_may_have_a_suffix() -> None:
    assert lacking(node(allocatable={GPU: "1k"}), {GPU: 1000}) is None


TAINTS = st.lists(
    st.fixed_dictionaries(
        {"key": st.sampled_from(["a", "b", "nvidia.com/gpu", GATE, FAILED["key"]]), "effect": st.just("NoSchedule")}
    ),
    unique_by=lambda taint: taint["key"],
)


@given(taints=TAINTS, count=st.integers(6, 9), pool=st.sampled_from(["p", "other"]), past=st.integers(0, 10_000))
def test_no_taint_but_its_own_is_ever_changed(taints: list[dict[str, str]], count: int, pool: str, past: int) -> None:
    one = node(allocatable={GPU: str(count)}, taints=taints, pool=pool, annotations=since(past))
    told = config(HEALTH)
    mine = {GATE, FAILED["key"]}
    for action in decide([one], told, NOW):
        assert pool == "p"
        for step in patch_of(one, action, told, NOW):
            if step["path"] == "/spec/taints" and step["op"] != "test":
                left = [taint for taint in step["value"] if taint["key"] not in mine]
                assert left == [taint for taint in taints if taint["key"] not in mine]


@given(taints=TAINTS)
def test_taints_that_changed_meanwhile_make_the_api_refuse(taints: list[dict[str, str]]) -> None:
    """The first step tests the very list that was decided on."""
    one = node(allocatable={GPU: "0"}, taints=taints, annotations=since(9999))
    told = config(HEALTH, gate="")
    for action in decide([one], told, NOW):
        steps = patch_of(one, action, told, NOW)
        touched = [step for step in steps if step["path"] == "/spec/taints"]
        if touched:
            assert touched[0] == {"op": "test", "path": "/spec/taints", "value": taints or None}


def test_a_failing_device_is_noted_first_and_marked_when_its_time_is_over() -> None:
    told = config(HEALTH, gate="")
    ill: dict[str, Any] = {"allocatable": {GPU: "7"}}
    assert kinds([node(**ill)], told) == [("note", "n")]
    assert kinds([node(**ill, annotations=since(599))], told) == []
    assert kinds([node(**ill, annotations=since(600))], told) == [("mark", "n")]
    assert kinds([node(allocatable={GPU: "8"}, annotations=since(599))], told) == [("clear", "n")]
    assert kinds([node(allocatable={GPU: "8"})], told) == []


def test_a_condition_of_a_node_agent_counts_unless_its_cloud_acts_on_it() -> None:
    erring = [{"type": "XIDErrors", "status": "True", "message": "Xid 79"}]
    one = node(allocatable={GPU: "8"}, conditions=erring)
    (action,) = decide([one], config(HEALTH), NOW)
    assert (action.kind, action.why) == ("note", "condition XIDErrors is True: Xid 79")
    assert decide([one], config(HEALTH, leaves=("XIDErrors",)), NOW) == []
    assert (
        decide([node(allocatable={GPU: "8"}, conditions=[{**erring[0], "status": "False"}])], config(HEALTH), NOW) == []
    )


def born(ago: float, **further: Any) -> dict[str, Any]:
    return node(allocatable={GPU: "0"}, creationTimestamp=rules.text_of(NOW - ago), met=False, **further)


def test_a_new_node_has_longer_and_then_counts_as_failed() -> None:
    for gate in ([WAITING], []):  # Karpenter gives its startup taint a moment after the node is there
        assert kinds([born(1199, taints=gate)], config(HEALTH)) == []  # its devices are late, no more
        assert kinds([born(1200, taints=gate)], config(HEALTH)) == [("note", "n")]
        assert kinds([born(1799, taints=gate, annotations=since(600))], config(HEALTH)) == []
        assert kinds([born(1800, taints=gate, annotations=since(600))], config(HEALTH)) == [("mark", "n")]
    # What a node agent says of a new node's device needs no such patience.
    erring = [{"type": "XIDErrors", "status": "True"}]
    assert kinds([born(60, taints=[WAITING], conditions=erring)], config(HEALTH)) == [("note", "n")]


@given(age=st.integers(0, 10**7), seen=st.integers(0, 599))
def test_an_old_node_is_not_marked_at_first_sight(age: int, seen: int) -> None:
    """The warden comes to a cluster that runs: a plugin that rolls just then costs no node its work."""
    assert ("mark", "n") not in kinds([born(age)], config(HEALTH))
    assert ("mark", "n") not in kinds([born(age, annotations=since(seen))], config(HEALTH))


def test_a_start_that_is_shorter_than_the_time_of_a_failure_takes_that_time() -> None:
    told = config(Health(after=600, start=60))
    assert kinds([born(0)], told) == [("note", "n")]
    assert kinds([born(600, annotations=since(599))], told) == []
    assert kinds([born(600, annotations=since(600))], told) == [("mark", "n")]


def test_devices_that_come_late_take_the_note_with_them() -> None:
    for gate, kind in (([WAITING], "open"), ([], "met")):
        late = node(allocatable={GPU: "8"}, taints=gate, annotations=since(60), met=False)
        (action,) = decide([late], config(HEALTH), NOW)
        assert action.kind == kind
        gone = {step["path"] for step in patch_of(late, action, config(HEALTH), NOW) if step["op"] == "remove"}
        assert gone == {
            "/metadata/annotations/espalier.dev~1device-failing-since",
            "/metadata/annotations/espalier.dev~1device-failing-why",
        }
    back = node(allocatable={GPU: "8"}, taints=[dict(FAILED)], annotations=since(700), met=False)
    assert kinds([back], config(HEALTH)) == [("clear", "n")]


def test_that_all_devices_were_there_once_is_kept_on_the_node() -> None:
    whole = node(allocatable={GPU: "8"}, met=False)
    (action,) = decide([whole], config(HEALTH), NOW)
    assert action.kind == "met"
    assert patch_of(whole, action, config(HEALTH), NOW)[-1]["path"] == "/metadata/annotations/espalier.dev~1devices-met"
    gated = node(allocatable={GPU: "8"}, taints=[WAITING], met=False)
    (action,) = decide([gated], config(HEALTH), NOW)
    assert action.kind == "open"
    assert patch_of(gated, action, config(HEALTH), NOW)[-1]["path"] == "/metadata/annotations/espalier.dev~1devices-met"


@pytest.mark.parametrize(
    ("repair", "owners", "kind"),
    [
        ("replace", CLAIM, "replace"),
        ("replace", [], "drain"),
        ("drain", CLAIM, "drain"),
        ("taint", CLAIM, None),
    ],
)
def test_a_marked_node_comes_to_what_its_pool_says(repair: Any, owners: Any, kind: str | None) -> None:
    out = node(allocatable={GPU: "0"}, taints=[dict(FAILED)], annotations=since(700), ownerReferences=owners)
    assert [k for k, _ in kinds([out], config(HEALTH, repair=repair))] == ([kind] if kind else [])
    assert rules.claim_of(out) == ("claim-1" if owners else None)


@given(
    states=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12),
    at_once=st.integers(1, 4),
)
def test_no_more_nodes_of_a_pool_are_out_than_the_budget_says(states: list[tuple[bool, bool]], at_once: int) -> None:
    nodes = [
        node(
            f"n{index:02}",
            {GPU: "0" if ill or marked else "8"},
            taints=[dict(FAILED)] if marked else [],
            annotations=since(9999) if ill or marked else {},
        )
        for index, (ill, marked) in enumerate(states)
    ]
    told = config(Health(after=600, at_once=at_once), gate="")
    before = sum(marked for _, marked in states)
    marks = [name for kind, name in kinds(nodes, told) if kind == "mark"]
    assert before + len(marks) <= max(at_once, before)
    waiting = sum(ill and not marked for ill, marked in states)
    assert len(marks) == min(waiting, max(at_once - before, 0))


def test_a_dry_run_reports_and_does_nothing_else() -> None:
    told = config(Health(after=600, act=False), gate="")
    ill = node(allocatable={GPU: "7"}, annotations=since(700))
    (action,) = decide([ill], told, NOW)
    assert (action.kind, action.why) == (
        "report",
        f"since {rules.text_of(NOW - 700)}: nvidia.com/gpu: 7 of 8 allocatable",
    )
    assert patch_of(ill, action, told, NOW) == []
    assert decide([node(allocatable={GPU: "0"}, taints=[dict(FAILED)], annotations=since(700))], told, NOW) == []


def test_without_rules_of_health_only_gates_are_opened() -> None:
    assert decide([node(allocatable={GPU: "0"}, annotations=since(9999))], config(), NOW) == []


def test_a_drain_leaves_daemons_mirrors_and_what_has_ended() -> None:
    def pod(name: str, kind: str = "ReplicaSet", phase: str = "Running", **metadata: Any) -> dict[str, Any]:
        owners = [{"kind": kind, "controller": True}]
        return {"metadata": {"name": name, "ownerReferences": owners, **metadata}, "status": {"phase": phase}}

    pods = [
        pod("work"),
        pod("daemon", "DaemonSet"),
        pod("static", "Node"),
        pod("mirror", annotations={"kubernetes.io/config.mirror": "x"}),
        pod("done", phase="Succeeded"),
        pod("going", deletionTimestamp="2026-01-01T00:00:00Z"),
    ]
    assert [one["metadata"]["name"] for one in rules.to_evict(pods)] == ["work"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"pools": 7}',
        '{"pools": {"p": {}}}',
        '{"pools": {}, "health": {"soon": 1}}',
        "null",
        '{"pools": {"p": {"devices": {}, "repair": "x"}}}',
    ],
)
def test_a_configuration_that_is_none_is_told_and_no_other_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"no configuration|Expecting value"):
        config_of(text)


@given(names=st.lists(st.sampled_from(["p", "q", "other"]), max_size=6), counts=st.lists(st.integers(0, 8), min_size=6))
def test_what_is_decided_does_not_hang_on_the_order_of_the_nodes(names: list[str], counts: list[int]) -> None:
    nodes = [node(f"n{i}", {GPU: str(counts[i])}, pool=name, annotations=since(700)) for i, name in enumerate(names)]
    told = Config({name: Pool({GPU: 8}) for name in ("p", "q")}, HEALTH)
    assert decide(nodes, told, NOW) == decide(list(reversed(nodes)), told, NOW)


def test_what_the_add_on_writes_is_what_the_program_reads() -> None:
    text = json.dumps({"pools": {"p": {"devices": {GPU: 8}, "gate": GATE, "repair": "replace", "leaves": ["X"]}}})
    assert config_of(text) == Config({"p": Pool({GPU: 8}, GATE, "replace", ("X",))})
