"""`stock-out`, `reclaim`, `device-lost`: spot is sold out, spot nodes are taken back, nodes lose a device.

What the real autoscaler and, where it is there, the warden make of it.

Drills that break something for all pools at once; they are made one after the other, on simulated clusters only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from espalier import sim
from espalier.blueprint import names
from espalier.blueprint.gates import CONFIG
from espalier.blueprint.pools import PoolPlan
from espalier.kube import Kind, Reference, reference_of
from espalier.sim import SimError
from espalier.verify.elastic import NODE_POOL, delete_pod, revived, scaled, waiting_pod, wake_pods
from espalier.verify.model import Context, Json, NotProven, Outcome, Task
from espalier.verify.nodes import NODE
from espalier.verify.pods import POD
from espalier.verify.stage import Stage, devices_text

JOB = Kind("batch/v1", "Job")
STOCK_OUT_SECONDS = 60.0
RECLAIM_SECONDS = 120.0
WARDEN_SECONDS = 60
"""A warden that waits longer before it acts is right to, but no drill waits for it."""
RUN_SECONDS = "espalier.dev/sim-run-seconds"
_NO_NAME = "the simulated cluster's name is not known, so nothing of it can be broken"


@contextmanager
def sold_out(context: Context) -> Generator[None]:
    """Spot is sold out meanwhile; nothing is done where no pool has spot, or where the cluster's name is not known."""
    if not context.cluster or not any(map(_falls_through, scaled(context))):
        yield
        return
    try:
        sim.fault(context.cluster, "karpenter", "no-spot")
        yield
    finally:
        sim.fault(context.cluster, "karpenter", "in-stock")


def stock_out_tasks(context: Context, stage: Stage) -> list[Task]:
    """One task for each pool that takes spot first and has other capacity after it."""
    pools = filter(_falls_through, scaled(context))
    return [Task(f"stock-out/{pool.name}", partial(_stock_out, context, stage, pool)) for pool in pools]


def reclaim_tasks(context: Context, stage: Stage) -> list[Task]:
    """One task for each pool that takes spot."""
    pools = [pool for pool in scaled(context) if _spot(pool)]
    return [Task(f"reclaim/{pool.name}", partial(_reclaim, context, stage, pool)) for pool in pools]


def device_lost_tasks(context: Context, stage: Stage) -> list[Task]:
    """One task for each pool with devices."""
    pools = [pool for pool in scaled(context) if pool.shape.devices]
    return [Task(f"device-lost/{pool.name}", partial(_device_lost, context, stage, pool)) for pool in pools]


def _spot(pool: PoolPlan) -> bool:
    return any(shape.capacity_kind == "spot" for shape in pool.shapes)


def _falls_through(pool: PoolPlan) -> bool:
    return pool.shapes[0].capacity_kind == "spot" and len(pool.shapes) > 1


def _stock_out(context: Context, stage: Stage, pool: PoolPlan) -> Outcome | NotProven:
    """A pod for a whole node runs on the next kind of capacity of the pool's ladder."""
    if not context.cluster:
        return NotProven(_NO_NAME)
    name = f"stock-out-{pool.name}"
    devices = dict(pool.shape.devices)
    started = time.monotonic()
    pod = waiting_pod(context, stage, pool, name, devices)
    context.client.create(pod)
    runs = context.until(lambda: revived(context, pod), STOCK_OUT_SECONDS)
    node: Json | None = context.client.get(NODE, runs["spec"]["nodeName"]) if runs else None
    seconds = time.monotonic() - started
    said = _why(context, pod) if node is None else ""
    delete_pod(context, stage, name)
    asked = f"spot sold out, pod {name} asked for {devices_text(devices) or 'a node'}"
    if node is None:
        return Outcome(False, f"{asked} and did not run within {STOCK_OUT_SECONDS:.0f} s: {said}")
    kind = node["metadata"]["labels"].get(names.CAPACITY)
    where = f"{node['metadata']['name']} ({kind}, NodePool {node['metadata']['labels'].get(NODE_POOL)})"
    if kind == "spot":
        return NotProven(f"{asked} and found room on {where}, a node that was there before")
    return Outcome(True, f"{asked}: Running after {seconds:.1f} s on {where}")


def _reclaim(context: Context, stage: Stage, pool: PoolPlan) -> Outcome | NotProven:
    """A Job whose spot node is taken back runs again on another node, and finishes."""
    if not context.cluster:
        return NotProven(_NO_NAME)
    reclaim = partial(sim.fault, context.cluster, "karpenter", "reclaim-spot")
    job = _job(context, stage, pool, f"reclaim-{pool.name}", {names.CAPACITY: "spot"})
    return _loses_its_node(context, stage, pool, job, lambda node: reclaim(node=node), "was taken back")


def _device_lost(context: Context, stage: Stage, pool: PoolPlan) -> Outcome | NotProven:
    """A Job whose node loses a device runs again on another node, and finishes; the node goes."""
    if not context.cluster:
        return NotProven(_NO_NAME)
    if idle := _unwatched(context):
        return NotProven(idle)
    lose = partial(sim.fault, context.cluster, "nodes", "lose-device")
    job = _job(context, stage, pool, f"device-lost-{pool.name}", {})
    return _loses_its_node(context, stage, pool, job, lambda node: lose(node=node), "lost a device")


def _unwatched(context: Context) -> str:
    """Why nobody would take out a node that has lost a device within the time of a drill; "" where somebody would."""
    if not context.blueprint.warden:
        return "nothing watches over devices; the add-on warden would"
    text = context.client.get(Kind("v1", "ConfigMap"), "espalier-warden", "espalier-warden")["data"][CONFIG]
    health: Json | None = json.loads(text)["health"]
    if not health or not health["act"]:
        return "the warden is told not to act on failed devices"
    if health["after"] > WARDEN_SECONDS:
        return f"the warden acts {health['after']} s after a device has failed; a drill waits {WARDEN_SECONDS} s"
    return ""


def _loses_its_node(
    context: Context, stage: Stage, pool: PoolPlan, job: Json, lose: Callable[[str], object], how: str
) -> Outcome | NotProven:
    """The Job runs, its node is lost by `lose`; it is to run again elsewhere and to finish, and the node is to go."""
    for each in wake_pods(pool):  # their nodes may be all that the pool can have
        delete_pod(context, stage, each)
    name = str(job["metadata"]["name"])
    context.client.create(job)
    deadline = time.monotonic() + RECLAIM_SECONDS
    first = context.until(lambda: _running(context, stage, name, ""), RECLAIM_SECONDS)
    if first is None:
        return Outcome(False, f"Job {name} did not run within {RECLAIM_SECONDS:.0f} s: {_told(context, stage, name)}")
    node = str(first["spec"]["nodeName"])
    try:
        lose(node)
    except SimError as error:
        return NotProven(f"Job {name} ran on {node}: {error.message}")
    taken = time.monotonic()
    lost = f"Job {name} ran on {node}, which {how}"
    uid = str(first["metadata"]["uid"])
    second = context.until(lambda: _again(context, stage, name, uid), deadline - time.monotonic())
    if second is None or second.get("kind") == JOB.kind:
        return Outcome(False, f"{lost}; it did not run again: {_told(context, stage, name)}")
    again = f"ran again {time.monotonic() - taken:.1f} s later on {second['spec']['nodeName']}"
    # It was to run for long, so that nothing depends on how quick we are; now it may end.
    ends = {"metadata": {"annotations": {RUN_SECONDS: "0"}}}
    context.client.patch(POD, second["metadata"]["name"], ends, namespace=stage.namespace)
    done = context.until(lambda: _succeeded(context, stage, name), deadline - time.monotonic())
    if done is None:
        return Outcome(False, f"{lost}, {again}, and did not finish: {_told(context, stage, name)}")
    gone = Reference(NODE, "", node)
    if context.until(lambda: context.client.find_object(gone) is None or None, deadline - time.monotonic()) is None:
        return Outcome(False, f"{lost}, {again}, and finished; but {node} is still there")
    return Outcome(True, f"{lost}, {again}, and finished; {node} is gone")


def _job(context: Context, stage: Stage, pool: PoolPlan, name: str, select: Mapping[str, str]) -> Json:
    """Work that is tried again when its node goes, as often as that happens."""
    devices = dict(pool.shape.devices)
    pod = waiting_pod(context, stage, pool, name, devices, select=select)
    metadata = {"labels": {"job": name}, "annotations": {RUN_SECONDS: "3600"}}
    ignored = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": stage.namespace},
        "spec": {
            "backoffLimit": 0,
            "podFailurePolicy": {"rules": ignored},
            "template": {"metadata": metadata, "spec": {**pod["spec"], "restartPolicy": "Never"}},
        },
    }


def _pods(context: Context, stage: Stage, job: str) -> Sequence[Json]:
    return context.client.list(POD, stage.namespace, labelSelector=f"job={job}")


def _running(context: Context, stage: Stage, job: str, other_than: str) -> Json | None:
    """A running pod of the Job that is not on its way out, and not the one of that uid."""
    for pod in _pods(context, stage, job):
        metadata = pod["metadata"]
        if (
            pod["status"]["phase"] == "Running"
            and "deletionTimestamp" not in metadata
            and metadata["uid"] != other_than
        ):
            return pod
    return None


def _again(context: Context, stage: Stage, job: str, uid: str) -> Json | None:
    """The running pod that came after the one of that uid; the Job itself where it has given up."""
    live: Json = context.client.get(JOB, job, stage.namespace)
    failed = any(each["type"] == "Failed" for each in live.get("status", {}).get("conditions", []))
    return live if failed else _running(context, stage, job, uid)


def _succeeded(context: Context, stage: Stage, job: str) -> bool | None:
    return context.client.get(JOB, job, stage.namespace).get("status", {}).get("succeeded") == 1 or None


def _told(context: Context, stage: Stage, job: str) -> str:
    """What the Job and its pods say."""
    conditions = context.client.get(JOB, job, stage.namespace).get("status", {}).get("conditions", [])
    said = [f"{each['type']}: {each.get('message', '')}" for each in conditions if each["status"] == "True"]
    waiting = [_message(pod) for pod in _pods(context, stage, job)]
    return "; ".join([*said, *filter(None, waiting)]) or "nothing is said of why"


def _why(context: Context, manifest: Json) -> str:
    live = context.client.find_object(reference_of(manifest))
    return (_message(live) if live else "") or "nothing is said of why"


def _message(pod: Json) -> str:
    conditions = pod["status"].get("conditions", [])
    return "; ".join(str(c.get("message", "")) for c in conditions if c["status"] == "False" and c.get("message"))
