"""One portable pool on EKS: what its node groups ask of the API, and what a user is told where that cannot be."""

from __future__ import annotations

import json
import shlex
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from espalier.blueprint.clouds.eks import tags
from espalier.blueprint.clouds.eks.images import AMI_TYPES
from espalier.blueprint.clouds.eks.launch import HUGE_PAGES, Interface
from espalier.catalogue import catalogue
from espalier.types import Taint
from tests.unit.eks_stacks import BLOCK, CATALOGUE, a_cluster, a_pool, compiled, group_of, groups_of

H100 = {"accelerator": "H100-80", "count": 8}
TRAINIUM = {"accelerator": "Trainium", "count": 16}
SPOT = Taint("espalier.dev/spot", "true")
LABEL, RESOURCE, TAINT = tags.LABEL, tags.RESOURCE, tags.TAINT

UBUNTU = {"os": "ubuntu", "release": "ami-0123456789abcdef0"}


@pytest.mark.parametrize(
    ("keys", "ami_type"),
    [
        ({"machine": {"cpu": 4, "memory": "16Gi"}}, "AL2023_x86_64_STANDARD"),
        ({"machine": "m8g.xlarge"}, "AL2023_ARM_64_STANDARD"),
        ({"machine": "m8g.xlarge", "image": {"os": "bottlerocket"}}, "BOTTLEROCKET_ARM_64"),
        ({"machine": "m7i.xlarge", "image": {"os": "bottlerocket"}}, "BOTTLEROCKET_x86_64"),
        ({"accelerator": "L4"}, "AL2023_x86_64_NVIDIA"),
        ({"accelerator": "L4", "image": {"os": "bottlerocket"}}, "BOTTLEROCKET_x86_64_NVIDIA"),
        ({"accelerator": "GB200", "capacity": ["reserved"], "reservation": BLOCK}, "AL2023_ARM_64_NVIDIA"),
        (TRAINIUM, "AL2023_x86_64_NEURON"),
        ({"accelerator": "Inferentia2"}, "AL2023_x86_64_NEURON"),
    ],
)
def test_the_image_follows_from_accelerator_architecture_and_system(keys: dict[str, Any], ami_type: str) -> None:
    assert group_of(**keys).ami_type == ami_type


def test_every_image_is_one_that_eks_has() -> None:
    known = get_session().get_service_model("eks").shape_for("AMITypes").enum  # pyright: ignore
    assert set(AMI_TYPES.values()) <= set(known)  # pyright: ignore


def test_spot_takes_all_its_machine_types_and_on_demand_the_first() -> None:
    pool = a_pool(machine="m6i.xlarge", machines=["m7i.xlarge", "m7a.xlarge"], capacity=["spot", "on-demand"])
    spot, plain = groups_of(pool)
    assert (spot.capacity_type, spot.instance_types) == ("SPOT", ("m6i.xlarge", "m7i.xlarge", "m7a.xlarge"))
    assert (plain.capacity_type, plain.instance_types) == ("ON_DEMAND", ("m6i.xlarge",))
    assert SPOT in spot.taints
    assert SPOT not in plain.taints
    assert spot.shape.labels["eks.amazonaws.com/capacityType"] == "SPOT"


def test_nodes_are_kept_by_the_preferred_kind_alone() -> None:
    first, second = groups_of(a_pool(accelerator="L4", capacity=["spot", "on-demand"], nodes={"min": 2, "max": 5}))
    assert (first.minimum, first.start, first.maximum) == (2, 2, 5)
    assert (second.minimum, second.start, second.maximum) == (0, 0, 5)


def test_a_targeted_reservation_is_on_demand_capacity_in_its_zone() -> None:
    held = {"id": "cr-0123456789abcdef0", "zones": ["us-east-1b"]}
    group = group_of(accelerator="L4", capacity=["reserved"], reservation=held)
    assert group.capacity_type == "ON_DEMAND"
    assert group.template.reservation == "cr-0123456789abcdef0"
    assert group.template.market is None
    assert group.zones == ("us-east-1b",)
    assert group.instance_types == ("g6.48xlarge",)


def test_a_group_of_reservations_is_named_by_its_arn() -> None:
    arn = "arn:aws:resource-groups:us-east-1:123456789012:group/l4"
    group = group_of(accelerator="L4", capacity=["reserved"], reservation={"id": arn, "type": "group"})
    assert (group.template.reservation_group, group.template.reservation) == (arn, None)


def test_a_capacity_block_names_its_machine_in_the_template_alone() -> None:
    group = group_of(**H100, capacity=["reserved"], reservation=BLOCK)
    assert group.capacity_type == "CAPACITY_BLOCK"
    assert group.template.instance_type == "p5.48xlarge"
    assert group.template.market == "capacity-block"
    assert group.instance_types == ()
    assert (group.minimum, group.start, group.zones) == (0, 0, ("us-east-1a",))
    assert any("40 minutes" in note for note in group.notes)


def test_capacity_that_is_reserved_joins_no_placement_group() -> None:
    reserved, plain = groups_of(a_pool(**H100, capacity=["reserved", "on-demand"], reservation=BLOCK))
    assert reserved.template.placement is None
    assert plain.template.placement == "cluster"


def test_reserved_capacity_is_upgraded_without_spare_nodes_and_says_so() -> None:
    held = {"id": "cr-0123456789abcdef0", "zones": ["us-east-1b"]}
    group = group_of(accelerator="L4", capacity=["reserved"], reservation=held)
    assert (group.surge, group.max_unavailable) == (False, 1)
    assert any("without spare nodes" in note for note in group.notes)
    assert group_of(accelerator="L4").surge
    assert not group_of(accelerator="L4", surge=0).surge
    assert group_of(accelerator="L4", surge=3).max_unavailable == 3


def test_efa_has_an_interface_a_card_and_one_zone() -> None:
    group = group_of(**H100)
    first, *others = group.template.interfaces
    assert first == Interface(card=0, device=0, type="efa")
    assert others == [Interface(card=card, device=1, type="efa-only") for card in range(1, 32)]
    assert len(group.zones) == 1
    assert group.labels["vpc.amazonaws.com/efa.present"] == "true"
    assert group.shape.capacity["vpc.amazonaws.com/efa"] == "32"
    assert group.shape.capacity["hugepages-2Mi"] == str(HUGE_PAGES)
    assert any("one zone, us-east-1a" in note for note in group.notes)


def test_a_first_card_without_efa_carries_addresses_alone() -> None:
    first, *others = group_of(accelerator="B300").template.interfaces
    assert first.type == "interface"
    assert {one.type for one in others} == {"efa-only"}
    assert len(others) == 16


def test_efa_is_not_used_where_it_is_turned_off_or_the_machine_is_for_itself() -> None:
    assert group_of(**H100, fabric=False).template.interfaces == ()
    plain = group_of(accelerator="L4")  # has one interface for EFA, and is no machine for work across nodes
    assert plain.template.interfaces == ()
    assert "vpc.amazonaws.com/efa" not in plain.shape.capacity
    assert len(plain.zones) == 3
    assert len(group_of(accelerator="L4", fabric=True).template.interfaces) == 1


def test_the_label_that_the_autoscaler_waits_by_is_only_where_it_knows_the_device() -> None:
    assert group_of(accelerator="L4").labels[tags.ACCELERATOR] == "nvidia-l4"
    assert group_of(accelerator="T4").labels[tags.ACCELERATOR] == "nvidia-tesla-t4"
    assert tags.ACCELERATOR not in group_of(**TRAINIUM).labels
    assert any("aws.amazon.com/neuron is not advertised yet" in note for note in group_of(**TRAINIUM).notes)
    assert not any("not advertised" in note for note in group_of(accelerator="L4").notes)
    assert tags.ACCELERATOR not in group_of(accelerator="A100-80", sharing={"mig": "all-1g.10gb"}).labels


def test_tags_say_labels_taints_and_every_extended_resource() -> None:
    neuron = group_of(**TRAINIUM)
    assert neuron.asg_tags[f"{RESOURCE}aws.amazon.com/neuron"] == "16"
    assert neuron.asg_tags[f"{RESOURCE}aws.amazon.com/neuroncore"] == "32"
    assert neuron.asg_tags[f"{RESOURCE}vpc.amazonaws.com/efa"] == "8"
    assert neuron.asg_tags[f"{TAINT}aws.amazon.com/neuron"] == "present:NoSchedule"
    assert neuron.asg_tags[f"{LABEL}espalier.dev/pool"] == "p"
    assert {f"{LABEL}{key}" for key in neuron.labels} <= set(neuron.asg_tags)
    spot = group_of(accelerator="L4", capacity=["spot"])
    assert spot.asg_tags[f"{TAINT}espalier.dev/spot"] == "true:NoSchedule"
    assert spot.asg_tags[f"{LABEL}eks.amazonaws.com/capacityType"] == "SPOT"


def test_a_node_that_is_cut_into_slices_has_no_whole_gpu_to_give() -> None:
    """The autoscaler reads eight GPUs off the machine type, unless the tag says otherwise."""
    cut = group_of(accelerator="A100-80", count=8, sharing={"mig": "all-1g.10gb"})
    assert cut.asg_tags[f"{RESOURCE}nvidia.com/mig-1g.10gb"] == "56"
    assert cut.asg_tags[f"{RESOURCE}nvidia.com/gpu"] == "0"


MIG = [
    (name, row.devices, profile)
    for name, row in sorted(CATALOGUE.machines("aws").items())
    if row.accelerator and (known := CATALOGUE.accelerators[row.accelerator]).profiles and "on-demand" in row.capacity
    for profile in known.mig
]


@given(case=st.sampled_from(MIG))
def test_slices_in_tags_are_the_devices_times_their_instances(case: tuple[str, int, str]) -> None:
    name, devices, profile = case
    row = CATALOGUE.machines("aws")[name]
    group = group_of(accelerator=row.accelerator, machine=name, sharing={"mig": f"all-{profile}"})
    each = CATALOGUE.accelerators[row.accelerator].mig[profile]
    resource = f"nvidia.com/mig-{profile.replace('+', '.')}"
    assert group.asg_tags[RESOURCE + resource] == str(devices * each) == str(group.shape.devices[resource])
    assert group.asg_tags[f"{RESOURCE}nvidia.com/gpu"] == "0"


@given(copies=st.integers(2, 48), way=st.sampled_from(["time-slices", "mps"]), count=st.sampled_from([1, 4, 8]))
def test_shares_in_tags_are_the_devices_times_the_copies(copies: int, way: str, count: int) -> None:
    group = group_of(accelerator="L4", count=count, sharing={way: copies})
    assert group.asg_tags[f"{RESOURCE}nvidia.com/gpu"] == str(count * copies)
    assert group.shape.devices == {"nvidia.com/gpu": count * copies}


@given(pods=st.integers(8, 110))
def test_the_number_of_pods_is_said_wherever_the_autoscaler_would_guess_another(pods: int) -> None:
    group = group_of(machine={"cpu": 8, "memory": "32Gi"}, **{"max-pods": pods})
    assert group.shape.capacity["pods"] == str(pods)
    assert group.asg_tags.get(f"{RESOURCE}pods", "110") == str(pods)
    assert node_config(group.template.user_data)["spec"]["kubelet"]["config"]["maxPods"] == pods


def parts(user_data: str) -> dict[str, str]:
    message = message_from_string(user_data)
    assert message.is_multipart()
    return {part.get_content_type(): str(part.get_payload()) for part in message.walk() if not part.is_multipart()}


def node_config(user_data: str) -> dict[str, Any]:
    return json.loads(parts(user_data)["application/node.eks.aws"])


def test_local_disks_become_one_array_and_the_nodes_ephemeral_storage() -> None:
    group = group_of(accelerator="L4", count=8)
    assert node_config(group.template.user_data)["spec"]["instance"]["localStorage"] == {"strategy": "RAID0"}
    assert group.shape.capacity["ephemeral-storage"] == "6653Gi"
    for word in ("raw", "unused"):
        other = group_of(accelerator="L4", count=8, **{"local-disks": word})
        assert "instance" not in node_config(other.template.user_data)["spec"]
        assert other.shape.capacity["ephemeral-storage"] == "200Gi"


def test_images_from_a_snapshot_stand_on_a_volume_of_their_own() -> None:
    group = group_of(accelerator="L4", count=8, preload={"snapshot": "snap-0123456789abcdef0"})
    assert [volume.snapshot for volume in group.template.volumes] == [None, "snap-0123456789abcdef0"]
    storage = node_config(group.template.user_data)["spec"]["instance"]["localStorage"]
    assert storage == {"strategy": "RAID0", "disabledMounts": ["Containerd"]}
    assert (
        "mount -o noatime,discard /dev/xvdb /var/lib/containerd"
        in parts(group.template.user_data)["text/x-shellscript"]
    )


def test_bottlerocket_keeps_images_on_its_second_volume_and_is_told_in_toml() -> None:
    import tomllib

    group = group_of(accelerator="L4", count=8, image={"os": "bottlerocket"}, disk={"size": "300Gi", "iops": 6000})
    system, data = group.template.volumes
    assert (system.device, system.size_gib) == ("/dev/xvda", None)
    assert (data.device, data.size_gib, data.iops) == ("/dev/xvdb", 300, 6000)
    settings = tomllib.loads(group.template.user_data)["settings"]
    assert settings["kubernetes"]["max-pods"] == 110
    commands = settings["bootstrap-commands"]["local-disks"]["commands"]
    assert commands[0] == ["apiclient", "ephemeral-storage", "init"]


def test_the_disk_is_what_the_pool_says() -> None:
    (volume,) = group_of(
        machine="m7i.xlarge", disk={"size": "500Gi", "type": "gp3", "iops": 9000, "throughput": 500}
    ).template.volumes
    assert (volume.size_gib, volume.type, volume.iops, volume.throughput) == (500, "gp3", 9000, 500)


@pytest.mark.parametrize(
    "after",
    [
        {"machine": "g6.24xlarge"},
        {"image": {"os": "bottlerocket"}},
        {"zones": ["us-east-1a"]},
        {"taints": [{"key": "team", "value": "a"}]},
        {"sharing": {"time-slices": 4}},
        {"fabric": True},
    ],
)
def test_what_cannot_change_in_place_gets_a_second_group(after: dict[str, Any]) -> None:
    old, new = group_of(accelerator="L4", count=4), group_of(accelerator="L4", count=4, **after)
    assert old.key == new.key
    assert old.name != new.name


@pytest.mark.parametrize(
    "after",
    [{"nodes": {"max": 9}}, {"labels": {"team": "a"}}, {"disk": {"size": "400Gi"}}, {"surge": 0}, {"repair": False}],
)
def test_what_can_change_in_place_does_not_replace_nodes(after: dict[str, Any]) -> None:
    assert group_of(accelerator="L4", count=4).name == group_of(**{"accelerator": "L4", "count": 4, **after}).name


@given(
    name=st.from_regex(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", fullmatch=True),
    kind=st.sampled_from(["spot", "on-demand"]),
)
def test_names_fit_and_end_with_the_generation(name: str, kind: str) -> None:
    group = group_of(name=name, accelerator="L4", capacity=[kind])
    assert group.name == f"{name}-{kind}-{group.generation}"
    assert len(group.name) <= 63


def test_an_ubuntu_node_joins_by_its_image_s_own_script() -> None:
    """EKS adds nothing to the user data of an image that it does not know, and looks for its group's label."""
    keys: dict[str, Any] = {
        "accelerator": "L4",
        "count": 1,
        "image": UBUNTU,
        "driver": {"owner": "operator"},
        "max-pods": 50,
    }
    group = group_of(**keys)
    assert (group.ami_type, group.release, group.template.image) == ("CUSTOM", None, UBUNTU["release"])
    assert [volume.device for volume in group.template.volumes] == ["/dev/sda1"]
    text = group.template.user_data
    assert text.startswith("#!/bin/bash\n")
    words = shlex.split(text.split("pipefail\n")[1].replace("\\\n", " "))
    assert words[:2] == ["/etc/eks/bootstrap.sh", "c"]
    options = dict(zip(words[2::2], words[3::2], strict=True))
    kubelet = dict(part.split("=", 1) for part in options.pop("--kubelet-extra-args").split(" "))
    assert options == {
        "--apiserver-endpoint": "@ENDPOINT@",
        "--b64-cluster-ca": "@CERTIFICATE@",
        "--dns-cluster-ip": "172.20.0.10",
        "--use-max-pods": "false",
    }
    assert kubelet["--max-pods"] == "50"
    assert kubelet["--register-with-taints"] == "nvidia.com/gpu=present:NoSchedule"
    labels = dict(label.split("=", 1) for label in kubelet["--node-labels"].split(","))
    assert labels == {
        **group.labels,
        "eks.amazonaws.com/capacityType": "ON_DEMAND",
        "eks.amazonaws.com/nodegroup": group.name,
    }


def test_an_ubuntu_node_leaves_its_own_disks_alone_and_the_plan_says_so() -> None:
    """Nothing on Canonical's image makes an array of them."""
    group = group_of(accelerator="L4", count=1, image=UBUNTU, driver={"owner": "operator"}, disk={"size": "300Gi"})
    assert group.shape.capacity["ephemeral-storage"] == "300Gi"
    assert (
        "p-on-demand: Canonical's image leaves the machine's own disks unused; pods have the boot disk" in group.notes
    )
    assert (
        "p-on-demand: its image is ami-0123456789abcdef0: an upgrade of the cluster does not change it, "
        "`image.release` does"
    ) in group.notes


# What a user sees -------------------------------------------------------------------------------------------------

RESERVED = {"capacity": ["reserved"]}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    (
        "bottlerocket has no Neuron image",
        {**TRAINIUM, "image": {"os": "bottlerocket"}},
        "image.os: got bottlerocket, on trn1.32xlarge (amd64, Trainium); accepted: al2023. Choose one of these, or "
        "remove it.",
    ),
    (
        "ubuntu is named by its id",
        {"machine": "m7i.xlarge", "image": {"os": "ubuntu"}},
        "image.release: got nothing; accepted: the id of an image, ami-...: a node group's template takes no parameter "
        "in its place. Write what this answers: aws ssm get-parameter --region us-east-1 --name /aws/service/canonical/"
        "ubuntu/eks/24.04/1.35/stable/current/amd64/hvm/ebs-gp3/ami-id --query Parameter.Value.",
    ),
    (
        "ubuntu is named by its id alone",
        {"machine": "m7g.xlarge", "image": {"os": "ubuntu", "release": "24.04"}},
        "image.release: got '24.04'; accepted: the id of an image, ami-...: a node group's template takes no parameter "
        "in its place. Write what this answers: aws ssm get-parameter --region us-east-1 --name /aws/service/canonical/"
        "ubuntu/eks/24.04/1.35/stable/current/arm64/hvm/ebs-gp3/ami-id --query Parameter.Value.",
    ),
    (
        "ubuntu has no driver",
        {"accelerator": "L4", "count": 1, "image": UBUNTU},
        "driver.owner: got cloud, on ubuntu; accepted: operator: Canonical's image for EKS holds no driver of "
        "NVIDIA's. Set driver: {owner: operator}, or image.os: al2023, whose image holds a driver.",
    ),
    (
        "ubuntu has no EFA",
        {
            "accelerator": "H100-80",
            "count": 8,
            "image": UBUNTU,
            "driver": {"owner": "operator"},
            "zones": ["us-east-1a"],
        },
        "fabric: got EFA, on ubuntu; accepted: false: Canonical's image for EKS has no driver of EFA. Set fabric: "
        "false, or image.os: al2023.",
    ),
    (
        "ubuntu reads no snapshot",
        {"machine": "m7i.xlarge", "image": UBUNTU, "preload": {"snapshot": "snap-0123456789abcdef0"}},
        "preload.snapshot: got a snapshot, on ubuntu; accepted: al2023 or bottlerocket, whose images read them from a "
        "volume of their own. Remove `preload`, or set image.os: al2023.",
    ),
    (
        "ubuntu has no Neuron image",
        {**TRAINIUM, "image": UBUNTU},
        "image.os: got ubuntu, on trn1.32xlarge (amd64, Trainium); accepted: al2023. Choose one of these, or "
        "remove it.",
    ),
    (
        "cos is Google's",
        {"machine": "m7i.xlarge", "image": {"os": "cos"}},
        "image.os: got cos, on m7i.xlarge (amd64, no accelerator); accepted: al2023 or bottlerocket or ubuntu. "
        "Choose one of these, or remove it.",
    ),
    (
        "bottlerocket shares no devices",
        {"accelerator": "L4", "image": {"os": "bottlerocket"}, "sharing": {"time-slices": 4}},
        "image.os: got bottlerocket with devices that are shared; accepted: al2023, whose device plugin is an add-on: "
        "Bottlerocket brings a plugin of its own. Set image.os: al2023, or remove `sharing`.",
    ),
    (
        "an operator installs no driver on al2023",
        {"accelerator": "L4", "driver": {"owner": "operator"}},
        "driver.owner: got operator, on al2023; accepted: cloud: NVIDIA makes no driver container for al2023. Leave "
        "it to the cloud, or choose an Ubuntu image where the cloud has one.",
    ),
    (
        "the image decides the driver",
        {"accelerator": "L4", "driver": {"version": "580"}},
        "driver.version: got '580'; accepted: nothing: the cloud's image decides the driver. Pin image.release "
        "instead: the driver comes with the image.",
    ),
    (
        "a release of another minor",
        {"machine": "m7i.xlarge", "image": {"release": "1.34.2-20260801"}},
        "image.release: got '1.34.2-20260801'; accepted: a release of the cluster's version, 1.35.x-YYYYMMDD. "
        "Correct it, or remove it.",
    ),
    (
        "a release that EKS does not have",
        {"machine": "m7i.xlarge", "image": {"release": "v20260801"}},
        "image.release: got 'v20260801'; accepted: a release of the cluster's version, 1.35.x-YYYYMMDD. "
        "Correct it, or remove it.",
    ),
    (
        "a zone that the cluster is not in",
        {"machine": "m7i.xlarge", "zones": ["us-east-1f"]},
        "zones[0]: got 'us-east-1f'; accepted: zones of the cluster: us-east-1a, us-east-1b, us-east-1c. Correct it, "
        "or add it to the cluster's `zones`, whose subnets nodes stand in.",
    ),
    (
        "EFA in several zones",
        {**H100, "zones": ["us-east-1a", "us-east-1b"]},
        "zones: got 2 zones; accepted: one zone: EFA does not cross zones. Keep one of them, or set fabric: false.",
    ),
    (
        "close together in several zones",
        {"machine": "m7i.xlarge", "placement": "compact", "zones": ["us-east-1a", "us-east-1b"]},
        "zones: got 2 zones; accepted: one zone: nodes stand close together in one zone alone. Keep one of them, or "
        "remove `placement`.",
    ),
    (
        "spread over more than a placement group holds",
        {"machine": "m7i.xlarge", "placement": "spread", "nodes": {"max": 22}},
        "nodes.max: got 22; accepted: at most 21: 7 a zone of a spread placement group. Lower nodes.max, or remove "
        "`placement`: a group spreads over its zones by itself.",
    ),
    (
        "reserved without a reservation",
        {"accelerator": "L4", **RESERVED},
        "reservation: got nothing; accepted: what reserved capacity is taken from. Add reservation: {id: cr-..., "
        "zones: [...]}, or remove reserved from `capacity`.",
    ),
    (
        "a reservation that nothing is taken from",
        {"accelerator": "L4", "reservation": {"id": "cr-0123456789abcdef0", "zones": ["us-east-1a"]}},
        "reservation: got cr-0123456789abcdef0, which no node is taken from; accepted: a reservation beside capacity: "
        "[reserved]. Add reserved to `capacity`, or remove `reservation`.",
    ),
    (
        "an id that is none",
        {"accelerator": "L4", **RESERVED, "reservation": {"id": "my-reservation", "zones": ["us-east-1a"]}},
        "reservation.id: got 'my-reservation'; accepted: the id of a reservation, cr- and hexadecimal digits. Correct "
        "the id; a group's ARN has type: group.",
    ),
    (
        "a group that is no ARN",
        {"accelerator": "L4", **RESERVED, "reservation": {"id": "cr-0123456789abcdef0", "type": "group"}},
        "reservation.id: got 'cr-0123456789abcdef0'; accepted: the ARN of a resource group of reservations, "
        "arn:aws:resource-groups:REGION:ACCOUNT:group/NAME. Correct the id, or the type.",
    ),
    (
        "a block without its zone",
        {**H100, **RESERVED, "reservation": {**BLOCK, "zones": []}},
        "reservation.zones: got nothing; accepted: the one zone that it is in. Add zones: [the reservation's zone].",
    ),
    (
        "a block in a zone that the pool is not in",
        {**H100, **RESERVED, "reservation": BLOCK, "zones": ["us-east-1b"]},
        "zones: got us-east-1b; accepted: zones with the reservation's: us-east-1a. Add it, or remove `zones`.",
    ),
    (
        "a block whose nodes are kept",
        {**H100, **RESERVED, "reservation": BLOCK, "nodes": {"min": 2, "max": 2}},
        "nodes.min: got 2; accepted: 0: a capacity block has no nodes before it begins, nor after it ends. Set it to "
        "0; the autoscaler starts nodes once pods ask for them.",
    ),
    (
        "a future reservation that starts with nodes",
        {"accelerator": "L4", **RESERVED, "reservation": {**BLOCK, "type": "future"}, "nodes": {"max": 4, "start": 1}},
        "nodes.start: got 1; accepted: 0: a reservation of the future has no nodes before it begins, nor after it "
        "ends. Set it to 0; the autoscaler starts nodes once pods ask for them.",
    ),
    (
        "a block of a machine that is not sold so",
        {"accelerator": "L4", **RESERVED, "reservation": BLOCK},
        "reservation.type: got capacity-block of g6.48xlarge; accepted: a machine that is sold as capacity blocks: "
        "P4d to P6, Trn1, Trn2. Set type: reservation, or choose another machine.",
    ),
    (
        "a place for what is reserved",
        {**H100, **RESERVED, "reservation": BLOCK, "placement": "compact"},
        "placement: got compact; accepted: nothing: the reservation has settled it. Remove `placement`; reserve the "
        "machines close together.",
    ),
    (
        "flex capacity",
        {**H100, "capacity": ["flex"]},
        "capacity[0]: got flex; accepted: how p5.48xlarge is sold: on-demand, spot, reserved. On EKS, what begins "
        "later and ends is a capacity block: capacity: [reserved], reservation: {type: capacity-block, ...}.",
    ),
    (
        "how flex is asked for",
        {**H100, "flex": {"queued": True}},
        "flex: got flex capacity; accepted: what EKS has: reserved, spot, on-demand. Remove `flex`; on EKS a capacity "
        "block is what begins later: capacity: [reserved], reservation: {type: capacity-block, ...}.",
    ),
    (
        "other machines without spot",
        {"machine": "m6i.xlarge", "machines": ["m7i.xlarge"]},
        "machines: got m7i.xlarge; accepted: further machine types of spot capacity; other kinds start the pool's own "
        "machine. Add spot to `capacity`, or remove `machines`.",
    ),
    (
        "spot of several sizes",
        {"machine": "m6i.xlarge", "machines": ["m7i.2xlarge"], "capacity": ["spot"]},
        "machines[0]: got m7i.2xlarge: 8 vCPUs, 32 GiB, amd64; accepted: machines like m6i.xlarge: m7i.xlarge, "
        "m7a.xlarge. Name machines of one size.",
    ),
    (
        "EFA on several machine types",
        {
            "accelerator": "H200",
            "machine": "p5en.48xlarge",
            "zones": ["us-east-1a"],
            "machines": ["p5e.48xlarge"],
            "capacity": ["spot"],
        },
        "machines: got p5e.48xlarge; accepted: one machine type where EFA joins the nodes: p5en.48xlarge. Remove "
        "`machines`, or set fabric: false.",
    ),
    (
        "EFA on a machine without",
        {"accelerator": "L4", "count": 1, "fabric": True},
        "fabric: got true on g6.xlarge, which has no EFA; accepted: a machine with EFA. Remove `fabric`, or choose a "
        "machine of `espalier catalogue --cloud aws` with EFA.",
    ),
    (
        "EFA on a machine that is not known well",
        {"accelerator": "GB200", "fabric": True, **RESERVED, "reservation": BLOCK},
        "fabric: got true on p6e-gb200.36xlarge, whose EFA interfaces are not known; accepted: a machine with EFA. "
        "Remove `fabric`, or choose a machine of `espalier catalogue --cloud aws` with EFA.",
    ),
    (
        "EFA between nodes far apart",
        {**H100, "placement": "spread"},
        "placement: got spread; accepted: compact where nodes are joined by EFA. Remove `placement`, or set fabric: "
        "false.",
    ),
    (
        "a disk of another cloud",
        {"machine": "m7i.xlarge", "disk": {"type": "pd-ssd"}},
        "disk.type: got 'pd-ssd'; accepted: gp3 or io2. Write one of them, or remove it.",
    ),
    (
        "a disk that is too slow for its type",
        {"machine": "m7i.xlarge", "disk": {"iops": 500}},
        "disk.iops: got 500 operations a second; accepted: 3000 to 80000 operations a second of gp3. Change it.",
    ),
    (
        "a disk that is too small",
        {"machine": "m7i.xlarge", "disk": {"size": "8Gi"}},
        "disk.size: got 8 GiB; accepted: 20 to 65536 GiB of gp3. Change it.",
    ),
    (
        "io2 without what it is paid by",
        {"machine": "m7i.xlarge", "disk": {"type": "io2", "throughput": 500}},
        "disk.throughput: got 500; accepted: gp3, which has a throughput of its own. Remove it.",
    ),
    (
        "images that are streamed",
        {"accelerator": "L4", "preload": {"streaming": True}},
        "preload.streaming: got true; accepted: a snapshot; EKS streams no images. Remove it; on EKS images come from "
        "a snapshot: preload: {snapshot: snap-...}.",
    ),
    (
        "a snapshot that is none",
        {"accelerator": "L4", "preload": {"snapshot": "projects/p/global/images/i"}},
        "preload.snapshot: got 'projects/p/global/images/i'; accepted: an EBS snapshot's id, snap-.... Correct it.",
    ),
    (
        "more pods than a small machine takes",
        {"machine": "m7i.xlarge", "max-pods": 200},
        "max-pods: got 200; accepted: at most 110 on m7i.xlarge with 4 vCPUs. Lower it, or take a machine with 30 "
        "vCPUs or more.",
    ),
    (
        "a label of Kubernetes' own",
        {"machine": "m7i.xlarge", "labels": {"node-role.kubernetes.io/gpu": "true"}},
        'labels["node-role.kubernetes.io/gpu"]: got node-role.kubernetes.io/gpu; accepted: labels outside Kubernetes\' '
        "and EKS's own domains, which a kubelet may not set. Rename it, such as example.com/team.",
    ),
    (
        "a label that no tag holds",
        {"machine": "m7i.xlarge", "labels": {f"{'a' * 60}.example.com/{'b' * 20}": "x"}},
        "93 characters; accepted: at most 82 characters: the autoscaler reads it from a tag. Shorten it.",
    ),
    (
        "more labels than tags",
        {"machine": "m7i.xlarge", "labels": {f"example.com/l{number}": "x" for number in range(26)}},
        "labels: got 26 labels and 0 taints; accepted: at most 25 together: the autoscaler reads each from a tag, and "
        "a group has 50. Remove some.",
    ),
    (
        "a taint a second time",
        {"accelerator": "L4", "taints": [{"key": "nvidia.com/gpu", "value": "mine"}]},
        "taints[0].key: got nvidia.com/gpu, which Espalier sets already; accepted: each key once: the autoscaler reads "
        "one taint a key from its tags. Rename or remove it.",
    ),
    (
        "a TPU",
        {"accelerator": "TPU-v5e", "topology": "2x4"},
        "accelerator: got TPU-v5e; accepted: what aws has: A100-40, A100-80, A10G, B200, B300, GB200, H100-80, H200, "
        "Inferentia, Inferentia2, L4, L40S, RTX-PRO-6000, T4, Trainium, Trainium2, V100-16, V100-32.",
    ),
    (
        "a topology",
        {"accelerator": "L4", "topology": "2x4"},
        "topology: got '2x4'; accepted: nothing for L4. Remove `topology`; only TPU slices have one.",
    ),
    (
        "io2 whose speed nobody says",
        {"machine": "m7i.xlarge", "disk": {"type": "io2"}},
        "disk.iops: got nothing; accepted: the operations a second that io2 is paid by. Add `iops`.",
    ),
    (
        "a machine without the devices",
        {"accelerator": "L4", "machine": "m7i.xlarge"},
        "machine: got m7i.xlarge, which has no such devices; accepted: a machine with L4. Remove `machine`, or see "
        "`espalier catalogue --accelerator L4`.",
    ),
    (
        "a machine with devices that nobody asks for",
        {"machine": "g6.xlarge"},
        "machine: got g6.xlarge; accepted: a machine without devices, or the pool's accelerator. Add accelerator: L4, "
        "so that the pool is tainted and its devices are counted.",
    ),
    (
        "a count that the machine has not",
        {"accelerator": "L4", "machine": "g6.xlarge", "count": 4},
        "count: got 4; accepted: 1: what g6.xlarge has of L4. Change `count`, or `machine`.",
    ),
    (
        "a system pool on spot",
        {"machine": "m7i.xlarge", "system": True, "capacity": ["spot"], "nodes": {"min": 1, "max": 3}},
        "capacity: got spot; accepted: on-demand or reserved: cluster components run on it, the autoscaler among them. "
        "Set capacity: [on-demand], or mark another pool system.",
    ),
    (
        "a system pool that sleeps",
        {"machine": "m7i.xlarge", "system": True, "nodes": {"max": 3}},
        "nodes.min: got 0; accepted: at least 1: the autoscaler itself runs on it. Set nodes.min: 2, so that one node "
        "may go.",
    ),
]


@pytest.mark.parametrize(("keys", "text"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_eks_cannot_do_is_said_with_what_it_can(keys: dict[str, Any], text: str) -> None:
    _, mistakes = compiled(a_pool(**keys))
    said = [mistake.text().removeprefix("espalier:pools[0].") for mistake in mistakes]
    assert any(text in one for one in said), "\n".join(said)


OWN = """
sources: {purchase: {text: "purchase order 4711", date: "2026-10-01"}}
defaults: {aws: {source: purchase, capacity: [on-demand, spot]}}
machines:
  aws:
    arm.neuron: {accelerator: Inferentia2, devices: 1, vcpu: 4, memory_gib: 16, architecture: arm64}
"""


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (
            {"accelerator": "Inferentia2", "machine": "arm.neuron"},
            "image.os: got al2023, on arm.neuron (arm64, Inferentia2); accepted: none: EKS has no image with a driver "
            "for this accelerator and architecture. Choose another accelerator or machine.",
        ),
        (
            {"machine": "m.0", "machines": [f"m.{number}" for number in range(1, 21)], "capacity": ["spot"]},
            "machines: got 20 types; accepted: at most 19 besides the pool's own. Remove some.",
        ),
    ],
)
def test_what_only_a_catalogue_of_ones_own_may_ask_is_said(keys: dict[str, Any], text: str, tmp_path: Path) -> None:
    alike = [f"    m.{number}: {{vcpu: 4, memory_gib: 16, architecture: amd64}}" for number in range(21)]
    (tmp_path / "ours.yaml").write_text(OWN + "\n".join(alike))
    _, (mistake,) = compiled(a_pool(**keys), rows=catalogue(tmp_path))
    assert mistake.text() == f"espalier:pools[0].{text}"


def test_no_group_has_more_tags_than_fit_beside_those_of_eks() -> None:
    labels = {f"example.com/l{number}": "x" for number in range(20)}
    taints = [{"key": f"example.com/t{number}", "value": "x"} for number in range(5)]
    for keys in (H100, TRAINIUM, {"accelerator": "A100-80", "sharing": {"mig": "all-1g.10gb"}, "max-pods": 60}):
        for group in groups_of(a_pool(**keys, capacity=["spot", "on-demand"], labels=labels, taints=taints)):
            assert len(group.asg_tags) <= 50 - 6


def test_all_mistakes_of_a_pool_come_at_once() -> None:
    pool = a_pool(accelerator="L4", count=1, fabric=True, disk={"type": "gp2"}, capacity=["reserved"])
    _, mistakes = compiled(pool)
    assert [mistake.path.removeprefix("espalier:pools[0].") for mistake in mistakes] == [
        "reservation",
        "fabric",
        "disk.type",
    ]


def test_a_pool_of_a_given_cluster_need_not_carry_its_components() -> None:
    given = {
        "endpoint": "https://ABCD.gr7.us-east-1.eks.amazonaws.com",
        "certificate": "LS0tLS1CRUdJTg==",
        "security-group": "sg-0123456789abcdef0",
    }
    pool = a_pool(machine="m7i.xlarge", system=True, capacity=["spot"])
    assert compiled(pool)[1]
    assert compiled(pool, cluster=a_cluster(given=given))[1] == ()


def test_nodes_of_karpenter_have_its_label_and_no_group_of_eks() -> None:
    cluster = a_cluster(autoscaler="karpenter")
    group = group_of(cluster, accelerator="L4", capacity=["spot"])
    assert group.karpenter
    assert group.shape.labels["karpenter.sh/capacity-type"] == "spot"
    assert "eks.amazonaws.com/nodegroup" not in group.shape.labels
