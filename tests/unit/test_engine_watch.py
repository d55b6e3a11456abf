"""What a watch lives through: too old a version, an API server that refuses for a moment, versions of other kinds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from espalier.engine import follower
from espalier.engine.waiting import READY, State, Wait
from espalier.engine.watcher import Watcher
from espalier.kube import ApiError, Client, Event, Kind, Kubeconfig, Reference

THING = Kind("example.com/v1", "Thing")
REFERENCE = Reference(THING, "n", "x")


def thing(version: str, **data: str) -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "n", "uid": "u", "resourceVersion": version}
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": metadata, "data": data}


class Changes:
    """Stands for a watch: gives events, then ends, fails or stays open."""

    def __init__(self, *events: Event | ApiError | None) -> None:
        self.events = events
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Event]:
        for event in self.events:
            if event is None:
                self.closed.wait(30)
                return
            if isinstance(event, ApiError):
                raise event
            yield event

    def close(self) -> None:
        self.closed.set()


class Scripted(Client):
    """Answers lists and watches in the order of a script; the last of each stays."""

    def __init__(self, lists: list[Any], watches: list[Changes]) -> None:
        super().__init__(Client.connect(Kubeconfig(context="none", server="http://127.0.0.1:1"))._transport)
        self.lists, self.watches = lists, watches
        self.from_versions: list[str] = []

    def list_at(self, kind: Kind, namespace: str | None = None, **query: str) -> tuple[list[dict[str, Any]], str]:
        if kind != THING:
            return [], "1"
        answer = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(answer, ApiError):
            raise answer
        return answer

    def watch(self, kind: Kind, resource_version: str, *rest: Any, **query: Any) -> Any:
        self.from_versions.append(resource_version)
        return self.watches.pop(0) if len(self.watches) > 1 else self.watches[0]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_RETRY_PAUSE", 0.01)


def outcome(client: Client, applied: str = "5", seconds: float = 60.0) -> State | None:
    """How a wait for `data.go` ends, or None where it goes on."""
    ended: list[State] = []
    watcher = Watcher(client, lambda _: None)
    wait = Wait(lambda obj, _: READY if obj["data"].get("go") else State("not yet"), 60, "go")
    watcher.until_ready(thing(applied), REFERENCE, wait, lambda state, _: ended.append(state))
    until = time.monotonic() + seconds
    while not ended and time.monotonic() < until:
        time.sleep(0.01)
    watcher.close()
    return ended[0] if ended else None


def test_a_version_that_is_too_old_is_listed_anew() -> None:
    gone = Changes(ApiError(410, "Expired", "too old"))
    client = Scripted([([thing("5")], "6"), ([thing("9", go="yes")], "10")], [gone, Changes(None)])
    assert outcome(client) == READY
    assert client.from_versions[0] == "6"


def test_a_watch_that_ends_goes_on_from_where_it_was() -> None:
    first = Changes(Event("BOOKMARK", thing("8")))
    second = Changes(Event("MODIFIED", thing("9", go="yes")), None)
    client = Scripted([([thing("5")], "6")], [first, second])
    assert outcome(client) == READY
    assert client.from_versions[:2] == ["6", "8"]


def test_a_refusal_counts_only_when_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_REFUSED_FOR_GOOD", 60.0)
    forbidden = ApiError(403, "Forbidden", "may not list things")
    client = Scripted([forbidden, forbidden, ([thing("9", go="yes")], "10")], [Changes(None)])
    assert outcome(client) == READY
    monkeypatch.setattr(follower, "_REFUSED_FOR_GOOD", 0.2)
    refused = outcome(Scripted([forbidden], [Changes(None)]))
    assert refused is not None
    assert refused.failed
    assert "cannot be watched: may not list things" in refused.text


def test_states_older_than_what_was_applied_do_not_count() -> None:
    assert outcome(Scripted([([thing("4", go="yes")], "6")], [Changes(None)]), "5", 1.0) is None
    assert outcome(Scripted([([thing("10", go="yes")], "11")], [Changes(None)]), "9") == READY


def test_versions_that_are_no_numbers_all_count() -> None:
    assert outcome(Scripted([([thing("a4", go="yes")], "b")], [Changes(None)]), "z9") == READY
