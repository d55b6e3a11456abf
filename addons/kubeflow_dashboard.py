"""Kubeflow's dashboard: its pages under one roof, Profiles, and PodDefaults, which add to pods of tenants.

Facts: kubeflow/dashboard v2.0.0, components/centraldashboard, profile-controller, poddefaults-webhooks. Upstream lets
the controller of Profiles do everything in the cluster; here it may do what it does (controllers/profile_controller.go,
access-management/kfam/bindings.go). Pages that the stack has not are no items of its menu. The webhook of PodDefaults
fails closed for pods of Profiles' namespaces: two of it, one going at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from espalier.addons.edits import placed, stamped
from espalier.addons.kubeflow_base import MARKS, NAMESPACE, ROLES
from espalier.addons.walls import budget
from espalier.content import Content, ContentFacts, KustomizeSource
from espalier.types import AddonInputs, AddonRecord, Planned

NAME: Final = "kubeflow-dashboard"
VERSION: Final = "v2.0.0"
PODDEFAULTS: Final = {"app": "poddefaults"}
_ROOT: Final = f"dashboard-{VERSION.removeprefix('v')}/components"
_FOLDERS: Final = (
    "centraldashboard/manifests/kustomize/overlays/kserve",
    "profile-controller/manifests/kustomize/overlays/kubeflow-pss",
    "poddefaults-webhooks/manifests/kustomize/overlays/cert-manager",
)
_IMAGES: Final = ("access-management", "dashboard", "poddefaults-webhook", "profile-controller")
PAGES: Final[Mapping[str, str]] = {
    "/jupyter/": "kubeflow-notebooks",
    "/katib/": "katib",
    "/model-registry/": "kubeflow-hub",
    "/pipeline/": "kubeflow-pipelines",
    "/tensorboards/": "kubeflow-notebooks",
    "/volumes/": "kubeflow-notebooks",
}
"""Where a page lies -> the add-on that serves it."""
_PROFILES: Final = "profiles-cluster-rolebinding"
_ALL: Final = ["create", "delete", "get", "list", "patch", "update", "watch"]


class Options(BaseModel):
    """Nothing to say."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The webhook's budget, and the role of the controller of Profiles."""
    del inputs
    rules: list[dict[str, Any]] = [
        {"apiGroups": [group], "resources": kinds, "verbs": _ALL}
        for group, kinds in (
            ("", ["namespaces", "resourcequotas", "serviceaccounts"]),
            ("kubeflow.org", ["profiles", "profiles/finalizers", "profiles/status"]),
            ("rbac.authorization.k8s.io", ["rolebindings"]),
            ("security.istio.io", ["authorizationpolicies"]),
        )
    ]
    names = [f"kubeflow-{role}" for role in ROLES]
    group = "rbac.authorization.k8s.io"
    rules.append(
        {"apiGroups": [group], "resources": ["clusterroles"], "resourceNames": names, "verbs": ["bind", "get"]}
    )
    rules.append({"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]})
    metadata = {"name": "kubeflow-profiles", "labels": {"app.kubernetes.io/managed-by": "espalier"}}
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules}
    return (budget("poddefaults", NAMESPACE, PODDEFAULTS), Planned("profiles-role", role))


def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Two of each, the menu of this stack, and no administrator of the cluster."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if kind == "Deployment":
        made = placed(manifest)
        return stamped(made, ",".join(sorted(inputs.beside))) if name == "dashboard" else made
    if kind == "ClusterRoleBinding" and name == _PROFILES:
        return {**manifest, "roleRef": {**manifest["roleRef"], "name": "kubeflow-profiles"}}
    if kind == "ConfigMap" and name == "dashboard-config":
        links = json.loads(manifest["data"]["links"])
        shown = {key: list(_shown(items, inputs)) for key, items in links.items()}
        return {**manifest, "data": {**manifest["data"], "links": json.dumps(shown, indent=2)}}
    return manifest


def _shown(items: Sequence[Mapping[str, Any]], inputs: AddonInputs) -> Iterator[Mapping[str, Any]]:
    """Items whose page is there; a section with what is left of it."""
    for item in items:
        if "items" in item:
            inner = list(_shown(item["items"], inputs))
            if inner:
                yield {**item, "items": inner}
            continue
        link = str(item["link"])
        page = f"/{link.split('/')[1]}/"
        if "://" in link or PAGES.get(page) in inputs.beside:
            yield item


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="platform",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kubeflow/dashboard",
    options=Options,
    objects=objects,
    content=Content(
        source=KustomizeSource(
            f"https://github.com/kubeflow/dashboard/archive/refs/tags/{VERSION}.tar.gz",
            VERSION,
            f"{_ROOT}/{_FOLDERS[0]}",
            further=tuple(f"{_ROOT}/{folder}" for folder in _FOLDERS[1:]),
        ),
        namespace=NAMESPACE,
        create_namespace=False,
        edit=edit,
        facts=ContentFacts(
            crds=("poddefaults.kubeflow.org", "profiles.kubeflow.org"),
            images=tuple(f"ghcr.io/kubeflow/dashboard/{image}:{VERSION}" for image in _IMAGES),
        ),
    ),
    needs=frozenset({"cert-manager", "istio-gateway", "istiod", "kubeflow-base"}),
    provides=frozenset({"webhook/poddefaults-webhook-mutating-webhook-configuration"}),
    work=(("kubeflow.org", ("poddefaults",)),),
    marks=MARKS,
)
