"""How long a plan of each cloud stack takes, in how much memory, and whose SDKs it imports.

Each plan runs in a process of its own from a warm file cache; the median of several runs counts, beside that of the
`local` stack in the same run. The goals: at most 3 s and 400 MB, and no other cloud's SDK.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
RUNS = 5
SDKS = {"eks": "pulumi_aws", "gke": "pulumi_gcp", "aks": "pulumi_azure_native"}
_WITH_IMPORTS = """
import sys
from espalier.cli import main
try:
    main()
finally:
    print(",".join(sorted({name.split(".")[0] for name in sys.modules} & set(%r))), file=sys.stderr)
"""


def main() -> None:
    print(f"{'stack':<12} {'s':>6} {'x local':>8} {'MB':>6}  SDKs")
    local, memory, _ = measured(ROOT / "stacks" / "Pulumi.local.yaml")
    print(f"{'local':<12} {local:6.2f} {1:8.2f} {memory:6.0f}")
    for path in sorted((ROOT / "stacks").glob("Pulumi.*.yaml")):
        kind = yaml.safe_load(path.read_text("utf-8"))["config"].get("espalier:cluster", {}).get("kind")
        if kind not in SDKS:
            continue
        seconds, memory, sdks = measured(path)
        name = path.name.split(".")[1]
        others = [sdk for sdk in sdks if sdk != SDKS[kind]]
        print(f"{name:<12} {seconds:6.2f} {seconds / local:8.2f} {memory:6.0f}  {', '.join(sdks)}")
        if others:
            raise SystemExit(f"{name} imports {', '.join(others)}")


def measured(stack: Path) -> tuple[float, float, list[str]]:
    """Median seconds, the largest memory in MB (10^6 bytes), and the SDKs that were imported."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    code = _WITH_IMPORTS % (sorted(SDKS.values()),)
    times: list[float] = []
    memory: list[float] = []
    said = ""
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", code, "plan", str(stack)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, _, usage = os.wait4(process.pid, 0)
        times.append(time.perf_counter() - started)
        memory.append(usage.ru_maxrss * 1024 / 1e6)
    sdks = said.strip().splitlines()[-1] if said.strip() else ""
    return statistics.median(times[1:]), max(memory), [sdk for sdk in sdks.split(",") if sdk]


if __name__ == "__main__":
    main()
