"""KAI's queues: one a tenant, under one of Espalier's own.

Facts: KAI-Scheduler v0.17.0, the definition of scheduling.run.ai/v2 Queue and docs/queues: `quota` is the queue's by
right, `limit` its ceiling, `overQuotaWeight` its part of what is idle; -1 is no bound. CPU and memory are held by
ResourceQuotas. A pod names its queue by a label, and KAI by its schedulerName.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from espalier.blueprint import names
from espalier.blueprint.queues.model import Shared, TenantQueues
from espalier.types import Planned

API: Final = "scheduling.run.ai/v2"
ROOT: Final = "espalier"
DEVICE: Final = "nvidia.com/gpu"
"""What its queues count."""
_UNBOUND: Final = {"quota": -1, "limit": -1, "overQuotaWeight": 1}


def objects(shared: Shared) -> tuple[Planned, ...]:
    """The parent of all queues holds what there is; each tenant's has its share."""
    most = sum(flavour.devices[DEVICE] for flavour in _one_a_pool(shared))
    root = _queue("root", ROOT, _resources(most, most, 1), "")
    return (root, *(_tenant(tenant) for tenant in shared.tenants))


def _one_a_pool(shared: Shared) -> Sequence[Any]:
    """The kinds of a pool's capacity have one maximum in common."""
    return list({flavour.pool: flavour for flavour in shared.holding(DEVICE)}.values())


def _tenant(tenant: TenantQueues) -> Planned:
    share = next((share for share in tenant.shares if share.device == DEVICE), None)
    own, ceiling = (share.own, share.ceiling) if share else (0, 0)
    return _queue(f"tenant-{tenant.name}", tenant.name, _resources(own, ceiling, tenant.weight), ROOT)


def _resources(quota: int, limit: int, weight: int) -> dict[str, Mapping[str, int]]:
    gpu = {"quota": quota, "limit": limit, "overQuotaWeight": weight}
    return {"cpu": _UNBOUND, "memory": _UNBOUND, "gpu": gpu}


def _queue(suffix: str, name: str, resources: Mapping[str, Any], parent: str) -> Planned:
    spec: dict[str, Any] = {"resources": dict(resources), **({"parentQueue": parent} if parent else {})}
    metadata = {"name": name, "labels": dict(names.MANAGED_BY)}
    manifest = {"apiVersion": API, "kind": "Queue", "metadata": metadata, "spec": spec}
    return Planned(f"queue-{suffix}", manifest, ("queue-root",) if parent else ())
