"""500 tenants with five groups each on a simulated cluster: `up`, one more, and the isolation of a sample of them.

    python bench/tenants_live.py [TENANTS]

Each command runs in a process of its own, as people call it, after the binaries are built. Processor time is told
beside the clock's, which a busy machine changes.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from pathlib import Path

from tenants import ROOT, config, ran

from espalier import sim
from espalier.commands.project import open_project
from espalier.commands.target import client_of
from espalier.verify.isolation import isolation_tasks
from espalier.verify.model import Context, Outcome
from espalier.verify.run import THREADS

CLUSTER, STACK = "bench-tenants", "many"
UP, MORE, MATRIX, SAMPLE = 240.0, 5.0, 60.0, 50
"""Goals in seconds: `up`; one more tenant beyond its plan; the isolation of so many tenants."""


def main(count: int) -> int:
    sim.build()
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for name in ("Pulumi.yaml", "__main__.py"):
            Path(name).write_text((ROOT / name).read_text())
        Path("stacks").mkdir()
        try:
            return measure(count)
        finally:
            sim.down(CLUSTER)


def measure(count: int) -> int:
    sim.down(CLUSTER)
    write(count)
    before = command("plan", STACK)
    up = command("up", STACK, "--yes")
    again = command("up", STACK, "--yes")
    write(count + 1)
    plan, more = command("plan", STACK), command("up", STACK, "--yes")
    began, worked = time.perf_counter(), time.process_time()
    failed = isolation(SAMPLE)
    matrix = time.perf_counter() - began, time.process_time() - worked
    for what, (clock, processor), goal in (
        (f"plan of {count} tenants", before, ""),
        (f"up of {count} tenants, its cluster's start too", up, f"at most {UP:.0f}"),
        ("up again, nothing to do", again, ""),
        (f"plan of {count + 1}", plan, ""),
        ("up of one more", more, ""),
        ("up of one more, beyond its plan", (more[0] - plan[0], more[1] - plan[1]), f"at most {MORE:.0f}"),
        (f"isolation of {min(SAMPLE, count)}", matrix, f"at most {MATRIX:.0f}"),
    ):
        print(f"{what:<46} {clock:7.2f} s, {processor:6.2f} s of processor   {goal}")
    for line in failed:
        print(f"not isolated: {line}")
    fine = up[0] <= UP and more[0] - plan[0] <= MORE and matrix[0] <= MATRIX and not failed
    return 0 if fine else 1


def write(count: int) -> None:
    content = config(count)
    content["espalier:cluster"]["name"] = CLUSTER
    Path(f"stacks/Pulumi.{STACK}.yaml").write_text(json.dumps({"config": content}))


def command(*arguments: str) -> tuple[float, float]:
    """Seconds by the clock and of the command's own processor time."""
    clock, processor, _ = ran(*arguments, "--json")
    return clock, processor


def isolation(sample: int) -> list[str]:
    """Makes the check of some tenants, the same each time; what failed."""
    project = open_project(STACK)
    context = Context(project.blueprint, client_of(project), simulated=True, probe=True)
    tasks = isolation_tasks(context)
    drawn = random.Random(1).sample(tasks, min(sample, len(tasks)))  # noqa: S311 (no secret: the same sample each time)
    with ThreadPoolExecutor(THREADS) as workers:
        found = zip(drawn, workers.map(lambda task: task.run(), drawn), strict=True)
        return [f"{task.name}: {one}" for task, one in found if not (isinstance(one, Outcome) and one.ok)]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
