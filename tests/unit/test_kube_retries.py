"""Which requests are sent again, after what, for how long: against a server that answers by a script."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from espalier.kube import ApiError, Client, Kind, Kubeconfig, UnreachableError, retries

CONFIG_MAP = Kind("v1", "ConfigMap")
RESOURCES = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
OBJECT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "c", "namespace": "n", "uid": "1"},
    "data": {"a": "1"},
}
SENT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "c", "namespace": "n"},
    "data": {"a": "1"},
}
CUT = (0, {}, b"")
"""An answer that never comes: the connection is closed after the request was read."""
ENDLESS, SOON = 60.0, 30.0
"""Seconds: what takes less than the second has not lasted as long as the first says, however busy the machine."""

Answer = tuple[int, dict[str, str], bytes]


def said(status: int, body: Any, **headers: str) -> Answer:
    return status, {key.replace("_", "-"): value for key, value in headers.items()}, json.dumps(body).encode()


def refused(status: int, reason: str, **more: Any) -> Answer:
    return said(status, {"kind": "Status", "reason": reason, "message": f"{reason} it is", **more})


OK = said(200, OBJECT)
BUSY = refused(503, "ServiceUnavailable")


class Script(ThreadingHTTPServer):
    """Answers one after another from a list; what comes after its end is answered as its last."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.asked: list[str] = []

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    @property
    def script(self) -> Script:
        return cast(Script, self.server)

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path in ("/api/v1", "/apis/x.dev/v1"):
            status, headers, body = said(200, RESOURCES)
        else:
            self.script.asked.append(self.command)
            status, headers, body = self.script.next()
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def script() -> Iterator[Script]:
    server = Script()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(script: Script, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.01)
    # Far longer than the pauses: a machine that is busy is no reason to give up.
    monkeypatch.setattr(retries, "PATIENCE", ENDLESS)
    made = Client.connect(Kubeconfig(context="c", server=f"http://127.0.0.1:{script.server_port}"))
    made.find(CONFIG_MAP)
    return made


CALLS: dict[str, Callable[[Client], Any]] = {
    "get": lambda client: client.get(CONFIG_MAP, "c", "n"),
    "apply": lambda client: client.apply(SENT),
    "merge": lambda client: client.patch(CONFIG_MAP, "c", {"data": {}}, namespace="n"),
    "delete by uid": lambda client: client.delete(CONFIG_MAP, "c", "n", uid="1"),
    "dry create": lambda client: client.create(SENT, dry_run=True),
}
ONCE: dict[str, Callable[[Client], Any]] = {
    "json patch": lambda client: client.patch(CONFIG_MAP, "c", [], namespace="n", how="json"),
    "delete by name": lambda client: client.delete(CONFIG_MAP, "c", "n"),
    "any post": lambda client: client.request("POST", "/api/v1/namespaces/n/pods/p/eviction", body={}),
    "drawn name": lambda client: client.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-", "namespace": "n"}}
    ),
}
PASSING: dict[str, Answer] = {
    "cut": CUT,
    "429": refused(429, "TooManyRequests"),
    "502": (502, {}, b"bad gateway"),
    "503": BUSY,
    "504": refused(504, "Timeout"),
    "server timeout": refused(500, "ServerTimeout"),
    "etcd": refused(500, "", message="etcdserver: request timed out"),
    "etcd gone": refused(500, "", message='rpc error: code = Unavailable desc = connection error: desc = "..."'),
}
LASTING: dict[str, Answer] = {
    "expired": refused(401, "Unauthorized"),
    "forbidden": refused(403, "Forbidden"),
    "webhook": refused(500, "InternalError", message='failed calling webhook "w": connection refused'),
    "invalid": refused(422, "Invalid"),
    "redirect": (302, {"Location": "https://login"}, b""),
    "budget": refused(429, "TooManyRequests", details={"causes": [{"reason": "DisruptionBudget"}]}),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("failure", PASSING)
def test_what_passes_is_tried_again(script: Script, client: Client, call: str, failure: str) -> None:
    script.answers = [PASSING[failure]] * 3 + [OK]
    assert CALLS[call](client) == OBJECT
    assert len(script.asked) == 4


@pytest.mark.parametrize("failure", LASTING)
def test_what_does_not_pass_is_told_at_once(script: Script, client: Client, failure: str) -> None:
    script.answers = [LASTING[failure], OK]
    with pytest.raises(ApiError) as caught:
        client.get(CONFIG_MAP, "c", "n")
    assert caught.value.status == LASTING[failure][0]
    assert len(script.asked) == 1


@pytest.mark.parametrize("call", ONCE)
def test_what_would_do_harm_twice_is_not_sent_twice(script: Script, client: Client, call: str) -> None:
    for lost in (CUT, refused(500, "ServerTimeout"), BUSY):
        script.asked, script.answers = [], [lost, OK]
        with pytest.raises((UnreachableError, ApiError)):
            ONCE[call](client)
        assert len(script.asked) == 1
    script.asked, script.answers = [], [PASSING["429"], OK]
    ONCE[call](client)
    assert len(script.asked) == 2


def test_an_end_comes_when_it_does_not_pass(script: Script, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PATIENCE", 0.5)
    for failure, error in ((CUT, UnreachableError), (BUSY, ApiError)):
        script.answers = [failure]
        began = time.monotonic()
        with pytest.raises(error):
            client.get(CONFIG_MAP, "c", "n")
        # The next pause would end after the patience does, so that it ends before.
        assert 0.2 < time.monotonic() - began < SOON


def test_a_server_that_was_given_up_is_asked_but_once(
    script: Script, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers = [CUT]
    with monkeypatch.context() as patch:
        patch.setattr(retries, "PATIENCE", 0.5)
        with pytest.raises(UnreachableError):
            client.get(CONFIG_MAP, "c", "n")
    script.asked = []
    with pytest.raises(UnreachableError):
        client.get(CONFIG_MAP, "c", "n")
    assert len(script.asked) == 1
    script.answers = [OK]
    client.get(CONFIG_MAP, "c", "n")
    script.answers = [CUT] * 5 + [OK]
    client.get(CONFIG_MAP, "c", "n")


def test_the_api_servers_own_pause_is_kept(script: Script, client: Client) -> None:
    script.answers = [said(429, {}, Retry_After="1"), OK]
    began = time.monotonic()
    client.get(CONFIG_MAP, "c", "n")
    assert time.monotonic() - began >= 1.0
    script.answers = [said(503, {}, Retry_After="100"), OK]
    began = time.monotonic()
    with pytest.raises(ApiError):
        client.get(CONFIG_MAP, "c", "n")
    assert time.monotonic() - began < SOON, "it waits for less than was asked, or for more than its patience"


def test_pauses_double_and_are_never_shorter_than_the_api_server_asks() -> None:
    assert [retries.pause(tries, 0.0) for tries in range(1, 7)] == [0.2, 0.4, 0.8, 1.6, 3.0, 3.0]
    assert [retries.pause(tries, 1.0) for tries in range(1, 5)] == [1.0, 1.0, 1.0, 1.6]


def test_a_dead_server_behind_the_api_server_is_given_up_early(
    script: Script, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_BACKEND_PATIENCE", 0.1)
    for text in (b"service unavailable\n", b"error trying to reach service: dial tcp 10.0.0.1:443: refused"):
        script.answers = [(503, {}, text)]
        began = time.monotonic()
        with pytest.raises(ApiError):
            client.get(CONFIG_MAP, "c", "n")
        assert time.monotonic() - began < SOON


class TestALostAnswer:
    """The API server did what was asked, and the answer was cut."""

    def test_a_creation_that_was_done_is_done(self, script: Script, client: Client) -> None:
        script.answers = [CUT, refused(409, "AlreadyExists"), OK]
        assert client.create(SENT) == OBJECT
        assert script.asked == ["POST", "POST", "GET"]

    def test_another_object_of_the_name_is_not_taken_for_it(self, script: Script, client: Client) -> None:
        script.answers = [CUT, refused(409, "AlreadyExists"), said(200, {**OBJECT, "data": {"a": "2"}})]
        with pytest.raises(ApiError, match="AlreadyExists"):
            client.create(SENT)

    def test_one_that_existed_before_is_not_taken_for_it(self, script: Script, client: Client) -> None:
        for first in ([], [PASSING["429"]]):
            script.answers = [*first, refused(409, "AlreadyExists"), OK]
            with pytest.raises(ApiError, match="AlreadyExists"):
                client.create(SENT)

    def test_an_overwriting_that_was_done_is_done(self, script: Script, client: Client) -> None:
        old = {**SENT, "metadata": {**SENT["metadata"], "resourceVersion": "7"}}
        script.answers = [CUT, refused(409, "Conflict"), OK]
        assert client.replace(old) == OBJECT
        script.answers = [CUT, refused(409, "Conflict"), said(200, {**OBJECT, "data": {}})]
        with pytest.raises(ApiError, match="Conflict"):
            client.replace(old)

    def test_a_deletion_that_was_done_is_done(self, script: Script, client: Client) -> None:
        script.answers = [CUT, refused(404, "NotFound")]
        assert client.delete(CONFIG_MAP, "c", "n", uid="1")["kind"] == "Status"
        script.answers = [refused(404, "NotFound")]
        with pytest.raises(ApiError, match="NotFound"):
            client.delete(CONFIG_MAP, "c", "n", uid="1")


def test_a_server_that_never_answered_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="refused"):
        Client.connect(Kubeconfig(context="c", server=f"http://127.0.0.1:{port}")).find(CONFIG_MAP)
    assert retries.FIRST_PATIENCE <= 5
    assert time.monotonic() - began < SOON


def test_a_server_of_another_protocol_is_not_asked_again(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PATIENCE", ENDLESS)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"(?i)ssl|version"):
        Client.connect(Kubeconfig(context="c", server=f"https://127.0.0.1:{script.server_port}")).find(CONFIG_MAP)
    assert time.monotonic() - began < SOON


def test_who_is_in_a_hurry_does_not_wait(script: Script, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE", ENDLESS)
    monkeypatch.setattr(retries, "_LONGEST_PAUSE", ENDLESS)
    monkeypatch.setattr(retries, "PATIENCE", 2 * ENDLESS)
    script.answers = [BUSY]
    ended: list[str] = []

    def ask() -> None:
        try:
            client.get(CONFIG_MAP, "c", "n")
        except ApiError as error:
            ended.append(error.reason)

    thread = threading.Thread(target=ask)
    thread.start()
    while not script.asked:
        time.sleep(0.01)
    client.hurry()
    thread.join(SOON)
    assert ended == ["ServiceUnavailable"]


def test_people_hear_that_it_waits_once_for_all_threads(
    script: Script, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from espalier.kube import outage

    monkeypatch.setattr(outage, "_QUIET", 0.1)
    # A request that is under way for long has a line of its own, which is not meant here.
    monkeypatch.setattr(outage, "_TICK", ENDLESS)
    lines: list[str] = []
    client.tell(lines.append)
    script.answers = [BUSY] * 40 + [OK]
    threads = [threading.Thread(target=client.get, args=(CONFIG_MAP, "c", "n")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A thread that was held up may meet the trouble when others know it is over: then it is told, and over, again.
    assert len(lines) in (2, 4)
    for trouble, over in zip(lines[::2], lines[1::2], strict=True):
        assert re.match(r"the API server has not done a request for \d+ s \(.*ServiceUnavailable it is", trouble)
        assert trouble.endswith(": trying again")
        assert over.startswith("the API server answers again, after ")


def test_a_page_that_came_too_late_makes_a_list_start_anew(script: Script, client: Client) -> None:
    item = {"metadata": {"name": "c"}}

    def page(**metadata: str) -> Answer:
        return said(200, {"items": [dict(item)], "metadata": {"resourceVersion": "1", **metadata}})

    script.answers = [page(**{"continue": "more"}), refused(410, "Expired"), page(**{"continue": "more"}), page()]
    assert len(client.list(CONFIG_MAP, "n")) == 2


def test_a_run_that_lost_its_lease_while_it_waited_writes_no_more(script: Script, client: Client) -> None:
    checks: list[int] = []

    def check() -> None:
        checks.append(len(script.asked))
        if len(checks) == 3:
            raise RuntimeError("lost")

    script.answers = [BUSY, BUSY, OK]
    guarded = client.before_writing(check)
    with pytest.raises(RuntimeError, match="lost"):
        guarded.apply(SENT)
    assert checks == [0, 1, 2]
    guarded.get(CONFIG_MAP, "c", "n")
    assert len(checks) == 3
