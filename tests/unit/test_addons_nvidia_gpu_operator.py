"""The GPU operator's values follow from the pools: who owns the driver, the toolkit, the plugin, the geometry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from espalier.addons import RECORDS
from espalier.addons.nvidia_gpu_operator import RECORD, values
from espalier.blueprint.order import plan_addons, provided_by
from espalier.blueprint.pools import compile_pools
from espalier.settings.pool import Pool
from espalier.types import AddonInputs, Facts, Owner, Owners, Planned, PoolFacts

OPERATOR = {"driver": {"owner": "operator"}}
BESIDE = {"nvidia-gpu-operator": {}, "node-feature-discovery": {}}


def pools_of(*blocks: dict[str, Any], options: dict[str, Any] | None = None) -> tuple[PoolFacts, ...]:
    """The pools of an existing cluster."""
    pools = [
        Pool.model_validate({"name": f"p{index}", "accelerator": "A100-80", "nodes": {"max": 2}, **block}, strict=False)
        for index, block in enumerate(blocks)
    ]
    wanted = {**BESIDE, "nvidia-gpu-operator": options or {}}
    plans, mistakes = compile_pools(pools, {}, simulated=False, provided=provided_by(wanted, RECORDS))
    assert mistakes == (), "\n".join(mistake.text() for mistake in mistakes)
    return tuple(plan.facts() for plan in plans)


def inputs(pools: tuple[PoolFacts, ...], kind: str = "existing", options: dict[str, Any] | None = None) -> AddonInputs:
    facts = Facts(kind, "1.35", runs_containers=True)
    return AddonInputs(facts, pools, RECORD.options.model_validate(options or {}), BESIDE)


def told(*blocks: dict[str, Any], kind: str = "existing", options: dict[str, Any] | None = None) -> dict[str, Any]:
    return dict(values(inputs(pools_of(*blocks, options=options), kind, options)))


def owned(pool: PoolFacts, driver: str, toolkit: str, os: str = "") -> PoolFacts:
    """The pool as a cloud's would be."""
    plugin = Owner("addon", "a test's", "nvidia-gpu-operator")
    cut = Owner("addon", "a test's", "nvidia-gpu-operator")
    made = Owners(owner(driver), owner(toolkit), plugin, sharing=cut)
    return replace(pool, owners=made, os=os)


def owner(who: Any) -> Owner:
    return Owner(who, "a test's")


def test_an_operators_driver_on_hosts_of_ones_own() -> None:
    found = told(OPERATOR)
    assert found["driver"] == {
        "enabled": True,
        "version": "595.91.07",
        "kernelModuleType": "auto",
        "usePrecompiled": False,
    }
    assert found["toolkit"] == {"enabled": True}
    assert found["mig"] == {"strategy": "mixed"}
    assert "extraObjects" not in found


def test_precompiled_drivers_are_named_by_their_branch() -> None:
    found = told(OPERATOR | {"driver": {"owner": "operator", "version": "580"}}, options={"precompiled": True})
    assert (found["driver"]["version"], found["driver"]["usePrecompiled"]) == ("580", True)


def test_the_hosts_driver_with_the_operators_toolkit() -> None:
    found = told({})
    assert found["driver"] == {"enabled": False}
    assert found["toolkit"] == {"enabled": True}


def test_hosts_that_hold_driver_and_toolkit() -> None:
    found = told({"driver": {"owner": "host", "toolkit": "host"}})
    assert (found["driver"], found["toolkit"]) == ({"enabled": False}, {"enabled": False})


def test_a_driver_of_its_own_for_each_pool_where_versions_differ() -> None:
    found = told(OPERATOR, {"driver": {"owner": "operator", "version": "580"}}, {"driver": {"owner": "host"}})
    assert found["driver"] == {"enabled": True, "nvidiaDriverCRD": {"enabled": True, "deployDefaultCR": False}}
    made = {one["metadata"]["name"]: one["spec"] for one in found["extraObjects"]}
    assert {name: spec["version"] for name, spec in made.items()} == {"p0": "595.91.07", "p1": "580.173.02"}
    assert all(spec["nodeSelector"] == {"espalier.dev/pool": name} for name, spec in made.items())
    assert not any(spec["default"] for spec in made.values())


def test_volta_has_its_last_branch_with_proprietary_modules() -> None:
    found = told(OPERATOR, OPERATOR | {"accelerator": "V100-32"})
    made = {one["metadata"]["name"]: one["spec"] for one in found["extraObjects"]}
    assert (made["p1"]["version"], made["p1"]["kernelModuleType"]) == ("580.173.02", "proprietary")
    assert (made["p0"]["version"], made["p0"]["kernelModuleType"]) == ("595.91.07", "auto")


def test_eks_on_amazon_linux_brings_driver_and_toolkit() -> None:
    (pool,) = pools_of({})
    found = values(inputs((owned(pool, "cloud", "cloud", "al2023"),), "eks"))
    assert (found["driver"], found["toolkit"]) == ({"enabled": False}, {"enabled": False})
    assert "runtimeClass" not in found["operator"]


def test_eks_on_ubuntu_has_the_charts_own_ways() -> None:
    (pool,) = pools_of({})
    found = values(inputs((owned(pool, "addon", "addon", "ubuntu"),), "eks"))
    assert found["driver"]["enabled"]
    assert found["toolkit"] == {"enabled": True}


def test_gke_on_cos_keeps_all_where_cos_lets_it_be_written() -> None:
    (pool,) = pools_of({"sharing": {"mig": "all-1g.10gb"}})
    found = values(inputs((owned(pool, "host", "addon", "cos"),), "gke"))
    assert found["driver"] == {"enabled": False}
    assert found["hostPaths"] == {"driverInstallDir": "/home/kubernetes/bin/nvidia"}
    assert found["toolkit"] == {
        "enabled": True,
        "env": [{"name": "RUNTIME_CONFIG_SOURCE", "value": "file"}],
        "installDir": "/home/kubernetes/bin/nvidia",
    }
    assert found["migManager"] == {"enabled": True, "env": [{"name": "WITH_REBOOT", "value": "true"}]}


def test_gke_on_ubuntu_has_the_charts_own_ways() -> None:
    (pool,) = pools_of(OPERATOR)
    found = values(inputs((owned(pool, "addon", "addon", "ubuntu"),), "gke"))
    assert found["driver"]["enabled"]
    assert found["toolkit"] == {"enabled": True}
    assert "hostPaths" not in found


def test_aks_with_its_own_driver_names_its_runtime_class() -> None:
    (pool,) = pools_of({})
    found = values(inputs((owned(pool, "cloud", "cloud", "ubuntu"),), "aks"))
    assert (found["driver"], found["toolkit"]) == ({"enabled": False}, {"enabled": False})
    assert found["operator"]["runtimeClass"] == "nvidia-container-runtime"


def test_aks_with_an_operators_driver() -> None:
    (pool,) = pools_of(OPERATOR)
    found = values(inputs((owned(pool, "addon", "addon", "ubuntu"),), "aks"))
    assert found["driver"]["enabled"]
    assert found["toolkit"] == {"enabled": True}
    assert "runtimeClass" not in found["operator"]


def test_aks_drivers_and_an_operators_are_never_on_one_node() -> None:
    theirs, ours = pools_of({}, OPERATOR)
    found = values(inputs((owned(theirs, "cloud", "cloud", "ubuntu"), owned(ours, "addon", "cloud", "ubuntu")), "aks"))
    assert found["driver"]["nvidiaDriverCRD"] == {"enabled": True, "deployDefaultCR": False}
    assert [one["spec"]["nodeSelector"] for one in found["extraObjects"]] == [{"espalier.dev/pool": "p1"}]


def test_aks_cuts_its_devices_itself_and_the_mig_manager_leaves_them() -> None:
    (pool,) = pools_of({"sharing": {"mig": "all-1g.10gb"}})
    theirs = replace(pool, owners=replace(owned(pool, "cloud", "cloud").owners, sharing=owner("cloud")))  # type: ignore[type-var]
    assert values(inputs((theirs,), "aks"))["migManager"] == {"enabled": False}


@pytest.mark.parametrize(
    ("runtime", "socket"),
    [
        ("rke2", "/run/k3s/containerd/containerd.sock"),
        ("k3s", "/run/k3s/containerd/containerd.sock"),
        ("microk8s", "/var/snap/microk8s/common/run/containerd.sock"),
    ],
)
def test_distributions_have_their_own_containerd(runtime: str, socket: str) -> None:
    env = {one["name"]: one["value"] for one in told(OPERATOR, options={"runtime": runtime})["toolkit"]["env"]}
    assert env["CONTAINERD_SOCKET"] == socket
    assert ("RUNTIME_CONFIG_SOURCE" in env) == (runtime == "microk8s")


def test_nri_spares_the_restart_of_containerd() -> None:
    found = told(OPERATOR, options={"runtime": "rke2", "nri": True})
    assert found["cdi"] == {"enabled": True, "nriPluginEnabled": True}


def test_the_mig_manager_is_on_where_it_has_devices_to_cut() -> None:
    assert told(OPERATOR)["migManager"] == {"enabled": False}
    assert told(OPERATOR | {"sharing": {"mig": "all-3g.40gb"}})["migManager"] == {"enabled": True}


def test_each_way_of_sharing_is_a_configuration_that_the_pools_label_picks() -> None:
    blocks: list[dict[str, Any]] = [
        {"sharing": {"time-slices": 4}},
        {"sharing": {"mps": 2}},
        {},
        {"sharing": {"mig": "all-1g.10gb"}},
    ]
    config = told(*blocks)["devicePlugin"]["config"]
    assert (config["create"], config["default"]) == (True, "whole")
    assert set(config["data"]) == {"whole", "time-slices-4", "mps-2"}
    read = {name: yaml.safe_load(text) for name, text in config["data"].items()}
    assert read["time-slices-4"]["sharing"]["timeSlicing"]["resources"] == [{"name": "nvidia.com/gpu", "replicas": 4}]
    assert read["mps-2"]["sharing"]["mps"]["resources"] == [{"name": "nvidia.com/gpu", "replicas": 2}]
    assert "sharing" not in read["whole"]
    picked = [pool.shape.labels.get("nvidia.com/device-plugin.config", config["default"]) for pool in pools_of(*blocks)]
    assert picked == ["time-slices-4", "mps-2", "whole", "whole"]


def test_a_change_of_the_configuration_is_a_change_of_its_name() -> None:
    names = {told({"sharing": {"time-slices": n}})["devicePlugin"]["config"]["name"] for n in (2, 3, 3)}
    assert len(names) == 2


def test_operands_tolerate_every_taint_of_their_pools() -> None:
    taints = [{"key": "team", "value": "a", "effect": "NoExecute"}]
    (pool,) = pools_of({"capacity": ["on-demand", "spot"], "taints": taints})
    spot = replace(pool.shape, taints=(*pool.shape.taints, *_taints(("espalier.dev/spot", "NoSchedule"))))
    own = replace(pool.shape, taints=(*pool.shape.taints, *_taints(("team", "NoExecute"))))
    found = values(inputs((replace(pool, shapes=(own, spot)),)))["daemonsets"]["tolerations"]
    assert {(one["key"], one["effect"]) for one in found} == {
        ("nvidia.com/gpu", "NoSchedule"),
        ("espalier.dev/spot", "NoSchedule"),
        ("team", "NoExecute"),
    }
    assert all(one["operator"] == "Exists" for one in found)


def _taints(*pairs: tuple[str, Any]) -> tuple[Any, ...]:
    from espalier.types import Taint

    return tuple(Taint(key, "true", effect) for key, effect in pairs)


def faults(pools: tuple[PoolFacts, ...], kind: str = "existing", options: dict[str, Any] | None = None) -> list[str]:
    return [mistake.text() for mistake in RECORD.judges(inputs(pools, kind, options))]


def test_two_device_plugins_on_bottlerocket_are_refused() -> None:
    (pool,) = pools_of({})
    image = Owner("cloud", "Bottlerocket's image runs a device plugin of its own")
    theirs = replace(pool, owners=Owners(owner("cloud"), owner("cloud"), image))
    assert faults((theirs,), "eks") == [
        "espalier:addons.nvidia-gpu-operator: got a device plugin on pool p0, where Bottlerocket's image runs a device "
        "plugin of its own; accepted: one device plugin a node. Remove nvidia-gpu-operator, or keep it off the pool: "
        'labels: {nvidia.com/gpu.deploy.operands: "false"}.'
    ]
    labels = {**theirs.shape.labels, "nvidia.com/gpu.deploy.operands": "false"}
    assert faults((replace(theirs, shapes=(replace(theirs.shape, labels=labels),)),), "eks") == []


def test_a_toolkit_for_some_pools_alone_is_refused() -> None:
    pools = pools_of(OPERATOR, {"driver": {"owner": "host", "toolkit": "host"}})
    assert faults(pools) == [
        "espalier:addons.nvidia-gpu-operator: got a container toolkit for p0 and none for p1; accepted: one answer for "
        "all pools: the operator brings a toolkit to each node or to none. Keep it off the others: labels: "
        '{nvidia.com/gpu.deploy.container-toolkit: "false"}.'
    ]


def test_versions_that_cannot_be_had_are_refused() -> None:
    unknown = pools_of({"driver": {"owner": "operator", "version": "570"}})
    assert faults(unknown) == [
        "espalier:addons.nvidia-gpu-operator: got driver.version 570 of pool p0; accepted: a whole version, or a "
        "branch among 535, 580, 595, 610. Write the version as NVIDIA's registry has it, such as 595.91.07."
    ]
    whole = pools_of({"driver": {"owner": "operator", "version": "580.95.05"}})
    assert faults(whole) == []
    assert faults(whole, options={"precompiled": True}) == [
        "espalier:addons.nvidia-gpu-operator: got driver.version 580.95.05 of pool p0; accepted: a branch: "
        'precompiled drivers are named by it alone. Write "580", or set precompiled: false.'
    ]


def test_nri_without_the_operators_toolkit_is_refused() -> None:
    pools = pools_of({"driver": {"owner": "host", "toolkit": "host"}})
    assert faults(pools, options={"nri": True}) == [
        "espalier:addons.nvidia-gpu-operator.nri: got true, without the operator's toolkit; accepted: nri where the "
        "operator brings the toolkit: NRI is a part of it. Remove it."
    ]


def texts(addons: dict[str, dict[str, Any]], version: str = "1.35") -> list[str]:
    facts = Facts("existing", version, runs_containers=True)
    return [mistake.text() for mistake in plan_addons(addons, RECORDS, facts, pools_of(OPERATOR))[1]]


def test_the_plugin_beside_the_operator_is_refused() -> None:
    found = texts({**BESIDE, "nvidia-device-plugin": {}})
    assert (
        "espalier:addons.nvidia-gpu-operator: got beside nvidia-device-plugin; accepted: one of the two: the operator "
        "starts a plugin of its own, and each would hand out all devices. Remove "
        "nvidia-gpu-operator or nvidia-device-plugin." in found
    )


def test_it_comes_with_one_discovery_for_all() -> None:
    assert texts({"nvidia-gpu-operator": {}}) == [
        "espalier:addons.nvidia-gpu-operator: got no node-feature-discovery; accepted: node-feature-discovery beside "
        "it. Add `node-feature-discovery: {}` to espalier:addons."
    ]
    assert texts(BESIDE) == []
    assert told(OPERATOR)["nfd"] == {"enabled": False}


def test_a_kubernetes_that_it_is_not_made_for_is_refused() -> None:
    assert texts(BESIDE, "1.32") == [
        "espalier:addons.nvidia-gpu-operator: got Kubernetes 1.32; accepted: 1.33 to 1.36, for which v26.7.0 is made. "
        "Take one of these versions, or another add-on."
    ]


def test_a_policy_beside_a_cluster_of_claims_is_refused() -> None:
    def made(kind: str) -> Any:
        manifest = {"apiVersion": "nvidia.com/v1", "kind": kind, "metadata": {"name": "one"}}
        return replace(RECORDS["neuron-device-plugin"], id=kind.lower(), objects=lambda _: (Planned("one", manifest),))

    records = {one.id: one for one in (made("ClusterPolicy"), made("GPUCluster"))}
    facts = Facts("existing", "1.35", runs_containers=True)
    _, mistakes = plan_addons({"clusterpolicy": {}, "gpucluster": {}}, records, facts, ())
    assert [mistake.text() for mistake in mistakes] == [
        "espalier:addons.gpucluster: got a gpucluster.nvidia.com beside add-on clusterpolicy's "
        "clusterpolicy.nvidia.com; accepted: one of the two: each is a whole stack of NVIDIA's operator, by device "
        "plugin or by claims. Remove one."
    ]
    assert plan_addons({"clusterpolicy": {}}, records, facts, ())[1] == ()
