"""The NVIDIA device plugin's objects follow from the pools."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
import yaml

from espalier.addons.nvidia_device_plugin import RECORD
from espalier.blueprint.pools import compile_pools
from espalier.blueprint.reach import daemonset_reaches
from espalier.settings.pool import Pool
from espalier.types import AddonInputs, Facts, Manifest, NodeShape, Planned, PoolFacts, Taint

WAYS: dict[str, dict[str, Any] | None] = {
    "whole": None,
    "sliced": {"time-slices": 4},
    "shared": {"mps": 2},
    "cut": {"mig": "all-1g.10gb"},
    "cut-too": {"mig": "all-3g.40gb"},
}


def planned(*pools: Pool) -> tuple[list[Planned], dict[str, NodeShape]]:
    plans, mistakes = compile_pools(pools, {}, simulated=False)
    assert mistakes == ()
    facts = Facts("existing", "1.36", runs_containers=True)
    inputs = AddonInputs(facts, tuple(plan.facts() for plan in plans), RECORD.options())
    return list(RECORD.objects(inputs)), {plan.name: plan.shape for plan in plans}


def pool(name: str, sharing: dict[str, Any] | None = None, accelerator: str = "A100-80", **keys: Any) -> Pool:
    block = {"name": name, "accelerator": accelerator, "nodes": {"max": 4}, "sharing": sharing, **keys}
    return Pool.model_validate(block, strict=False)


def all_ways() -> tuple[list[Planned], dict[str, NodeShape]]:
    return planned(*(pool(name, sharing) for name, sharing in WAYS.items()))


def daemonsets(objects: list[Planned]) -> dict[str, Manifest]:
    return {o.manifest["metadata"]["name"]: o.manifest for o in objects if o.manifest["kind"] == "DaemonSet"}


def programs(daemonset: Manifest) -> set[str]:
    return {container["command"][0] for container in daemonset["spec"]["template"]["spec"]["containers"]}


def config_of(objects: list[Planned], daemonset: Manifest) -> dict[str, Any]:
    maps = {o.manifest["metadata"]["name"]: o.manifest for o in objects if o.manifest["kind"] == "ConfigMap"}
    volumes = {v["name"]: v for v in daemonset["spec"]["template"]["spec"]["volumes"]}
    return yaml.safe_load(maps[volumes["config"]["configMap"]["name"]]["data"]["config.yaml"])


def reaching(objects: list[Planned], shape: NodeShape, program: str) -> list[Manifest]:
    return [
        d
        for d in daemonsets(objects).values()
        if program in programs(d) and daemonset_reaches(d["spec"]["template"], shape) is None
    ]


@pytest.mark.parametrize(
    ("name", "flags", "sharing"),
    [
        ("whole", "none", None),
        ("sliced", "none", {"timeSlicing": 4}),
        ("shared", "none", {"mps": 2}),
        ("cut", "mixed", None),
        ("cut-too", "mixed", None),
    ],
)
def test_each_pool_gets_exactly_one_plugin_with_its_configuration(
    name: str, flags: str, sharing: dict[str, int] | None
) -> None:
    objects, shapes = all_ways()
    (plugin,) = reaching(objects, shapes[name], "nvidia-device-plugin")
    config = config_of(objects, plugin)
    assert config["flags"] == {"migStrategy": flags}
    if sharing is None:
        assert "sharing" not in config
        return
    ((section, replicas),) = sharing.items()
    resources = [{"name": "nvidia.com/gpu", "replicas": replicas}]
    assert config["sharing"] == {section: {"failRequestsGreaterThanOne": True, "resources": resources}}


def test_only_a_pool_of_mps_gets_the_control_daemon() -> None:
    objects, shapes = all_ways()
    found = {name: len(reaching(objects, shape, "mps-control-daemon")) for name, shape in shapes.items()}
    assert found == {"whole": 0, "sliced": 0, "shared": 1, "cut": 0, "cut-too": 0}


def test_pods_land_by_the_pools_label_alone() -> None:
    """An existing cluster is asked for no more than the label and the taint."""
    objects, shapes = all_ways()
    labels = {"espalier.dev/pool": "whole"}
    shape = shapes["whole"]
    bare = NodeShape(
        shape.pool, shape.machine, shape.capacity_kind, labels, shape.taints, shape.capacity, shape.devices, None
    )
    assert len(reaching(objects, bare, "nvidia-device-plugin")) == 1


def test_pools_of_other_vendors_get_nothing() -> None:
    objects, shapes = planned(pool("amd", accelerator="MI300X"), pool("tpu", accelerator="TPU-v6e", topology="2x2"))
    assert daemonsets(objects) == {}
    assert [o.manifest["kind"] for o in objects] == ["Namespace", "ServiceAccount"]
    assert set(shapes) == {"amd", "tpu"}


def test_the_order_of_pools_does_not_matter() -> None:
    pools = [pool(name, sharing) for name, sharing in WAYS.items()]
    assert planned(*pools)[0] == planned(*reversed(pools))[0]


def test_a_changed_configuration_rolls_its_pods_and_no_others() -> None:
    """The plugin reads its file once (cmd/nvidia-device-plugin/main.go), so the pod must name another ConfigMap."""
    before, _ = planned(pool("a"), pool("b", {"mps": 2}))
    after, _ = planned(pool("a"), pool("b", {"mps": 3}))
    old, new = daemonsets(before), daemonsets(after)
    assert old["nvidia-device-plugin-whole"] == new["nvidia-device-plugin-whole"]
    names = [o.manifest["metadata"]["name"] for objects in (before, after) for o in objects if "config" in o.suffix]
    assert len(set(names)) == 3


def test_a_configmaps_name_tells_its_content() -> None:
    """So that a release of Espalier that writes another text for the same pools rolls the pods, too."""
    objects, _ = all_ways()
    for item in (o.manifest for o in objects if o.manifest["kind"] == "ConfigMap"):
        digest = hashlib.sha256(item["data"]["config.yaml"].encode()).hexdigest()
        assert digest.startswith(item["metadata"]["name"].rpartition("-")[2])
        assert len(item["metadata"]["name"].rpartition("-")[2]) == 8


def test_names_are_unique_and_such_as_kubernetes_takes() -> None:
    objects, _ = planned(pool("p", {"time-slices": 64}), pool("q", {"mps": 48}))
    keys = [(o.manifest["kind"], o.manifest["metadata"]["name"]) for o in objects]
    assert len(set(keys)) == len(keys)
    suffixes = [o.suffix for o in objects]
    assert len(set(suffixes)) == len(suffixes)
    for at, item in enumerate(objects):
        # A DaemonSet's name is a label of its pods' ControllerRevisions, so 63 less the hash (11).
        assert len(item.manifest["metadata"]["name"]) <= 52
        assert set(item.needs) <= set(suffixes[:at])
        for value in item.manifest["metadata"]["labels"].values():
            assert len(value) <= 63


def test_a_daemonset_owns_its_own_pods_only() -> None:
    objects, _ = all_ways()
    made = daemonsets(objects)
    for name, daemonset in made.items():
        selector = daemonset["spec"]["selector"]["matchLabels"].items()
        matched = {n for n, d in made.items() if selector <= d["spec"]["template"]["metadata"]["labels"].items()}
        assert matched == {name}


def test_the_plugin_reaches_nodes_of_every_kind_of_capacity() -> None:
    """A cloud taints its spot nodes besides; the plugin must tolerate that although on-demand is preferred."""
    plans, _ = compile_pools([pool("gpu", capacity=["on-demand", "spot"])], {}, simulated=False)
    on_demand, spot = plans[0].shapes
    spot = replace(spot, taints=(*spot.taints, Taint("kubernetes.azure.com/scalesetpriority", "spot")))
    facts = PoolFacts("gpu", (on_demand, spot), {}, "nvidia")
    inputs = AddonInputs(Facts("aks", "1.35", runs_containers=True), (facts,), RECORD.options())
    objects = list(RECORD.objects(inputs))
    assert reaching(objects, on_demand, "nvidia-device-plugin")
    assert reaching(objects, spot, "nvidia-device-plugin")
