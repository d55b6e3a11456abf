"""What is refused of tenants against what the pools and the add-ons of their stack are."""

from __future__ import annotations

from collections.abc import Sequence

from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.proofs import device_maxima
from espalier.blueprint.tenant_bounds import reachable
from espalier.blueprint.tenants import namespace_of
from espalier.settings.tenants import Tenant
from espalier.settings.tree import path_text
from espalier.types import AddonPlan, Mistake


def namespace_mistakes(tenants: Sequence[Tenant], addons: Sequence[AddonPlan]) -> list[Mistake]:
    """Namespaces that somebody else has, and names that would become another's."""
    return [*_of_addons(tenants, addons), *_twins(tenants)]


def quota_mistakes_of(tenants: Sequence[Tenant], pools: Sequence[PoolPlan]) -> list[Mistake]:
    """Quotas that the pools could not back even at their maxima; a stack that names no pools cannot be judged."""
    if not pools:
        return []
    backing = device_maxima(pools)
    found: list[Mistake] = []
    for index, tenant in enumerate(tenants):
        for device, count in sorted(tenant.quota.devices.items()):
            path = path_text((device,), f"espalier:tenants[{index}].quota.devices")
            if device not in backing:
                accepted = ", ".join(backing) or "none: no pool has an accelerator"
                found.append(Mistake(path, repr(device), accepted, "Name a device that a pool advertises."))
            elif count > (most := reachable(tenant, pools).get(device, 0)):
                whose = "all pools" if most == backing[device] else "the pools that the tenant may use"
                accepted = f"at most {most}, {whose} at their maxima"
                found.append(Mistake(path, str(count), accepted, "Lower the quota or raise a pool's nodes.max."))
    return found


def _of_addons(tenants: Sequence[Tenant], addons: Sequence[AddonPlan]) -> list[Mistake]:
    """An add-on's namespace has rights that no tenant may have, and the tenant's quota would starve the add-on."""
    owners = {
        manifest["metadata"]["name"]: addon.id
        for addon in addons
        for manifest in addon.manifests
        if manifest["kind"] == "Namespace"
    }
    return [
        Mistake(
            f"espalier:tenants[{index}].name",
            f"namespace {namespace}, which add-on {owners[namespace]} has already",
            "each namespace once",
            "Rename the tenant or the workspace.",
        )
        for index, tenant in enumerate(tenants)
        for work in tenant.workspaces
        if (namespace := namespace_of(tenant, work if isinstance(work, str) else work.name)) in owners
    ]


def _twins(tenants: Sequence[Tenant]) -> list[Mistake]:
    """Tenant a-b with workspace c and tenant a with workspace b-c: their resources would have the same names."""
    owners: dict[str, str] = {}
    return [
        Mistake(
            f"espalier:tenants[{index}].name",
            f"{tenant.name} with workspace {name}, which reads like a workspace of tenant {owner}",
            "tenants and workspaces whose names, joined by -, differ",
            "Rename the tenant or the workspace.",
        )
        for index, tenant in enumerate(tenants)
        for name in (work if isinstance(work, str) else work.name for work in tenant.workspaces)
        if (owner := owners.setdefault(f"{tenant.name}-{name}", tenant.name)) != tenant.name
    ]
