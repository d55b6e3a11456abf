"""Gates: which pools' new nodes wait for their devices, on which cloud, who must tolerate it, who takes it off."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.addons import RECORDS
from espalier.addons.tolerations import tolerations_of
from espalier.blueprint import Blueprint, build, names
from espalier.blueprint.gate_policy import tainted_pools
from espalier.blueprint.gates import gate_notes, gate_proof
from espalier.blueprint.proofs import prove
from espalier.blueprint.reach import daemonset_reaches
from espalier.blueprint.taints import taints_of
from espalier.catalogue import catalogue
from espalier.settings import load_file, validate
from espalier.types import Mistakes, Planned
from espalier.warden.rules import FAILED
from tests.unit.test_components_stacks import ROOT

GATE = names.STARTUP_TAINT
SYSTEM: dict[str, Any] = {"name": "system", "machine": {"cpu": 8, "memory": "32Gi"}, "nodes": {"min": 2, "max": 4}}
H100: dict[str, Any] = {"name": "h100", "accelerator": "H100-80", "nodes": {"max": 4}}
MIG = {"sharing": {"mig": "all-1g.10gb"}}
PLUGIN: dict[str, Any] = {"nvidia-device-plugin": {}, "warden": {}}


def blueprint(
    *pools: dict[str, Any], addons: dict[str, Any] = PLUGIN, cluster: dict[str, Any] | None = None
) -> Blueprint:
    cluster = cluster or {"kind": "simulated", "autoscaler": "karpenter"}
    return build(validate({"cluster": cluster, "pools": list(pools), "addons": addons}, where="test"), RECORDS)


def in_cloud(stack: str, **addons: Any) -> Blueprint:
    """The stack with these add-ons besides its own, of which the warden is left out."""
    settings = load_file(ROOT / "stacks" / f"Pulumi.{stack}.yaml").settings
    own = {id: options for id, options in settings.addons.items() if id != "warden"}
    return build(settings.model_copy(update={"addons": {**own, **addons}}), RECORDS)


def gated(found: Blueprint) -> dict[str, bool]:
    return {pool.name: all(GATE in shape.startup_taints for shape in pool.shapes) for pool in found.pools}


def refused(*pools: dict[str, Any], **further: Any) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        blueprint(*pools, **further)
    return [mistake.text() for mistake in caught.value.mistakes]


def test_pools_of_devices_are_gated_where_the_warden_is_and_a_pool_may_say_no() -> None:
    free = {**H100, "name": "free", "readiness": False}
    assert gated(blueprint(SYSTEM, H100, free)) == {"system": False, "h100": True, "free": False}
    without = blueprint(SYSTEM, H100, addons={"nvidia-device-plugin": {}})
    assert gated(without) == {"system": False, "h100": False}
    assert not any(proof.name.startswith("gate/") for proof in without.proofs)


def test_nodes_that_are_there_from_the_start_do_not_wait() -> None:
    found = blueprint(SYSTEM, {**H100, "nodes": {"max": 4, "start": 2}})
    nodes = [planned.manifest for planned in found.pools[1].nodes]
    assert len(nodes) == 2
    assert all(GATE.to_json() not in node["spec"]["taints"] for node in nodes)
    still = blueprint(SYSTEM, H100, cluster={"kind": "simulated", "autoscaler": "none"})
    assert gated(still) == {"system": False, "h100": False}


def test_karpenter_is_told_of_the_gate_as_a_startup_taint_and_not_as_a_lasting_one() -> None:
    (pool,) = blueprint(SYSTEM, H100).pools[1].node_pools
    spec = pool.manifest["spec"]["template"]["spec"]
    assert spec["startupTaints"] == [GATE.to_json()]
    assert GATE.to_json() not in spec["taints"]


@pytest.mark.parametrize("stack", ["aws-dev", "aws-prod", "gcp-dev", "gcp-prod"])
def test_a_clouds_groups_of_devices_have_the_taint_and_no_other_group_has(stack: str) -> None:
    found = in_cloud(stack, warden={})
    assert any(pool.accelerator for pool in found.pools)
    for pool in found.pools:
        for group in pool.groups:
            assert (GATE in group.taints) == bool(pool.accelerator)
            assert GATE not in group.shape.taints
    assert all(proof.ok or proof.held for proof in found.proofs), [p for p in found.proofs if not p.ok]


def test_the_autoscaler_of_eks_is_told_nothing_that_would_keep_its_group_asleep() -> None:
    for pool in in_cloud("aws-prod", warden={}).pools:
        for group in pool.groups:
            tags = getattr(group, "asg_tags", {})
            assert not any(names.STARTUP_PREFIX in key for key in tags)


def test_the_key_is_within_what_eks_and_its_autoscaler_take() -> None:
    assert len(GATE.key) <= 63  # EKS API, Taint
    assert GATE.key.startswith("startup-taint.cluster-autoscaler.kubernetes.io/")  # utils/taints/taints.go


def on_aks(version: str, **addons: Any) -> Blueprint:
    """The production stack of Azure at a Kubernetes minor, with these add-ons besides its own."""
    settings = load_file(ROOT / "stacks" / "Pulumi.azure-prod.yaml").settings
    own = {id: options for id, options in settings.addons.items() if id != "warden"}
    cluster = settings.cluster.model_copy(update={"version": version})
    return build(settings.model_copy(update={"cluster": cluster, "addons": {**own, **addons}}), RECORDS)


def notes(found: Blueprint) -> list[str]:
    assert found.cloud is not None
    return [note for note in found.cloud.notes if note.startswith("readiness: ")]


def test_aks_before_1_36_is_not_gated_and_its_plan_says_why() -> None:
    found = on_aks("1.35", warden={})
    assert not any(gated(found).values())
    assert notes(found) == [
        "readiness: nodes of h100, t4, h100-mig, a100-mig take work as soon as they are Ready: AKS puts a "
        "pool's taints back, and the API server gives them only from Kubernetes 1.36 on, so none can wait for its "
        "devices; warden marks and drains nodes whose devices fail all the same"
    ]
    assert notes(on_aks("1.35")) == []


def test_nodes_of_aks_get_the_taint_from_the_api_server_and_no_agent_pool_has_it() -> None:
    found = on_aks("1.36", warden={})
    assert gated(found) == {pool.name: bool(pool.accelerator) for pool in found.pools}
    devices = [pool.name for pool in found.pools if pool.accelerator]
    for pool in found.pools:
        assert all(GATE not in group.taints for group in pool.groups)
        assert [one.by for one in taints_of(pool) if one.taint == GATE] == (["espalier"] if pool.accelerator else [])
    (addon,) = [addon for addon in found.addons if addon.id == "warden"]
    assert tainted_pools([addon]) == set(devices)
    assert {told(found)["pools"][name]["gate"] for name in devices} == {GATE.key}
    proofs = {proof.name: proof for proof in found.proofs}
    assert all(proofs[f"gate/{name}"].ok for name in devices)
    (note,) = notes(found)
    assert note == (
        "readiness: new nodes of h100, t4, h100-mig, a100-mig get the startup taint from the API server (the policy "
        "espalier-warden-gates), since AKS puts a pool's own taints back; nodes that join before the first up is "
        "through do not wait"
    )
    plain = on_aks("1.36")
    assert [group.name for pool in found.pools for group in pool.groups] == [
        group.name for pool in plain.pools for group in pool.groups
    ]


def test_a_pool_of_aks_that_waits_for_nothing_is_not_in_the_policy() -> None:
    settings = load_file(ROOT / "stacks" / "Pulumi.azure-prod.yaml").settings
    pools = tuple(
        pool.model_copy(update={"readiness": False}) if pool.name == "t4" else pool for pool in settings.pools
    )
    cluster = settings.cluster.model_copy(update={"version": "1.36"})
    update = {"cluster": cluster, "pools": pools}
    assert tainted_pools(build(settings.model_copy(update=update), RECORDS).addons) == {"h100", "h100-mig", "a100-mig"}


def test_a_gate_that_nobody_sets_is_a_failing_proof() -> None:
    """On AKS by the policy alone: without it new nodes would take work at once, and nothing would say so."""
    found = on_aks("1.36", warden={})
    pool = next(pool for pool in found.pools if pool.name == "h100")
    bare = [
        replace(addon, objects=tuple(one for one in addon.objects if not one.suffix.startswith("gates")))
        for addon in found.addons
    ]
    proof = gate_proof("h100", pool.shapes, bare, pool.groups)
    groups = ", ".join(group.key for group in pool.groups)
    assert (proof.ok, proof.evidence) == (False, f"nobody gives new nodes of {groups} {GATE}")


@pytest.mark.parametrize("stack", ["aws-prod", "gcp-prod"])
def test_clouds_that_give_the_taint_themselves_need_no_policy(stack: str) -> None:
    assert tainted_pools(in_cloud(stack, warden={}).addons) == frozenset()


def test_without_the_warden_no_name_of_a_group_changes() -> None:
    """A gate is a taint, and a taint makes a new generation: only of the pools that have one."""
    plain, with_gate = in_cloud("aws-prod"), in_cloud("aws-prod", warden={})
    for before, after in zip(plain.pools, with_gate.pools, strict=True):
        same = [group.name for group in before.groups] == [group.name for group in after.groups]
        assert same == (before.accelerator is None)


def test_plugins_tolerate_the_gate_or_the_device_would_never_come() -> None:
    found = blueprint(SYSTEM, H100)
    shape = found.pools[1].shape
    (plugin,) = [addon for addon in found.addons if addon.id == "nvidia-device-plugin"]
    daemons = [m["spec"]["template"] for m in plugin.manifests if m["kind"] == "DaemonSet"]
    assert any(daemonset_reaches(template, shape) is None for template in daemons)
    for template in daemons:
        tolerations = [t for t in template["spec"]["tolerations"] if t["key"] != GATE.key]
        lacking = {**template, "spec": {**template["spec"], "tolerations": tolerations}}
        assert daemonset_reaches(lacking, shape) == f"does not tolerate {GATE}"


def test_the_wardens_own_pods_do_not_count_on_the_gate_to_stay_off_devices() -> None:
    (proof,) = [p for p in blueprint(SYSTEM, H100).proofs if p.name == "unheld/h100"]
    assert proof.ok
    assert names.STARTUP_PREFIX not in proof.evidence


@pytest.mark.parametrize(
    ("pool", "waits"),
    [
        (H100, {"nvidia.com/gpu": 8}),
        ({**H100, **MIG}, {"nvidia.com/mig-1g.10gb": 56}),
        ({**H100, "sharing": {"time-slices": 4}}, {"nvidia.com/gpu": 32}),
    ],
)
def test_the_gate_waits_for_what_the_plan_says_and_the_proof_says_so(
    pool: dict[str, Any], waits: dict[str, int]
) -> None:
    found = blueprint(SYSTEM, pool)
    (proof,) = [p for p in found.proofs if p.name == "gate/h100"]
    (device, count), *_ = waits.items()
    assert proof.ok
    assert proof.evidence == f"{GATE.key} goes once {count} {device} are allocatable"
    assert told(found)["pools"]["h100"]["devices"] == waits


def told(found: Blueprint) -> dict[str, Any]:
    (addon,) = [addon for addon in found.addons if addon.id == "warden"]
    (text,) = [
        m["data"]["config.json"] for m in addon.manifests if m["kind"] == "ConfigMap" and "config.json" in m["data"]
    ]
    return json.loads(text)


def test_a_gate_that_nobody_opens_is_a_failing_proof() -> None:
    found = blueprint(SYSTEM, H100)
    shapes = found.pools[1].shapes
    assert "would wait for ever" in gate_proof("h100", shapes, []).evidence
    assert not gate_proof("other", shapes, found.addons).ok
    fewer = [replace(shape, capacity={**shape.capacity, "nvidia.com/gpu": "7"}) for shape in shapes]
    proof = gate_proof("h100", fewer, found.addons)
    assert (proof.ok, proof.evidence) == (False, "on-demand: nvidia.com/gpu is 7, and the gate waits for 8")


@pytest.mark.parametrize(
    ("further", "text"),
    [
        (
            {"addons": {"nvidia-device-plugin": {}}},
            "espalier:pools[1].readiness: got true without the add-on warden; accepted: true beside warden. Add "
            "`warden: {}` to espalier:addons: without it such nodes would wait for ever.",
        ),
        (
            {"cluster": {"kind": "simulated"}},
            "espalier:pools[1].readiness: got true; accepted: false or nothing here: a simulated node that no "
            "autoscaler makes has its devices at once. Remove it.",
        ),
        (
            {"cluster": {"kind": "existing", "version": "1.36", "kubeconfig": "k", "context": "c"}},
            "espalier:pools[1].readiness: got true; accepted: false or nothing here: the nodes of a cluster that is "
            "there already are not tainted by Espalier. Remove it.",
        ),
        (
            {
                "cluster": {
                    "kind": "aks",
                    "name": "ml",
                    "version": "1.35",
                    "region": "eastus",
                    "access": {"via": "network", "admins": ["11111111-2222-3333-4444-555555555555"]},
                }
            },
            "espalier:pools[1].readiness: got true; accepted: false or nothing here: AKS puts a pool's taints back as "
            "soon as somebody takes them off, and the API server gives them only from Kubernetes 1.36 on. Remove it.",
        ),
    ],
)
def test_a_gate_that_cannot_be_is_refused(further: dict[str, Any], text: str) -> None:
    assert refused(SYSTEM, {**H100, "readiness": True}, **further) == [text]


def test_a_gate_of_plain_nodes_is_refused() -> None:
    (text,) = refused({**SYSTEM, "readiness": True}, H100)
    assert text == (
        "espalier:pools[0].readiness: got true without an accelerator; accepted: nothing: a plain node waits for no "
        "device. Remove it."
    )


@given(
    count=st.integers(1, 8),
    sharing=st.sampled_from([None, {"mig": "all-1g.10gb"}, {"time-slices": 3}, {"mps": 5}]),
    capacity=st.sampled_from([["spot"], ["spot", "on-demand"]]),
)
def test_every_device_of_the_plan_is_waited_for(count: int, sharing: Any, capacity: list[str]) -> None:
    pool = {**H100, "count": count, "capacity": capacity} | ({"sharing": sharing} if sharing else {})
    found = blueprint(SYSTEM, pool)
    (proof,) = [p for p in found.proofs if p.name == "gate/h100"]
    assert proof.ok
    assert told(found)["pools"]["h100"]["devices"].items() >= dict(found.pools[1].shape.devices).items()


DRA: dict[str, Any] = {"nvidia-dra-driver": {"gpus": True}, "warden": {}}


def test_gpus_that_are_handed_out_by_claims_are_not_waited_for_and_not_counted() -> None:
    """No node's allocatable tells of them: such a node would never open, and a well one would be replaced."""
    found = blueprint(SYSTEM, H100, addons=DRA)
    assert gated(found) == {"system": False, "h100": False}
    assert told(found)["pools"]["h100"] == {"devices": {}, "gate": "", "repair": "replace", "leaves": []}
    domains = {**DRA, "nvidia-dra-driver": {"gpus": False}, "nvidia-device-plugin": {}}
    with_plugin = blueprint(SYSTEM, H100, addons=domains)
    assert gated(with_plugin) == {"system": False, "h100": True}
    assert told(with_plugin)["pools"]["h100"]["devices"] == {"nvidia.com/gpu": 8}


def test_claims_of_gpus_leave_other_vendors_gates_alone() -> None:
    amd = {"name": "mi", "accelerator": "MI300X", "nodes": {"max": 2}}
    found = blueprint(SYSTEM, H100, amd, addons=DRA)
    assert gated(found) == {"system": False, "h100": False, "mi": True}
    assert told(found)["pools"]["mi"]["devices"] == {"amd.com/gpu": 8}


def test_a_gate_for_gpus_by_claims_is_refused() -> None:
    assert refused(SYSTEM, {**H100, "readiness": True}, addons=DRA) == [
        "espalier:pools[1].readiness: got true; accepted: false or nothing here: nvidia-dra-driver hands its GPUs out "
        "by claims, and no node's allocatable tells of them. Remove it, or set nvidia-dra-driver's gpus: false."
    ]


def test_a_plan_says_which_gpus_are_not_waited_for() -> None:
    settings = load_file(ROOT / "stacks" / "Pulumi.aws-dev.yaml").settings.model_copy(update={"addons": DRA})
    known = catalogue().accelerators
    (note,) = gate_notes(settings, known)
    assert note.startswith("readiness: nodes of ")
    assert "nvidia-dra-driver hands them out by claims" in note
    assert gate_notes(settings.model_copy(update={"addons": {"warden": {}}}), known) == ()


def test_agents_reach_a_node_that_is_marked_as_failed_so_that_they_can_mend_it() -> None:
    found = blueprint(SYSTEM, H100, {**H100, "name": "cut", **MIG})
    (plugin,) = [addon for addon in found.addons if addon.id == "nvidia-device-plugin"]
    daemons = [m["spec"]["template"] for m in plugin.manifests if m["kind"] == "DaemonSet"]
    assert len(daemons) == 2
    for template in daemons:
        assert any(map(names.FAILED_TAINT.tolerated_by, template["spec"]["tolerations"]))
        assert not any(map(names.SPOT_TAINT.tolerated_by, template["spec"]["tolerations"]))


def test_the_proof_of_an_agent_asks_for_marked_nodes_too() -> None:
    found = blueprint(SYSTEM, H100)
    (proof,) = [p for p in found.proofs if p.name == "daemonset/nvidia-device-plugin"]
    assert proof.ok
    (plugin,) = [addon for addon in found.addons if addon.id == "nvidia-device-plugin"]
    bare = json.loads(
        json.dumps([{"suffix": o.suffix, "manifest": o.manifest, "needs": o.needs} for o in plugin.objects])
    )
    for one in bare:
        if one["manifest"]["kind"] == "DaemonSet":
            spec = one["manifest"]["spec"]["template"]["spec"]
            spec["tolerations"] = [t for t in spec["tolerations"] if t["key"] != names.FAILED_TAINT.key]
    weak = replace(plugin, objects=tuple(Planned(o["suffix"], o["manifest"], tuple(o["needs"])) for o in bare))
    (proof,) = [p for p in prove(found.pools, (), (weak,), RECORDS) if p.name == "daemonset/nvidia-device-plugin"]
    assert not proof.ok
    assert f"does not tolerate {names.FAILED_TAINT}" in proof.evidence


def test_the_mark_is_one_and_the_same_on_both_sides() -> None:
    """The program has it for itself: it runs without the rest of Espalier."""
    assert names.FAILED_TAINT.to_json() == FAILED
    assert len(names.FAILED_TAINT.key) <= 63


def test_the_mark_is_among_the_known_taints_where_the_warden_is() -> None:
    def marks(found: Blueprint) -> dict[str, list[tuple[str, str]]]:
        return {
            pool.name: [(one.by, one.why) for one in taints_of(pool) if one.taint == names.FAILED_TAINT]
            for pool in found.pools
        }

    why = "a node whose devices fail takes no new work"
    assert marks(blueprint(SYSTEM, H100)) == {"system": [], "h100": [("espalier", why)]}
    assert marks(in_cloud("aws-dev", warden={}))["system"] == []
    assert marks(blueprint(SYSTEM, H100, addons={"nvidia-device-plugin": {}})) == {"system": [], "h100": []}
    facts = [pool.facts() for pool in blueprint(SYSTEM, H100).pools]
    assert names.FAILED_TAINT.key in {one["key"] for one in tolerations_of(facts)}
    assert all(names.FAILED_TAINT not in shape.taints for pool in facts for shape in pool.shapes)  # no new node has it
