"""Measures what a real autoscaler does on a simulated cluster: wakes, a stock-out, 1,000 pods, random faults in a row.

    python bench/elasticity.py [--wakes 100] [--stock-outs 20] [--pods 1000] [--faults 50] [--seed 1]

Goals: of 100 wakes, pending to Running p50 at most 10 s, p95 20 s; with spot sold out, to Running on on-demand p95 at
most 60 s; 1,000 pods over 5 pools within 120 s; 50 random faults in a row lose no job and leave no node. The load of
the machine is printed with the figures. Karpenter is built first, outside of what is measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from espalier import sim
from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, names
from espalier.blueprint.pools import PoolPlan
from espalier.engine.up import up
from espalier.kube import Client, Kind, reference_of
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


def clear(client: Client) -> None:
    """Deletes all pods, and waits until the pools are at zero."""
    client.request("DELETE", "/api/v1/namespaces/default/pods")
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
    running = "status.phase=Running"
    wait("many pods", lambda: len(client.list(POD, "default", fieldSelector=running)) == count)
    seconds = time.monotonic() - started
    nodes = len(client.list(NODE, labelSelector=NODE_POOL))
    clear(client)
    return seconds, nodes


def spread(seconds: Sequence[float]) -> str:
    """p50 and p95."""
    return f"{statistics.median(seconds):.1f} / {statistics.quantiles(seconds, n=20)[18]:.1f} s"


def measure(client: Client, blueprint: Blueprint, wanted: argparse.Namespace) -> None:
    """Measures all, and prints a row as soon as it is known."""
    pools = [pool for pool in blueprint.pools if pool.node_pools]
    spot = [pool for pool in pools if len(pool.shapes) > 1]
    print("| what | measured | goal | load |")
    print("|---|---|---|---|", flush=True)

    def row(what: str, measured: str, goal: str) -> None:
        print(f"| {what} | {measured} | {goal} | {os.getloadavg()[0]:.1f} |", flush=True)

    row(f"{wanted.wakes} wakes, p50 / p95", spread(wakes(client, pools, wanted.wakes, "wake")), "10 / 20 s")
    sim.fault(NAME, "karpenter", "no-spot")
    seconds = spread(wakes(client, spot, wanted.stock_outs, "stock-out"))
    sim.fault(NAME, "karpenter", "in-stock")
    row(f"spot sold out, {wanted.stock_outs} times, Running on on-demand, p50 / p95", seconds, "p95 60 s")
    took, nodes = many(client, pools, wanted.pods)
    row(f"{wanted.pods} pods over {len(pools)} pools, on {nodes} nodes, all Running", f"{took:.1f} s", "120 s")
    found = havoc(blueprint, client, NAME, faults=wanted.faults, seed=wanted.seed, progress=tell)
    lost = f"{len(found.lost)} of {found.jobs} jobs lost, {len(found.stuck)} nodes stuck, {found.seconds:.0f} s in all"
    row(f"{wanted.faults} random faults in a row, seed {wanted.seed}", lost, "none lost, none stuck")
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
        measure(client, blueprint, wanted)
    finally:
        sim.down(NAME)


if __name__ == "__main__":
    main()
