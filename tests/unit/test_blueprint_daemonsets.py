"""Proofs `daemonset/<add-on>`: every DaemonSet that selects a node arrives there, and who serves all nodes is known."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.blueprint.proofs import prove
from espalier.settings import validate
from espalier.types import AddonPlan, Planned, Proof

SYSTEM: dict[str, Any] = {"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"max": 2}}
MPS: dict[str, Any] = {"name": "mps", "accelerator": "L4", "nodes": {"max": 2}, "sharing": {"mps": 4}}


def blueprint() -> Blueprint:
    keys = {"cluster": {"kind": "simulated"}, "pools": [SYSTEM, MPS], "addons": {"nvidia-device-plugin": {}}}
    return build(validate(keys, where="test"), RECORDS)


def changed(addon: AddonPlan, change: Callable[[dict[str, Any]], Any]) -> AddonPlan:
    """The add-on with its manifests changed."""
    made: list[Planned] = []
    for planned in addon.objects:
        manifest = copy.deepcopy(dict(planned.manifest))
        change(manifest)
        made.append(replace(planned, manifest=manifest))
    return replace(addon, objects=tuple(made))


def proof(addon: AddonPlan, record: str, name: str) -> Proof | None:
    records = {**RECORDS, addon.id: replace(RECORDS[record], id=addon.id)}
    found = prove(blueprint().pools, (), (addon,), records)
    return next((one for one in found if one.name == name), None)


def without(addon: AddonPlan, *names: str) -> AddonPlan:
    """The add-on without these DaemonSets."""
    left = {("DaemonSet", name) for name in names}
    kept = (p for p in addon.objects if (p.manifest["kind"], p.manifest["metadata"]["name"]) not in left)
    return replace(addon, objects=tuple(kept))


def test_a_plugin_that_is_not_there_at_all_is_missed_by_name_though_others_of_its_add_on_are() -> None:
    """Its feature discovery and the control daemon still reach the pool, so that `daemonset/` alone would hold."""
    (plugin,) = blueprint().addons
    name = "nvidia-device-plugin"
    sets = [p.manifest for p in plugin.objects if p.manifest["kind"] == "DaemonSet"]
    registers = [
        one["metadata"]["name"]
        for one in sets
        if "device-plugins" in str(one["spec"]["template"]["spec"].get("volumes", ""))
    ]
    assert 0 < len(registers) < len(sets)
    whole, lone = (proof(one, name, "owner/nvidia.com/gpu") for one in (plugin, without(plugin, *registers)))
    assert whole is not None
    assert whole.ok
    assert lone is not None
    assert (lone.ok, lone.evidence) == (
        False,
        "nvidia-device-plugin brings no device plugin to mps/on-demand: none of its DaemonSets that reach these nodes "
        "has the kubelet's directory of plugins",
    )
    beside = proof(without(plugin, *registers), name, f"daemonset/{name}")
    assert beside is not None
    assert beside.ok


def test_the_control_daemon_of_mps_is_proven_beside_the_plugin() -> None:
    name = "nvidia-device-plugin"
    (plugin,) = blueprint().addons

    def weaken(manifest: dict[str, Any]) -> None:
        if manifest["kind"] == "DaemonSet" and manifest["metadata"]["name"].endswith("-control"):
            del manifest["spec"]["template"]["spec"]["tolerations"]

    whole, weak = proof(plugin, name, f"daemonset/{name}"), proof(changed(plugin, weaken), name, f"daemonset/{name}")
    assert whole is not None
    assert whole.ok
    assert weak is not None
    assert (weak.ok, weak.evidence) == (
        False,
        "mps/on-demand: nvidia-device-plugin-mps-4-control does not tolerate nvidia.com/gpu=present:NoSchedule",
    )


def agent(*others: dict[str, Any], path: str = "/var/lib/kubelet", **spec: Any) -> AddonPlan:
    """An add-on of somebody's own with one DaemonSet; its record says of nodes nothing."""
    pod = {"volumes": [{"name": "host", "hostPath": {"path": path}}], **spec}
    daemonset = {"kind": "DaemonSet", "metadata": {"name": "node"}, "spec": {"template": {"spec": pod}}}
    return AddonPlan("own", "1", 0, tuple(Planned(str(i), m) for i, m in enumerate([daemonset, *others])), ())


DRIVER = {"kind": "CSIDriver", "metadata": {"name": "csi.example.com"}}
ALL = [{"operator": "Exists"}]


@pytest.mark.parametrize("addon", [agent(DRIVER), agent(path="/etc/cni/net.d"), agent(path="/opt/cni/bin")])
def test_storage_and_network_plugins_must_reach_every_node(addon: AddonPlan) -> None:
    found = proof(addon, "keda", "daemonset/own")
    assert found is not None
    assert not found.ok
    assert found.evidence == "mps/on-demand: node does not tolerate nvidia.com/gpu=present:NoSchedule"


def test_those_that_tolerate_all_do_and_other_daemonsets_are_asked_for_nothing() -> None:
    found = proof(agent(DRIVER, tolerations=ALL), "keda", "daemonset/own")
    assert found is not None
    assert (found.ok, found.evidence) == (True, "reaches system/on-demand, mps/on-demand")
    assert proof(agent(), "keda", "daemonset/own") is None


def test_a_daemonset_for_other_nodes_does_not_count() -> None:
    windows = agent(DRIVER, tolerations=ALL, nodeSelector={"kubernetes.io/os": "windows"})
    found = proof(windows, "keda", "daemonset/own")
    assert found is not None
    assert not found.ok
    assert "node selects kubernetes.io/os=windows" in found.evidence
