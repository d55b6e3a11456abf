"""Quotas by kind of capacity: so many devices on spot nodes, so many on all others.

Kubernetes counts pods by their PriorityClass, and knows nothing of the nodes that they will be on (concepts/policy/
resource-quotas, "Resource quota per PriorityClass"). So there is a class of each for spot: pods with one land on spot
nodes alone, all others on none, which an admission policy holds; then the class tells the kind, and cannot be evaded.

Kueue sends a job to a flavour by quotas, before there is a pod, and knows of no class: what it sent to spot nodes, such
a policy would keep off them for ever. There its flavours hold the bound: each of one kind, and all work queued.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from espalier.blueprint.priorities import SPOT_CLASSES
from espalier.settings.tenants import Quota, Tenant
from espalier.types import CapacityKind

Side = Literal["spot", "on-demand"]
SIDES: Final[tuple[Side, ...]] = ("spot", "on-demand")
_OPERATORS: Final = {"spot": "In", "on-demand": "NotIn"}


def side_of(kind: CapacityKind) -> Side:
    """Reserved and flex capacity is not taken back at any time, as on-demand is not."""
    return "spot" if kind == "spot" else "on-demand"


def bounds_of(quota: Quota) -> Mapping[Side, Mapping[str, int]]:
    """Devices by side, for those that are bounded."""
    if quota.capacity is None:
        return {}
    asked: dict[Side, Mapping[str, int]] = {"spot": quota.capacity.spot, "on-demand": quota.capacity.on_demand}
    return {side: asked[side] for side in SIDES if asked[side]}


def by_class(tenant: Tenant, system: str) -> bool:
    """Whether classes tell the kind of capacity of the tenant's pods."""
    return system != "kueue" and bool(bounds_of(tenant.quota))


def quotas_by_class(quota: Quota) -> Iterator[tuple[Side, dict[str, Any]]]:
    """`spec` of the ResourceQuotas of a namespace, by side. A pod without a class is on the side of on-demand."""
    for side, devices in bounds_of(quota).items():
        scope = {"scopeName": "PriorityClass", "operator": _OPERATORS[side], "values": list(SPOT_CLASSES)}
        hard = {f"requests.{device}": str(count) for device, count in sorted(devices.items())}
        yield side, {"hard": hard, "scopeSelector": {"matchExpressions": [scope]}}
