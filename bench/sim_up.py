"""Measures the simulated cluster: seconds until ready, memory, and seconds until 1,000 accelerator nodes are Ready.

Run it on a quiet machine: ``python bench/sim_up.py [NODES]``. The binaries are built first, outside of what is
measured. Goals: ready in 10 s; at most 1.2 GB resident, all processes summed; 1,000 nodes Ready in 90 s.
"""

import json
import ssl
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import urllib3
import yaml

from espalier import sim

NAME = "bench-sim-up"
SHAPE = {"cpu": "96", "memory": "1Ti", "pods": "110", "nvidia.com/gpu": "8"}
THREADS = 8


def _api(name: str) -> Callable[[str, str, object], dict[str, Any]]:
    """Ask the API as the administrator: method, path, body."""
    pki = sim.kubeconfig_path(name).parent / "pki"
    config = yaml.safe_load(sim.kubeconfig_path(name).read_text(encoding="utf-8"))
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    pool = urllib3.PoolManager(ssl_context=context, maxsize=THREADS, timeout=60)
    server = config["clusters"][0]["cluster"]["server"]

    def ask(method: str, path: str, body: object = None) -> dict[str, object]:
        response = pool.request(method, server + path, body=None if body is None else json.dumps(body))
        assert response.status < 300, response.data
        return json.loads(response.data)

    return ask


def _node(number: int) -> dict[str, object]:
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    return {
        "metadata": {"name": f"gpu-{number:04}", "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"taints": [taint]},
        "status": {"capacity": SHAPE, "allocatable": SHAPE},
    }


def _ready_nodes(ask: Callable[[str, str, object], dict[str, Any]]) -> int:
    nodes: list[dict[str, Any]] = ask("GET", "/api/v1/nodes", None)["items"]
    conditions = [condition for node in nodes for condition in node["status"].get("conditions", [])]
    return sum(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _memory(status: sim.SimStatus, kind: str) -> float:
    """GB of all processes: ``Rss`` counts what they share once each, ``Pss`` once in all."""
    total = 0
    for part in status.components:
        for line in Path(f"/proc/{part.pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{kind}:"):
                total += int(line.split()[1])
    return total * 1024 / 1e9


def _cpu_seconds(status: sim.SimStatus) -> float:
    ticks = 0
    for part in status.components:
        fields = Path(f"/proc/{part.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / 100


def main(count: int) -> None:
    """Measure with ``count`` nodes and print a table."""
    sim.build(lambda line: print(line, file=sys.stderr))
    sim.down(NAME)
    try:
        started = time.monotonic()
        status = sim.up(NAME)
        up = time.monotonic() - started
        started = time.monotonic()
        sim.up(NAME)
        again = time.monotonic() - started
        empty = (_memory(status, "Rss"), _memory(status, "Pss"))

        ask = _api(NAME)
        started = time.monotonic()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda number: ask("POST", "/api/v1/nodes", _node(number)), range(count)))
        created = time.monotonic() - started
        while _ready_nodes(ask) < count:
            time.sleep(0.5)
        ready = time.monotonic() - started
        full = (_memory(status, "Rss"), _memory(status, "Pss"))
        before = _cpu_seconds(status)
        time.sleep(30)
        load = (_cpu_seconds(status) - before) / 30
    finally:
        started = time.monotonic()
        sim.down(NAME)
        down = time.monotonic() - started
    print("| what | measured | goal |")
    print("|---|---|---|")
    print(f"| `sim up`, new cluster, ready | {up:.1f} s | 10 s |")
    print(f"| `sim up`, running already | {again:.2f} s | 1 s |")
    print(f"| memory, empty cluster (resident / shared pages once) | {empty[0]:.2f} / {empty[1]:.2f} GB | 1.2 GB |")
    print(f"| {count} nodes of 8 GPUs created / all Ready | {created:.1f} / {ready:.1f} s | 90 s |")
    print(f"| memory with {count} nodes (resident / shared pages once) | {full[0]:.2f} / {full[1]:.2f} GB | |")
    print(f"| processor use with {count} idle nodes | {load:.2f} cores | |")
    print(f"| `sim down` | {down:.1f} s | |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
