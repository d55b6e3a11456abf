"""Settings become the blueprint: everything that is decided, decided here, without Pulumi and without a cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from espalier.blueprint import names
from espalier.blueprint.addon_rules import own_options
from espalier.blueprint.admission import admission_policies
from espalier.blueprint.autoscaling import machine_types
from espalier.blueprint.bundles import brought_by
from espalier.blueprint.clouds import CloudPlan, cloud_of, compiler_of
from espalier.blueprint.clouds.unsaid import chosen_machines, unsaid_counts
from espalier.blueprint.clouds.wanted import Site, cloud_name, region_mistakes
from espalier.blueprint.gates import WARDEN, gate_mistakes, gate_notes, gated_pools
from espalier.blueprint.guards import guards
from espalier.blueprint.identity import identity_mistakes, issuer_of, jwt_authenticators, naming_of
from espalier.blueprint.idle import idle_mistakes
from espalier.blueprint.keeping import keeping, kept_spaces
from espalier.blueprint.money import Cost, cost_of
from espalier.blueprint.notice import with_notices
from espalier.blueprint.order import plan_addons, provided_by, with_implied
from espalier.blueprint.ownership import Provided
from espalier.blueprint.pools import PoolPlan, autoscaled, compile_pools
from espalier.blueprint.preempt import preemption_proofs
from espalier.blueprint.priorities import priority_classes
from espalier.blueprint.profiles import DASHBOARD, profile_mistakes, profiles
from espalier.blueprint.proofs import device_maxima, prove
from espalier.blueprint.queues import (
    QueuePlan,
    default_system,
    plan_queues,
    queue_facts,
    queue_mistakes,
    system_of,
    tolerated,
    unqueued_notes,
)
from espalier.blueprint.replaced import replacement_notes
from espalier.blueprint.scalers import prometheus_of
from espalier.blueprint.tenant_bounds import Worst, bound_mistakes, bound_notes, worst_case
from espalier.blueprint.tenant_part_rules import part_mistakes
from espalier.blueprint.tenant_parts import FETCHER, folders_of, ways_of
from espalier.blueprint.tenant_rules import namespace_mistakes, quota_mistakes_of
from espalier.blueprint.tenants import Given, TenantPlan, compile_tenant, namespaces_of, spaces_of
from espalier.catalogue import Catalogue, catalogue
from espalier.charts.images import ImageRule
from espalier.content import Contents
from espalier.settings.cloud import CloudCluster
from espalier.settings.clusters import Simulated
from espalier.settings.model import Settings, Waiver
from espalier.settings.tree import path_text
from espalier.types import AddonInputs, AddonPlan, AddonRecord, Facts, Mistake, Mistakes, NodeShape, Planned, Proof


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A platform, decided. Components map it to resources and hold no decisions of their own."""

    settings: Settings
    facts: Facts
    pools: tuple[PoolPlan, ...]
    tenants: tuple[TenantPlan, ...]
    addons: tuple[AddonPlan, ...]
    objects: tuple[Planned, ...]
    """What belongs to the platform as a whole: priority classes, and what the API server gives to tenants' work and
    keeps them from."""
    cost: Cost
    proofs: tuple[Proof, ...]
    privileged_namespaces: tuple[str, ...]
    waivers: tuple[Waiver, ...]
    profiles: tuple[Planned, ...] = ()
    """Tenants as Kubeflow's dashboard knows them; empty where the stack has none."""
    queues: QueuePlan | None = None
    """How work waits for devices; None where no add-on brings a queueing system."""
    cloud: CloudPlan | None = None
    """What the components make in a cloud; None for clusters that are not made in one."""
    catalogue: Catalogue | None = None
    """The machines and accelerators that the pools were chosen from; None is Espalier's own."""
    notes: tuple[str, ...] = ()
    """What a reader of the stack file may want to know of the platform as a whole."""
    worst: tuple[Worst, ...] = ()
    """What each tenant's quota may cost a month, in the order of the tenants; empty without pools."""

    @property
    def machines(self) -> str | None:
        """The machine types of a simulated cluster's autoscaler, as JSON; None for a cluster that has none."""
        cluster = self.settings.cluster
        wanted = isinstance(cluster, Simulated) and cluster.autoscaler == "karpenter"
        return machine_types(self.pools) if wanted else None

    @property
    def issuers(self) -> str:
        """Whom a simulated cluster's API server trusts to say who people are, as JSON."""
        return json.dumps(jwt_authenticators(self.settings))

    @property
    def warden(self) -> bool:
        """Whether the program that opens gated nodes is among the add-ons."""
        return any(addon.id == WARDEN for addon in self.addons)

    def held(self) -> tuple[Mistake, ...]:
        """Add-ons that are left out of the program, each with why and what to do."""
        return tuple(
            Mistake(f"espalier:addons.{addon.id}", addon.held.why, "content that is there", addon.held.do)
            for addon in self.addons
            if addon.held
        )

    def policy_facts(self) -> dict[str, Any]:
        """What policies may know besides the resources; Platform registers it as its own input."""
        return {
            "cluster": {
                "kind": self.facts.kind,
                "version": self.facts.kubernetes_version,
                "runs_containers": self.facts.runs_containers,
            },
            "pools": [
                {
                    "name": pool.name,
                    "devices": dict(pool.shape.devices),
                    "taints": [taint.to_json() for taint in pool.shape.taints],
                    "nodes": {"min": pool.minimum, "max": pool.maximum, "start": pool.start},
                    "capacity": [shape.capacity_kind for shape in pool.shapes],
                    "ends": [_end(shape) for shape in pool.shapes if shape.notice and shape.notice.grace is not None],
                }
                for pool in self.pools
            ],
            "tenants": [
                {
                    "name": tenant.name,
                    "namespaces": list(tenant.namespaces),
                    "groups": {role: list(members) for role, members in tenant.groups.items()},
                    "people": list(tenant.people),
                }
                for tenant in self.tenants
            ],
            "privileged_namespaces": list(self.privileged_namespaces),
            "cost": {
                "currency": "USD",
                "per": "hour",
                "min": self.cost.low,
                "max": self.cost.high,
                "unknown": list(self.cost.unknown),
                "ceiling": self.cost.ceiling,
            },
            "waivers": [waiver.model_dump() for waiver in self.waivers],
        }


def _end(shape: NodeShape) -> dict[str, Any]:
    """Nodes that may be taken back, and the seconds that a pod then has."""
    assert shape.notice is not None  # noqa: S101 - asked of shapes that have one
    taints = [taint.to_json() for taint in shape.taints]
    grace = shape.notice.grace
    return {"capacity": shape.capacity_kind, "grace": grace, "labels": dict(shape.labels), "taints": taints}


def build(
    settings: Settings,
    records: Mapping[str, AddonRecord],
    contents: Contents | None = None,
    known: Catalogue | None = None,
) -> Blueprint:
    """The blueprint of `settings` with the add-ons of `records`.

    `contents` are the objects of the add-ons that have a source; one that is not among them is held up.
    `known` is what pools may name; default: Espalier's own catalogue.
    Raises Mistakes with everything that the catalogue, the solver or the pools' maxima rule out.
    """
    facts = facts_of(settings)
    wanted = addons_of(settings, records)
    pools, pool_mistakes = _pools_of(settings, known, provided_by(wanted, records))
    version = (cloud_of(settings.cluster) or settings.cluster).version
    pools = with_notices(pools, settings.pools, facts.kind, version)
    pool_facts = tuple(pool.facts() for pool in pools)
    addons, addon_mistakes = plan_addons(
        wanted,
        records,
        facts,
        pool_facts,
        contents,
        ImageRule(settings.sources.registry or ""),
        None if pool_mistakes else queue_facts(settings, pools, facts),
        settings.licences,
        issuer_of(settings),
        _workspaces(settings),
    )
    if cluster := cloud_of(settings.cluster):
        addons = tuple(compiler_of(cluster.kind).addon(addon) for addon in addons)
    addons = keeping(addons, records)
    borrowing = bool(system_of(wanted)) and settings.queues.borrowing
    quota_mistakes = (
        ()
        if pool_mistakes
        else (*quota_mistakes_of(settings.tenants, pools), *bound_mistakes(settings, pools, facts, borrowing=borrowing))
    )
    if not pool_mistakes and not quota_mistakes and not addon_mistakes:
        quota_mistakes = queue_mistakes(settings, pools, facts, system_of(wanted))
    tenant_mistakes = namespace_mistakes(settings.tenants, addons)
    price_mistakes = _price_mistakes(settings, pools, known)
    tenant_mistakes += [*idle_mistakes(settings), *part_mistakes(settings, wanted)]
    tenant_mistakes += [*identity_mistakes(settings), *profile_mistakes(settings.tenants, wanted)]
    others = (*quota_mistakes, *tenant_mistakes, *price_mistakes)
    if mistakes := (*pool_mistakes, *addon_mistakes, *others):
        raise Mistakes(mistakes)
    devices = sorted(device_maxima(pools))
    given = Given.by((records[addon.id] for addon in addons), wanted)
    naming, dashboard = naming_of(settings), DASHBOARD in wanted
    fetches = any(addon.id == FETCHER and not addon.held for addon in addons)
    ways = ways_of(settings, spaces_of(settings.tenants), fetches=fetches)
    tenants = tuple(
        compile_tenant(
            tenant,
            devices,
            given,
            borrowing=borrowing,
            notes=bound_notes(tenant, pools, system_of(wanted)),
            naming=naming,
            profiles=dashboard,
            ways=ways,
        )
        for tenant in settings.tenants
    )
    queues = plan_queues(settings, pools, tenants, facts, wanted)
    made = [records[addon.id] for addon in addons if addon.content != "existing"]
    privileged = sorted({namespace for record in made for namespace in record.privileged_namespaces})
    return Blueprint(
        settings=settings,
        facts=facts,
        pools=pools,
        tenants=tenants,
        addons=addons,
        objects=(
            *priority_classes(system_of(wanted), spot=names.SPOT_BY_CLASS in _noted(tenants)),
            *admission_policies(
                facts.kubernetes_version,
                [shape for pool in pools for shape in pool.shapes],
                tenants=bool(tenants),
                tolerated=tolerated(queues),
            ),
            *(
                guards(facts.kubernetes_version, _noted(tenants), system_of(wanted), prometheus_of(wanted))
                if tenants
                else ()
            ),
        ),
        cost=cost_of(pools, settings.cost.ceiling),
        proofs=(
            *prove(pools, tenants, addons, records),
            *preemption_proofs(pools, facts.kind, addons),
            *(queues.proofs if queues else ()),
        ),
        privileged_namespaces=tuple(privileged),
        waivers=settings.waivers,
        profiles=profiles(settings.tenants, {one.name: one.namespaces for one in tenants}) if dashboard else (),
        queues=queues,
        cloud=_cloud_plan(settings, pools, known),
        catalogue=known,
        notes=unqueued_notes(settings, pools, provided_by(wanted, records)),
        worst=tuple(worst_case(tenant, pools, borrowing=borrowing) for tenant in settings.tenants if pools),
    )


def addons_of(settings: Settings, records: Mapping[str, AddonRecord]) -> dict[str, Mapping[str, Any]]:
    """The add-ons of a stack: those that it names, or its profile, that its cluster has, and that its queues need."""
    facts = facts_of(settings)
    wanted = with_implied({**brought_by(settings, records, facts), **settings.addons}, records, facts)
    return {**default_system(settings, provided_by(wanted, records)), **wanted}


def _pools_of(
    settings: Settings, known: Catalogue | None, provided: Provided
) -> tuple[tuple[PoolPlan, ...], tuple[Mistake, ...]]:
    """The pools, and the mistakes of these and of a cloud's cluster block."""
    known = known or catalogue()
    simulated = isinstance(settings.cluster, Simulated)
    cluster = cloud_of(settings.cluster)
    autoscaler = facts_of(settings).scaler
    gated = gated_pools(settings, autoscaler, known.accelerators)
    unguarded = gate_mistakes(settings, autoscaler, known.accelerators)
    if cluster is None:
        plans, mistakes = compile_pools(
            settings.pools,
            settings.prices,
            simulated=simulated,
            known=known.accelerators,
            provided=provided,
            gated=gated,
        )
        return _scaled(settings, _marked(settings, plans)), (*mistakes, *unguarded)
    site = Site(cluster=cluster, compiler=compiler_of(cluster.kind), catalogue=known)
    found = [*region_mistakes(site), *site.compiler.cluster_mistakes(cluster)]
    pools, mistakes = compile_pools(
        settings.pools,
        settings.prices,
        simulated=simulated,
        known=known.accelerators,
        site=site,
        provided=provided,
        gated=gated,
    )
    return _scaled(settings, _marked(settings, pools)), (*found, *mistakes, *unguarded)


def _marked(settings: Settings, pools: tuple[PoolPlan, ...]) -> tuple[PoolPlan, ...]:
    """The pools, with the taint that the warden gives to nodes whose devices fail where it is there.

    Also where it only reports: a node that was marked before that was said is still to be mended.
    """
    if WARDEN not in settings.addons:
        return pools
    return tuple(replace(pool, later_taints=(names.FAILED_TAINT,)) if pool.accelerator else pool for pool in pools)


def _scaled(settings: Settings, pools: tuple[PoolPlan, ...]) -> tuple[PoolPlan, ...]:
    """The pools, with what a simulated cluster's autoscaler is told of them where it has one."""
    cluster = settings.cluster
    return autoscaled(pools) if isinstance(cluster, Simulated) and cluster.autoscaler == "karpenter" else pools


def _cloud_plan(settings: Settings, pools: Sequence[PoolPlan], known: Catalogue | None) -> CloudPlan | None:
    """What the cloud is to make; nothing where a simulated cluster stands for it."""
    cluster = settings.cluster
    if not isinstance(cluster, CloudCluster):
        return None
    compiler = compiler_of(cluster.kind)
    plan = compiler.plan(cluster, pools)
    if settings.identity is not None:
        plan = compiler.with_identity(plan, settings.identity)
    folders = folders_of(settings, spaces_of(settings.tenants))
    plan = compiler.tenancy.grant(plan, cluster, folders) if folders else plan
    site = Site(cluster=cluster, compiler=compiler, catalogue=known or catalogue())
    said = (
        *unsaid_counts(settings.pools, compiler, site.catalogue),
        *chosen_machines(settings.pools, settings.prices, site),
        *gate_notes(settings, site.catalogue.accelerators),
        *replacement_notes(pools, facts_of(settings), settings.addons),
    )
    return replace(plan, notes=(*plan.notes, *said))


def inputs_of(
    settings: Settings, record: AddonRecord, records: Mapping[str, AddonRecord], known: Catalogue | None = None
) -> AddonInputs | None:
    """What an add-on's values are computed from; None where the stack's pools or its options have mistakes."""
    facts = facts_of(settings)
    wanted = addons_of(settings, records)
    pools, mistakes = _pools_of(settings, known, provided_by(wanted, records))
    if mistakes:
        return None
    try:
        options = record.options.model_validate(own_options(wanted.get(record.id, {})))
    except ValidationError:
        return None
    queues = queue_facts(settings, pools, facts)
    return AddonInputs(
        facts,
        tuple(pool.facts() for pool in pools),
        options,
        wanted,
        queues,
        issuer_of(settings),
        kept_spaces(wanted, records),
        _workspaces(settings),
    )


def _workspaces(settings: Settings) -> tuple[str, ...]:
    """Tenants' namespaces."""
    return tuple(space for tenant in settings.tenants for space in namespaces_of(tenant))


def facts_of(settings: Settings) -> Facts:
    """What the kind of cluster says about itself."""
    cluster = settings.cluster
    real = not isinstance(cluster, Simulated)
    own = cluster.autoscaler if isinstance(cluster, Simulated) else ""
    cloud = cloud_of(cluster)
    if cloud is None:
        return Facts(cluster.kind, cluster.version, real, simulated_autoscaler=own)
    default = "managed" if cloud.kind != "eks" else "" if cloud.given is not None else "cluster-autoscaler"
    autoscaler = cloud.autoscaler or default
    return Facts(
        cloud.kind,
        cluster.version,
        real,
        cluster=cloud.name,
        region=cloud.region,
        autoscaler=autoscaler,
        isolated=cloud.given is None and cloud.network.id is None and cloud.network.egress == "none",
        simulated_autoscaler=own,
    )


def _noted(tenants: Sequence[TenantPlan]) -> frozenset[str]:
    """The annotations that tenants' namespaces have."""
    objects = (planned.manifest for tenant in tenants for work in tenant.workspaces for planned in work.objects)
    return frozenset(key for one in objects for key in one["metadata"].get("annotations", {}))


def _price_mistakes(settings: Settings, pools: Sequence[PoolPlan], rows: Catalogue | None) -> list[Mistake]:
    """A price that no pool takes is a misspelt name, and would leave a pool's price unknown in silence.

    In a cloud any of its machines may have one: pools choose among them by price.
    """
    if len(pools) != len(settings.pools):
        return []
    cluster = cloud_of(settings.cluster)
    sold = (rows or catalogue()).machines(cloud_name(compiler_of(cluster.kind))) if cluster else {}
    known = {
        name
        for pool in pools
        for name in (pool.name, pool.shape.machine, pool.accelerator and pool.accelerator.name)
        if name
    }
    return [
        Mistake(
            path_text((key,), "espalier:prices"),
            repr(key),
            ", ".join(sorted(known)),
            "Name a pool, its accelerator or its machine.",
        )
        for key in sorted(settings.prices)
        if key not in known and key not in sold
    ]
