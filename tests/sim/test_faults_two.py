"""Two `up` of one stack: one runs, the other says who does and changes nothing."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from espalier.engine.destroy import destroy
from espalier.engine.up import up
from espalier.kube import Client
from tests.sim.faults.proxy import Asked, HttpProxy
from tests.sim.faults.stack import PROJECT, items, live, open_gate, program, up_in_child, wrongs

STACK = "two-at-once"
ROUNDS = 10
SIZE = 1


@pytest.fixture
def client(kubeconfig: Path) -> Iterator[Client]:
    made = Client.connect(kubeconfig)
    yield made
    destroy(PROJECT, STACK, made)
    assert live(made, STACK) == []


def changed(asked: list[Asked]) -> list[Asked]:
    """What was written but the Lease, whose taking is how they find out, and dry runs."""
    return [each for each in asked if each.writes and "/leases" not in each.path and "dryRun=All" not in each.path]


def test_of_two_that_start_at_the_same_instant_exactly_one_runs(
    client: Client, kubeconfig: Path, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.sim.faults.stack"])
    with ExitStack() as stack:
        proxies = [stack.enter_context(HttpProxy(kubeconfig, tmp_path)) for _ in range(2)]
        logs = [tmp_path / "first.log", tmp_path / "second.log"]
        for count in range(ROUNDS):
            up(program(STACK, "ab"[count % 2], SIZE), connection=client)
            start = context.Barrier(2)
            children = [
                # The gate keeps the winner running until the loser has ended.
                context.Process(
                    target=up_in_child, args=(STACK, "gated", SIZE, proxy.kubeconfig, log, start), daemon=True
                )
                for proxy, log in zip(proxies, logs, strict=True)
            ]
            for proxy, child in zip(proxies, children, strict=True):
                proxy.reset()
                child.start()
            eventually(lambda found=children: any(child.exitcode is not None for child in found), 120)
            loser = next(index for index, child in enumerate(children) if child.exitcode is not None)
            winner = children[1 - loser]
            said = logs[loser].read_text()
            assert children[loser].exitcode == 1, f"round {count}: {said}"
            assert "another run works on this stack" in said
            found = re.search(r"pid (\d+) has been running `up` since", said)
            assert found, said
            assert int(found[1]) == winner.pid, said
            assert changed(proxies[loser].asked) == []
            held = proxies[1 - loser]
            eventually(lambda found=held: any(each.watches for each in found.asked), 120)
            open_gate(client, STACK)
            winner.join(120)
            assert winner.exitcode == 0, f"round {count}: {logs[1 - loser].read_text()}"
            assert wrongs(client, STACK, items(STACK, "gated", SIZE)) == []
