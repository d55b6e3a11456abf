"""`wake` and `to-zero`: what the real autoscaler does with pods that wait for a pool, and with nodes left empty.

Made where the cluster's autoscaler is Karpenter and pools have NodePools; node groups that a cloud scales are proven by
template nodes instead.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

from espalier.blueprint import names
from espalier.blueprint.autoscaling import CAPACITY_TYPE
from espalier.blueprint.pools import PoolPlan
from espalier.kube import ApiError, reference_of
from espalier.verify.model import Context, Json, NotProven, Outcome, Task
from espalier.verify.nodes import NODE, Node, list_nodes, of_pool, sharing
from espalier.verify.pods import POD, meek_priority, probe_pod
from espalier.verify.stage import ACCOUNT, Stage, devices_text

NODE_POOL = "karpenter.sh/nodepool"
"""The label by which Karpenter knows its nodes."""
WAKE_SECONDS = 60.0
ZERO_SECONDS = 90.0
_DELETABLE = (404, 409)


def wake_tasks(context: Context, stage: Stage) -> list[Task]:
    """One task for each class of workload of each pool that an autoscaler grows."""
    return [
        Task(f"wake/{pool.name}/{kind}", partial(_wake, context, stage, pool, kind, devices))
        for pool in scaled(context)
        for kind, devices in classes_of(pool).items()
    ]


def zero_tasks(context: Context, stage: Stage) -> list[Task]:
    """One task for each such pool: after the wakes, its nodes go away again."""
    return [Task(f"to-zero/{pool.name}", partial(_to_zero, context, stage, pool)) for pool in scaled(context)]


def classes_of(pool: PoolPlan) -> dict[str, dict[str, int]]:
    """The classes of workload that a pool serves, with the devices that a pod of each asks for."""
    if not pool.shape.devices:
        return {"plain": {}}
    return {"one": dict.fromkeys(pool.shape.devices, 1), "whole": dict(pool.shape.devices)}


def scaled(context: Context) -> list[PoolPlan]:
    """The pools that the autoscaler of a simulated cluster grows."""
    return [pool for pool in context.blueprint.pools if pool.node_pools]


def _wake(context: Context, stage: Stage, pool: PoolPlan, kind: str, devices: Mapping[str, int]) -> Outcome | NotProven:
    """A pod that no node has room for: the autoscaler makes one, and the pod runs."""
    name = f"wake-{pool.name}-{kind}"
    pod = waiting_pod(context, stage, pool, name, devices)
    there = {node.name for node in list_nodes(context)}
    started = time.monotonic()
    context.client.create(pod)
    runs = context.until(lambda: revived(context, pod), WAKE_SECONDS)
    seconds = time.monotonic() - started
    asked = f"pod {name} asked for {devices_text(dict(devices)) or 'a node'}"
    if runs is None:
        live = context.client.find_object(reference_of(pod)) or {"status": {}}
        conditions: list[Json] = live["status"].get("conditions", [])
        why = "; ".join(str(c.get("message", "")) for c in conditions if c["status"] == "False")
        return Outcome(False, f"{asked} and did not run within {WAKE_SECONDS:.0f} s: {why or 'nothing is said of why'}")
    node: Json = context.client.get(NODE, runs["spec"]["nodeName"])
    labels: Mapping[str, str] = node["metadata"]["labels"]
    where = f"{node['metadata']['name']} ({labels.get(names.CAPACITY)}, NodePool {labels.get(NODE_POOL)})"
    if NODE_POOL not in labels:
        return NotProven(f"{asked} and found room on {node['metadata']['name']}, a node that was there before")
    advertised = sharing(pool, [Node.of(node)]) if pool.shape.devices else Outcome(True, "")
    if isinstance(advertised, Outcome) and not advertised.ok:
        return Outcome(False, f"{asked}: a node was made, but not as planned: {advertised.evidence}")
    made = "made for it" if node["metadata"]["name"] not in there else "made a moment before"
    return Outcome(True, f"{asked}: Running after {seconds:.1f} s on {where}, {made}; {labels.get(CAPACITY_TYPE)}")


def waiting_pod(
    context: Context,
    stage: Stage,
    pool: PoolPlan,
    name: str,
    devices: Mapping[str, int],
    select: Mapping[str, str] | None = None,
) -> Json:
    """A pod for a pool that may have no node yet: it tolerates the taints of each kind of capacity."""
    taints = dict.fromkeys(taint for shape in pool.shapes for taint in shape.taints)
    pod = probe_pod(
        name,
        stage.namespace,
        devices,
        tolerate=tuple(taints),
        select={**names.selector_of(pool.shape), **(select or {})},
        priority=meek_priority(context.blueprint),
    )
    pod["spec"]["serviceAccountName"] = ACCOUNT
    return pod


def wake_pods(pool: PoolPlan) -> tuple[str, ...]:
    """The names of the pods that woke a pool."""
    return tuple(f"wake-{pool.name}-{kind}" for kind in classes_of(pool))


def revived(context: Context, manifest: Json) -> Json | None:
    """The pod once it runs. One that was evicted before is made anew, as an owner would.

    Kubernetes' taint-eviction controller may see Karpenter's taint of an unregistered node (NoExecute) a moment longer
    than the scheduler does, and evict what that has just placed.
    """
    pod = context.client.find_object(reference_of(manifest))
    if pod is None:
        context.client.create(manifest)
        return None
    return pod if pod["status"]["phase"] == "Running" else None


def _to_zero(context: Context, stage: Stage, pool: PoolPlan) -> Outcome | NotProven:
    """Once the pods are gone, the nodes that were made for them go, too."""
    made = _made(context, pool)
    if not made:
        return NotProven(f"pool {pool.name}: no node was made")
    for name in wake_pods(pool):
        delete_pod(context, stage, name)
    started = time.monotonic()
    gone = context.until(lambda: None if _made(context, pool) else True, ZERO_SECONDS)
    if gone is None:
        return Outcome(False, f"still there after {ZERO_SECONDS:.0f} s: {', '.join(_made(context, pool))}")
    return Outcome(True, f"{', '.join(made)} gone {time.monotonic() - started:.1f} s after the last pod")


def _made(context: Context, pool: PoolPlan) -> Sequence[str]:
    """The pool's nodes that the autoscaler made."""
    return [node.name for node in of_pool(list_nodes(context), pool) if NODE_POOL in node.labels]


def delete_pod(context: Context, stage: Stage, name: str) -> None:
    """Deletes a pod of the drills; it may be gone already."""
    try:
        context.client.delete(POD, name, stage.namespace)
    except ApiError as error:
        if error.status not in _DELETABLE:
            raise
