"""`verify --probe` on a real API server, scheduler and Job controller, with a stand-in for the kubelets' logs.

Simulated nodes run nothing, so a server of the test plays their kubelet for logs: the API server is told to reach
nodes directly, and nodes say that theirs is at the test's port.
"""

import ipaddress
import json
import os
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from espalier import sim
from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.blueprint.nodes import node_manifest
from espalier.blueprint.probe import ProbePlan, plan_probes
from espalier.cli import main
from espalier.kube import Client, Kind
from espalier.report.documents import schema_of
from espalier.settings import load_file
from espalier.sim import components
from espalier.types import Check
from espalier.verify import Skipped, probe, verify
from espalier.verify.model import Context
from espalier.verify.pods import probe_pod
from espalier.verify.probe import Probes

ROOT = Path(__file__).parents[2]
NODE = Kind("v1", "Node")
POD = Kind("v1", "Pod")
NAMESPACE = Kind("v1", "Namespace")
MARK = "espalier-probe: "
EGRESS = """
apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections: [{name: cluster, connection: {proxyProtocol: Direct}}]
"""
STACK = """
config:
  espalier:cluster: {kind: existing, version: "1.36", kubeconfig: KUBECONFIG, context: CONTEXT}
  espalier:pools:
    - name: system
      machine: {cpu: 4, memory: 16Gi}
      nodes: {min: 0, max: 1}
    - name: h100
      accelerator: H100-80
      machine: p5.48xlarge
      count: 8
      nodes: {max: 1}
    - name: l4
      accelerator: L4
      count: 1
      nodes: {max: 2}
"""


def found(devices: int) -> str:
    return MARK + json.dumps({"found": {"devices": devices, "names": {"NVIDIA H100": devices}, "failed": []}}) + "\n"


def measured(busbw: float, devices: int = 8, scope: str = "node") -> str:
    return MARK + json.dumps({"measured": {"scope": scope, "devices": devices, "busbw": busbw}}) + "\n"


@dataclass
class Kubelet:
    """Serves what the pods' containers have written: by the pod's index, else `default`."""

    logs: dict[int, str] = field(default_factory=dict[int, str])
    default: str = ""
    asked: list[str] = field(default_factory=list[str])
    port: int = 0

    def log(self, path: str) -> str:
        self.asked.append(path)
        pod = path.split("/")[3]  # /containerLogs/<namespace>/<pod>/<container>
        return self.logs.get(int(pod.split("-")[1]), self.default)


def certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubelet")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "kubelet.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture(scope="module")
def kubelet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    played = Kubelet()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = played.log(self.path).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path_factory.mktemp("kubelet")))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    played.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield played
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Cluster:
    status: Any
    client: Client
    blueprint: Blueprint
    kubelet: Kubelet

    def add(self, name: str, shape: Any, eventually: Callable[..., Any]) -> None:
        """A node whose kubelet is the test's."""
        self.client.create(node_manifest(shape, name))

        def ready() -> bool:
            live = self.client.get(NODE, name)
            tainted = {taint["key"] for taint in live["spec"].get("taints", [])} & {"node.kubernetes.io/not-ready"}
            conditions = live["status"].get("conditions", [])
            return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions) and not tainted

        eventually(ready)
        at = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.kubelet.port}},
        }
        self.client.patch(NODE, name, {"status": at}, subresource="status")

    def run(self, plan: ProbePlan | None = None, seconds: float = 120) -> dict[str, Check | Skipped]:
        """The checks of a run whose namespaces are gone after it."""
        context = Context(self.blueprint, self.client, simulated=False, probe=True)
        jobs = Probes(context, plan or plan_probes(self.blueprint, ["h100"]), print, seconds)
        try:
            return jobs.run()
        finally:
            jobs.clear()
            assert jobs.left() == ()
            assert self.namespaces() == []

    def namespaces(self) -> list[str]:
        return [
            str(live["metadata"]["name"]) for live in self.client.list(NAMESPACE, labelSelector="espalier.dev/probe")
        ]


@pytest.fixture(scope="module")
def cluster(
    kubelet: Kubelet, tmp_path_factory: pytest.TempPathFactory, eventually_: Callable[..., Any]
) -> Iterator[Cluster]:
    name = f"test-probe-{os.getpid()}"
    data = tmp_path_factory.mktemp("data") / "data"
    shutil.copytree(components.DATA, data)
    (data / "egress.yaml").write_text(EGRESS)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(components, "DATA", data)
        try:
            status = sim.up(name)
            client = Client.connect(status.kubeconfig)
            path = tmp_path_factory.mktemp("stack") / "Pulumi.site.yaml"
            text = STACK.replace("KUBECONFIG", str(status.kubeconfig)).replace("CONTEXT", f"espalier-sim-{name}")
            path.write_text(text)
            blueprint = build(load_file(path).settings, RECORDS)
            for planned in blueprint.objects:
                if planned.manifest["kind"] == "PriorityClass":
                    client.create(planned.manifest)
            made = Cluster(status, client, blueprint, kubelet)
            made.add("h100-0", blueprint.pools[1].shape, eventually_)
            yield made
        finally:
            sim.down(name)


@pytest.fixture(autouse=True)
def well(kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a test says otherwise, eight devices compute and are as quick as they should be."""
    kubelet.logs, kubelet.default = {}, "NCCL version 2.27\n" + found(8) + measured(479.5)
    monkeypatch.setattr(probe, "POLL_SECONDS", 0.2)


def check(result: Check | Skipped) -> Check:
    assert isinstance(result, Check), result
    return result


def test_a_job_computes_its_log_is_judged_and_nothing_is_left(cluster: Cluster) -> None:
    results = cluster.run()
    assert list(results) == ["probe/h100", "bandwidth/h100", "bandwidth/h100/nodes"]
    assert results["bandwidth/h100/nodes"] == Skipped("bandwidth/h100/nodes", "its nodes give pods no EFA interfaces")
    devices, bandwidth = check(results["probe/h100"]), check(results["bandwidth/h100"])
    assert devices.ok, devices
    assert "on h100-0: 8 NVIDIA H100 computed" in devices.evidence
    assert bandwidth.ok, bandwidth
    assert "479.5 GB/s; 480 GB/s are expected" in bandwidth.evidence
    assert any("/containerLogs/espalier-probe-" in path and "/probe?" in path for path in cluster.kubelet.asked)


def test_too_little_bandwidth_fails_and_only_that(cluster: Cluster) -> None:
    cluster.kubelet.default = found(8) + measured(311.0)
    results = cluster.run()
    assert check(results["probe/h100"]).ok
    bandwidth = check(results["bandwidth/h100"])
    assert not bandwidth.ok
    assert "311 GB/s" in bandwidth.evidence


def test_one_device_less_fails(cluster: Cluster) -> None:
    cluster.kubelet.default = found(7) + measured(479.5, 7)
    results = cluster.run()
    devices = check(results["probe/h100"])
    assert not devices.ok
    assert "sees 7 NVIDIA H100, and the plan has 8" in devices.evidence
    assert isinstance(results["bandwidth/h100"], Skipped)


def test_a_log_cut_short_fails_with_its_end(cluster: Cluster) -> None:
    cluster.kubelet.default = found(8) + "NCCL WARN Cuda failure 'out of memory'\n"
    results = cluster.run()
    assert check(results["probe/h100"]).ok
    bandwidth = check(results["bandwidth/h100"])
    assert not bandwidth.ok
    assert "its log ends:" in bandwidth.evidence
    assert "NCCL WARN Cuda failure 'out of memory'" in bandwidth.evidence


def test_a_job_that_never_starts_fails_with_the_schedulers_words(cluster: Cluster) -> None:
    results = cluster.run(plan_probes(cluster.blueprint, ["l4"]), seconds=5)
    devices = check(results["probe/l4"])
    assert not devices.ok
    assert "not ended after 5 s; scheduler: 0/" in devices.evidence
    assert "didn't match Pod's node affinity/selector" in devices.evidence


def test_a_pool_that_others_hold_is_not_proven(cluster: Cluster, eventually: Callable[..., Any]) -> None:
    pool = cluster.blueprint.pools[1]
    other = probe_pod("other", "default", {"nvidia.com/gpu": 1}, tolerate=pool.shape.taints)
    cluster.client.create(other)
    try:
        eventually(lambda: cluster.client.get(POD, "other", "default")["spec"].get("nodeName"))
        results = cluster.run()
        assert results["probe/h100"] == Skipped(
            "probe/h100",
            "pool h100: other work holds devices of 1 of the pool's 1 nodes, and it can have no more",
        )
        assert isinstance(results["bandwidth/h100"], Skipped)
    finally:
        cluster.client.delete(POD, "other", "default")
        eventually(lambda: all(pod["metadata"]["name"] != "other" for pod in cluster.client.list(POD, "default")))


def test_two_nodes_are_judged_by_both_logs(cluster: Cluster, eventually: Callable[..., Any]) -> None:
    aws = build(load_file(ROOT / "stacks" / "Pulumi.aws-prod.yaml").settings, RECORDS)
    plan = plan_probes(aws, ["h100"])
    shape = plan.probes[0].pool.shape
    cluster.client.delete(NODE, "h100-0")  # it has the same label, and no EFA
    try:
        for name in ("efa-0", "efa-1"):
            cluster.add(name, shape, eventually)
        cluster.kubelet.logs = {
            0: found(8) + measured(478.0) + measured(310.5, 16, "nodes"),
            1: found(8) + measured(290.0),
        }
        results = cluster.run(plan)
        devices = check(results["probe/h100"])
        assert devices.ok, devices
        assert "efa-0" in devices.evidence
        assert "efa-1" in devices.evidence
        slow = check(results["bandwidth/h100"])
        assert (slow.ok, "290 GB/s" in slow.evidence) == (False, True)
        between = results["bandwidth/h100/nodes"]
        assert isinstance(between, Skipped)
        assert "over 16 devices: 310.5 GB/s" in between.why
    finally:
        for name in ("efa-0", "efa-1"):
            cluster.client.delete(NODE, name)
        cluster.add("h100-0", cluster.blueprint.pools[1].shape, eventually)


def test_what_a_killed_run_left_is_removed_by_the_next(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    name = f"espalier-probe-left-{time.monotonic_ns()}"
    left = {"name": name, "labels": {"espalier.dev/probe": "killed"}}
    cluster.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": left})
    plan = plan_probes(cluster.blueprint, ["h100"])
    context = Context(cluster.blueprint, cluster.client, simulated=False, probe=True)
    young = Probes(context, plan, print, 120)
    young.run()
    young.clear()
    assert name in cluster.namespaces()  # another's run may be on its way
    monkeypatch.setattr(probe, "_STALE", timedelta(0))
    time.sleep(1.1)  # creation times are whole seconds
    jobs = Probes(context, plan, print, 120)
    jobs.run()
    jobs.clear()
    eventually(lambda: cluster.namespaces() == [])


def test_an_interrupt_leaves_nothing_behind(cluster: Cluster) -> None:
    def interrupt(line: str) -> None:
        if line.startswith("probe/h100: 1 pods"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(
            cluster.blueprint,
            cluster.client,
            simulated=False,
            probe=True,
            probes=plan_probes(cluster.blueprint, ["h100"]),
            progress=interrupt,
        )
    assert cluster.namespaces() == []


def test_the_command_says_what_it_costs_and_gives_json(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "stacks").mkdir()
    text = STACK.replace("KUBECONFIG", str(cluster.status.kubeconfig))
    text = text.replace("CONTEXT", f"espalier-sim-{cluster.status.name}")
    (tmp_path / "stacks" / "Pulumi.site.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    def run(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["verify", "site", *arguments, "--json"])
        assert isinstance(ended.value.code, int)
        said = capsys.readouterr()
        return ended.value.code, json.loads(said.out), said.err

    code, document, told = run("--probe", "--pool", "h100")
    assert (code, document["errors"][0]["got"]) == (3, "nobody to ask: standard input is not a terminal")
    assert "probe/h100 asks 1 node of p5.48xlarge for 8 of nvidia.com/gpu; its price is unknown." in told
    code, document, told = run("--probe", "--pool", "h100", "--yes")
    results = {each["name"]: each["ok"] for each in document["checks"]}
    assert (results["probe/h100"], results["bandwidth/h100"]) == (True, True), document
    (entry,) = document["probes"]
    assert (entry["pool"], entry["nodes"], entry["devices"], entry["cost"]) == ("h100", 1, 8, {"$unknown": True})
    jsonschema.validate(document, schema_of("verify"))
    assert cluster.namespaces() == []
