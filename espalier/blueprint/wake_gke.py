"""The first node of an empty node pool, as GKE's own autoscaler makes it up: of the node pool itself.

Sources: kubernetes/autoscaler, cloudprovider/gce (templates.go); GKE's documents on GPUs, TPUs, spot VMs and flex-start
for the labels and taints that it adds by itself; GoogleCloudPlatform/container-engine-accelerators for what its device
plugin advertises: a partition or a share of a GPU counts as nvidia.com/gpu; GKE, "About custom ComputeClasses": a node
pool of a class is known by its label and its taint, and grows only where a rule of the class names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from espalier.blueprint import names
from espalier.blueprint.wake_node import Recorded, Template, effect_of, lasting
from espalier.catalogue.machines import Machine
from espalier.types import Taint

POOL: Final = "gcp:container/nodePool:NodePool"
_PODS: Final = 110
_EFFECTS: Final = {
    "NO_SCHEDULE": "NoSchedule",
    "PREFER_NO_SCHEDULE": "PreferNoSchedule",
    "NO_EXECUTE": "NoExecute",
}


def templates(recorded: Recorded) -> dict[str, Template]:
    """A node for each node pool, by its name."""
    return {
        str(resource["inputs"]["name"]): _template(resource["inputs"], recorded)
        for resource in recorded.resources
        if resource["type"] == POOL and isinstance(resource["inputs"].get("name"), str)
    }


def _template(inputs: Mapping[str, Any], recorded: Recorded) -> Template:
    config = inputs.get("nodeConfig", {})
    kind = str(config.get("machineType", ""))
    machine = recorded.catalogue.machines("gcp").get(kind)
    if machine is None:
        return Template(labels={}, taints=(), allocatable={}, said="", broken=f"its machine {kind} is not known")
    declared = [
        Taint(str(taint["key"]), str(taint.get("value", "")), effect)
        for taint in config.get("taints", [])
        if (effect := effect_of(_EFFECTS.get(str(taint.get("effect")), "")))
    ]
    return Template(
        labels={**_labels(inputs, machine), **{key: str(value) for key, value in config.get("labels", {}).items()}},
        taints=lasting([*declared, *_taints(inputs, machine)]),
        allocatable={
            "cpu": Fraction(machine.vcpu),
            "memory": Fraction(machine.memory_gib) * 2**30,
            "pods": Fraction(int(inputs.get("maxPodsPerNode") or _PODS)),
            **_devices(config, machine, recorded),
        },
        said=kind,
        broken=_fixed(inputs) or _left_out(inputs, recorded),
    )


def _tpu(machine: Machine) -> bool:
    return machine.accelerator.startswith("TPU")


def _labels(inputs: Mapping[str, Any], machine: Machine) -> dict[str, str]:
    config = inputs.get("nodeConfig", {})
    found = {
        "cloud.google.com/gke-nodepool": str(inputs["name"]),
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": machine.name,
    }
    if config.get("spot"):
        found["cloud.google.com/gke-spot"] = "true"
    if config.get("flexStart"):
        found["cloud.google.com/gke-flex-start"] = "true"
    for gpu in config.get("guestAccelerators", []):
        found["cloud.google.com/gke-accelerator"] = str(gpu["type"])
    if _tpu(machine):
        found["cloud.google.com/gke-tpu-accelerator"] = machine.cloud_accelerator
    return found


def _taints(inputs: Mapping[str, Any], machine: Machine) -> Iterator[Taint]:
    """Those that GKE adds by itself."""
    if inputs.get("nodeConfig", {}).get("guestAccelerators"):
        yield Taint("nvidia.com/gpu", "present")
    if _tpu(machine):
        yield Taint("google.com/tpu", "present")
    if inputs.get("queuedProvisioning", {}).get("enabled"):
        yield Taint("cloud.google.com/gke-queued", "true")
    if machine.architecture == "arm64":
        yield Taint("kubernetes.io/arch", "arm64")


def _devices(config: Mapping[str, Any], machine: Machine, recorded: Recorded) -> dict[str, Fraction]:
    if _tpu(machine):
        return {"google.com/tpu": Fraction(machine.devices)}
    found = Fraction(0)
    for gpu in config.get("guestAccelerators", []):
        count = Fraction(int(gpu["count"]))
        if partition := gpu.get("gpuPartitionSize"):
            accelerator = recorded.catalogue.accelerators.get(machine.accelerator)
            count *= accelerator.mig.get(str(partition), 0) if accelerator else 0
        sharing = gpu.get("gpuSharingConfig") or {}
        found += count * int(sharing.get("maxSharedClientsPerGpu", 1))
    if not found:
        return {}
    if _own_plugin_off(config):
        return _by_operator(config, machine, recorded, found)
    return {"nvidia.com/gpu": found}


def _own_plugin_off(config: Mapping[str, Any]) -> bool:
    return config.get("labels", {}).get("gke-no-default-nvidia-gpu-device-plugin") == "true"


def _by_operator(
    config: Mapping[str, Any], machine: Machine, recorded: Recorded, whole: Fraction
) -> dict[str, Fraction]:
    """An operator's plugin advertises MIG by profile; the label says which profile all devices are cut into."""
    profile = str(config.get("labels", {}).get("nvidia.com/mig.config", "")).removeprefix("all-")
    accelerator = recorded.catalogue.accelerators.get(machine.accelerator)
    copies = accelerator.mig.get(profile, 0) if accelerator else 0
    found = {"nvidia.com/gpu": whole}
    return found | ({f"nvidia.com/mig-{profile}": whole * copies} if copies else {})


def _fixed(inputs: Mapping[str, Any]) -> str:
    """Why GKE's autoscaler leaves the pool alone, where nodes are wanted that it does not have."""
    scaling = inputs.get("autoscaling")
    if scaling is None:
        return "" if inputs.get("nodeCount") or inputs.get("initialNodeCount") else "nothing scales it"
    return "" if scaling.get("totalMaxNodeCount") or scaling.get("maxNodeCount") else "it may have no node"


def rules_of(recorded: Recorded) -> dict[str, list[list[str]]]:
    """ComputeClass -> the node pools of each of its rules, in the order in which they are tried."""
    return {
        str(obj["metadata"]["name"]): [list(rule.get("nodepools", [])) for rule in obj["spec"].get("priorities", [])]
        for obj in recorded.objects
        if obj.get("kind") == "ComputeClass"
    }


def _left_out(inputs: Mapping[str, Any], recorded: Recorded) -> str:
    """Why GKE's autoscaler would not count the pool to the ComputeClass that its label names; "" for no class."""
    config = inputs.get("nodeConfig", {})
    name = config.get("labels", {}).get(names.COMPUTE_CLASS)
    if name is None:
        return ""
    rules = rules_of(recorded)
    if name not in rules:
        return f"its ComputeClass {name} is not among the objects"
    if not any(inputs["name"] in rule for rule in rules[name]):
        return f"ComputeClass {name} names it in no rule"
    taints = [(taint.get("key"), taint.get("value")) for taint in config.get("taints", [])]
    return "" if (names.COMPUTE_CLASS, name) in taints else f"it lacks the taint of ComputeClass {name}"
