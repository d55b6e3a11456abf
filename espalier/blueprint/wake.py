"""Proofs that each pool wakes from zero: for each class of work there is a node that its autoscaler would start.

An autoscaler decides by a node that does not exist yet, which it makes up from what the cloud tells it. Here that node
is made of the recorded resources, by the rules of the autoscaler in question (`wake_eks`, `wake_gke`, `wake_aks`,
`wake_karpenter`), and the scheduler's own questions are asked of it: labels, taints, resources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from espalier.blueprint import names, wake_aks, wake_eks, wake_gke, wake_karpenter
from espalier.blueprint.clouds.model import CloudPlan, NodeGroup
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.reach import daemonset_reaches
from espalier.blueprint.wake_node import Recorded, Template, amounts
from espalier.blueprint.wake_reserved import kept_back
from espalier.catalogue import Catalogue
from espalier.quantity import parse_quantity
from espalier.types import Proof

_BUILDERS: Mapping[str, Callable[[Recorded], Mapping[str, Template]]] = {
    "eks": wake_eks.templates,
    "gke": wake_gke.templates,
    "aks": wake_aks.templates,
}
_UNDIVIDED = "google.com/tpu"
"""A pod takes all chips of a machine, or the slice is not formed (GKE, "TPUs in GKE")."""
_NOT_DEVICES = ("cpu", "memory", "ephemeral-storage", "pods", "hugepages-2Mi")


@dataclass(frozen=True, slots=True)
class Work:
    """A pod of a class of work: what it asks for, the pool that it selects, and the taints that it tolerates."""

    name: str
    asks: Mapping[str, Fraction]
    selector: Mapping[str, str]
    tolerations: tuple[Mapping[str, str], ...]


def wake_proofs(
    pools: Sequence[PoolPlan],
    cloud: CloudPlan | None,
    autoscaler: str,
    resources: Sequence[Mapping[str, Any]],
    objects: Sequence[Mapping[str, Any]],
    catalogue: Catalogue,
) -> tuple[Proof, ...]:
    """A proof for each pool and each of its classes, named `wake/<pool>/<class>`; none for what is in no cloud.

    `resources` are the recorded ones as JSON, `objects` the Kubernetes objects among them.
    """
    if cloud is None:
        return ()
    recorded = Recorded(tuple(resources), tuple(objects), catalogue, cloud.region)
    templates = templates_of(cloud, autoscaler, recorded)
    daemons = [obj for obj in objects if obj.get("kind") == "DaemonSet"]
    missing = _no_autoscaler(cloud, autoscaler, recorded)
    return tuple(
        _proof(pool, work, cloud, autoscaler, templates, daemons, missing) for pool in pools for work in works_of(pool)
    )


def templates_of(cloud: CloudPlan, autoscaler: str, recorded: Recorded) -> dict[str, Template]:
    """What the autoscaler takes the first node of each group to be, by the group's name in its cloud."""
    found = dict(_BUILDERS[cloud.kind](recorded))
    return found | dict(wake_karpenter.templates(recorded)) if autoscaler == "karpenter" else found


def works_of(pool: PoolPlan) -> tuple[Work, ...]:
    """The classes of work that a pool is for: one device, and all of a node's; plain pods where it has none.

    Each asks for half of the processors and the memory that come with its devices: room is left for what a node keeps
    back and for what runs on every node. They tolerate all that the pool's nodes are tainted by, once these
    are there.
    """
    shape = pool.shape
    selector = names.selector_of(shape)
    tolerations = tuple(
        {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect}
        for taint in dict.fromkeys(taint for each in pool.shapes for taint in each.taints)
    )
    half = {key: parse_quantity(shape.capacity[key]) / 2 for key in ("cpu", "memory")}
    if not shape.devices:
        return (Work("plain", half, selector, tolerations),)
    device, count = next(iter(sorted(shape.devices.items())))
    one = {key: amount / count for key, amount in half.items()} | {device: Fraction(1)}
    extended = {
        key: parse_quantity(value)
        for key, value in shape.capacity.items()
        if key not in _NOT_DEVICES and not key.endswith("/neuroncore")  # the same devices, counted in cores
    }
    whole = Work("whole", half | extended, selector, tolerations)
    if device == _UNDIVIDED:
        return (whole,)
    single = Work("one", one, selector, tolerations)
    return (single, whole) if count > 1 or len(extended) > 1 else (single,)


def why_not(work: Work, template: Template, daemons: Mapping[str, Fraction]) -> str | None:
    """Why the autoscaler would not start such a node for the work; None where it would."""
    for key, value in sorted(work.selector.items()):
        if key not in template.labels:
            return f"label {key} is missing"
        if template.labels[key] != value:
            return f"label {key} is {template.labels[key]}, not {value}"
    for taint in template.taints:
        if taint.effect != "PreferNoSchedule" and not any(map(taint.tolerated_by, work.tolerations)):
            return f"taint {taint} is not tolerated"
    for resource, amount in sorted(work.asks.items()):
        there = template.allocatable.get(resource, Fraction(0))
        if resource not in template.allocatable:
            return f"resource {resource} is missing"
        if amount + daemons.get(resource, Fraction(0)) > there:
            return f"resource {resource}: {_text(resource, amount)} asked of {_text(resource, there)}"
    return None


def _gaps(group: NodeGroup, template: Template) -> Iterator[str]:
    """Where the made-up node differs from the real one: work would wake the group in vain, or not at all."""
    for key, value in sorted(group.labels.items()):
        if template.labels.get(key) != value:
            yield f"label {key}={value} is missing"
    for taint in group.shape.taints:
        if taint not in template.taints:
            yield f"taint {taint} is missing: work that does not tolerate it would start nodes that never take it"
    for device, count in sorted(group.shape.devices.items()):
        there = template.allocatable.get(device)
        if there is None:
            yield f"resource {device} is missing"
        elif there != count:
            yield f"resource {device} is {there}, and a node has {count}"


def _proof(
    pool: PoolPlan,
    work: Work,
    cloud: CloudPlan,
    autoscaler: str,
    templates: Mapping[str, Template],
    daemons: Sequence[Mapping[str, Any]],
    missing: str | None,
) -> Proof:
    name = f"wake/{pool.name}/{work.name}"
    if autoscaler == "none" or (autoscaler == "karpenter" and not pool.facts().objects):
        up = [group for group in pool.groups if group.start]
        evidence = f"{pool.name} has {sum(group.start for group in up)} nodes, and nothing changes their number"
        return Proof(name, bool(up), evidence if up else "nothing scales the pool, and it starts with no node")
    if missing:
        # Karpenter's controller comes from its chart: without that, the add-on is held up, and this proof with it.
        return Proof(name, False, missing, held=autoscaler == "karpenter")
    woken: list[str] = []
    asleep: list[str] = []
    for group in pool.groups:
        template = templates.get(group.name)
        reasons = (
            ["no such group is registered"] if template is None else _reasons(group, template, work, daemons, cloud)
        )
        if reasons:
            asleep.append(f"{group.name}: {'; '.join(reasons)}")
        elif template is not None:
            woken.append(f"{group.name} ({template.said})")
    asks = ", ".join(f"{_text(key, amount)} {key}" for key, amount in sorted(work.asks.items()) if "/" in key)
    return Proof(name, not asleep, "; ".join(asleep) if asleep else f"{asks or 'a pod'} wakes {', '.join(woken)}")


def _reasons(
    group: NodeGroup,
    template: Template,
    work: Work,
    daemons: Sequence[Mapping[str, Any]],
    cloud: CloudPlan,
) -> list[str]:
    """All that is wrong with one group, for one class of work."""
    if template.broken:
        return [template.broken]
    running = _daemons_on(group, template, daemons)
    why = why_not(work, template, running)
    found = [why] if why else []
    found += [gap for gap in _gaps(group, template) if gap != why]
    if found:
        return found
    back = kept_back(cloud.kind, group.shape)
    real = {key: amount - back.get(key, Fraction(0)) for key, amount in template.allocatable.items()}
    late = why_not(work, replace(template, allocatable=real), running)
    return [f"a node is started, and {late} once it has kept its own part back"] if late else []


def _daemons_on(group: NodeGroup, template: Template, daemons: Sequence[Mapping[str, Any]]) -> dict[str, Fraction]:
    """What the cluster's DaemonSets ask for on such a node."""
    shape = replace(group.shape, labels=template.labels, taints=template.taints)
    total: dict[str, Fraction] = {}
    for daemon in daemons:
        pod = daemon["spec"]["template"]
        if daemonset_reaches(pod, shape) is not None:
            continue
        for container in pod["spec"].get("containers", []):
            for key, amount in amounts(container.get("resources", {}).get("requests", {})).items():
                total[key] = total.get(key, Fraction(0)) + amount
    return total


def _no_autoscaler(cloud: CloudPlan, autoscaler: str, recorded: Recorded) -> str | None:
    """Why nothing would start nodes, whatever they look like; a cluster that is there may have its autoscaler."""
    if cloud.kind != "eks" or autoscaler not in ("cluster-autoscaler", "karpenter"):
        return None
    if not any(resource["type"] == wake_eks.CLUSTER for resource in recorded.resources):
        return None
    if autoscaler == "karpenter":
        return wake_karpenter.missing(recorded)
    return wake_eks.missing(recorded, cloud.name)


def _text(resource: str, amount: Fraction) -> str:
    if resource in ("memory", "ephemeral-storage"):
        return f"{float(amount / 2**30):.1f}Gi"
    return str(amount) if amount.denominator == 1 else f"{float(amount):.2f}"
