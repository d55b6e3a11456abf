"""`destroy` on a real API server: the order, what others made, what is held up, and that nothing is left."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.engine import removal, watcher
from espalier.engine.changes import Change
from espalier.engine.destroy import destroy, made_by_others
from espalier.engine.errors import ApplyFailed, RefusedError
from espalier.engine.inventory import Inventory
from espalier.engine.preview import preview
from espalier.engine.program import Program
from espalier.engine.up import up
from espalier.kube import ApiError, Client, Kind, Reference, UnknownKindError
from tests.sim.audit import lines_of

CONFIG_MAP = Kind("v1", "ConfigMap")
SERVICE = Kind("v1", "Service")
CLAIM = Kind("v1", "PersistentVolumeClaim")
NAMESPACE = Kind("v1", "Namespace")
DEPLOYMENT = Kind("apps/v1", "Deployment")
POD = Kind("v1", "Pod")
HEADER = """
import pulumi

def obj(api, kind, name, body=None, metadata=None, **opts):
    manifest = {"metadata": {"name": name, **(metadata or {})}, **(body or {})}
    return pulumi.CustomResource(f"kubernetes:{api}:{kind}", name, manifest, pulumi.ResourceOptions(**opts))

def definition(group, name="trees", kind="Tree", **opts):
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": name, "singular": kind.lower(), "kind": kind}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    return obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{name}.{group}", {"spec": spec}, **opts)

def deployment(name, metadata=None, replicas=0, **opts):
    pod = {"metadata": {"labels": {"a": name}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"a": name}}, "template": pod}
    return obj("apps/v1", "Deployment", name, {"spec": spec}, metadata or inside, **opts)

ns = obj("core/v1", "Namespace", "%s")
inside = {"namespace": ns.metadata["name"]}
"""


@dataclass
class Stack:
    name: str
    folder: Path
    kubeconfig: Path
    client: Client
    log: Path
    lines: list[str] = field(default_factory=list)

    @property
    def group(self) -> str:
        return f"{self.name[-25:].strip('-')}.example.com"

    @property
    def tree(self) -> Kind:
        return Kind(f"{self.group}/v1", "Tree")

    def up(self, body: str) -> None:
        text = (HEADER + body).replace("%s", self.name).replace("%g", self.group)
        (self.folder / "__main__.py").write_text(text)
        up(Program(self.folder, "gone", self.name), connection=self.kubeconfig, progress=self.lines.append)

    def destroy(self, **flags: Any) -> tuple[Change, ...]:
        return destroy("gone", self.name, self.kubeconfig, progress=self.lines.append, **flags)

    def find(self, kind: Kind, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        return self.client.find_object(Reference(kind, self.name if namespace is None else namespace, name))

    def make(self, kind: Kind, name: str, body: Any = None, **metadata: Any) -> dict[str, Any]:
        meta = {"name": name, "namespace": self.name, **metadata}
        return self.client.create({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **(body or {})})

    def release(self, kind: Kind, name: str) -> None:
        """Takes the finalizers off, as their controller would."""
        self.client.patch(kind, name, {"metadata": {"finalizers": None}}, namespace=self.name)

    def events(self, since: int) -> list[dict[str, Any]]:
        """What the audit log tells."""
        return [json.loads(line) for line in lines_of(self.log)[since:]]

    def deleted(self, since: int) -> list[str]:
        """Names in the order in which the engine asked for their deletion."""
        mine = [e for e in self.events(since) if e.get("userAgent") == "espalier" and e["verb"] == "delete"]
        mine = [e for e in mine if e["objectRef"].get("namespace") != "espalier-system"]
        return [e["objectRef"]["name"] for e in sorted(mine, key=lambda e: e["requestReceivedTimestamp"])]

    def mark(self) -> int:
        return len(lines_of(self.log))


@pytest.fixture(scope="module")
def client(kubeconfig: Path) -> Client:
    return Client.connect(kubeconfig)


@pytest.fixture
def stack(
    tmp_path: Path, kubeconfig: Path, client: Client, request: pytest.FixtureRequest, sim_cluster: sim.SimStatus
) -> Iterator[Stack]:
    name = request.node.name.partition("[")[0].replace("_", "-").lower()[:45].strip("-")
    made = Stack(name, tmp_path, kubeconfig, client, sim.audit_log_path(sim_cluster.name))
    yield made
    # A test that failed half-way leaves things that hold others up.
    inventory = Inventory.load(client, "gone", name)
    for entry in inventory.entries.values():
        if not entry.reference.namespace and client.find_object(entry.reference):
            client.delete(entry.reference.kind, entry.reference.name)
    if inventory.exists:
        inventory.remove()


def eventually(check: Callable[[], Any], seconds: float = 60.0) -> Any:
    until = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < until, "not true in time"
        time.sleep(0.05)
    return value


def everything(client: Client) -> set[str]:
    """All objects of all kinds that the API server lists, but for those that come and go by themselves."""
    versions = ["v1"]
    versions += [group["preferredVersion"]["groupVersion"] for group in client.request("GET", "/apis")["groups"]]
    kinds: list[Kind] = []
    for version in versions:
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        found = client.request("GET", path)["resources"]
        kinds += [Kind(version, item["kind"]) for item in found if "watch" in item["verbs"]]

    def names(kind: Kind) -> list[str]:
        try:
            objects = client.list(kind)
        except (UnknownKindError, ApiError):
            return []
        return [f"{kind} {o['metadata'].get('namespace', '')}/{o['metadata']['name']}" for o in objects]

    with ThreadPoolExecutor(8) as pool:
        found = {name for each in pool.map(names, kinds) for name in each}
    return {name for name in found if not any(word in name for word in ("/Event ", "/Lease "))}


PLATFORM = """
node = obj("core/v1", "Node", "%s", {"spec": {}}, {"annotations": {"kwok.x-k8s.io/node": "fake"}})
trees = definition("%g")
hook = {"name": "judge.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
    "clientConfig": {"url": "https://127.0.0.1:1/"}, "rules": [{"apiGroups": ["%g"], "apiVersions": ["v1"],
    "operations": ["DELETE"], "resources": ["*"]}]}
obj("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "%s", {"webhooks": [hook]})
obj("rbac.authorization.k8s.io/v1", "ClusterRole", "%s", {"rules": []})
obj("storage.k8s.io/v1", "StorageClass", "%s", {"provisioner": "example.com/x"})
oak = obj("%g/v1", "Tree", "oak", {}, inside, depends_on=[trees])
gardener = deployment("gardener", replicas=2, depends_on=[node])
shop = deployment("shop", depends_on=[oak])
obj("core/v1", "PersistentVolumeClaim", "ours", {"spec": {"accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}}}}, inside)
obj("core/v1", "Service", "front", {"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}, inside)
for i in range(30):
    obj("core/v1", "ConfigMap", f"c{i}", {}, inside)
    obj("core/v1", "Secret", f"s{i}", {"stringData": {"k": "v"}}, {"namespace": "default"})
"""


def test_nothing_of_ours_is_left_and_nothing_of_others_is_touched(stack: Stack) -> None:
    eventually(lambda: not stack.find(NAMESPACE, "espalier-system", ""), 60)
    theirs = stack.client.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"theirs-{stack.name}", "namespace": "default"}}
    )
    before = everything(stack.client)
    stack.up(PLATFORM)
    assert len(everything(stack.client) - before) > 70
    mark = stack.mark()
    changes = stack.destroy()
    assert {change.op for change in changes} == {"delete"}
    eventually(lambda: everything(stack.client) == before, 60)
    kept = stack.find(CONFIG_MAP, theirs["metadata"]["name"], "default")
    assert kept is not None
    assert kept["metadata"]["resourceVersion"] == theirs["metadata"]["resourceVersion"]
    order = stack.deleted(mark)
    assert order[0] == stack.name  # the webhook, whose server would refuse to let trees go
    assert order.index("shop") < order.index("oak") < order.index("gardener")
    assert order.index("oak") < order.index(f"trees.{stack.group}")
    assert stack.destroy() == ()
    stack.client.delete(CONFIG_MAP, theirs["metadata"]["name"], "default")


def test_what_others_made_is_listed_and_goes_while_its_controllers_live(stack: Stack) -> None:
    """Tenants' custom resources and load balancers have finalizers that the gardener of the stack takes off."""
    stack.up('definition("%g")\ndeployment("gardener")')
    stack.make(stack.tree, "oak", finalizers=["example.com/roots"])
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    stack.make(SERVICE, "front", {"spec": spec}, finalizers=["example.com/cloud"])
    stack.make(SERVICE, "inner", {"spec": {"ports": [{"port": 80}]}})
    found = {str(each) for each in made_by_others("gone", stack.name, stack.kubeconfig)}
    assert found == {f"Service {stack.name}/front", f"Tree {stack.name}/oak"}

    def gardener() -> None:
        for kind, name in ((stack.tree, "oak"), (SERVICE, "front")):
            eventually(lambda kind=kind, name=name: is_going(stack.find(kind, name)))
            # Who cleans up has to live for as long as this takes.
            time.sleep(0.5)
            found = stack.find(DEPLOYMENT, "gardener")
            alive.append(found is not None and not is_going(found))
            stack.release(kind, name)

    alive: list[bool] = []
    helper = threading.Thread(target=gardener)
    helper.start()
    stack.destroy()
    helper.join(120)
    assert alive == [True, True]
    assert stack.find(NAMESPACE, stack.name, "") is None
    assert any(line.startswith("others made 2 things in what goes: ") for line in stack.lines)


def test_what_a_controller_makes_meanwhile_is_drained_as_well(stack: Stack) -> None:
    stack.up(
        'trees = definition("%g")\ndeployment("gardener")\nobj("%g/v1", "Tree", "oak", {}, inside, depends_on=[trees])'
    )
    stack.client.patch(stack.tree, "oak", {"metadata": {"finalizers": ["example.com/x"]}}, namespace=stack.name)

    def gardener() -> None:
        eventually(lambda: is_going(stack.find(stack.tree, "oak")))
        stack.make(stack.tree, "sapling", finalizers=["example.com/x"])
        stack.release(stack.tree, "oak")
        eventually(lambda: is_going(stack.find(stack.tree, "sapling")))
        time.sleep(1)
        alive.append(stack.find(DEPLOYMENT, "gardener") is not None)
        stack.release(stack.tree, "sapling")

    alive: list[bool] = []
    helper = threading.Thread(target=gardener)
    helper.start()
    stack.destroy()
    helper.join(120)
    assert alive == [True]


def claim(stack: Stack, name: str) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    stack.make(CLAIM, name, {"spec": spec})


def test_data_of_others_is_never_lost_unasked(stack: Stack) -> None:
    stack.up('obj("core/v1", "ConfigMap", "c", {}, inside)')
    claim(stack, "theirs")
    with pytest.raises(RefusedError) as caught:
        stack.destroy()
    (problem,) = caught.value.problems
    assert f"PersistentVolumeClaim {stack.name}/theirs (5Gi) goes with its namespace" in problem.reason
    assert "--delete-data" in problem.do
    assert stack.find(CONFIG_MAP, "c")
    assert stack.find(CLAIM, "theirs")
    with pytest.raises(RefusedError):
        prune(stack)
    assert stack.find(CONFIG_MAP, "fresh", "default") is None
    with pytest.raises(ApplyFailed, match=r"theirs \(5Gi\) goes with its namespace"):
        preview(Program(stack.folder, "gone", stack.name), connection=stack.kubeconfig)
    assert stack.find(CLAIM, "theirs")
    stack.destroy(delete_data=True)
    assert stack.find(NAMESPACE, stack.name, "") is None


ROLE = Kind("rbac.authorization.k8s.io/v1", "ClusterRole")
OWNER = 'obj("rbac.authorization.k8s.io/v1", "ClusterRole", "%s-owner", {"rules": []})'


def owners(stack: Stack) -> list[dict[str, Any]]:
    owner = stack.find(ROLE, f"{stack.name}-owner", "")
    assert owner is not None
    named = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": f"{stack.name}-owner"}
    return [{**named, "uid": owner["metadata"]["uid"]}]


def test_a_namespace_that_would_go_with_its_owner_is_kept(stack: Stack) -> None:
    """As one that Kubeflow made for a Profile, and the stack took over: the cluster collects it with that."""
    stack.up(OWNER)
    stack.client.patch(NAMESPACE, stack.name, {"metadata": {"ownerReferences": owners(stack)}})
    with pytest.raises(RefusedError, match="namespaces that the stack keeps would go") as caught:
        stack.up("")
    (problem,) = caught.value.problems
    assert f"Namespace {stack.name} goes with ClusterRole {stack.name}-owner, which owns it" in problem.reason
    assert f"kubectl patch namespace {stack.name} --type json -p" in problem.do
    with pytest.raises(ApplyFailed, match="though the stack keeps it"):
        preview(Program(stack.folder, "gone", stack.name), connection=stack.kubeconfig)
    claim(stack, "theirs")
    with pytest.raises(RefusedError, match=r"theirs \(5Gi\) goes with its namespace"):
        stack.destroy()
    assert stack.find(CLAIM, "theirs")
    remove = [{"op": "remove", "path": "/metadata/ownerReferences"}]
    stack.client.patch(NAMESPACE, stack.name, remove, how="json")
    stack.up("")
    assert stack.find(NAMESPACE, stack.name, "")
    assert stack.find(ROLE, f"{stack.name}-owner", "") is None
    stack.destroy(delete_data=True)


def test_a_namespace_that_others_made_and_that_goes_with_what_goes_keeps_its_data(stack: Stack) -> None:
    other = f"{stack.name}-made"
    stack.up(OWNER)
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other, "ownerReferences": owners(stack)}}
    stack.client.create(made)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "theirs", "namespace": other}}
    stack.client.create({**body, "spec": spec})
    with pytest.raises(RefusedError, match=r"theirs \(5Gi\) goes with its namespace"):
        stack.destroy()
    assert stack.client.get(CLAIM, "theirs", other)
    stack.destroy(delete_data=True)


def prune(stack: Stack) -> None:
    """The program drops the namespace: what is pruned is looked at as carefully."""
    body = 'obj("core/v1", "ConfigMap", "fresh", {}, {"namespace": "default"})\n'
    (stack.folder / "__main__.py").write_text(HEADER.partition("ns = ")[0] + body)
    up(Program(stack.folder, "gone", stack.name), connection=stack.kubeconfig)


def test_a_stuck_finalizer_is_named_with_the_way_out(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "STUCK_AFTER", 1.0)
    stack.up('definition("%g")\ndeployment("gardener")')
    body = {"apiVersion": stack.tree.api_version, "kind": "Tree", "metadata": {"name": "oak", "namespace": stack.name}}
    body["metadata"]["finalizers"] = ["example.com/roots"]  # type: ignore[index]
    path = f"/apis/{stack.group}/v1/namespaces/{stack.name}/trees"
    stack.client.request("POST", path, query={"fieldManager": "gardener"}, body=body)
    with monkeypatch.context() as patch:
        patch.setattr(removal, "SECONDS", 8.0)
        with pytest.raises(ApplyFailed) as caught:
            stack.destroy()
    (problem,) = caught.value.errors
    assert f"Tree {stack.name}/oak is held by the finalizer example.com/roots, set by gardener" in problem.reason
    command = (
        f"kubectl patch trees.{stack.group} oak -n {stack.name} --type merge "
        """-p '{"metadata":{"finalizers":null}}'"""
    )
    assert command in problem.reason
    # The controller that could still take it off is left alone, and so is what it holds.
    assert stack.find(DEPLOYMENT, "gardener")
    left = [problem.reason for problem in caught.value.skipped]
    assert any(f"Namespace {stack.name} is left until Tree {stack.name}/oak is gone" in reason for reason in left)
    stack.destroy(remove_finalizers=True)
    assert stack.find(NAMESPACE, stack.name, "") is None
    assert any(line.startswith(f"took off Tree {stack.name}/oak: example.com/roots") for line in stack.lines)


def test_a_destroy_that_was_broken_off_converges_when_run_again(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.up(PLATFORM)
    send, count = removal.Remover._send, [0]

    def dies(*args: Any) -> bool:
        count[0] += 1
        if count[0] > 20:
            raise KeyboardInterrupt
        return send(*args)

    with monkeypatch.context() as patch:
        patch.setattr(removal.Remover, "_send", dies)
        with pytest.raises(KeyboardInterrupt):
            stack.destroy()
    assert stack.find(NAMESPACE, stack.name, "")
    stack.destroy()
    assert stack.find(NAMESPACE, stack.name, "") is None
    assert stack.client.list(Kind("v1", "Secret"), "default") == []
    assert not Inventory.load(stack.client, "gone", stack.name).exists


def test_what_is_made_anew_by_someone_else_stays(stack: Stack) -> None:
    stack.up('obj("core/v1", "ConfigMap", "%s", {}, {"namespace": "default"})')
    stack.client.delete(CONFIG_MAP, stack.name, "default")
    stack.make(CONFIG_MAP, stack.name, namespace="default")
    assert [change.urn.rpartition("::")[2] for change in stack.destroy()] == [stack.name]
    assert stack.find(CONFIG_MAP, stack.name, "default")
    stack.client.delete(CONFIG_MAP, stack.name, "default")


def test_what_is_deleted_with_another_is_not_deleted_itself(stack: Stack) -> None:
    stack.up("""
obj("core/v1", "ConfigMap", "rides", {}, inside, deleted_with=ns)
deployment("walks")
""")
    mark = stack.mark()
    changes = stack.destroy()
    assert {change.urn.rpartition("::")[2] for change in changes} == {stack.name, "walks"}
    assert stack.deleted(mark) == ["walks", stack.name]
    assert stack.find(NAMESPACE, stack.name, "") is None


def test_a_deletion_is_awaited_for_as_long_as_its_option_says(stack: Stack) -> None:
    stack.up("""
obj("core/v1", "ConfigMap", "slow", {}, {**inside, "finalizers": ["example.com/never"]},
    custom_timeouts=pulumi.CustomTimeouts(delete="1s"))
""")
    with pytest.raises(ApplyFailed, match=r"not gone after 1 s of waiting for its deletion: finalizers example\.com/"):
        stack.destroy()
    stack.release(CONFIG_MAP, "slow")
    stack.destroy()


def test_pods_are_gone_with_their_deployment_unless_it_says_otherwise(stack: Stack) -> None:
    stack.up("""
node = obj("core/v1", "Node", "%s", {"spec": {}}, {"annotations": {"kwok.x-k8s.io/node": "fake"}})
policy = {"annotations": {"pulumi.com/deletionPropagationPolicy": "orphan"}}
deployment("kept", {"namespace": "default", **policy}, replicas=1, depends_on=[node])
deployment("gone", {"namespace": "default"}, replicas=1, depends_on=[node])
""")
    pods = stack.client.list(POD, "default")
    assert {pod["metadata"]["labels"]["a"] for pod in pods} == {"kept", "gone"}
    (slow,) = (pod["metadata"]["name"] for pod in pods if pod["metadata"]["labels"]["a"] == "gone")
    hold, release = ({"metadata": {"finalizers": each}} for each in (["example.com/slow"], None))
    stack.client.patch(POD, slow, hold, namespace="default")
    # Longer than the namespace takes to go.
    helper = threading.Timer(12, lambda: stack.client.patch(POD, slow, release, namespace="default"))
    helper.start()
    stack.destroy()
    left = stack.client.list(POD, "default")
    assert [pod["metadata"]["labels"]["a"] for pod in left] == ["kept"]
    helper.join()
    sets = {s["metadata"]["labels"]["a"]: s for s in stack.client.list(Kind("apps/v1", "ReplicaSet"), "default")}
    assert list(sets) == ["kept"]
    stack.client.delete(Kind("apps/v1", "ReplicaSet"), sets["kept"]["metadata"]["name"], "default")
    # Its node is gone, so nobody else takes the pod away.
    path = f"/api/v1/namespaces/default/pods/{left[0]['metadata']['name']}"
    stack.client.request("DELETE", path, body={"gracePeriodSeconds": 0})


TEAM = """
node = obj("core/v1", "Node", "%s", {"spec": {}}, {"annotations": {"kwok.x-k8s.io/node": "fake"}})
settings = obj("core/v1", "ConfigMap", "settings", {}, inside)
deployment("app", replicas=1, depends_on=[node, settings])
"""


@contextmanager
def destroyed_around(stack: Stack) -> Generator[str]:
    """Runs `destroy` while a pod of the stack's Deployment does not stop; gives the pod's name."""
    stack.up(TEAM)
    (pod,) = (pod["metadata"]["name"] for pod in stack.client.list(POD, stack.name))
    stack.client.patch(POD, pod, {"metadata": {"finalizers": ["example.com/slow"]}}, namespace=stack.name)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(stack.destroy)
        try:
            yield pod
        finally:
            stack.release(POD, pod)
        running.result(120)
    assert stack.find(NAMESPACE, stack.name, "") is None


def is_going(live: dict[str, Any] | None) -> bool:
    return live is not None and "deletionTimestamp" in live["metadata"]


def test_a_namespace_that_goes_is_emptied_of_pods_before_what_they_use(stack: Stack) -> None:
    """Nobody awaits the pods but the Namespace, and it takes nothing away before they have stopped."""

    def emptied() -> list[str]:
        """Kinds that the cluster's own controller took away in the namespace, in its order."""
        mine = [e["objectRef"] for e in stack.events(mark) if e["verb"] == "deletecollection"]
        return [ref["resource"] for ref in mine if ref.get("namespace") == stack.name]

    mark = stack.mark()
    with destroyed_around(stack) as pod:
        eventually(lambda: is_going(stack.find(NAMESPACE, stack.name, "")), 60)
        assert stack.find(DEPLOYMENT, "app") is None
        eventually(lambda: "pods" in emptied(), 60)
        assert stack.find(POD, pod)
        settings = stack.find(CONFIG_MAP, "settings")
        assert settings is not None
        assert not is_going(settings)
        assert set(emptied()) == {"pods"}
    eventually(lambda: "configmaps" in emptied(), 60)
    assert f"delete ConfigMap {stack.name}/settings" in stack.lines


def test_where_a_namespace_may_not_take_pods_first_they_are_awaited(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes 1.33 may take the settings first, so that the pods have to be gone before the Namespace is begun."""
    monkeypatch.setattr(removal, "takes_pods_first", lambda client: False)
    with destroyed_around(stack) as pod:
        eventually(lambda: is_going(stack.find(POD, pod)), 60)
        assert is_going(stack.find(DEPLOYMENT, "app"))
        namespace = stack.find(NAMESPACE, stack.name, "")
        assert namespace is not None
        assert not is_going(namespace)


def test_a_pod_that_holds_its_namespace_up_is_named_with_the_way_out(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "STUCK_AFTER", 1.0)
    stack.up(TEAM)
    (pod,) = (pod["metadata"]["name"] for pod in stack.client.list(POD, stack.name))
    stack.client.patch(POD, pod, {"metadata": {"finalizers": ["example.com/slow"]}}, namespace=stack.name)
    with monkeypatch.context() as patch:
        patch.setattr(removal, "SECONDS", 15.0)
        with pytest.raises(ApplyFailed) as caught:
            stack.destroy()
    (problem,) = caught.value.errors
    assert problem.reason.startswith(f"Namespace {stack.name}: not gone after 15 s")
    assert f"Pod {stack.name}/{pod} is held by the finalizer example.com/slow" in problem.reason
    assert f"kubectl patch pods {pod} -n {stack.name} --type merge" in problem.reason
    stack.destroy(remove_finalizers=True)
    assert stack.find(NAMESPACE, stack.name, "") is None
    assert f"took off Pod {stack.name}/{pod}: example.com/slow" in stack.lines


def test_a_namespace_takes_along_what_no_controller_acts_on(stack: Stack) -> None:
    """Two hundred requests that the cluster's own controller does in a few; all the same each is told."""
    stack.up("""
for i in range(5):
    obj("core/v1", "ConfigMap", f"c{i}", {}, inside)
held = obj("core/v1", "ConfigMap", "held", {}, inside)
obj("core/v1", "Service", "front", {"spec": {"ports": [{"port": 80}]}}, inside, depends_on=[held])
""")
    stack.client.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": ["example.com/x"]}}, namespace=stack.name)
    mark = stack.mark()
    helper = threading.Timer(2, lambda: stack.release(CONFIG_MAP, "held"))
    helper.start()
    changes = stack.destroy()
    helper.join()
    assert stack.deleted(mark) == ["front", "held", stack.name]
    names = {stack.name, "front", "held", *(f"c{i}" for i in range(5))}
    assert {change.urn.rpartition("::")[2] for change in changes} == names
    assert {f"delete ConfigMap {stack.name}/c{i}" for i in range(5)} <= set(stack.lines)
    assert stack.find(NAMESPACE, stack.name, "") is None
    assert not Inventory.load(stack.client, "gone", stack.name).exists


def test_what_would_go_with_a_namespace_that_stays_is_told_and_stays_too(stack: Stack) -> None:
    stack.up("""
obj("core/v1", "ConfigMap", "waits", {}, inside)
obj("core/v1", "Service", "stuck", {"spec": {"ports": [{"port": 80}]}}, {**inside, "finalizers": ["example.com/x"]},
    custom_timeouts=pulumi.CustomTimeouts(delete="1s"))
""")
    with pytest.raises(ApplyFailed) as failed:
        stack.destroy()
    left = f"is left until Service {stack.name}/stuck is gone"
    assert {problem.reason for problem in failed.value.skipped} == {
        f"ConfigMap {stack.name}/waits {left}",
        f"Namespace {stack.name} {left}",
    }
    kept = {entry.reference.name for entry in Inventory.load(stack.client, "gone", stack.name).entries.values()}
    assert kept == {"waits", "stuck", stack.name}
    stack.release(SERVICE, "stuck")
    assert {change.urn.rpartition("::")[2] for change in stack.destroy()} >= {"waits", stack.name}


def test_where_a_policy_judges_deletions_it_is_the_object_that_is_named(stack: Stack) -> None:
    stack.up('obj("core/v1", "ConfigMap", "books", {}, inside)')
    admission, name = "admissionregistration.k8s.io/v1", stack.name
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    specs = {
        "ValidatingAdmissionPolicy": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", "message": "the auditors want it"}],
        },
        "ValidatingAdmissionPolicyBinding": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": selector},
        },
    }
    for kind, spec in specs.items():
        stack.client.create({"apiVersion": admission, "kind": kind, "metadata": {"name": name}, "spec": spec})

    def is_judged() -> bool:
        try:
            stack.client.delete(CONFIG_MAP, "books", name, dry_run=True)
        except ApiError as error:
            return "the auditors want it" in str(error)
        return False

    try:
        eventually(is_judged)
        with pytest.raises(ApplyFailed, match=f"ConfigMap {name}/books: .*the auditors want it"):
            stack.destroy()
        namespace = stack.find(NAMESPACE, name, "")
        assert namespace is not None
        assert "deletionTimestamp" not in namespace["metadata"]
    finally:
        for kind in specs:
            stack.client.delete(Kind(admission, kind), name)
    eventually(lambda: not is_judged())
    stack.destroy()
    assert stack.find(NAMESPACE, name, "") is None
