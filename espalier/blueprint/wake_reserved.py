"""What a node keeps back of its processors and its memory, by each cloud's own rule.

cluster-autoscaler takes a machine to give all that it has; a node does not. Sources: awslabs/amazon-eks-ami, nodeadm
(kubelet's config: 255 MiB and 11 MiB a pod); GKE, "Plan GKE Standard node sizes"; AKS, "Resource reservations"
(1.29 and later). All three evict pods before the last 100 MiB are used.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from espalier.quantity import parse_quantity
from espalier.types import NodeShape

MIB: Final = 2**20
GIB: Final = 2**30
_EVICTION: Final = 100 * MIB
_FIRMWARE: Final = Fraction(3, 40)
"""Part of a machine's memory that its operating system never sees; Karpenter's VM_MEMORY_OVERHEAD_PERCENT."""
_SYSTEM: Final = {"cpu": Fraction(1, 2), "memory": Fraction(GIB)}
"""For the cloud's own DaemonSets (network, storage, metrics), which are no objects of the plan: an upper bound."""
_CPU_STEPS: Final = ((1, Fraction(6, 100)), (1, Fraction(1, 100)), (2, Fraction(1, 200)))
_CPU_ABOVE: Final = Fraction(1, 400)
_GKE_STEPS: Final = ((4, Fraction(25, 100)), (4, Fraction(20, 100)), (8, Fraction(10, 100)), (112, Fraction(6, 100)))
_GKE_ABOVE: Final = Fraction(2, 100)
_AKS_CPU: Final = ((1, 60), (2, 100), (4, 140), (8, 180), (16, 260), (32, 420), (64, 740))


def kept_back(kind: str, shape: NodeShape) -> dict[str, Fraction]:
    """Processors and bytes that pods cannot have on a node of this shape."""
    cpu, memory = parse_quantity(shape.capacity["cpu"]), parse_quantity(shape.capacity["memory"])
    pods = parse_quantity(shape.capacity["pods"])
    pages = parse_quantity(shape.capacity.get("hugepages-2Mi", "0"))
    if kind == "aks":
        reserved = {"cpu": _aks_cpu(cpu), "memory": min((20 * pods + 50) * MIB, memory / 4)}
    elif kind == "gke":
        reserved = {"cpu": _steps(cpu, _CPU_STEPS, _CPU_ABOVE), "memory": _gke_memory(memory)}
    else:
        reserved = {"cpu": _steps(cpu, _CPU_STEPS, _CPU_ABOVE), "memory": (255 + 11 * pods) * MIB}
    # On a small machine the bound for the cloud's DaemonSets is a tenth: they ask for little and may take more.
    system = {"cpu": min(_SYSTEM["cpu"], cpu / 10), "memory": min(_SYSTEM["memory"], memory / 10)}
    return {
        "cpu": reserved["cpu"] + system["cpu"],
        "memory": reserved["memory"] + system["memory"] + _EVICTION + memory * _FIRMWARE + pages,
    }


def _steps(amount: Fraction, steps: tuple[tuple[int, Fraction], ...], above: Fraction) -> Fraction:
    """A part of each step, and of all that is above the last."""
    total, left = Fraction(0), amount
    for size, part in steps:
        taken = min(left, Fraction(size))
        total, left = total + taken * part, left - taken
    return total + left * above


def _gke_memory(memory: Fraction) -> Fraction:
    return _steps(memory / GIB, _GKE_STEPS, _GKE_ABOVE) * GIB


def _aks_cpu(cpu: Fraction) -> Fraction:
    """In thousandths of a core; the table's last value where a machine has more."""
    return Fraction(next((milli for cores, milli in _AKS_CPU if cpu <= cores), _AKS_CPU[-1][1]), 1000)
