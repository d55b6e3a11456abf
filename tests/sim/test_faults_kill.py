"""`kill -9` of `up` at any request: the next `up` makes all as the program says, nothing is lost or there twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.engine.destroy import destroy
from espalier.engine.errors import EngineError
from espalier.engine.inventory import NAMESPACE
from espalier.engine.up import up
from espalier.kube import Client, KubeError, Reference
from tests.sim.audit import lines_of
from tests.sim.faults.proxy import NONE, Asked, Harm, HttpProxy
from tests.sim.faults.stack import CONFIG_MAP, PROJECT, SIZE, items, live, open_gate, program, up_in_child, wrongs

SEED = 4
ROUNDS = 30
STACK = "kills"
CHILD_SECONDS = 180.0


Killing = Callable[[Asked, Callable[[], None]], Harm]
"""Gets each request, and what kills."""


@dataclass
class Killer:
    """Runs `up` in a process of its own behind the proxy, and kills it where it is told."""

    proxy: HttpProxy
    client: Client
    folder: Path
    variant: str = ""

    def run(self, harm: Killing, variant: str = "") -> tuple[int, str, list[Asked]]:
        """An `up` of another variant; `harm` gets each request and what kills.

        Gives the exit code, the log and the requests.
        """
        self.variant = variant or ("b" if self.variant == "a" else "a")
        log = self.folder / "log"
        log.write_text("")
        child = multiprocessing.get_context("forkserver").Process(
            target=up_in_child, args=(STACK, self.variant, SIZE, self.proxy.kubeconfig, log), daemon=True
        )

        def kill() -> None:
            if child.pid is not None:
                os.kill(child.pid, signal.SIGKILL)

        self.proxy.reset(lambda asked: harm(asked, kill))
        child.start()
        child.join(CHILD_SECONDS)
        assert child.exitcode is not None, f"it hangs: {log.read_text()}"
        asked = self.proxy.asked
        self.proxy.reset()
        return child.exitcode, log.read_text(), asked

    def recover(self, variant: str = "") -> None:
        """What a person does: `up` again, of a program that may have changed. Then the cluster must be as it says."""
        self.variant = variant or self.variant
        up(program(STACK, self.variant), connection=self.client)
        problems = wrongs(self.client, STACK, items(STACK, self.variant))
        assert not problems, "\n".join(problems)


@pytest.fixture(scope="module")
def killer(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    multiprocessing.set_forkserver_preload(["tests.sim.faults.stack"])
    client = Client.connect(kubeconfig)
    folder = tmp_path_factory.mktemp("kills")
    with HttpProxy(kubeconfig, folder) as proxy:
        made = Killer(proxy, client, folder)
        code, log, _ = made.run(lambda _asked, _kill: NONE)
        assert (code, log.splitlines()[-1]) == (0, "ended")
        made.recover()
        yield made
        destroy(PROJECT, STACK, client)
        assert live(client, STACK) == []


def at(number: int, when: str) -> Killing:
    """Kills at a request: before the API server hears of it, or after it was done."""
    return lambda asked, kill: killed(when, kill) if asked.number == number else NONE


def killed(when: str, kill: Callable[[], None]) -> Harm:
    return Harm(cut="before" if when == "before" else "after", act=kill)


def nth(number: int, when: str, fits: Callable[[Asked], bool]) -> Killing:
    """Kills at the n-th request that fits."""
    left = [number]

    def harm(asked: Asked, kill: Callable[[], None]) -> Harm:
        left[0] -= fits(asked)
        return killed(when, kill) if fits(asked) and left[0] == 0 else NONE

    return harm


def writes_inventory(asked: Asked) -> bool:
    return asked.writes and "/inventory-" in asked.path


def deletes_objects(asked: Asked) -> bool:
    return asked.method == "DELETE" and f"/{NAMESPACE}/" not in asked.path


def test_what_is_counted_is_what_the_audit_log_has(
    killer: Killer, sim_cluster: sim.SimStatus, eventually: Callable[..., Any]
) -> None:
    """Reads are counted too, of which the log says nothing."""
    log = sim.audit_log_path(sim_cluster.name)
    start = len(lines_of(log))
    code, said, asked = killer.run(lambda _asked, _kill: NONE)
    assert code == 0, said
    counted = sorted(each.path for each in asked if each.writes)

    def logged() -> bool:
        events = [json.loads(line) for line in lines_of(log)[start:]]
        return sorted(event["requestURI"] for event in events if event.get("userAgent") == "espalier") == counted

    assert len(counted) > 2 * ROUNDS
    assert eventually(logged)
    killer.recover()


def test_it_comes_right_after_a_kill_at_any_request(killer: Killer) -> None:
    draw = random.Random(SEED)  # noqa: S311 - the same at each run
    code, _, asked = killer.run(lambda _asked, _kill: NONE)
    assert code == 0
    killer.recover()
    last = len(asked)
    for count in range(ROUNDS):
        number, when, then = draw.randint(1, last), draw.choice(("before", "after")), draw.choice("ab")
        code, log, asked = killer.run(at(number, when))
        while code == 0 and len(asked) < number:
            # A run may need fewer requests than the one before: it waits for less, and more share one write.
            number = draw.randint(1, len(asked))
            code, log, asked = killer.run(at(number, when))
        where = f"seed {SEED}, round {count}: killed {when} {asked[number - 1]} of about {last} requests, then {then}"
        assert code == -signal.SIGKILL, f"{where}: it ended by itself\n{log}"
        try:
            killer.recover(then)
        except (AssertionError, EngineError, KubeError) as error:
            raise AssertionError(f"{where}: {error}\n{log}") from error


@pytest.mark.parametrize("then", ["a", "b"])
@pytest.mark.parametrize(("number", "when"), [(1, "before"), (7, "after")])
def test_it_comes_right_after_a_kill_in_prune(killer: Killer, number: int, when: str, then: str) -> None:
    code, log, _ = killer.run(nth(number, when, deletes_objects))
    assert code == -signal.SIGKILL, log
    killer.recover(then)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_it_comes_right_after_a_kill_while_the_inventory_is_written(killer: Killer, number: int, when: str) -> None:
    before = killer.variant
    code, log, _ = killer.run(nth(number, when, writes_inventory))
    assert code == -signal.SIGKILL, log
    # What was made and is in no inventory would be left behind.
    killer.recover(before)


def test_it_comes_right_after_a_kill_in_a_wait(killer: Killer) -> None:
    def waits(asked: Asked) -> bool:
        return asked.watches and "/configmaps" in asked.path

    code, log, _ = killer.run(nth(1, "after", waits), "gated")
    assert code == -signal.SIGKILL, log
    assert killer.client.find_object(Reference(CONFIG_MAP, STACK, "behind")) is None
    open_gate(killer.client, STACK)
    killer.recover()
