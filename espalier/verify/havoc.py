"""Many random faults in a row on a simulated cluster whose autoscaler is real: no job may be lost, no node stuck.

Where the stack names the warden, pools are gated, nodes that lose a device are replaced, and it is killed too.

The order is drawn from a seed; what is there to be hit depends on how quick the cluster is, so two runs of a seed are
alike, not equal.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from espalier import sim
from espalier.blueprint import Blueprint, names
from espalier.blueprint.pools import PoolPlan
from espalier.kube import Client, Kind
from espalier.sim import SimError
from espalier.verify.disruption import RUN_SECONDS
from espalier.verify.elastic import NODE_POOL, classes_of
from espalier.verify.model import Json
from espalier.verify.nodes import NODE
from espalier.verify.pods import probe_pod

NAMESPACE = "espalier-havoc"
JOB = Kind("batch/v1", "Job")
CLAIM = Kind("karpenter.sh/v1", "NodeClaim")
_NAMESPACE = Kind("v1", "Namespace")
PROCESSES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "karpenter")
ENDS = {"not-ready": "ready", "lose-device": "return-device", "slow-driver": "quick-driver", "no-spot": "in-stock"}
"""What ends a fault that lasts."""
_ONCE = ("slow-driver", "no-spot")
"""What is so for all of a cluster: it cannot be so twice."""
_AT_ONCE = 12
"""Jobs that there are before the first fault; each fault comes with one more."""


@dataclass
class Havoc:
    """What was done, and what did not recover from it."""

    faults: list[str] = field(default_factory=list[str])
    jobs: int = 0
    lost: tuple[str, ...] = ()
    """Jobs that did not finish, with what they say."""
    stuck: tuple[str, ...] = ()
    """Nodes that the autoscaler made, or was to make, and that are still there."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.lost and not self.stuck


def havoc(
    blueprint: Blueprint,
    client: Client,
    cluster: str,
    *,
    faults: int,
    seed: int,
    patience: float = 300.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Havoc:
    """Inflicts so many faults while jobs run, mends all, and waits until jobs and nodes are gone, or patience is."""
    draw = random.Random(seed)  # noqa: S311 - a drill's order is no secret
    result = Havoc()
    started = time.monotonic()
    pools = [pool for pool in blueprint.pools if pool.node_pools]
    processes = (*PROCESSES, *(("warden",) if blueprint.warden else ()))
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    try:
        for _ in range(_AT_ONCE):
            _add_job(client, result, draw, pools)
        lasting: list[str] = []
        while len(result.faults) < faults:
            said = _one(cluster, draw, pools, lasting, processes)
            if said is None:
                continue
            result.faults.append(said)
            progress(f"{len(result.faults)} of {faults}: {said}")
            _add_job(client, result, draw, pools)
            time.sleep(draw.uniform(0.0, 1.5))  # faults come when they come
        progress("mending all")
        for kind in set(lasting):
            _end(cluster, kind)
        sim.up(cluster)
        result.lost = _wait(lambda: _unfinished(client), patience)
    finally:
        client.delete(_NAMESPACE, NAMESPACE)
    result.stuck = _wait(lambda: _nodes(client), patience)
    result.seconds = time.monotonic() - started
    return result


def _one(
    cluster: str, draw: random.Random, pools: Sequence[PoolPlan], lasting: list[str], processes: Sequence[str]
) -> str | None:
    """One fault, or None where there is nothing now that it could hit. One that lasts may first end an earlier one."""
    if lasting and draw.random() < 0.5:
        _end(cluster, lasting.pop(draw.randrange(len(lasting))))
    kind = draw.choice(("kill", "reclaim-spot", *ENDS))
    if kind in _ONCE and kind in lasting:
        return None
    pool = draw.choice(pools).name
    try:
        match kind:
            case "kill":
                process = draw.choice(processes)
                sim.fault(cluster, process, "kill")
                sim.up(cluster)
                return f"{process} killed, and mended"
            case "no-spot":
                sim.fault(cluster, "karpenter", kind)
                hit: tuple[str, ...] = ()
            case "reclaim-spot":
                hit = sim.fault(cluster, "karpenter", kind, pool=pool)
            case "slow-driver":
                hit = sim.fault(cluster, "nodes", kind, seconds=draw.randint(2, 10))
            case _:
                hit = sim.fault(cluster, "nodes", kind, pool=pool)
    except SimError:
        return None
    if kind in ENDS:
        lasting.append(kind)
    return " ".join((kind, *hit))


def _end(cluster: str, kind: str) -> None:
    try:
        sim.fault(cluster, "karpenter" if kind == "no-spot" else "nodes", ENDS[kind])
    except SimError:  # the node that it hit is gone by now
        return


def _add_job(client: Client, result: Havoc, draw: random.Random, pools: Sequence[PoolPlan]) -> None:
    pool = draw.choice(pools)
    devices = draw.choice(list(classes_of(pool).values()))
    name = f"job-{result.jobs}"
    result.jobs += 1
    client.create(_job(name, pool, devices, draw.randint(2, 20)))


def _job(name: str, pool: PoolPlan, devices: dict[str, int], seconds: int) -> Json:
    """Work that runs so long, and again as often as its node goes."""
    taints = dict.fromkeys(taint for shape in pool.shapes for taint in shape.taints)
    pod = probe_pod(name, NAMESPACE, devices, tolerate=tuple(taints), select=names.selector_of(pool.shape))
    ignored = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    template = {
        "metadata": {"annotations": {RUN_SECONDS: str(seconds)}},
        "spec": pod["spec"] | {"restartPolicy": "Never"},
    }
    spec = {"backoffLimit": 3, "podFailurePolicy": {"rules": ignored}, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _unfinished(client: Client) -> tuple[str, ...]:
    jobs = [job for job in client.list(JOB, NAMESPACE) if job.get("status", {}).get("succeeded") != 1]
    return tuple(f"{job['metadata']['name']}: {job.get('status', {})}" for job in jobs)


def _nodes(client: Client) -> tuple[str, ...]:
    live = [*client.list(NODE, labelSelector=NODE_POOL), *client.list(CLAIM)]
    return tuple(f"{each['kind']} {each['metadata']['name']}" for each in live)


def _wait(look: Callable[[], tuple[str, ...]], seconds: float) -> tuple[str, ...]:
    """What is left when nothing is, or after so many seconds."""
    deadline = time.monotonic() + seconds
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return left
