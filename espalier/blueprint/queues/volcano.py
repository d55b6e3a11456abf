"""Volcano's queues: one a tenant, under its root.

Facts: Volcano v1.15.1, installer/helm/chart/volcano/crd and docs/user-guide (capacity plugin): `guarantee` is kept for
the queue, `deserved` is its by right and comes back to it when it asks, `capability` is its ceiling. A pod names its
queue itself; that no tenant takes more than its ceiling is held by its ResourceQuotas.
"""

from __future__ import annotations

from typing import Any, Final

from espalier.blueprint import names
from espalier.blueprint.queues.model import Shared, TenantQueues
from espalier.types import Planned

API: Final = "scheduling.volcano.sh/v1beta1"
OWN_QUEUES: Final = ("default", "root")
"""Queues that Volcano makes itself."""


def objects(shared: Shared) -> tuple[Planned, ...]:
    """A queue a tenant."""
    return tuple(_tenant(shared, tenant) for tenant in shared.tenants)


def _tenant(shared: Shared, tenant: TenantQueues) -> Planned:
    plain = {"cpu": str(tenant.cpu), "memory": tenant.memory}
    kept = {share.device: str(share.own - share.lend) for share in tenant.shares if share.own > share.lend}
    spec: dict[str, Any] = {
        "weight": tenant.weight,
        "reclaimable": shared.borrowing and shared.preemption != "never",
        "parent": "root",
        "capability": plain | {share.device: str(share.ceiling) for share in tenant.shares},
        "deserved": plain | {share.device: str(share.own) for share in tenant.shares},
        **({"guarantee": {"resource": kept}} if kept else {}),
    }
    metadata = {"name": tenant.name, "labels": dict(names.MANAGED_BY)}
    manifest = {"apiVersion": API, "kind": "Queue", "metadata": metadata, "spec": spec}
    return Planned(f"queue-tenant-{tenant.name}", manifest)
