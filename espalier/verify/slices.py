"""`sharing/<pool>` on a simulated cluster: a node of the pool hands out what the plan says, and not a slice more."""

from __future__ import annotations

from espalier.blueprint.nodes import node_manifest
from espalier.blueprint.pools import PoolPlan
from espalier.types import Taint
from espalier.verify.model import Context, Json, Outcome
from espalier.verify.pods import POD, meek_priority, probe_pod, verdict
from espalier.verify.stage import ACCOUNT, LABEL, Stage, asks, devices_text

SLICES_TAINT = Taint(LABEL, "slices")
SECONDS = 30.0
_PODS = 60
"""A node takes 110 pods; slices beyond these are asked for by one pod more."""


def hands_out(context: Context, stage: Stage, pool: PoolPlan) -> Outcome:
    """As many pods as the plan has devices run on a new node of the pool, and the next one waits for a device."""
    node = f"{pool.name}-slices-{stage.run}"[:60]
    manifest = node_manifest(pool.shape, node)
    spec: Json = manifest.setdefault("spec", {})
    spec["taints"] = [*spec.get("taints", []), SLICES_TAINT.to_json()]
    if not stage.add_node(manifest, SECONDS):
        return Outcome(False, f"{node}, a node of the pool's shape, did not become Ready")
    wanted = amounts(pool)
    names = [f"slices-{pool.name}-{number}" for number in range(len(wanted))]
    for name, devices in zip(names, wanted, strict=True):
        context.client.create(_pod(context, stage, pool, name, devices, node))
    running = context.until(lambda: True if _running(context, stage, pool) == len(names) else None, SECONDS)
    plan = devices_text(dict(pool.shape.devices))
    if running is None:
        waiting = next((said for name in names if (said := verdict(context.client, name, stage.namespace))), "nothing")
        ran = _running(context, stage, pool)
        return Outcome(
            False, f'{ran} of {len(names)} pods run on {node}; the plan has {plan}; the scheduler said "{waiting}"'
        )
    more = f"slices-{pool.name}-more"
    context.client.create(_pod(context, stage, pool, more, asks(pool), node))
    said = context.until(lambda: _judged(context, stage, more), SECONDS)
    if said is None or "Insufficient" not in said:
        return Outcome(False, f'{node} of {plan} gave a pod more {devices_text(asks(pool))}: "{said or "no verdict"}"')
    return Outcome(True, f'{_many(len(names))} held all of {node}, {plan}; of one more the scheduler said "{said}"')


def _many(number: int) -> str:
    return "1 pod" if number == 1 else f"{number} pods"


def amounts(pool: PoolPlan) -> list[dict[str, int]]:
    """What each pod asks for, so that together they ask for all of the node."""
    unit = asks(pool)
    number = min(pool.shape.devices[device] // count for device, count in unit.items())
    if number <= _PODS:
        return [unit] * number
    rest = {device: count * (number - _PODS) for device, count in unit.items()}
    return [*[unit] * _PODS, rest]


def _pod(context: Context, stage: Stage, pool: PoolPlan, name: str, devices: dict[str, int], node: str) -> Json:
    pod = probe_pod(
        name,
        stage.namespace,
        devices,
        tolerate=(*pool.shape.taints, SLICES_TAINT),
        select={"kubernetes.io/hostname": node},
        priority=meek_priority(context.blueprint),
    )
    pod["metadata"]["labels"] = {LABEL: f"slices-{pool.name}"}
    pod["spec"]["serviceAccountName"] = ACCOUNT
    return pod


def _running(context: Context, stage: Stage, pool: PoolPlan) -> int:
    pods = context.client.list(POD, stage.namespace, labelSelector=f"{LABEL}=slices-{pool.name}")
    return sum(pod["status"]["phase"] == "Running" for pod in pods)


def _judged(context: Context, stage: Stage, name: str) -> str | None:
    """The scheduler's words once it has judged; where it placed the pod, where."""
    pod: Json = context.client.get(POD, name, stage.namespace)
    if landed := pod["spec"].get("nodeName"):
        return f"placed on {landed}"
    return verdict(context.client, name, stage.namespace) or None
