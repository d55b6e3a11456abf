"""The judge itself: what is right passes, and each kind of mistake is found, on each cloud."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from espalier.engine.values import UNKNOWN
from tests.clouds.judge import wrong_of

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
NODE_POOL = "gcp:container/nodePool:NodePool"
AGENT_POOL = "azure-native:containerservice:AgentPool"
RIGHT: dict[str, dict[str, Any]] = {
    NODE_GROUP: {
        "clusterName": UNKNOWN,
        "nodeGroupName": "l4-spot-1a2b3",
        "nodeRoleArn": UNKNOWN,
        "subnetIds": [UNKNOWN, UNKNOWN],
        "amiType": "AL2023_x86_64_NVIDIA",
        "capacityType": "SPOT",
        "instanceTypes": ["g6.xlarge", "g6.2xlarge"],
        "labels": {"espalier.dev/pool": "l4"},
        "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}],
        "scalingConfig": {"minSize": 0, "maxSize": 4, "desiredSize": 0},
        "updateConfig": {"maxUnavailable": 1},
        "nodeRepairConfig": {"enabled": True},
        "launchTemplate": {"id": UNKNOWN, "version": UNKNOWN},
        "tags": {"team": "ml"},
    },
    TEMPLATE: {
        "name": "h100",
        "instanceType": "p5.48xlarge",
        "ebsOptimized": "true",
        "blockDeviceMappings": [
            {"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "volumeType": "gp3", "volumeSize": 200}}
        ],
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2},
        "networkInterfaces": [
            {"deviceIndex": 0, "networkCardIndex": 0, "interfaceType": "efa", "securityGroups": [UNKNOWN]},
            {"deviceIndex": 1, "networkCardIndex": 1, "interfaceType": "efa-only", "securityGroups": [UNKNOWN]},
        ],
        "instanceMarketOptions": {"marketType": "capacity-block"},
        "capacityReservationSpecification": {"capacityReservationTarget": {"capacityReservationId": "cr-0123"}},
        "placement": {"groupName": UNKNOWN},
        "tagSpecifications": [{"resourceType": "instance", "tags": {"team": "ml"}}],
        "tags": {"team": "ml"},
    },
    "aws:autoscaling/tag:Tag": {
        "autoscalingGroupName": UNKNOWN,
        "tag": {"key": "k8s.io/cluster-autoscaler/x", "value": "y", "propagateAtLaunch": False},
    },
    "aws:cloudwatch/logGroup:LogGroup": {"name": "/aws/eks/x/cluster", "retentionInDays": 30},
    NODE_POOL: {
        "cluster": UNKNOWN,
        "project": "ml-dev-1",
        "name": "l4-spot-1a2b3",
        "nodeLocations": ["us-central1-a"],
        "autoscaling": {"totalMinNodeCount": 0, "totalMaxNodeCount": 4, "locationPolicy": "ANY"},
        "management": {"autoRepair": True, "autoUpgrade": True},
        "nodeConfig": {
            "machineType": "g2-standard-4",
            "spot": True,
            "guestAccelerators": [
                {
                    "type": "nvidia-l4",
                    "count": 1,
                    "gpuDriverInstallationConfig": {"gpuDriverVersion": "DEFAULT"},
                    "gpuSharingConfig": {"gpuSharingStrategy": "TIME_SHARING", "maxSharedClientsPerGpu": 4},
                }
            ],
            "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}],
            "reservationAffinity": {"consumeReservationType": "NO_RESERVATION"},
            "workloadMetadataConfig": {"mode": "GKE_METADATA"},
            "shieldedInstanceConfig": {"enableSecureBoot": True},
        },
    },
    "gcp:projects/iAMMember:IAMMember": {
        "project": "ml-dev-1",
        "role": "roles/container.defaultNodeServiceAccount",
        "member": UNKNOWN,
    },
    AGENT_POOL: {
        "agentPoolName": "t4spot1a2b3",
        "resourceGroupName": UNKNOWN,
        "resourceName": UNKNOWN,
        "mode": "User",
        "vmSize": "Standard_NC4as_T4_v3",
        "scaleSetPriority": "Spot",
        "scaleSetEvictionPolicy": "Delete",
        "spotMaxPrice": -1,
        "enableAutoScaling": True,
        "minCount": 0,
        "maxCount": 4,
        "nodeTaints": ["nvidia.com/gpu=present:NoSchedule"],
        "gpuProfile": {"driver": "Install"},
        "gpuInstanceProfile": "MIG1g",
        "upgradeSettings": {"maxSurge": "1"},
        "availabilityZones": ["1"],
    },
    "azure-native:managedidentity:UserAssignedIdentity": {"resourceGroupName": UNKNOWN, "resourceName": "x"},
}


@pytest.mark.parametrize("type_", RIGHT)
def test_what_is_right_passes(type_: str) -> None:
    assert [str(wrong) for wrong in wrong_of(type_, RIGHT[type_])] == []


WRONG = [
    # a member that nobody has, at the top and inside
    (NODE_GROUP, "amiTyp", "AL2023_x86_64_NVIDIA", "amiTyp: CreateNodegroupRequest has no such member"),
    (NODE_GROUP, "scalingConfig.maximum", 3, "scalingConfig.maximum: "),
    (NODE_POOL, "nodeConfig.gpu", 1, "nodeConfig.gpu: "),
    (AGENT_POOL, "gpuProfile.owner", "x", "gpuProfile.owner: "),
    ("azure-native:managedidentity:UserAssignedIdentity", "sku", "x", "sku: "),
    # words that are none
    (NODE_GROUP, "amiType", "AL2023_GPU", "'AL2023_GPU' is none of"),
    (NODE_GROUP, "capacityType", "spot", "'spot' is none of CAPACITY_BLOCK, ON_DEMAND, SPOT"),
    (NODE_GROUP, "instanceTypes", ["g6.tiny"], "instanceTypes: 'g6.tiny' is none of"),
    (NODE_GROUP, "taints", [{"key": "a", "value": "b", "effect": "NoSchedule"}], "'NoSchedule' is none of"),
    (TEMPLATE, "instanceType", "p5.tiny", "'p5.tiny' is none of"),
    (TEMPLATE, "networkInterfaces.0.interfaceType", "efaonly", "'efaonly' is none of efa, efa-only, interface"),
    (TEMPLATE, "instanceMarketOptions.marketType", "block", "'block' is none of"),
    (TEMPLATE, "tagSpecifications.0.resourceType", "machine", "'machine' is none of"),
    ("aws:cloudwatch/logGroup:LogGroup", "retentionInDays", 31, "31 is none of"),
    (NODE_POOL, "autoscaling.locationPolicy", "ALL", "'ALL' is none of"),
    (NODE_POOL, "nodeConfig.taints.0.effect", "NoSchedule", "'NoSchedule' is none of"),
    (NODE_POOL, "nodeConfig.workloadMetadataConfig.mode", "GKE", "'GKE' is none of"),
    (AGENT_POOL, "scaleSetPriority", "SPOT", "'SPOT' is none of Regular, Spot"),
    (AGENT_POOL, "gpuInstanceProfile", "MIG5g", "'MIG5g' is none of"),
    (AGENT_POOL, "gpuProfile.driver", "Operator", "'Operator' is none of Install, None"),
    # types
    (NODE_GROUP, "scalingConfig.maxSize", "many", "'many' is no integer"),
    (TEMPLATE, "blockDeviceMappings.0.ebs.encrypted", "yes", "'yes' is no boolean"),
    (NODE_POOL, "nodeConfig.spot", "on", "'on' is no boolean"),
    (AGENT_POOL, "maxCount", 1.5, "1.5 is no integer"),
    # what is missing, lengths and forms
    (NODE_GROUP, "nodeRoleArn", None, "nodeRole is missing"),
    (NODE_GROUP, "labels", {"a" * 64: ""}, "64 is more than 63"),
    (NODE_GROUP, "scalingConfig.maxSize", 0, "0 is less than 1"),
    (NODE_POOL, "name", "L4", "name: 'L4' does not match"),
    (AGENT_POOL, "nodeTaints", ["nvidia.com/gpu"], "'nvidia.com/gpu' does not match"),
    ("gcp:projects/iAMMember:IAMMember", "role", "container.admin", "role: 'container.admin' does not match"),
    ("gcp:projects/iAMMember:IAMMember", "member", "me@example.com", "members: 'me@example.com' does not match"),
    # what only the cloud writes
    (AGENT_POOL, "provisioningState", "Succeeded", "only the cloud writes it"),
]


@pytest.mark.parametrize(("type_", "path", "value", "why"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_found(type_: str, path: str, value: Any, why: str) -> None:
    inputs = copy.deepcopy(RIGHT[type_])
    *above, last = path.split(".")
    place: Any = inputs
    for part in above:
        place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
    place[last] = value
    found = [str(wrong) for wrong in wrong_of(type_, inputs)]
    assert any(why in wrong for wrong in found), found


def test_botocore_judges_too() -> None:
    """Its validator sees what is filled in for unknown values: a required member that nothing gives is its finding."""
    inputs = {key: value for key, value in RIGHT[NODE_GROUP].items() if key != "subnetIds"}
    assert any("Missing required parameter" in wrong.why for wrong in wrong_of(NODE_GROUP, inputs))
