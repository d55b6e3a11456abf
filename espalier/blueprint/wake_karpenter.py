"""The node that Karpenter would make, of its NodePools: they say labels, taints and requirements outright.

Source: kubernetes-sigs/karpenter, pkg/apis/v1 (NodePool: spec.template, spec.limits); karpenter-provider-aws,
pkg/providers/instancetype: devices of a machine type are NVIDIA's GPUs, AMD's, Neuron's and EFA; slices and shares of
a GPU are none of them, but what a NodeOverlay of the NodePool says is laid over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from espalier.blueprint.wake_node import Recorded, Template, amounts, effect_of
from espalier.types import Taint

TYPE: Final = "node.kubernetes.io/instance-type"
GROUP: Final = "espalier.dev/group"
"""Annotation of a NodePool: the group of the plan that it stands for."""
NODE_POOL: Final = "karpenter.sh/nodepool"
_PODS: Final = 110


def templates(recorded: Recorded) -> dict[str, Template]:
    """A node for each NodePool, by the name of the plan's group that it stands for."""
    classes = {_name(obj) for obj in recorded.objects if obj.get("kind") == "EC2NodeClass"}
    return {
        str(obj["metadata"].get("annotations", {}).get(GROUP, _name(obj))): _template(obj, classes, recorded)
        for obj in recorded.objects
        if obj.get("kind") == "NodePool"
    }


def missing(recorded: Recorded) -> str | None:
    """Why nothing would act on NodePools."""
    if any(obj.get("kind") == "Deployment" and "karpenter" in _name(obj) for obj in recorded.objects):
        return None
    return "Karpenter's controller is not among the objects"


def _name(obj: Mapping[str, Any]) -> str:
    return str(obj["metadata"]["name"])


def _template(obj: Mapping[str, Any], classes: set[str], recorded: Recorded) -> Template:
    template = obj["spec"]["template"]
    spec = template["spec"]
    allowed = {
        str(requirement["key"]): [str(value) for value in requirement.get("values", [])]
        for requirement in spec.get("requirements", [])
        if requirement.get("operator") == "In"
    }
    machine = recorded.catalogue.machines("aws").get(next(iter(allowed.get(TYPE, [])), ""))
    if machine is None or spec["nodeClassRef"]["name"] not in classes:
        why = "its machine type is not known" if machine is None else "its EC2NodeClass is not there"
        return Template(labels={}, taints=(), allocatable={}, said="", broken=why)
    accelerator = recorded.catalogue.accelerators.get(machine.accelerator)
    devices = {accelerator.resource: Fraction(machine.devices)} if accelerator else {}
    if accelerator and accelerator.cores:
        devices["aws.amazon.com/neuroncore"] = Fraction(machine.devices * accelerator.cores)
    devices |= _overlaid(recorded, _name(obj))
    single = {key: values[0] for key, values in allowed.items() if values}
    kubelet = _kubelet(recorded, str(spec["nodeClassRef"]["name"]))
    return Template(
        labels=single | {key: str(value) for key, value in template.get("metadata", {}).get("labels", {}).items()},
        taints=tuple(
            Taint(str(taint["key"]), str(taint.get("value", "")), effect)
            for taint in spec.get("taints", [])
            if (effect := effect_of(str(taint["effect"])))
        ),
        allocatable={
            "cpu": Fraction(machine.vcpu),
            "memory": Fraction(machine.memory_gib) * 2**30,
            "pods": Fraction(int(kubelet.get("maxPods", _PODS))),
            **{key: amount for key, amount in devices.items() if amount},
            **({"vpc.amazonaws.com/efa": Fraction(machine.efa)} if machine.efa else {}),
        },
        said=machine.name,
        broken="its limits let it have no node" if str(obj["spec"].get("limits", {}).get("cpu", "1")) == "0" else "",
    )


def _overlaid(recorded: Recorded, node_pool: str) -> dict[str, Fraction]:
    """What NodeOverlays say of a NodePool's nodes."""
    found: dict[str, Fraction] = {}
    for obj in recorded.objects:
        if obj.get("kind") != "NodeOverlay":
            continue
        named = [r["values"] for r in obj["spec"].get("requirements", []) if r["key"] == NODE_POOL]
        if named == [[node_pool]]:
            found |= amounts(obj["spec"].get("capacity", {}))
    return found


def _kubelet(recorded: Recorded, name: str) -> Mapping[str, Any]:
    for obj in recorded.objects:
        if obj.get("kind") == "EC2NodeClass" and _name(obj) == name:
            return obj["spec"].get("kubelet", {})
    return {}
