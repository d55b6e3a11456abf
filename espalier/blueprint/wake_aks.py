"""The first node of an empty agent pool, as AKS's own autoscaler makes it up: of the agent pool's labels and taints.

Source: kubernetes/autoscaler 1.35.2, cluster-autoscaler/cloudprovider/azure/azure_template.go: the managed autoscaler
is given an agent pool's labels and taints (InputLabels, InputTaints), reads processors, memory and GPUs off the
machine type, and other resources off the scale set's tags; a GPU machine gets kubernetes.azure.com/accelerator=nvidia,
a spot pool AKS's own label and taint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from espalier.blueprint.wake_node import Recorded, Template, amounts, effect_of, lasting
from espalier.types import Taint

POOL: Final = "azure-native:containerservice:AgentPool"
CLUSTER: Final = "azure-native:containerservice:ManagedCluster"
_PODS: Final = 110
_SPOT: Final = "kubernetes.azure.com/scalesetpriority"
RESOURCE_TAG: Final = "k8s.io_cluster-autoscaler_node-template_resources_"
"""An agent pool's tags become its scale set's, where the autoscaler reads what a machine type does not tell."""


def templates(recorded: Recorded) -> dict[str, Template]:
    """A node for each agent pool, by its name: those of their own, and those in the cluster's own request."""
    return {
        str(inputs[key]): _template(inputs, recorded)
        for key, inputs in _agent_pools(recorded)
        if isinstance(inputs.get(key), str)
    }


def _agent_pools(recorded: Recorded) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for resource in recorded.resources:
        if resource["type"] == POOL:
            yield "agentPoolName", resource["inputs"]
        elif resource["type"] == CLUSTER:
            for profile in resource["inputs"].get("agentPoolProfiles", []):
                yield "name", profile


def _template(inputs: Mapping[str, Any], recorded: Recorded) -> Template:
    size = str(inputs.get("vmSize", ""))
    machine = recorded.catalogue.machines("azure").get(size)
    if machine is None:
        return Template(labels={}, taints=(), allocatable={}, said="", broken=f"its machine {size} is not known")
    spot = inputs.get("scaleSetPriority") == "Spot"
    accelerator = recorded.catalogue.accelerators.get(machine.accelerator)
    nvidia = accelerator is not None and accelerator.vendor == "nvidia"
    labels = {
        "agentpool": str(inputs.get("agentPoolName", inputs.get("name", ""))),
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": size,
        "topology.kubernetes.io/region": recorded.region,
        **({"kubernetes.azure.com/accelerator": "nvidia"} if nvidia else {}),
        **({_SPOT: "spot", "kubernetes.azure.com/priority": "spot"} if spot else {}),
    }
    taints = [taint for text in inputs.get("nodeTaints", []) if (taint := taint_of(str(text))) is not None]
    allocatable = {
        "cpu": Fraction(machine.vcpu),
        "memory": Fraction(machine.memory_gib) * 2**30,
        "pods": Fraction(int(inputs.get("maxPods", _PODS))),
        # Any vendor's: all that the machine types' list knows is a number of GPUs.
        "nvidia.com/gpu": Fraction(machine.devices),
        **_resources(inputs),
    }
    return Template(
        labels=labels | {key: str(value) for key, value in inputs.get("nodeLabels", {}).items()},
        taints=lasting([*taints, *([Taint(_SPOT, "spot")] if spot else [])]),
        allocatable=allocatable,
        said=size,
        broken=_fixed(inputs),
    )


def _resources(inputs: Mapping[str, Any]) -> dict[str, Fraction]:
    """Resources that the agent pool's tags name; Azure's tag names hold no /, so it is written as _."""
    named = {
        key.removeprefix(RESOURCE_TAG).replace("_", "/"): value
        for key, value in inputs.get("tags", {}).items()
        if key.startswith(RESOURCE_TAG) and key != RESOURCE_TAG
    }
    return amounts(named)


def _fixed(inputs: Mapping[str, Any]) -> str:
    """Why AKS's autoscaler leaves the pool alone, where nodes are wanted that it does not have."""
    if inputs.get("enableAutoScaling"):
        return "" if inputs.get("maxCount") else "it may have no node"
    return "" if inputs.get("count") else "the autoscaler is off for it, and it has no node"


def taint_of(text: str) -> Taint | None:
    """A taint of its text, `key=value:Effect`; None for what is none."""
    key, _, rest = text.partition("=")
    value, _, effect = rest.rpartition(":")
    known = effect_of(effect)
    return Taint(key, value, known) if key and known else None
