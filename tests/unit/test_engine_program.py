"""How a program is run: that its cost grows with its size only, and what a run leaves behind."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from espalier.engine.model import Resource
from espalier.engine.monitor import Answer, Engine, Monitor
from espalier.engine.program import Program, run
from espalier.engine.record import record

COUNT = 200


def register(count: int = COUNT) -> None:
    for index in range(count):
        pulumi.CustomResource("kubernetes:core/v1:ConfigMap", f"c{index}", {"metadata": {"name": f"c{index}"}})


class Slow:
    """A backend that answers one after another, as a cluster does."""

    def register(self, resource: Resource) -> Answer:
        time.sleep(0.01)
        return Answer("", resource.inputs)


def test_answers_that_come_one_by_one_are_not_awaited_all_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []
    wait = asyncio.wait

    def counted(futures: Any, **options: Any) -> Any:
        waited.append(len(futures))
        return wait(futures, **options)

    monkeypatch.setattr(asyncio, "wait", counted)
    run(Program(register, "demo", "test"), Monitor("demo", "test", Slow()), Engine(), dry_run=True)
    assert sum(waited) < 5 * COUNT


def test_a_program_may_be_a_coroutine() -> None:
    async def body() -> None:
        await asyncio.sleep(0)
        register(2)

    recording = record(Program(body, "demo", "test"))
    assert [resource.name for resource in recording.resources] == ["demo-test", "c0", "c1"]


@pytest.fixture
def collector() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
def test_the_next_run_collects_what_a_run_left_behind() -> None:
    left: list[int] = []
    for _ in range(3):
        record(Program(register, "demo", "test"))
        assert gc.isenabled()
        left.append(gc.get_freeze_count())
    assert abs(left[2] - left[1]) < 20 * COUNT, "a registration leaves more than two hundred objects"


@pytest.mark.usefixtures("collector")
def test_a_collector_that_was_off_is_left_alone() -> None:
    gc.unfreeze()
    gc.disable()
    record(Program(register, "demo", "test"))
    assert not gc.isenabled()
    assert not gc.get_freeze_count()
