"""A chart that the test writes, on a real API server: brought up, held up, taken down, and behind a late webhook."""

from __future__ import annotations

import io
import json
import shutil
import ssl
import tarfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
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

from espalier import sim
from espalier.cli import main
from espalier.kube import Client, Kind, Reference, UnknownKindError

ROOT = Path(__file__).parents[2]
CLAIM = Kind("v1", "PersistentVolumeClaim")
CONFIG_MAP = Kind("v1", "ConfigMap")
CRD_KIND = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
WEBHOOK = Kind("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration")
LATE = 5.0
"""Seconds from the webhook's being there to its server's first answer."""
QUEUE = Kind("example.com/v1", "Queue")

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %ss.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: %s, plural: %ss, singular: %s}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
POD = """\
    metadata: {labels: {app: queue}}
    spec:
      restartPolicy: %s
      securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: c
        image: quay.io/x/queue:1.0.0
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 16Mi}}
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
"""
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: queue\nversion: 1.0.0\n",
    "crds/queue.yaml": CRD % ("queue", "Queue", "queue", "queue"),
    "templates/fleet.yaml": CRD % ("fleet", "Fleet", "fleet", "fleet"),
    "templates/main.yaml": "apiVersion: example.com/v1\nkind: Queue\nmetadata: {name: main}\nspec: {size: 3}\n",
    "templates/deployment.yaml": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: queue}\nspec:\n"
        "  selector: {matchLabels: {app: queue}}\n  template:\n" + POD % "Always"
    ),
    "templates/job.yaml": (
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {helm.sh/hook: pre-install}}\n"
        "spec:\n  template:\n" + POD % "Never"
    ),
    "templates/test.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: try-it, annotations: {helm.sh/hook: test}}\n"
    ),
    "templates/kept.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}\n"
    ),
    "templates/webhook.yaml": """\
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: queue}
webhooks:
- name: judge.example.com
  sideEffects: None
  admissionReviewVersions: [v1]
  timeoutSeconds: 2
  clientConfig:
    {{- if .Values.url }}
    url: {{ .Values.url }}
    caBundle: {{ .Values.ca }}
    {{- else }}
    service: {name: queue, namespace: queue}
    {{- end }}
  rules: [{apiGroups: [example.com], apiVersions: [v1], operations: [CREATE], resources: [queues]}]
""",
}
"""Definitions in both places, a custom resource that the chart's own webhook judges, hooks, and one thing to keep."""


class Project:
    """A project of its own whose chart comes from a folder that mirrors charts.example.com."""

    def __init__(self, folder: Path, cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.stacks, self.cluster, self._capsys = folder, folder / "stacks", cluster, capsys
        self.told = ""
        (self.stacks / "addons").mkdir(parents=True)
        for name in ("Pulumi.yaml", "__main__.py"):
            shutil.copy(ROOT / name, folder / name)
        mirror = self.stacks / "mirror" / "charts.example.com"
        mirror.mkdir(parents=True)
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w:gz") as tar:
            for name, text in CHART.items():
                info = tarfile.TarInfo(f"queue/{name}")
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
        (mirror / "queue-1.0.0.tgz").write_bytes(raw.getvalue())
        index = {"entries": {"queue": [{"version": "1.0.0", "urls": ["queue-1.0.0.tgz"]}]}}
        (mirror / "index.yaml").write_text(json.dumps(index))
        chart = {"name": "queue", "repo": "https://charts.example.com", "version": "1.0.0"}
        self.record("queue", {"chart": chart}, hooks={"Job/migrate": "keep"})
        self.record("free", {"manifests": {"url": "free.yaml", "version": "1"}})
        self.free("one")
        self.write({}, free={})

    def record(self, id: str, source: Mapping[str, Any], **rules: Any) -> None:
        (self.stacks / "addons" / f"{id}.yaml").write_text(json.dumps({"source": source, "namespace": id, **rules}))

    def free(self, word: str) -> None:
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "free"}, "data": {"word": word}}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "free"}, "spec": spec}
        (self.stacks / "free.yaml").write_text("\n---\n".join(json.dumps(one) for one in (config, claim)))

    def write(self, values: Mapping[str, Any], **more: Any) -> None:
        config = {
            "cluster": {"kind": "simulated", "name": self.cluster},
            "pools": [{"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"min": 1, "max": 1}}],
            "sources": {"cache": "../cache", "mirror": "mirror"},
            "addons": {"queue": {"values": values}, **more},
        }
        text = yaml.safe_dump({"config": {f"espalier:{key}": value for key, value in config.items()}})
        (self.stacks / "Pulumi.charts.yaml").write_text(text)

    def run(self, *words: str) -> tuple[int, Any]:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([words[0], "charts", *words[1:], "--json"])
        assert isinstance(ended.value.code, int)
        said = self._capsys.readouterr()
        self.told = said.err
        return ended.value.code, json.loads(said.out)

    def good(self, *words: str) -> Any:
        code, document = self.run(*words)
        assert code == 0, document["errors"]
        return document

    def find(self, kind: Kind, name: str, namespace: str = "queue") -> Any:
        client = Client.connect(sim.kubeconfig_path(self.cluster))
        try:
            return client.find_object(Reference(kind, namespace, name))
        except UnknownKindError:
            return None


@pytest.fixture
def project(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    new_cluster: Callable[[str], str],
) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, new_cluster("charts"), capsys)


def test_a_chart_from_up_to_destroy(project: Project) -> None:
    project.good("fetch")
    made = project.good("up", "--yes")
    assert {change["op"] for change in made["changes"]} == {"create"}
    [main_queue, migrate] = project.find(QUEUE, "main"), project.find(Kind("batch/v1", "Job"), "migrate")
    assert main_queue["spec"] == {"size": 3}
    assert "helm.sh" not in json.dumps(migrate)
    deployment = project.find(Kind("apps/v1", "Deployment"), "queue")
    assert migrate["metadata"]["creationTimestamp"] <= deployment["metadata"]["creationTimestamp"]
    assert project.find(CONFIG_MAP, "try-it") is None
    [row] = [row for row in project.good("plan")["addons"] if row["id"] == "queue"]
    assert row["withheld"] == ["mutatingwebhookconfiguration.admissionregistration.k8s.io/queue"]
    again = project.good("up", "--yes")
    assert {change["op"] for change in again["changes"]} == {"same"}

    # The cache is lost and the chart's hosts are gone: what it made stays, and the rest goes on.
    shutil.rmtree(project.folder / "cache")
    project.free("two")
    code, document = project.run("preview")
    assert code == 1
    assert "is not in the cache" in document["errors"][0]["got"]
    assert sorted({change["op"] for change in document["changes"]}) == ["same", "update"]  # and nothing to delete
    code, document = project.run("up", "--yes")
    assert code == 1
    said = json.dumps(document["errors"])
    assert "espalier:addons.queue" in said
    assert "is not in the cache" in said
    assert "espalier fetch charts" in said
    assert project.find(CONFIG_MAP, "free", "free")["data"] == {"word": "two"}
    assert project.find(QUEUE, "main")["metadata"]["uid"] == main_queue["metadata"]["uid"]
    code, document = project.run("up", "--yes")  # nothing to do, and still not all that the stack says
    assert code == 1
    assert "is not in the cache" in json.dumps(document["errors"])

    project.good("fetch")
    back = project.good("up", "--yes")
    assert {change["op"] for change in back["changes"]} == {"same"}

    # An add-on that leaves the stack leaves its volume, and the namespace that this is in.
    project.write({})
    project.good("up", "--yes")
    assert project.find(CONFIG_MAP, "free", "free") is None
    assert "deletionTimestamp" not in project.find(Kind("v1", "Namespace"), "free", "")["metadata"]
    assert "deletionTimestamp" not in project.find(CLAIM, "free", "free")["metadata"]
    assert "kubectl delete persistentvolumeclaim free -n free" in project.told

    # It comes back to the same volume.
    volume = project.find(CLAIM, "free", "free")["metadata"]["uid"]
    project.write({}, free={})
    project.good("up", "--yes")
    assert project.told.count("taken over from a stack of Espalier that had left it here") == 2
    assert project.find(CLAIM, "free", "free")["metadata"]["uid"] == volume
    assert project.find(CONFIG_MAP, "free", "free")["data"] == {"word": "two"}

    project.good("destroy", "--yes")
    assert "2 definitions stay" in project.told
    assert project.find(QUEUE, "main") is None
    assert project.find(Kind("apps/v1", "Deployment"), "queue") is None
    assert project.find(CONFIG_MAP, "kept") is not None
    assert project.find(CRD_KIND, "queues.example.com", "") is not None
    assert project.find(CRD_KIND, "fleets.example.com", "") is not None
    assert project.find(CLAIM, "free", "free") is not None

    # And so does the stack.
    project.good("up", "--yes")
    assert project.find(CLAIM, "free", "free")["metadata"]["uid"] == volume
    project.good("destroy", "--yes")


def test_a_stack_with_a_chart_rehearses(project: Project) -> None:
    project.good("fetch")
    document = project.good("rehearse")
    assert {check["name"]: check["ok"] for check in document["checks"]}["destroy"]  # what is to stay is not left behind


class Judge(BaseHTTPRequestHandler):
    """Admits all, and says so on the object."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        patch = [{"op": "add", "path": "/spec/judged", "value": "yes"}]
        answer = {"uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch"}
        answer["patch"] = b64encode(json.dumps(patch).encode()).decode()
        body = json.dumps({**review, "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def late_judge(tmp_path: Path) -> Iterator[tuple[str, str, Callable[[], None]]]:
    """The URL and the CA of a webhook's server, and what runs it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "judge")])
    day = timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(datetime.now(UTC) - day).not_valid_after(datetime.now(UTC) + day)
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    signed = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    certificate = signed.public_bytes(Encoding.PEM)
    pem = tmp_path / "judge.pem"
    pem.write_bytes(certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    # The port is taken from the start, but nobody listens on it: connections are refused until then.
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge, bind_and_activate=False)
    server.server_bind()

    serving = threading.Event()

    def serve() -> None:
        serving.set()
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.server_activate()
        server.serve_forever(poll_interval=0.05)

    yield f"https://127.0.0.1:{server.server_address[1]}/", b64encode(certificate).decode(), serve
    if serving.is_set():
        server.shutdown()
    server.server_close()


def test_a_webhook_of_a_chart_that_comes_up_late(
    project: Project, late_judge: tuple[str, str, Callable[[], None]]
) -> None:
    url, authority, serve = late_judge
    project.write({"url": url, "ca": authority})
    project.good("fetch")
    sim.up(project.cluster)
    seen: list[Any] = []

    def serve_late() -> None:
        while project.find(WEBHOOK, "queue", "") is None:
            time.sleep(0.1)
        time.sleep(LATE)
        seen.append(project.find(QUEUE, "main"))
        serve()

    threading.Thread(target=serve_late, daemon=True).start()
    document = project.good("up", "--yes")
    assert {change["op"] for change in document["changes"]} == {"create"}
    assert seen == [None]  # it was not let in before there was a judge
    assert project.find(QUEUE, "main")["spec"] == {"size": 3, "judged": "yes"}
