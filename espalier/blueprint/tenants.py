"""A tenant block becomes namespaces with their ceilings, roles and walls, as plain objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from espalier.blueprint import names
from espalier.blueprint.addon_rules import Wanted, traffic_of
from espalier.blueprint.capacity import Side, bounds_of, quotas_by_class
from espalier.blueprint.identity import AS_THEY_ARE, Naming
from espalier.blueprint.idle import idle_notes
from espalier.blueprint.profiles import LABELS, namespace_notes
from espalier.blueprint.tenant_parts import FETCHER, ROUTES, VOLUME, Ways, objects_of, traffic_of_tenant
from espalier.blueprint.tenant_walls import walls
from espalier.settings.tenants import Groups, Quota, Tenant, Workspace
from espalier.types import AddonRecord, Planned, Traffic

DEFAULT_QUOTA = {"cpu": 16, "memory": "64Gi", "storage": "200Gi"}
"""The ceiling of a tenant that names none: a small team without accelerators."""
DEFAULT_REQUESTS = {"cpu": "100m", "memory": "256Mi"}
"""What a container asks for when it says nothing; without it a quota would refuse it."""

NO_EXPOSURE = {"services.loadbalancers": 0, "services.nodeports": 0}
"""What a tenant counts to unless it says otherwise: its Services stay within the cluster."""
_OF_A_CLASS = ".storageclass.storage.k8s.io/requests.storage"

READ = ["get", "list", "watch"]
WRITE = ["create", "update", "patch", "delete", "deletecollection"]
Kinds = tuple[tuple[str, tuple[str, ...]], ...]
"""Kinds by API group, each by its plural."""
Marks = tuple[Mapping[str, str], Mapping[str, str]]
"""Labels and annotations."""

_WORK: Kinds = (
    ("", ("configmaps", "persistentvolumeclaims", "pods", "services")),
    ("apps", ("deployments", "replicasets", "statefulsets")),
    ("apps", ("deployments/scale", "statefulsets/scale")),
    ("batch", ("cronjobs", "jobs")),
    ("autoscaling", ("horizontalpodautoscalers",)),
    ("policy", ("poddisruptionbudgets",)),
)
_SEEN: Kinds = (
    *_WORK,
    (
        "",
        (
            "endpoints",
            "events",
            "limitranges",
            "pods/log",
            "pods/status",
            "resourcequotas",
            "serviceaccounts",
        ),
    ),
    ("discovery.k8s.io", ("endpointslices",)),
    ("events.k8s.io", ("events",)),
    ("networking.k8s.io", ("networkpolicies",)),
)


@dataclass(frozen=True, slots=True)
class Given:
    """What the add-ons of a platform give to its tenants: kinds that they make, kinds that they only see, what goes
    through their walls, verbs of the add-ons' own, and labels of their namespaces."""

    work: Kinds = ()
    seen: Kinds = ()
    traffic: tuple[Traffic, ...] = ()
    acts: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def by(cls, records: Iterable[AddonRecord], wanted: Wanted | None = None) -> Given:
        """What these add-ons bring, with the options that the stack file has of them."""
        found = sorted(records, key=lambda record: record.id)
        return cls(
            tuple(kinds for record in found for kinds in record.work),
            tuple(kinds for record in found for kinds in record.seen),
            tuple(traffic_of(record, (wanted or {}).get(record.id, {})) for record in found),
            tuple(act for record in found for act in record.acts),
            {key: value for record in found for key, value in sorted(record.marks.items())},
        )


NOTHING = Given()
NO_WAYS = Ways()


@dataclass(frozen=True, slots=True)
class WorkspacePlan:
    """A namespace of a tenant. `hard` is its ResourceQuota's `spec.hard`; `groups` are those that have a role in it."""

    name: str
    namespace: str
    hard: Mapping[str, str]
    objects: tuple[Planned, ...]
    groups: Mapping[str, tuple[str, ...]]
    folder: str = ""
    """URL of its part of a bucket; "" for none."""
    kinds: Mapping[Side, Mapping[str, int]] = field(default_factory=dict[Side, Mapping[str, int]])
    """Of the devices, how many at most on `spot` nodes and on all others (`on-demand`), where the quota says so."""


@dataclass(frozen=True, slots=True)
class TenantPlan:
    """A tenant, compiled. `groups` are those of all its workspaces together, and `people` the owners of any."""

    name: str
    groups: Mapping[str, tuple[str, ...]]
    quota: Quota
    workspaces: tuple[WorkspacePlan, ...]
    people: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    """Add-ons whose kinds its objects are of."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(workspace.namespace for workspace in self.workspaces)


def compile_tenant(
    tenant: Tenant,
    devices: Sequence[str],
    given: Given = NOTHING,
    *,
    borrowing: bool = False,
    notes: Mapping[str, str] | None = None,
    naming: Naming = AS_THEY_ARE,
    profiles: bool = False,
    ways: Ways = NO_WAYS,
) -> TenantPlan:
    """A tenant on a platform that advertises `devices`; those that its quota does not name are capped at zero.

    `given` is what the platform's add-ons bring for its tenants' own use. With `borrowing` a queue holds the tenant to
    its quota while others want theirs: what it may borrow beyond it is added to the ceilings of its namespaces.
    `notes` are annotations of its namespaces, by which admission policies hold it. `naming` is how the API server names
    its people: the plan has them all so. With `profiles` its namespaces are Kubeflow's, too. `ways` are the platform's
    for secrets, volumes and buckets.
    """
    borrow = tenant.queue.borrow if borrowing else {}
    notes = {**idle_notes(tenant), **(notes or {})}
    workspaces = tuple(
        _workspace(
            tenant, work, devices, given, borrow, _marks(tenant, work, given, notes, profiles=profiles), naming, ways
        )
        for work in tenant.workspaces
    )
    owners = [work.owners for work in tenant.workspaces if isinstance(work, Workspace)]
    named = {*tenant.owners, *(person for some in owners for person in some)}
    people = tuple(sorted({*map(naming.person, named), *(named if profiles else ())}))
    after = (FETCHER,) if ways.fetches and (tenant.secrets or tenant.pull_secrets) else ()
    return TenantPlan(tenant.name, _together(workspaces), tenant.quota, workspaces, people, after)


def _marks(tenant: Tenant, work: str | Workspace, given: Given, notes: Mapping[str, str], *, profiles: bool) -> Marks:
    """Labels and annotations of a workspace's namespace, besides those that every one has."""
    if not profiles:
        return given.marks, notes
    return {**given.marks, **LABELS}, {**notes, **namespace_notes(tenant, work)}


def _together(workspaces: Sequence[WorkspacePlan]) -> dict[str, tuple[str, ...]]:
    """Role -> groups that have it in some workspace."""
    found = {
        role: tuple(dict.fromkeys(member for work in workspaces for member in work.groups.get(role, ())))
        for role in ROLE_RULES
    }
    return {role: members for role, members in found.items() if members}


def _groups(groups: Groups, naming: Naming) -> dict[str, tuple[str, ...]]:
    by_role = {"view": groups.view, "edit": groups.edit, "admin": groups.admin}
    return {role: tuple(map(naming.group, members)) for role, members in by_role.items() if members}


def _workspace(
    tenant: Tenant,
    work: str | Workspace,
    devices: Sequence[str],
    given: Given,
    borrow: Mapping[str, int],
    marks: Marks,
    naming: Naming,
    ways: Ways,
) -> WorkspacePlan:
    own = work if isinstance(work, Workspace) else Workspace(name=work)
    name, quota = own.name, own.quota or tenant.quota
    groups = _groups(own.groups or tenant.groups, naming)
    people = {"admin": tuple(map(naming.person, (*tenant.owners, *own.owners)))}
    namespace = namespace_of(tenant, name)
    labels = {**names.MANAGED_BY, names.TENANT: tenant.name, names.WORKSPACE: name}
    if tenant.exposure is not None:
        given = replace(given, work=(*given.work, ROUTES))
    hard = hard_limits(quota, devices, borrow)
    objects = (
        _namespace(namespace, labels, tenant.pod_security, marks),
        _planned(
            name,
            "quota",
            "v1",
            "ResourceQuota",
            namespace,
            "tenant",
            labels,
            {"spec": {"hard": dict(hard)}},
        ),
        *(
            _planned(name, f"quota-{side}", "v1", "ResourceQuota", namespace, f"tenant-{side}", labels, {"spec": spec})
            for side, spec in (quotas_by_class(quota) if names.SPOT_BY_CLASS in marks[1] else ())
        ),
        _planned(name, "limits", "v1", "LimitRange", namespace, "tenant", labels, {"spec": _limits()}),
        *_network(name, namespace, labels, (*given.traffic, *traffic_of_tenant(tenant)), ways),
        *(
            planned
            for role in ROLE_RULES
            if (subjects := _subjects(groups.get(role, ()), people.get(role, ())))
            for planned in _role(name, namespace, role, subjects, labels, given)
        ),
    )
    parts = (
        replace(_planned(name, suffix, version, kind, namespace, called, labels, body), retain=suffix == VOLUME)
        for suffix, version, kind, called, body in objects_of(tenant, namespace, ways)
    )
    folder = ways.folders.get(namespace)
    return WorkspacePlan(
        name, namespace, hard, (*objects, *parts), groups, folder.url if folder else "", bounds_of(quota)
    )


def namespace_of(tenant: Tenant, workspace: str) -> str:
    """At most 30 + 1 + 30 characters, so that none exceeds Kubernetes' 63."""
    return tenant.name if len(tenant.workspaces) == 1 else f"{tenant.name}-{workspace}"


def namespaces_of(tenant: Tenant) -> tuple[str, ...]:
    """All namespaces of a tenant."""
    return tuple(namespace_of(tenant, work if isinstance(work, str) else work.name) for work in tenant.workspaces)


def spaces_of(tenants: Sequence[Tenant]) -> dict[str, list[tuple[str, str]]]:
    """Tenant -> its workspaces with their namespaces."""
    named = {one.name: [work if isinstance(work, str) else work.name for work in one.workspaces] for one in tenants}
    return {one.name: list(zip(named[one.name], namespaces_of(one), strict=True)) for one in tenants}


def hard_limits(quota: Quota, devices: Sequence[str], borrow: Mapping[str, int] | None = None) -> dict[str, str]:
    """`spec.hard` of a ResourceQuota: requests only, since a quota on limits refuses pods that set none.

    Extended resources take only the `requests.` form (Kubernetes, concepts/policy/resource-quotas). `borrow` is what
    may be used beyond the quota of devices while others leave it idle.
    """
    hard = {
        "requests.cpu": str(quota.cpu or DEFAULT_QUOTA["cpu"]),
        "requests.memory": str(quota.memory or DEFAULT_QUOTA["memory"]),
        "requests.storage": str(quota.storage or DEFAULT_QUOTA["storage"]),
        **{kind: str(count) for kind, count in ({**NO_EXPOSURE, **quota.objects}).items()},
        **{f"{name}{_OF_A_CLASS}": size for name, size in quota.storage_classes.items()},
    }
    granted = dict.fromkeys(devices, 0) | quota.devices
    granted |= {device: granted.get(device, 0) + count for device, count in (borrow or {}).items()}
    return hard | {f"requests.{device}": str(count) for device, count in sorted(granted.items())}


def _namespace(namespace: str, labels: Mapping[str, str], level: str, marks: Marks) -> Planned:
    """Restricted is warned of and audited whatever is enforced, so that a tightening is no surprise."""
    security = "pod-security.kubernetes.io"
    levels = {
        f"{security}/enforce": level,
        f"{security}/warn": "restricted",
        f"{security}/audit": "restricted",
    }
    further, notes = marks
    metadata: dict[str, Any] = {"name": namespace, "labels": {**further, **labels, **levels}}
    metadata |= {"annotations": dict(notes)} if notes else {}
    workspace = labels[names.WORKSPACE]
    return Planned(f"{workspace}-namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def _limits() -> dict[str, Any]:
    """CPU and memory only: an accelerator here would make every container, sidecars too, ask for one."""
    return {"limits": [{"type": "Container", "defaultRequest": dict(DEFAULT_REQUESTS)}]}


def _network(
    workspace: str, namespace: str, labels: Mapping[str, str], traffic: Sequence[Traffic], ways: Ways
) -> tuple[Planned, ...]:
    """What is let through is one policy: each resource of a tenant counts, and three roles take six."""
    return tuple(
        _planned(workspace, name, "networking.k8s.io/v1", "NetworkPolicy", namespace, name, labels, {"spec": spec})
        for name, spec in walls(traffic, ways.rules(namespace)).items()
    )


def _subjects(groups: Sequence[str], people: Sequence[str]) -> list[dict[str, str]]:
    api = "rbac.authorization.k8s.io"
    return [
        *({"kind": "Group", "name": member, "apiGroup": api} for member in sorted(groups)),
        *({"kind": "User", "name": person, "apiGroup": api} for person in sorted(set(people))),
    ]


def _role(
    workspace: str,
    namespace: str,
    role: str,
    subjects: Sequence[Mapping[str, str]],
    labels: Mapping[str, str],
    given: Given,
) -> tuple[Planned, ...]:
    """A Role of the namespace and its binding; Kubernetes' own edit and admin let a tenant undo its NetworkPolicies."""
    name = f"tenant-{role}"
    api = "rbac.authorization.k8s.io"
    binding = {"roleRef": {"apiGroup": api, "kind": "Role", "name": name}, "subjects": list(subjects)}
    rules = {"rules": [*ROLE_RULES[role], *_rules_given(role, given)]}
    made = _planned(workspace, f"{role}-role", f"{api}/v1", "Role", namespace, name, labels, rules)
    bound = _planned(workspace, f"{role}-binding", f"{api}/v1", "RoleBinding", namespace, name, labels, binding)
    return made, Planned(bound.suffix, bound.manifest, (*bound.needs, made.suffix))


def _rules(pairs: Sequence[tuple[str, Sequence[str]]], verbs: Sequence[str]) -> list[dict[str, Any]]:
    return [{"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)} for group, resources in pairs]


def _rules_given(role: str, given: Given) -> list[dict[str, Any]]:
    """Everyone sees what an add-on brings; who may edit makes it."""
    seen = _rules((*given.seen, *given.work), READ)
    if role == "view":
        return seen
    acts = [rule for group, kinds, verbs in given.acts for rule in _rules(((group, kinds),), verbs)]
    return [*seen, *_rules(given.work, WRITE), *acts]


_VIEW = _rules(_SEEN, READ)
_EDIT = [
    *_VIEW,
    *_rules(_WORK, WRITE),
    *_rules((("", ("pods/attach", "pods/exec", "pods/portforward")),), ["create", "get"]),
    *_rules((("", ("pods/eviction",)),), ["create"]),
    *_rules((("", ("secrets",)),), [*READ, *WRITE]),
]
_ADMIN = [
    *_EDIT,
    *_rules((("", ("serviceaccounts",)),), WRITE),
    *_rules((("rbac.authorization.k8s.io", ("rolebindings", "roles")),), READ),
]
ROLE_RULES: Mapping[str, list[dict[str, Any]]] = {"view": _VIEW, "edit": _EDIT, "admin": _ADMIN}
"""What each role of a tenant may do in its namespaces: never change quota, limits, walls, roles or labels."""


def _planned(
    workspace: str,
    suffix: str,
    api_version: str,
    kind: str,
    namespace: str,
    name: str,
    labels: Mapping[str, str],
    body: Mapping[str, Any],
) -> Planned:
    metadata = {"name": name, "namespace": namespace, "labels": dict(labels)}
    manifest = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}
    return Planned(f"{workspace}-{suffix}", manifest, (f"{workspace}-namespace",))
