"""The looker after idle devices, against an API server in memory: what it asks for, stops, and says."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from espalier.warden.idle import STOPPED
from espalier.warden.idler import Idler
from espalier.warden.rules import Config, Pool, Watch, text_of
from tests.unit.warden_api import Memory, items

GPU = "nvidia.com/gpu"
SCALE = "/apis/apps/v1/namespaces/vision/deployments/web/scale"
SCALERS = "/apis/autoscaling/v2/namespaces/vision/horizontalpodautoscalers"
EVENTS = "/api/v1/namespaces/vision/events"
NOTEBOOK = "/apis/kubeflow.org/v1/namespaces/vision/notebooks/nb"


def pod(name: str, labels: dict[str, str], owner: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata = {"namespace": "vision", "name": name, "labels": labels, "ownerReferences": [owner] if owner else []}
    return {
        "metadata": metadata,
        "spec": {"containers": [{"resources": {"limits": {GPU: "1"}}}]},
        "status": {"phase": "Running", "startTime": text_of(time.time() - 9000)},
    }


def web(name: str = "web-5d-x") -> dict[str, Any]:
    labels = {"espalier.dev/stop-when-idle": "true", "pod-template-hash": "5d"}
    return pod(name, labels, {"kind": "ReplicaSet", "name": "web-5d"})


def tenant(name: str, action: str = "stop") -> dict[str, Any]:
    notes = {"espalier.dev/idle-after": "600", "espalier.dev/idle-action": action}
    return {"metadata": {"name": name, "labels": {"espalier.dev/tenant": name}, "annotations": notes}}


class Place:
    """An idler, its API, what it said, and whether it leads."""

    def __init__(self, *pods: dict[str, Any], action: str = "stop") -> None:
        self.api = Memory(
            {
                "/api/v1/namespaces": items(tenant("quiet"), tenant("vision", action)),
                "/api/v1/namespaces/vision/pods": items(*pods),
                SCALE: {"spec": {"replicas": 2}},
                SCALERS: items(),
            }
        )
        self.said: dict[str, str] = {}
        self.leads = True
        self.idler = Idler(self.api, "espalier-warden", self.say, lambda: self.leads)
        self.config = Config({"p": Pool({GPU: 8})}, None, Watch("http://prometheus", every=0, action="stop"))

    def say(self, about: str, text: str) -> bool:
        new = self.said.get(about) != text
        self.said[about] = text
        return new

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.idler.once(self.config)

    def told(self) -> list[str]:
        return [event["message"] for event in self.api.wrote(start=EVENTS)]


@pytest.fixture(autouse=True)
def unused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pod that a test names was measured all along, and used nothing."""
    names = ["web-5d-x", "nb-0", *(f"web-5d-{index}" for index in range(1200))]

    def answer(_: str, query: str, end: float) -> dict[str, Any]:
        value = "1000" if query.startswith("count") else "0"
        rows = [{"metric": {"namespace": "vision", "pod": name}, "value": [0, value]} for name in names]
        return {"data": {"result": rows}}

    monkeypatch.setattr("espalier.warden.idler.asked", answer)


def test_a_server_is_stopped_once_and_told_how_it_comes_back() -> None:
    place = Place(web())
    place.look(3)  # its pods take a while to end
    assert place.api.wrote(start=SCALE) == [{"spec": {"replicas": 0}}]
    (message,) = place.told()
    assert message.endswith("to start it again, scale it to 2")
    memory = place.api.wrote(start="/api/v1/namespaces/espalier-warden/configmaps/espalier-warden-stopped")
    assert memory == [{"data": {"vision.Deployment.web": "2"}}]


def test_a_server_that_another_replica_has_stopped_is_no_news() -> None:
    place = Place(web())
    place.api.objects[SCALE] = {"spec": {"replicas": 0}}
    place.look()
    assert place.told() == []
    assert place.api.wrote() == []


def test_a_notebook_is_stopped_once() -> None:
    place = Place(pod("nb-0", {"notebook-name": "nb"}))
    place.look(3)
    (stamp,) = place.api.wrote(start=NOTEBOOK)
    assert list(stamp["metadata"]["annotations"]) == [STOPPED]
    assert len(place.told()) == 1


def test_an_event_that_is_refused_is_not_a_stop_that_is() -> None:
    place = Place(web())
    place.api.refused["POST", EVENTS] = 403
    place.look()
    assert place.api.wrote(start=SCALE) == [{"spec": {"replicas": 0}}]
    assert place.said["event vision/web"] == "no event of vision/web: 403: refused"
    assert place.said["idle vision/web"].startswith("Deployment vision/web is stopped: ")


def test_a_stop_that_is_refused_is_told_and_no_event_says_otherwise() -> None:
    place = Place(web())
    place.api.refused["PATCH", SCALE] = 403
    place.look()
    assert place.said["idle vision/web"] == "cannot stop vision/web: 403: refused"
    assert place.told() == []


def test_who_does_not_lead_any_more_stops_nothing() -> None:
    place = Place(web())
    place.leads = False
    place.look()
    assert place.api.wrote() == []


@pytest.mark.parametrize(
    ("target", "owner", "stopped"),
    [
        ("web", "ScaledObject", False),
        ("other", "ScaledObject", True),
        ("web", "", True),  # a plain one rests while its server is at zero
    ],
)
def test_a_server_that_keda_scales_is_left_to_it_and_told_of(target: str, owner: str, stopped: bool) -> None:
    place = Place(web())
    owners = {"ownerReferences": [{"kind": owner, "name": "s"}]} if owner else {}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    scaler = {"metadata": {"name": "keda-hpa-s", **owners}, "spec": {"scaleTargetRef": reference}}
    place.api.objects[SCALERS] = items(scaler)
    place.look(2)
    assert bool(place.api.wrote(start=SCALE)) == stopped
    (message,) = place.told()
    assert message.startswith("is stopped: " if stopped else "is idle, and left to KEDA (keda-hpa-s), ")


def test_pods_are_asked_for_in_pages_and_only_where_a_tenants_time_and_metrics_are() -> None:
    place = Place(*(web(f"web-5d-{index}") for index in range(1200)), action="report")
    place.look()
    pods = [(path, query) for method, path, query in place.api.asked if method == "GET" and path.endswith("/pods")]
    where = "/api/v1/namespaces/vision/pods"
    assert pods == [
        (where, {"limit": "500"}),
        (where, {"limit": "500", "continue": "500"}),
        (where, {"limit": "500", "continue": "1000"}),
    ]
    assert "web-5d-1199 0%" in place.said["idle vision/web"]


def test_all_questions_to_prometheus_have_one_short_time_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    given: list[float] = []
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, time=time.time)

    def slow(address: str, timeout: float) -> Any:
        given.append(timeout)
        clock.now += 20.0
        if len(given) > 1:
            raise TimeoutError("timed out")
        return _Answer()

    monkeypatch.setattr("espalier.warden.idler.time", clock)
    monkeypatch.setattr("espalier.warden.metrics.time", clock)
    monkeypatch.setattr("urllib.request.urlopen", slow)
    place = Place(web())
    place.look()
    assert given == [30.0, 10.0]
    assert place.said["metrics"].startswith("no metrics, so nothing is idle: TimeoutError")
    assert place.api.wrote() == []


class _Answer:
    def __enter__(self) -> _Answer:
        return self

    def __exit__(self, *_: object) -> None: ...

    def read(self) -> bytes:
        return b'{"status": "success", "data": {"result": []}}'
