"""The node that each autoscaler makes up before there is one, of inputs written by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.blueprint import wake_aks, wake_gke, wake_karpenter
from espalier.blueprint.clouds.aks.tags import PREFIX, resource_tags
from espalier.blueprint.wake import Work, why_not
from espalier.blueprint.wake_node import Recorded, Template
from espalier.blueprint.wake_reserved import kept_back
from espalier.catalogue import catalogue
from espalier.types import NodeShape, Taint

CATALOGUE = catalogue()
GPU, TPU = Taint("nvidia.com/gpu", "present"), Taint("google.com/tpu", "present")
GIB = 2**30


def recorded(kind: str, *inputs: dict[str, Any], objects: tuple[dict[str, Any], ...] = ()) -> Recorded:
    resources = tuple({"type": kind, "urn": f"u{i}", "inputs": one} for i, one in enumerate(inputs))
    return Recorded(resources, objects, CATALOGUE, "r")


# GKE --------------------------------------------------------------------------------------------------------------


def node_pool(machine: str, config: dict[str, Any] | None = None, **inputs: Any) -> Template:
    made = {
        "name": "n",
        "autoscaling": {"totalMinNodeCount": 0, "totalMaxNodeCount": 4},
        "nodeConfig": {"machineType": machine, **(config or {})},
        **inputs,
    }
    return wake_gke.templates(recorded(wake_gke.POOL, made))["n"]


def gpus(**more: Any) -> dict[str, Any]:
    return {"guestAccelerators": [{"type": "nvidia-a100-80gb", "count": 8, **more}]}


def test_gke_adds_the_accelerators_taint_and_label_by_itself() -> None:
    node = node_pool("a2-ultragpu-8g", gpus())
    assert node.taints == (GPU,)
    assert node.labels["cloud.google.com/gke-accelerator"] == "nvidia-a100-80gb"
    assert node.allocatable["nvidia.com/gpu"] == 8
    assert node.broken == ""


def test_gke_counts_a_declared_taint_once() -> None:
    declared = [
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"},
        {"key": "team", "value": "a", "effect": "PREFER_NO_SCHEDULE"},
    ]
    assert node_pool("a2-ultragpu-8g", gpus() | {"taints": declared}).taints == (
        GPU,
        Taint("team", "a", "PreferNoSchedule"),
    )


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ({}, 8),
        ({"gpuPartitionSize": "1g.10gb"}, 56),
        ({"gpuSharingConfig": {"gpuSharingStrategy": "TIME_SHARING", "maxSharedClientsPerGpu": 4}}, 32),
    ],
)
def test_gke_advertises_partitions_and_shares_as_plain_devices(more: dict[str, Any], count: int) -> None:
    assert node_pool("a2-ultragpu-8g", gpus(**more)).allocatable["nvidia.com/gpu"] == count


def test_gke_knows_tpus_by_their_machine() -> None:
    node = node_pool("ct5lp-hightpu-4t")
    assert node.allocatable["google.com/tpu"] == 4
    assert node.taints == (TPU,)
    assert "nvidia.com/gpu" not in node.allocatable


def test_gke_marks_spot_queued_and_arm_nodes() -> None:
    spot = node_pool("a2-ultragpu-8g", gpus() | {"spot": True})
    assert spot.labels["cloud.google.com/gke-spot"] == "true"
    queued = node_pool("a2-ultragpu-8g", gpus(), queuedProvisioning={"enabled": True})
    assert Taint("cloud.google.com/gke-queued", "true") in queued.taints


def test_gke_starts_nothing_that_may_have_no_node() -> None:
    off = {"totalMinNodeCount": 0, "totalMaxNodeCount": 0}
    assert node_pool("a2-ultragpu-8g", gpus(), autoscaling=off).broken == "it may have no node"
    assert node_pool("a2-ultragpu-8g", gpus(), autoscaling=None).broken == "nothing scales it"
    per_zone = {"minNodeCount": 0, "maxNodeCount": 1}
    assert node_pool("a2-ultragpu-8g", gpus(), autoscaling=per_zone).broken == ""
    assert "is not known" in node_pool("a2-hyper-1g").broken


# AKS --------------------------------------------------------------------------------------------------------------


def agent_pool(size: str, **inputs: Any) -> Template:
    made = {"agentPoolName": "a", "vmSize": size, "enableAutoScaling": True, "minCount": 0, "maxCount": 4, **inputs}
    return wake_aks.templates(recorded(wake_aks.POOL, made))["a"]


def test_aks_hands_labels_and_taints_of_the_agent_pool_on() -> None:
    node = agent_pool(
        "Standard_NC4as_T4_v3", nodeLabels={"espalier.dev/pool": "t4"}, nodeTaints=["nvidia.com/gpu=present:NoSchedule"]
    )
    assert node.labels["espalier.dev/pool"] == "t4"
    assert node.labels["kubernetes.azure.com/accelerator"] == "nvidia"
    assert node.taints == (GPU,)
    assert node.allocatable["nvidia.com/gpu"] == 1


def test_aks_taints_spot_nodes_whatever_the_pool_says() -> None:
    forced = Taint("kubernetes.azure.com/scalesetpriority", "spot")
    assert agent_pool("Standard_NC4as_T4_v3", scaleSetPriority="Spot").taints == (forced,)
    declared = agent_pool("Standard_NC4as_T4_v3", scaleSetPriority="Spot", nodeTaints=[str(forced)])
    assert declared.taints == (forced,)
    assert declared.labels["kubernetes.azure.com/priority"] == "spot"


def test_aks_knows_of_slices_and_of_other_vendors_by_tags_alone() -> None:
    plain = agent_pool("Standard_ND96isr_H100_v5", gpuInstanceProfile="MIG1g")
    assert plain.allocatable["nvidia.com/gpu"] == 8
    assert "nvidia.com/mig-1g.10gb" not in plain.allocatable
    told = agent_pool("Standard_ND96isr_H100_v5", tags=resource_tags({"nvidia.com/mig-1g.10gb": 56}, 8))
    assert told.allocatable["nvidia.com/mig-1g.10gb"] == 56
    assert told.allocatable["nvidia.com/gpu"] == 0
    amd = agent_pool("Standard_ND96isr_MI300X_v5", tags=resource_tags({"amd.com/gpu": 8}, 8))
    assert (amd.allocatable["amd.com/gpu"], amd.allocatable["nvidia.com/gpu"]) == (8, 0)


def test_aks_needs_no_tag_for_whole_gpus() -> None:
    assert resource_tags({"nvidia.com/gpu": 8}, 8) == {}
    assert resource_tags({}, 0) == {}
    assert resource_tags({"nvidia.com/gpu": 32}, 8) == {f"{PREFIX}nvidia.com_gpu": "32"}


@given(
    devices=st.dictionaries(
        st.sampled_from(["nvidia.com/gpu", "amd.com/gpu", "nvidia.com/mig-1g.10gb", "nvidia.com/mig-7g.80gb"]),
        st.integers(1, 999),
        min_size=1,
        max_size=1,
    ),
    count=st.sampled_from([8]),
)
def test_what_tags_say_is_what_the_autoscaler_reads(devices: dict[str, int], count: int) -> None:
    read = agent_pool("Standard_ND96isr_H100_v5", tags=resource_tags(devices, count)).allocatable
    assert {name: read[name] for name in devices} == devices
    if "nvidia.com/gpu" not in devices:
        assert read["nvidia.com/gpu"] == 0


def test_aks_pools_inside_the_clusters_request_are_seen() -> None:
    profile = {"name": "system", "vmSize": "Standard_D4as_v5", "count": 1, "enableAutoScaling": False}
    found = wake_aks.templates(recorded(wake_aks.CLUSTER, {"agentPoolProfiles": [profile]}))
    assert found["system"].broken == ""
    profile["count"] = 0
    found = wake_aks.templates(recorded(wake_aks.CLUSTER, {"agentPoolProfiles": [profile]}))
    assert found["system"].broken == "the autoscaler is off for it, and it has no node"


# Karpenter --------------------------------------------------------------------------------------------------------


def karpenter(machine: str, **template: Any) -> Template:
    spec = {
        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "n"},
        "requirements": [
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [machine]},
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]},
        ],
        **template,
    }
    pool = {
        "kind": "NodePool",
        "metadata": {"name": "n"},
        "spec": {"template": {"metadata": {"labels": {"espalier.dev/pool": "p"}}, "spec": spec}},
    }
    node_class = {"kind": "EC2NodeClass", "metadata": {"name": "n"}, "spec": {"kubelet": {"maxPods": 60}}}
    return wake_karpenter.templates(recorded("", objects=(pool, node_class)))["n"]


def test_karpenter_makes_what_its_node_pool_says() -> None:
    node = karpenter("p5.48xlarge", taints=[{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}])
    assert node.taints == (GPU,)
    assert node.labels["espalier.dev/pool"] == "p"
    assert node.labels["karpenter.sh/capacity-type"] == "spot"
    assert node.allocatable["nvidia.com/gpu"] == 8
    assert node.allocatable["vpc.amazonaws.com/efa"] == 32
    assert node.allocatable["pods"] == 60


def test_karpenter_makes_nothing_without_a_node_class() -> None:
    other = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "m"}
    assert karpenter("p5.48xlarge", nodeClassRef=other).broken == "its EC2NodeClass is not there"


# The scheduler's questions ----------------------------------------------------------------------------------------

WORK = Work(
    "one",
    {"cpu": Fraction(2), "nvidia.com/gpu": Fraction(1)},
    {"espalier.dev/pool": "p"},
    ({"key": "nvidia.com/gpu", "operator": "Equal", "value": "present", "effect": "NoSchedule"},),
)
NODE: dict[str, Any] = {
    "labels": {"espalier.dev/pool": "p"},
    "taints": (GPU,),
    "allocatable": {"cpu": Fraction(4), "nvidia.com/gpu": Fraction(1)},
    "said": "m",
}


@pytest.mark.parametrize(
    ("change", "daemons", "why"),
    [
        ({}, {}, None),
        ({"taints": ()}, {}, None),
        ({"labels": {}}, {}, "label espalier.dev/pool is missing"),
        ({"labels": {"espalier.dev/pool": "q"}}, {}, "label espalier.dev/pool is q, not p"),
        ({"taints": (TPU,)}, {}, "taint google.com/tpu=present:NoSchedule is not tolerated"),
        ({"taints": (Taint("a", "b", "PreferNoSchedule"),)}, {}, None),
        ({"allocatable": {"cpu": Fraction(4)}}, {}, "resource nvidia.com/gpu is missing"),
        ({}, {"cpu": Fraction(2)}, None),
        ({}, {"cpu": Fraction(5, 2)}, "resource cpu: 2 asked of 4"),
    ],
)
def test_why_work_would_not_start_a_node(change: dict[str, Any], daemons: dict[str, Fraction], why: str | None) -> None:
    assert why_not(WORK, Template(**{**NODE, **change}), daemons) == why


@given(
    kind=st.sampled_from(["eks", "gke", "aks"]),
    cpu=st.sampled_from([2, 4, 8, 16, 48, 96, 192, 224]),
    gib=st.sampled_from([4, 8, 16, 64, 192, 1152, 2048]),
)
def test_a_node_keeps_back_less_than_half_and_never_nothing(kind: str, cpu: int, gib: int) -> None:
    """Half of a node is what a class of work asks for, so a plan would refuse each machine that keeps back more."""
    back = kept_back(kind, shape(cpu, gib))
    assert 0 < back["cpu"] < Fraction(cpu, 2)
    assert back["memory"] > 0
    if gib >= 8:
        assert back["memory"] < Fraction(gib, 2) * GIB


def test_what_a_node_keeps_back_is_its_clouds_own_rule() -> None:
    """The documents' own examples: GKE's 1.4 GiB... of 8 GiB is a quarter of 4 and a fifth of 4; EKS's by pods."""
    firmware = Fraction(3, 40) * 8 * GIB
    system = Fraction(8, 10) * GIB
    eviction = 100 * 2**20
    gke = kept_back("gke", shape(4, 8))
    assert gke["memory"] - firmware - system - eviction == Fraction(18, 10) * GIB
    assert gke["cpu"] - Fraction(4, 10) == Fraction(6, 100) + Fraction(1, 100) + Fraction(1, 100)
    eks = kept_back("eks", shape(4, 8))
    assert eks["memory"] - firmware - system - eviction == (255 + 11 * 110) * 2**20
    aks = kept_back("aks", shape(4, 8))
    assert aks["memory"] - firmware - system - eviction == min((20 * 110 + 50) * 2**20, 2 * GIB)
    assert aks["cpu"] - Fraction(4, 10) == Fraction(140, 1000)


def test_memory_that_is_set_aside_as_huge_pages_is_nobodys_else() -> None:
    plain, paged = shape(8, 64), shape(8, 64, **{"hugepages-2Mi": "10256Mi"})
    assert kept_back("eks", paged)["memory"] - kept_back("eks", plain)["memory"] == 10256 * 2**20


def shape(cpu: int, gib: int, **more: str) -> NodeShape:
    capacity = {"cpu": str(cpu), "memory": f"{gib}Gi", "pods": "110", **more}
    return NodeShape("p", "m", "on-demand", {}, (), capacity, {}, None)
