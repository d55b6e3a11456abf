"""The drills with a real autoscaler: each fault fails exactly its own check, and random ones lose nothing."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.addons import RECORDS
from espalier.engine.up import up
from espalier.kube import Client, Kind
from espalier.settings import load_file
from espalier.verify.disruption import device_lost_tasks
from espalier.verify.havoc import havoc
from espalier.verify.model import Context, Outcome
from espalier.verify.rehearse import Rehearsal
from espalier.verify.run import verify
from espalier.verify.stage import Stage
from tests.sim.elastic import JOB, ROOT, Elastic, elastic, stack

__all__ = ["elastic", "stack"]

NODE_POOLS = Kind("karpenter.sh/v1", "NodePool")
ADMISSION = "admissionregistration.k8s.io/v1"
POLICY, BINDING = Kind(ADMISSION, "MutatingAdmissionPolicy"), Kind(ADMISSION, "MutatingAdmissionPolicyBinding")


def give_up_at_once(client: Client, job: str) -> None:
    """That job is not tried again: what a platform lacks that has no defaults for interrupted training."""
    jobs = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    expression = '[JSONPatch{op: "remove", path: "/spec/podFailurePolicy"}]'
    spec = {
        "matchConstraints": {"resourceRules": [jobs]},
        "matchConditions": [{"name": "one", "expression": f"object.metadata.name == '{job}'"}],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
    }
    of = {"apiVersion": ADMISSION, "metadata": {"name": "give-up"}}
    client.create({**of, "kind": POLICY.kind, "spec": spec})
    client.create({**of, "kind": BINDING.kind, "spec": {"policyName": "give-up"}})
    container = {"name": "c", "image": "example.com/x:1"}
    trial = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job, "namespace": "default"},
        "spec": {
            "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]},
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }
    deadline = time.monotonic() + 60
    while "podFailurePolicy" in client.create(trial, dry_run=True)["spec"]:
        assert time.monotonic() < deadline, "the policy is not in force"
        time.sleep(0.2)


def put_back(client: Client, saved: dict[str, Any]) -> None:
    metadata = {key: saved["metadata"][key] for key in ("name", "labels")}
    client.create({**{key: saved[key] for key in ("apiVersion", "kind", "spec")}, "metadata": metadata})


def test_each_fault_of_an_elastic_platform_fails_its_own_check(
    elastic: Elastic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four faults at once, each of a pool or a drill of its own, for nodes take their time to go."""
    monkeypatch.setattr("espalier.verify.elastic.WAKE_SECONDS", 20.0)
    monkeypatch.setattr("espalier.verify.elastic.ZERO_SECONDS", 75.0)
    monkeypatch.setattr("espalier.verify.disruption.STOCK_OUT_SECONDS", 20.0)
    client = elastic.client
    # A lost device has a drill of its own below.
    blueprint = elastic.rehearsal.blueprint
    unwatched = replace(blueprint, addons=tuple(addon for addon in blueprint.addons if addon.id != "warden"))
    saved = [client.get(NODE_POOLS, name) for name in ("a100-mig-on-demand", "h100-on-demand")]
    give_up_at_once(client, "reclaim-h100")
    for pool in saved:
        client.delete(NODE_POOLS, pool["metadata"]["name"])
    keeps = [{"op": "replace", "path": "/spec/disruption/consolidateAfter", "value": "Never"}]
    client.patch(NODE_POOLS, "l4-slices-on-demand", keeps, how="json")
    try:
        found = verify(unwatched, client, simulated=True, cluster=elastic.name)
    finally:
        client.delete(BINDING, "give-up")
        client.delete(POLICY, "give-up")
        again = [{"op": "replace", "path": "/spec/disruption/consolidateAfter", "value": "10s"}]
        client.patch(NODE_POOLS, "l4-slices-on-demand", again, how="json")
        for pool in saved:
            put_back(client, pool)
    failed = {check.name: check.evidence for check in found.checks if not check.ok}
    assert set(failed) == {
        "wake/a100-mig/one",
        "wake/a100-mig/whole",
        "stock-out/h100",
        "reclaim/h100",
        "to-zero/l4-slices",
    }
    assert "did not run within 20 s" in failed["wake/a100-mig/one"]
    assert "spot sold out, pod stock-out-h100 asked for 8 nvidia.com/gpu and did not run" in failed["stock-out/h100"]
    assert "it did not run again" in failed["reclaim/h100"]
    assert "kwok-l4-slices-on-demand-" in failed["to-zero/l4-slices"]
    skipped = {entry.name: entry.why for entry in found.skipped if not entry.name.startswith("device-lost/")}
    assert skipped == {"to-zero/a100-mig": "pool a100-mig: no node was made"}
    assert found.left == ()


WATCHED = """
config:
  espalier:cluster: {kind: simulated, version: "1.36", autoscaler: karpenter}
  espalier:pools:
    - {name: system, machine: {cpu: 8, memory: 32Gi}, nodes: {min: 1, max: 1}}
    - {name: h100, accelerator: H100-80, count: 8, nodes: {max: 2}, capacity: [spot, on-demand]}
  espalier:addons:
    warden: {health: {after: 3s}}
"""


@pytest.fixture
def watched(tmp_path: Path, new_cluster: Callable[[str], str]) -> Iterator[tuple[Context, Stage]]:
    """A platform with a warden that acts soon, ready for drills."""
    path = tmp_path / "Pulumi.watched.yaml"
    path.write_text(WATCHED, encoding="utf-8")
    name = new_cluster("watched")
    rehearsal = Rehearsal.of(load_file(path), name, root=ROOT, project="espalier", records=RECORDS)
    blueprint = rehearsal.blueprint
    status = sim.up(name, machines=blueprint.machines, warden=blueprint.warden)
    client = Client.connect(status.kubeconfig)
    up(rehearsal.program, connection=client)
    context = Context(blueprint, client, simulated=True, probe=True, cluster=name)
    stage = Stage(context)
    stage.set_up()
    yield context, stage
    stage.clear()


@pytest.mark.supports("autoscaling: a node that lost a device is replaced", "rehearsed")
def test_a_node_that_lost_a_device_is_replaced_where_the_warden_watches(
    watched: tuple[Context, Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, stage = watched
    (drill,) = device_lost_tasks(context, stage)
    found = drill.run()
    assert isinstance(found, Outcome)
    assert found.ok, found.evidence
    assert "which lost a device, ran again" in found.evidence

    monkeypatch.setattr("espalier.verify.disruption.RECLAIM_SECONDS", 30.0)
    context.client.delete(JOB, "device-lost-h100", stage.namespace)
    sim.fault(context.cluster, "warden", "pause")
    found = drill.run()
    assert isinstance(found, Outcome)
    assert (drill.name, found.ok) == ("device-lost/h100", False)
    assert "it did not run again" in found.evidence


@pytest.mark.supports("autoscaling: random faults in a row", "rehearsed")
def test_random_faults_in_a_row_lose_no_job_and_leave_no_node(elastic: Elastic) -> None:
    told: list[str] = []
    found = havoc(elastic.rehearsal.blueprint, elastic.client, elastic.name, faults=10, seed=7, progress=told.append)
    assert len(found.faults) == 10
    assert found.jobs == 22
    assert (found.lost, found.stuck) == ((), ()), told
    assert sim.up(elastic.name).ready
