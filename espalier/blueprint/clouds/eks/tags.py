"""Tags of a node group's Auto Scaling group: what cluster-autoscaler makes the first node of an empty group of.

Source: kubernetes/autoscaler 1.35.2, cluster-autoscaler/cloudprovider/aws: aws_manager.go (buildNodeFromTemplate,
extractLabelsFromAsg, extractTaintsFromAsg, extractAllocatableResourcesFromAsg), README.md. A managed node group's own
tags do not reach its Auto Scaling group (EKS user guide), and its labels and taints are asked for only until a node
has been seen: so all of it is said here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from espalier.blueprint.clouds.eks.launch import PODS
from espalier.types import Taint

TEMPLATE: Final = "k8s.io/cluster-autoscaler/node-template/"
LABEL: Final = f"{TEMPLATE}label/"
TAINT: Final = f"{TEMPLATE}taint/"
RESOURCE: Final = f"{TEMPLATE}resources/"
OPTION: Final = f"{TEMPLATE}autoscaling-options/"
KEY_LIMIT: Final = 128
"""Characters of an Auto Scaling tag's key (EC2 Auto Scaling API, Tag)."""
ACCELERATOR: Final = "k8s.amazonaws.com/accelerator"
_TESLA: Final = ("a100", "t4", "v100")


def accelerator_label(devices: Mapping[str, int], cloud_name: str) -> dict[str, str]:
    """The label by which cluster-autoscaler waits for a new node's GPUs instead of starting a second node.

    Only where `nvidia.com/gpu` is advertised: a node that has the label and none of the GPU resources that
    cluster-autoscaler knows is not ready to it for ever (processors/customresources/gpu_processor.go); MIG profiles
    and Neuron devices are not among these.
    """
    if not devices.get("nvidia.com/gpu"):
        return {}
    return {ACCELERATOR: f"nvidia-tesla-{cloud_name}" if cloud_name in _TESLA else f"nvidia-{cloud_name}"}


def asg_tags(
    labels: Mapping[str, str],
    taints: Sequence[Taint],
    devices: Mapping[str, int],
    further: Mapping[str, int],
    *,
    pods: int,
    storage_gib: int,
) -> dict[str, str]:
    """All tags, sorted. `devices` as advertised after sharing, `further` other extended resources, in their units."""
    return dict(
        sorted(
            {
                **{f"{LABEL}{key}": value for key, value in labels.items()},
                **{f"{TAINT}{taint.key}": f"{taint.value}:{taint.effect}" for taint in taints},
                **{f"{RESOURCE}{name}": text for name, text in _resources(devices, further, pods, storage_gib).items()},
                # What DaemonSets ask for must not keep a node alive on which nothing else runs.
                f"{OPTION}ignoredaemonsetsutilization": "true",
            }.items()
        )
    )


def _resources(devices: Mapping[str, int], further: Mapping[str, int], pods: int, storage_gib: int) -> dict[str, str]:
    found = {name: str(number) for name, number in {**devices, **further}.items()}
    if any(name.startswith("nvidia.com/mig-") for name in devices):
        # The autoscaler reads whole GPUs off the machine type; a node that is cut into slices has none to give.
        found["nvidia.com/gpu"] = "0"
    # The kubelet keeps a tenth of the file system back before it evicts; a twentieth more is the images' at least.
    found["ephemeral-storage"] = f"{int(storage_gib * 0.85)}Gi"
    return found | ({} if pods == PODS else {"pods": str(pods)})
