"""How long a plan takes, what of it is Espalier's own, and how it grows with tenants.

Each command runs in a process of its own from a warm file cache; the median of several runs counts. The parts are
ratios of one run: machines differ and are noisy.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RUNS = 5
SIZES = (1, 100, 1000)


def main() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    plan = [sys.executable, "-m", "espalier.cli", "plan", str(ROOT / "stacks" / "Pulumi.local.yaml")]
    total = timed(plan, environment)
    imports = timed([sys.executable, "-c", "import pulumi, pydantic, yaml, rich.table, typer"], environment)
    own = own_imports(plan, environment)
    print(f"plan local                                   {total:6.2f} s")
    print(f"  importing pulumi, pydantic, yaml, rich, typer  {imports:6.2f} s  ({imports / total:.0%})")
    print(f"  importing Espalier's own modules               {own:6.2f} s  ({own / total:.0%})")
    print(f"  Espalier's own code in all (profile)           {own_code():6.2f} s")
    growth(environment)


def timed(command: list[str], environment: dict[str, str]) -> float:
    """Median wall time in seconds, after one run that does not count."""
    times: list[float] = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment, cwd=ROOT)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def own_imports(command: list[str], environment: dict[str, str]) -> float:
    """Seconds spent in the top level of Espalier's modules, without what they import."""
    shown = [command[0], "-X", "importtime", *command[1:]]
    done = subprocess.run(shown, check=True, capture_output=True, text=True, env=environment, cwd=ROOT)
    rows = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", done.stderr)
    return sum(int(micros) for micros, name in rows if name.split(".")[0] == "espalier") / 1e6


def own_code() -> float:
    """Seconds inside Espalier's functions during a plan, by a profile (which slows it: an upper bound)."""
    import cProfile
    import pstats

    from espalier.commands.plan import plan
    from espalier.commands.project import open_project

    profile = cProfile.Profile()
    profile.runcall(lambda: plan(open_project(str(ROOT / "stacks" / "Pulumi.local.yaml"))))
    stats: dict[Any, Any] = vars(pstats.Stats(profile))["stats"]
    own = [row for (file, _, _), row in stats.items() if "espalier" in file or file.startswith(str(ROOT))]
    return sum(row[2] for row in own if "site-packages" not in str(row))


def growth(environment: dict[str, str]) -> None:
    """(t(1,000 tenants) - t(1)) / (t(100) - t(1)): 11 or less is linear."""
    times: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for name in ("Pulumi.yaml", "__main__.py"):
            (project / name).write_text((ROOT / name).read_text())
        (project / "stacks").mkdir()
        for size in SIZES:
            path = project / "stacks" / f"Pulumi.t{size}.yaml"
            path.write_text(json.dumps({"config": config(size)}))
            started = time.perf_counter()
            command = [sys.executable, "-m", "espalier.cli", "plan", str(path), "--json"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, cwd=project)
            times[size] = time.perf_counter() - started
            print(f"plan of {size:5} tenants                        {times[size]:6.2f} s")
    ratio = (times[1000] - times[1]) / (times[100] - times[1])
    print(f"growth (t(1000) - t(1)) / (t(100) - t(1))    {ratio:6.2f}")


def config(tenants: int) -> dict[str, object]:
    return {
        "espalier:cluster": {"kind": "simulated", "version": "1.36"},
        "espalier:pools": [{"name": "h100", "accelerator": "H100-80", "nodes": {"max": 4}}],
        "espalier:tenants": [
            {"name": f"team-{i}", "groups": {"edit": [f"g{i}"]}, "quota": {"devices": {"nvidia.com/gpu": 8}}}
            for i in range(tenants)
        ],
    }


if __name__ == "__main__":
    main()
