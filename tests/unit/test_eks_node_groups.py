"""What the program asks AWS for, for each node group of a stack with pools of every sort."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.unit.eks_stacks import BLOCK, recorded

GROUP = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
KEYS = [
    "cpu-on-demand",
    "cpu-spot",
    "cut-on-demand",
    "h100-on-demand",
    "h100-reserved",
    "l4-on-demand",
    "l4-spot",
    "system-on-demand",
    "trainium-on-demand",
]


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    _, found = recorded(tmp_path_factory.mktemp("stacks"))
    return {resource["name"]: resource for resource in found}


def group(resources: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    return resources[f"platform-cluster-group-{key}"]


def template(resources: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    return resources[f"platform-cluster-template-{key}"]["inputs"]


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [resource for resource in resources.values() if resource["type"] == kind]


def test_every_group_has_a_launch_template_of_its_own(resources: dict[str, dict[str, Any]]) -> None:
    groups = of_type(resources, GROUP)
    assert sorted(one["name"].removeprefix("platform-cluster-group-") for one in groups) == KEYS
    templates = [urn for one in groups for urn in one["property_dependencies"]["launchTemplate"]]
    assert len(set(templates)) == len(groups) == len(of_type(resources, TEMPLATE))


def test_the_number_of_nodes_is_the_autoscalers(resources: dict[str, dict[str, Any]]) -> None:
    for key in KEYS:
        made = group(resources, key)
        assert made["options"]["ignoreChanges"] == ["scalingConfig.desiredSize"]
        assert made["inputs"]["scalingConfig"]["minSize"] == (2 if key.startswith("system") else 0)


def test_no_node_answers_metadata_without_a_token_nor_has_a_plain_disk(resources: dict[str, dict[str, Any]]) -> None:
    for key in KEYS:
        made = template(resources, key)
        assert made["metadataOptions"]["httpTokens"] == "required"
        assert made["metadataOptions"]["httpPutResponseHopLimit"] == 2
        assert made["blockDeviceMappings"]
        assert all(one["ebs"]["encrypted"] == "true" for one in made["blockDeviceMappings"])
        assert base64.b64decode(made["userData"]).startswith(b"MIME-Version: 1.0")


def test_a_capacity_block_asks_for_everything_that_eks_demands(resources: dict[str, dict[str, Any]]) -> None:
    """EKS refuses the request where any of it is missing (EKS user guide, capacity-blocks-mng)."""
    made, asked = template(resources, "h100-reserved"), group(resources, "h100-reserved")["inputs"]
    assert made["instanceType"] == "p5.48xlarge"
    assert made["instanceMarketOptions"] == {"marketType": "capacity-block"}
    target = made["capacityReservationSpecification"]["capacityReservationTarget"]
    assert target == {"capacityReservationId": BLOCK["id"]}
    assert "placement" not in made
    assert asked["capacityType"] == "CAPACITY_BLOCK"
    assert "instanceTypes" not in asked
    assert len(asked["subnetIds"]) == 1
    assert asked["scalingConfig"] == {"minSize": 0, "maxSize": 4, "desiredSize": 0}
    assert asked["updateConfig"]["updateStrategy"] == "MINIMAL"


def test_efa_has_its_interfaces_its_placement_group_and_rules_among_its_own(
    resources: dict[str, dict[str, Any]],
) -> None:
    made = template(resources, "h100-on-demand")
    interfaces = made["networkInterfaces"]
    assert len(interfaces) == 32
    assert (interfaces[0]["interfaceType"], interfaces[0]["deviceIndex"]) == ("efa", 0)
    assert {(one["interfaceType"], one["deviceIndex"]) for one in interfaces[1:]} == {("efa-only", 1)}
    assert [one["networkCardIndex"] for one in interfaces] == list(range(32))
    assert all(len(one["securityGroups"]) == 2 for one in interfaces)
    assert "vpcSecurityGroupIds" not in made  # the API refuses both
    assert resources["platform-cluster-placement-h100-on-demand"]["inputs"]["strategy"] == "cluster"
    for direction in ("in", "out"):
        rule = resources[f"platform-cluster-efa-{direction}"]
        assert rule["inputs"]["ipProtocol"] == "-1"
        owner, peer = (rule["property_dependencies"][key] for key in ("securityGroupId", "referencedSecurityGroupId"))
        assert owner == peer


def test_groups_without_efa_join_the_clusters_security_group_alone(resources: dict[str, dict[str, Any]]) -> None:
    made = template(resources, "l4-spot")
    assert "networkInterfaces" not in made
    assert len(made["vpcSecurityGroupIds"]) == 1


def test_reserved_capacity_is_upgraded_without_spare_nodes(resources: dict[str, dict[str, Any]]) -> None:
    assert group(resources, "l4-spot")["inputs"]["updateConfig"]["updateStrategy"] == "DEFAULT"
    assert group(resources, "h100-reserved")["inputs"]["updateConfig"]["updateStrategy"] == "MINIMAL"
    assert all(group(resources, key)["inputs"]["nodeRepairConfig"] == {"enabled": True} for key in KEYS)


def test_every_tag_is_put_on_the_group_that_eks_makes(resources: dict[str, dict[str, Any]]) -> None:
    tags = of_type(resources, "aws:autoscaling/tag:Tag")
    assert tags
    for tag in tags:
        (urn,) = tag["property_dependencies"]["autoscalingGroupName"]
        owner = urn.rpartition("::")[2]
        assert tag["name"].startswith(f"{owner}-")
        assert tag["inputs"]["tag"]["propagateAtLaunch"] is False
        assert len(tag["inputs"]["tag"]["key"]) <= 128
