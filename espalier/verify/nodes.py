"""What the live nodes of each pool carry, and the checks that only read: `sharing` and `daemonset`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from espalier.blueprint import names
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.reach import daemonset_reaches
from espalier.kube import Kind, reference_of
from espalier.quantity import parse_quantity
from espalier.types import Manifest, NodeShape, Taint
from espalier.verify.model import Context, Json, NotProven, Outcome, Task

NODE = Kind("v1", "Node")
_POD = Kind("v1", "Pod")
SETTLE_SECONDS = 10.0
"""How long a DaemonSet may take to follow its nodes: its controller needs well under a second, its pods one more."""

_DAEMONS_TOLERATE = frozenset(
    f"node.kubernetes.io/{condition}"
    for condition in ("disk-pressure", "memory-pressure", "not-ready", "pid-pressure", "unreachable", "unschedulable")
)
"""Source: kubernetes pkg/controller/daemon/util, AddOrUpdateDaemonPodTolerations."""


@dataclass(frozen=True, slots=True)
class Node:
    """A live node. `allocatable` holds its extended resources only."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    allocatable: Mapping[str, int]

    @classmethod
    def of(cls, live: Json) -> Node:
        taints = live["spec"].get("taints", [])
        offered = live["status"].get("allocatable", {})
        return cls(
            live["metadata"]["name"],
            live["metadata"].get("labels", {}),
            tuple(Taint(taint["key"], taint.get("value", ""), taint["effect"]) for taint in taints),
            devices_in(offered),
        )

    def text(self) -> str:
        """The node with its taints, as evidence."""
        return f"{self.name} ({', '.join(map(str, self.taints)) or 'no taint'})"


def devices_in(quantities: Mapping[str, str]) -> dict[str, int]:
    """The extended resources of a mapping: whole numbers, by names with a domain (Kubernetes, Extended Resources)."""
    return {name: int(parse_quantity(count)) for name, count in sorted(quantities.items()) if "/" in name}


def accelerated(context: Context) -> list[PoolPlan]:
    """The pools that have an accelerator."""
    return [pool for pool in context.blueprint.pools if pool.accelerator is not None]


def list_nodes(context: Context) -> list[Node]:
    """All nodes, by name."""
    return sorted((Node.of(live) for live in context.client.list(NODE)), key=lambda node: node.name)


def of_pool(nodes: Sequence[Node], pool: PoolPlan) -> list[Node]:
    """The nodes that carry the pool's label."""
    return [node for node in nodes if node.labels.get(names.POOL) == pool.name]


def sharing(pool: PoolPlan, nodes: Sequence[Node], note: str = "") -> Outcome | NotProven:
    """Each of the pool's nodes advertises the blueprint's devices and no other of that vendor."""
    if not nodes:
        return NotProven(f"pool {pool.name} has no node now")
    # A vendor may tell of one device in two ways, such as Neuron devices and their cores.
    expected = _vendors(pool, devices_in(pool.shape.capacity))
    right: list[str] = []
    wrong: list[str] = []
    for node in nodes:
        said = f"{node.name} allocatable: {_counts(_vendors(pool, node.allocatable)) or 'no device'}"
        (right if _vendors(pool, node.allocatable) == expected else wrong).append(said)
    if wrong:
        return Outcome(False, f"{'; '.join(wrong)}; the blueprint has {_counts(expected)}")
    return Outcome(True, f"{'; '.join(right)}{note}")


def _vendors(pool: PoolPlan, devices: Mapping[str, int]) -> dict[str, int]:
    """Devices of the pool's vendor: a sliced GPU must not be offered whole as well."""
    domain = pool.accelerator.resource.partition("/")[0] if pool.accelerator else ""
    return {name: count for name, count in devices.items() if count and name.partition("/")[0] == domain}


def _counts(devices: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={count}" for name, count in sorted(devices.items()))


def daemonset_tasks(context: Context) -> list[Task]:
    """One task for each DaemonSet that an add-on planned."""
    planned = [manifest for addon in context.blueprint.addons for manifest in addon.manifests]
    return [
        Task(f"daemonset/{manifest['metadata']['name']}", partial(_daemonset, context, manifest))
        for manifest in planned
        if manifest["kind"] == "DaemonSet"
    ]


def _daemonset(context: Context, planned: Manifest) -> Outcome:
    """As many of its pods are ready as there are nodes that the planned pods can be on."""
    reference = reference_of(planned)
    status: Json = {}
    must: list[str] = []

    def settled() -> bool | None:
        live = context.client.get(reference.kind, reference.name, reference.namespace)
        must[:] = [node.name for node in list_nodes(context) if _reaches(planned, node)]
        status.clear()
        status.update(live.get("status", {}), generation=live["metadata"]["generation"])
        return follows(status, len(must)) or None

    ok = context.until(settled, SETTLE_SECONDS) is True
    counts = ", ".join(
        f"{key}={status.get(key, 0)}" for key in ("desiredNumberScheduled", "updatedNumberScheduled", "numberReady")
    )
    lacking = sorted(set(must) - _ready_on(context, planned)) if not ok else []
    missed = f"; no ready pod on {_few(lacking)}" if lacking else ""
    reached = f"must reach {len(must)}" + (f": {_few(must)}" if must else ", no such node is there now")
    return Outcome(ok, f"{reference.kind.kind} {reference.namespace}/{reference.name}: {counts}; {reached}{missed}")


def _ready_on(context: Context, planned: Manifest) -> set[str]:
    """The nodes on which a pod of the DaemonSet is ready."""
    labels = planned["spec"]["selector"].get("matchLabels", {})
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    pods = context.client.list(_POD, planned["metadata"].get("namespace"), labelSelector=selector)
    return {
        str(pod["spec"].get("nodeName", ""))
        for pod in pods
        if any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    }


def follows(status: Json, must: int) -> bool:
    """Whether the controller has seen the newest object, and exactly `must` of its pods are wanted, new and ready."""
    ready = (status.get(key, 0) for key in ("desiredNumberScheduled", "updatedNumberScheduled", "numberReady"))
    return status.get("observedGeneration") == status["generation"] and all(count == must for count in ready)


def _reaches(planned: Manifest, node: Node) -> bool:
    taints = tuple(taint for taint in node.taints if taint.key not in _DAEMONS_TOLERATE)
    shape = NodeShape(node.labels.get(names.POOL, ""), "", "on-demand", node.labels, taints, {}, {}, None)
    return daemonset_reaches(planned["spec"]["template"], shape) is None


def _few(items: Sequence[str]) -> str:
    shown = ", ".join(items[:5])
    return shown if len(items) <= 5 else f"{shown} and {len(items) - 5} more"
