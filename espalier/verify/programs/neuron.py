"""Trainium and Inferentia, by Neuron's own tools: `neuron-ls` lists the devices, `nccom-test` has them reduce.

That they reduce with the right sum is the proof that they compute; one device alone reduces over its cores.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

MARK = "espalier-probe: "
SIZE = "512MB"
_SECONDS = 300
_FAILED = "test failed"
_BUSBW = re.compile(r"Avg bus bandwidth:\s*([0-9]+(?:\.[0-9]+)?)\s*GB/s")


def main() -> None:
    """The whole run of one pod."""
    devices = listed(output(["neuron-ls", "--json-output"]))
    ranks = sum(devices)
    said = output(["nccom-test", "allr", "-r", str(ranks), "-b", SIZE, "-e", SIZE, "-d", "fp32", "--check"])
    speed = busbw(said)
    failed = [] if speed else [f"nccom-test over {ranks} cores told no bandwidth"]
    tell("found", {"devices": len(devices), "names": {}, "failed": failed})
    if os.environ["PROBE_MEASURES"] and speed:
        tell("measured", {"scope": "node", "devices": len(devices), "busbw": speed})
    if failed:
        sys.exit("not all devices compute")


def listed(said: str) -> list[int]:
    """Cores of each device as `neuron-ls --json-output` lists them, grouped as the runtime groups them.

    Source: Neuron documentation, neuron-ls: `nc_count`, `logical_neuroncore_config` (2 of Trainium2 are one).
    """
    try:
        rows: Any = json.loads(said)
        return [row["nc_count"] // (row.get("logical_neuroncore_config") or 1) for row in rows]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


def busbw(said: str) -> float | None:
    """GB/s (10^9) of what nccom-test sums up in GiB/s: `Avg bus bandwidth:      40.6901GB/s`; None where it failed.

    Source: Neuron documentation, NCCOM-TEST: the columns' units, and `1 errors found - test failed`.
    """
    found = _BUSBW.search(said)
    return None if found is None or _FAILED in said else round(float(found[1]) * 2**30 / 1e9, 2)


def output(command: list[str]) -> str:
    """What a tool prints, which is also told; nothing where it is missing or does not end."""
    path = {**os.environ, "PATH": f"/opt/aws/neuron/bin:{os.environ.get('PATH', '')}"}
    try:
        done = subprocess.run(command, check=False, env=path, stdout=subprocess.PIPE, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{command[0]}: {error}", flush=True)
        return ""
    print(done.stdout, flush=True)
    return done.stdout


def tell(what: str, value: dict[str, Any]) -> None:
    """One line for who reads the log."""
    print(MARK + json.dumps({what: value}), flush=True)


if __name__ == "__main__":
    main()
