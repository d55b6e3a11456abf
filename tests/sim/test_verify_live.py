"""What `verify` shows, what it leaves alone, and that nothing of it stays."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.addons import RECORDS
from espalier.blueprint import Blueprint
from espalier.engine.up import up
from espalier.kube import ApiError, Client, Kind, Reference
from espalier.settings import load_file
from espalier.types import Check
from espalier.verify import VerifyError, noop_check, verify
from espalier.verify.pods import probe_pod
from espalier.verify.rehearse import Rehearsal
from tests.sim.audit import lines_of

ROOT = Path(__file__).parents[2]
NODE = Kind("v1", "Node")
POD = Kind("v1", "Pod")
NAMESPACE = Kind("v1", "Namespace")
CONFIG_MAP = Kind("v1", "ConfigMap")
LEASE = Kind("coordination.k8s.io/v1", "Lease")
MARK = "espalier-simulated"

CHECKS = [
    "land/h100",
    "land/a100-mig",
    "land/v6e",
    "land/l4-slices",
    "taint/h100",
    "taint/a100-mig",
    "taint/v6e",
    "taint/l4-slices",
    "sharing/h100",
    "sharing/a100-mig",
    "sharing/v6e",
    "sharing/l4-slices",
    "contention/vision",
    "contention/language",
    "daemonset/nvidia-device-plugin-mig",
    "daemonset/nvidia-device-plugin-time-slices-4",
    "daemonset/nvidia-device-plugin-whole",
    "quota/vision",
    "quota/language",
    "isolation/vision",
    "isolation/language",
]


@dataclass(frozen=True)
class Platform:
    """The `local` stack on a cluster of this module's own."""

    name: str
    client: Client
    blueprint: Blueprint

    def traces(self) -> set[str]:
        """All nodes, namespaces, node leases and pods."""
        everything = [item for kind in (NODE, NAMESPACE, LEASE, POD) for item in self.client.list(kind)]
        return {
            f"{item['kind']} {item['metadata'].get('namespace', '')}/{item['metadata']['name']}" for item in everything
        }

    def writes(self) -> list[dict[str, Any]]:
        """What the API server's audit log says of us: requests that were not dry runs and not mere questions."""
        # The log is written behind the answers: it has come after when it tells of this.
        marker = f"marker-{time.monotonic_ns()}"
        self.client.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": marker, "namespace": "default"}}
        )
        self.client.delete(Kind("v1", "ConfigMap"), marker, "default")
        lines: list[str] = []

        def is_told() -> bool:
            nonlocal lines
            lines = lines_of(sim.audit_log_path(self.name))
            return any(marker in line and '"verb":"delete"' in line for line in reversed(lines))

        until(is_told, 60)
        events = [json.loads(line) for line in lines if "/marker-" not in line and '"marker-' not in line]
        asks = ("selfsubjectrulesreviews", "selfsubjectaccessreviews")
        return [
            event
            for event in events
            if event.get("userAgent", "").startswith("espalier")
            and event["stage"] == "ResponseComplete"
            and event["verb"] not in ("get", "list", "watch")
            and "dryRun" not in event["requestURI"]
            and event["objectRef"]["resource"] not in asks
            and event["responseStatus"]["code"] < 400
        ]


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    name = f"test-verify-{os.getpid()}"
    file = load_file(ROOT / "stacks" / "Pulumi.local.yaml")
    rehearsal = Rehearsal.of(file, name, root=ROOT, project="espalier", records=RECORDS)
    try:
        client = Client.connect(sim.up(name).kubeconfig)
        up(rehearsal.program, connection=client)
        yield Platform(name, client, rehearsal.blueprint)
    finally:
        sim.down(name)


def evidence(checks: tuple[Check, ...], name: str) -> str:
    return next(check.evidence for check in checks if check.name == name)


def test_every_check_of_the_blueprint_passes_in_its_order_and_nothing_stays(platform: Platform) -> None:
    before = platform.traces()
    told: list[str] = []
    found = verify(platform.blueprint, platform.client, simulated=True, progress=told.append)
    assert [check.name for check in found.checks] == CHECKS
    assert [check.name for check in found.checks if not check.ok] == []
    assert (found.skipped, found.left) == ((), ())
    assert platform.traces() == before
    assert [line for line in told if line.startswith("land/h100")] == ["land/h100: ok"]


def test_evidence_is_in_the_api_servers_own_words(platform: Platform) -> None:
    checks = verify(platform.blueprint, platform.client, simulated=True).checks
    node = next(n["metadata"]["name"] for n in platform.client.list(NODE) if n["metadata"]["name"].startswith("h100"))
    assert f"Running on {node} (nvidia.com/gpu=present:NoSchedule), espalier.dev/pool=h100" in evidence(
        checks, "land/h100"
    )
    assert "was added for the drill and removed after it" in evidence(checks, "land/a100-mig")
    assert "asked for 4 google.com/tpu" in evidence(checks, "land/v6e")
    assert "node(s) had untolerated taint(s)" in evidence(checks, "taint/h100")
    assert (
        'vision: "pods "verify-quota" is forbidden: exceeded quota: tenant, '
        "requested: requests.google.com/tpu=1,requests.nvidia.com/gpu=9,requests.nvidia.com/mig-1g.10gb=1"
    ) in evidence(checks, "quota/vision")
    said = evidence(checks, "isolation/vision")
    for words in (
        'cannot list resource "secrets" in API group "" in the namespace "language-dev"',
        'cannot list resource "pods"',
        'cannot create resource "serviceaccounts/token"',
        'cannot patch resource "resourcequotas" in API group "" in the namespace "vision"',
    ):
        assert f'User "verify@espalier" {words}' in said


def test_the_dry_run_that_the_quota_refuses_books_nothing(platform: Platform) -> None:
    quota = Kind("v1", "ResourceQuota")
    before = platform.client.get(quota, "tenant", "vision")["status"]
    pod = probe_pod("dry", "vision", {"nvidia.com/gpu": 8})
    platform.client.create(pod, dry_run=True)
    with pytest.raises(ApiError, match="exceeded quota: tenant"):
        platform.client.create(probe_pod("dry", "vision", {"nvidia.com/gpu": 9}), dry_run=True)
    assert platform.client.get(quota, "tenant", "vision")["status"] == before


def test_a_cluster_that_is_not_simulated_is_only_read(platform: Platform) -> None:
    before = len(platform.writes())
    found = verify(platform.blueprint, platform.client, simulated=False)
    assert platform.writes()[before:] == []
    assert [check.name for check in found.checks if not check.ok] == []
    reasons = {entry.name: entry.why for entry in found.skipped}
    assert set(reasons) == {name for name in CHECKS if name.startswith(("land/", "taint/"))} | {
        "sharing/a100-mig",
        "sharing/v6e",
        "sharing/l4-slices",
    }
    assert "--probe" in reasons["land/h100"]
    assert "no node now" in reasons["sharing/v6e"]


def test_probes_make_pods_but_never_nodes(platform: Platform) -> None:
    before = platform.traces()
    writes = len(platform.writes())
    found = verify(platform.blueprint, platform.client, simulated=False, probe=True)
    made = [event["objectRef"] for event in platform.writes()[writes:] if event["verb"] == "create"]
    assert sorted(ref["resource"] for ref in made) == ["namespaces", "pods", "pods", "serviceaccounts"]
    assert {ref["namespace"] for ref in made if ref["resource"] == "pods"} <= {ref["name"] for ref in made}
    assert {check.name for check in found.checks if check.name.startswith(("land", "taint"))} == {
        "land/h100",
        "taint/h100",
    }
    assert found.ok
    assert {entry.name: entry.why for entry in found.skipped}["land/v6e"] == "pool v6e: it has no node now"
    assert platform.traces() == before


@pytest.fixture
def busy(platform: Platform) -> Iterator[None]:
    """All devices of pool h100 in the hands of a tenant."""
    pod = probe_pod(
        "training",
        "vision",
        {"nvidia.com/gpu": 8},
        tolerate=platform.blueprint.pools[1].shape.taints,
        select={"espalier.dev/pool": "h100"},
    )
    platform.client.create(pod)
    until(lambda: platform.client.get(POD, "training", "vision")["status"]["phase"] == "Running")
    yield
    platform.client.delete(POD, "training", "vision")
    until(lambda: not platform.client.list(POD, "vision"))


def until(true: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.usefixtures("busy")
def test_a_busy_pool_is_not_a_broken_one(platform: Platform) -> None:
    elsewhere = verify(platform.blueprint, platform.client, simulated=False, probe=True)
    assert elsewhere.ok
    reasons = {entry.name: entry.why for entry in elsewhere.skipped}
    assert reasons["land/h100"] == "pool h100: other work holds all of its devices"
    assert "requests.nvidia.com/gpu=1," in evidence(elsewhere.checks, "quota/vision")  # one more than the 8 in use

    here = verify(platform.blueprint, platform.client, simulated=True)
    assert (here.ok, here.skipped) == (True, ())
    assert "added for the drill" in evidence(here.checks, "land/h100")
    assert platform.client.get(POD, "training", "vision")["status"]["phase"] == "Running"


def test_pods_that_wait_for_a_pool_at_zero_are_not_lured_onto_a_drill_node(platform: Platform) -> None:
    v6e = platform.blueprint.pools[3]
    waiting = probe_pod(
        "waiting", "language-prod", v6e.shape.devices, tolerate=v6e.shape.taints, select={"espalier.dev/pool": "v6e"}
    )
    platform.client.create(waiting)
    try:
        assert verify(platform.blueprint, platform.client, simulated=True).ok
        live = platform.client.get(POD, "waiting", "language-prod")
        assert "nodeName" not in live["spec"]
    finally:
        platform.client.delete(POD, "waiting", "language-prod")
    until(lambda: not platform.client.list(POD, "language-prod"))


def test_the_right_to_ask_as_another_is_missing_rather_than_the_wall_standing(platform: Platform) -> None:
    """A 403 that is meant for us says nothing of the tenant."""
    client = Client.connect(sim.issue_client(platform.name, "reader", ("readers",)))
    rbac = "rbac.authorization.k8s.io"
    platform.client.create(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "readers"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:node-problem-detector"},
            "subjects": [{"kind": "Group", "name": "readers", "apiGroup": rbac}],
        }
    )
    view = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "readers-view"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "Group", "name": "readers", "apiGroup": rbac}],
    }
    platform.client.create(view)
    binding = Kind(f"{rbac}/v1", "ClusterRoleBinding")
    try:
        until(lambda: any(client.list(POD)))
        found = verify(platform.blueprint, client, simulated=False)
    finally:
        platform.client.delete(binding, "readers")
        platform.client.delete(binding, "readers-view")
    reasons = {entry.name: entry.why for entry in found.skipped}
    assert 'User "reader" cannot impersonate' in reasons["isolation/vision"]
    assert 'User "reader" cannot impersonate' in reasons["quota/vision"]


def test_drills_are_refused_where_the_cluster_does_not_say_that_it_is_simulated(platform: Platform) -> None:
    mark = platform.client.get(CONFIG_MAP, MARK, "kube-public")
    platform.client.delete(CONFIG_MAP, MARK, "kube-public")
    try:
        with pytest.raises(VerifyError, match="ConfigMap kube-public/espalier-simulated"):
            verify(platform.blueprint, platform.client, simulated=True)
    finally:
        metadata = {"name": MARK, "namespace": "kube-public"}
        platform.client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": mark["data"]})


INTERRUPTED = """
import signal, sys
from pathlib import Path
from espalier.addons import RECORDS
from espalier.kube import Client
from espalier.settings import load_file
from espalier.verify import verify
from espalier.blueprint import build
signal.signal(signal.SIGINT, signal.default_int_handler)
blueprint = build(load_file(Path(sys.argv[1])).settings, RECORDS)
def progress(line):
    print(line, flush=True)
try:
    verify(blueprint, Client.connect(sys.argv[2]), simulated=True, progress=progress)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("at", ["setting up", "sharing/"])
def test_an_interrupt_leaves_nothing_behind(platform: Platform, at: str) -> None:
    before = platform.traces()
    stack, kubeconfig = ROOT / "stacks" / "Pulumi.local.yaml", sim.kubeconfig_path(platform.name)
    command = [sys.executable, "-c", INTERRUPTED, str(stack), str(kubeconfig)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        next(line for line in lines if line.startswith(at))
        if at == "setting up":
            until(lambda: any("verify" in node["metadata"]["name"] for node in platform.client.list(NODE)))
        process.send_signal(signal.SIGINT)
        assert list(lines)[-1] == "interrupted\n"
    assert process.returncode == 0
    assert platform.traces() == before


def test_what_a_killed_run_left_is_removed_by_a_later_one_but_not_what_is_of_now(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("left-node", "left-namespace"):
        kind = name.removeprefix("left-").title()
        metadata = {"name": name, "labels": {"espalier.dev/verify": "old"}}
        platform.client.create({"apiVersion": "v1", "kind": kind, "metadata": metadata})
    verify(platform.blueprint, platform.client, simulated=True)
    assert {"Node /left-node", "Namespace /left-namespace"} <= platform.traces()
    monkeypatch.setattr("espalier.verify.stage._STALE", timedelta(0))
    verify(platform.blueprint, platform.client, simulated=True)
    until(lambda: not {"Node /left-node", "Namespace /left-namespace"} & platform.traces())


def test_noop_tells_what_a_second_up_changed(platform: Platform) -> None:
    target = Reference(CONFIG_MAP, "default", "noop")
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "noop", "namespace": "default"}}
    platform.client.create(manifest)

    def quiet() -> list[str]:
        return []

    def touching() -> list[str]:
        platform.client.patch(CONFIG_MAP, "noop", {"data": {"key": "value"}}, namespace="default")
        return ["update noop"]

    try:
        passed = noop_check(quiet, platform.client, lambda: [target])()
        failed = noop_check(touching, platform.client, lambda: [target])()
    finally:
        platform.client.delete(CONFIG_MAP, "noop", "default")
    assert (passed.name, passed.ok, passed.evidence) == ("noop", True, "up: no change; 1 of 1 resourceVersions equal")
    assert not failed.ok
    assert failed.evidence.startswith("up: update noop; ConfigMap default/noop resourceVersion ")


def test_noop_is_run_last_and_not_where_a_second_up_would_mend_a_fault(platform: Platform) -> None:
    ran: list[str] = []

    def noop() -> Check:
        ran.append("noop")
        return Check("noop", False, "up: update", 0.0)

    quota = Kind("v1", "ResourceQuota")
    platform.client.patch(quota, "tenant", {"spec": {"hard": {"requests.cpu": "1"}}}, namespace="vision")
    try:
        found = verify(platform.blueprint, platform.client, simulated=False, noop=noop)
    finally:
        platform.client.patch(quota, "tenant", {"spec": {"hard": {"requests.cpu": "200"}}}, namespace="vision")
    assert ran == []
    assert {entry.name: entry.why for entry in found.skipped}["noop"].startswith("quota/vision failed")

    found = verify(platform.blueprint, platform.client, simulated=False, noop=noop)
    assert ran == ["noop"]
    assert [check.name for check in found.checks if not check.ok] == ["noop"]
    assert found.checks[-1].name == "noop"


def test_a_server_that_goes_away_ends_the_run_with_what_it_said(platform: Platform) -> None:
    """Nothing hangs: every wait is bounded, and the thread pool ends."""
    from espalier.kube import UnreachableError

    config = sim.kubeconfig_path(platform.name).read_text()
    port = config.split("https://127.0.0.1:")[1].split()[0].strip("\"'")
    dead = Client.connect(config.replace(port, "1"))
    threads = threading.active_count()
    with pytest.raises(UnreachableError):
        verify(platform.blueprint, dead, simulated=False)
    assert threading.active_count() <= threads + 1
