"""Prints where the processor's time goes in a plan, an `up`, an `up` with nothing to do and a `destroy`.

    python bench/engine_profile.py [KUBECONFIG] [--count 1000] [--lines 15]

Without a kubeconfig a simulated cluster is started for it. All threads are profiled, by their processor time: waiting
for the API server counts nothing. First by layer, what is built in counted where it was called, then by function. A
profile makes Python's calls look dearer than they are, and what is written in C cheaper; the seconds without it are
printed before.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import io
import pstats
import re
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from engine_mixed import program

from espalier import sim
from espalier.engine.destroy import destroy
from espalier.engine.record import record
from espalier.engine.up import up

CLUSTER = "bench-engine-profile"
# The first pattern that a file's path holds names its layer.
LAYERS = (
    ("Pulumi's SDK", r"/site-packages/pulumi/"),
    ("Pulumi's stack traces", r"/(traceback|linecache)\.py"),
    ("protobuf", r"/google/protobuf/"),
    ("HTTP and TLS", r"/(urllib3|http|email)/|/(ssl|socket|selectors)\.py"),
    ("JSON", r"/json/"),
    ("event loop and threads", r"/(asyncio|concurrent)/|/(threading|queue)\.py"),
    ("Espalier: encoding", r"/espalier/engine/values\.py"),
    ("Espalier: engine", r"/espalier/engine/"),
    ("Espalier: API client", r"/espalier/kube/"),
    ("the program", r"/bench/"),
)
PREFIXES = r"/\S*/(site-packages|lib/python[\d.]+|espalier)/"
Function = tuple[str, int, str]


def tidy() -> None:
    """Collects what an earlier run left: a command is a process of its own."""
    gc.unfreeze()
    gc.collect()


def profiled(function: Callable[[], Any]) -> pstats.Stats:
    """Runs the function with a profile in each thread that is started meanwhile, and adds them up."""
    profiles: list[cProfile.Profile] = []

    def begin(*_: Any) -> None:
        profile = cProfile.Profile(time.thread_time)
        profiles.append(profile)
        profile.enable()

    tidy()
    threading.setprofile(begin)
    try:
        begin()
        function()
    finally:
        threading.setprofile(None)
        profiles[0].disable()
    stats = pstats.Stats(profiles[0])
    for profile in profiles[1:]:
        stats.add(profile)
    return stats


def show(name: str, stats: pstats.Stats, lines: int) -> None:
    seconds = by_layer(stats)
    total = sum(seconds.values())
    print(f"== {name}")
    for where, share in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"{where:<24}{share:8.2f} s {share / total:6.1%}")
    stream = io.StringIO()
    vars(stats)["stream"] = stream
    stats.sort_stats("tottime").print_stats(lines)
    text = stream.getvalue().partition("ncalls")[2]
    print(f"ncalls{re.sub(PREFIXES, '', text)}", flush=True)


def by_layer(stats: pstats.Stats) -> dict[str, float]:
    """Seconds by layer; what is built in counts where it was called."""
    table: dict[Function, Any] = vars(stats)["stats"]
    seconds: dict[str, float] = {}
    for function, (_, _, own, _, callers) in table.items():
        shares = [(caller, row[2]) for caller, row in callers.items()] if function[0] == "~" else [(function, own)]
        for where, share in shares:
            seconds[layer(where)] = seconds.get(layer(where), 0.0) + share
    return seconds


@cache
def layer(function: Function) -> str:
    return next((name for name, pattern in LAYERS if re.search(pattern, function[0])), "the rest of Python")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kubeconfig", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=15)
    args = parser.parse_args()
    stack = program("profile", args.count)
    kubeconfig = args.kubeconfig or sim.up(CLUSTER).kubeconfig
    steps: dict[str, Callable[[], Any]] = {
        "plan": lambda: record(stack),
        "up": lambda: up(stack, connection=kubeconfig),
        "up with nothing to do": lambda: up(stack, connection=kubeconfig),
        "destroy": lambda: destroy(stack.project, stack.stack, kubeconfig),
    }
    try:
        for profiling in (False, True):
            for name, function in steps.items():
                if profiling:
                    show(name, profiled(function), args.lines)
                    continue
                tidy()
                wall, cpu = time.perf_counter(), time.process_time()
                function()
                print(f"{name:<24}{time.perf_counter() - wall:8.2f} s, {time.process_time() - cpu:6.2f} s of processor")
    finally:
        if args.kubeconfig is None:
            sim.down(CLUSTER)


if __name__ == "__main__":
    main()
