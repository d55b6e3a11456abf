"""What `up` waits for on a real API server, what it says meanwhile, and what it lives through."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from espalier.engine import apply, waits
from espalier.engine.changes import UpResult
from espalier.engine.display import Waiting
from espalier.engine.errors import ApplyFailed
from espalier.engine.inventory import Inventory
from espalier.engine.program import THREADS, Program
from espalier.engine.up import up
from espalier.engine.waiting import Wait
from espalier.engine.watcher import Watcher
from espalier.kube import ApiError, Client, Kind, Reference
from tests.sim.faults.proxy import HttpProxy

CONFIG_MAP = Kind("v1", "ConfigMap")
HEADER = """
import pulumi

def obj(api, kind, name, body=None, metadata=None, **opts):
    # What is None is not sent, but comes back as an output.
    manifest = {"status": None, "metadata": {"name": name, **(metadata or {})}, **(body or {})}
    return pulumi.CustomResource(f"kubernetes:{api}:{kind}", name, manifest, pulumi.ResourceOptions(**opts))

def note(**notes):
    return {**inside, "annotations": {f"pulumi.com/{key}": value for key, value in notes.items()}}

ns = obj("core/v1", "Namespace", "%s")
inside = {"namespace": ns.metadata["name"]}
"""


class View:
    """Stands for a terminal: keeps all that is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.shown: list[tuple[int, tuple[Waiting, ...]]] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)

    def waiting(self, count: int, longest: Sequence[Waiting]) -> None:
        self.shown.append((count, tuple(longest)))

    def showed(self, text: str) -> bool:
        return any(text in str(row) for _, rows in self.shown for row in rows)


@dataclass
class Stack:
    name: str
    folder: Path
    kubeconfig: Path
    client: Client
    progress: View = field(default_factory=View)

    def up(self, body: str, kubeconfig: Path | None = None) -> UpResult:
        (self.folder / "__main__.py").write_text(HEADER.replace("%s", self.name) + body)
        program = Program(self.folder, "waits", self.name)
        return up(program, connection=kubeconfig or self.kubeconfig, progress=self.progress)

    def start(self, body: str, kubeconfig: Path | None = None) -> Callable[[], UpResult]:
        """Begins an `up`; the answer waits for it and gives its result."""
        done: list[UpResult | BaseException] = []

        def run() -> None:
            try:
                done.append(self.up(body, kubeconfig))
            except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
                done.append(error)

        thread = threading.Thread(target=run)
        thread.start()

        def result() -> UpResult:
            thread.join(300)
            assert done, "the run did not end"
            if isinstance(done[0], BaseException):
                raise done[0]
            return done[0]

        return result

    def find(self, kind: Kind, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        return self.client.find_object(Reference(kind, self.name if namespace is None else namespace, name))


@pytest.fixture(scope="module")
def client(kubeconfig: Path) -> Client:
    return Client.connect(kubeconfig)


@pytest.fixture(scope="module")
def keeper(client: Client) -> Iterator[None]:
    """Another stack's inventory: without it the namespace of all inventories would come and go with every test."""
    inventory = Inventory.load(client, "waits", "keeper")
    inventory.expect([])
    yield
    inventory.remove()


@pytest.fixture
def stack(
    tmp_path: Path, kubeconfig: Path, client: Client, request: pytest.FixtureRequest, keeper: None
) -> Iterator[Stack]:
    name = request.node.name.partition("[")[0].replace("_", "-").lower()[:50].strip("-")
    yield Stack(name, tmp_path, kubeconfig, client)
    # Nothing is awaited here: a namespace takes seconds to go.
    inventory = Inventory.load(client, "waits", name)
    for entry in inventory.entries.values():
        if not entry.reference.namespace and client.find_object(entry.reference):
            client.delete(entry.reference.kind, entry.reference.name)
    inventory.remove()


POD = """
pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
"""
NODE = """
node = obj("core/v1", "Node", "%s", {"spec": {}},
    {"annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": {"only": "%s"}})
"""


def test_each_kind_comes_back_as_its_wait_promises(stack: Stack) -> None:
    body = (
        NODE.replace("%s", stack.name)
        + POD
        + """
claim = obj("core/v1", "PersistentVolumeClaim", "data", {"spec": {"accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}}}}, inside)
pod["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
web = obj("apps/v1", "Deployment", "web",
    {"spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": pod}}, inside, depends_on=[node])
svc = obj("core/v1", "Service", "web", {"spec": {"type": "LoadBalancer", "selector": {"a": "b"},
    "ports": [{"port": 80}]}}, inside)
path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
ing = obj("networking.k8s.io/v1", "Ingress", "web", {"spec": {"rules": [{"http": {"paths": [path]}}]}}, inside)
account = obj("core/v1", "ServiceAccount", "bot", {}, inside)
token = obj("core/v1", "Secret", "bot", {"type": "kubernetes.io/service-account-token", "data": None},
    {**inside, "annotations": {"kubernetes.io/service-account.name": account.metadata["name"]}})
quota = obj("core/v1", "ResourceQuota", "q", {"spec": {"hard": {"pods": "7"}}}, inside)
volume = obj("core/v1", "PersistentVolume", "%s", {"spec": {"capacity": {"storage": "1Gi"},
    "accessModes": ["ReadWriteOnce"], "storageClassName": "none", "hostPath": {"path": "/x"}}})
def workload(api, kind, name, restart="Always", **spec):
    inner = {"containers": pod["spec"]["containers"], "nodeSelector": {"only": "%s"}, "restartPolicy": restart}
    template = {"metadata": {"labels": {"of": name}}, "spec": inner}
    if kind not in ("Job", "Pod"):
        spec["selector"] = {"of": name} if kind == "ReplicationController" else {"matchLabels": {"of": name}}
    return obj(api, kind, name, {"spec": inner if kind == "Pod" else {**spec, "template": template}}, inside,
        depends_on=[node])
db = workload("apps/v1", "StatefulSet", "db", replicas=2, serviceName="db")
agents = workload("apps/v1", "DaemonSet", "agents")
old = workload("core/v1", "ReplicationController", "old", replicas=1)
bare = workload("core/v1", "Pod", "bare")
once = workload("batch/v1", "Job", "once", restart="Never")
pulumi.export("workloads", [db.status["readyReplicas"], agents.status["numberReady"], old.status["availableReplicas"],
    bare.status["phase"], once.status["succeeded"]])
pulumi.export("claim", claim.status["phase"])
pulumi.export("ready", web.status["readyReplicas"])
pulumi.export("balancer", svc.status["loadBalancer"]["ingress"][0]["ip"])
pulumi.export("ingress", ing.status["loadBalancer"]["ingress"][0]["ip"])
pulumi.export("token", token.data["token"])
pulumi.export("hard", quota.status["hard"]["pods"])
pulumi.export("volume", volume.status["phase"])
""".replace("%s", stack.name)
    )
    outputs = stack.up(body).outputs
    assert outputs["claim"] == "Bound"
    assert outputs["ready"] == 2
    assert outputs["workloads"] == [2, 1, 1, "Running", 1]
    assert str(outputs["balancer"]).startswith("198.18.")
    assert str(outputs["ingress"]).startswith("198.19.")
    assert outputs["hard"] == "7"
    assert outputs["volume"] == "Available"
    secret = stack.find(Kind("v1", "Secret"), "bot")
    assert secret is not None
    assert outputs["token"].value == secret["data"]["token"]  # type: ignore[union-attr]


def test_a_service_without_pods_is_taken_as_meant_after_a_while(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "_SETTLING", 2.0)
    started = time.monotonic()
    stack.up('obj("core/v1", "Service", "s", {"spec": {"selector": {"no": "pod"}, "ports": [{"port": 80}]}}, inside)')
    assert time.monotonic() - started >= 2.0


def endpoint_slice(stack: Stack, service: str, *, ready: bool) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": service}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service}-by-hand", "namespace": stack.name, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["198.18.0.1"], "conditions": {"ready": ready}}],
    }


def eventually(check: Callable[[], Any], seconds: float = 60.0) -> Any:
    until = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < until, "not true in time"
        time.sleep(0.05)
    return value


def test_a_service_waits_for_its_pods_and_a_webhook_for_its_service(stack: Stack) -> None:
    result = stack.start(
        """
svc = obj("core/v1", "Service", "judge", {"spec": {"selector": {"no": "pod"}, "ports": [{"port": 443}]}}, inside)
hook = {"name": "judge.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
    "failurePolicy": "Ignore", "clientConfig": {"service": {"namespace": "%s", "name": "judge"}},
    "rules": [{"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["x"]}]}
obj("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "%s", {"webhooks": [hook]})
""".replace("%s", stack.name)
    )
    eventually(lambda: stack.find(Kind("v1", "Service"), "judge"))
    made = stack.client.create(endpoint_slice(stack, "judge", ready=False))
    eventually(
        lambda: any("pods that it selects are not ready" in w.text for _, ws in stack.progress.shown for w in ws)
    )
    eventually(lambda: any("no pod behind its Service" in w.text for _, ws in stack.progress.shown for w in ws))
    made["endpoints"][0]["conditions"]["ready"] = True
    stack.client.replace(made)
    assert {change.op for change in result().changes} == {"create"}


def test_a_custom_resource_is_awaited_by_its_annotation(stack: Stack) -> None:
    group = f"{stack.name[-20:].strip('-')}.example.com"
    result = stack.start(
        """
schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
    "schema": {"openAPIV3Schema": schema}}
crd = obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", "trees.%s", {"spec": {"group": "%s",
    "scope": "Namespaced", "names": {"plural": "trees", "singular": "tree", "kind": "Tree"}, "versions": [version]}})
oak = obj("%s/v1", "Tree", "oak", {}, note(waitFor='["condition=Ready", "jsonpath={.status.leaves}=3"]'),
    depends_on=[crd])
obj("core/v1", "ConfigMap", "after", {}, inside, depends_on=[oak])
pulumi.export("leaves", oak.status["leaves"])
""".replace("%s", group)
    )
    tree = Kind(f"{group}/v1", "Tree")
    eventually(lambda: stack.find(tree, "oak"))
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    patch = stack.client.patch
    patch(tree, "oak", {"status": ready}, namespace=stack.name, subresource="status")
    time.sleep(1)
    assert stack.find(CONFIG_MAP, "after") is None
    patch(tree, "oak", {"status": {**ready, "leaves": 3}}, namespace=stack.name, subresource="status")
    assert result().outputs["leaves"] == 3
    assert stack.find(CONFIG_MAP, "after")


def test_a_suspended_job_is_awaited_and_a_failed_one_is_an_error(stack: Stack) -> None:
    body = """
pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]}}
obj("batch/v1", "Job", "idle", {"spec": {"suspend": True, "template": pod}}, note(timeoutSeconds="2"))
obj("batch/v1", "Job", "late", {"spec": {"activeDeadlineSeconds": 1, "template": pod}}, inside)
"""
    with pytest.raises(ApplyFailed) as caught:
        stack.up(body)
    idle, late = sorted(problem.reason for problem in caught.value.errors)
    assert "not ready after 2 s" in idle
    assert "it is suspended" in idle
    assert "the job failed: Job was active longer than specified deadline" in late


def test_an_object_that_is_deleted_meanwhile_ends_its_wait(stack: Stack) -> None:
    result = stack.start('obj("core/v1", "ConfigMap", "gone", {}, note(waitFor="jsonpath={.data.never}"))')
    eventually(lambda: any(ws for _, ws in stack.progress.shown))
    stack.client.delete(CONFIG_MAP, "gone", stack.name)
    with pytest.raises(ApplyFailed, match="it was deleted meanwhile"):
        result()


def test_the_display_says_for_what_since_when_and_the_latest_event(stack: Stack) -> None:
    body = (
        POD
        + """
spec = {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": pod}
pod["spec"]["nodeSelector"] = {"no": "where"}
obj("apps/v1", "Deployment", "x", {"spec": spec}, note(timeoutSeconds="120"))
obj("core/v1", "ConfigMap", "c", {}, note(waitFor="jsonpath={.data.never}", timeoutSeconds="120"))
"""
    )

    def is_told() -> bool:
        shown = [str(row) for count, rows in stack.progress.shown for row in rows if count == 2]
        return any(
            line.startswith(f"Deployment {stack.name}/x ")
            and " s: 0 of 3 replicas available" in line
            and "; latest event FailedScheduling: " in line
            for line in shown
        )

    def seconds() -> list[float]:
        return [row.seconds for _, rows in stack.progress.shown for row in rows if row.reference.name == "c"]

    result = stack.start(body)
    eventually(is_told)
    eventually(lambda: seconds()[-1] - seconds()[0] >= 1)
    for kind, name in ((Kind("apps/v1", "Deployment"), "x"), (CONFIG_MAP, "c")):
        stack.client.delete(kind, name, stack.name)
    with pytest.raises(ApplyFailed, match="it was deleted meanwhile"):
        result()
    assert seconds() == sorted(seconds())


def test_one_watch_a_kind_feeds_all_who_wait(stack: Stack, tmp_path: Path) -> None:
    count = 60
    body = f"""
for i in range({count}):
    obj("core/v1", "ConfigMap", f"w{{i}}", {{}}, note(waitFor="jsonpath={{.data.go}}=yes"))
"""
    with HttpProxy(stack.kubeconfig, tmp_path) as proxy:
        result = stack.start(body, proxy.kubeconfig)
        eventually(lambda: len(stack.client.list(CONFIG_MAP, stack.name)) >= count)
        for i in range(count):
            stack.client.patch(CONFIG_MAP, f"w{i}", {"data": {"go": "yes"}}, namespace=stack.name)
        result()
        watched = [asked.path for asked in proxy.asked if asked.watches and "/configmaps" in asked.path]
    # Another may follow one that has ended.
    assert 1 <= len(watched) <= 3


class Judge(BaseHTTPRequestHandler):
    """The server of an admission webhook: allows all, and says so in an annotation."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        patch = [{"op": "add", "path": "/metadata/annotations", "value": {"judged": "yes"}}]
        response = {
            "uid": review["request"]["uid"],
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": b64encode(json.dumps(patch).encode()).decode(),
        }
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "judge")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    pem = folder / "judge.pem"
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(signed.public_bytes(Encoding.PEM) + key.private_bytes(*form))
    return pem


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def hooked(stack: Stack, pem: Path, port: int, count: int) -> str:
    ca = b64encode(pem.read_bytes().partition(b"-----BEGIN PRIVATE")[0]).decode()
    return f"""
ns_label = {{"matchLabels": {{"kubernetes.io/metadata.name": "{stack.name}"}}}}
hook = {{"name": "judge.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 2,
    "clientConfig": {{"url": "https://127.0.0.1:{port}/", "caBundle": "{ca}"}}, "namespaceSelector": ns_label,
    "rules": [{{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}}]}}
judge = obj("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "{stack.name}", {{"webhooks": [hook]}})
for i in range({count}):
    obj("core/v1", "ConfigMap", f"c{{i}}", {{}}, inside, depends_on=[judge])
obj("core/v1", "Secret", "beside", {{}}, inside, depends_on=[judge])
"""


def test_what_a_webhook_judges_comes_as_soon_as_it_answers(stack: Stack, tmp_path: Path) -> None:
    pem, port = certificate(tmp_path), free_port()
    result = stack.start(hooked(stack, pem, port, THREADS + 8))
    # More objects wait for the webhook than there are threads, and what it does not judge goes on.
    eventually(lambda: stack.find(Kind("v1", "Secret"), "beside"))
    eventually(lambda: stack.progress.showed('failed calling webhook "judge.example.com"'))
    assert stack.find(CONFIG_MAP, "c0") is None
    server = ThreadingHTTPServer(("127.0.0.1", port), Judge)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert {change.op for change in result().changes} == {"create"}
        assert (stack.find(CONFIG_MAP, "c0") or {})["metadata"]["annotations"] == {"judged": "yes"}
    finally:
        server.shutdown()
        server.server_close()


def test_a_webhook_that_never_answers_is_named(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "PATIENCE", 3.0)
    with pytest.raises(ApplyFailed) as caught:
        stack.up(hooked(stack, certificate(tmp_path), free_port(), 1))
    (problem,) = caught.value.errors
    assert "not ready after 3 s of waiting for webhook judge.example.com to answer" in problem.reason
    assert "connection refused" in problem.reason


class Proxy:
    """Stands between the engine and the API server, and can be a network that is down."""

    def __init__(self, server: str) -> None:
        host, _, port = server.removeprefix("https://").partition(":")
        self._target = (host, int(port))
        self._connections: list[socket.socket] = []
        self._up = threading.Event()
        self._up.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._up.is_set():
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._connections += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for each in (source, sink):
                each.close()

    def down(self) -> None:
        self._up.clear()
        connections, self._connections = self._connections, []
        for each in connections:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                each.close()

    def restore(self) -> None:
        self._up.set()

    def close(self) -> None:
        self.down()
        self._listener.close()


def test_a_wait_outlives_an_outage_and_misses_nothing(stack: Stack, tmp_path: Path) -> None:
    config = yaml.safe_load(stack.kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    proxy = Proxy(cluster["server"])
    cluster["server"] = f"https://127.0.0.1:{proxy.port}"
    through = tmp_path / "through"
    through.write_text(yaml.safe_dump(config))
    result = stack.start(
        """
for name in ("a", "b"):
    obj("core/v1", "ConfigMap", name, {}, note(waitFor="jsonpath={.data.go}=yes", timeoutSeconds="300"))
""",
        through,
    )
    try:
        eventually(lambda: any(count == 2 for count, _ in stack.progress.shown))
        proxy.down()
        stack.client.patch(CONFIG_MAP, "a", {"data": {"go": "yes"}}, namespace=stack.name)
        time.sleep(2)
        proxy.restore()
        eventually(lambda: any(count == 1 for count, _ in stack.progress.shown))
        stack.client.patch(CONFIG_MAP, "b", {"data": {"go": "yes"}}, namespace=stack.name)
        assert {change.op for change in result().changes} == {"create"}
    finally:
        proxy.close()


def test_an_object_goes_with_its_definition(stack: Stack) -> None:
    """Its kind is served no more, so no list will ever say that it is gone."""
    group = f"{stack.name[-20:].strip('-')}.example.com"
    names = {"plural": "trees", "singular": "tree", "kind": "Tree"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": group, "scope": "Cluster", "names": names, "versions": [version]}
    definition = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    base = {"apiVersion": definition.api_version, "kind": definition.kind, "metadata": {"name": f"trees.{group}"}}
    stack.client.create({**base, "spec": spec})
    tree = Kind(f"{group}/v1", "Tree")
    manifest = {"apiVersion": tree.api_version, "kind": "Tree", "metadata": {"name": "oak"}}

    def create() -> Any:
        try:
            return stack.client.create(manifest)
        except ApiError:
            return None  # not served yet

    oak = eventually(create)
    watcher = Watcher(stack.client, stack.progress)
    ended: list[str] = []
    reference = Reference(tree, "", "oak")
    watcher.until_gone(reference, oak["metadata"]["uid"], 60, lambda state, _: ended.append(state.text))
    stack.client.delete(definition, f"trees.{group}")
    eventually(lambda: ended)
    assert ended == [""]
    watcher.close()


def test_a_cancelled_wait_ends_at_once_and_says_what_it_was_for(stack: Stack) -> None:
    stack.up("")
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": stack.name}}
    live = stack.client.create(manifest)
    watcher = Watcher(stack.client, stack.progress)
    ended: list[str] = []
    wait = Wait(lambda _, __: waits.State("far away"), 60, "the end")
    reference = Reference(CONFIG_MAP, stack.name, "c")
    watcher.until_ready(live, reference, wait, lambda state, _: ended.append(state.text))
    watcher.cancel("stopped")
    eventually(lambda: ended, 30)
    watcher.until_ready(live, reference, wait, lambda state, _: ended.append(state.text))
    assert ended == ["stopped while waiting for the end: far away"] * 2
    watcher.close()
