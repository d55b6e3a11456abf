"""Karpenter by one setting: NodePools of the same pools, in their order, and a node that wakes for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.addons.karpenter import NAME, RECORD, values
from espalier.blueprint import wake_karpenter
from espalier.blueprint.clouds.eks import EksNodeGroup
from espalier.blueprint.order import plan_addons, with_implied
from espalier.blueprint.wake import why_not, works_of
from espalier.blueprint.wake_node import Recorded
from espalier.preflight.aws.settings import image_parameter
from espalier.settings.pool import Pool
from espalier.types import AddonInputs, Facts, Manifest
from tests.unit.eks_stacks import BLOCK, CATALOGUE, a_cluster, a_pool, compiled
from tests.unit.preflight_needs import needs

CLUSTER = a_cluster(autoscaler="karpenter", zones=["us-east-1a", "us-east-1b"], tags={"team": "ml"})
FACTS = Facts("eks", "1.35", True, cluster="c", region="us-east-1", autoscaler="karpenter")
H100 = {"name": "h100", "accelerator": "H100-80", "capacity": ["reserved", "spot", "on-demand"], "reservation": BLOCK}


def objects(*pools: Pool) -> dict[tuple[str, str], Manifest]:
    plans, mistakes = compiled(*pools, cluster=CLUSTER)
    assert mistakes == (), "\n".join(mistake.text() for mistake in mistakes)
    inputs = AddonInputs(FACTS, tuple(plan.facts() for plan in plans), RECORD.options())
    made = [planned.manifest for planned in RECORD.objects(inputs)]
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in made}


def requirement(pool: Manifest, key: str) -> Any:
    found = pool["spec"]["template"]["spec"]["requirements"]
    return next(one["values"] for one in found if one["key"] == key)


def test_each_kind_of_capacity_is_a_node_pool_in_the_pools_order() -> None:
    made = objects(a_pool(**H100))
    pools = [made["NodePool", f"h100-{kind}"] for kind in ("reserved", "spot", "on-demand")]
    assert [pool["spec"]["weight"] for pool in pools] == [100, 90, 80]
    kinds = [requirement(pool, "karpenter.sh/capacity-type") for pool in pools]
    assert kinds == [["reserved"], ["spot"], ["on-demand"]]
    assert all(requirement(pool, "node.kubernetes.io/instance-type") == ["p5.48xlarge"] for pool in pools)
    assert requirement(pools[1], "topology.kubernetes.io/zone") == ["us-east-1a"]  # EFA does not cross zones
    assert pools[0]["spec"]["limits"] == {"cpu": str(192 * 4)}


def test_spot_nodes_alone_are_tainted_as_such() -> None:
    made = objects(a_pool(**H100))
    taints = {
        kind: [taint["key"] for taint in made["NodePool", f"h100-{kind}"]["spec"]["template"]["spec"]["taints"]]
        for kind in ("spot", "on-demand")
    }
    assert taints == {"spot": ["nvidia.com/gpu", "espalier.dev/spot"], "on-demand": ["nvidia.com/gpu"]}


def test_the_node_class_is_as_safe_as_a_managed_group() -> None:
    spec = objects(a_pool(**H100))["EC2NodeClass", "h100-reserved"]["spec"]
    assert spec["metadataOptions"]["httpTokens"] == "required"
    assert spec["metadataOptions"]["httpPutResponseHopLimit"] == 2
    assert all(one["ebs"]["encrypted"] for one in spec["blockDeviceMappings"])
    assert spec["capacityReservationSelectorTerms"] == [{"id": BLOCK["id"]}]
    assert spec["instanceStorePolicy"] == "RAID0"
    assert spec["subnetSelectorTerms"] == [{"tags": {"karpenter.sh/discovery": "c"}}]
    assert (spec["instanceProfile"], "role" in spec) == ("c-us-east-1-nodes", False)
    assert spec["tags"]["team"] == "ml"


def test_work_on_accelerators_is_not_moved_and_does_not_age() -> None:
    made = objects(a_pool(**H100), a_pool(name="cpu", machine="m7i.2xlarge"))
    accelerated, plain = made["NodePool", "h100-spot"]["spec"], made["NodePool", "cpu-on-demand"]["spec"]
    assert accelerated["disruption"]["consolidationPolicy"] == "WhenEmpty"
    assert accelerated["template"]["spec"]["expireAfter"] == "Never"
    assert plain["disruption"]["consolidationPolicy"] == "WhenEmptyOrUnderutilized"
    assert plain["template"]["spec"]["expireAfter"] == "720h"


RELEASE = {"image": {"release": "1.35.2-20260801"}}


@pytest.mark.parametrize(
    ("image", "alias"),
    [
        ({}, "al2023@latest"),
        # amazon-eks-node-al2023-x86_64-nvidia-1.35-v20260801 is what Karpenter makes of it.
        ({"release": "1.35.2-20260801"}, "al2023@v20260801"),
        ({"os": "bottlerocket"}, "bottlerocket@latest"),
        ({"os": "bottlerocket", "release": "1.53.0-1a2b3c4d"}, "bottlerocket@1.53.0-1a2b3c4d"),
    ],
)
def test_an_image_is_named_as_karpenter_looks_it_up(image: dict[str, str], alias: str) -> None:
    made = objects(a_pool(name="p", accelerator="L4", image=image))
    assert made["EC2NodeClass", "p-on-demand"]["spec"]["amiSelectorTerms"] == [{"alias": alias}]


@pytest.mark.parametrize(
    ("image", "path"),
    [
        (
            {"release": "1.35.2-20260801"},
            "eks/optimized-ami/1.35/amazon-linux-2023/x86_64/nvidia/amazon-eks-node-al2023-x86_64-nvidia-1.35-v20260801",
        ),
        (
            {"os": "bottlerocket", "release": "1.53.0-1a2b3c4d"},
            "bottlerocket/aws-k8s-1.35-nvidia/x86_64/1.53.0-1a2b3c4d",
        ),
    ],
)
def test_preflight_asks_for_the_image_that_karpenter_will(image: dict[str, str], path: str) -> None:
    """Karpenter's path: al2023.go, resolvePath, and bottlerocket.go, of the alias's version."""
    pool = a_pool(name="p", accelerator="L4", image=image)
    (plan, *_), _ = compiled(pool, cluster=CLUSTER)
    asked = image_parameter(needs(CLUSTER), plan.groups[0], image["release"])
    assert asked
    assert asked.rpartition("/")[0] == f"/aws/service/{path}"
    spec = objects(pool)["EC2NodeClass", "p-on-demand"]["spec"]
    assert path.endswith(spec["amiSelectorTerms"][0]["alias"].partition("@")[2])


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ({"accelerator": "L4"}, True),
        ({"accelerator": "L4", **RELEASE}, False),
        ({"machine": "m7i.xlarge"}, False),
    ],
)
def test_a_new_image_ends_no_training_unless_it_was_asked_for(keys: dict[str, Any], kept: bool) -> None:
    """`latest` moves by itself; a release that is pinned moves when someone moves it."""
    pool = a_pool(name="p", **keys)
    budgets = objects(pool)["NodePool", "p-on-demand"]["spec"]["disruption"]["budgets"]
    assert budgets == [{"nodes": "10%"}, *([{"nodes": "0", "reasons": ["Drifted"]}] if kept else [])]
    (plan, *_), _ = compiled(pool, cluster=CLUSTER)
    (group,) = plan.groups
    assert isinstance(group, EksNodeGroup)
    note = (
        "p-on-demand: each new image is drift to Karpenter: nodes keep theirs until they are empty, and whatever else "
        "of the pool has changed; with image.release pinned, such changes replace them"
    )
    assert (note in group.notes) == kept


def test_the_system_pool_stays_a_managed_group() -> None:
    assert not any("system" in name for _, name in objects(a_pool(**H100)))


def test_each_pool_wakes_by_its_node_pools() -> None:
    """EFA's own driver is the first to ask for interfaces: Karpenter knows how many a machine has."""
    pools = (a_pool(**H100), a_pool(name="trn", accelerator="Trainium"), a_pool(name="cpu", machine="m7i.2xlarge"))
    made = objects(*pools)
    templates = wake_karpenter.templates(Recorded((), tuple(made.values()), CATALOGUE, "us-east-1"))
    plans, _ = compiled(*pools, cluster=CLUSTER)
    woken = {
        (work.name, group.key): why_not(work, templates[group.name], {})
        for plan in plans
        if plan.name != "system"
        for work in works_of(plan)
        for group in plan.groups
    }
    assert len(woken) == 9
    assert set(woken.values()) == {None}


HELD = {"id": "arn:aws:resource-groups:us-east-1:123456789012:group/held", "type": "group"}


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"accelerator": "L4", "nodes": {"min": 1, "max": 4}}, "nodes.min: got 1; accepted: 0: Karpenter makes nodes"),
        (
            {"accelerator": "L4", "capacity": ["reserved"], "zones": ["us-east-1a"], "reservation": HELD},
            "reservation.type: got group; accepted: a reservation or a capacity block: Karpenter selects these by",
        ),
    ],
)
def test_what_karpenter_cannot_do_is_said_with_what_can(keys: dict[str, Any], text: str) -> None:
    _, mistakes = compiled(a_pool(**keys), cluster=CLUSTER)
    assert [text in mistake.text() for mistake in mistakes] == [True], mistakes
    assert "or set espalier:cluster.autoscaler: cluster-autoscaler" in mistakes[0].do


def test_ubuntu_is_not_for_karpenters_nodes() -> None:
    image = {"os": "ubuntu", "release": "ami-0123456789abcdef0"}
    _, mistakes = compiled(a_pool(machine="m7i.xlarge", image=image), cluster=CLUSTER)
    assert [mistake.text() for mistake in mistakes] == [
        "espalier:pools[0].image.os: got ubuntu, under Karpenter; accepted: al2023 or bottlerocket: Karpenter tells an "
        "image of its family Custom nothing of its NodePool. Change image.os, or set espalier:cluster.autoscaler: "
        "cluster-autoscaler."
    ]


SHARED: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"accelerator": "L4", "count": 4, "sharing": {"time-slices": 4}}, {"nvidia.com/gpu": "16"}),
    ({"accelerator": "L4", "count": 1, "sharing": {"mps": 3}}, {"nvidia.com/gpu": "3"}),
    (
        {"accelerator": "A100-80", "count": 8, "fabric": False, "sharing": {"mig": "all-1g.10gb"}},
        {"nvidia.com/gpu": "0", "nvidia.com/mig-1g.10gb": "56"},
    ),
]


@pytest.mark.parametrize(("keys", "capacity"), SHARED)
def test_karpenter_is_told_what_a_node_with_shared_devices_advertises(
    keys: dict[str, Any], capacity: dict[str, str]
) -> None:
    """By itself it counts a machine's whole devices: no node for slices, and one a pod for shares."""
    pool = a_pool(name="p", **keys)
    made = objects(pool)
    assert made["NodeOverlay", "p-on-demand"]["spec"] == {
        "requirements": [{"key": "karpenter.sh/nodepool", "operator": "In", "values": ["p-on-demand"]}],
        "capacity": capacity,
    }
    (plan, *_), _ = compiled(pool, cluster=CLUSTER)

    def why(objects: Iterable[Any]) -> set[str | None]:
        recorded = Recorded((), tuple(objects), CATALOGUE, "us-east-1")
        return {why_not(work, wake_karpenter.templates(recorded)[plan.groups[0].name], {}) for work in works_of(plan)}

    assert why(made.values()) == {None}
    assert why(one for one in made.values() if one["kind"] != "NodeOverlay") != {None}


def test_the_plan_says_that_overlays_are_alpha() -> None:
    (plan, *_), _ = compiled(a_pool(**SHARED[0][0]), cluster=CLUSTER)
    (group,) = plan.groups
    assert isinstance(group, EksNodeGroup)
    assert (
        "p-on-demand: Karpenter knows how its devices are shared by a NodeOverlay, which is alpha in Karpenter 1.14"
    ) in group.notes


def test_the_alpha_gate_of_overlays_is_open_where_there_is_one() -> None:
    for keys, gates in (
        ({"accelerator": "L4"}, {"reservedCapacity": True}),
        (SHARED[0][0], {"reservedCapacity": True, "nodeOverlay": True}),
    ):
        plans, _ = compiled(a_pool(**keys), cluster=CLUSTER)
        told = values(AddonInputs(FACTS, tuple(plan.facts() for plan in plans), RECORD.options()))
        assert told["settings"]["featureGates"] == gates


@pytest.mark.parametrize(
    ("keys", "strategy"),
    [
        ({"machine": "m7i.xlarge", "placement": "compact"}, "cluster"),
        ({"machine": "m7i.xlarge", "placement": "spread"}, "spread"),
        ({"accelerator": "H100-80", "count": 8, "zones": ["us-east-1a"]}, "cluster"),
        ({"machine": "m7i.xlarge"}, None),
    ],
)
def test_nodes_are_placed_in_a_group_whose_name_lasts(keys: dict[str, Any], strategy: str | None) -> None:
    """Karpenter replaces the nodes of an old generation itself, and the group must last as long as they do."""
    made = objects(a_pool(name="p", **keys))["EC2NodeClass", "p-on-demand"]["spec"]
    (plan, *_), _ = compiled(a_pool(name="p", **keys), cluster=CLUSTER)
    (group,) = plan.groups
    assert isinstance(group, EksNodeGroup)
    name = f"c-p-on-demand-{strategy}" if strategy else ""
    assert made.get("placementGroupSelector") == ({"name": name} if strategy else None)
    assert group.placement_group == name


def test_a_cluster_that_asks_for_it_has_it_and_no_other_autoscaler() -> None:
    assert set(with_implied({}, RECORDS, FACTS)) == {NAME}


@pytest.mark.parametrize(
    ("kind", "autoscaler", "text"),
    [
        (
            "eks",
            "cluster-autoscaler",
            "got beside autoscaler: cluster-autoscaler; accepted: one autoscaler. Set espalier:cluster.autoscaler: "
            "karpenter, which brings it; or remove it.",
        ),
        (
            "eks",
            "",
            "got beside autoscaler: the given cluster; accepted: one autoscaler. Set espalier:cluster.autoscaler: "
            "karpenter, which brings it; or remove it.",
        ),
        ("gke", "managed", "got on a cluster of kind gke; accepted: a cluster of kind eks. Remove it."),
    ],
)
def test_where_it_cannot_be_is_a_mistake(kind: str, autoscaler: str, text: str) -> None:
    other = Facts(kind, "1.35", True, cluster="c", region="r", autoscaler=autoscaler)
    _, mistakes = plan_addons({NAME: {}}, RECORDS, other, [])
    assert [mistake.text() for mistake in mistakes] == [f"espalier:addons.karpenter: {text}"]


def test_the_chart_is_told_whether_there_is_a_way_out() -> None:
    """Karpenter asks IAM when a NodeClass goes, and waits for ever where it has no way there."""
    for facts, told in ((FACTS, {}), (replace(FACTS, isolated=True), {"isolatedVPC": True})):
        settings = values(AddonInputs(facts, (), RECORD.options()))["settings"]
        assert {key: value for key, value in settings.items() if key == "isolatedVPC"} == told


def test_the_chart_is_told_whose_cluster_it_is() -> None:
    told = values(AddonInputs(FACTS, (), RECORD.options()))
    assert told["settings"]["clusterName"] == "c"
    assert told["settings"]["interruptionQueue"] == "c"
    assert told["serviceAccount"]["name"] == "karpenter"
