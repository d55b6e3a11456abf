"""Each pool of an EKS stack wakes from zero: of the recorded tags, and only as long as they are all there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from espalier.blueprint import Blueprint, wake_eks
from espalier.blueprint.wake import wake_proofs
from espalier.blueprint.wake_node import Recorded
from espalier.catalogue import catalogue
from espalier.commands.plan import kubernetes_objects
from espalier.types import Proof
from tests.unit.eks_stacks import recorded

NAMES = [
    "wake/system/plain",
    "wake/cpu/plain",
    "wake/l4/one",
    "wake/cut/one",
    "wake/cut/whole",
    "wake/h100/one",
    "wake/h100/whole",
    "wake/trainium/one",
    "wake/trainium/whole",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stacks")


def proofs(blueprint: Blueprint, resources: Sequence[dict[str, Any]]) -> dict[str, Proof]:
    found = wake_proofs(
        blueprint.pools,
        blueprint.cloud,
        blueprint.facts.autoscaler,
        resources,
        kubernetes_objects(resources),
        catalogue(),
    )
    return {proof.name: proof for proof in found}


def asleep(found: dict[str, Proof]) -> dict[str, str]:
    return {name: proof.evidence for name, proof in found.items() if not proof.ok}


def without_tag(resources: Sequence[dict[str, Any]], group: str, tag: str) -> list[dict[str, Any]]:
    """All but one tag of one group."""
    name = f"platform-cluster-group-{group}-{tag}"
    left = [resource for resource in resources if resource["name"] != name]
    assert len(left) == len(resources) - 1, f"{name} is not registered"
    return left


def test_each_class_of_work_wakes_its_pool(folder: Path) -> None:
    found = proofs(*recorded(folder))
    assert list(found) == NAMES
    assert asleep(found) == {}
    assert "8 nvidia.com/gpu" in found["wake/h100/whole"].evidence
    assert "32 vpc.amazonaws.com/efa" in found["wake/h100/whole"].evidence
    assert "1 nvidia.com/mig-1g.10gb" in found["wake/cut/one"].evidence
    assert "l4-spot-" in found["wake/l4/one"].evidence
    assert "l4-on-demand-" in found["wake/l4/one"].evidence


@pytest.mark.parametrize(
    ("group", "tag", "fail", "reason"),
    [
        ("l4-spot", "label/espalier.dev/pool", ["wake/l4/one"], "label espalier.dev/pool is missing"),
        (
            "l4-on-demand",
            "label/nvidia.com/gpu.present",
            ["wake/l4/one"],
            "label nvidia.com/gpu.present=true is missing",
        ),
        (
            "l4-spot",
            "taint/espalier.dev/spot",
            ["wake/l4/one"],
            "taint espalier.dev/spot=true:NoSchedule is missing",
        ),
        (
            "trainium-on-demand",
            "resources/aws.amazon.com/neuron",
            ["wake/trainium/one", "wake/trainium/whole"],
            "resource aws.amazon.com/neuron is missing",
        ),
        (
            "h100-on-demand",
            "resources/vpc.amazonaws.com/efa",
            ["wake/h100/whole"],
            "resource vpc.amazonaws.com/efa is missing",
        ),
        (
            "cut-on-demand",
            "resources/nvidia.com/mig-1g.10gb",
            ["wake/cut/one", "wake/cut/whole"],
            "resource nvidia.com/mig-1g.10gb is missing",
        ),
    ],
)
def test_a_tag_that_is_not_there_fails_exactly_its_pools_proofs(
    folder: Path, group: str, tag: str, fail: list[str], reason: str
) -> None:
    blueprint, resources = recorded(folder)
    found = asleep(proofs(blueprint, without_tag(resources, group, tag)))
    assert list(found) == fail
    assert all(reason in evidence and f"{group}-" in evidence for evidence in found.values()), found


def test_a_tag_that_says_too_much_is_seen(folder: Path) -> None:
    blueprint, resources = recorded(folder)
    changed = [
        {**resource, "inputs": {**resource["inputs"], "tag": {**resource["inputs"]["tag"], "value": "57"}}}
        if resource["name"] == "platform-cluster-group-cut-on-demand-resources/nvidia.com/mig-1g.10gb"
        else resource
        for resource in resources
    ]
    found = asleep(proofs(blueprint, changed))
    assert list(found) == ["wake/cut/one", "wake/cut/whole"]
    assert "resource nvidia.com/mig-1g.10gb is 57, and a node has 56" in found["wake/cut/one"]


def test_the_autoscaler_takes_neuron_devices_for_no_gpus(folder: Path) -> None:
    blueprint, resources = recorded(folder)
    made = Recorded(tuple(resources), (), catalogue(), "us-east-1")
    found = {group.key: wake_eks.templates(made)[group.name] for pool in blueprint.pools for group in pool.groups}
    assert found["trainium-on-demand"].allocatable["nvidia.com/gpu"] == 0
    assert found["h100-on-demand"].allocatable["nvidia.com/gpu"] == 8
    assert found["cut-on-demand"].allocatable["nvidia.com/gpu"] == 0


def test_a_group_that_is_not_registered_is_named(folder: Path) -> None:
    blueprint, resources = recorded(folder)
    left = [resource for resource in resources if resource["name"] != "platform-cluster-group-l4-spot"]
    found = asleep(proofs(blueprint, left))
    assert list(found) == ["wake/l4/one"]
    assert "no such group is registered" in found["wake/l4/one"]


def test_a_capacity_blocks_machine_is_read_off_its_template(folder: Path) -> None:
    blueprint, resources = recorded(folder)
    changed = [
        {**resource, "inputs": {**resource["inputs"], "instanceType": None}}
        if resource["name"] == "platform-cluster-template-h100-reserved"
        else resource
        for resource in resources
    ]
    found = asleep(proofs(blueprint, changed))
    assert list(found) == ["wake/h100/one", "wake/h100/whole"]
    assert "no machine type is named" in found["wake/h100/one"]


def test_nothing_wakes_without_an_autoscaler_that_looks_for_this_cluster(folder: Path) -> None:
    blueprint, resources = recorded(folder)
    left = [resource for resource in resources if not resource["name"].endswith("cluster-autoscaler-deployment")]
    assert len(left) == len(resources) - 1
    found = proofs(blueprint, left)
    assert set(asleep(found)) == set(NAMES)
    assert "no cluster-autoscaler for AWS is among the objects" in found["wake/l4/one"].evidence


def test_without_an_autoscaler_only_what_starts_with_nodes_is_awake(folder: Path) -> None:
    blueprint, resources = recorded(folder)
    known, objects = catalogue(), kubernetes_objects(resources)
    found = wake_proofs(blueprint.pools, blueprint.cloud, "none", resources, objects, known)
    assert [proof.name for proof in found if proof.ok] == ["wake/system/plain"]
    assert "nothing scales the pool" in found[-1].evidence


def test_a_cluster_that_is_there_may_have_its_own_autoscaler(folder: Path) -> None:
    """Its owner knows it: the tags are proven all the same."""
    blueprint, resources = recorded(folder)
    left = [one for one in resources if one["type"] not in ("aws:eks/cluster:Cluster", "kubernetes:apps/v1:Deployment")]
    assert asleep(proofs(blueprint, left)) == {}
    assert list(asleep(proofs(blueprint, without_tag(left, "l4-spot", "label/espalier.dev/pool")))) == ["wake/l4/one"]


def with_daemonset(resources: Sequence[dict[str, Any]], cpu: str) -> list[dict[str, Any]]:
    """All resources, and a DaemonSet that runs on every node and asks for so many processors."""
    everywhere = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "hungry", "namespace": "kube-system"},
        "spec": {
            "template": {
                "spec": {
                    "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}],
                    "tolerations": [{"operator": "Exists"}],
                }
            }
        },
    }
    hungry = {**resources[-1], "custom": True, "type": "kubernetes:apps/v1:DaemonSet", "inputs": everywhere}
    return [*resources, hungry]


def test_a_daemonset_that_fills_the_node_leaves_no_room(folder: Path) -> None:
    blueprint, resources = recorded(folder)
    found = asleep(proofs(blueprint, with_daemonset(resources, "2500m")))
    assert list(found) == ["wake/system/plain", "wake/l4/one"]  # 4 processors each; the others have room
    assert "resource cpu" in found["wake/l4/one"]


def test_what_the_autoscaler_does_not_know_that_a_node_keeps_back_counts(folder: Path) -> None:
    """It would start a node after a node, on none of which the work fits."""
    blueprint, resources = recorded(folder)
    found = asleep(proofs(blueprint, with_daemonset(resources, "1600m")))
    assert list(found) == ["wake/system/plain", "wake/l4/one"]
    assert (
        "a node is started, and resource cpu: 2 asked of 3.52 once it has kept its own part back"
        in (found["wake/l4/one"])
    )
