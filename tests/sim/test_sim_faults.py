"""Nodes and devices that fail in a simulated cluster, and are mended: what people see through the API."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from espalier import sim
from espalier.sim.faults import FAULTS

CAPACITY = {"cpu": "8", "memory": "32Gi", "pods": "110", "nvidia.com/gpu": "4"}


class Nodes:
    """Nodes of a pool of a test's own."""

    def __init__(self, cluster: str, api: Any, eventually: Callable[..., Any]) -> None:
        self.cluster, self.pool = cluster, f"pool-{secrets.token_hex(3)}"
        self._api, self._eventually = api, eventually
        self.names: list[str] = []

    def add(self) -> str:
        name = f"{self.pool}-{len(self.names)}"
        self.names.append(name)
        annotations = {"kwok.x-k8s.io/node": "fake", "espalier.dev/simulated-capacity": json.dumps(CAPACITY)}
        metadata = {"name": name, "labels": {"espalier.dev/pool": self.pool}, "annotations": annotations}
        self._api.create("/api/v1/nodes", {"metadata": metadata})
        self._eventually(lambda: self.ready(name))
        return name

    def status(self, name: str) -> Any:
        return self._api.get(f"/api/v1/nodes/{name}")["status"]

    def ready(self, name: str) -> bool:
        conditions = self.status(name).get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def devices(self, name: str) -> str | None:
        return self.status(name)["allocatable"].get("nvidia.com/gpu")

    def fault(self, kind: str, **aim: Any) -> tuple[str, ...]:
        whom: dict[str, Any] = aim if "node" in aim else {"pool": self.pool} | aim
        return sim.fault(self.cluster, "nodes", kind, **whom)

    def clear(self) -> None:
        for name in self.names:
            self._api.delete(f"/api/v1/nodes/{name}")


@pytest.fixture
def nodes(sim_cluster: sim.SimStatus, api: Any, eventually: Callable[..., Any]) -> Iterator[Nodes]:
    found = Nodes(sim_cluster.name, api, eventually)
    yield found
    found.clear()
    sim.fault(sim_cluster.name, "nodes", "quick-driver")


def test_a_node_that_is_not_ready_stays_so_until_it_is_mended_and_takes_no_pods(
    nodes: Nodes, api: Any, eventually: Callable[..., Any]
) -> None:
    first, second = nodes.add(), nodes.add()
    assert nodes.fault("not-ready") == (first,)
    eventually(
        lambda: any(
            taint["key"] == "node.kubernetes.io/not-ready"
            for taint in api.get(f"/api/v1/nodes/{first}")["spec"].get("taints", [])
        )
    )
    assert not nodes.ready(first)
    assert nodes.ready(second)
    assert nodes.fault("ready") == (first,)
    eventually(lambda: nodes.ready(first))
    assert nodes.devices(first) == "4"


def test_as_many_nodes_fail_as_are_asked_for_or_none(nodes: Nodes) -> None:
    both = (nodes.add(), nodes.add())
    with pytest.raises(sim.SimError, match=f"3 nodes are asked for, and in pool {nodes.pool} 2 are Ready"):
        nodes.fault("not-ready", count=3)
    assert all(map(nodes.ready, both))
    assert nodes.fault("not-ready", count=2) == both
    with pytest.raises(sim.SimError, match=f"1 nodes are asked for, and of the name {both[0]} 0 are Ready"):
        nodes.fault("not-ready", node=both[0])
    assert nodes.fault("ready") == both


def test_a_lost_device_is_gone_from_what_can_be_had_and_comes_back(
    nodes: Nodes, eventually: Callable[..., Any]
) -> None:
    first, second = nodes.add(), nodes.add()
    assert nodes.fault("lose-device", node=second) == (second,)
    assert (nodes.devices(first), nodes.devices(second)) == ("4", "3")
    assert nodes.status(second)["capacity"]["nvidia.com/gpu"] == "4"
    assert nodes.fault("not-ready", node=second) == (second,)
    nodes.fault("ready")
    eventually(lambda: nodes.ready(second))
    assert nodes.devices(second) == "3"  # a node that comes back has lost its device all the same
    assert nodes.fault("return-device") == (second,)
    assert nodes.devices(second) == "4"
    with pytest.raises(sim.SimError, match=f"no node in pool {nodes.pool} is lacking a device"):
        nodes.fault("return-device")


def test_a_slow_drivers_devices_come_after_the_node_is_ready(nodes: Nodes, eventually: Callable[..., Any]) -> None:
    before = nodes.add()
    nodes.fault("slow-driver", seconds=3600)
    late = nodes.add()
    assert (nodes.devices(before), nodes.devices(late)) == ("4", "0")
    nodes.fault("slow-driver", seconds=1)
    soon = nodes.add()
    eventually(lambda: nodes.devices(soon) == "4")
    assert nodes.devices(late) == "0"
    sim.fault(nodes.cluster, "nodes", "quick-driver")
    assert nodes.devices(nodes.add()) == "4"
    assert nodes.fault("return-device") == (late,)  # a driver that never comes can be helped
    assert nodes.devices(late) == "4"


def test_a_slow_driver_of_one_pool_is_not_anothers(nodes: Nodes) -> None:
    nodes.fault("slow-driver", pool="another", seconds=3600)
    assert nodes.devices(nodes.add()) == "4"


@pytest.mark.parametrize(
    ("target", "kind", "aim", "says"),
    [
        ("nodes", "kill", {}, "there is no fault 'kill' of nodes"),
        ("etcd", "not-ready", {}, "there is no fault 'not-ready' of etcd"),
        ("kwok", "reclaim-spot", {}, "there is no fault 'reclaim-spot' of kwok"),
        ("etcd", "kill", {"count": 2}, "kill of etcd heeds no --count"),
        (
            "nodes",
            "slow-driver",
            {"count": 2},
            "slow-driver of nodes heeds no --count\n  do: give only --pool, --seconds",
        ),
        ("nodes", "not-ready", {"seconds": 2}, "not-ready of nodes heeds no --seconds"),
        ("nodes", "not-ready", {"count": 0}, "--count 0 hits nothing"),
        ("nodes", "slow-driver", {"seconds": -1}, "--seconds -1 is out of range\n  do: give 0 to 3600"),
        ("nodes", "ready", {"node": "a", "pool": "b"}, "--node names one node"),
        ("nodes", "slow-driver", {"pool": "x'y"}, "names no pool"),
        ("karpenter", "reclaim-spot", {}, "has no autoscaler"),
    ],
)
def test_what_cannot_be_done_is_refused(
    sim_cluster: sim.SimStatus, target: str, kind: str, aim: dict[str, Any], says: str
) -> None:
    with pytest.raises(sim.SimError) as refused:
        sim.fault(sim_cluster.name, target, kind, **aim)
    assert says in str(refused.value)


def test_a_cluster_that_is_not_there_has_no_nodes_to_break() -> None:
    with pytest.raises(sim.SimError, match="there is no cluster test-nowhere\n  do: start it: espalier sim up"):
        sim.fault("test-nowhere", "nodes", "not-ready")


def test_every_fault_is_told_in_words() -> None:
    assert all(row.what for row in FAULTS)
    assert len({(row.target, row.kind) for row in FAULTS}) == len(FAULTS)
