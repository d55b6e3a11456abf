"""NVIDIA's DCGM exporter by itself: measures the devices of pools that no GPU operator serves.

Facts: NVIDIA/dcgm-exporter 4.5.3-4.8.2, chart 4.8.2 (values.yaml, templates). It runs as root with SYS_ADMIN, which
profiling metrics ask for, hence its namespace's Pod Security level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.nvidia_sharing import DEVICE
from espalier.addons.tolerations import tolerations_of
from espalier.content import ChartSource, Content
from espalier.types import AddonInputs, AddonRecord, Facts, Mistake

NAME: Final = "dcgm-exporter"
VERSION: Final = "4.8.2"


class Options(BaseModel):
    """What does not follow from the pools."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    service_monitor: bool = Field(
        default=False, description="a ServiceMonitor, where the definitions of the Prometheus operator are there"
    )


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart: on nodes with NVIDIA's devices, whatever else taints them."""
    pools = [pool for pool in inputs.pools if pool.vendor == "nvidia"]
    return {
        "nodeSelector": {"nvidia.com/gpu.present": "true"},
        "tolerations": tolerations_of(pools),
        "serviceMonitor": {"enabled": inputs.options.service_monitor},
    }


def refuses(facts: Facts) -> Iterator[Mistake]:
    """GKE's containers see the driver's libraries only where they ask for a device, and GKE measures by itself."""
    if facts.kind == "gke":
        accepted = "GKE's own DCGM metrics: on its nodes a pod that asks for no device finds no driver"
        yield Mistake(f"espalier:addons.{NAME}", "on a cluster of kind gke", accepted, "Remove it.")


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="accelerators",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/NVIDIA/dcgm-exporter",
    options=Options,
    content=Content(
        source=ChartSource(NAME, VERSION, "https://nvidia.github.io/dcgm-exporter/helm-charts"),
        namespace=NAME,
        namespace_labels={"pod-security.kubernetes.io/enforce": "privileged"},
        values=values,
    ),
    conflicts={"nvidia-gpu-operator": "the operator starts an exporter of its own"},
    provides=frozenset({f"metrics/{DEVICE}"}),
    privileged_namespaces=frozenset({NAME}),
    reaches=frozenset({DEVICE}),
    refuses=refuses,
)
