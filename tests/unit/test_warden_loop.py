"""What the warden does in its rounds, against an API server in memory: how often it asks, and what waits for what."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from espalier.warden.loop import Warden
from espalier.warden.rules import FAILED
from tests.unit.test_warden_rules import GPU, WAITING, node, since
from tests.unit.warden_api import Memory, items

CONFIG = "/api/v1/namespaces/espalier-warden/configmaps/espalier-warden"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/espalier-warden/leases/espalier-warden"
IDLE = {"prometheus": "http://prometheus", "after": 600, "every": 0}


def api(*nodes: Any, pods: Any = (), idle: Any = None) -> Memory:
    told = {
        "pools": {"p": {"devices": {GPU: 8}, "gate": WAITING["key"]}},
        "health": {"after": 600, "start": 1800},
        "idle": idle,
    }
    return Memory(
        {
            "/api/v1/nodes": items(*nodes),
            "/api/v1/pods": items(*pods),
            "/api/v1/namespaces": items({"metadata": {"name": "vision", "labels": {"espalier.dev/tenant": "vision"}}}),
            CONFIG: {"metadata": {"resourceVersion": "1"}, "data": {"config.json": json.dumps(told)}},
        }
    )


class Running:
    """A warden that runs in threads of its own until the test ends."""

    def __init__(self, api: Memory) -> None:
        self.said: list[str] = []
        self.warden = Warden(api, "espalier-warden", "me", self.said.append)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.warden.run, args=(self.stop,), daemon=True)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """A Prometheus that answers nobody: the first event says that it was asked, the second lets it go."""
    asked, free = threading.Event(), threading.Event()

    def never(*_: Any) -> Any:
        asked.set()
        free.wait(120)
        raise TimeoutError("slow")

    monkeypatch.setattr("espalier.warden.idler.asked", never)
    yield asked, free
    free.set()


def test_gates_open_and_the_lease_is_kept_while_prometheus_does_not_answer(
    held: tuple[threading.Event, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("espalier.warden.lease.RENEW", 1.0)
    asked, free = held
    found = api(node("before", {GPU: "8"}, taints=[WAITING]), idle=IDLE)
    running = Running(found)
    running.thread.start()
    try:
        assert asked.wait(60)
        found.asked.clear()
        late = node("late", {GPU: "8"}, taints=[WAITING], resourceVersion="2")
        found.events.put({"type": "ADDED", "object": late})
        found.wait("PATCH", "/api/v1/nodes/late")
        found.wait("PUT", LEASE)
        assert not free.is_set()
    finally:
        free.set()
        running.stop.set()
        running.thread.join(60)


def test_a_thread_that_ends_ends_the_warden_so_that_it_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Warden, "look", lambda self, stop: None)
    running = Running(api())
    late = threading.Timer(60, running.stop.set)
    late.start()
    with pytest.raises(RuntimeError, match="started anew"):
        running.warden.run(running.stop)
    late.cancel()
    running.stop.set()


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "status": {"phase": "Running"}}


def ready(found: Memory) -> Warden:
    warden = Warden(found, "espalier-warden", "me", lambda text: None)
    for one in found.objects["/api/v1/nodes"]["items"]:
        warden.nodes._known[one["metadata"]["name"]] = one  # pyright: ignore[reportPrivateUsage]
    warden.nodes.listed = True
    return warden


def test_a_pod_that_may_not_go_is_asked_again_after_a_while_and_not_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    ill = node("ill", {GPU: "0"}, taints=[dict(FAILED)], annotations=since(700))
    other = node("other", {GPU: "0"}, taints=[dict(FAILED)], annotations=since(700))
    found = api(ill, other, pods=[pod("kept")])
    found.refused["POST", "/api/v1/namespaces/default/pods/kept/eviction"] = 429
    warden = ready(found)
    for _ in range(5):
        warden.once()
    assert len(found.wrote(kind="Eviction")) == 2  # once for each node
    lists = [query for method, path, query in found.asked if (method, path) == ("GET", "/api/v1/pods")]
    assert lists == [{"fieldSelector": "spec.nodeName=ill"}, {"fieldSelector": "spec.nodeName=other"}]
    monkeypatch.setattr("espalier.warden.loop._EVICT_SECONDS", 0.0)
    warden.once()
    assert len(found.wrote(kind="Eviction")) == 4


def test_a_claim_is_asked_to_go_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = [{"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "name": "c"}]
    ill = node("ill", {GPU: "0"}, taints=[dict(FAILED)], annotations=since(700), ownerReferences=owner)
    found = api(ill)
    told = json.loads(found.objects[CONFIG]["data"]["config.json"])
    told["pools"]["p"]["repair"] = "replace"
    found.objects[CONFIG]["data"]["config.json"] = json.dumps(told)
    warden = ready(found)
    for _ in range(3):
        warden.once()
    gone = [path for method, path, _ in found.asked if method == "DELETE"]
    assert gone == ["/apis/karpenter.sh/v1/nodeclaims/c"]
