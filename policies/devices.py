"""Which resource names are accelerators, and what the facts say of the pools that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from espalier.policies.values import is_hidden, listing, mapping, shown

VENDORS = (
    "nvidia.com/",
    "amd.com/",
    "google.com/tpu",
    "cloud-tpus.google.com/",
    "aws.amazon.com/neuron",
    "habana.ai/",
    "gpu.intel.com/",
    "huawei.com/Ascend",
)
"""How the names start under which the vendors' device plugins advertise accelerators."""


@dataclass(frozen=True, slots=True)
class AcceleratorPool:
    """A pool with devices, as the facts have it; `nodes` and `taints` as they came."""

    name: str
    nodes: Any
    taints: Any


def device_names(facts: Mapping[str, Any] | None) -> frozenset[str]:
    """The device resources of all pools."""
    pools = listing(mapping(facts).get("pools"))
    return frozenset(name for pool in pools for name in mapping(mapping(pool).get("devices")))


def is_accelerator(name: str, known: frozenset[str]) -> bool:
    """Whether a resource name is one of the platform's devices or of a known vendor."""
    return name in known or name.startswith(VENDORS)


def accelerator_pools(facts: Mapping[str, Any]) -> Iterator[AcceleratorPool | str]:
    """The pools that have devices; the text of what cannot be told where a part of the facts is hidden."""
    pools = facts.get("pools")
    if is_hidden(pools):
        yield "pools: not known"
    for entry in listing(pools):
        pool = mapping(entry)
        name = shown(pool.get("name"))
        devices = pool.get("devices")
        if is_hidden(entry) or is_hidden(devices):
            yield f"pool {name}: its devices are not known"
        elif mapping(devices):
            yield AcceleratorPool(name, pool.get("nodes"), pool.get("taints"))
