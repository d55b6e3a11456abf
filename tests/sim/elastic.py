"""The `elastic` stack, up on a cluster of its own with Karpenter beside it: for the tests of a module."""

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
from espalier.verify.elastic import NODE_POOL
from espalier.verify.rehearse import Rehearsal

ROOT = Path(__file__).parents[2]
NODE, POD = Kind("v1", "Node"), Kind("v1", "Pod")
DEPLOYMENT, JOB = Kind("apps/v1", "Deployment"), Kind("batch/v1", "Job")
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
        for kind in (DEPLOYMENT, JOB):
            for owner in self.client.list(kind, "default"):
                self.delete(kind, owner["metadata"]["name"])
        for pod in self.client.list(POD, "default"):
            self.delete(POD, pod["metadata"]["name"])


@pytest.fixture(scope="module")
def stack() -> Iterator[Elastic]:
    """One a module: a cluster starts in seconds once Karpenter is built."""
    name = f"test-elastic-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}"
    file = load_file(ROOT / "stacks" / "Pulumi.elastic.yaml")
    rehearsal = Rehearsal.of(file, name, root=ROOT, project="espalier", records=RECORDS)
    try:
        status = sim.up(name, progress=print, machines=rehearsal.blueprint.machines, warden=rehearsal.blueprint.warden)
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
