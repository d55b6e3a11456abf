"""Measures `up`, a no-op `up` and `destroy` of mixed objects against a bare loop of patches, a plan and lists.

    python bench/engine_mixed.py [KUBECONFIG] [--count 2000] [--runs 3]

Without a kubeconfig a simulated cluster is started for it. The bare loop is what one could write at best by hand: the
same objects, server-side apply by eight threads, wave by wave of the dependencies, and each wave awaited as the engine
awaits, by lists, ten a second. Every run measures all of it, one after another, on objects of its own. Plan, lists and
no-op up are short: they are measured in turn, five times, and a run's figure is the median of each. Their processor
seconds, of this process with all its threads, tell more than the clock's where other work is on the machine.

Goals for 2,000 objects: up at most 2.5 times the bare loop; no-op up at most 1.3 times a plan and one list a kind;
destroy at most as long as up.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from espalier import sim
from espalier.engine.destroy import destroy
from espalier.engine.manifest import kind_of, manifest_of
from espalier.engine.model import Recording
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.engine.up import up
from espalier.engine.values import reveal
from espalier.kube import ApiError, Client, Kind, UnknownKindError

CLUSTER = "bench-engine-mixed"
THREADS, POLL, TURNS = 8, 0.1, 5
FOLDER = Path(__file__).parent / "mixed"
# What a cluster's own controllers make of a stack goes with its namespaces, nodes and definition.
ROOTS = (Kind("v1", "Namespace"), Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"), Kind("v1", "Node"))
SERVICE, ENDPOINT_SLICE = Kind("v1", "Service"), Kind("discovery.k8s.io/v1", "EndpointSlice")
Manifest = dict[str, Any]


def program(prefix: str, count: int) -> Program:
    config = {"bench:count": str(count), "bench:prefix": prefix}
    return Program(FOLDER, "bench", prefix, config)


def waves(recording: Recording) -> list[list[Manifest]]:
    """The objects by how many others stand below them."""
    resources = {resource.urn: resource for resource in recording.resources}
    depths: dict[str, int] = {}

    def depth(urn: str) -> int:
        if urn not in depths:
            depths[urn] = 1 + max((depth(below) for below in resources[urn].dependencies), default=-1)
        return depths[urn]

    found: dict[int, list[Manifest]] = {}
    for resource in recording.resources:
        kind = kind_of(resource)
        if kind is not None:
            found.setdefault(depth(resource.urn), []).append(reveal(manifest_of(resource, kind)))
    return [found[key] for key in sorted(found)]


def bare_loop(client: Client, steps: list[list[Manifest]]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for step in steps:
            applied = list(pool.map(lambda manifest: patch(client, manifest), step))
            await_all(client, pool, applied)


def patch(client: Client, manifest: Manifest) -> Manifest:
    while True:
        try:
            return client.apply(manifest)
        except UnknownKindError:
            time.sleep(POLL)  # the definition is established, but not served everywhere yet


def await_all(client: Client, pool: ThreadPoolExecutor, applied: list[Manifest]) -> None:
    """Lists each awaited kind until all of this wave are ready; a Service when its endpoints are."""
    waiting: dict[Kind, set[tuple[str, str]]] = {}
    for obj in applied:
        kind = Kind(obj["apiVersion"], obj["kind"])
        if kind == SERVICE:
            waiting.setdefault(ENDPOINT_SLICE, set()).add(key(obj))
        elif kind.kind in READY and not READY[kind.kind](obj):
            waiting.setdefault(kind, set()).add(key(obj))
    while waiting:
        for kind, ready in zip(waiting, pool.map(lambda kind: ready_of(client, kind), waiting), strict=True):
            waiting[kind] -= ready
        waiting = {kind: names for kind, names in waiting.items() if names}
        if waiting:
            time.sleep(POLL)


def key(obj: Manifest) -> tuple[str, str]:
    metadata = obj["metadata"]
    name = metadata["labels"]["kubernetes.io/service-name"] if obj["kind"] == "EndpointSlice" else metadata["name"]
    return (metadata.get("namespace", ""), name)


def ready_of(client: Client, kind: Kind) -> set[tuple[str, str]]:
    return {key(obj) for obj in client.list(kind) if READY[kind.kind](obj)}


def condition(type_: str) -> Callable[[Manifest], bool]:
    return lambda obj: any(
        found["type"] == type_ and found["status"] == "True"
        for found in (obj.get("status") or {}).get("conditions") or ()
    )


# What the engine awaits of these kinds, in as few words.
READY: dict[str, Callable[[Manifest], bool]] = {
    "Namespace": lambda obj: (obj.get("status") or {}).get("phase") == "Active",
    "CustomResourceDefinition": condition("Established"),
    "Node": lambda obj: condition("Ready")(obj) and not obj["spec"].get("taints"),
    "Deployment": condition("Available"),
    "Job": condition("Complete"),
    "EndpointSlice": lambda obj: any(each["conditions"].get("ready") for each in obj.get("endpoints") or ()),
}


def lists(client: Client, kinds: Iterable[Kind]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(client.list, kinds))


def clocked(function: Callable[[], Any]) -> tuple[float, float]:
    """Seconds and processor seconds as in a process of its own: what an earlier run left is collected before."""
    gc.unfreeze()
    gc.collect()
    started, processor = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - started, time.process_time() - processor


def timed(function: Callable[[], Any]) -> float:
    """The seconds of it."""
    return clocked(function)[0]


def in_turn(functions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The median of each of several short functions, by the clock and by the processor."""
    turns = [{name: clocked(function) for name, function in functions.items()} for _ in range(TURNS)]
    results: dict[str, float] = {}
    for name in functions:
        for column, suffix in enumerate(("", ", processor")):
            results[name + suffix] = statistics.median(turn[name][column] for turn in turns)
    return results


def measure(client: Client, count: int, name: str) -> dict[str, float]:
    """One run of all; the bare loop's objects are gone when it ends, and so are the engine's."""
    steps = waves(record(program(f"bare-{name}", count)))
    mine = program(f"up-{name}", count)
    kinds = sorted({kind for resource in record(mine).resources if (kind := kind_of(resource))})
    results = {"bare loop": timed(lambda: bare_loop(client, steps))}
    clear(client, steps)
    results["up"] = timed(lambda: up(mine, connection=client.kubeconfig))
    results |= in_turn(
        {
            "plan": lambda: record(mine),
            "lists": lambda: lists(client, kinds),
            "no-op up": lambda: up(mine, connection=client.kubeconfig),
        }
    )
    results["destroy"] = timed(lambda: destroy(mine.project, mine.stack, client.kubeconfig))
    return results


def clear(client: Client, steps: list[list[Manifest]]) -> None:
    """Deletes the bare loop's objects and waits until they are gone, namespaces before the nodes of their pods."""
    for root in ROOTS:
        names = {obj["metadata"]["name"] for step in steps for obj in step if obj["kind"] == root.kind}
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(partial(client.delete, root), sorted(names)):
                pass
        while any(obj["metadata"]["name"] in names for obj in client.list(root)):
            time.sleep(POLL)


def report(runs: list[dict[str, float]], count: int) -> None:
    print(f"{count} mixed objects, {len(runs)} runs: median (smallest, largest)")
    for name in runs[0]:
        show(name, [run[name] for run in runs], " s")
    show("up / bare loop", [run["up"] / run["bare loop"] for run in runs], "   goal: at most 2.5")
    for suffix, unit in (("", "   goal: at most 1.3"), (", processor", "   the same by processor time")):
        noop = [run["no-op up" + suffix] / (run["plan" + suffix] + run["lists" + suffix]) for run in runs]
        show("no-op / (plan + lists)", noop, unit)
    show("destroy / up", [run["destroy"] / run["up"] for run in runs], "   goal: at most 1")


def show(name: str, values: list[float], unit: str) -> None:
    spread = f"({min(values):.2f}, {max(values):.2f})"
    print(f"{name:<24}{statistics.median(values):8.2f} {spread:<18}{unit}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kubeconfig", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    kubeconfig = args.kubeconfig or sim.up(CLUSTER).kubeconfig
    try:
        client = Client.connect(kubeconfig)
        runs: list[dict[str, float]] = []
        for index in range(args.runs):
            runs.append(measure(client, args.count, f"{int(time.time()) % 100000}-{index}"))
            print(f"run {index + 1}: {' '.join(f'{name} {value:.2f}' for name, value in runs[-1].items())}", flush=True)
    except ApiError as error:
        raise SystemExit(f"the cluster refused: {error}") from None
    finally:
        if args.kubeconfig is None:
            sim.down(CLUSTER)
    report(runs, args.count)


if __name__ == "__main__":
    main()
