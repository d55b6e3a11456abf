"""One change of a stack file at a time: what Pulumi would do to a cluster that runs, and what it must never do."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest
import yaml

from espalier.engine.model import Resource
from tests.clouds.recorded import Graph, recorded
from tests.clouds.upgrades import CLUSTERS, POOLS, VOLUMES, Step, lost, pool_of, steps

Stack = dict[str, Any]
Change = Callable[[Stack], None]

BASES: dict[str, str] = {
    "aws": """
cluster:
  kind: eks
  name: one
  version: "1.34"
  region: us-east-1
  account-id: "123456789012"
  storage: {type: efs}
  buckets: [{name: models}]
  registries: [{name: images}]
  dns: {zone: ml.example.internal}
  access: {via: network, admins: ["arn:aws:iam::123456789012:role/platform"]}
pools:
  - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}
  - {name: gpu, accelerator: L4, count: 1, machine: g6.8xlarge, nodes: {max: 4}, capacity: [on-demand]}
""",
    "gcp": """
cluster:
  kind: gke
  name: one
  project: example-ml-dev
  version: "1.34"
  region: us-central1
  zones: [us-central1-a, us-central1-b, us-central1-c]
  buckets: [{name: models}]
  registries: [{name: images}]
  dns: {zone: ml.example.internal}
  access: {via: dns-endpoint, admins: ["group:platform@example.com"]}
pools:
  - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}
  - {name: gpu, accelerator: A100-80, count: 1, nodes: {max: 4}, capacity: [on-demand]}
""",
    "azure": """
cluster:
  kind: aks
  name: one
  version: "1.34"
  region: eastus
  subscription: 00000000-0000-4000-8000-000000000001
  tenant: 00000000-0000-4000-8000-000000000002
  storage: {type: azure-files}
  buckets: [{name: models}]
  registries: [{name: images}]
  dns: {zone: ml.example.internal}
  access: {via: network, admins: ["11111111-2222-3333-4444-555555555555"]}
pools:
  - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}, system: true}
  - {name: gpu, accelerator: A100-80, count: 1, nodes: {max: 4}, capacity: [on-demand]}
""",
}


def cluster(**keys: Any) -> Change:
    def change(stack: Stack) -> None:
        stack["cluster"] |= keys

    return change


def system(**keys: Any) -> Change:
    """Changes keys of the pool that cluster components run on."""

    def change(stack: Stack) -> None:
        stack["pools"][0] |= keys

    return change


def another(stack: Stack) -> None:
    """A pool before all others: names are nobody's place in a list."""
    stack["pools"].insert(1, {"name": "cpu", "machine": {"cpu": 8, "memory": "32Gi"}, "nodes": {"max": 3}})


PLACES = {"aws": ["us-east-1b"], "gcp": ["us-central1-c"], "azure": ["2"]}
IN_PLACE: dict[str, dict[str, Any]] = {
    "more nodes": {"nodes": {"min": 1, "max": 9}},
    "labels": {"labels": {"team": "ml"}},
    "surge": {"surge": 2},
}
OF_POOLS: dict[str, dict[str, Any]] = {
    **IN_PLACE,
    "spot": {"capacity": ["spot"]},
    "spot first": {"capacity": ["spot", "on-demand"]},
    "disk": {"disk": {"size": "300Gi"}},
    "taints": {"taints": [{"key": "team", "value": "ml"}]},
    "pods a node": {"max-pods": 64},
    "local disks": {"local-disks": "raw"},
    "time slices": {"sharing": {"time-slices": 4}},
}
OF_POOLS_IN: dict[str, dict[str, dict[str, Any]]] = {
    "aws": {
        "accelerator": {"accelerator": "T4", "machine": "g4dn.8xlarge"},
        "machine": {"machine": "g6.16xlarge"},
        "disk type": {"disk": {"type": "io2", "iops": 4000}},
        "fabric": {"fabric": True},
        "image family": {"image": {"os": "bottlerocket"}},
        "image release": {"image": {"release": "1.34.2-20260801"}},
        "repair": {"repair": False},
    },
    "gcp": {
        "accelerator": {"accelerator": "L4"},
        "machine": {"machine": "a2-ultragpu-2g", "count": 2},
        "driver version": {"driver": {"version": "latest"}},
        "flex": {"capacity": ["flex"]},
        "mig": {"sharing": {"mig": "all-1g.10gb"}},
        "node version": {"image": {"release": "1.34.2-gke.1000000"}},
        "placement": {"placement": "compact", "zones": ["us-central1-a"]},
        "repair": {"repair": False},
        "streaming": {"preload": {"streaming": True}},
    },
    "azure": {
        "accelerator": {"accelerator": "T4"},
        "machine": {"machine": "Standard_NC48ads_A100_v4", "count": 2},
        "disk type": {"disk": {"type": "Ephemeral", "size": "60Gi"}},
        "driver": {"driver": {"owner": "operator"}},
        "mig": {"sharing": {"mig": "all-1g.10gb"}},
    },
}
OF_CLUSTERS: dict[str, Change] = {
    "another bucket first": cluster(buckets=[{"name": "more"}, {"name": "models", "old-versions": 7}]),
    "another registry first": cluster(registries=[{"name": "more"}, {"name": "images", "untagged": 7}]),
    "deletion protection": cluster(**{"deletion-protection": False}),
    "kubernetes minor": cluster(version="1.35"),
    "system count": system(nodes={"min": 3, "max": 9}),
    "system disk": system(disk={"size": "150Gi"}),
    "system machine": system(machine={"cpu": 8, "memory": "32Gi"}),
    "tags": cluster(tags={"team": "ml"}),
}


def pools_in(cloud: str) -> dict[str, dict[str, Any]]:
    return {"zones": {"zones": PLACES[cloud]}, **OF_POOLS, **OF_POOLS_IN[cloud]}


def named(change: str) -> str:
    """The pool that one change is tried on: all are tried in one recording."""
    return f"gpu-{change.replace(' ', '-').replace(chr(39), '')}"


def text_of(stack: Stack) -> str:
    return yaml.safe_dump({"config": {f"espalier:{key}": value for key, value in stack.items()}})


@cache
def base(cloud: str) -> Graph:
    return recorded(text_of(yaml.safe_load(BASES[cloud])))


def changed(cloud: str, change: Change) -> Graph:
    stack = copy.deepcopy(yaml.safe_load(BASES[cloud]))
    change(stack)
    return recorded(text_of(stack))


@cache
def many(cloud: str, *, before: bool) -> Graph:
    """A pool for each change, before it or after it."""
    stack = yaml.safe_load(BASES[cloud])
    first, model = stack["pools"]
    changes = pools_in(cloud)
    stack["pools"] = [
        first,
        *(model | {"name": named(name)} | ({} if before else keys) for name, keys in changes.items()),
    ]
    return recorded(text_of(stack))


def of(graph: Graph, found: dict[str, Step], types: Iterable[str]) -> dict[str, Step]:
    return {name: found[name] for name in graph.of(*types)}


def of_change(cloud: str, change: str) -> dict[str, Step]:
    """What becomes of the groups of the pool that a change is tried on."""
    old, new = many(cloud, before=True), many(cloud, before=False)
    pool = named(change)
    mine = {name for graph in (old, new) for name, found in graph.of(*POOLS).items() if pool_of(found) == pool}
    assert mine
    return {name: step for name, step in steps(old, new).items() if name in mine}


@pytest.mark.parametrize("cloud", BASES)
def test_no_pool_goes_before_its_successor_stands(cloud: str) -> None:
    assert lost(many(cloud, before=True), many(cloud, before=False)) == []


UNHEARD = {("azure", "local disks")}
"""AKS leaves the disks of machines with accelerators as they are, whatever is asked."""


@pytest.mark.parametrize(("cloud", "change"), [(cloud, change) for cloud in BASES for change in pools_in(cloud)])
def test_every_change_of_a_pool_does_something_to_it(cloud: str, change: str) -> None:
    """A setting that no group hears of would be one that does nothing."""
    done = {step.op for step in of_change(cloud, change).values()} != {"same"}
    assert done == ((cloud, change) not in UNHEARD)


@pytest.mark.parametrize("change", OF_CLUSTERS)
@pytest.mark.parametrize("cloud", BASES)
def test_nothing_goes_before_its_successor_stands(cloud: str, change: str) -> None:
    assert lost(base(cloud), changed(cloud, OF_CLUSTERS[change])) == []


@pytest.mark.parametrize("cloud", BASES)
def test_a_window_of_maintenance_replaces_nothing(cloud: str) -> None:
    if cloud != "aws":  # EKS has none
        assert lost(base(cloud), changed(cloud, cluster(maintenance={"start": "sat 03:00", "hours": 13}))) == []


@pytest.mark.parametrize("cloud", BASES)
def test_nothing_changes_without_a_change(cloud: str) -> None:
    again = changed(cloud, lambda _: None)
    assert {step.op for step in steps(base(cloud), again).values()} == {"same"}


@pytest.mark.parametrize("cloud", BASES)
def test_what_cannot_change_in_place_gets_a_new_generation(cloud: str) -> None:
    """A pool of another machine is another pool in the cloud, under another name, made before the old one goes."""
    old, new = many(cloud, before=True), many(cloud, before=False)
    for change in ("machine", "accelerator", "spot first"):
        for name, step in of_change(cloud, change).items():
            if change == "spot first":
                assert step.op in {"create", "same", "update"}
                continue
            assert step.op == "replace"
            key = POOLS[new.resources[name].type]
            assert new.inputs(name)[key] != old.inputs(name)[key]


@pytest.mark.parametrize("cloud", BASES)
def test_what_can_change_in_place_does(cloud: str) -> None:
    """A label, more nodes, another surge: no node of a running pool is made anew for these."""
    for change in IN_PLACE:
        assert {step.op for step in of_change(cloud, change).values()} == {"update"}, change
    for change in ("kubernetes minor", "tags"):
        new = changed(cloud, OF_CLUSTERS[change])
        assert {step.op for step in of(new, steps(base(cloud), new), POOLS).values()} <= {"same", "update"}, change


@pytest.mark.parametrize("cloud", BASES)
def test_a_further_pool_replaces_no_other(cloud: str) -> None:
    """AKS's system pool is tainted once pods have somewhere else to go; that is done in place."""
    new = changed(cloud, another)
    found = of(new, steps(base(cloud), new), POOLS)
    assert {step.op for name, step in found.items() if "-gpu-" in name} == {"same"}
    assert {step.op for name, step in found.items() if "-cpu-" in name} == {"create"}
    assert {step.op for name, step in found.items() if "-system-" in name} <= {"same", "update"}


def resource_of(graph: Graph, types: Iterable[str], word: str = "") -> dict[str, Resource]:
    return {name: found for name, found in graph.of(*types).items() if word in name}


@pytest.mark.parametrize("cloud", BASES)
def test_a_minor_version_goes_from_the_control_plane_to_the_pools(cloud: str) -> None:
    new = changed(cloud, OF_CLUSTERS["kubernetes minor"])
    found = steps(base(cloud), new)
    (plane,) = new.of(*CLUSTERS)
    assert found[plane].op == "update"
    pools = resource_of(new, POOLS)
    assert pools
    for name in pools:
        follows = new.inputs(name).get("management", {}).get("autoUpgrade")  # GKE moves nodes by itself, in the window
        assert found[name].op == "update" or follows, f"{name} stays at the old minor version"
        assert plane in new.before[name]


def test_a_minor_version_of_eks_goes_by_the_add_ons() -> None:
    """VPC CNI and kube-proxy before every node, CoreDNS and the CSI driver before all pools but that they run on."""
    new = changed("aws", OF_CLUSTERS["kubernetes minor"])
    found = steps(base("aws"), new)
    (plane,) = new.of(*CLUSTERS)
    addons = {new.inputs(name)["addonName"]: name for name in new.of("aws:eks/addon:Addon")}
    assert {found[addons[name]].op for name in ("kube-proxy", "coredns")} == {"update"}
    assert {found[name].op for name in addons.values()} == {"same", "update"}  # some releases serve both minors
    for name in addons.values():
        assert plane in new.before[name]
    for name in resource_of(new, POOLS):
        assert {addons["vpc-cni"], addons["kube-proxy"]} <= new.before[name]
    wider = changed("aws", another)  # with a pool that has no accelerator
    later = {name for name in resource_of(wider, POOLS) if "-system-" not in name}
    assert len(later) == 2
    for name in later:
        assert {addons["coredns"], addons["aws-ebs-csi-driver"]} <= wider.before[name]
    system = resource_of(new, POOLS, "-system-")
    assert system
    assert system.keys() <= new.before[addons["coredns"]]  # it would never run without a node


def versions_of(found: dict[str, Step], new: Graph) -> tuple[set[str], set[str]]:
    """What a step changes: of the control plane and EKS's add-ons, and of node groups."""
    moved = {name for name, step in found.items() if step.op != "same"}
    return moved & {*new.of(*CLUSTERS), *new.of("aws:eks/addon:Addon")}, moved & resource_of(new, POOLS).keys()


def test_a_minor_version_of_eks_in_two_steps_leaves_every_node_to_the_second() -> None:
    """The system pool as well: CoreDNS and the CSI driver are through before any node of theirs is replaced."""
    first = changed("aws", cluster(**{"version": "1.35", "nodes-version": "1.34"}))
    second = changed("aws", OF_CLUSTERS["kubernetes minor"])
    planes, groups = versions_of(steps(base("aws"), first), first)
    assert len(planes) >= 3
    assert groups == set()
    planes, groups = versions_of(steps(first, second), second)
    assert planes == set()
    assert groups == resource_of(second, POOLS).keys()
    assert {second.inputs(name)["version"] for name in groups} == {"1.35"}


# The judge itself -------------------------------------------------------------------------------------------------


def program_of(type_: str, **inputs: Any) -> Graph:
    """One resource, called one."""
    import pulumi

    from espalier.engine.program import Program
    from espalier.engine.record import record

    options = {key: inputs.pop(key) for key in ("delete_before_replace", "ignore_changes") if key in inputs}

    def run() -> None:
        pulumi.CustomResource(type_, "one", inputs, pulumi.ResourceOptions(**options))

    recording = record(Program(run, "demo", "test"))
    return Graph({resource.name: resource for resource in recording.resources if resource.custom}, recording)


GROUP = "aws:eks/nodeGroup:NodeGroup"


def test_the_judge_finds_a_pool_that_goes_first() -> None:
    old = program_of(GROUP, nodeGroupName="a", amiType="X")
    assert lost(old, program_of(GROUP, nodeGroupName="a", amiType="Y")) == ["one: delete-before-replace by amiType"]
    assert lost(old, program_of(GROUP, nodeGroupName="b", amiType="Y")) == []
    first = program_of(GROUP, nodeGroupName="b", amiType="Y", delete_before_replace=True)
    assert lost(old, first) == ["one: delete-before-replace by amiType, nodeGroupName"]
    assert lost(old, Graph({}, old.recording)) == ["one: delete by leaving the program"]
    assert lost(old, program_of(GROUP, nodeGroupName="a", amiType="Y", ignore_changes=["amiType"])) == []


def test_the_judge_finds_a_cluster_or_a_volume_that_is_made_anew() -> None:
    for type_, key in (("aws:eks/cluster:Cluster", "roleArn"), ("gcp:filestore/instance:Instance", "tier")):
        old, new = program_of(type_, name="a", **{key: "x"}), program_of(type_, name="b", **{key: "y"})
        assert lost(old, new) == [f"one: replace by {', '.join(sorted(('name', key)))}"]
    assert set(CLUSTERS) & set(VOLUMES) == set()


def test_the_judge_finds_what_the_cloud_refuses() -> None:
    pool_type = "azure-native:containerservice:AgentPool"
    old = program_of(pool_type, agentPoolName="a", scaleSetPriority="Regular")
    new = program_of(pool_type, agentPoolName="a", scaleSetPriority="Spot")
    assert lost(old, new) == ["one: the cloud refuses to change scaleSetPriority"]
