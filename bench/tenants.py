"""How a plan grows with tenants: 500 of them with five groups each, time a resource, and what one more costs.

Each plan runs in a process of its own. Processor time is told beside the clock's, which a busy machine changes.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SIZES = (1, 100, 500, 501)
GOAL = 3.5
"""Milliseconds a resource."""
MOST = 12
"""Resources a tenant."""


def main() -> int:
    found: dict[int, tuple[float, float, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for name in ("Pulumi.yaml", "__main__.py"):
            (project / name).write_text((ROOT / name).read_text())
        (project / "stacks").mkdir()
        for size in SIZES:
            found[size] = planned(project, size)
            clock, processor, resources = found[size]
            print(
                f"plan of {size:4} tenants, {resources:5} resources   {clock:6.2f} s, {processor:6.2f} s of processor"
            )
    one, many = found[1], found[500]
    each = (many[2] - one[2]) / 499
    by_clock, by_processor = ((many[at] - one[at]) * 1000 / (many[2] - one[2]) for at in (0, 1))
    growth = (many[1] - one[1]) / (found[100][1] - one[1])
    print(f"resources a tenant                    {each:6.2f}  (at most {MOST})")
    print(f"milliseconds a resource, clock        {by_clock:6.2f}  (goal {GOAL})")
    print(f"milliseconds a resource, processor    {by_processor:6.2f}  (goal {GOAL})")
    print(f"growth (t(500)-t(1)) / (t(100)-t(1))  {growth:6.2f}  (linear: {499 / 99:.2f})")
    return 0 if each <= MOST and by_processor <= GOAL else 1


def planned(project: Path, size: int) -> tuple[float, float, int]:
    """Seconds by the clock and of processor time, and how many resources the plan has."""
    path = project / "stacks" / f"Pulumi.t{size}.yaml"
    path.write_text(json.dumps({"config": config(size)}))
    clock, processor, said = ran("plan", str(path), "--json", folder=project)
    return clock, processor, len(json.loads(said)["resources"])


def ran(*arguments: str, folder: Path | None = None) -> tuple[float, float, bytes]:
    """Seconds by the clock and of processor time of a command in a process of its own, and what it printed."""
    command = [sys.executable, "-m", "espalier.cli", *arguments]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, env=dict(os.environ), cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    clock = time.perf_counter() - started
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return clock, processor, done.stdout


def config(tenants: int) -> dict[str, Any]:
    return {
        "espalier:cluster": {"kind": "simulated", "version": "1.36"},
        "espalier:pools": [{"name": "h100", "accelerator": "H100-80", "nodes": {"max": 4}}],
        "espalier:tenants": [
            {
                "name": f"team-{i}",
                "groups": {"view": [f"v{i}", f"w{i}"], "edit": [f"e{i}", f"f{i}"], "admin": [f"a{i}"]},
                "quota": {"devices": {"nvidia.com/gpu": 8}},
            }
            for i in range(tenants)
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
