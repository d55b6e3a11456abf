"""`wake/<pool>/<class>`: the real scheduler places a class of work on the node that an autoscaler would start for it.

The node is the one of the plan's proof, made of the recorded resources by the autoscaler's rules. It is registered as
a Node of the simulated cluster, tainted so that nothing but this drill's pod takes it, and removed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from espalier.blueprint import Blueprint
from espalier.blueprint.nodes import node_manifest
from espalier.blueprint.wake import Work, templates_of, works_of
from espalier.blueprint.wake_node import Recorded, Template
from espalier.catalogue import catalogue
from espalier.kube import Manifest
from espalier.types import NodeShape, Taint
from espalier.verify.model import Context, Json, NotProven, Outcome, Task
from espalier.verify.pods import POD, meek_priority, probe_pod
from espalier.verify.stage import ACCOUNT, LABEL, Stage

WAKE_TAINT = Taint(LABEL, "wake")
_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Wake:
    """A pool and a class of work: the template node of each of the pool's groups, None for one that has none."""

    pool: str
    work: Work
    groups: tuple[tuple[str, Template | None], ...]


def wakes_of(
    blueprint: Blueprint, resources: Sequence[Mapping[str, object]], objects: Sequence[Manifest]
) -> tuple[Wake, ...]:
    """What a cloud's stack has to show. `resources` are the recorded ones as JSON, `objects` those of Kubernetes."""
    cloud, autoscaler = blueprint.cloud, blueprint.facts.autoscaler
    if cloud is None or autoscaler == "none":
        return ()
    known = blueprint.catalogue or catalogue()
    recorded = Recorded(tuple(resources), tuple(objects), known, cloud.region)
    templates = templates_of(cloud, autoscaler, recorded)
    return tuple(
        Wake(pool.name, work, tuple((group.name, templates.get(group.name)) for group in pool.groups))
        for pool in blueprint.pools
        for work in works_of(pool)
    )


def template_tasks(context: Context, stage: Stage, wakes: Sequence[Wake]) -> list[Task]:
    """One task for each pool and class."""
    return [Task(f"wake/{each.pool}/{each.work.name}", partial(_wake, context, stage, each)) for each in wakes]


def _wake(context: Context, stage: Stage, wake: Wake) -> Outcome | NotProven:
    if not wake.groups:
        return NotProven(f"pool {wake.pool} has no group in the cloud")
    outcomes = [_placed(context, stage, wake, group, template) for group, template in wake.groups]
    return Outcome(all(each.ok for each in outcomes), "; ".join(each.evidence for each in outcomes))


def _placed(context: Context, stage: Stage, wake: Wake, group: str, template: Template | None) -> Outcome:
    if template is None:
        return Outcome(False, f"{group}: no such group is registered")
    if template.broken:
        return Outcome(False, f"{group}: {template.broken}")
    node = f"wake-{group}-{wake.work.name}"[:60].rstrip("-")
    if not stage.add_node(_node(wake, node, template), _SECONDS):
        return Outcome(False, f"{group}: its template node did not become Ready")
    pod = _pod(context, stage, wake, node)
    context.client.create(pod)
    name = pod["metadata"]["name"]

    def runs() -> Json | None:
        live = context.client.get(POD, name, stage.namespace)
        return live if live["status"]["phase"] == "Running" else None

    found = context.until(runs, _SECONDS)
    asked = ", ".join(f"{amount} {key}" for key, amount in sorted(_texts(wake.work.asks).items()))
    if found is not None:
        return Outcome(True, f"{asked}: Running on {found['spec']['nodeName']}, made of {template.said}")
    return Outcome(
        False, f'{asked} on {node}, made of {template.said}: the scheduler said "{_verdict(context, stage, name)}"'
    )


def _node(wake: Wake, name: str, template: Template) -> Json:
    capacity = _texts(template.allocatable)
    taints = (*template.taints, WAKE_TAINT)
    return node_manifest(NodeShape(wake.pool, "", "on-demand", template.labels, taints, capacity, {}, None), name)


def _pod(context: Context, stage: Stage, wake: Wake, node: str) -> Json:
    """The class's pod, held to the one node that is on trial."""
    pod = probe_pod(
        node,
        stage.namespace,
        {},
        tolerate=[WAKE_TAINT],
        select={**wake.work.selector, "kubernetes.io/hostname": node},
        priority=meek_priority(context.blueprint),
    )
    spec, asked = pod["spec"], _texts(wake.work.asks)
    spec["serviceAccountName"] = ACCOUNT
    spec["tolerations"] = [*spec["tolerations"], *(dict(each) for each in wake.work.tolerations)]
    spec["containers"][0]["resources"] = {"requests": asked, "limits": asked}
    return pod


def _texts(amounts: Mapping[str, Fraction]) -> dict[str, str]:
    """Quantities as the API takes them: processors in thousandths, all else whole."""
    return {key: f"{int(each * 1000)}m" if key == "cpu" else str(int(each)) for key, each in amounts.items()}


def _verdict(context: Context, stage: Stage, name: str) -> str:
    for condition in context.client.get(POD, name, stage.namespace)["status"].get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", ""))
    return "nothing: it does not seem to run"
