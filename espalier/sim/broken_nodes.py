"""Breaks simulated nodes and their devices, and mends them: what a kubelet and a device plugin would report.

KWOK plays a node by annotation and leaves alone what is said here (data/stages.yaml).
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from espalier.sim.api import Admin
from espalier.sim.errors import SimError
from espalier.sim.paths import DATA

NOT_READY = "espalier.dev/sim-not-ready"
DRIVER_SECONDS = "espalier.dev/sim-driver-seconds"
_POOL = "espalier.dev/pool"
_NODES = "/api/v1/nodes"
_POLICY = "espalier-sim-slow-driver"
_POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
_BINDINGS = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings"
_IN_FORCE_SECONDS = 30.0
Node = dict[str, Any]


def not_ready(admin: Admin, count: int, pool: str | None, node: str | None) -> tuple[str, ...]:
    """So many Ready nodes stop being so; their names."""
    chosen = _choose(admin, count, pool, node, _is_ready, "Ready")
    for each in chosen:
        # First the annotation: KWOK makes a node Ready again that does not carry it.
        admin.patch(f"{_NODES}/{_name(each)}", {"metadata": {"annotations": {NOT_READY: "true"}}})
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "type": "Ready",
            "status": "False",
            "reason": "KubeletNotReady",
            "message": "container runtime is down (simulated)",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        admin.patch(f"{_NODES}/{_name(each)}/status", {"status": {"conditions": [condition]}}, how="strategic-merge")
    return tuple(map(_name, chosen))


def ready(admin: Admin, pool: str | None, node: str | None) -> tuple[str, ...]:
    """Nodes that were made not Ready are Ready again; their names."""
    chosen = _all(admin, pool, node, lambda each: NOT_READY in _annotations(each), "not Ready by a drill")
    for each in chosen:
        admin.patch(f"{_NODES}/{_name(each)}", {"metadata": {"annotations": {NOT_READY: None}}})
    return tuple(map(_name, chosen))


def lose_device(admin: Admin, count: int, pool: str | None, node: str | None) -> tuple[str, ...]:
    """One device of so many nodes is not to be had any more; the nodes' names.

    Of a node that holds several kinds of devices the first by name is lost. Capacity stays, as a kubelet has it of a
    device that its plugin calls unhealthy.
    """
    chosen = _choose(admin, count, pool, node, lambda each: bool(_devices(each)) and not _lacks(each), "whole")
    for each in chosen:
        device, amount = sorted(_devices(each).items())[0]
        # A driver that arrives late would bring the device back.
        admin.patch(f"{_NODES}/{_name(each)}", {"metadata": {"annotations": {DRIVER_SECONDS: None}}})
        lost = {"status": {"allocatable": {device: str(amount - 1)}}}
        admin.patch(f"{_NODES}/{_name(each)}/status", lost)
    return tuple(map(_name, chosen))


def return_devices(admin: Admin, pool: str | None, node: str | None) -> tuple[str, ...]:
    """Nodes have all their devices again; the names of those that lacked some."""
    chosen = _all(admin, pool, node, lambda each: bool(_lacks(each)), "lacking a device")
    for each in chosen:
        admin.patch(f"{_NODES}/{_name(each)}/status", {"status": {"allocatable": _lacks(each)}})
    return tuple(map(_name, chosen))


def slow_driver(admin: Admin, pool: str | None, seconds: int) -> None:
    """Nodes that are made from now on, of one pool or all, have their devices only so long after; waits until it is so.

    An admission policy puts the annotation on them, whoever makes them: an autoscaler, `up`, or a person.
    """
    admin.apply(DATA / "slow-driver.yaml")
    conditions: list[dict[str, str]] | None = None
    if pool is not None:
        expression = f"object.metadata.?labels['{_POOL}'].orValue('') == '{_checked(pool)}'"
        conditions = [{"name": "pool", "expression": expression}]
    spec = {"mutations": [_mutation(seconds)], "matchConditions": conditions}
    admin.patch(f"{_POLICIES}/{_POLICY}", {"metadata": {"labels": {_POOL: pool}}, "spec": spec})
    _wait(lambda: _tried(admin, pool) == str(seconds), "the admission policy is not in force")


def quick_driver(admin: Admin) -> None:
    """Nodes that are made from now on have their devices at once; waits until it is so."""
    pools = [each["metadata"].get("labels", {}).get(_POOL) for each in admin.list(_POLICIES) if _name(each) == _POLICY]
    for path in (_BINDINGS, _POLICIES):
        admin.delete_all(f"{path}/{_POLICY}")
    _wait(lambda: all(_tried(admin, pool) is None for pool in pools), "the admission policy is still in force")


def _mutation(seconds: int) -> dict[str, Any]:
    said = f'Object{{metadata: Object.metadata{{annotations: {{"{DRIVER_SECONDS}": "{seconds}"}}}}}}'
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": said}}


def _tried(admin: Admin, pool: str | None) -> str | None:
    """What a new node would be told, by a dry run."""
    labels = {} if pool is None else {_POOL: pool}
    body = {"metadata": {"name": "espalier-sim-trial", "labels": labels}}
    return _annotations(admin.create(f"{_NODES}?dryRun=All", body)).get(DRIVER_SECONDS)


def _wait(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _IN_FORCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise SimError(otherwise, "see the API server's log")
        time.sleep(0.1)


def _choose(
    admin: Admin, count: int, pool: str | None, node: str | None, fits: Callable[[Node], bool], how: str
) -> list[Node]:
    """So many fitting nodes, the oldest first. Raises SimError where there are fewer."""
    found = sorted(
        _found(admin, pool, node, fits), key=lambda each: (each["metadata"]["creationTimestamp"], _name(each))
    )
    if len(found) < count:
        raise SimError(f"{count} nodes are asked for, and{_of(pool, node)} {len(found)} are {how}", _LOOK)
    return found[:count]


def _all(admin: Admin, pool: str | None, node: str | None, fits: Callable[[Node], bool], how: str) -> list[Node]:
    """All fitting nodes, by name. Raises SimError where there is none."""
    found = sorted(_found(admin, pool, node, fits), key=_name)
    if not found:
        raise SimError(f"no node{_of(pool, node)} is {how}", _LOOK)
    return found


_LOOK = "look: kubectl get nodes -L espalier.dev/pool"


def _found(admin: Admin, pool: str | None, node: str | None, fits: Callable[[Node], bool]) -> list[Node]:
    return [
        each
        for each in admin.list(_NODES)
        if node in (None, _name(each))
        and pool in (None, each["metadata"].get("labels", {}).get(_POOL))
        and "deletionTimestamp" not in each["metadata"]
        and fits(each)
    ]


def _of(pool: str | None, node: str | None) -> str:
    if node is not None:
        return f" of the name {node}"
    return "" if pool is None else f" in pool {pool}"


def _checked(pool: str) -> str:
    """A pool's name, which goes into an expression."""
    if not pool.replace("-", "").isalnum():
        raise SimError(f"{pool!r} names no pool", "give a pool's name as the stack file has it")
    return pool


def _is_ready(node: Node) -> bool:
    conditions: list[dict[str, str]] = node["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _devices(node: Node) -> dict[str, int]:
    """Devices that can be had now; their names have a domain (Kubernetes, Extended Resources)."""
    offered: dict[str, str] = node["status"].get("allocatable", {})
    return {device: int(amount) for device, amount in offered.items() if "/" in device and int(amount) > 0}


def _lacks(node: Node) -> dict[str, str]:
    """Device -> the whole amount, of those that the node has in part or not at all."""
    capacity: dict[str, str] = node["status"].get("capacity", {})
    there = _devices(node)
    return {
        device: amount
        for device, amount in sorted(capacity.items())
        if "/" in device and there.get(device, 0) < int(amount)
    }


def _name(node: Node) -> str:
    return str(node["metadata"]["name"])


def _annotations(node: Node) -> dict[str, str]:
    return node["metadata"].get("annotations") or {}
