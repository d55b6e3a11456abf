"""Measures time and memory of a stack of many mixed objects: plan, up, up with nothing to do, destroy.

    python bench/engine_many.py [KUBECONFIG] [--count 10000]

Without a kubeconfig a simulated cluster is started for it. Each step is a process of its own; what counts is the most
memory that it ever held (resident, 1 GB = 1,000,000,000 bytes). Goal: 10,000 objects in at most 1 GB.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

from engine_mixed import program

from espalier import sim
from espalier.engine.destroy import destroy
from espalier.engine.record import record
from espalier.engine.up import up

CLUSTER = "bench-engine-many"
STEPS = {"plan": "plan", "up": "up", "again": "up with nothing to do", "destroy": "destroy"}


def step(name: str, count: int, kubeconfig: Path) -> None:
    """One step in this process; prints its seconds and memory."""
    stack = program("many", count)
    started = time.perf_counter()
    if name == "plan":
        record(stack)
    elif name == "destroy":
        destroy(stack.project, stack.stack, kubeconfig)
    else:
        result = up(stack, connection=kubeconfig)
        changed = sum(change.op != "same" for change in result.changes)
        assert changed == (count if name == "up" else 0), f"{changed} objects changed"
    seconds = time.perf_counter() - started
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{STEPS[name]:<24}{seconds:8.1f} s{gigabytes:8.2f} GB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kubeconfig", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        step(args.step, args.count, args.kubeconfig)
        return
    kubeconfig = args.kubeconfig or sim.up(CLUSTER).kubeconfig
    print(f"{args.count} mixed objects: time, and the most memory")
    try:
        for name in STEPS:
            command = [sys.executable, __file__, str(kubeconfig), "--count", str(args.count), "--step", name]
            subprocess.run(command, check=True)
    finally:
        if args.kubeconfig is None:
            sim.down(CLUSTER)


if __name__ == "__main__":
    main()
