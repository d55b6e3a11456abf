"""One pool, compiled for GKE: every field that its API takes, and what its nodes look like to the scheduler."""

from __future__ import annotations

from typing import Any

import pytest

from espalier.blueprint import Blueprint, build
from espalier.blueprint.clouds.gke import GkeNodePool, GkePlan
from espalier.blueprint.clouds.gke.machines import PARTITIONS, TYPES
from espalier.blueprint.clouds.gke.zones import regions, usual_zones, zones
from espalier.catalogue import catalogue
from espalier.settings import validate

SYSTEM = {"name": "system", "machine": "e2-standard-4", "nodes": {"min": 1, "max": 3}}
CLUSTER = {
    "kind": "gke",
    "name": "ml",
    "project": "example-ml",
    "version": "1.35",
    "region": "us-central1",
    "access": {"via": "dns-endpoint"},
}


def blueprint(*pools: dict[str, Any], **cluster: Any) -> Blueprint:
    keys = {key.replace("_", "-"): value for key, value in cluster.items()}
    return build(validate({"cluster": CLUSTER | keys, "pools": [SYSTEM, *pools]}, where="espalier"), {})


def plan_of(*pools: dict[str, Any], **cluster: Any) -> GkePlan:
    plan = blueprint(*pools, **cluster).cloud
    assert isinstance(plan, GkePlan)
    return plan


def groups_of(pool: dict[str, Any], **cluster: Any) -> list[GkeNodePool]:
    plan = plan_of({"name": "p", "nodes": {"max": 4}} | pool, **cluster)
    return [group for group in plan.groups if isinstance(group, GkeNodePool) and group.pool == "p"]


def group_of(pool: dict[str, Any], **cluster: Any) -> GkeNodePool:
    (group,) = groups_of(pool, **cluster)
    return group


L4 = {"accelerator": "L4", "count": 1}
H100 = {"accelerator": "H100-80", "count": 8, "machine": "a3-highgpu-8g"}
V6E = {"accelerator": "TPU-v6e", "topology": "4x4", "nodes": {"max": 8}}


def test_gpus_come_with_their_driver_said() -> None:
    """GKE's own default of the driver would show as a change that replaces the pool."""
    for driver, expected in (({}, "DEFAULT"), ({"version": "latest"}, "LATEST"), ({"owner": "cloud"}, "DEFAULT")):
        gpus = group_of(L4 | {"driver": driver}).gpus
        assert gpus is not None
        assert (gpus.type, gpus.count, gpus.driver) == ("nvidia-l4", 1, expected)


def test_an_operators_driver_switches_off_what_gke_installs() -> None:
    group = group_of(L4 | {"driver": {"owner": "operator"}, "image": {"os": "ubuntu"}})
    assert group.gpus is not None
    assert group.gpus.driver == "INSTALLATION_DISABLED"
    assert group.image_type == "UBUNTU_CONTAINERD"
    assert group.labels["gke-no-default-nvidia-gpu-device-plugin"] == "true"
    assert not group.secure_boot  # its kernel modules are not signed
    assert group_of(L4).secure_boot


def test_googles_installer_by_ones_own_hand_on_cos_leaves_the_plugin_to_an_add_on() -> None:
    group = group_of(L4 | {"driver": {"owner": "host"}})
    assert group.gpus is not None
    assert group.gpus.driver == "INSTALLATION_DISABLED"
    assert group.labels["gke-no-default-nvidia-gpu-device-plugin"] == "true"
    assert "cloud.google.com/gke-gpu-driver-version" not in group.shape.labels  # what that installer selects by
    assert group.image_type == "COS_CONTAINERD"
    assert group.secure_boot  # Google signs its modules


def test_attached_accelerators_have_their_type() -> None:
    gpus = group_of({"accelerator": "T4", "count": 2, "machine": "n1-standard-8"}).gpus
    assert gpus is not None
    assert (gpus.type, gpus.count) == ("nvidia-tesla-t4", 2)


@pytest.mark.parametrize(
    ("sharing", "partition", "strategy", "clients", "devices"),
    [
        ({"mig": "all-1g.10gb"}, "1g.10gb", None, 1, {"nvidia.com/gpu": 56}),
        ({"time-slices": 4}, None, "TIME_SHARING", 4, {"nvidia.com/gpu": 32}),
        ({"mps": 3}, None, "MPS", 3, {"nvidia.com/gpu": 24}),
        (None, None, None, 1, {"nvidia.com/gpu": 8}),
    ],
)
def test_devices_are_shared_by_gkes_own_plugin(
    sharing: Any, partition: str | None, strategy: str | None, clients: int, devices: dict[str, int]
) -> None:
    group = group_of(H100 | {"sharing": sharing})
    assert group.gpus is not None
    assert (group.gpus.partition, group.gpus.sharing, group.gpus.clients) == (partition, strategy, clients)
    assert dict(group.shape.devices) == devices
    assert {key: group.shape.capacity[key] for key in devices} == {key: str(n) for key, n in devices.items()}
    assert group.shape.labels.get("cloud.google.com/gke-gpu-partition-size") == partition


def test_spot_has_a_taint_of_its_own_beside_the_accelerators() -> None:
    group = group_of(L4 | {"capacity": ["spot"]})
    assert group.spot
    assert [str(taint) for taint in group.taints] == [
        "nvidia.com/gpu=present:NoSchedule",
        "cloud.google.com/gke-spot=true:NoSchedule",
    ]
    assert group.shape.taints == group.taints
    assert group.shape.labels["cloud.google.com/gke-spot"] == "true"
    assert "cloud.google.com/gke-spot" not in group.labels  # GKE sets it


def test_each_kind_of_capacity_is_a_node_pool_and_the_first_alone_keeps_nodes() -> None:
    found = groups_of(L4 | {"capacity": ["spot", "on-demand"], "nodes": {"min": 1, "max": 4, "start": 2}})
    assert [(g.key, g.spot, g.minimum, g.maximum, g.start) for g in found] == [
        ("p-spot", True, 1, 4, 2),
        ("p-on-demand", False, 0, 4, 0),
    ]
    assert [g.autoscaling and (g.autoscaling.minimum, g.autoscaling.maximum) for g in found] == [(1, 4), (0, 4)]


def test_a_reservation_is_named_and_its_zone_is_the_pools() -> None:
    reserved, spot = groups_of(
        H100 | {"capacity": ["reserved", "spot"], "reservation": {"id": "training", "zones": ["us-central1-c"]}}
    )
    assert (reserved.reservation, reserved.zones, reserved.surge) == ("training", ("us-central1-c",), 0)
    assert (spot.reservation, spot.surge) == (None, 1)


def test_flex_start_ends_by_itself_and_is_not_repaired() -> None:
    group = group_of(H100 | {"capacity": ["flex"], "flex": {"max-run": "3d", "queued": True}})
    assert (group.flex, group.max_run, group.repair, group.queued) == (True, "259200s", False, True)
    assert group.placement is None
    assert group.labels["cloud.google.com/gke-queued"] == "true"  # GKE adds the taint alone
    assert "cloud.google.com/gke-queued" in {taint.key for taint in group.shape.taints}
    assert "cloud.google.com/gke-queued" not in {taint.key for taint in group.taints}
    assert group_of(H100 | {"capacity": ["flex"]}).max_run == "604800s"


def test_a_multi_host_slice_is_one_atomic_node_pool() -> None:
    found = groups_of(V6E | {"nodes": {"min": 4, "max": 8}})
    assert [(g.key, g.minimum, g.maximum, g.start) for g in found] == [
        ("p-on-demand-0", 4, 4, 4),
        ("p-on-demand-1", 0, 4, 0),
    ]
    for group in found:
        assert group.placement is not None
        assert (group.placement.tpu_topology, group.placement.workload_policy) == ("4x4", None)
        assert group.zones == ("us-central1-b",)  # the region's only zone with v6e
        assert group.autoscaling is not None
        assert group.autoscaling.per_zone
        assert group.gpus is None
        assert group.shape.labels["cloud.google.com/gke-tpu-topology"] == "4x4"
        assert group.shape.labels["cloud.google.com/gke-tpu-accelerator"] == "tpu-v6e-slice"
        assert not any(key.startswith("cloud.google.com/") for key in group.labels)


def test_a_slice_more_leaves_the_others_as_they_are() -> None:
    before = [group.name for group in groups_of(V6E)]
    after = [group.name for group in groups_of(V6E | {"nodes": {"max": 16}})]
    assert after[: len(before)] == before
    assert len(after) == 4


def test_a_single_host_slice_is_a_node_of_a_plain_pool() -> None:
    group = group_of({"accelerator": "TPU-v5e", "topology": "2x2"})
    assert (group.key, group.machine_type, group.maximum) == ("p-on-demand", "ct5lp-hightpu-4t", 4)
    assert group.placement is None
    assert group.autoscaling is not None
    assert not group.autoscaling.per_zone


def test_flex_slices_have_limits_by_zone_and_one_zone() -> None:
    group = group_of({"accelerator": "TPU-v6e", "topology": "2x2", "capacity": ["flex"]}, region="us-east5")
    assert group.autoscaling is not None
    assert group.autoscaling.per_zone
    assert group.zones == ("us-east5-a",)


def test_tpu7x_slices_get_a_workload_policy() -> None:
    found = groups_of({"accelerator": "TPU-v7x", "topology": "2x2x2", "nodes": {"max": 4}, "zones": ["us-central1-c"]})
    assert [group.placement and group.placement.workload_policy for group in found] == [
        f"{group.name}-slice" for group in found
    ]
    assert len(found) == 2


def test_a_pool_of_gb200_is_one_nvlink_domain() -> None:
    reserved = {"capacity": ["reserved"], "reservation": {"id": "r", "zones": ["us-central1-a"]}}
    group = group_of({"accelerator": "GB200", "nodes": {"max": 18}} | reserved)
    assert group.placement is not None
    assert (group.placement.workload_policy, group.placement.policy_topology) == (f"{group.name}-domain", "1x72")
    assert group.placement.tpu_topology is None
    assert (group.disk_type, group.ephemeral_ssds, group.fabric) == ("hyperdisk-balanced", 4, True)
    assert [str(taint) for taint in group.shape.taints] == [
        "nvidia.com/gpu=present:NoSchedule",
        "kubernetes.io/arch=arm64:NoSchedule",  # GKE's own, of Arm machines
    ]


def test_the_fast_network_is_attached_where_the_version_can() -> None:
    group = group_of(H100)
    assert group.fabric
    assert group.labels["cloud.google.com/gke-networking-dra-driver"] == "true"
    assert group.placement is not None
    assert len(group.zones) == 1
    assert not group_of(H100, version="1.34").fabric
    off = group_of(H100 | {"fabric": False})
    assert (off.fabric, off.placement) == (False, None)


def test_local_ssds_hold_what_pods_write() -> None:
    assert group_of(H100).ephemeral_ssds == 16
    assert group_of(H100).shape.capacity["ephemeral-storage"] == "5587Gi"
    raw = group_of(H100 | {"local-disks": "raw"})
    assert (raw.ephemeral_ssds, raw.raw_ssds) == (0, 16)
    assert raw.shape.capacity["ephemeral-storage"] == "200Gi"
    unused = group_of(H100 | {"local-disks": "unused"})
    assert (unused.ephemeral_ssds, unused.raw_ssds) == (0, 0)


def test_disks_are_of_a_type_that_the_machine_boots_from() -> None:
    assert group_of(L4).disk_type == "pd-balanced"
    assert group_of({"machine": "n4-standard-4"}).disk_type == "hyperdisk-balanced"
    v6e = groups_of(V6E)[0]
    assert (v6e.disk_type, v6e.disk_gib) == ("hyperdisk-balanced", 200)
    disk = {"size": "150G", "iops": 4000, "throughput": 200}
    sized = group_of({"machine": "n4-standard-4", "disk": disk})
    assert (sized.disk_gib, sized.disk_iops, sized.disk_throughput) == (140, 4000, 200)


def test_images_are_preloaded_or_streamed() -> None:
    group = group_of(L4 | {"preload": {"snapshot": "global/images/models"}})
    assert (group.preload_image, group.streaming) == ("global/images/models", True)
    assert (group_of(L4 | {"preload": {"streaming": True}}).preload_image) is None
    assert group_of(L4 | {"preload": {"streaming": True}}).streaming
    assert not group_of(L4).streaming


def test_zones_are_those_of_the_cluster_that_have_the_machine() -> None:
    assert group_of({"machine": "n2-standard-4"}).zones == ("us-central1-a", "us-central1-b", "us-central1-c")
    h100_1g = {"accelerator": "H100-80", "count": 1, "capacity": ["spot"]}
    assert group_of(h100_1g).zones == ("us-central1-a", "us-central1-c")
    one = group_of(L4 | {"zones": ["us-central1-a"]})
    assert one.zones == ("us-central1-a",)
    assert one.shape.labels["topology.kubernetes.io/zone"] == "us-central1-a"
    assert "topology.kubernetes.io/zone" not in group_of(L4).shape.labels
    assert group_of({"accelerator": "B200", "count": 8, "capacity": ["spot"], "machine": "a4-highgpu-8g"}).zones == (
        "us-central1-b",
    )


def test_scarce_machines_are_taken_where_they_are() -> None:
    for pool, policy in (({"machine": "n2-standard-4"}, "BALANCED"), (L4, "ANY")):
        autoscaling = group_of(pool).autoscaling
        assert autoscaling is not None
        assert autoscaling.policy == policy
    assert group_of(L4, autoscaler="none").autoscaling is None


@pytest.mark.parametrize(
    "change",
    [
        {"machine": "g2-standard-8"},
        {"capacity": ["spot"]},
        {"driver": {"version": "latest"}},
        {"sharing": {"time-slices": 2}},
        {"taints": [{"key": "a"}]},
        {"disk": {"size": "300Gi"}},
        {"max-pods": 32},
        {"image": {"os": "ubuntu"}},
        {"preload": {"streaming": True}},
        {"local-disks": "raw"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_cannot_change_in_place_is_another_node_pool(change: dict[str, Any]) -> None:
    old, new = group_of(L4), group_of(L4 | change)
    assert new.generation != old.generation
    assert new.name != old.name


@pytest.mark.parametrize(
    "change",
    [{"nodes": {"max": 9}}, {"labels": {"a": "b"}}, {"surge": 3}, {"repair": False}, {"zones": ["us-central1-a"]}],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_in_place_leaves_the_node_pool(change: dict[str, Any]) -> None:
    assert group_of(L4 | change).name == group_of(L4).name


def test_names_fit_the_limit_and_differ() -> None:
    long = "a-pool-whose-name-is-very-long"
    plan = plan_of({**L4, "name": long, "nodes": {"max": 2}, "capacity": ["spot", "on-demand"]})
    names = [group.name for group in plan.groups]
    assert max(map(len, names)) <= 40
    assert len(set(names)) == len(names)


def test_what_the_plan_tells_besides() -> None:
    told = plan_of(
        {"name": "p", "nodes": {"max": 1}, **L4, "capacity": ["on-demand", "spot"]},
        tags={"Team": "Vision"},
        maintenance={"hours": 4},
    ).notes
    assert any(note.startswith("pool p: its order on-demand, spot is kept for pods that select") for note in told)
    assert "tags: Team=Vision becomes team=vision, as Google Cloud's labels are written" in told
    assert any("lasts 12 hours instead of 4" in note for note in told)
    assert any("tenants' groups have no rights" in note for note in told)
    grouped = plan_of(security_group="gke-security-groups@example.com").notes
    assert not any("tenants' groups" in note for note in grouped)
    told = plan_of({"name": "p", "nodes": {"max": 1}, **H100}).notes
    way = "pool p: pods get the machine's fast networks by ResourceClaims (DRANET)"
    assert f"{way}, in place of GPUDirect's TCPX and TCPXO" in told
    a4 = {"accelerator": "B200", "count": 8, "nodes": {"max": 1}, "capacity": ["spot"]}
    assert way in plan_of({"name": "p", **a4}).notes
    told = plan_of({"name": "p", "nodes": {"max": 1}, **H100}, version="1.34").notes
    assert any(note.startswith("pool p: from 1.35 on its fast network is attached") for note in told)
    told = plan_of({"name": "p", "nodes": {"max": 1}, **H100, "fabric": False}, version="1.34").notes
    assert not any("fast network" in note for note in told)
    reserved = {"capacity": ["reserved"], "reservation": {"id": "r", "zones": ["us-central1-a"]}}
    told = plan_of({"name": "p", "nodes": {"max": 1}, **H100, **reserved}).notes
    assert "pool p: reserved upgrades without a spare node: one is missing at a time" in told


def test_three_regions_have_zones_of_their_own() -> None:
    """Source: Google Cloud, "Regions and zones"."""
    assert zones("europe-west1") == ("europe-west1-b", "europe-west1-c", "europe-west1-d")
    assert zones("us-east1") == ("us-east1-b", "us-east1-c", "us-east1-d")
    assert usual_zones("us-central1") == ("us-central1-a", "us-central1-b", "us-central1-c")
    assert all(len(usual_zones(region)) == 3 for region in regions())


def test_names_of_accelerators_are_the_catalogues() -> None:
    known = catalogue()
    for name, type_ in TYPES.items():
        rows = known.machines_with(name, "gcp")
        assert {row.cloud_accelerator for row in rows if row.accelerator == name} <= {
            type_,
            "nvidia-h100-mega-80gb",
            "",
        }
    for name, sizes in PARTITIONS.items():
        assert set(sizes) <= set(known.accelerators[name].mig)
