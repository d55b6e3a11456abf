"""Tenants as Kubeflow's Profiles, where its dashboard is: both then know the same namespaces and the same people.

Facts: kubeflow/dashboard v2.0.0, components/profile-controller/controllers/profile_controller.go and components/access-
management/kfam/bindings.go. The controller takes a namespace that is there for its own when the annotation `owner` is
the Profile's owner; then it makes the owner's rights and two service accounts, and no reference by which the namespace
would go with the Profile. It adds labels that a namespace lacks and changes none, sets istio-injection in any case, and
deletes a quota called kf-resource-quota where the Profile names none: the quota stays Espalier's. Further people are
known by bindings of a name of their own, one for each person; groups it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from espalier.blueprint import names
from espalier.settings.tenants import Tenant, Workspace
from espalier.types import Mistake, Planned

DASHBOARD: Final = "kubeflow-dashboard"
OWNER: Final = "owner"
LABELS: Final[Mapping[str, str]] = {
    "app.kubernetes.io/part-of": "kubeflow-profile",
    "istio-injection": "enabled",
    "katib.kubeflow.org/metrics-collector-injection": "enabled",
    "pipelines.kubeflow.org/enabled": "true",
    "serving.kubeflow.org/inferenceservice": "enabled",
}
"""Labels of a Profile's namespace, by which Kubeflow's parts know it; its Pod Security level is the tenant's."""
_API: Final = "rbac.authorization.k8s.io"
_HEADER: Final = "request.headers[kubeflow-userid]"
_FRONTS: Final = (
    "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
    "cluster.local/ns/kubeflow/sa/ml-pipeline-ui",
)
"""Who tells a workload which person asks: the gateway, and the page of pipelines."""


def owners_of(tenant: Tenant, work: str | Workspace) -> tuple[str, ...]:
    """People who own a workspace, its own ones first: the first is its Profile's owner."""
    own = work.owners if isinstance(work, Workspace) else ()
    return tuple(dict.fromkeys((*own, *tenant.owners)))


def namespace_notes(tenant: Tenant, work: str | Workspace) -> dict[str, str]:
    """What the controller must find on a namespace to take it for the Profile's own."""
    owners = owners_of(tenant, work)
    return {OWNER: owners[0]} if owners else {}


def profiles(tenants: Sequence[Tenant], namespaces: Mapping[str, Sequence[str]]) -> tuple[Planned, ...]:
    """The Profile of each workspace, and the bindings of its further owners; `namespaces` are each tenant's.

    People have the names by which web pages know them, without the API server's prefix.
    """
    return tuple(
        planned
        for tenant in tenants
        for work, namespace in zip(tenant.workspaces, namespaces[tenant.name], strict=True)
        for planned in _profile(tenant, work, namespace)
    )


def _profile(tenant: Tenant, work: str | Workspace, namespace: str) -> Iterator[Planned]:
    owner, *others = owners_of(tenant, work)
    labels = {**names.MANAGED_BY, names.TENANT: tenant.name}
    yield Planned(
        f"profile-{namespace}",
        {
            "apiVersion": "kubeflow.org/v1",
            "kind": "Profile",
            "metadata": {"name": namespace, "labels": labels},
            "spec": {"owner": _user(owner)},
        },
    )
    for person in others:
        yield from _contributor(person, namespace, labels)


def _user(person: str) -> dict[str, str]:
    """With its group: the controller compares the whole subject, and would write without end where it lacks one."""
    return {"kind": "User", "name": person, "apiGroup": _API}


def binding_name(person: str) -> str:
    """As KFAM calls the bindings of a person; it finds and removes them by this name."""
    return re.sub(r"[^a-z0-9]+", "-", f"user-{person}-clusterrole-admin".lower())


def _contributor(person: str, namespace: str, labels: Mapping[str, str]) -> Iterator[Planned]:
    name = binding_name(person)
    notes = {"user": person, "role": "admin"}
    metadata = {"name": name, "namespace": namespace, "labels": dict(labels), "annotations": notes}
    role = {"apiGroup": _API, "kind": "ClusterRole", "name": "kubeflow-admin"}
    bound = {"roleRef": role, "subjects": [_user(person)]}
    rule: dict[str, Any] = {
        "from": [{"source": {"principals": list(_FRONTS)}}],
        "when": [{"key": _HEADER, "values": [person]}],
    }
    made = {"RoleBinding": (f"{_API}/v1", bound), "AuthorizationPolicy": ("security.istio.io/v1", {"rules": [rule]})}
    for kind, (version, body) in made.items():
        content = body if kind == "RoleBinding" else {"spec": body}
        suffix = f"profile-{namespace}-{'binding' if kind == 'RoleBinding' else 'access'}-{name}"
        manifest = {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
        yield Planned(suffix, manifest, (f"profile-{namespace}",))


def profile_mistakes(tenants: Sequence[Tenant], addons: Collection[str]) -> Iterator[Mistake]:
    """What a Profile cannot be: without an owner, or with two people whom KFAM calls alike."""
    if DASHBOARD not in addons:
        return
    for index, tenant in enumerate(tenants):
        for at, work in enumerate(tenant.workspaces):
            path = f"espalier:tenants[{index}]"
            where = f"{path}.workspaces[{at}].owners" if isinstance(work, Workspace) else f"{path}.owners"
            owners = owners_of(tenant, work)
            if not owners:
                accepted = f"at least one owner: {DASHBOARD} knows a workspace by the person who owns it"
                yield Mistake(where, "nothing", accepted, "Name one, such as olga@example.com.")
            seen: dict[str, str] = {}
            for person in owners:
                other = seen.setdefault(binding_name(person), person)
                if other != person:
                    accepted = f"people whom {DASHBOARD} tells apart: by their letters and digits alone"
                    yield Mistake(where, f"{person} beside {other}", accepted, "Remove one, or rename them.")
