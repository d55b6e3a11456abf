"""The warden beside a real API server, with no right but those of its add-on: gates, health, elections, trouble."""

import base64
import http.server
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from espalier import sim
from espalier.addons import RECORDS
from espalier.blueprint import build, names
from espalier.blueprint.gate_policy import gate_policy
from espalier.blueprint.nodes import node_manifest
from espalier.settings import validate
from espalier.sim.components import Layout
from espalier.sim.ports import read_ports
from espalier.types import NodeShape
from espalier.warden.rules import FAILED, SINCE
from tests.sim.conftest import Api

GATE = names.STARTUP_TAINT.key
FOREIGN = {"key": "team", "value": "x", "effect": "NoSchedule"}
SECONDS = 120.0
USER = "system:serviceaccount:espalier-warden:espalier-warden"


@dataclass
class Place:
    """A cluster whose warden runs, with the add-on's objects applied."""

    name: str
    api: Api
    shape: NodeShape
    connect: Callable[[Path], Api]

    def apply(self, manifest: Any) -> None:
        path = f"{collection(manifest)}/{manifest['metadata']['name']}?fieldManager=test&force=true"
        status, answer = self.api.ask("PATCH", path, dict(manifest), "application/apply-patch+yaml")
        assert status in (200, 201), answer

    def node(self, name: str, devices: int, *, pool: str = "gpu", gated: bool = True, taints: Any = ()) -> None:
        """A Ready node that advertises so many GPUs."""
        manifest = node_manifest(self.shape, name)
        manifest["metadata"]["labels"]["espalier.dev/pool"] = pool
        capacity = {**self.shape.capacity, "nvidia.com/gpu": str(devices)}
        manifest["metadata"]["annotations"][names.SIMULATED_CAPACITY] = json.dumps(capacity)
        gate = [names.STARTUP_TAINT.to_json()] if gated else []
        manifest["spec"] = {"taints": [*gate, *taints, *[taint.to_json() for taint in self.shape.taints]]}
        self.api.create("/api/v1/nodes", manifest)

    def advertise(self, name: str, devices: int) -> None:
        body = {"status": {key: {"nvidia.com/gpu": str(devices)} for key in ("allocatable", "capacity")}}
        self.api.patch(f"/api/v1/nodes/{name}/status", body)

    def taints(self, name: str) -> list[dict[str, str]]:
        return self.api.get(f"/api/v1/nodes/{name}")["spec"].get("taints", [])

    def keys(self, name: str) -> set[str]:
        return {taint["key"] for taint in self.taints(name)}

    def opened(self, name: str) -> bool:
        """Ready, and its gate gone."""
        keys = self.keys(name)
        return GATE not in keys and "node.kubernetes.io/not-ready" not in keys

    def healthy(self, **changes: Any) -> str:
        """Changes the rules of health, in the configuration that the warden reads; what it says once it has."""
        path = "/api/v1/namespaces/espalier-warden/configmaps/espalier-warden"
        told = json.loads(self.api.get(path)["data"]["config.json"])
        told["health"] |= changes
        made = self.api.patch(path, {"data": {"config.json": json.dumps(told)}})
        return f"goes by the configuration of version {made['metadata']['resourceVersion']}"

    def idle(self, **changes: Any) -> str:
        """Changes where the warden looks for idle devices; what it says once it has read it."""
        path = "/api/v1/namespaces/espalier-warden/configmaps/espalier-warden"
        told = json.loads(self.api.get(path)["data"]["config.json"])
        told["idle"] |= changes
        made = self.api.patch(path, {"data": {"config.json": json.dumps(told)}})
        return f"goes by the configuration of version {made['metadata']['resourceVersion']}"

    def pod(self, name: str, node: str, labels: dict[str, str] | None = None) -> None:
        spec = {
            "nodeName": node,
            "tolerations": [{"operator": "Exists"}],
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "c", "image": "example.com/x:1"}],
        }
        metadata = {"name": name, "namespace": "default", "labels": labels or {}}
        self.api.create(
            "/api/v1/namespaces/default/pods", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        )


def collection(manifest: Any) -> str:
    version, metadata = manifest["apiVersion"], manifest["metadata"]
    plural = manifest["kind"].lower() + "s"
    plural = re.sub("ys$", "ies", plural)
    where = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"/{'apis' if '/' in version else 'api'}/{version}{where}/{plural}"


@pytest.fixture(scope="module")
def place(connect: Callable[[Path], Api]) -> Iterator[Place]:
    name = f"test-warden-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}"
    pools = [
        {"name": "system", "machine": {"cpu": 8, "memory": "32Gi"}, "nodes": {"max": 1}},
        {"name": "gpu", "accelerator": "H100-80", "count": 8, "nodes": {"max": 4}},
    ]
    idle = {"prometheus": "http://127.0.0.1:9", "action": "stop"}
    options = {"warden": {"health": {"after": "1s", "start": "9h"}, "idle": idle}}
    settings = {"cluster": {"kind": "simulated", "autoscaler": "karpenter"}, "pools": pools, "addons": options}
    blueprint = build(validate(settings, where="test"), RECORDS)
    shape = blueprint.pools[1].shape
    try:
        api = connect(sim.up(name, warden=True).kubeconfig)
        found = Place(name, api, shape, connect)
        for addon in blueprint.addons:
            for manifest in addon.manifests:
                found.apply(manifest)
        yield found
    finally:
        sim.down(name)


@pytest.fixture(autouse=True)
def tidy(place: Place) -> Iterator[None]:
    yield
    for node in place.api.items("/api/v1/nodes"):
        place.api.ask("DELETE", f"/api/v1/nodes/{node['metadata']['name']}")
    for pod in place.api.items("/api/v1/namespaces/default/pods"):
        place.api.ask("DELETE", f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}?gracePeriodSeconds=0")


@pytest.fixture(scope="module")
def eventually(place: Place) -> Callable[..., Any]:
    def wait(check: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + SECONDS
        while not (value := check()):
            assert time.monotonic() < deadline, f"not true: {value!r}; the warden said:\n{said(place)[-3000:]}"
            time.sleep(0.1)
        return value

    return wait


def said(place: Place) -> str:
    return (Path(str(sim.kubeconfig_path(place.name).parent)) / "run" / "warden.log").read_text()


def test_a_node_opens_when_its_devices_are_there_in_the_planned_count_and_not_before(
    place: Place, eventually: Callable[..., Any]
) -> None:
    place.node("a-short", 7, taints=[FOREIGN])
    place.node("b-whole", 8, taints=[FOREIGN])
    # Nodes are judged in the order of their names: with the second open, the first one was judged and left alone.
    eventually(lambda: place.opened("b-whole"))
    assert GATE in place.keys("a-short")
    assert place.keys("b-whole") == {"team", "nvidia.com/gpu"}
    place.advertise("a-short", 8)
    eventually(lambda: place.opened("a-short"))
    assert FOREIGN in place.taints("a-short")

    def told() -> bool:
        """The warden opens the node first, and tells of it then."""
        events = place.api.items("/api/v1/namespaces/default/events")
        return any(e["reason"] == "DeviceOpen" and e["involvedObject"]["name"] == "a-short" for e in events)

    eventually(told)


def test_nodes_of_other_pools_are_not_touched(place: Place, eventually: Callable[..., Any]) -> None:
    place.node("a-other", 8, pool="theirs")
    place.node("b-ours", 8)
    eventually(lambda: place.opened("b-ours"))
    assert GATE in place.keys("a-other")


def test_the_api_server_gives_the_gate_where_a_cloud_cannot(place: Place, eventually: Callable[..., Any]) -> None:
    """As on AKS: the node joins without the taint, gets it before anything sees the node, and loses it as any other."""
    policy = [planned.manifest for planned in gate_policy(["gpu"])]
    try:
        for manifest in policy:
            place.apply(manifest)
        numbers = itertools.count()

        def gated() -> str:
            """A new policy holds a moment after it is written: whose node has the taint."""
            name = f"a-joined-{next(numbers)}"
            place.node(name, 7, gated=False, taints=[FOREIGN])
            return name if GATE in place.keys(name) else ""

        name = eventually(gated)
        assert FOREIGN in place.taints(name)
        bare = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "bare", "labels": {names.POOL: "gpu"}}}
        assert names.STARTUP_TAINT.to_json() in place.api.create("/api/v1/nodes", bare)["spec"]["taints"]
        place.node("gated-itself", 7)
        assert place.taints("gated-itself").count(names.STARTUP_TAINT.to_json()) == 1
        place.node("theirs", 8, pool="theirs", gated=False)
        assert GATE not in place.keys("theirs")
        place.advertise(name, 8)
        eventually(lambda: place.opened(name))
        assert FOREIGN in place.taints(name)
    finally:
        for manifest in reversed(policy):
            place.api.ask("DELETE", f"{collection(manifest)}/{manifest['metadata']['name']}")


def test_its_program_killed_is_mended_and_goes_on(place: Place, eventually: Callable[..., Any]) -> None:
    sim.fault(place.name, "warden", "kill")
    eventually(lambda: not sim.status(place.name)[0].ready)
    assert [part.name for part in sim.status(place.name)[0].components if not part.running] == ["warden"]
    place.node("late", 8)
    assert sim.up(place.name).ready
    eventually(lambda: place.opened("late"))


def test_an_api_server_that_was_away_is_no_end(place: Place, eventually: Callable[..., Any]) -> None:
    place.node("first", 8)
    eventually(lambda: place.opened("first"))
    sim.fault(place.name, "kube-apiserver", "kill")
    assert sim.up(place.name).ready
    place.node("second", 8)
    eventually(lambda: place.opened("second"))


def test_of_two_replicas_one_acts_and_the_other_takes_over(
    place: Place, eventually: Callable[..., Any], tmp_path: Path
) -> None:
    place.node("before", 8)
    eventually(lambda: place.opened("before"))
    holder = "/apis/coordination.k8s.io/v1/namespaces/espalier-warden/leases/espalier-warden"
    first = place.api.get(holder)["spec"]["holderIdentity"]
    ports = read_ports(place.name)
    assert ports is not None
    layout = Layout(place.name, ports, Path("/nowhere"))
    log = tmp_path / "second.log"
    words = [sys.executable, "-m", "espalier.warden", "--listen=127.0.0.1:0", f"--pki={layout.warden}"]
    with log.open("wb") as out:
        second = subprocess.Popen(
            [*words, f"--server=127.0.0.1:{ports['kube-apiserver']}"],
            stdout=out,
            stderr=out,
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
        )
    try:
        place.node("meanwhile", 8)
        eventually(lambda: place.opened("meanwhile"))
        assert place.api.get(holder)["spec"]["holderIdentity"] == first
        assert "leads" not in log.read_text()
        sim.fault(place.name, "warden", "kill")
        place.node("after", 8)
        eventually(lambda: place.opened("after"))
        assert place.api.get(holder)["spec"]["holderIdentity"] != first
        assert "leads" in log.read_text()
    finally:
        second.terminate()
        second.wait(30)
        sim.up(place.name)
    # Asked to end, it gave the lease back.
    eventually(lambda: place.api.get(holder)["spec"]["holderIdentity"] != "")


def test_a_node_that_loses_a_device_is_marked_drained_and_cleared_when_it_is_back(
    place: Place, eventually: Callable[..., Any]
) -> None:
    place.node("ill", 8)
    place.node("well", 8)
    eventually(lambda: place.opened("ill") and place.opened("well"))
    place.pod("on-ill", "ill")
    place.pod("on-well", "well")
    place.advertise("ill", 7)
    eventually(lambda: FAILED in place.taints("ill"))
    eventually(lambda: place.api.missing("/api/v1/namespaces/default/pods/on-ill"))
    assert not place.api.missing("/api/v1/namespaces/default/pods/on-well")
    live = place.api.get("/api/v1/nodes/ill")["metadata"]["annotations"]
    assert live["espalier.dev/device-failing-why"] == "nvidia.com/gpu: 7 of 8 allocatable"
    place.advertise("ill", 8)
    eventually(lambda: FAILED["key"] not in place.keys("ill"))
    assert SINCE not in place.api.get("/api/v1/nodes/ill")["metadata"]["annotations"]


def test_no_more_nodes_are_out_than_the_budget_lets(place: Place, eventually: Callable[..., Any]) -> None:
    for name in ("a", "b"):
        place.node(name, 8)
    eventually(lambda: place.opened("a") and place.opened("b"))
    for name in ("a", "b"):
        place.advertise(name, 0)
    noted = lambda name: SINCE in place.api.get(f"/api/v1/nodes/{name}")["metadata"]["annotations"]  # noqa: E731
    eventually(lambda: noted("a") and noted("b"))
    eventually(lambda: FAILED in place.taints("a") or FAILED in place.taints("b"))
    out, waiting = ("a", "b") if FAILED in place.taints("a") else ("b", "a")
    assert FAILED["key"] not in place.keys(waiting)
    told = f"report {waiting}: stays, as 1 of its pool are out already, all that may be"
    eventually(lambda: told in said(place))
    place.api.delete(f"/api/v1/nodes/{out}")
    eventually(lambda: FAILED in place.taints(waiting))


def test_a_budget_of_pods_is_honoured(place: Place, eventually: Callable[..., Any]) -> None:
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "keep", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "keep"}}},
    }
    place.node("ill", 8)
    eventually(lambda: place.opened("ill"))
    place.apply(budget)
    kept = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/keep"
    place.pod("kept", "ill", {"app": "keep"})
    place.pod("free", "ill")
    eventually(lambda: place.api.get(kept)["status"].get("currentHealthy") == 1)
    place.advertise("ill", 0)
    eventually(lambda: place.api.missing("/api/v1/namespaces/default/pods/free"))
    eventually(lambda: "default/kept stays on ill for now" in said(place))
    assert "deletionTimestamp" not in place.api.get("/api/v1/namespaces/default/pods/kept")["metadata"]
    place.api.delete(kept)
    eventually(lambda: place.api.missing("/api/v1/namespaces/default/pods/kept"))


def test_in_a_dry_run_it_tells_and_changes_nothing(place: Place, eventually: Callable[..., Any]) -> None:
    dry = place.healthy(act=False)
    try:
        eventually(lambda: dry in said(place))
        place.node("ill", 8)
        eventually(lambda: place.opened("ill"))
        place.pod("stays", "ill")
        place.advertise("ill", 7)
        eventually(lambda: "report ill: since " in said(place))
        assert FAILED["key"] not in place.keys("ill")
        assert not place.api.missing("/api/v1/namespaces/default/pods/stays")
        for later in ("later", "latest"):  # rounds, of which none has news of it
            place.node(later, 8)
            eventually(lambda later=later: place.opened(later))
        assert said(place).count("report ill: ") == 1
    finally:
        wet = place.healthy(act=True)
        eventually(lambda: wet in said(place))


def test_a_configuration_that_is_wrong_leaves_the_last_one_in_force(
    place: Place, eventually: Callable[..., Any]
) -> None:
    path = "/api/v1/namespaces/espalier-warden/configmaps/espalier-warden"
    right = place.api.get(path)["data"]["config.json"]
    place.api.patch(path, {"data": {"config.json": '{"pools": 7}'}})
    try:
        eventually(lambda: "the configuration is wrong, and the one before stays: no configuration" in said(place))
        place.node("late", 8)
        eventually(lambda: place.opened("late"))
    finally:
        place.api.patch(path, {"data": {"config.json": right}})


class Prometheus(http.server.ThreadingHTTPServer):
    """Answers the warden's queries: what each pod used, and that it was measured all along."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.used: dict[tuple[str, str], float] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Prometheus)
        (query,) = parse_qs(urlsplit(self.path).query)["query"]
        rows: list[Any] = []
        for (namespace, pod), value in self.server.used.items():
            if "DCGM_FI_DEV_GPU_UTIL" in query:
                told = 1000.0 if query.startswith("count") else value
                rows.append({"metric": {"namespace": namespace, "pod": pod}, "value": [0, str(told)]})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "success", "data": {"result": rows}}).encode())

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    server = Prometheus()
    yield server
    server.shutdown()
    server.server_close()


NOTEBOOKS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "notebooks.kubeflow.org"},
    "spec": {
        "group": "kubeflow.org",
        "scope": "Namespaced",
        "names": {"kind": "Notebook", "plural": "notebooks", "singular": "notebook", "listKind": "NotebookList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def worker(labels: dict[str, str]) -> Any:
    container = {"name": "c", "image": "example.com/x:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    tolerations = [{"operator": "Exists"}]
    return {"metadata": {"labels": labels}, "spec": {"tolerations": tolerations, "containers": [container]}}


def test_idle_notebooks_and_servers_are_stopped_and_busy_ones_are_not(
    place: Place, prometheus: Prometheus, eventually: Callable[..., Any]
) -> None:
    place.node("gpu-1", 8)
    eventually(lambda: place.opened("gpu-1"))
    place.apply(NOTEBOOKS)
    notes = {"espalier.dev/idle-after": "1", "espalier.dev/idle-action": "stop"}
    space = {"name": "vision", "labels": {"espalier.dev/tenant": "vision"}, "annotations": notes}
    place.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": space})
    eventually(lambda: not place.api.missing("/api/v1/namespaces/vision/serviceaccounts/default"))
    for name in ("lazy", "busy"):
        labels = {"app": name, "espalier.dev/stop-when-idle": "true"}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": worker(labels)}
        metadata = {"name": name, "namespace": "vision"}
        place.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    notebook = {"apiVersion": "kubeflow.org/v1", "kind": "Notebook", "metadata": {"name": "nb", "namespace": "vision"}}
    eventually(lambda: place.api.ask("POST", "/apis/kubeflow.org/v1/namespaces/vision/notebooks", notebook)[0] == 201)
    own: Any = {"apiVersion": "v1", "kind": "Pod", **worker({"notebook-name": "nb"})}
    own["metadata"].update(name="nb-0", namespace="vision")
    place.api.create("/api/v1/namespaces/vision/pods", own)

    def pods() -> list[Any]:
        return [p for p in place.api.items("/api/v1/namespaces/vision/pods") if p["status"]["phase"] == "Running"]

    eventually(lambda: len(pods()) == 5)
    changed = place.idle(prometheus=f"http://127.0.0.1:{prometheus.server_port}", every=0.2)
    eventually(lambda: changed in said(place))
    eventually(lambda: "no metrics, so nothing is idle" in said(place).split(changed)[-1])
    scale = "/apis/apps/v1/namespaces/vision/deployments/{}/scale"
    assert place.api.get(scale.format("lazy"))["spec"]["replicas"] == 2  # nobody told of it yet
    prometheus.used = {
        ("vision", pod["metadata"]["name"]): 60.0 if "busy" in pod["metadata"]["name"] else 0.0 for pod in pods()
    }
    eventually(lambda: place.api.get(scale.format("lazy"))["spec"].get("replicas", 0) == 0)
    where = "/apis/kubeflow.org/v1/namespaces/vision/notebooks/nb"
    eventually(lambda: "kubeflow-resource-stopped" in place.api.get(where)["metadata"].get("annotations", {}))
    assert place.api.get(scale.format("busy"))["spec"]["replicas"] == 2
    memory = place.api.get("/api/v1/namespaces/espalier-warden/configmaps/espalier-warden-stopped")
    assert memory["data"] == {"vision.Deployment.lazy": "2"}
    events = "/api/v1/namespaces/vision/events"
    eventually(lambda: any(e["message"].endswith("start it again, scale it to 2") for e in place.api.items(events)))
    place.api.delete("/api/v1/namespaces/vision")


REFUSED = [
    ("DELETE", "/api/v1/nodes/victim", None),
    ("POST", "/api/v1/namespaces/default/pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}),
    ("DELETE", "/api/v1/namespaces/default/pods/x", None),
    ("GET", "/api/v1/secrets", None),
    ("GET", "/api/v1/namespaces/espalier-warden/configmaps/espalier-warden-program", None),
    ("DELETE", "/apis/coordination.k8s.io/v1/namespaces/espalier-warden/leases/espalier-warden", None),
    ("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/espalier-warden", None),
    ("GET", "/apis/apps/v1/deployments", None),
    ("PATCH", "/apis/apps/v1/namespaces/kube-system/deployments/x", {"spec": {"replicas": 0}}),
    ("PATCH", "/apis/apps/v1/namespaces/kube-system/daemonsets/x", {"metadata": {"labels": {"a": "b"}}}),
    ("PATCH", "/api/v1/namespaces/espalier-warden/configmaps/espalier-warden", {"data": {}}),
    ("PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": {"a": "b"}}}),
    ("PATCH", "/api/v1/nodes/victim/status", {"status": {"phase": "x"}}),
]


def test_it_stops_in_tenants_namespaces_alone_and_to_zero_alone(place: Place, eventually: Callable[..., Any]) -> None:
    """Its role says `patch` of every scale and notebook; the policy beside it says of which, and how."""
    place.apply(NOTEBOOKS)
    for name, labels in (("own", {"espalier.dev/tenant": "own"}), ("platform", {})):
        place.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        labels = {"app": "web"}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": worker(labels)}
        metadata = {"name": "web", "namespace": name}
        place.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
        book = {"apiVersion": "kubeflow.org/v1", "kind": "Notebook", "metadata": {"name": "nb", "namespace": name}}
        where = f"/apis/kubeflow.org/v1/namespaces/{name}/notebooks"
        eventually(lambda where=where, book=book: place.api.ask("POST", where, book)[0] in (201, 409))
    groups = ("system:serviceaccounts", "system:serviceaccounts:espalier-warden")
    warden = place.connect(sim.issue_client(place.name, USER, groups))

    def tried(path: str, body: Any) -> tuple[int, str]:
        status, answer = warden.ask("PATCH", f"{path}?dryRun=All", body, "application/merge-patch+json")
        return status, str(answer.get("message", ""))

    def scaled(namespace: str, replicas: int) -> tuple[int, str]:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web/scale"
        return tried(path, {"spec": {"replicas": replicas}})

    def noted(namespace: str, body: Any) -> tuple[int, str]:
        return tried(f"/apis/kubeflow.org/v1/namespaces/{namespace}/notebooks/nb", body)

    stamp = {"metadata": {"annotations": {"kubeflow-resource-stopped": "now"}}}
    eventually(lambda: scaled("platform", 0)[0] == 422)  # the policy is in force
    assert "tenants' namespaces alone" in scaled("platform", 0)[1]
    assert noted("platform", stamp)[0] == 422
    assert scaled("own", 0)[0] == 200
    assert "scales to zero alone" in scaled("own", 9)[1]
    assert noted("own", stamp)[0] == 200
    assert "annotations of notebooks alone" in noted("own", {"spec": {"template": {}}})[1]
    for name in ("own", "platform"):
        place.api.delete(f"/api/v1/namespaces/{name}")


@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
def test_what_its_role_does_not_name_is_refused(place: Place, method: str, path: str, body: Any) -> None:
    groups = ("system:serviceaccounts", "system:serviceaccounts:espalier-warden")
    warden = place.connect(sim.issue_client(place.name, USER, groups))
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    status, answer = warden.ask(method, path, body, kind)
    assert status == 403, answer
    assert USER in answer["message"]


def test_the_kubeconfig_of_nobody_else_is_used(place: Place) -> None:
    """The process has the certificate of its own account, and no file of the administrator's."""
    config = yaml.safe_load(sim.kubeconfig_path(place.name).read_text())
    admin = config["users"][0]["user"]["client-key-data"]
    directory = sim.kubeconfig_path(place.name).parent / "warden"
    assert sorted(file.name for file in directory.iterdir()) == ["ca.crt", "warden.crt", "warden.key"]
    assert (directory / "warden.key").read_bytes() != base64.b64decode(admin)
