"""Brings a whole profile up on a simulated cluster, and again with nothing to do, beside kubectl with the same objects.

    python bench/stack_up.py [--profile full] [--kubectl PATH]

The content is that of `bench/stack_plan.py`. kubectl gets what the plan registers, wave by wave of the dependencies:
one `kubectl apply --server-side` a wave, then `kubectl wait` and `kubectl rollout status` for what `up` awaits as well.
Each side has a new cluster, whose start counts on neither. kubectl is the simulated cluster's own (1.36.3) unless one
is named. Goals for `full`: up in at most 180 s, and in at most half of kubectl's time; again in at most 15 s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from stack_plan import UPSTREAM, filled

from espalier import sim
from espalier.blueprint.bundles import BUNDLES
from espalier.commands.project import open_project, program_of
from espalier.engine.manifest import kind_of, manifest_of
from espalier.engine.model import Recording
from espalier.engine.record import record
from espalier.engine.values import reveal

CLUSTER = "bench-stack-up"
UP, AGAIN, RATIO = 180.0, 15.0, 0.5
PATIENCE = "--timeout=600s"
Manifest = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=BUNDLES, default="full")
    parser.add_argument("--kubectl", type=Path)
    args = parser.parse_args()
    if not UPSTREAM.is_dir():
        print("skipped: upstream's facts are not beside the checkout")
        return 0
    kubectl = args.kubectl or sim.build() / "kubectl"
    cluster = {"kind": "simulated", "name": CLUSTER}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        stack = filled(Path(folder), {"profile": args.profile, "cluster": cluster})
        try:
            sim.down(CLUSTER)
            sim.up(CLUSTER)
            up, again = measured_up(stack), measured_up(stack)
            sim.down(CLUSTER)
            kubeconfig = sim.up(CLUSTER).kubeconfig
            applied, awaited = by_kubectl([str(kubectl), "--kubeconfig", str(kubeconfig)], stack, Path(folder))
        finally:
            sim.down(CLUSTER)
    whole = args.profile == "full"
    print(f"up                          {up:7.1f} s{f'  goal: at most {UP:.0f}' if whole else ''}")
    print(f"up, nothing to do           {again:7.1f} s{f'  goal: at most {AGAIN:.0f}' if whole else ''}")
    print(f"kubectl apply               {applied:7.1f} s")
    print(f"kubectl apply and wait      {applied + awaited:7.1f} s")
    print(f"up / kubectl apply          {up / applied:7.2f}")
    print(f"up / kubectl apply and wait {up / (applied + awaited):7.2f}{f'  goal: at most {RATIO}' if whole else ''}")
    met = up <= UP and again <= AGAIN and up <= RATIO * (applied + awaited)
    return 0 if met or not whole else 1


def measured_up(stack: Path) -> float:
    """Seconds of one `up` as a command; prints them with the processor's, the changes and the waves."""
    command = [sys.executable, "-m", "espalier.cli", "up", str(stack), "--yes", "--json"]
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=False
    )  # what it waits for is told on stderr
    clock, after = time.perf_counter() - started, os.times()
    document = json.loads(done.stdout)
    if done.returncode:
        raise SystemExit(json.dumps(document.get("errors", document), indent=1)[:5000])
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    changed = [change for change in document["changes"] if change["op"] != "same"]
    print(f"up: {clock:.1f} s, {processor:.1f} s of processor, {len(changed)} of {len(document['changes'])} changed")
    for wave in document["waves"]:
        print(f"  {wave['name']:<10}{wave['seconds']:7.1f} s")
    sys.stdout.flush()
    return clock


def by_kubectl(kubectl: Sequence[str], stack: Path, folder: Path) -> tuple[float, float]:
    """Seconds of applying and of awaiting all waves."""
    applied = awaited = 0.0
    for number, wave in enumerate(waves(record(program_of(open_project(str(stack)))))):
        file = folder / f"wave-{number}.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": wave}))
        first = timed([[*kubectl, "apply", "--server-side", "-f", str(file)]])
        then = timed([[*kubectl, *words] for words in waits(wave)])
        print(f"kubectl, wave {number:<3}{len(wave):5} objects: {first:6.1f} s, awaited {then:6.1f} s", flush=True)
        applied, awaited = applied + first, awaited + then
    return applied, awaited


def waves(recording: Recording) -> list[list[Manifest]]:
    """The objects by how many others stand below them, those below their components among them."""
    resources = {resource.urn: resource for resource in recording.resources}
    depths: dict[str, int] = {}

    def depth(urn: str) -> int:
        if urn not in depths:
            resource = resources[urn]
            below = [each for each in (*resource.dependencies, resource.parent) if each in resources]
            depths[urn] = max(map(depth, below), default=0) + (kind_of(resource) is not None)
        return depths[urn]

    found: dict[int, list[Manifest]] = {}
    for resource in recording.resources:
        kind = kind_of(resource)
        if kind is not None:
            found.setdefault(depth(resource.urn), []).append(reveal(manifest_of(resource, kind)))
    return [found[key] for key in sorted(found)]


def timed(commands: Sequence[Sequence[str]]) -> float:
    started = time.perf_counter()
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return time.perf_counter() - started


CONDITIONS = {
    "CustomResourceDefinition": "Established",
    "Deployment": "Available",
    "Job": "Complete",
    "Node": "Ready",
}


def waits(wave: Sequence[Manifest]) -> Iterator[list[str]]:
    """What one would write by hand: a wait for each kind and namespace, and for each rollout without a condition."""
    together: dict[tuple[str, str], list[str]] = defaultdict(list)
    for obj in wave:
        kind, metadata = obj["kind"], obj["metadata"]
        if kind in CONDITIONS:
            together[kind, metadata.get("namespace", "")].append(f"{kind.lower()}/{metadata['name']}")
        elif kind in ("DaemonSet", "StatefulSet"):
            yield ["rollout", "status", "-n", metadata["namespace"], f"{kind.lower()}/{metadata['name']}", PATIENCE]
    for (kind, namespace), names in together.items():
        yield [
            "wait",
            f"--for=condition={CONDITIONS[kind]}",
            PATIENCE,
            *(["-n", namespace] if namespace else []),
            *names,
        ]


if __name__ == "__main__":
    sys.exit(main())
