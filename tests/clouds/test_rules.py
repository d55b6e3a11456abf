"""Clouds' rules about node groups, held against what stacks record; what a stack file can break, wrong.yaml has, too.

Source of the rules: preconditions of Google's cluster toolkit, EKS user guide (managed node groups, capacity blocks,
EFA), azure-aks-docs (spot, system and GPU node pools).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.clouds.stacks import ALL, graph_of
from tests.clouds.test_wrong import CASES

TOLD = {
    "nodes at first within min and max": ("fewer nodes at first than at least", "more nodes at first than at most"),
    "min at most max": ("more nodes at least than at most",),
    "compact nodes in one zone": ("compact in two zones",),
    "a reservation for reserved capacity alone, not spot": ("a reservation that nothing is taken from",),
    "reserved capacity from exactly one reservation": ("reserved without a reservation",),
    "zones are the reservation's": ("a reservation in other zones",),
    "no nodes before a future reservation begins": ("nodes before a future reservation begins",),
    "queued nodes are not compact": ("queued and compact",),
    "queued and flex nodes come from zero": ("flex that must have nodes",),
    "flex nodes are compact on few machines": ("compact from flex-start",),
    "flex ends within a week": ("flex for longer than a week",),
    "a topology of the family": ("a topology that the family lacks",),
    "a topology that chips of a machine divide": ("a machine that the topology does not fit", "half a slice"),
    "a fast network where the version has it": ("a fast network in an old version",),
    "a fast network where the machine has it": ("a fast network that the machine lacks",),
    "a capacity block in one zone, from zero": (
        "a capacity block without its zone",
        "a capacity block that must have nodes",
    ),
    "a capacity block of what is sold so": ("a capacity block of a machine that is not sold so", "a capacity block"),
    "EFA: one type, one zone, near, VPC CNI 1.18.5": (
        "EFA with further machines",
        "EFA over two zones",
        "EFA far apart",
        "EFA with an old VPC CNI",
    ),
    "further spot machines of one size": ("further machines of another size",),
    "spot is no system pool": ("spot for the system pool",),
    "MIG of devices that have it": ("MIG of a device that has none", "MIG of a T4"),
    "one way of sharing a device": ("two ways of sharing",),
}
"""Rule -> cases of wrong.yaml."""


@pytest.mark.parametrize("rule", TOLD)
def test_each_rule_that_a_stack_file_can_break_has_its_case(rule: str) -> None:
    assert set(TOLD[rule]) <= {case["name"] for case in CASES}


def broken_on_gke(pool: Mapping[str, Any]) -> Iterator[str]:
    """Rules that a node pool's request breaks."""
    node, scaling = pool["nodeConfig"], pool.get("autoscaling", {})
    held = node.get("reservationAffinity", {}).get("consumeReservationType", "NO_RESERVATION")
    compact = pool.get("placementPolicy", {}).get("type") == "COMPACT"
    upgrade = pool.get("upgradeSettings", {})
    flex, queued = node.get("flexStart"), pool.get("queuedProvisioning", {}).get("enabled")
    topology = pool.get("placementPolicy", {}).get("tpuTopology")
    chips = re.search(r"-(\d+)t$", node["machineType"])
    rules = {
        "a static count beside autoscaling": scaling and "nodeCount" in pool,
        "limits in all and by zone": {"totalMaxNodeCount", "maxNodeCount"} <= scaling.keys(),
        "compact over several zones": compact and len(pool["nodeLocations"]) != 1,
        "compact and blue/green": compact and upgrade.get("strategy") == "BLUE_GREEN",
        "flex that is spot or reserved, too": (flex or queued) and (node.get("spot") or held != "NO_RESERVATION"),
        "flex that is repaired": flex and pool["management"]["autoRepair"],
        "spot from a reservation": node.get("spot") and held != "NO_RESERVATION",
        "several reservations": held == "SPECIFIC_RESERVATION" and len(node["reservationAffinity"]["values"]) != 1,
        "an upgrade that cannot begin": upgrade and not upgrade.get("maxSurge", 0) + upgrade.get("maxUnavailable", 0),
        "two kinds of local disks": {"localNvmeSsdBlockConfig", "ephemeralStorageLocalSsdConfig"} <= node.keys(),
        "a topology that its machines do not fill": topology
        and chips
        and math.prod(map(int, topology.split("x"))) % int(chips[1]),
    }
    yield from (rule for rule, broken in rules.items() if broken)


def broken_on_eks(group: Mapping[str, Any], template: Mapping[str, Any]) -> Iterator[str]:
    """Rules that a node group's request breaks, with its launch template."""
    scaling, capacity = group["scalingConfig"], group.get("capacityType")
    types = group.get("instanceTypes", [])
    cards = template.get("networkInterfaces", [])
    joined = [one for one in cards if one.get("interfaceType") in ("efa", "efa-only")]
    if not scaling["minSize"] <= scaling["desiredSize"] <= scaling["maxSize"]:
        yield "a desired size outside its limits"
    if "diskSize" in group:
        yield "a disk beside a launch template"
    if capacity == "CAPACITY_BLOCK" and (
        types or not template.get("instanceType") or len(group["subnetIds"]) != 1 or scaling["desiredSize"]
    ):
        yield "a capacity block without its machine, its zone or its zero"
    if capacity == "SPOT" and template.get("instanceType"):
        yield "spot whose template names one type"
    if joined and (len(group["subnetIds"]) != 1 or len(types or [template.get("instanceType")]) != 1):
        yield "EFA over several zones or types"
    if any(one.get("associatePublicIpAddress") == "true" for one in cards):
        yield "a public address"


def broken_on_aks(pool: Mapping[str, Any]) -> Iterator[str]:
    """Rules that an agent pool's request breaks."""
    spot, system = pool.get("scaleSetPriority") == "Spot", pool.get("mode") == "System"
    if not re.fullmatch(r"[a-z][a-z0-9]{0,11}", pool.get("agentPoolName", pool.get("name", ""))):
        yield "a name that AKS does not take"
    if spot and system:
        yield "a system pool on spot"
    if spot and pool.get("spotMaxPrice", -1) != -1:
        yield "a price that may keep nodes away"
    if spot and "kubernetes.azure.com/scalesetpriority=spot:NoSchedule" not in pool.get("nodeTaints", []):
        yield "spot without the taint that AKS forces"
    if pool.get("gpuInstanceProfile") and not re.search(r"A100|H100|H200", pool["vmSize"]):
        yield "MIG of what has none"
    if system and pool.get("minCount", 1) < 1:
        yield "a system pool that sleeps"


@pytest.mark.parametrize("stack", ALL)
def test_no_request_breaks_a_rule(stack: str) -> None:
    graph = graph_of(stack)
    seen, found = 0, list[str]()
    for name in graph.of("gcp:container/nodePool:NodePool"):
        seen += 1
        found += [f"{name}: {rule}" for rule in broken_on_gke(graph.inputs(name))]
    for name in graph.of("aws:eks/nodeGroup:NodeGroup"):
        (template,) = [each for each in graph.needs[name] if each in graph.of("aws:ec2/launchTemplate:LaunchTemplate")]
        seen += 1
        found += [f"{name}: {rule}" for rule in broken_on_eks(graph.inputs(name), graph.inputs(template))]
    for name in graph.of("azure-native:containerservice:AgentPool"):
        seen += 1
        found += [f"{name}: {rule}" for rule in broken_on_aks(graph.inputs(name))]
    for name in graph.of("azure-native:containerservice:ManagedCluster"):
        for first in graph.inputs(name)["agentPoolProfiles"]:
            found += [f"{name}: {rule}" for rule in broken_on_aks(first)]
    assert seen
    assert found == []


_GKE = {"nodeConfig": {"machineType": "ct6e-standard-4t"}, "nodeLocations": ["a"], "management": {"autoRepair": True}}
_EKS = {"scalingConfig": {"minSize": 0, "desiredSize": 0, "maxSize": 2}, "subnetIds": ["a"], "instanceTypes": ["p5"]}


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        (broken_on_gke(_GKE | {"placementPolicy": {"type": "COMPACT"}, "nodeLocations": ["a", "b"]}), "several zones"),
        (broken_on_gke(_GKE | {"nodeCount": 1, "autoscaling": {"totalMaxNodeCount": 2}}), "a static count"),
        (broken_on_gke(_GKE | {"placementPolicy": {"tpuTopology": "3x3"}}), "a topology"),
        (broken_on_gke(_GKE | {"nodeConfig": {"machineType": "n2", "flexStart": True}}), "flex that is repaired"),
        (broken_on_gke(_GKE | {"upgradeSettings": {"maxSurge": 0}}), "cannot begin"),
        (broken_on_eks(_EKS | {"capacityType": "CAPACITY_BLOCK"}, {}), "a capacity block"),
        (broken_on_eks(_EKS | {"subnetIds": ["a", "b"]}, {"networkInterfaces": [{"interfaceType": "efa"}]}), "EFA"),
        (broken_on_eks(_EKS | {"scalingConfig": {"minSize": 1, "desiredSize": 0, "maxSize": 2}}, {}), "a desired size"),
        (broken_on_aks({"name": "t4", "scaleSetPriority": "Spot", "mode": "System"}), "a system pool on spot"),
        (broken_on_aks({"name": "T4-spot"}), "a name"),
        (broken_on_aks({"name": "t4", "gpuInstanceProfile": "MIG1g", "vmSize": "Standard_NC4as_T4_v3"}), "MIG"),
    ],
)
def test_the_judge_finds_what_is_broken(found: Iterator[str], rule: str) -> None:
    assert rule in " ".join(found)
