"""Where pods are tried: a namespace of its own, drill nodes for pools that have none free, and nothing left after.

Everything made here carries the label `espalier.dev/verify`, so that a later run can remove what a killed one left.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from espalier.blueprint.nodes import node_manifest
from espalier.blueprint.pools import PoolPlan
from espalier.kube import ApiError, Client, Kind, Manifest, Reference, reference_of
from espalier.types import Taint
from espalier.verify.model import Context, Json, until
from espalier.verify.nodes import NODE, Node, accelerated, devices_in, list_nodes, of_pool
from espalier.verify.pods import POD

LABEL = "espalier.dev/verify"
DRILL_TAINT = Taint(LABEL, "drill")
"""Keeps everyone else's pods off a drill node, which goes away again."""
ACCOUNT = "probe"

_NAMESPACE = Kind("v1", "Namespace")
_NODE_READY_SECONDS = 20.0
_GONE_SECONDS = 30.0
"""The controller manager waits 5 s before it looks at a namespace that is to go (namespace_controller.go)."""
_STALE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool as the drills found it. `nodes` are its live ones, a drill node not among them."""

    plan: PoolPlan
    nodes: tuple[Node, ...]
    drill: Node | None
    """A node of the pool's shape that was added for the drill."""
    obstacle: str = ""
    """Why no pod can be tried on the pool now."""
    broken: str = ""
    """Why the pool is not what the blueprint says, where it lacks nodes."""

    @property
    def candidates(self) -> tuple[Node, ...]:
        return (*self.nodes, self.drill) if self.drill else self.nodes

    @property
    def note(self) -> str:
        """What evidence must say of a drill node."""
        return f"; {self.drill.name} was added for the drill and removed after it" if self.drill else ""


class Stage:
    """Set up before the drills, cleared after them. Pods may be tried while it is set up."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self.run = secrets.token_hex(3)  # only names differ by it: two people may verify one cluster at once
        self.namespace = f"espalier-verify-{self.run}"
        self.node_count = 0
        """Nodes of the cluster, drill nodes among them."""
        self._pools: dict[str, PoolState] = {}
        self._made: list[Reference] = []

    def pool(self, plan: PoolPlan) -> PoolState:
        """How a pool was found."""
        return self._pools[plan.name]

    def set_up(self) -> None:
        """Makes the namespace and the drill nodes, and waits until the nodes are Ready."""
        self._sweep()
        nodes = list_nodes(self._context)
        used = self._devices_in_use()
        self._pools = {pool.name: self._state(pool, of_pool(nodes, pool), used) for pool in accelerated(self._context)}
        labels = {LABEL: self.run, "pod-security.kubernetes.io/enforce": "restricted"}
        metadata: Json = {"name": self.namespace, "labels": labels}
        self._make({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        # A pod with an account of its own need not wait until the controllers have made the default one.
        account = {"name": ACCOUNT, "namespace": self.namespace}
        self._client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        drills = [state.drill.name for state in self._pools.values() if state.drill]
        self.node_count = len(nodes) + len(drills)
        for name in drills:
            self._context.until(lambda name=name: self._is_ready(name), _NODE_READY_SECONDS)
        if drills:
            self._read_drill_nodes()

    def _state(self, pool: PoolPlan, nodes: Sequence[Node], used: dict[tuple[str, str], int]) -> PoolState:
        """Decides whether a pod can be tried on the pool's own nodes, and adds a drill node where it may."""
        least = max(pool.minimum, len(pool.nodes))
        broken = f"no node carries the pool's label; the blueprint has at least {least}" if least and not nodes else ""
        if broken:
            return PoolState(pool, (), None, broken, broken)
        asked = asks(pool)
        offered = all(any(node.allocatable.get(d, 0) >= n for node in nodes) for d, n in asked.items())
        if nodes and not offered:
            return PoolState(pool, tuple(nodes), None, f"no node advertises {devices_text(asked)}")
        if _free(pool, nodes, used):
            return PoolState(pool, tuple(nodes), None)
        if self._context.simulated:
            return PoolState(pool, tuple(nodes), self._add_drill_node(pool))
        obstacle = "other work holds all of its devices" if nodes else "it has no node now"
        return PoolState(pool, tuple(nodes), None, obstacle)

    def _read_drill_nodes(self) -> None:
        """What counts is what the nodes are like now that they are Ready, not how they were asked for."""
        live = {node.name: node for node in list_nodes(self._context)}
        for name, state in self._pools.items():
            if state.drill:
                self._pools[name] = replace(state, drill=live[state.drill.name])

    def is_full(self, pool: PoolPlan) -> bool:
        """Whether other work holds so many devices by now that no node of the pool has enough left for a probe."""
        nodes = of_pool(list_nodes(self._context), pool)
        return not _free(pool, nodes, self._devices_in_use())

    def _devices_in_use(self) -> dict[tuple[str, str], int]:
        """(node, device) -> how many pods hold."""
        used: dict[tuple[str, str], int] = {}
        for pod in self._client.list(POD, fieldSelector="status.phase!=Succeeded,status.phase!=Failed"):
            node = pod["spec"].get("nodeName")
            for container in pod["spec"]["containers"] if node else ():
                for device, count in devices_in(container.get("resources", {}).get("requests", {})).items():
                    used[node, device] = used.get((node, device), 0) + count
        return used

    def _add_drill_node(self, pool: PoolPlan) -> Node:
        manifest = node_manifest(pool.shape, f"{pool.name}-verify-{self.run}")
        manifest["metadata"]["labels"][LABEL] = self.run
        spec = manifest.setdefault("spec", {})
        spec["taints"] = [*spec.get("taints", []), DRILL_TAINT.to_json()]
        return Node.of(self._make(manifest))

    def add_node(self, manifest: Json, seconds: float) -> bool:
        """Adds a further node, on a simulated cluster only; whether it is Ready by so many seconds."""
        manifest["metadata"]["labels"][LABEL] = self.run
        name = str(self._make(manifest)["metadata"]["name"])
        return self._context.until(lambda: self._is_ready(name), seconds) is True

    def note(self, manifest: Manifest) -> None:
        """Takes note of a pod that is about to be made in a namespace of somebody else's, so that it is removed."""
        self._made.append(reference_of(manifest))

    def remove(self, manifests: Sequence[Manifest]) -> None:
        """Removes pods that were noted; they need not be there."""
        for manifest in manifests:
            pod = reference_of(manifest)
            _accept_gone(lambda pod=pod: self._client.delete(POD, pod.name, pod.namespace))

    def _make(self, manifest: Manifest) -> Json:
        # Noted first: an interrupt may come between the request and its answer.
        self._made.append(reference_of(manifest))
        return self._client.create(manifest)

    def _is_ready(self, name: str) -> bool | None:
        """Ready, and without the taint that every new node has until its controller has seen it Ready."""
        live = self._client.get(NODE, name)
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in live["status"].get("conditions", []))
        new = any(taint["key"] == "node.kubernetes.io/not-ready" for taint in live["spec"].get("taints", []))
        return True if ready and not new else None

    def end_drills(self) -> None:
        """Removes pods and drill nodes; the namespace stays for what comes."""
        _remove_pods_and_nodes(self._client, self._made)

    def clear(self) -> None:
        """Removes everything that was made: pods, then nodes with what is still on them, then the namespace."""
        _remove(self._client, self._made)

    def left(self) -> tuple[str, ...]:
        """Waits until all is gone; what is still there after that."""
        return _left(self._client, self._made)

    def _sweep(self) -> None:
        """Removes what a verification left that was killed."""
        stale: list[Reference] = []
        for kind in (_NAMESPACE, NODE, POD):
            for live in self._client.list(kind, labelSelector=LABEL):
                made = datetime.fromisoformat(live["metadata"]["creationTimestamp"])
                if datetime.now(UTC) - made > _STALE:
                    stale.append(reference_of(live))
        _remove(self._client, stale)


def _free(pool: PoolPlan, nodes: Sequence[Node], used: Mapping[tuple[str, str], int]) -> bool:
    asked = asks(pool)
    return any(
        all(node.allocatable.get(device, 0) - used.get((node.name, device), 0) >= n for device, n in asked.items())
        for node in nodes
    )


def asks(pool: PoolPlan) -> dict[str, int]:
    """What a probe asks for: one device, or all of a TPU host's, since GKE gives out no part of those."""
    whole = pool.accelerator is not None and bool(pool.accelerator.topologies)
    return {device: count if whole else 1 for device, count in pool.shape.devices.items()}


def devices_text(devices: dict[str, int]) -> str:
    """Devices for people: `1 nvidia.com/gpu`."""
    return " and ".join(f"{count} {device}" for device, count in sorted(devices.items()))


def _remove(client: Client, made: Sequence[Reference]) -> None:
    _remove_pods_and_nodes(client, made)
    for namespace in (reference for reference in made if reference.kind == _NAMESPACE):
        _accept_gone(lambda name=namespace.name: client.delete(_NAMESPACE, name))


def _remove_pods_and_nodes(client: Client, made: Sequence[Reference]) -> None:
    never = threading.Event()
    namespaces = [reference for reference in made if reference.kind == _NAMESPACE]
    nodes = [reference for reference in made if reference.kind == NODE]
    for pod in (reference for reference in made if reference.kind == POD):
        _accept_gone(lambda pod=pod: client.delete(POD, pod.name, pod.namespace))
    for namespace in namespaces:
        _accept_gone(lambda name=namespace.name: client.request("DELETE", f"/api/v1/namespaces/{name}/pods"))
    for namespace in namespaces:
        # A namespace that is deleted while it still has pods is looked at again only many seconds later.
        until(lambda name=namespace.name: True if not client.list(POD, name) else None, _GONE_SECONDS, never)
    for node in nodes:
        _accept_gone(lambda name=node.name: client.delete(NODE, name))
        until(lambda name=node.name: _no_pods_on(client, name), _GONE_SECONDS, never)


def _no_pods_on(client: Client, node: str) -> bool | None:
    """Deletes pods, of DaemonSets that tolerate everything, that no kubelet will ever end: their node is gone."""
    pods = client.list(POD, fieldSelector=f"spec.nodeName={node}")
    for pod in pods:
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        _accept_gone(lambda path=path: client.request("DELETE", path, body={"gracePeriodSeconds": 0}))
    return None if pods else True


def _left(client: Client, made: Sequence[Reference]) -> tuple[str, ...]:
    def gone() -> bool | None:
        remaining[:] = [reference for reference in made if client.find_object(reference) is not None]
        return None if remaining else True

    remaining: list[Reference] = []
    until(gone, _GONE_SECONDS, threading.Event())
    return tuple(map(str, remaining))


def _accept_gone(delete: Callable[[], object]) -> None:
    try:
        delete()
    except ApiError as error:
        if error.status != 404:
            raise
