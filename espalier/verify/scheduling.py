"""`land` and `taint`: what the real scheduler does with a pod that asks for a pool's device."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from espalier.blueprint import names
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.probe import pause_image
from espalier.types import Taint
from espalier.verify.model import Context, Json, NotProven, Outcome, Task
from espalier.verify.nodes import accelerated, list_nodes, of_pool, sharing
from espalier.verify.pods import POD, meek_priority, probe_pod, verdict
from espalier.verify.slices import hands_out
from espalier.verify.stage import ACCOUNT, DRILL_TAINT, PoolState, Stage, asks, devices_text

SCHEDULED_SECONDS = 10.0
SIMULATED_RUNNING_SECONDS = 10.0
RUNNING_SECONDS = 90.0
"""On a real node the image may have to come first."""

_UNTOLERATED = "untolerated taint"
"""Source: kubernetes pkg/scheduler/framework/plugins/tainttoleration, ErrReasonNotMatch and its predecessors."""
_SEEN = re.compile(r"^0/(\d+) nodes")
_NO_PROBES = "needs pods to be made; ask for it with --probe"


def land_tasks(context: Context, stage: Stage) -> list[Task]:
    """One task for each accelerator pool."""
    return [Task(f"land/{pool.name}", partial(_land, context, stage, pool)) for pool in accelerated(context)]


def taint_tasks(context: Context, stage: Stage) -> list[Task]:
    """One task for each accelerator pool whose nodes carry a taint."""
    pools = [pool for pool in accelerated(context) if pool.shape.taints]
    return [Task(f"taint/{pool.name}", partial(_taint, context, stage, pool)) for pool in pools]


def sharing_tasks(context: Context, stage: Stage) -> list[Task]:
    """One task for each accelerator pool; on a simulated cluster pods show that a node hands out no more."""
    return [Task(f"sharing/{pool.name}", partial(_sharing, context, stage, pool)) for pool in accelerated(context)]


def _sharing(context: Context, stage: Stage, pool: PoolPlan) -> Outcome | NotProven:
    if not context.probe:
        return sharing(pool, of_pool(list_nodes(context), pool))
    state = stage.pool(pool)
    standing_in = [] if state.nodes or state.drill is None else [state.drill]
    found = sharing(pool, state.nodes or standing_in, state.note if standing_in else "")
    if not context.simulated or isinstance(found, NotProven) or not found.ok:
        return found
    held = hands_out(context, stage, pool)
    return Outcome(held.ok, f"{found.evidence}; {held.evidence}")


def _land(context: Context, stage: Stage, pool: PoolPlan) -> Outcome | NotProven:
    """A pod with the toleration is put on the pool by the scheduler, and runs."""
    if not context.probe:
        return NotProven(_NO_PROBES)
    state = stage.pool(pool)
    if state.broken:
        return Outcome(False, f"pool {pool.name}: {state.broken}")
    if state.obstacle:
        return NotProven(f"pool {pool.name}: {state.obstacle}")
    tolerated = (*pool.shape.taints, *([DRILL_TAINT] if state.drill else ()))
    name = _create(context, stage, f"land-{pool.name}", pool, tolerated)
    what = f"pod {name} asked for {devices_text(asks(pool))}"
    pod = context.until(lambda: _placed(context, stage, name), SCHEDULED_SECONDS)
    if pod is None:
        return _not_placed(context, stage, pool, name)
    seconds = SIMULATED_RUNNING_SECONDS if context.simulated else RUNNING_SECONDS
    runs = context.until(lambda: _running(context, stage, name), seconds)
    node = next((n for n in list_nodes(context) if n.name == pod["spec"]["nodeName"]), None)
    where = f"{node.text()}, {names.POOL}={node.labels.get(names.POOL)}" if node else pod["spec"]["nodeName"]
    if runs is None:
        status = context.client.get(POD, name, stage.namespace)["status"]
        return Outcome(False, f"{what}, is on {where}, but does not run: {_why_not_running(status)}")
    return Outcome(True, f"{what}, tolerating {_texts(tolerated)}: Running on {where}{state.note}")


def _not_placed(context: Context, stage: Stage, pool: PoolPlan, name: str) -> Outcome | NotProven:
    """Devices were free when the drills began; where none is by now, other work was quicker."""
    words = verdict(context.client, name, stage.namespace) or "nothing: it does not seem to run"
    said = f'pod {name} asked for {devices_text(asks(pool))}; the scheduler said "{words}"'
    return NotProven(said) if stage.is_full(pool) else Outcome(False, said)


def _taint(context: Context, stage: Stage, pool: PoolPlan) -> Outcome | NotProven:
    """The same pod without the toleration is refused by the scheduler, and every node carries the taint."""
    if not context.probe:
        return NotProven(_NO_PROBES)
    state = stage.pool(pool)
    if not state.candidates:
        return NotProven(f"pool {pool.name}: {state.obstacle}")
    name = _create(context, stage, f"taint-{pool.name}", pool, _other_taints(state))
    context.until(lambda: _judged(context, stage, state, name), SCHEDULED_SECONDS)
    pod = context.client.get(POD, name, stage.namespace)
    bare = [node.text() for node in state.candidates if not set(pool.shape.taints) <= set(node.taints)]
    lacking = f"; without {_texts(pool.shape.taints)}: {', '.join(bare)}" if bare else ""
    if landed := pod["spec"].get("nodeName"):
        return Outcome(False, f"pod {name} without the toleration was scheduled on {landed}{lacking}")
    words = verdict(context.client, name, stage.namespace) or "nothing: it does not seem to run"
    said = f'pod {name} tolerates {_texts(_other_taints(state)) or "nothing"}; the scheduler said "{words}"'
    return Outcome(_UNTOLERATED in words and not bare, f"{said}{lacking or state.note}")


def _other_taints(state: PoolState) -> tuple[Taint, ...]:
    """Taints of the nodes that are not the pool's own, such as a cordon: only the pool's own is on trial."""
    live = {taint for node in state.candidates for taint in node.taints}
    return tuple(sorted(live - set(state.plan.shape.taints), key=str))


def _create(context: Context, stage: Stage, name: str, pool: PoolPlan, tolerate: Sequence[Taint]) -> str:
    pod = probe_pod(
        name,
        stage.namespace,
        asks(pool),
        tolerate=tolerate,
        select=names.selector_of(pool.shape),
        priority=meek_priority(context.blueprint),
        image=pause_image(context.blueprint),
    )
    pod["spec"]["serviceAccountName"] = ACCOUNT
    context.client.create(pod)
    return name


def _placed(context: Context, stage: Stage, name: str) -> Json | None:
    """The pod once it has a node; an end to waiting only on success, for the scheduler tries again and again."""
    pod = context.client.get(POD, name, stage.namespace)
    return pod if pod["spec"].get("nodeName") else None


def _running(context: Context, stage: Stage, name: str) -> Json | None:
    pod = context.client.get(POD, name, stage.namespace)
    return pod if pod["status"]["phase"] == "Running" else None


def _judged(context: Context, stage: Stage, state: PoolState, name: str) -> bool | None:
    """Whether the pod has a node, or was refused by a scheduler that knew of all nodes, the drill's too."""
    if _placed(context, stage, name):
        return True
    words = verdict(context.client, name, stage.namespace)
    seen = _SEEN.match(words)
    if not words or (state.drill and seen and int(seen[1]) < stage.node_count):
        return None
    return True


def _why_not_running(status: Json) -> str:
    waiting = [
        f"{state['waiting'].get('reason', '')} {state['waiting'].get('message', '')}".strip()
        for state in (container.get("state", {}) for container in status.get("containerStatuses", []))
        if "waiting" in state
    ]
    return "; ".join(waiting) or f"phase {status.get('phase')}"


def _texts(taints: Sequence[Taint]) -> str:
    return ", ".join(map(str, taints))
