"""Tags of an agent pool that its autoscaler reads resources from: those that a machine type does not tell.

Source: kubernetes/autoscaler 1.35.2, cloudprovider/azure/azure_template.go: of devices it knows a number of GPUs alone,
takes them all for nvidia.com/gpu, and sets what tags of the scale set name. AKS puts an agent pool's tags on its scale
set (AKS, "Use Azure tags"). Azure's tag names hold no /, so it is written as _.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PREFIX: Final = "k8s.io_cluster-autoscaler_node-template_resources_"
_KNOWN: Final = "nvidia.com/gpu"


def resource_tags(devices: Mapping[str, int], count: int) -> dict[str, str]:
    """Tags for what nodes advertise, `devices`, where that is not the `count` of GPUs that their machine has."""
    if not devices or devices == {_KNOWN: count}:
        return {}
    # Slices and other vendors' devices are not also whole GPUs of NVIDIA's.
    return {f"{PREFIX}{name.replace('/', '_')}": str(number) for name, number in sorted({_KNOWN: 0, **devices}.items())}
