"""Karpenter, real, beside a simulated cluster: pools wake, fall through, are taken back, and go to zero."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.addons import RECORDS
from espalier.engine.up import up
from espalier.kube import ApiError, Client, Kind
from espalier.settings import load_file
from espalier.sim.errors import SimError
from espalier.verify.elastic import NODE_POOL
from espalier.verify.rehearse import Rehearsal
from espalier.verify.run import verify

ROOT = Path(__file__).parents[2]
NODE, POD = Kind("v1", "Node"), Kind("v1", "Pod")
DEPLOYMENT = Kind("apps/v1", "Deployment")
NODE_POOLS = Kind("karpenter.sh/v1", "NodePool")
TOLERATES = [{"key": "nvidia.com/gpu", "operator": "Equal", "value": "present", "effect": "NoSchedule"}]


@dataclass
class Elastic:
    """The `elastic` stack, up on a cluster of its own."""

    name: str
    rehearsal: Rehearsal
    client: Client

    def spec(self, devices: int, pool: str = "h100") -> dict[str, Any]:
        asks = {"nvidia.com/gpu": str(devices)}
        return {
            "nodeSelector": {"espalier.dev/pool": pool},
            "tolerations": TOLERATES,
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "c", "image": "example.com/x:1", "resources": {"requests": asks, "limits": asks}}],
        }

    def pod(self, name: str, devices: int = 8) -> str:
        metadata = {"name": name, "namespace": "default"}
        self.client.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self.spec(devices)})
        return name

    def node_of(self, pod: str) -> dict[str, Any] | None:
        live = self.client.get(POD, pod, "default")
        return self.client.get(NODE, live["spec"]["nodeName"]) if live["status"]["phase"] == "Running" else None

    def made(self) -> list[str]:
        return sorted(node["metadata"]["name"] for node in self.client.list(NODE, labelSelector=NODE_POOL))

    def capacities(self) -> list[str]:
        """The kinds of capacity of the nodes that are there to stay."""
        live = self.client.list(NODE, labelSelector=NODE_POOL)
        staying = [node["metadata"] for node in live if "deletionTimestamp" not in node["metadata"]]
        return sorted(metadata["labels"]["espalier.dev/capacity"] for metadata in staying)

    def delete(self, kind: Kind, name: str) -> None:
        with suppress(ApiError):  # its owner, or the autoscaler, may have been quicker
            self.client.delete(kind, name, "default")

    def clear(self) -> None:
        for deployment in self.client.list(DEPLOYMENT, "default"):
            self.delete(DEPLOYMENT, deployment["metadata"]["name"])
        for pod in self.client.list(POD, "default"):
            self.delete(POD, pod["metadata"]["name"])


@pytest.fixture(scope="module")
def stack() -> Iterator[Elastic]:
    name = f"test-elastic-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}"
    file = load_file(ROOT / "stacks" / "Pulumi.elastic.yaml")
    rehearsal = Rehearsal.of(file, name, root=ROOT, project="espalier", records=RECORDS)
    try:
        status = sim.up(name, progress=print, machines=rehearsal.blueprint.machines)
        client = Client.connect(status.kubeconfig)
        up(rehearsal.program, connection=client)
        yield Elastic(name, rehearsal, client)
    finally:
        sim.down(name)


@pytest.fixture
def elastic(stack: Elastic, eventually: Callable[..., Any]) -> Iterator[Elastic]:
    """The stack without work; nodes of an earlier test may still be there."""
    yield stack
    stack.clear()
    eventually(lambda: not stack.client.list(POD, "default"))


@pytest.mark.supports("autoscaling: wake and return to zero", "rehearsed")
def test_each_pool_wakes_for_each_class_of_work_and_goes_to_zero(elastic: Elastic) -> None:
    found = verify(elastic.rehearsal.blueprint, elastic.client, simulated=True)
    assert [(check.name, check.evidence) for check in found.checks if not check.ok] == []
    seconds = {check.name: check.seconds for check in found.checks}
    assert {name for name in seconds if name.startswith(("wake/", "to-zero/"))} == {
        *(f"wake/{pool}/{kind}" for pool in ("h100", "a100-mig", "l4-slices") for kind in ("one", "whole")),
        *(f"to-zero/{pool}" for pool in ("h100", "a100-mig", "l4-slices")),
    }
    (woken,) = [check.evidence for check in found.checks if check.name == "wake/h100/whole"]
    assert "NodePool h100-spot" in woken


def test_a_pool_without_its_node_pool_fails_its_wake_and_no_other(
    elastic: Elastic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("espalier.verify.elastic.WAKE_SECONDS", 15.0)
    saved = elastic.client.get(NODE_POOLS, "a100-mig-on-demand")
    elastic.client.delete(NODE_POOLS, "a100-mig-on-demand")
    found = verify(elastic.rehearsal.blueprint, elastic.client, simulated=True)
    failed = {check.name for check in found.checks if not check.ok}
    keep = {key: saved["metadata"][key] for key in ("name", "labels")}
    elastic.client.create({**{k: saved[k] for k in ("apiVersion", "kind", "spec")}, "metadata": keep})
    assert failed == {"wake/a100-mig/one", "wake/a100-mig/whole"}


@pytest.mark.supports("autoscaling: spot sold out", "rehearsed")
def test_work_falls_through_to_on_demand_where_spot_is_sold_out(
    elastic: Elastic, eventually: Callable[..., Any]
) -> None:
    sim.fault(elastic.name, "karpenter", "no-spot")
    elastic.pod("falls")
    node = eventually(lambda: elastic.node_of("falls"), 60)
    assert node["metadata"]["labels"]["espalier.dev/capacity"] == "on-demand"
    sim.fault(elastic.name, "karpenter", "in-stock")
    elastic.pod("prefers")
    node = eventually(lambda: elastic.node_of("prefers"), 60)
    assert node["metadata"]["labels"]["espalier.dev/capacity"] == "spot"


@pytest.mark.supports("autoscaling: spot taken back", "rehearsed")
def test_work_whose_spot_node_is_taken_back_runs_again(elastic: Elastic, eventually: Callable[..., Any]) -> None:
    labels = {"app": "train"}
    work = elastic.spec(8)
    work["nodeSelector"] |= {"espalier.dev/capacity": "spot"}
    template = {"metadata": {"labels": labels}, "spec": work}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "train", "namespace": "default"}
    elastic.client.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})

    def node() -> str | None:
        pods = elastic.client.list(POD, "default", labelSelector="app=train")
        running = [
            pod for pod in pods if pod["status"]["phase"] == "Running" and not pod["metadata"].get("deletionTimestamp")
        ]
        return str(running[0]["spec"]["nodeName"]) if running else None

    first = eventually(node, 60)
    eventually(lambda: sim.fault(elastic.name, "karpenter", "reclaim-spot") or first not in elastic.made(), 60)
    second = eventually(lambda: (found := node()) != first and found, 60)
    assert second in elastic.made()


def test_a_pool_never_has_more_nodes_than_its_maximum(elastic: Elastic, eventually: Callable[..., Any]) -> None:
    names = [elastic.pod(f"many-{number}") for number in range(8)]
    eventually(lambda: sum(elastic.node_of(name) is not None for name in names) >= 6, 60)
    eventually(lambda: elastic.capacities() == ["on-demand"] * 3 + ["spot"] * 3, 60)
    assert sum(elastic.node_of(name) is not None for name in names) == 6


def test_a_killed_autoscaler_is_seen_and_mended(elastic: Elastic, eventually: Callable[..., Any]) -> None:
    sim.fault(elastic.name, "karpenter", "kill")
    (status,) = sim.status(elastic.name)
    assert not status.ready
    assert sim.up(elastic.name).ready
    elastic.pod("again")
    eventually(lambda: elastic.node_of("again"), 60)


def test_other_machines_reach_the_autoscaler_by_the_next_up(stack: Elastic) -> None:
    (before,) = [part.pid for part in sim.up(stack.name).components if part.name == "karpenter"]
    machines = stack.rehearsal.blueprint.machines
    assert machines is not None
    sim.up(stack.name, machines=machines)
    (same,) = [part.pid for part in sim.up(stack.name).components if part.name == "karpenter"]
    assert same == before
    sim.up(stack.name, machines=machines.replace('"192"', '"96"'))
    (after,) = [part.pid for part in sim.up(stack.name, machines=machines).components if part.name == "karpenter"]
    assert after != before


def test_a_cluster_without_an_autoscaler_has_no_shortages(sim_cluster: sim.SimStatus) -> None:
    with pytest.raises(SimError, match="has no autoscaler"):
        sim.fault(sim_cluster.name, "karpenter", "no-spot")
    assert "karpenter" not in {part.name for part in sim_cluster.components}


def test_it_listens_on_loopback_only(stack: Elastic) -> None:
    (part,) = [part for part in sim.up(stack.name).components if part.name == "karpenter"]
    inodes = {os.readlink(link) for link in Path(f"/proc/{part.pid}/fd").iterdir() if link.is_symlink()}
    rows = [line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
    listening = [row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
    assert listening
    assert set(listening) == {"0100007F"}
