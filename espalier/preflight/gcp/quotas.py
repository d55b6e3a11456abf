"""Which regional quota of Compute Engine a machine or an accelerator counts against.

Source: compute v1 discovery, Quota.metric, and the Compute Engine documentation, "Allocation quotas". Newer families of
GPUs have quotas that only Cloud Quotas tells; a metric that the region does not list is not judged.
"""

from __future__ import annotations

from collections.abc import Collection

_OWN_CPUS = frozenset({"a2", "c2", "c2d", "c3", "m1", "m2", "m3", "n2", "n2d", "t2a", "t2d"})
"""Families with a CPU quota of their own; all others share CPUS."""
_NO_CPUS = frozenset({"a3", "a4", "a4x", "g2", "g4", "ct4p", "ct5lp", "ct5p", "ct6e", "tpu7x"})
"""Families that only their accelerators limit."""
_GPUS = {
    "nvidia-l4": "NVIDIA_L4_GPUS",
    "nvidia-tesla-t4": "NVIDIA_T4_GPUS",
    "nvidia-tesla-v100": "NVIDIA_V100_GPUS",
    "nvidia-tesla-a100": "NVIDIA_A100_GPUS",
    "nvidia-a100-80gb": "NVIDIA_A100_80GB_GPUS",
    "nvidia-h100-80gb": "NVIDIA_H100_GPUS",
}


def cpus_of(machine: str, *, spot: bool, known: Collection[str]) -> str | None:
    """The quota of a machine's vCPUs; None where none limits it. Spot has its own in regions that tell it."""
    family = machine.partition("-")[0]
    if family in _NO_CPUS:
        return None
    if spot and "PREEMPTIBLE_CPUS" in known:
        return "PREEMPTIBLE_CPUS"
    return f"{family.upper()}_CPUS" if family in _OWN_CPUS else "CPUS"


def devices_of(accelerator: str, *, spot: bool) -> str | None:
    """The quota of an accelerator, by its cloud's name; None for one that only Cloud Quotas tells."""
    metric = _GPUS.get(accelerator)
    return f"PREEMPTIBLE_{metric}" if metric and spot else metric
