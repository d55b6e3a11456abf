"""The first node of an empty group, as cluster-autoscaler makes it up on AWS: of the Auto Scaling group's tags.

Source: kubernetes/autoscaler 1.35.2, cluster-autoscaler/cloudprovider/aws/aws_manager.go: buildNodeFromTemplate,
buildGenericLabels, extractLabelsFromAsg, extractTaintsFromAsg, extractAllocatableResourcesFromAsg. A node group's own
labels and taints are left out: they are asked for only until a node of the group has been seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from espalier.blueprint.wake_node import Recorded, Template, amounts, effect_of, lasting
from espalier.types import Taint

CLUSTER: Final = "aws:eks/cluster:Cluster"
GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
TAG: Final = "aws:autoscaling/tag:Tag"
_PREFIX: Final = "k8s.io/cluster-autoscaler/node-template/"
_PODS: Final = 110


def templates(recorded: Recorded) -> dict[str, Template]:
    """A node for each managed node group, by the group's name."""
    launch = {resource["urn"]: resource["inputs"] for resource in recorded.resources if resource["type"] == TEMPLATE}
    tags = _tags(recorded)
    return {
        str(resource["inputs"]["nodeGroupName"]): _template(resource, launch, tags.get(resource["urn"], {}), recorded)
        for resource in recorded.resources
        if resource["type"] == GROUP
    }


def missing(recorded: Recorded, cluster: str) -> str | None:
    """Why no group would be found: there is no autoscaler, or it looks for another cluster's groups."""
    commands = [
        " ".join(map(str, [*container.get("command", []), *container.get("args", [])]))
        for obj in recorded.objects
        if obj.get("kind") == "Deployment"
        for container in obj["spec"]["template"]["spec"]["containers"]
    ]
    found = [command for command in commands if "--cloud-provider=aws" in command]
    if not found:
        return "no cluster-autoscaler for AWS is among the objects"
    if not any(f"k8s.io/cluster-autoscaler/{cluster}" in command for command in found):
        return f"cluster-autoscaler does not look for groups tagged k8s.io/cluster-autoscaler/{cluster}"
    return None


def _tags(recorded: Recorded) -> dict[str, dict[str, str]]:
    """URN of a node group -> the tags of the Auto Scaling group that EKS makes for it."""
    found: dict[str, dict[str, str]] = {}
    for resource in recorded.resources:
        if resource["type"] != TAG:
            continue
        tag = resource["inputs"]["tag"]
        for urn in resource["property_dependencies"].get("autoscalingGroupName", ()):
            found.setdefault(urn, {})[str(tag["key"])] = str(tag["value"])
    return found


def _template(
    resource: Mapping[str, Any],
    launch: Mapping[str, Mapping[str, Any]],
    tags: Mapping[str, str],
    recorded: Recorded,
) -> Template:
    inputs = resource["inputs"]
    types = [*inputs.get("instanceTypes", []), *_launched(resource, launch)]
    machine = recorded.catalogue.machines("aws").get(str(types[0])) if types else None
    if machine is None:
        why = f"its machine type {types[0]} is not known" if types else "no machine type is named"
        return Template(labels={}, taints=(), allocatable={}, said="", broken=why)
    maximum = inputs.get("scalingConfig", {}).get("maxSize", 0)
    native = {
        "cpu": Fraction(machine.vcpu),
        "memory": Fraction(machine.memory_gib) * 2**30,
        "pods": Fraction(_PODS),
        "nvidia.com/gpu": Fraction(_gpus(machine.name, recorded)),
    }
    generic = {
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": machine.name,
        "topology.kubernetes.io/region": recorded.region,
    }
    return Template(
        labels=generic | dict(_under("label/", tags)),
        taints=lasting(tuple(_taints(tags))),
        allocatable=native | amounts(dict(_under("resources/", tags))),
        said=f"{machine.name}, {len(tags)} tags",
        broken="" if maximum else "it may have no node",
    )


def _taints(tags: Mapping[str, str]) -> Iterator[Taint]:
    for key, text in _under("taint/", tags):
        value, colon, effect = text.partition(":")
        if colon and (known := effect_of(effect)):
            yield Taint(key, value, known)


def _gpus(machine: str, recorded: Recorded) -> int:
    """The only devices that cluster-autoscaler knows of a machine type by itself: NVIDIA's."""
    row = recorded.catalogue.machines("aws")[machine]
    accelerator = recorded.catalogue.accelerators.get(row.accelerator)
    return row.devices if accelerator is not None and accelerator.vendor == "nvidia" else 0


def _launched(resource: Mapping[str, Any], launch: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The machine type that a launch template names, as a capacity block's does."""
    for urn in resource["property_dependencies"].get("launchTemplate", ()):
        if kind := launch.get(urn, {}).get("instanceType"):
            yield str(kind)


def _under(part: str, tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    prefix = _PREFIX + part
    for key, value in sorted(tags.items()):
        if key.startswith(prefix) and key != prefix:
            yield key.removeprefix(prefix), value
