"""What the warden makes of DCGM's metrics of health, asked of a Prometheus that stands in for a real one."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from espalier.addons.warden import XIDS
from espalier.warden import metrics, rules
from espalier.warden.metrics import ECC, REMAP, XID, Measured, failures
from espalier.warden.rules import FAILED, MEASURED, Health
from tests.unit.test_warden_rules import CLAIM, GPU, NOW, config, kinds, node, since


def series(metric: str, value: float | str, gpu: int = 0, **labels: str) -> dict[str, Any]:
    labels = {"Hostname": "n", "gpu": str(gpu), **labels}
    return {"metric": {"__name__": metric, **labels}, "value": [0, str(value)]}


def answer(*found: dict[str, Any]) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "vector", "result": list(found)}}


class Prometheus(http.server.BaseHTTPRequestHandler):
    """Answers with what the server holds, and keeps what was asked."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append(urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["query"][0])
        self.send_response(200 if server.answer else 503)
        self.end_headers()
        self.wfile.write(json.dumps(server.answer or {}).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def prometheus() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    server.asked, server.answer = [], None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(60)


def health(prometheus: Any) -> Health:
    return Health(prometheus=f"http://127.0.0.1:{prometheus.server_address[1]}", xids=XIDS)


def test_what_has_failed_is_told_by_node_and_gpu(prometheus: Any) -> None:
    prometheus.answer = answer(
        series(XID, 79, gpu=3),
        series(XID, 0, gpu=2),
        series(ECC, 0),
        series(XID, 31, Hostname="app"),  # a program's own fault
        series(ECC, 2, Hostname="memory"),
        series(REMAP, 1, Hostname="rows", gpu=7),
        series(XID, "NaN", Hostname="silent"),
    )
    said: list[tuple[str, str]] = []
    measured = Measured(lambda about, text: said.append((about, text)))
    measured.once(health(prometheus))
    assert measured.known() == {
        "n": "DCGM_FI_DEV_XID_ERRORS of GPU 3 is 79",
        "app": "",
        "memory": "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL of GPU 0 is 2",
        "rows": "DCGM_FI_DEV_ROW_REMAP_FAILURE of GPU 7 is 1",
    }
    assert all(metric in prometheus.asked[0] for metric in (XID, ECC, REMAP))
    assert said == [("health", "metrics tell of the devices of 4 nodes")]
    measured.once(health(prometheus))
    assert len(prometheus.asked) == 1  # not in every round


def test_a_prometheus_that_is_away_tells_nothing_and_an_old_answer_is_none(
    prometheus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_EVERY", 0.0)
    said: list[str] = []
    measured = Measured(lambda _, text: said.append(text))
    measured.once(Health())
    assert prometheus.asked == []
    prometheus.answer = answer(series(XID, 79))
    measured.once(health(prometheus))
    prometheus.answer = None
    measured.once(health(prometheus))
    assert said[-1].startswith("no metrics of devices' health: HTTPError")
    assert measured.known() == {"n": "DCGM_FI_DEV_XID_ERRORS of GPU 0 is 79"}  # for some minutes
    monkeypatch.setattr(metrics, "_STALE", 0.0)
    assert measured.known() == {}


@pytest.mark.parametrize("wrong", [{}, {"status": "success"}, {"status": "error", "error": "x"}])
def test_an_answer_that_is_none_is_no_news(prometheus: Any, wrong: dict[str, Any]) -> None:
    prometheus.answer = wrong or None
    measured = Measured(lambda *_: None)
    measured.once(health(prometheus))
    assert measured.known() == {}


def test_the_list_of_errors_is_of_hardware() -> None:
    found = failures(answer(*(series(XID, code, Hostname=str(code)) for code in (13, 31, 43, 45, 63, 109, 79))), XIDS)
    assert [name for name, why in found.items() if why] == ["79"]


WHY = f"{MEASURED}FI_DEV_XID_ERRORS of GPU 3 is 79"
WELL = {GPU: "8"}


def decided(measured: dict[str, str], *, told: Health | None = None, **fields: Any) -> list[tuple[str, str]]:
    made = node(allocatable=WELL, **fields)
    found = rules.decide([made], config(told or Health(after=600), **POOL), NOW, measured)
    return [(action.kind, action.why) for action in found]


POOL: dict[str, Any] = {}


def noted(seconds: float, why: str = WHY) -> dict[str, str]:
    return {**since(seconds), rules.WHY: why}


def test_an_error_that_lasts_leads_to_taint_and_replacement() -> None:
    assert decided({"n": WHY}) == [("note", WHY)]
    assert decided({"n": WHY}, annotations=noted(599)) == []
    assert decided({"n": WHY}, annotations=noted(600)) == [("mark", WHY)]
    marked: dict[str, Any] = {"annotations": noted(900), "taints": [dict(FAILED)]}
    assert decided({"n": WHY}, **marked) == [("drain", WHY)]
    replacing = config(Health(after=600), repair="replace")
    claimed = node(allocatable=WELL, ownerReferences=CLAIM, **marked)
    assert [action.kind for action in rules.decide([claimed], replacing, NOW, {"n": WHY})] == ["replace"]


def test_where_nothing_is_to_be_done_it_is_told() -> None:
    reports = Health(after=600, act=False)
    assert decided({"n": WHY}, told=reports, annotations=noted(600)) == [
        ("report", f"since {rules.text_of(NOW - 600)}: {WHY}")
    ]


def test_one_node_of_a_pool_is_out_at_a_time() -> None:
    pair = [node(name, allocatable=WELL, annotations=noted(600)) for name in ("a", "b")]
    found = rules.decide(pair, config(Health(after=600)), NOW, {"a": WHY, "b": WHY})
    assert [(action.kind, action.node) for action in found] == [("mark", "a"), ("report", "b")]
    assert found[1].why == f"stays, as 1 of its pool are out already, all that may be: {WHY}"


def test_silence_neither_marks_nor_clears() -> None:
    """Metrics that are gone say nothing of a device: what they told stays as it is until they say that it is well."""
    assert decided({}) == []
    marked: dict[str, Any] = {"annotations": noted(900), "taints": [dict(FAILED)]}
    assert decided({}, **marked) == []
    assert decided({"n": ""}, **marked) == [("clear", "its devices are well again")]
    other: dict[str, Any] = {"annotations": noted(900, "condition XIDErrors is True"), "taints": [dict(FAILED)]}
    assert decided({}, **other) == [("clear", "its devices are well again")]  # told by an agent, which says so no more


def test_what_a_cloud_repairs_by_its_agents_word_is_left_to_it() -> None:
    told = config(Health(after=600), leaves=("AcceleratedHardwareReady",))
    assert rules.decide([node(allocatable=WELL)], told, NOW, {"n": WHY}) == []
    assert kinds([node(allocatable={GPU: "7"})], told) == [("note", "n")]
