"""SIGINT and SIGTERM: the command stops in order, says where it stands, and the next one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from espalier.engine.destroy import destroy
from espalier.engine.namespace import LEASE, NAMESPACE
from espalier.kube import Client
from tests.sim.faults.proxy import NONE, Asked, Harm, HttpProxy
from tests.sim.faults.stack import GATE, UNWRITTEN, items, live, open_gate, wrongs

STACK = "signals"
PROJECT = "faults"
SIZE = 4
SECONDS = 60.0
"""Far more than it takes to stop, far less than what it waits for would."""
MAIN = f"""
from pathlib import Path
from tests.sim.faults.stack import register

register("{STACK}", Path("variant").read_text(), {SIZE})
"""
PULUMI = {"name": PROJECT, "runtime": "python", "stackConfigDir": "stacks"}


@dataclass
class Command:
    """`espalier up` in a folder of its own, as people run it."""

    folder: Path
    proxy: HttpProxy
    client: Client
    variant: str = ""
    """What the cluster is now."""

    def start(self, variant: str) -> subprocess.Popen[str]:
        (self.folder / "variant").write_text(variant)
        return subprocess.Popen(
            [sys.executable, "-m", "espalier.cli", "up", STACK, "--yes", "--engine", "embedded"],
            cwd=self.folder,
            env={**os.environ, "XDG_STATE_HOME": str(self.folder / "state")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def check(self, variant: str) -> None:
        process = self.start(variant)
        text, _ = process.communicate(timeout=180)
        assert process.returncode == 0, text
        self.variant = variant
        problems = wrongs(self.client, STACK, items(STACK, variant, SIZE))
        assert not problems, "\n".join(problems)


@pytest.fixture(scope="module")
def command(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    folder = tmp_path_factory.mktemp("signals")
    client = Client.connect(kubeconfig)
    with HttpProxy(kubeconfig, folder) as proxy:
        (folder / "stacks").mkdir()
        (folder / "__main__.py").write_text(MAIN)
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(PULUMI))
        cluster = {"kind": "existing", "version": "1.36", "kubeconfig": str(proxy.kubeconfig), "context": "proxy"}
        stack = {"config": {"espalier:cluster": cluster}}
        (folder / "stacks" / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(stack))
        made = Command(folder, proxy, client)
        made.check("a")
        yield made
    destroy(PROJECT, STACK, client)
    assert live(client, STACK) == []


def applies(asked: Asked) -> bool:
    return asked.method == "PATCH" and f"/namespaces/{STACK}/" in asked.path and "dryRun" not in asked.path


def creates(asked: Asked) -> bool:
    """What is there then has a UID that only the answer told: the inventory has it if it was written in the end."""
    return applies(asked) and "/b-" in asked.path


def waits(asked: Asked) -> bool:
    return asked.watches and "/configmaps" in asked.path


def prunes(asked: Asked) -> bool:
    return asked.method == "DELETE" and f"/namespaces/{STACK}/" in asked.path


PHASES: dict[str, tuple[str, Callable[[Asked], bool], str]] = {
    "apply": ("b", creates, "a"),
    "wait": ("gated", waits, "gated"),
    "prune": ("b", prunes, "b"),
}
LAST = {"apply": "-y", "prune": "-x"}
"""What comes last of each pair of objects: it is not begun any more."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", PHASES)
def test_it_stops_in_order_and_the_next_one_goes_on(command: Command, phase: str, number: signal.Signals) -> None:
    variant, fits, then = PHASES[phase]
    command.proxy.reset()
    if command.variant == variant:
        command.check("a")
    signalled: list[float] = []

    def harm(asked: Asked) -> Harm:
        if signalled or not fits(asked):
            # What comes after the signal is slow, so that there is something left to stop.
            return Harm(delay=1.5) if signalled and (applies(asked) or prunes(asked)) else NONE
        signalled.append(time.monotonic())
        return Harm(act=lambda: process.send_signal(number))

    command.proxy.reset(harm)
    process = command.start(variant)
    text, _ = process.communicate(timeout=180)
    ended = time.monotonic()
    assert signalled, text
    assert process.returncode == 128 + number, text
    assert ended - signalled[0] < SECONDS, text
    assert number.name in text
    assert "objects are as the program says" in text
    assert "Traceback" not in text
    if phase in LAST:
        begun = [asked for asked in command.proxy.asked if fits(asked) and LAST[phase] in asked.path]
        assert len(begun) <= 1, "it went on; one may have been on its way"
    else:
        assert f"ConfigMap {STACK}/{GATE}: not done, since the run was stopped while waiting for" in text
    left = wrongs(command.client, STACK, items(STACK, variant, SIZE))
    assert left, "it was over before it was stopped"
    assert not [problem for problem in left if problem.startswith(UNWRITTEN)], "the inventory was not written"
    assert command.client.list(LEASE, NAMESPACE) == [], "the Lease was not given back"
    command.proxy.reset()
    if phase == "wait":
        open_gate(command.client, STACK)
    command.check(then)
