"""How long a plan of a whole profile takes from a filled cache, beside one of the `local` stack in the same run.

    python bench/stack_plan.py [--profile full] [--runs 5] [--lines 0]

Upstream's manifests stand in for what charts render, with the pods' seccomp profile that the records' values give
them, and a DaemonSet for the one that they lack (istio-cni). They lie in the cache as renders of this stack, pinned by
a lock. Each plan is a process of its own; processor time is told beside the clock's, which a busy machine changes. With
`--lines`, that many functions of a profile are printed as well. Goal: a plan of `full` in at most 4 s.
"""

from __future__ import annotations

import argparse
import copy
import cProfile
import os
import pstats
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from espalier.addons import RECORDS  # noqa: E402 - the checkout's own packages, tests among them
from espalier.blueprint.bundles import BUNDLES  # noqa: E402
from espalier.charts.cache import Cache  # noqa: E402
from espalier.charts.lock import Entry, write_lock  # noqa: E402
from espalier.charts.place import Place  # noqa: E402
from espalier.charts.prepare import contents_of, with_content  # noqa: E402
from espalier.charts.render import Request, key_of  # noqa: E402
from espalier.charts.tool import Item  # noqa: E402
from espalier.commands.plan import plan  # noqa: E402
from espalier.commands.project import open_project  # noqa: E402
from espalier.content import ManifestSource  # noqa: E402
from espalier.settings import load_file  # noqa: E402
from tests.upstream.staged import ABSENT, UPSTREAM, items_of  # noqa: E402

GOAL = 4.0
"""Seconds for `full`."""
SMALL = {"cpu": "10m", "memory": "16Mi"}
POOLS: list[dict[str, Any]] = [
    {"name": "system", "machine": {"cpu": 64, "memory": "512Gi"}, "nodes": {"min": 3, "max": 3}},
    {"name": "l4", "accelerator": "L4", "count": 1, "nodes": {"min": 1, "max": 1}},
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=BUNDLES, default="full")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lines", type=int, default=0)
    args = parser.parse_args()
    if not UPSTREAM.is_dir():
        print("skipped: upstream's facts are not beside the checkout")
        return 0
    with tempfile.TemporaryDirectory() as name:
        stack = filled(Path(name), {"profile": args.profile})
        local = planned(ROOT / "stacks" / "Pulumi.local.yaml", args.runs)
        show("plan local", local, local)
        whole = planned(stack, args.runs)
        show(f"plan {args.profile}", whole, local)
        show(f"plan {args.profile} --json", planned(stack, args.runs, "--json"), local)
        if args.lines:
            profiled(stack, args.lines)
    return 0 if args.profile != "full" or whole[1] <= GOAL else 1


def show(what: str, measured: tuple[float, float], local: tuple[float, float]) -> None:
    clock, processor = measured
    times = f"{clock / local[0]:.1f} and {processor / local[1]:.1f} times local"
    print(f"{what:<20}{clock:6.2f} s, {processor:6.2f} s of processor  ({times})", flush=True)


def filled(folder: Path, config: Mapping[str, Any]) -> Path:
    """A project with one stack, its lock, and a cache that holds what its charts render; the stack's file."""
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "stacks").mkdir()
    stack = folder / "stacks" / "Pulumi.bench.yaml"
    whole = {"cluster": {"kind": "simulated"}, "pools": POOLS, "sources": {"cache": "cache"}, **config}
    stack.write_text(yaml.safe_dump({"config": {f"espalier:{key}": value for key, value in whole.items()}}))
    settings, place = load_file(stack).settings, Place(stack.parent, "bench")
    cache, pins = Cache(stack.parent / "cache"), dict[str, Entry]()
    for id, (record, inputs) in with_content(settings, RECORDS, place).items():
        content = record.content
        assert content is not None
        items = [stand_in(id, content.namespace)] if id in ABSENT else [confined(item) for item in items_of(id)]
        source = content.source
        plain = isinstance(source, ManifestSource)
        digest = cache.put(yaml.safe_dump_all([item.object for item in items]).encode() if plain else id.encode())
        values, version = content.values(inputs), inputs.facts.kubernetes_version
        request = Request(id, content, values, version, cache.path(digest), digest)
        if not plain:
            cache.put_render(key_of(request), [asdict(item) for item in items])
        pins[id] = Entry(source.address, source.version, digest)
    write_lock(place.lock, pins)
    contents, mistakes = contents_of(settings, RECORDS, place)
    assert not mistakes, mistakes
    write_lock(place.lock, {id: replace(pin, facts=contents[id].facts) for id, pin in pins.items()})
    return stack


def confined(item: Item) -> Item:
    """As Pod Security's level of the record's namespaces asks for it."""
    if item.object["kind"] not in ("DaemonSet", "Deployment", "Job", "StatefulSet"):
        return item
    whole = copy.deepcopy(item.object)
    pod = whole["spec"]["template"]["spec"]
    pod["securityContext"] = {"seccompProfile": {"type": "RuntimeDefault"}, **(pod.get("securityContext") or {})}
    return Item(item.source, item.crd, whole)


def stand_in(id: str, namespace: str) -> Item:
    """On every node, as a proof asks of what it stands for."""
    pod = {
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": id, "image": f"registry.example.com/{id}:1.0.0", "resources": {"requests": SMALL}}],
    }
    template = {"metadata": {"labels": {"app": id}}, "spec": pod}
    spec = {"selector": {"matchLabels": {"app": id}}, "template": template}
    metadata = {"name": id, "namespace": namespace}
    return Item(id, False, {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec})


def planned(stack: Path, runs: int, *more: str) -> tuple[float, float]:
    """Medians of seconds by the clock and of processor time."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "espalier.cli", "plan", str(stack), *more]
    quiet = subprocess.DEVNULL
    clocks: list[float] = []
    processors: list[float] = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=environment, cwd=stack.parents[1])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):  # policies may judge what upstream's own values give
            raise SystemExit(f"{stack.name}: plan ended with {process.returncode}")
        clocks.append(time.perf_counter() - started)
        processors.append(usage.ru_utime + usage.ru_stime)
    return statistics.median(clocks[1:]), statistics.median(processors[1:])


def profiled(stack: Path, lines: int) -> None:
    """Prints where the processor's time goes in this process' own threads, but for those of registrations."""
    os.chdir(stack.parents[1])
    profile = cProfile.Profile(time.process_time)
    profile.runcall(lambda: plan(open_project(str(stack))))
    pstats.Stats(profile).sort_stats("tottime").print_stats(lines)


if __name__ == "__main__":
    sys.exit(main())
