"""What a tenant's quota means where several flavours hold its devices.

A quota is one number for all flavours together. While the quotas of all tenants fit into what the pools have at their
maxima, a tenant has all of its quota by right; else its part of it, in proportion, and it borrows the rest while others
leave it idle. On each flavour its right is bounded by what that flavour has, in the same way; on those that it may not
use (`pools`, `capacity`) it has none (rights.py). What nobody has by right is idle, and may be borrowed by all that
have not reached their ceilings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.proofs import device_maxima
from espalier.blueprint.queues.flavours import flavours_of
from espalier.blueprint.queues.kinds import caps
from espalier.blueprint.queues.model import Flavour, Idle, Share, Shared, TenantQueues
from espalier.blueprint.queues.rights import rights_of
from espalier.blueprint.queues.shares import shares
from espalier.blueprint.tenant_bounds import shapes_of
from espalier.blueprint.tenants import DEFAULT_QUOTA, namespaces_of
from espalier.settings.model import Settings
from espalier.settings.tenants import Tenant
from espalier.types import Facts


def shared_of(settings: Settings, pools: Sequence[PoolPlan], facts: Facts) -> Shared:
    """The queues of a stack. Tenants' wishes beyond what there is are refused before (rules.py)."""
    flavours = flavours_of(settings, pools, facts)
    found: dict[str, list[Share]] = {tenant.name: [] for tenant in settings.tenants}
    idle: list[Idle] = []
    for device, most in device_maxima(pools).items():
        holding = [flavour for flavour in flavours if device in flavour.devices]
        mine, left = _of_device(device, most, holding, settings, pools)
        idle.append(left)
        for name, share in mine.items():
            found[name].append(share)
    tenants = tuple(_tenant(tenant, found[tenant.name]) for tenant in settings.tenants)
    queues = settings.queues
    return Shared(queues.borrowing, queues.preemption, tuple(flavours), tenants, tuple(idle))


def unit_in(flavours: Sequence[Flavour]) -> int:
    """The least number of devices that is of any use."""
    return min((flavour.unit for flavour in flavours), default=1)


def _tenant(tenant: Tenant, found: Sequence[Share]) -> TenantQueues:
    quota = tenant.quota
    return TenantQueues(
        name=tenant.name,
        namespaces=namespaces_of(tenant),
        weight=tenant.queue.weight,
        cpu=int(quota.cpu or DEFAULT_QUOTA["cpu"]),
        memory=str(quota.memory or DEFAULT_QUOTA["memory"]),
        shares=tuple(found),
    )


def _of_device(
    device: str, most: int, holding: Sequence[Flavour], settings: Settings, pools: Sequence[PoolPlan]
) -> tuple[Mapping[str, Share], Idle]:
    """Each tenant's share of a device, and what is left."""
    quotas = {tenant.name: tenant.quota.devices.get(device, 0) for tenant in settings.tenants}
    usable = {tenant.name: _usable(tenant, holding, pools) for tenant in settings.tenants}
    by_flavour, own = rights_of(shares(most, quotas, unit_in(holding)), holding, device, usable)
    most_of = {tenant.name: caps(tenant.quota, device, usable[tenant.name]) for tenant in settings.tenants}
    within = {
        name: sum(most_of[name].get(one.name, one.devices[device]) for one in mine) for name, mine in usable.items()
    }
    by_flavour = {
        one: {name: min(count, most_of[name].get(one, count)) for name, count in rights.items()}
        for one, rights in by_flavour.items()
    }
    own = {name: min(count, within[name]) for name, count in own.items()}
    found: dict[str, Share] = {}
    for tenant in settings.tenants:
        name, queue = tenant.name, tenant.queue
        further = queue.borrow.get(device, 0) if settings.queues.borrowing else 0
        found[name] = Share(
            device=device,
            quota=quotas[name],
            own=own[name],
            ceiling=min(quotas[name] + further, most, within[name]) if settings.queues.borrowing else own[name],
            lend=min(queue.lend.get(device, own[name]), own[name]),
            flavours={flavour.name: by_flavour[flavour.name][name] for flavour in usable[name]},
            caps=most_of[name],
        )
    left = {flavour.name: flavour.devices[device] - sum(by_flavour[flavour.name].values()) for flavour in holding}
    return found, Idle(device, most - sum(own.values()), left)


def _usable(tenant: Tenant, flavours: Sequence[Flavour], pools: Sequence[PoolPlan]) -> list[Flavour]:
    """Those with nodes that the tenant may use."""
    kinds = {pool.name: {shape.capacity_kind for shape in shapes_of(tenant, pool)} for pool in pools}
    return [flavour for flavour in flavours if kinds[flavour.pool] & set(flavour.kinds)]
