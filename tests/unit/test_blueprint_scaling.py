"""A server's ScaledObject: by its devices' time, and from none by what is asked of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from espalier.blueprint.priorities import priority_classes
from espalier.blueprint.scaling import Server, scaled_object, server_mistakes

PROMETHEUS = "http://prometheus-operated.monitoring:9090"
BASE: dict[str, Any] = {
    "name": "llm",
    "namespace": "vision",
    "minimum": 0,
    "maximum": 4,
    "prometheus": PROMETHEUS,
    "demand": 'sum(gateway_requests_waiting{server="llm"})',
}


def triggers(**keys: Any) -> dict[str, Any]:
    return {one["name"]: one for one in scaled_object(Server(**BASE | keys))["spec"]["triggers"]}


def test_replicas_follow_the_mean_of_the_devices_of_its_own_pods() -> None:
    busy = triggers(busy=80)["busy"]
    hash, suffix = (f"[bcdfghjklmnpqrstvwxz2456789]{{{count}}}" for count in ("1,10", "5"))
    assert busy["metricType"] == "Value"
    assert busy["metadata"] == {
        "serverAddress": PROMETHEUS,
        "query": f'avg(DCGM_FI_DEV_GPU_UTIL{{exported_namespace="vision",exported_pod=~"llm-{hash}-{suffix}"}})',
        "threshold": "80",
        "activationThreshold": "0",
    }


def test_slices_have_a_figure_of_their_own() -> None:
    query = triggers(mig=True)["busy"]["metadata"]["query"]
    assert query.startswith("100 * avg(DCGM_FI_PROF_GR_ENGINE_ACTIVE{")


def test_from_none_it_wakes_by_what_is_asked_of_it() -> None:
    demand = triggers(demand_each=8)["demand"]
    assert (demand["metricType"], demand["metadata"]["threshold"]) == ("AverageValue", "8")
    assert demand["metadata"]["query"] == BASE["demand"]
    assert set(triggers(minimum=1, demand="")) == {"busy"}


def test_what_it_wakes_is_above_what_starts_no_node() -> None:
    """cluster-autoscaler makes no node for pods below -10 (its --expendable-pods-priority-cutoff)."""
    values = {one.manifest["metadata"]["name"]: one.manifest["value"] for one in priority_classes()}
    assert values["espalier-serving"] == max(values.values()) > 0


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (
            {"demand": ""},
            "servers[0].demand: got nothing, at a minimum of 0; accepted: a query that has a value while there is no "
            "pod: requests that wait, or a queue's length. Add it, or keep one replica: a device that no pod uses "
            "tells nothing.",
        ),
        (
            {"minimum": 5},
            "servers[0].minimum: got 5 to 4 replicas; accepted: at least 0, at most a maximum of 1 or more. Put the "
            "smaller number first.",
        ),
        ({"busy": 0}, "servers[0].busy: got 0; accepted: 1 to 100 percent. Write a percentage."),
    ],
)
def test_what_cannot_scale_is_said(keys: dict[str, Any], text: str) -> None:
    assert [one.text() for one in server_mistakes(Server(**BASE | keys), "servers[0]")] == [text]


def test_a_server_without_mistakes_has_none() -> None:
    assert list(server_mistakes(Server(**BASE), "servers[0]")) == []


@pytest.mark.parametrize(
    ("kind", "pod", "counted"),
    [
        ("Deployment", "llm-7d9c6b5f48-x2k8z", True),
        ("Deployment", "llm-judge-7d9c6b5f48-x2k8z", False),
        ("Deployment", "llm-judge-x2k8z", False),
        ("Deployment", "llm-0", False),
        ("StatefulSet", "llm-12", True),
        ("StatefulSet", "llm-judge-0", False),
        ("LeaderWorkerSet", "llm-0-1", True),
    ],
)
def test_the_pods_of_a_server_with_a_longer_name_are_not_counted(kind: str, pod: str, counted: bool) -> None:
    (pattern,) = re.findall('exported_pod=~"([^"]+)"', triggers(kind=kind)["busy"]["metadata"]["query"])
    assert (re.fullmatch(pattern, pod) is not None) is counted
