"""Measures `up` against a bare loop of patches and against kubectl, on one cluster in one run.

    python bench/engine_up.py [KUBECONFIG] [--count 1000] [--runs 7]

Without a kubeconfig a simulated cluster is started for it.

Goals: `up` of 1,000 ConfigMaps at most 4 times the bare loop of eight threads and at most a sixth of
`kubectl apply --server-side`; an `up` with nothing to do at most 1.3 times a plan and one list a kind. That last
ratio is of a second or two on both sides: it is taken several times, each side in turn, and its median counts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from engine_mixed import show, timed

from espalier import sim
from espalier.engine.destroy import destroy
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.engine.up import up
from espalier.kube import Client, Kind, Reference

PROJECT, STACK = "bench", "engine-up"
CLUSTER = "bench-engine-up"
CONFIG_MAP, NAMESPACE = Kind("v1", "ConfigMap"), Kind("v1", "Namespace")
PROGRAM = """
import pulumi

count = pulumi.Config().require_int("count")
ns = pulumi.CustomResource("kubernetes:core/v1:Namespace", "ns", {"metadata": {"name": "bench-up"}})
for i in range(count):
    pulumi.CustomResource("kubernetes:core/v1:ConfigMap", f"cm-{i}", {
        "metadata": {"name": f"cm-{i}", "namespace": ns.metadata["name"]},
        "data": {"index": str(i), "text": "x" * 200},
    })
"""


def config_map(namespace: str, index: int) -> dict[str, Any]:
    metadata = {"name": f"cm-{index}", "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"index": str(index), "text": "x" * 200},
    }


def fresh_namespace(client: Client, name: str) -> None:
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def bare_loop(client: Client, count: int) -> None:
    fresh_namespace(client, "bench-bare")
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda index: client.apply(config_map("bench-bare", index)), range(count)):
            pass


def kubectls() -> dict[str, str]:
    """The simulated cluster's own kubectl, and the one on PATH where there is another: their speeds differ widely."""
    own = {"kubectl 1.36.3": str(sim.build() / "kubectl")}
    found = shutil.which("kubectl")
    return own | ({"kubectl on PATH": found} if found else {})


def kubectl(command: str, kubeconfig: Path, folder: Path, count: int) -> None:
    """Applies a folder with a file an object, as people keep them."""
    files = folder / "objects"
    files.mkdir(exist_ok=True)
    for index in range(count):
        (files / f"{index}.json").write_text(json.dumps(config_map("bench-kubectl", index)))
    arguments = ["--kubeconfig", str(kubeconfig), "apply", "--server-side", "-f", str(files)]
    subprocess.run([command, *arguments], check=True, stdout=subprocess.DEVNULL)


def lists(client: Client) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(client.list, [CONFIG_MAP, NAMESPACE]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kubeconfig", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=7, help="how often plan, lists and no-op up are measured")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "__main__.py").write_text(PROGRAM)
        program = Program(folder, PROJECT, STACK, {f"{PROJECT}:count": str(args.count)})
        if args.kubeconfig is None:
            args.kubeconfig = sim.up(CLUSTER).kubeconfig
        try:
            results = measure(args, program, folder)
        finally:
            sim.down(CLUSTER)
    print(f"{args.count} ConfigMaps: median (smallest, largest)")
    for key, seconds in results.items():
        show(key, seconds, " s")
    (once,) = results["up"]
    show("up / bare loop", [once / results["bare loop"][0]], "   goal: at most 4")
    for name in kubectls():
        show(f"{name} / up", [results[name][0] / once], "   goal: at least 6")
    rounds = zip(results["no-op up"], results["plan"], results["lists"], strict=True)
    show("no-op / (plan + lists)", [noop / (plan + lists) for noop, plan, lists in rounds], "   goal: at most 1.3")


def measure(args: argparse.Namespace, program: Program, folder: Path) -> dict[str, list[float]]:
    client = Client.connect(args.kubeconfig)
    destroy(PROJECT, STACK, client)
    record(program)
    results = {"bare loop": [timed(lambda: bare_loop(client, args.count))]}
    results["up"] = [timed(lambda: up(program, connection=args.kubeconfig))]
    for _ in range(args.runs):
        results.setdefault("plan", []).append(timed(lambda: record(program)))
        results.setdefault("lists", []).append(timed(lambda: lists(client)))
        results.setdefault("no-op up", []).append(timed(lambda: up(program, connection=args.kubeconfig)))
    results["destroy"] = [timed(lambda: destroy(PROJECT, STACK, args.kubeconfig))]
    for name, command in kubectls().items():
        fresh_namespace(client, "bench-kubectl")
        results[name] = [timed(partial(kubectl, command, args.kubeconfig, folder, args.count))]
        client.delete(NAMESPACE, "bench-kubectl")
        while client.find_object(Reference(NAMESPACE, "", "bench-kubectl")):
            time.sleep(1)
    client.delete(NAMESPACE, "bench-bare")
    return results


if __name__ == "__main__":
    main()
