"""What a tenant's user must not be able to do, as requests that change nothing even where they are allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from espalier.blueprint.tenants import WorkspacePlan
from espalier.kube import ApiError, Client, Kind, Manifest, reference_of
from espalier.verify.model import Json
from espalier.verify.pods import probe_pod
from espalier.verify.tenants import may_not_impersonate, refused_as_member

NAME = "espalier-verify"
"""Of what is asked for and is not there: authorization is asked first, and refuses before anything is looked up."""

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
_DRY = {"dryRun": "All"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request. `attributes` says the same to a SelfSubjectAccessReview."""

    what: str
    send: Callable[[Client], Any]
    attributes: Json


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether authorization refused the attempt, and what the API server said."""

    attempt: Attempt
    refused: bool
    said: str


def attempt(client: Client, item: Attempt) -> Answer:
    """Makes an attempt as `client`'s user. Raises ApiError where we may not ask as that user."""
    try:
        item.send(client)
    except ApiError as error:
        if may_not_impersonate(error):
            raise
        if refused_as_member(error):
            return Answer(item, refused=True, said=error.message)
    return Answer(item, refused=False, said=_why_allowed(client, item))


def _why_allowed(client: Client, item: Attempt) -> str:
    """The API server's reason: it names the binding. The answer itself may hold secrets and is not repeated."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": item.attributes},
    }
    status = client.request("POST", _REVIEW, body=body)["status"]
    return f"may {item.what}: {status.get('reason') or 'no reason given'}"


def on_foreign(namespace: str) -> list[Attempt]:
    """What no one may do in a namespace that is not their own."""
    token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{namespace}"
    pod = probe_pod(NAME, namespace, {})
    where = f"in namespace {namespace}"

    def attributes(verb: str, resource: str, **more: str) -> Json:
        return {"namespace": namespace, "verb": verb, "resource": resource, **more}

    return [
        Attempt(f"list secrets {where}", _get(f"{path}/secrets?limit=1"), attributes("list", "secrets")),
        Attempt(f"get a secret {where}", _get(f"{path}/secrets/{NAME}"), attributes("get", "secrets", name=NAME)),
        Attempt(f"list pods {where}", _get(f"{path}/pods?limit=1"), attributes("list", "pods")),
        Attempt(
            f"ask for a service account's token {where}",
            lambda client: client.request("POST", f"{path}/serviceaccounts/default/token", query=_DRY, body=token),
            attributes("create", "serviceaccounts", subresource="token", name="default"),
        ),
        Attempt(
            f"create pods {where}",
            lambda client: client.create(pod, dry_run=True),
            attributes("create", "pods"),
        ),
    ]


def on_cluster() -> list[Attempt]:
    """What no tenant may do in all namespaces at once, or to the cluster."""
    rbac = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "view"},
    }
    return [
        Attempt(
            "list secrets of all namespaces",
            _get("/api/v1/secrets?limit=1"),
            {"verb": "list", "resource": "secrets"},
        ),
        Attempt("list pods of all namespaces", _get("/api/v1/pods?limit=1"), {"verb": "list", "resource": "pods"}),
        Attempt(
            "create ClusterRoleBindings",
            lambda client: client.create(binding, dry_run=True),
            {"verb": "create", "group": rbac, "resource": "clusterrolebindings"},
        ),
    ]


def on_own(client: Client, workspace: WorkspacePlan) -> list[Attempt]:
    """A tenant must not change its own ceilings, walls, roles or labels, nor put its own beside them."""
    manifests = [planned.manifest for planned in workspace.objects]
    kinds: dict[Kind, Manifest] = {reference_of(manifest).kind: manifest for manifest in manifests}
    return [
        *(item for manifest in manifests for item in _changes(client, manifest)),
        *(_addition(client, kind, manifest) for kind, manifest in kinds.items()),
    ]


def _changes(client: Client, manifest: Manifest) -> Iterable[Attempt]:
    target = reference_of(manifest)
    # RBAC takes a Namespace itself as being in the namespace of its name.
    attributes = {
        "namespace": target.namespace or target.name,
        "group": target.kind.group,
        "resource": client.find(target.kind).plural,
        "name": target.name,
    }
    where = target.namespace or None
    change = {"metadata": {"labels": {"espalier.dev/verify": "changed"}}}
    yield Attempt(
        f"patch {target}",
        lambda user: user.patch(target.kind, target.name, change, namespace=where, dry_run=True),
        {**attributes, "verb": "patch"},
    )
    yield Attempt(
        f"delete {target}",
        lambda user: user.delete(target.kind, target.name, where, dry_run=True),
        {**attributes, "verb": "delete"},
    )


def _addition(client: Client, kind: Kind, manifest: Manifest) -> Attempt:
    another = {**manifest, "metadata": {**manifest["metadata"], "name": NAME}}
    namespace = manifest["metadata"].get("namespace", "")
    attributes = {"group": kind.group, "resource": client.find(kind).plural, "verb": "create", "namespace": namespace}
    where = f" in namespace {namespace}" if namespace else ""
    return Attempt(f"create a {kind.kind}{where}", partial(_create, another), attributes)


def _create(manifest: Manifest, client: Client) -> Any:
    return client.create(manifest, dry_run=True)


def _get(path: str) -> Callable[[Client], Any]:
    return lambda client: client.request("GET", path)


def rules(client: Client, namespace: str) -> frozenset[str]:
    """What the user may do in a namespace, by the API server's SelfSubjectRulesReview; one text a rule."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    granted = client.request("POST", _RULES, body=body)["status"].get("resourceRules", [])
    return frozenset(text for rule in granted for text in rule_texts(rule))


def rule_texts(rule: Json) -> Iterable[str]:
    """A rule of RBAC as one text a verb and resource."""
    only = f" named {', '.join(rule['resourceNames'])}" if rule.get("resourceNames") else ""
    for verb in rule["verbs"]:
        for group in rule.get("apiGroups", [""]):
            for resource in rule.get("resources", []):
                yield f"{verb} {resource}{f'.{group}' if group else ''}{only}"
