"""Clocks that are an hour off: no decision hangs on what another machine's clock says."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from espalier.engine.destroy import destroy
from espalier.engine.errors import RefusedError
from espalier.engine.lease import SECONDS
from espalier.engine.up import up
from espalier.kube import Client
from tests.sim.faults.proxy import HttpProxy
from tests.sim.faults.stack import PROJECT, items, live, open_gate, program, up_elsewhere, wrongs

STACK = "clocks"
SIZE = 1


@pytest.fixture
def client(kubeconfig: Path) -> Iterator[Client]:
    made = Client.connect(kubeconfig)
    yield made
    destroy(PROJECT, STACK, made)
    assert live(made, STACK) == []


@pytest.fixture
def proxy(kubeconfig: Path, tmp_path: Path) -> Iterator[HttpProxy]:
    with HttpProxy(kubeconfig, tmp_path) as made:
        yield made


def started(hours: float, proxy: HttpProxy, log: Path, eventually: Callable[..., Any]) -> Any:
    """An `up` on a machine whose clock is off, that waits at the gate."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.sim.faults.stack"])
    child = context.Process(target=up_elsewhere, args=(hours, STACK, "gated", SIZE, proxy.kubeconfig, log), daemon=True)
    child.start()
    eventually(lambda: any(asked.watches for asked in proxy.asked), 120)
    return child


def test_a_run_whose_clock_is_behind_is_not_taken_for_dead(
    client: Client, proxy: HttpProxy, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    child = started(-1.0, proxy, tmp_path / "log", eventually)
    with pytest.raises(RefusedError, match="another run works on this stack"):
        up(program(STACK, "a", SIZE), connection=client)
    assert child.exitcode is None
    open_gate(client, STACK)
    child.join(120)
    assert child.exitcode == 0, (tmp_path / "log").read_text()
    assert wrongs(client, STACK, items(STACK, "gated", SIZE)) == []


def test_a_run_whose_clock_is_ahead_is_not_waited_for_once_it_is_dead(
    client: Client, proxy: HttpProxy, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    child = started(1.0, proxy, tmp_path / "log", eventually)
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    lines: list[str] = []
    began = time.monotonic()
    up(program(STACK, "b", SIZE), connection=client, progress=lines.append)
    # By that clock the Lease is good for an hour more.
    assert time.monotonic() - began < SECONDS + 120
    assert any("did not renew its lease" in line for line in lines)
    assert wrongs(client, STACK, items(STACK, "b", SIZE)) == []
