"""What people of a tenant may do by the roles that they have: all of a reviewed table, nothing else; and break-outs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier import sim
from espalier.kube import ApiError, Client, Kind
from espalier.types import Manifest
from espalier.verify.isolation import isolation_tasks
from espalier.verify.model import Context, Outcome
from tests.sim.tenancy import RBAC, Attempt, add, bound, objects, person, planned, remove, role

TABLE = yaml.safe_load((Path(__file__).parent / "tenant_matrix.yaml").read_text())
VERBS = {
    "read": ("get", "list", "watch"),
    "write": ("create", "update", "patch", "delete", "deletecollection"),
    "create": ("create",),
    "get": ("get",),
}
SPECIAL = {
    "clusterroles": ("bind", "escalate"),
    "roles": ("bind", "escalate"),
    "serviceaccounts": ("impersonate",),
    "users": ("impersonate",),
    "groups": ("impersonate",),
}
"""Verbs that no discovery tells of, and the resources that take them; users and groups are in none either."""
WIDE = {"example.com/adds-to": "wide"}
Cell = tuple[str, str, str]
"""Namespace ("" for the whole cluster), resource and verb."""


@dataclass(frozen=True)
class Subject:
    """Who asks, and where they have which role."""

    name: str
    groups: tuple[str, ...]
    home: dict[str, str]


BOTH = {"small-ana": "admin", "small-ben": "admin"}
SUBJECTS = [
    Subject("rita", ("vision-readers",), {"vision": "view"}),
    Subject("ed", ("vision-engineers",), {"vision": "edit"}),
    Subject("lea", ("vision-leads",), {"vision": "admin"}),
    Subject("ana", (), {"small-ana": "admin"}),
    Subject("ben", (), {"small-ben": "admin"}),
    Subject("olga", (), BOTH),
    Subject("rudi", ("small-readers",), {"small-ben": "view"}),
    Subject("stranger", (), {}),
    Subject("system:serviceaccount:vision:default", ("system:serviceaccounts", "system:serviceaccounts:vision"), {}),
]  # fmt: skip
NAMESPACES = ("vision", "language", "small-ana", "small-ben", "kube-system", "default", "")


@pytest.fixture(scope="module")
def admin(sim_cluster: sim.SimStatus) -> Iterator[Client]:
    client = Client.connect(sim_cluster.kubeconfig)
    everything = [*objects(planned()), RUNS, SYSTEM_POD]
    add(client, everything)
    yield client
    remove(client, everything)


def served(client: Client) -> list[tuple[str, str, bool, tuple[str, ...]]]:
    """Group, resource, whether namespaces hold it, and its verbs: of all preferred versions, by discovery."""
    groups = client.request("GET", "/apis")["groups"]
    roots = {"": "/api/v1", **{one["name"]: f"/apis/{one['preferredVersion']['groupVersion']}" for one in groups}}
    found: list[tuple[str, str, bool, tuple[str, ...]]] = []
    for group, root in sorted(roots.items()):
        for one in client.request("GET", root)["resources"]:
            verbs = (*one["verbs"], *SPECIAL.get(one["name"], ()))
            found.append((group, one["name"], one["namespaced"], verbs))
    return [*found, ("", "users", False, SPECIAL["users"]), ("", "groups", False, SPECIAL["groups"])]


def cells(resources: Iterable[tuple[str, str, bool, tuple[str, ...]]]) -> dict[Cell, dict[str, str]]:
    """Every cell of the matrix, with the attributes by which it is asked for."""
    found: dict[Cell, dict[str, str]] = {}
    for group, name, namespaced, verbs in resources:
        resource, _, sub = name.partition("/")
        for namespace in NAMESPACES if namespaced else ("",):
            for verb in verbs:
                attributes = {"group": group, "resource": resource, "subresource": sub, "namespace": namespace}
                found[namespace, f"{group}/{name}" if group else name, verb] = {**attributes, "verb": verb}
    return found


def allowed(client: Client, subject: Subject, asked: dict[Cell, dict[str, str]]) -> set[Cell]:
    """The cells that the API server lets a subject into."""
    who = {"user": subject.name, "groups": [*subject.groups, "system:authenticated"]}

    def may(cell: Cell) -> bool:
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {**who, "resourceAttributes": asked[cell]},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(client.request("POST", path, body=body, repeatable=True)["status"]["allowed"])

    with ThreadPoolExecutor(16) as workers:
        return {cell for cell, yes in zip(asked, workers.map(may, asked), strict=True) if yes}


def reviewed(subject: Subject, asked: Iterable[Cell]) -> set[Cell]:
    """The cells that the table lets a subject into, of those that the API serves."""
    wanted = {
        (namespace, resource, verb)
        for namespace, name in (*subject.home.items(), ("", "everyone"))
        for kind, entries in TABLE[name].items()
        for resource in flat(entries)
        for verb in VERBS[kind]
    }
    return wanted & set(asked)


def flat(entries: Sequence[Any]) -> Iterator[str]:
    for entry in entries:
        yield from flat(entry) if isinstance(entry, list) else [entry]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_a_subject_may_do_all_of_the_table_and_nothing_else(subject: Subject, admin: Client) -> None:
    asked = cells(served(admin))
    assert allowed(admin, subject, asked) == reviewed(subject, asked)


def test_every_resource_of_the_table_is_served(admin: Client) -> None:
    """A misspelt one would never be asked for."""
    known = {f"{group}/{name}" if group else name for group, name, _, _ in served(admin)}
    assert {name for rows in TABLE.values() for entries in rows.values() for name in flat(entries)} <= known


def test_a_role_too_many_is_seen(admin: Client) -> None:
    ed = SUBJECTS[1]
    asked = {cell: how for cell, how in cells(served(admin)).items() if cell[1] in ("secrets", "pods")}
    extra = bound("test-extra", "view", "ed", "language")
    admin.create(extra)
    try:
        more = allowed(admin, ed, asked) - reviewed(ed, asked)
    finally:
        remove(admin, [extra])
    assert more == {("language", "pods", verb) for verb in VERBS["read"]}


def group(name: str) -> dict[str, str]:
    return {"kind": "Group", "name": name, "apiGroup": RBAC}


def verdict(admin: Client, tenant: str) -> Outcome:
    context = Context(planned(), admin, simulated=True, probe=True)
    (task,) = [task for task in isolation_tasks(context) if task.name == f"isolation/{tenant}"]
    found = task.run()
    assert isinstance(found, Outcome)
    return found


def test_rights_in_ones_own_tenant_are_the_plans_and_what_is_added_is_told(
    admin: Client, eventually: Callable[..., Any]
) -> None:
    """A role in the tenant, one in a sibling's workspace, one that an aggregated ClusterRole gives by the way."""
    wide = {"metadata": {"name": "test-wide"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": WIDE}]}}
    adds = role("test-adds", [("", "nodes", "get")])
    labelled = {**adds, "metadata": {"name": "test-adds", "labels": WIDE}}
    aggregated = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", **wide, "rules": []}
    readers = {**bound("test-in", "test-wide", "", "vision"), "subjects": [group("vision-readers")]}
    for tenant, extra, said in (
        ("small", [bound("test-in", "view", "ana", "small-ben")], "user ana may, beyond its roles in namespace small"),
        ("vision", [aggregated, labelled, readers], "group vision-readers may, beyond its roles in namespace vision"),
    ):
        well = verdict(admin, tenant)
        assert well.ok, well.evidence
        add(admin, extra)
        try:
            assert eventually(lambda said=said, tenant=tenant: said in verdict(admin, tenant).evidence)
            assert not verdict(admin, tenant).ok
        finally:
            remove(admin, extra)
            eventually(lambda tenant=tenant: verdict(admin, tenant).ok)


def test_a_right_that_is_missing_is_told(admin: Client, eventually: Callable[..., Any]) -> None:
    (whole,) = [one for one in objects(planned()) if one["metadata"].get("namespace") == "vision"
                and (one["kind"], one["metadata"]["name"]) == ("Role", "tenant-view")]  # fmt: skip
    admin.patch(Kind(f"{RBAC}/v1", "Role"), "tenant-view", {"rules": whole["rules"][:-1]}, namespace="vision")
    said = "group vision-readers may not, though its roles in namespace vision say so: get networkpolicies"
    try:
        assert eventually(lambda: said in verdict(admin, "vision").evidence)
    finally:
        admin.patch(Kind(f"{RBAC}/v1", "Role"), "tenant-view", {"rules": whole["rules"]}, namespace="vision")
        eventually(lambda: verdict(admin, "vision").ok)


# Break-outs by roles of one's own ---------------------------------------------------------------------------------

CONTAINER = {"name": "main", "image": "example.com/x:1"}


def made(api_version: str, kind: str, name: str, namespace: str = "vision", **body: Any) -> Manifest:
    where = {"namespace": namespace} if namespace else {}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **where}, **body}


RUNS = made("v1", "Pod", "runs", spec={"containers": [CONTAINER]})
SYSTEM_POD = made("v1", "Pod", "test-system", "kube-system", spec={"containers": [CONTAINER]})
TOKEN = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
CLUSTER_ADMIN = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
MYSELF = [{"kind": "User", "name": "lea", "apiGroup": RBAC}]
POLICY = {
    "matchConstraints": {
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    },
    "validations": [{"expression": "false"}],
}
REGISTRATION = "admissionregistration.k8s.io"
POD = Kind("v1", "Pod")


def post(path: str, body: Any) -> Callable[[Client], Any]:
    return lambda client: client.request("POST", path, query={"dryRun": "All"}, body=body)


def creates(manifest: Manifest) -> Callable[[Client], Any]:
    return lambda client: client.create(manifest, dry_run=True)


def ephemeral(client: Client) -> Any:
    body = {"spec": {"ephemeralContainers": [{**CONTAINER, "name": "debug"}]}}
    how: dict[str, Any] = {"how": "strategic", "subresource": "ephemeralcontainers", "dry_run": True}
    return client.patch(POD, "runs", body, namespace="vision", **how)


def enter_system(client: Client) -> Any:
    """Any other answer than a refusal is of a node's, whom the API server asked: who gets one was let in."""
    command = {"command": "id", "container": "main", "stdout": "true"}
    try:
        return client.request("POST", "/api/v1/namespaces/kube-system/pods/test-system/exec", query=command)
    except ApiError as error:
        if error.status == 403:
            raise
        return None


def unbind(client: Client) -> Any:
    kind = Kind(f"{REGISTRATION}/v1", "ValidatingAdmissionPolicyBinding")
    return client.delete(kind, "espalier-guard-walls", dry_run=True)


def as_masters(client: Client) -> Any:
    return client.as_user("eve", ["system:masters"]).list(Kind("v1", "Node"))


BREAK_OUTS: list[tuple[str, Callable[[Client], Any], list[tuple[str, str, str]], str]] = [
    ("bind cluster-admin", creates(made(f"{RBAC}/v1", "ClusterRoleBinding", "b", "", roleRef=CLUSTER_ADMIN,
     subjects=MYSELF)), [(RBAC, "clusterrolebindings", "create"), (RBAC, "clusterroles", "bind")], ""),
    ("escalate", creates(role("r", [("*", "*", "*")])), [(RBAC, "clusterroles", "create escalate")], ""),
    ("impersonate", as_masters, [("", "users", "impersonate"), ("", "groups", "impersonate")], ""),
    ("another's service account", post("/api/v1/namespaces/language/serviceaccounts/default/token", TOKEN),
     [("", "serviceaccounts/token", "create")], "language"),
    ("its own namespace's service account", post("/api/v1/namespaces/vision/serviceaccounts/default/token", TOKEN),
     [("", "serviceaccounts/token", "create")], "vision"),
    ("read another's secrets", lambda client: client.list(Kind("v1", "Secret"), "language"),
     [("", "secrets", "list")], "language"),
    ("evict a system pod", post("/api/v1/namespaces/kube-system/pods/test-system/eviction",
     made("policy/v1", "Eviction", "test-system", "kube-system")),
     [("", "pods/eviction", "create")], "kube-system"),
    ("enter a system pod", enter_system, [("", "pods/exec", "create")], "kube-system"),
    ("an ephemeral container", ephemeral, [("", "pods/ephemeralcontainers", "patch")], "vision"),
    ("an admission policy of its own", creates(made(f"{REGISTRATION}/v1", "ValidatingAdmissionPolicy", "own", "",
     spec=POLICY)), [(REGISTRATION, "validatingadmissionpolicies", "create")], ""),
    ("take a guard away", unbind, [(REGISTRATION, "validatingadmissionpolicybindings", "delete")], ""),
    ("a PriorityClass of its own", creates(made("scheduling.k8s.io/v1", "PriorityClass", "mine", "", value=10**6)),
     [("scheduling.k8s.io", "priorityclasses", "create")], ""),
    ("a namespace of its own", creates(made("v1", "Namespace", "free", "")), [("", "namespaces", "create")], ""),
    ("a volume of the host's", creates(made("v1", "PersistentVolume", "host", "", spec={
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/"}})),
     [("", "persistentvolumes", "create")], ""),
    ("change a node", lambda client: client.request("DELETE", "/api/v1/nodes/none", query={"dryRun": "All"}),
     [("", "nodes", "delete")], ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def lea(admin: Client, sim_cluster: sim.SimStatus, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Who has the highest role in a tenant."""
    return person(sim_cluster, tmp_path_factory.mktemp("people"), "lea", "vision-leads", "vision-engineers")


@pytest.mark.parametrize(("name", "send", "right", "where"), BREAK_OUTS, ids=[one[0] for one in BREAK_OUTS])
def test_who_has_the_highest_role_gets_no_further_and_only_its_rights_keep_it(
    name: str, send: Any, right: Any, where: str, lea: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    attempt = Attempt(name, (), send)
    assert 'User "lea" cannot' in attempt.refusal(lea)
    grant = [role("test-grant", right), bound("test-grant", "test-grant", "lea", where)]
    add(admin, grant)
    try:
        eventually(lambda: attempt.refusal(lea) == "")
    finally:
        remove(admin, grant)
        eventually(lambda: 'User "lea" cannot' in attempt.refusal(lea))


ENFORCE = "pod-security.kubernetes.io/enforce"
UNSAFE: dict[str, dict[str, Any]] = {
    "privileged": {"containers": [{**CONTAINER, "securityContext": {"privileged": True}}]},
    "capabilities": {"containers": [{**CONTAINER, "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]},
    "the host's files": {"containers": [CONTAINER], "volumes": [{"name": "h", "hostPath": {"path": "/"}}]},
    "the host's network": {"containers": [CONTAINER], "hostNetwork": True},
    "the host's processes": {"containers": [CONTAINER], "hostPID": True},
    "a host's port": {"containers": [{**CONTAINER, "ports": [{"containerPort": 80, "hostPort": 80}]}]},
}


def test_unsafe_pods_are_kept_out_by_the_namespaces_level_alone(
    lea: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    attempts = [Attempt(name, (), creates(made("v1", "Pod", "p", spec=spec))) for name, spec in UNSAFE.items()]
    kind = Kind("v1", "Namespace")
    assert all('violates PodSecurity "baseline' in one.refusal(lea) for one in attempts)
    admin.patch(kind, "vision", {"metadata": {"labels": {ENFORCE: None}}})
    try:
        eventually(lambda: not any(one.refusal(lea) for one in attempts))
    finally:
        admin.patch(kind, "vision", {"metadata": {"labels": {ENFORCE: "baseline"}}})
        eventually(lambda: all(one.refusal(lea) for one in attempts))
