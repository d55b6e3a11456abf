"""Who a tenant's user is when the API is asked as one, and what the API server answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from espalier.blueprint import names
from espalier.blueprint.tenants import TenantPlan, WorkspacePlan
from espalier.kube import ApiError, Client
from espalier.verify.model import Json

USER = "verify@espalier"
EVERYONE = "system:authenticated"
_NOWHERE = "None"
"""The name of no pool and of no kind of capacity: these have no capitals."""


def as_member(client: Client, groups: Sequence[str]) -> Client:
    """A client that impersonates a user who is in these groups and in no other."""
    return client.as_user(USER, [*sorted(groups), EVERYONE])


def groups_of(tenant: TenantPlan) -> tuple[str, ...]:
    """All groups of a tenant, of every role."""
    return tuple(sorted({group for members in tenant.groups.values() for group in members}))


def workers_of(workspace: WorkspacePlan) -> tuple[str, ...]:
    """Groups that may make pods in a workspace; none where only its owners may."""
    return tuple(sorted({group for role in ("edit", "admin") for group in workspace.groups.get(role, ())}))


@dataclass(frozen=True, slots=True)
class Counting:
    """A planned ResourceQuota: `priority` is a class whose pods it counts, `every` whether it counts all pods."""

    name: str
    hard: Mapping[str, str]
    priority: str
    every: bool


def quotas_of(workspace: WorkspacePlan) -> list[Counting]:
    """The ResourceQuotas of a workspace."""
    manifests = [planned.manifest for planned in workspace.objects if planned.manifest["kind"] == "ResourceQuota"]
    return [_counting(manifest["metadata"]["name"], manifest["spec"]) for manifest in manifests]


def _counting(name: str, spec: Json) -> Counting:
    if "scopeSelector" not in spec:
        return Counting(name, spec["hard"], "", every=True)
    (scope,) = spec["scopeSelector"]["matchExpressions"]
    return Counting(name, spec["hard"], scope["values"][0] if scope["operator"] == "In" else "", every=False)


def at_home(pod: Json, workspace: WorkspacePlan, priority: str = "") -> Json:
    """The pod as the guards of its namespace let it through to the quota; it is for no node: it would find none.

    Its image is from a registry of the tenant, and it selects a pool and capacity that are not forbidden to it, as
    Kubernetes before 1.36 has to be told. `priority` is its class.
    """
    namespaces = [each.manifest["metadata"] for each in workspace.objects if each.manifest["kind"] == "Namespace"]
    notes = namespaces[0].get("annotations", {}) if namespaces else {}
    spec: Json = pod["spec"]
    if registries := notes.get(names.REGISTRIES):
        own = f"{registries.split(',')[0]}/pause:3.10"
        spec = {**spec, "containers": [{**each, "image": own} for each in spec["containers"]]}
    bounds = {names.POOL: names.FORBIDDEN_POOLS, names.CAPACITY: names.FORBIDDEN_CAPACITY}
    away = {label: _NOWHERE for label, note in bounds.items() if note in notes}
    if names.SPOT_BY_CLASS in notes:
        away[names.CAPACITY] = "spot" if priority else _NOWHERE
    named = {"priorityClassName": priority} if priority else {}
    return {**pod, "spec": {**spec, **named, "nodeSelector": {**spec["nodeSelector"], **away}}}


def refused_as_member(error: ApiError) -> bool:
    """Whether authorization said no to the user whom we impersonate."""
    return error.status == 403 and f'User "{USER}" cannot ' in error.message


def may_not_impersonate(error: ApiError) -> bool:
    """Whether it is we who may not ask as another user: that says nothing of the tenant."""
    return error.status == 403 and "impersonate" in error.message and not refused_as_member(error)
