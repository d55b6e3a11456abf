"""What people see while the engine waits, on a terminal and without one."""

from __future__ import annotations

import io
import threading
import time
from typing import Any

import pytest
from rich.console import Console

from espalier.engine import display, events
from espalier.engine.display import Display, LiveView, Waiting
from espalier.kube import ApiError, Client, Kind, Kubeconfig, Reference
from espalier.report import console as module
from espalier.report.console import Progress

DEPLOYMENT = Kind("apps/v1", "Deployment")
LATE = Waiting(Reference(DEPLOYMENT, "team", "x"), 34, "1 of 3 replicas available")


class Answers(Client):
    """Answers lists of events from a table of field selectors, and counts them."""

    def __init__(self, **answers: list[Any]) -> None:
        super().__init__(Client.connect(Kubeconfig(context="none", server="http://127.0.0.1:1"))._transport)
        self.answers = answers
        self.asked: list[str] = []

    def list(self, kind: Kind, namespace: str | None = None, **query: str) -> list[dict[str, Any]]:
        self.asked.append(query["fieldSelector"])
        if "broken" in self.answers:
            raise ApiError(403, "Forbidden", "events are secret")
        return self.answers["warnings" if "Warning" in query["fieldSelector"] else "own"]


def event(reason: str, name: str = "x", when: str = "1") -> dict[str, Any]:
    return {"reason": reason, "message": "m", "involvedObject": {"name": name}, "lastTimestamp": when}


def test_a_warning_about_a_pod_says_more_than_what_its_owner_did() -> None:
    client = Answers(warnings=[event("FailedScheduling", "x-1"), event("Other", "y-1", "2")], own=[event("Scaling")])
    assert events.latest_event(client, LATE.reference) == "FailedScheduling: m"


def test_the_newest_event_counts_and_none_may_be_read() -> None:
    client = Answers(warnings=[], own=[event("Old"), event("New", when="2"), event("Older", when="0")])
    assert events.latest_event(client, LATE.reference) == "New: m"
    assert events.latest_event(Answers(broken=[]), LATE.reference) == ""


def test_events_are_asked_only_for_what_is_shown_and_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_EVERY", 60.0)
    client = Answers(warnings=[], own=[event("Pulling")])
    closed = threading.Event()
    shown: list[str] = []
    shows = Display(client, shown.append, closed)
    many = [
        Waiting(Reference(Kind("v1", "Pod"), "n", f"p{i}"), 100 - i, "condition Ready is missing") for i in range(50)
    ]
    for _ in range(3):
        shows.show(many)
        time.sleep(0.6)
    deadline = time.monotonic() + 60
    while not client.asked and time.monotonic() < deadline:
        time.sleep(0.05)
    closed.set()
    assert 1 <= len(client.asked) == len(set(client.asked)) <= 4


def test_without_a_view_a_line_says_for_what_and_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "_LINE_EVERY", 0.0)
    lines: list[str] = []
    shows = Display(Answers(warnings=[], own=[]), lines.append, threading.Event())
    shows.show([Waiting(LATE.reference, 1, "soon")])
    assert lines == []
    shows.show([Waiting(LATE.reference, 6, "a"), LATE, Waiting(LATE.reference, 5, "b")])
    assert lines == ["3 waiting: Deployment team/x 34 s: 1 of 3 replicas available"]


def progress(*, terminal: bool, width: int = 60) -> tuple[Progress, io.StringIO, list[str]]:
    file, drawn = io.StringIO(), list[str]()

    class Status:
        def update(self, text: str) -> None:
            drawn.append(text)

    console = Console(file=file, force_terminal=terminal, width=width)
    return Progress(console, Status() if terminal else None), file, drawn


def test_on_a_terminal_those_who_wait_longest_are_drawn_below_the_line() -> None:
    shown, _, drawn = progress(terminal=True)
    assert isinstance(shown, LiveView)
    shown("create ConfigMap team/[a]")
    long = Waiting(LATE.reference, 5, "text " * 40, "FailedScheduling: no nodes")
    shown.waiting(12, [LATE, long])
    first, count, late, cut = drawn[-1].split("\n")
    assert first.startswith(r"create ConfigMap team/\[a]")
    assert "12 waiting" in count
    assert late.strip() == "Deployment team/x 34 s: 1 of 3 replicas available"
    assert cut.endswith("…")
    assert len(cut) <= 60
    shown.waiting(0, ())
    assert "waiting" not in drawn[-1]


def test_without_a_terminal_a_line_comes_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, file, _ = progress(terminal=False, width=200)
    shown.waiting(12, [LATE])
    assert file.getvalue() == ""
    monkeypatch.setattr(module, "WAITING_EVERY", 0.0)
    late = Waiting(LATE.reference, LATE.seconds, LATE.text, "FailedScheduling: no nodes")
    shown.waiting(12, [late])
    line = "12 waiting: Deployment team/x 34 s: 1 of 3 replicas available; latest event FailedScheduling: no nodes"
    assert file.getvalue().strip().endswith(line)
