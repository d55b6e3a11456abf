"""`plan`, `render` and `images`: all that can be known of a stack without touching anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from espalier.blueprint import Blueprint
from espalier.blueprint.bundles import profile_of
from espalier.blueprint.ladder import ladder_proofs
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.taints import taints_of
from espalier.blueprint.tenant_bounds import Worst
from espalier.blueprint.wake import wake_proofs
from espalier.blueprint.wake_node import Recorded
from espalier.catalogue import catalogue
from espalier.commands.plan_images import all_images
from espalier.commands.project import Project, program_of
from espalier.commands.stale import stale_prices
from espalier.content import is_hook
from espalier.engine.model import Recording
from espalier.policies.resources import ADDON_TYPE, RENDERED
from espalier.report.documents import CostEntry, MonthEntry, PlanDocument, PolicyEntry, PoolEntry, QueuesEntry, header
from espalier.types import Proof, Registered, Verdict

UNKNOWN: dict[str, bool] = {"$unknown": True}


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: the document, and whether all mandatory policies and all proofs hold.

    `usable` leaves out the proofs that fail only since an add-on is held up: all else may be brought up.
    """

    document: PlanDocument
    ok: bool
    usable: bool


def plan(project: Project, today: date | None = None) -> Plan:
    """Records the program and judges it. Raises the engine's errors where the program cannot be recorded.

    `today` is the day on which prices are judged stale; without it none is.
    """
    from espalier.engine.record import record

    return plan_of(project, record(program_of(project)), today)


def plan_of(project: Project, recording: Recording, today: date | None = None) -> Plan:
    """The plan of a program that has been recorded."""
    from espalier.policies.judge import judge

    resources = [resource.to_json() for resource in recording.resources]
    verdicts = judge([registered(resource) for resource in resources])
    blueprint = project.blueprint
    objects = kubernetes_objects(resources)
    proofs = (*blueprint.proofs, *_wake_proofs(blueprint, resources, objects))
    months = {worst.tenant: _month_entry(worst) for worst in blueprint.worst}
    document: PlanDocument = {
        **header("plan"),
        "stack": project.stack.name,
        "engine": "embedded",
        "resources": [_resource_entry(resource) for resource in resources],
        "kubernetes": objects,
        "pools": [_pool_entry(pool) for pool in blueprint.pools],
        "tenants": [
            {
                "name": tenant.name,
                "namespaces": list(tenant.namespaces),
                "groups": {role: list(members) for role, members in tenant.groups.items()},
                "quota": {work.namespace: dict(work.hard) for work in tenant.workspaces},
                "kinds": {
                    work.namespace: {side: dict(most) for side, most in work.kinds.items()}
                    for work in tenant.workspaces
                    if work.kinds
                },
                "month": months.get(tenant.name),
            }
            for tenant in blueprint.tenants
        ],
        "queues": _queues_entry(blueprint),
        "addons": [
            {
                "id": addon.id,
                "version": addon.version,
                "wave": addon.wave,
                "content": addon.content,
                "held": f"{addon.held.why}. {addon.held.do}" if addon.held else "",
                "withheld": list(addon.withheld),
                "profile": profile_of(addon.id, project.stack.settings),
            }
            for addon in blueprint.addons
        ],
        "cost": _cost_entry(blueprint, today),
        "proofs": [{"name": proof.name, "ok": proof.ok, "evidence": proof.evidence} for proof in proofs],
        "policies": [policy_entry(verdict) for verdict in verdicts],
        "images": [
            {"image": image.image, "addon": image.addon, "where": image.where}
            for image in all_images(objects, blueprint, project.records)
        ],
        "notes": [
            *blueprint.notes,
            *(blueprint.cloud.notes if blueprint.cloud else ()),
            *(blueprint.queues.notes if blueprint.queues else ()),
        ],
    }
    proven = all(proof.ok for proof in proofs)
    usable = all(proof.ok or proof.held for proof in proofs)
    return Plan(document, proven and passes(verdicts), usable and passes(verdicts))


def _month_entry(worst: Worst) -> MonthEntry:
    return {"worst": worst.month, "budget": worst.budget, "unknown": list(worst.unknown)}


def _queues_entry(blueprint: Blueprint) -> QueuesEntry | None:
    plan = blueprint.queues
    if plan is None:
        return None
    addon = next(addon for addon in blueprint.addons if addon.id == plan.system)
    return {
        "system": plan.system,
        "held": f"{addon.held.why}. {addon.held.do}" if addon.held else "",
        "queues": [
            {
                "tenant": tenant.name,
                "namespaces": list(tenant.namespaces),
                "weight": tenant.weight,
                "devices": [
                    {
                        "device": share.device,
                        "quota": share.quota,
                        "own": share.own,
                        "most": share.ceiling,
                        "lend": share.lend,
                        "flavours": dict(share.flavours),
                    }
                    for share in tenant.shares
                ],
            }
            for tenant in plan.shared.tenants
        ],
        "idle": {one.device: one.total for one in plan.shared.idle},
        "objects": [dict(planned.manifest) for planned in plan.objects],
    }


def _wake_proofs(
    blueprint: Blueprint, resources: Sequence[Mapping[str, Any]], objects: Sequence[Mapping[str, Any]]
) -> tuple[Proof, ...]:
    """That each pool wakes, and in which order: of what is registered, since it is there that an autoscaler looks."""
    if blueprint.cloud is None:
        return ()
    cloud, autoscaler, known = blueprint.cloud, blueprint.facts.autoscaler, blueprint.catalogue or catalogue()
    recorded = Recorded(tuple(resources), tuple(objects), known, cloud.region)
    ladders = ladder_proofs(blueprint.pools, cloud, autoscaler, recorded)
    return (*ladders, *wake_proofs(blueprint.pools, cloud, autoscaler, resources, objects, known))


class NotAllowedError(Exception):
    """A mandatory policy or a proof fails; nothing was changed."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(f"{plan.document['stack']}: a mandatory policy or a proof fails")
        self.plan = plan


def allowed(plan: Plan) -> Plan:
    """The plan itself. Raises NotAllowedError unless all mandatory policies and proofs hold, those of content apart."""
    if not plan.usable:
        raise NotAllowedError(plan)
    return plan


def registered(resource: Mapping[str, Any]) -> Registered:
    """A recorded resource as policies see it."""
    return Registered(resource["urn"], resource["type"], resource["name"], resource["inputs"])


def passes(verdicts: Sequence[Verdict]) -> bool:
    """Whether no mandatory policy fails."""
    return all(verdict.ok or verdict.level == "advisory" for verdict in verdicts)


def policy_entry(verdict: Verdict) -> PolicyEntry:
    """A verdict as the document holds it."""
    return {
        "name": verdict.name,
        "level": verdict.level,
        "ok": verdict.ok,
        "findings": [{"urn": f.urn, "message": f.message, "waived": f.waived} for f in verdict.findings],
        "not_judged": list(verdict.not_judged),
    }


def kubernetes_objects(resources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The full objects among the resources, in the order of the recording, and those that Helm installs for them."""
    return [obj for resource in resources for obj in _objects_of(resource)]


def _objects_of(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    inputs = resource["inputs"]
    if resource["custom"] and resource["type"].startswith("kubernetes:") and "kind" in inputs:
        yield dict(inputs)
    if resource["type"] == ADDON_TYPE:
        yield from (obj for objects in inputs.get(RENDERED, {}).values() for obj in objects if not is_hook(obj))


def _resource_entry(resource: Mapping[str, Any]) -> Any:
    return {key: resource[key] for key in ("urn", "type", "name", "parent", "dependencies", "inputs", "options")}


def _pool_entry(pool: PoolPlan) -> PoolEntry:
    prices = {
        shape.capacity_kind: (
            UNKNOWN
            if shape.price is None
            else {"per_hour": shape.price.per_hour, "source": shape.price.source, "date": shape.price.date}
        )
        for shape in pool.shapes
    }
    return {
        "name": pool.name,
        "machine": pool.shape.machine,
        "nodes": {"min": pool.minimum, "max": pool.maximum, "start": pool.start},
        "labels": dict(pool.shape.labels),
        "taints": [taint.to_json() for taint in pool.shape.taints],
        "all_taints": [taint.to_json() for taint in taints_of(pool)],
        "devices": dict(pool.shape.devices),
        "capacity": [shape.capacity_kind for shape in pool.shapes],
        "price": prices,
        "owners": {
            part: {"who": owner.who, "addon": owner.addon, "why": owner.why}
            for part, owner in (pool.owners.parts() if pool.owners else ())
        },
        "device_prices": {
            shape.capacity_kind: {device: known(price) for device, price in pool.device_prices(shape).items()}
            for shape in pool.shapes
            if shape.devices
        },
    }


def _cost_entry(blueprint: Blueprint, today: date | None) -> CostEntry:
    cost, after = blueprint.cost, blueprint.settings.cost.stale_after
    return {
        "currency": "USD",
        "per": "hour",
        "min": known(cost.low),
        "max": known(cost.high),
        "pools": [
            {"pool": row.pool, "min": known(row.low), "max": known(row.high), "sources": list(row.sources)}
            for row in cost.pools
        ],
        "unknown": list(cost.unknown),
        "stale": stale_prices(blueprint.pools, today, after) if today else [],
    }


def known(amount: float | None) -> Any:
    """An amount, or the marker of an unknown one."""
    return UNKNOWN if amount is None else amount
