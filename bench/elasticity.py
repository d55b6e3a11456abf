"""Measures what a real autoscaler does on a simulated cluster: wakes, a stock-out, 1,000 pods, random faults in a row.

    python bench/elasticity.py [--wakes 100] [--stock-outs 20] [--pods 1000] [--faults 50] [--seed 1]

Goals: of 100 wakes, pending to Running p50 at most 10 s, p95 20 s; with spot sold out, to Running on on-demand p95 at
most 60 s; 1,000 pods over 5 pools within 120 s; 50 random faults in a row lose no job and leave no node. The load of
the machine is printed with the figures, and "missed" where a goal is; the exit code is 1 then. Karpenter is built
first, outside of what is measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from espalier import sim
from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, names
from espalier.blueprint.pools import PoolPlan
from espalier.engine.up import up
from espalier.kube import ApiError, Client, Kind, UnreachableError, reference_of
from espalier.settings import load_file
from espalier.verify.elastic import NODE_POOL
from espalier.verify.havoc import havoc
from espalier.verify.pods import POD, probe_pod
from espalier.verify.rehearse import Rehearsal

NAME = "bench-elasticity"
ROOT = Path(__file__).parents[1]
STACK = ROOT / "bench" / "elastic" / "Pulumi.bench.yaml"
NODE = Kind("v1", "Node")
BATCH, THREADS, PATIENCE = 20, 8, 600.0
WAKE_P50, WAKE_P95, STOCK_OUT_P95, MANY = 10.0, 20.0, 60.0, 120.0
"""The goals, in seconds."""


def pod(name: str, pool: PoolPlan, devices: dict[str, int]) -> dict[str, Any]:
    """A pod for a pool, whichever kind of capacity it gets."""
    taints = dict.fromkeys(taint for shape in pool.shapes for taint in shape.taints)
    return probe_pod(name, "default", devices, tolerate=tuple(taints), select=names.selector_of(pool.shape))


def wait(what: str, done: Callable[[], bool]) -> None:
    """Looks twenty times a second; who waits longer than PATIENCE has found something else to measure."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {PATIENCE:.0f} s")
        time.sleep(0.05)


def wakes(client: Client, pools: Sequence[PoolPlan], count: int, word: str) -> list[float]:
    """Seconds from a pod's creation to Running, one pod after another; each needs a node that is not there yet."""
    found: list[float] = []
    for number in range(count):
        pool, name = pools[number % len(pools)], f"{word}-{number}"
        manifest = pod(name, pool, dict(pool.shape.devices))
        started = time.monotonic()
        client.create(manifest)
        wait(name, partial(runs, client, manifest))
        found.append(time.monotonic() - started)
        if number % BATCH == BATCH - 1:
            clear(client)
    clear(client)
    return found


def runs(client: Client, manifest: dict[str, Any]) -> bool:
    """Whether the pod runs. One that was evicted is made anew, as its owner would, and the time goes on."""
    live = client.find_object(reference_of(manifest))
    if live is None:
        tell(f"{manifest['metadata']['name']} was evicted before it ran, and is made anew")
        client.create(manifest)
        return False
    return live["status"]["phase"] == "Running"


def all_run(client: Client, count: int) -> None:
    """Waits until so many pods run, by a watch: lists of a thousand, one after another, keep the API server busy."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            pods, version = client.list_at(POD, "default")
            running = {pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"}
            changes = iter(client.watch(POD, version, "default", seconds=60))
            while len(running) < count:
                event = next(changes)
                if event.type == "MODIFIED" and event.object["status"]["phase"] == "Running":
                    running.add(event.object["metadata"]["name"])
                elif event.type == "DELETED":
                    running.discard(event.object["metadata"]["name"])
        except (StopIteration, UnreachableError):
            continue  # the watch has ended
        except ApiError as error:
            if error.status not in (410, 504):  # the server's own view lags behind, or has gone on
                raise
        else:
            return
    raise SystemExit(f"many pods: not within {PATIENCE:.0f} s")


def clear(client: Client) -> None:
    """Deletes all pods, and waits until the pools are at zero."""
    client.request("DELETE", "/api/v1/namespaces/default/pods", timeout=PATIENCE)
    wait("to zero", lambda: not client.list(NODE, labelSelector=NODE_POOL))


def many(client: Client, pools: Sequence[PoolPlan], count: int) -> tuple[float, int]:
    """Seconds until so many pods of one device run, spread over the pools; and the nodes that were made."""
    pods = [
        pod(f"many-{number}", pool, dict.fromkeys(pool.shape.devices, 1))
        for number in range(count)
        for pool in (pools[number % len(pools)],)
    ]
    started = time.monotonic()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(client.create, pods))
    all_run(client, count)
    seconds = time.monotonic() - started
    nodes = len(client.list(NODE, labelSelector=NODE_POOL))
    clear(client)
    return seconds, nodes


@dataclass
class Table:
    """Prints a row as soon as it is known, and remembers whether each goal was met."""

    missed: list[str] = field(default_factory=list[str])

    def head(self) -> None:
        print("| what | measured | goal | | load |", flush=True)
        print("|---|---|---|---|---|", flush=True)

    def row(self, what: str, measured: str, goal: str, *, met: bool) -> None:
        print(f"| {what} | {measured} | {goal} | {'met' if met else 'missed'} | {os.getloadavg()[0]:.1f} |", flush=True)
        if not met:
            self.missed.append(what)


def p95(seconds: Sequence[float]) -> float:
    """The 95th percentile; of a single one, itself."""
    return statistics.quantiles(seconds, n=20)[18] if len(seconds) > 1 else seconds[0]


def spread(seconds: Sequence[float]) -> str:
    """p50 and p95."""
    return f"{statistics.median(seconds):.1f} / {p95(seconds):.1f} s"


def measure(client: Client, blueprint: Blueprint, wanted: argparse.Namespace, table: Table) -> None:
    """Measures all that is wanted."""
    pools = [pool for pool in blueprint.pools if pool.node_pools]
    spot = [pool for pool in pools if len(pool.shapes) > 1]
    table.head()
    if wanted.wakes:
        took = wakes(client, pools, wanted.wakes, "wake")
        met = statistics.median(took) <= WAKE_P50 and p95(took) <= WAKE_P95
        goal = f"{WAKE_P50:.0f} / {WAKE_P95:.0f} s"
        table.row(f"{wanted.wakes} wakes, p50 / p95", spread(took), goal, met=met)
    if wanted.stock_outs:
        sim.fault(NAME, "karpenter", "no-spot")
        took = wakes(client, spot, wanted.stock_outs, "stock-out")
        sim.fault(NAME, "karpenter", "in-stock")
        what = f"spot sold out, {wanted.stock_outs} times, Running on on-demand, p50 / p95"
        table.row(what, spread(took), f"p95 {STOCK_OUT_P95:.0f} s", met=p95(took) <= STOCK_OUT_P95)
    if wanted.pods:
        seconds, nodes = many(client, pools, wanted.pods)
        what = f"{wanted.pods} pods over {len(pools)} pools, on {nodes} nodes, all Running"
        table.row(what, f"{seconds:.1f} s", f"{MANY:.0f} s", met=seconds <= MANY)
    if wanted.faults:
        found = havoc(blueprint, client, NAME, faults=wanted.faults, seed=wanted.seed, progress=tell)
        lost = (
            f"{len(found.lost)} of {found.jobs} jobs lost, {len(found.stuck)} nodes stuck, {found.seconds:.0f} s in all"
        )
        what = f"{wanted.faults} random faults in a row, seed {wanted.seed}"
        table.row(what, lost, "none lost, none stuck", met=found.ok)
        for each in (*found.lost, *found.stuck):
            tell(each)


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Brings the bench's stack up, measures, and takes it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wakes", type=int, default=100)
    parser.add_argument("--stock-outs", type=int, default=20)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    rehearsal = Rehearsal.of(load_file(STACK), NAME, root=ROOT, project="espalier", records=RECORDS)
    blueprint = rehearsal.blueprint
    try:
        status = sim.up(NAME, progress=tell, machines=blueprint.machines, warden=blueprint.warden)
        client = Client.connect(status.kubeconfig)
        up(rehearsal.program, connection=client)
        table = Table()
        measure(client, blueprint, wanted, table)
    finally:
        sim.down(NAME)
    if table.missed:
        raise SystemExit(f"missed: {'; '.join(table.missed)}")


if __name__ == "__main__":
    main()
