"""Training runtimes from pools: where they run, on what, and that a restricted namespace takes their pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.addons.training_runtimes import IMAGES, hosts, runtimes
from espalier.blueprint.order import plan_addons
from espalier.types import Facts, Manifest, NodeShape, PoolFacts, Taint

GPU, TPU = "nvidia.com/gpu", "google.com/tpu"
PRESENT = Taint(GPU, "present")
SPOT = Taint("espalier.dev/spot", "true")
JAX_TPU = {"jax/google": "registry.example.com/jax-tpu:0.10.1"}


def pool(
    name: str = "h100",
    vendor: str = "nvidia",
    devices: Mapping[str, int] | None = None,
    taints: tuple[Taint, ...] = (PRESENT,),
    sharing: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
) -> PoolFacts:
    found = {"espalier.dev/pool": name, **(labels or {})}
    kinds = ("spot", "on-demand") if SPOT in taints else ("on-demand",)
    shapes = tuple(
        NodeShape(
            name,
            "m",
            kind,
            found,
            tuple(taint for taint in taints if kind == "spot" or taint != SPOT),
            {},
            {GPU: 8} if devices is None else devices,
            None,
            startup_taints=(Taint("waiting", "true"),),
        )
        for kind in kinds
    )
    return PoolFacts(name, shapes, sharing or {}, vendor)


def made(*pools: PoolFacts, **images: str) -> dict[str, Manifest]:
    found = [planned.manifest for planned in runtimes(pools, {**IMAGES, **images})]
    return {one["metadata"]["name"]: one for one in found}


def pods(runtime: Manifest) -> Iterator[tuple[str, dict[str, Any]]]:
    for job in runtime["spec"]["template"]["spec"]["replicatedJobs"]:
        yield job["name"], job["template"]["spec"]["template"]["spec"]


def test_each_pool_of_nvidias_has_each_framework() -> None:
    found = made(pool("h100"), pool("l4", devices={GPU: 1}), pool("system", vendor="", devices={}))
    assert sorted(found) == [
        *(f"{framework}-{name}" for framework in ("deepspeed", "jax", "torch", "xgboost") for name in ("h100", "l4"))
    ]


def test_other_devices_have_what_the_stack_has_an_image_for() -> None:
    assert made(pool("v6e", "google", {TPU: 4})) == {}
    assert sorted(made(pool("v6e", "google", {TPU: 4}), **JAX_TPU)) == ["jax-v6e"]
    assert sorted(made(pool("mi300x", "amd", {"amd.com/gpu": 8}), **{"torch/amd": "r.example.com/t:1"})) == [
        "torch-mi300x"
    ]


@pytest.mark.parametrize("framework", ["deepspeed", "jax", "torch", "xgboost"])
def test_pods_go_to_their_pool_on_all_its_kinds_of_capacity(framework: str) -> None:
    found = made(pool(taints=(PRESENT, SPOT)))[f"{framework}-h100"]
    for _, pod in pods(found):
        assert pod["nodeSelector"] == {"espalier.dev/pool": "h100"}
        assert {(one["key"], one["value"], one["effect"]) for one in pod["tolerations"]} == {
            (GPU, "present", "NoSchedule"),
            ("espalier.dev/spot", "true", "NoSchedule"),
        }  # and none of a node that is not ready for work
        (container,) = pod["containers"]
        assert container["name"] == "node"
        assert container["resources"] == {"limits": {GPU: "8"}}


def test_of_shared_devices_a_pod_asks_for_one() -> None:
    mig = {"nvidia.com/mig-1g.10gb": 56}
    (_, pod), *_ = pods(made(pool("mig", devices=mig, sharing={"mig": "all-1g.10gb"}))["torch-mig"])
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/mig-1g.10gb": "1"}


def test_mpi_counts_the_devices_that_a_pod_has_and_waits_for_the_others() -> None:
    spec = made(pool(devices={GPU: 4}))["deepspeed-h100"]["spec"]
    assert spec["mlPolicy"]["mpi"]["numProcPerNode"] == 4
    node, launcher = spec["template"]["spec"]["replicatedJobs"]
    assert launcher["dependsOn"] == [{"name": "node", "status": "Ready"}]
    assert launcher["template"]["metadata"]["labels"] == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    assert "metadata" not in node["template"]


@pytest.mark.parametrize(("topology", "chips", "nodes"), [("2x2", 4, 1), ("4x4", 4, 4), ("2x2x2", 4, 2), ("1x1", 1, 1)])
def test_a_slice_is_trained_on_as_a_whole(topology: str, chips: int, nodes: int) -> None:
    one = pool("v6e", "google", {TPU: chips}, labels={"cloud.google.com/gke-tpu-topology": topology})
    assert hosts(one) == nodes
    assert made(one, **JAX_TPU)["jax-v6e"]["spec"]["mlPolicy"] == {"numNodes": nodes, "jax": {}}


def test_a_restricted_namespace_takes_their_pods() -> None:
    """Kubernetes, "Pod Security Standards", restricted."""
    for runtime in made(pool()).values():
        for name, pod in pods(runtime):
            assert pod["securityContext"]["runAsNonRoot"] is True, name
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} == {"emptyDir"}
            for container in pod["containers"]:
                assert container["securityContext"]["allowPrivilegeEscalation"] is False
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(
    ("images", "text"),
    [
        ({"torch": "r.example.com/t:1"}, "espalier:addons.kubeflow-trainer.images.torch"),
        ({"mxnet/nvidia": "r.example.com/t:1"}, "images"),
        ({"torch/nvidia": "r.example.com/t:latest"}, "got 'r.example.com/t:latest'"),
        ({"torch/nvidia": "r.example.com:5000/t"}, "got 'r.example.com:5000/t'"),
        ({"torch/nvidia": 1}, "got 1"),
    ],
)
def test_an_image_is_named_by_framework_and_vendor_and_pinned(images: dict[str, Any], text: str) -> None:
    wanted = {"jobset": {}, "kubeflow-trainer": {"images": images}}
    plans, mistakes = plan_addons(wanted, RECORDS, Facts("eks", "1.36", True), ())
    assert plans == ()
    assert any(text in mistake.text() for mistake in mistakes), mistakes
    pinned = {"images": {"torch/nvidia": f"r.example.com:5000/t@sha256:{'0' * 64}", **JAX_TPU}}
    assert plan_addons({**wanted, "kubeflow-trainer": pinned}, RECORDS, Facts("eks", "1.36", True), ())[1] == ()
