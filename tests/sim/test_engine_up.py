"""The embedded engine against a real API server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.engine.changes import UpResult
from espalier.engine.destroy import destroy
from espalier.engine.errors import ApplyFailed, ProgramError, RefusedError
from espalier.engine.inventory import NAMESPACE, Inventory
from espalier.engine.model import Recording
from espalier.engine.preview import preview
from espalier.engine.program import THREADS, Program
from espalier.engine.up import up
from espalier.engine.values import Secret
from espalier.kube import ApiError, Client, Kind, Reference
from tests.sim.audit import lines_of

CONFIG_MAP = Kind("v1", "ConfigMap")
SECRET = Kind("v1", "Secret")
NAMESPACE_KIND = Kind("v1", "Namespace")
HEADER = """
import pulumi

def obj(api, kind, name, body=None, metadata=None, **opts):
    manifest = {"metadata": {"name": name, **(metadata or {})}, **(body or {})}
    return pulumi.CustomResource(f"kubernetes:{api}:{kind}", name, manifest, pulumi.ResourceOptions(**opts))

ns = obj("core/v1", "Namespace", "%s")
inside = {"namespace": ns.metadata["name"]}
"""


@dataclass
class Stack:
    """A program in a folder, brought up on the session's cluster."""

    name: str
    folder: Path
    kubeconfig: Path
    client: Client
    lines: list[str] = field(default_factory=list)

    def program(self, body: str, header: str = HEADER) -> Program:
        (self.folder / "__main__.py").write_text((header.replace("%s", self.name)) + body)
        return Program(self.folder, "demo", self.name)

    def up(self, body: str, **options: Any) -> UpResult:
        return up(self.program(body), connection=self.kubeconfig, progress=self.lines.append, **options)

    def preview(self, body: str) -> dict[str, tuple[str, tuple[str, ...]]]:
        changes = preview(self.program(body), connection=self.kubeconfig)
        return {change.urn.rpartition("::")[2]: (change.op, change.fields) for change in changes}

    def destroy(self) -> Any:
        return destroy("demo", self.name, self.kubeconfig, progress=self.lines.append)

    def get(self, kind: Kind, name: str) -> dict[str, Any] | None:
        return self.client.find_object(Reference(kind, self.name, name))

    def inventory(self) -> set[str]:
        entries = Inventory.load(self.client, "demo", self.name).entries.values()
        return {entry.reference.name for entry in entries}


def ops(result: UpResult) -> dict[str, str]:
    return {change.urn.rpartition("::")[2]: change.op for change in result.changes}


@pytest.fixture(scope="module")
def client(kubeconfig: Path) -> Client:
    return Client.connect(kubeconfig)


@pytest.fixture(scope="module")
def keeper(client: Client) -> Iterator[Inventory]:
    """Another stack's inventory: without it the namespace would come and go with every test."""
    inventory = Inventory.load(client, "demo", "keeper")
    inventory.expect([])
    yield inventory
    inventory.remove()


@pytest.fixture
def stack(
    tmp_path: Path, kubeconfig: Path, client: Client, request: pytest.FixtureRequest, keeper: Inventory
) -> Iterator[Stack]:
    name = request.node.name.replace("_", "-").lower()[:50].strip("-")
    made = Stack(name, tmp_path, kubeconfig, client)
    yield made
    # Nothing is awaited here: a namespace takes seconds to go.
    inventory = Inventory.load(client, "demo", name)
    for entry in inventory.entries.values():
        if entry.reference.kind.kind in ("Namespace", "CustomResourceDefinition"):
            delete_if_there(client, entry.reference)
    inventory.remove()


def delete_if_there(client: Client, reference: Reference) -> None:
    if client.find_object(reference):
        client.delete(reference.kind, reference.name)


@pytest.fixture
def writes(sim_cluster: sim.SimStatus, client: Client) -> Callable[[], list[str]]:
    """Gives what our user wrote since the fixture was made, from the audit log."""
    log = sim.audit_log_path(sim_cluster.name)
    start = len(lines_of(log))

    def found() -> list[str]:
        # A write of the test's own marks that the log has caught up.
        marker = f"marker-{time.monotonic_ns()}"
        client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": marker, "namespace": "default"}})
        deadline = time.monotonic() + 60
        while True:
            lines = lines_of(log)[start:]
            if any(marker in line for line in lines):
                break
            assert time.monotonic() < deadline, "the audit log does not come after"
            time.sleep(0.05)
        events = [json.loads(line) for line in lines]
        mine = [event for event in events if event.get("userAgent") == "espalier"]
        return [f"{event['verb']} {event['requestURI']}" for event in mine if marker not in json.dumps(event)]

    return found


def resource_versions(client: Client, namespace: str) -> dict[str, str]:
    items = client.list(CONFIG_MAP, namespace) + client.list(SECRET, namespace) + client.list(CONFIG_MAP, NAMESPACE)
    # A controller puts this one into each new namespace when it gets to it.
    ours = [item["metadata"] for item in items if item["metadata"]["name"] != "kube-root-ca.crt"]
    return {metadata["uid"]: metadata["resourceVersion"] for metadata in ours}


MIXED = """
uid = ns.metadata["uid"]
for i in range(5):
    obj("core/v1", "ConfigMap", f"c{i}", {"data": {"uid": uid}}, inside)
obj("core/v1", "Secret", "s", {"stringData": {"k": "v"}}, inside)
pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
obj("apps/v1", "Deployment", "d", {"spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": pod}},
    inside)
pulumi.export("uid", uid)
"""


def test_live_values_flow_back_into_the_program(stack: Stack) -> None:
    result = stack.up(MIXED)
    uid = (stack.client.get(NAMESPACE_KIND, stack.name))["metadata"]["uid"]
    assert result.outputs["uid"] == uid
    assert (stack.get(CONFIG_MAP, "c4") or {})["data"] == {"uid": uid}
    assert set(ops(result).values()) == {"create"}
    assert [wave.name for wave in result.waves] == ["wave 1", "wave 2"]
    assert stack.inventory() == {stack.name, "c0", "c1", "c2", "c3", "c4", "s", "d"}


def test_a_second_up_writes_nothing(stack: Stack, request: pytest.FixtureRequest) -> None:
    stack.up(MIXED)
    before = resource_versions(stack.client, stack.name)
    writes = request.getfixturevalue("writes")
    result = stack.up(MIXED)
    assert writes() == []
    assert resource_versions(stack.client, stack.name) == before
    assert set(ops(result).values()) == {"same"}
    assert isinstance(result.outputs["uid"], str)


def test_only_what_changed_is_written(stack: Stack, request: pytest.FixtureRequest) -> None:
    stack.up(MIXED)
    writes = request.getfixturevalue("writes")
    result = stack.up(MIXED.replace('"k": "v"', '"k": "w"'))
    changes = {change.urn.rpartition("::")[2]: (change.op, change.fields) for change in result.changes}
    assert changes["s"] == ("update", ("data.k",))
    assert [name for name, (op, _) in changes.items() if op != "same"] == ["s"]
    assert [line.split("?")[0] for line in writes() if NAMESPACE not in line] == [
        f"patch /api/v1/namespaces/{stack.name}/secrets/s"
    ]


def test_typed_classes_of_a_foreign_program_are_applied_and_then_same(stack: Stack) -> None:
    body = """
from pulumi_kubernetes.core.v1 import ConfigMap, Service
from pulumi_kubernetes.rbac.v1 import ClusterRole
svc = Service("web", metadata={"name": "web", "namespace": ns.metadata["name"]}, spec={"ports": [{"port": 80}]})
ConfigMap("seen", metadata={"namespace": ns.metadata["name"]}, data={"ip": svc.spec.cluster_ip})
pulumi.export("ip", svc.spec.cluster_ip)
"""
    result = stack.up(body)
    seen = next(
        item for item in stack.client.list(CONFIG_MAP, stack.name) if item["metadata"]["name"].startswith("seen-")
    )
    assert seen["data"]["ip"] == result.outputs["ip"]
    assert result.outputs["ip"].count(".") == 3
    assert set(ops(stack.up(body)).values()) == {"same"}


def test_more_waiting_objects_than_threads_do_not_block(stack: Stack) -> None:
    count = THREADS + 18
    body = f"""
note = {{"pulumi.com/waitFor": "jsonpath={{.data.go}}=yes", "pulumi.com/timeoutSeconds": "300"}}
waiting = [obj("core/v1", "ConfigMap", f"w{{i}}", {{}}, {{**inside, "annotations": note}}) for i in range({count})]
obj("core/v1", "ConfigMap", "go", {{}}, inside)
obj("core/v1", "ConfigMap", "after", {{}}, inside, depends_on=waiting)
"""

    def let_go() -> None:
        # `go` is registered after all that wait: it lives only if waiting holds no thread.
        while not stack.get(CONFIG_MAP, "go"):
            time.sleep(0.1)
        for i in range(count):
            stack.client.patch(CONFIG_MAP, f"w{i}", {"data": {"go": "yes"}}, namespace=stack.name)

    helper = threading.Thread(target=let_go, daemon=True)
    helper.start()
    result = stack.up(body)
    helper.join(120)
    assert ops(result)["after"] == "create"
    assert (stack.get(CONFIG_MAP, "after") or {})["metadata"]["uid"]


def test_a_timeout_says_what_for_how_long_and_the_last_state(stack: Stack) -> None:
    body = """
note = {"pulumi.com/timeoutSeconds": "2"}
pod = {"metadata": {"labels": {"a": "b"}},
       "spec": {"nodeSelector": {"no": "where"}, "containers": [{"name": "c", "image": "x:1"}]}}
spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": pod}
late = obj("apps/v1", "Deployment", "late", {"spec": spec}, {**inside, "annotations": note})
obj("core/v1", "ConfigMap", "after", {}, inside, depends_on=[late])
"""
    with pytest.raises(ApplyFailed) as caught:
        stack.up(body)
    (problem,), (skipped,) = caught.value.errors, caught.value.skipped
    assert "Deployment " + stack.name + "/late: not ready after 2 s of waiting for its replicas" in problem.reason
    assert "0 of 2 replicas available" in problem.reason
    assert "latest event: FailedScheduling" in problem.reason
    assert skipped.urn.endswith("::after")
    assert "late" in stack.inventory()
    assert "after" not in {item["metadata"]["name"] for item in stack.client.list(CONFIG_MAP, stack.name)}


def test_a_job_that_is_suspended_goes_on_where_it_says_so(stack: Stack) -> None:
    body = """
note = {"pulumi.com/skipAwait": "true"}
pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]}}
job = obj("batch/v1", "Job", "j", {"spec": {"suspend": True, "template": pod}}, {**inside, "annotations": note})
pulumi.export("job", job.id)
"""
    assert stack.up(body).outputs["job"] == f"{stack.name}/j"


def test_a_failure_is_told_in_the_servers_words_and_the_rest_goes_on(
    stack: Stack, capfd: pytest.CaptureFixture[str]
) -> None:
    body = """
bad = obj("core/v1", "ConfigMap", "Bad_Name", {}, inside)
obj("core/v1", "ConfigMap", "child", {"data": {"uid": bad.metadata["uid"]}}, inside)
obj("core/v1", "ConfigMap", "fine", {}, inside)
pulumi.export("uid", bad.metadata["uid"])
"""
    with pytest.raises(ApplyFailed) as caught:
        stack.up(body)
    assert [problem.urn.rpartition("::")[2] for problem in caught.value.errors] == ["Bad_Name"]
    assert "must consist of lower case alphanumeric" in caught.value.errors[0].reason
    assert [problem.urn.rpartition("::")[2] for problem in caught.value.skipped] == ["child"]
    assert stack.get(CONFIG_MAP, "fine")
    assert "fine" in stack.inventory()
    assert capfd.readouterr() == ("", "")
    assert ops(stack.up(body.replace("Bad_Name", "good"))) == {
        stack.name: "same",
        "good": "create",
        "child": "create",
        "fine": "same",
    }


def test_a_judge_or_a_raising_program_leaves_the_cluster_untouched(
    stack: Stack, request: pytest.FixtureRequest
) -> None:
    writes = request.getfixturevalue("writes")

    def judge(recording: Recording) -> None:
        raise ValueError(f"{len(recording.resources)} resources")

    with pytest.raises(ValueError, match="9 resources"):
        stack.up(MIXED, judge=judge)
    with pytest.raises(ProgramError):
        stack.up(MIXED + "raise pulumi.RunError('no')")
    with pytest.raises(RefusedError, match="import"):
        stack.up(MIXED + "obj('core/v1', 'ConfigMap', 'x', import_='default/x')")
    assert writes() == []


def test_what_the_program_drops_is_pruned_and_others_objects_stay(stack: Stack) -> None:
    stack.up(MIXED)
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign", "namespace": stack.name}}
    stack.client.create(foreign)
    result = stack.up("")
    assert set(ops(result).values()) == {"same", "delete"}
    assert {item["metadata"]["name"] for item in stack.client.list(CONFIG_MAP, stack.name)} >= {"foreign"}
    assert not stack.get(CONFIG_MAP, "c0")
    assert not stack.get(SECRET, "s")
    assert stack.inventory() == {stack.name}


def test_nothing_is_pruned_after_a_failure(stack: Stack) -> None:
    stack.up(MIXED)
    with pytest.raises(ApplyFailed):
        stack.up("obj('core/v1', 'ConfigMap', 'Bad_Name', {}, inside)")
    assert stack.get(CONFIG_MAP, "c0")


def test_an_object_that_we_never_applied_is_not_pruned(stack: Stack) -> None:
    stack.up("")
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": stack.name}}
    theirs = stack.client.create({**foreign, "data": {"a": "theirs"}})
    path = f"/api/v1/namespaces/{stack.name}/configmaps/mine"
    query = {"fieldManager": "kubectl-edit"}
    theirs["data"]["a"] = "edited"
    theirs["metadata"].pop("managedFields")
    stack.client.request("PUT", path, query=query, body=theirs)
    body = "obj('core/v1', 'ConfigMap', 'mine', {'data': {'a': 'ours'}}, inside)"
    with pytest.raises(RefusedError, match="kubectl-edit"):
        stack.up(body)
    with pytest.raises(ApplyFailed, match="kubectl-edit"):
        stack.up(body, adopt=True)
    stack.up("")
    assert (stack.get(CONFIG_MAP, "mine") or {})["data"] == {"a": "edited"}


def edit(stack: Stack, name: str, data: dict[str, str]) -> None:
    """Changes an object as `kubectl edit` would."""
    path = f"/api/v1/namespaces/{stack.name}/configmaps/{name}"
    stack.client.request(
        "PATCH",
        path,
        query={"fieldManager": "kubectl-edit"},
        body={"data": data},
        content_type="application/merge-patch+json",
    )


def test_drift_of_our_field_is_shown_with_who_did_it_and_mended(stack: Stack) -> None:
    body = "obj('core/v1', 'ConfigMap', 'c', {'data': {'a': '1', 'b': '2'}}, inside)"
    stack.up(body)
    edit(stack, "c", {"a": "9", "theirs": "kept"})
    assert stack.preview(body)["c"] == ("update", ("data.a",))
    result = stack.up(body)
    (change,) = (change for change in result.changes if change.op != "same")
    assert (change.op, change.fields) == ("update", ("data.a",))
    assert 'data.a changed by "kubectl-edit"' in change.notes[0]
    assert (stack.get(CONFIG_MAP, "c") or {})["data"] == {"a": "1", "b": "2", "theirs": "kept"}
    assert set(ops(stack.up(body)).values()) == {"same"}


def test_a_deleted_object_comes_back(stack: Stack) -> None:
    body = "obj('core/v1', 'ConfigMap', 'c', {'data': {'a': '1'}}, inside)"
    stack.up(body)
    stack.client.delete(CONFIG_MAP, "c", stack.name)
    assert stack.preview(body)["c"] == ("create", ())
    assert ops(stack.up(body))["c"] == "create"


def test_fields_of_others_do_not_count_as_drift(stack: Stack) -> None:
    body = "obj('core/v1', 'ConfigMap', 'c', {'data': {'a': '1'}}, inside)"
    stack.up(body)
    edit(stack, "c", {"theirs": "1"})
    assert set(ops(stack.up(body)).values()) == {"same"}


OPS = """
obj("core/v1", "ConfigMap", "stays", {"data": {"a": "1"}}, inside)
obj("core/v1", "ConfigMap", "changes", {"data": {"a": "1", "b": "2"}}, inside)
obj("core/v1", "ConfigMap", "fixed", {"data": {"a": "1"}, "immutable": True}, inside)
obj("core/v1", "ConfigMap", "goes", {}, inside)
"""
OPS_LATER = """
obj("core/v1", "ConfigMap", "stays", {"data": {"a": "1"}}, inside)
obj("core/v1", "ConfigMap", "changes", {"data": {"a": "3", "b": "2"}}, inside)
obj("core/v1", "ConfigMap", "fixed", {"data": {"a": "2"}, "immutable": True}, inside)
new = obj("core/v1", "ConfigMap", "new", {}, inside)
obj("core/v1", "ConfigMap", "reads", {"data": {"uid": new.metadata["uid"]}}, inside)
"""


def test_preview_tells_each_change_and_writes_nothing(stack: Stack, request: pytest.FixtureRequest) -> None:
    assert {op for op, _ in stack.preview(OPS).values()} == {"create"}
    stack.up(OPS)
    before = resource_versions(stack.client, stack.name)
    told = stack.preview(OPS_LATER)
    assert resource_versions(stack.client, stack.name) == before
    assert told == {
        stack.name: ("same", ()),
        "stays": ("same", ()),
        "changes": ("update", ("data.a",)),
        "fixed": ("replace", ("data",)),
        "goes": ("delete", ()),
        "new": ("create", ()),
        "reads": ("create", ()),
    }
    old = (stack.get(CONFIG_MAP, "fixed") or {})["metadata"]["uid"]
    done = ops(stack.up(OPS_LATER))
    assert done == {name: op for name, (op, _) in told.items()}
    fixed = stack.get(CONFIG_MAP, "fixed") or {}
    assert (fixed["data"], fixed["metadata"]["uid"] == old) == ({"a": "2"}, False)
    assert {op for op, _ in stack.preview(OPS_LATER).values()} == {"same"}


def test_preview_lists_all_that_the_server_would_refuse(stack: Stack) -> None:
    stack.up("")
    with pytest.raises(ApplyFailed) as caught:
        stack.preview("[obj('core/v1', 'ConfigMap', n, {}, inside) for n in ('Bad_A', 'Bad_B', 'fine')]")
    assert [problem.urn.rpartition("::")[2] for problem in caught.value.errors] == ["Bad_A", "Bad_B"]


def test_what_is_protected_is_neither_pruned_replaced_nor_destroyed(stack: Stack) -> None:
    body = "obj('core/v1', 'ConfigMap', 'p', {'data': {'a': '1'}, 'immutable': True}, inside, protect=True)"
    stack.up(body)
    with pytest.raises(RefusedError, match=f"ConfigMap {stack.name}/p is protected"):
        stack.up("")
    with pytest.raises(RefusedError, match="is protected"):
        stack.destroy()
    with pytest.raises(ApplyFailed, match="is protected"):
        stack.up(body.replace("'1'", "'2'"))
    assert (stack.get(CONFIG_MAP, "p") or {})["data"] == {"a": "1"}
    assert set(ops(stack.up(body.replace(", protect=True", ""))).values()) == {"same"}
    assert ops(stack.up(""))["p"] == "delete"


def test_what_is_retained_is_forgotten_but_stays(stack: Stack) -> None:
    stack.up("obj('core/v1', 'ConfigMap', 'r', {'data': {'a': '1'}}, inside, retain_on_delete=True)")
    stack.up("")
    assert stack.get(CONFIG_MAP, "r")
    assert stack.inventory() == {stack.name}


CUSTOM = """
schema = {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
names = {"plural": "trees", "singular": "tree", "kind": "Tree"}
version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
crd = obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", "trees.%s.example.com",
          {"spec": {"group": "%s.example.com", "scope": "Namespaced", "names": names, "versions": [version]}})
obj("%s.example.com/v1", "Tree", "oak", {"spec": {"height": 3}}, inside, depends_on=[crd])
"""


def test_a_definition_and_its_objects_in_one_program(stack: Stack) -> None:
    body = CUSTOM.replace("%s", stack.name)
    assert {op for op, _ in stack.preview(body).values()} == {"create"}
    assert set(ops(stack.up(body)).values()) == {"create"}
    assert set(ops(stack.up(body)).values()) == {"same"}
    tree = Kind(f"{stack.name}.example.com/v1", "Tree")
    assert (stack.get(tree, "oak") or {})["spec"] == {"height": 3}
    stack.destroy()
    deleted = [line for line in stack.lines if line.startswith("delete")]
    order = [next(i for i, line in enumerate(deleted) if kind in line) for kind in ("Tree", "CustomResource")]
    assert order == sorted(order)


def test_destroy_removes_all_of_ours_and_nothing_of_others(stack: Stack) -> None:
    stack.up(MIXED)
    theirs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{stack.name}-other"}}
    stack.client.create(theirs)
    other = Stack(f"{stack.name}-2", stack.folder, stack.kubeconfig, stack.client)
    other.up("")
    stack.destroy()
    names = {item["metadata"]["name"] for item in stack.client.list(NAMESPACE_KIND)}
    assert stack.name not in names
    assert {f"{stack.name}-other", f"{stack.name}-2", NAMESPACE} <= names
    assert stack.inventory() == set()
    assert stack.destroy() == ()
    other.destroy()


def test_the_last_stack_takes_the_inventorys_namespace_with_it(
    stack: Stack, keeper: Inventory, eventually: Any
) -> None:
    stack.up("")
    keeper.remove()
    assert stack.client.find_object(Reference(NAMESPACE_KIND, "", NAMESPACE))
    stack.destroy()
    assert eventually(lambda: stack.client.find_object(Reference(NAMESPACE_KIND, "", NAMESPACE)) is None)
    keeper.expect([])


def test_a_secrets_value_is_nowhere_but_in_the_secret(stack: Stack, capfd: pytest.CaptureFixture[str]) -> None:
    body = """
s = obj("core/v1", "Secret", "s", {"stringData": {"token": "canary-4711"}, "data": None}, inside)
obj("core/v1", "ConfigMap", "marked", {"data": {"x": pulumi.Output.secret("canary-4711")}}, inside)
pulumi.export("token", s.data)
pulumi.export("again", s.stringData["token"])
"""
    result = stack.up(body)
    assert result.outputs == {"token": Secret({"token": "Y2FuYXJ5LTQ3MTE="}), "again": Secret("canary-4711")}
    again = stack.up(body)
    assert isinstance(again.outputs["token"], Secret)
    bad = (
        body + "obj('core/v1', 'ConfigMap', 'bad', {'binaryData': {'x': pulumi.Output.secret('canary-4711!')}}, inside)"
    )
    with pytest.raises(ApplyFailed) as caught:
        stack.up(bad)
    inventory = json.dumps(stack.client.list(CONFIG_MAP, NAMESPACE))
    seen = [repr(result), repr(again), str(caught.value), inventory, *stack.lines, *capfd.readouterr()]
    for text in seen:
        assert "canary" not in text
        assert "Y2FuYXJ5" not in text


def test_a_provider_in_the_program_names_the_cluster(stack: Stack) -> None:
    header = f"""
import pulumi
there = pulumi.ProviderResource("kubernetes", "there", {{"kubeconfig": {str(stack.kubeconfig)!r}}})
opts = pulumi.ResourceOptions(provider=there)
ns = pulumi.CustomResource("kubernetes:core/v1:Namespace", "ns", {{"metadata": {{"name": "%s"}}}}, opts)
"""
    result = up(stack.program("", header))
    assert ops(result) == {"ns": "create"}
    with pytest.raises(RefusedError, match="ambient kubeconfig"):
        up(stack.program(""))


def test_a_wrong_annotation_is_refused_before_anything_is_applied(stack: Stack) -> None:
    with pytest.raises(RefusedError, match=r"pulumi\.com/timeoutSeconds is 'soon'"):
        stack.up("""
obj("core/v1", "ConfigMap", "first", {}, inside)
note = {"pulumi.com/timeoutSeconds": "soon"}
pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": pod}
obj("apps/v1", "Deployment", "d", {"spec": spec}, {**inside, "annotations": note})
""")
    assert not [item for item in stack.client.list(CONFIG_MAP) if item["metadata"]["name"] == "first"]


def test_a_user_without_rights_gets_the_servers_words(stack: Stack) -> None:
    nobody = stack.client.as_user("nobody")
    with pytest.raises((ApiError, RefusedError), match="forbidden"):
        up(stack.program(""), connection=nobody)


def test_a_run_that_is_interrupted_keeps_what_it_applied(stack: Stack) -> None:
    body = """
first = [obj("core/v1", "ConfigMap", f"c{i}", {}, inside) for i in range(40)]

def stop(_):
    raise KeyboardInterrupt

if not pulumi.runtime.is_dry_run():
    pulumi.Output.all(*[one.metadata["uid"] for one in first]).apply(stop)
"""
    with pytest.raises(KeyboardInterrupt):
        stack.up(body)
    kept = stack.inventory()
    lives = {item["metadata"]["name"] for item in stack.client.list(CONFIG_MAP, stack.name)} - {"kube-root-ca.crt"}
    assert lives
    assert lives <= kept
    assert ops(stack.up("")) == {stack.name: "same"} | dict.fromkeys(sorted(lives), "delete")


def test_a_watch_can_be_closed_at_any_moment(client: Client) -> None:
    """A socket that is shut down hands out bytes that are still encrypted: they must not be read as changes."""
    stop = threading.Event()

    def write() -> None:
        metadata = {"name": "busy", "namespace": "default"}
        count = 0
        while not stop.is_set():
            count += 1
            client.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"n": str(count)}})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(15):
            _, version = client.list_at(CONFIG_MAP)
            watch = client.watch(CONFIG_MAP, version)
            threading.Timer(0.1, watch.close).start()
            for event in watch:
                assert event.object["kind"] == "ConfigMap"
    finally:
        stop.set()
        writer.join()
    client.delete(CONFIG_MAP, "busy", "default")


def test_pages_of_a_list_are_put_together(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.up("[obj('core/v1', 'ConfigMap', f'c{i}', {}, inside) for i in range(25)]")
    whole = stack.client.list(CONFIG_MAP, stack.name)
    monkeypatch.setattr("espalier.kube.client._PAGE", 7)
    assert stack.client.list(CONFIG_MAP, stack.name) == whole
    assert len(whole) >= 25


SERVICE = """
note = {"pulumi.com/timeoutSeconds": "%d"}
obj("core/v1", "Service", "web", {"spec": {"selector": {"no": "pod"}, "ports": [{"port": 80}]}},
    {**inside, "annotations": note})
"""


def test_a_service_waits_for_an_endpoint(stack: Stack) -> None:
    with pytest.raises(ApplyFailed, match="not ready after 1 s of waiting for an address and ready endpoints"):
        stack.up(SERVICE % 1)
    metadata = {"name": "by-hand", "namespace": stack.name, "labels": {"kubernetes.io/service-name": "web"}}
    endpoint = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}}
    slice_ = {"kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4", "endpoints": [endpoint]}
    make = threading.Timer(1.0, stack.client.create, [{"apiVersion": "discovery.k8s.io/v1", **slice_}])
    make.start()
    assert ops(stack.up(SERVICE % 120))["web"] == "update"
    make.join()


def test_a_claim_that_waits_for_its_consumer_is_not_awaited(stack: Stack) -> None:
    body = """
claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
late = obj("storage.k8s.io/v1", "StorageClass", ns._name + "-late",
           {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"})
now = obj("storage.k8s.io/v1", "StorageClass", ns._name + "-now",
          {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "Immediate"})
note = {"pulumi.com/timeoutSeconds": "1"}
for name, kind in (("a", late), ("b", now)):
    obj("core/v1", "PersistentVolumeClaim", name, {"spec": {**claim, "storageClassName": kind.metadata["name"]}},
        {**inside, "annotations": note})
"""
    with pytest.raises(ApplyFailed, match="phase is Pending") as caught:
        stack.up(body)
    assert [problem.urn.rpartition("::")[2] for problem in caught.value.errors] == ["b"]
    stack.up("")
