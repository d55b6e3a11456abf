"""What is to be done about nodes: pure functions of the nodes, the configuration and the time.

Nodes are as the API serves them. A pool's node is told by its label; nodes of other pools and taints of others are
never touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Node = Mapping[str, Any]
Repair = Literal["taint", "drain", "replace"]

POOL = "espalier.dev/pool"
FAILED = {
    "key": "status-taint.cluster-autoscaler.kubernetes.io/espalier-device",
    "value": "failed",
    "effect": "NoSchedule",
}
"""Of this prefix, cluster-autoscaler leaves it out of a group's node-to-be: a failed node does not end its pool's
growth (kubernetes/autoscaler, FAQ, status taints)."""
SINCE = "espalier.dev/device-failing-since"
WHY = "espalier.dev/device-failing-why"
MET = "espalier.dev/devices-met"
"""When all the devices of a node were there for the first time: before, they are late; after, one that is missing has
failed. A new node of Karpenter's has its startup taint a moment late, so the gate does not tell."""
MEASURED = "DCGM_"
"""How reasons begin that come of DCGM's metrics."""
NOTHING: Mapping[str, str] = {}
MIG_STATE = "nvidia.com/mig.config.state"
WHOLE = "nvidia.com/gpu"
MIG = "nvidia.com/mig-"


@dataclass(frozen=True)
class Pool:
    """What a node of a pool has when all is well, which taint it wears until then, and what a failed one comes to."""

    devices: Mapping[str, int]
    gate: str = ""
    repair: Repair = "drain"
    leaves: tuple[str, ...] = ()
    """Conditions that its cloud acts on by itself: one owner."""


@dataclass(frozen=True)
class Health:
    """When a node counts as failed: `after` seconds of a failing device that was seen to fail all along; for devices
    that were never there, when the node is `start` seconds old as well.

    `conditions` are those that node agents set, with the status that means trouble. At most `at_once` nodes of a pool
    are out at a time. With `act` off, it is only told.
    """

    after: float = 600.0
    start: float = 1800.0
    at_once: int = 1
    act: bool = True
    conditions: Mapping[str, str] = field(default_factory=dict[str, str])
    prometheus: str = ""
    """Where DCGM's metrics are; "" where nobody asks them."""
    xids: Sequence[int] = ()
    """Errors of NVIDIA's driver that mean a failed device."""


@dataclass(frozen=True)
class Watch:
    """What is to be done about idle devices: where metrics are, and under how many percent of use they are idle.

    `after` and `action` hold where a tenant says nothing; `action` is also the most that is done to anything.
    """

    prometheus: str
    below: float = 1.0
    every: float = 60.0
    after: int | None = None
    action: Literal["report", "stop"] = "report"


@dataclass(frozen=True)
class Config:
    """All that the warden is told; `health` and `idle` are None where it is to leave these alone."""

    pools: Mapping[str, Pool]
    health: Health | None = None
    idle: Watch | None = None


@dataclass(frozen=True)
class Action:
    """One thing to do about one node. `why` is for people, on an event."""

    kind: Literal["open", "met", "note", "clear", "mark", "drain", "replace", "report"]
    node: str
    why: str


def config_of(text: str) -> Config:
    """The configuration of its JSON. Raises ValueError, with what is wrong, for any other text."""
    try:
        read: dict[str, Any] = json.loads(text)
        pools = {
            str(name): Pool(
                {str(device): int(count) for device, count in pool["devices"].items()},
                str(pool.get("gate", "")),
                pool.get("repair", "drain"),
                tuple(pool.get("leaves", ())),
            )
            for name, pool in read["pools"].items()
        }
        if wrong := {pool.repair for pool in pools.values()} - {"taint", "drain", "replace"}:
            raise TypeError(f"repair {sorted(wrong)}")
        health = Health(**read["health"]) if read.get("health") else None
        watch = Watch(**read["idle"]) if read.get("idle") else None
        return Config(pools, health, watch)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no configuration: {type(error).__name__}: {error}") from error


def decide(nodes: Iterable[Node], config: Config, now: float, measured: Mapping[str, str] = NOTHING) -> list[Action]:
    """What is to be done now, in the order of the nodes' names. `now` is a time in seconds since 1970.

    `measured` is what metrics say of nodes: what has failed, or "" where all is well; of the others nothing is known.
    """
    known = sorted((node for node in nodes if _pool(node, config)), key=_name)
    out: dict[str, int] = {}
    for node in known:
        out[_label(node)] = out.get(_label(node), 0) + is_marked(node)
    found: list[Action] = []
    for node in known:
        pool = config.pools[_label(node)]
        if node["metadata"].get("deletionTimestamp"):
            continue
        if (opened := _opened(node, pool)) is not None:
            found.append(opened)
            continue
        if config.health is None:
            continue
        room = out[_label(node)] < config.health.at_once
        actions = _judged(node, pool, config.health, now, measured.get(_name(node)), room=room)
        out[_label(node)] += any(action.kind == "mark" for action in actions)
        found += actions
    return found


def lacking(node: Node, devices: Mapping[str, int]) -> str | None:
    """Which devices are not allocatable in the planned count; None where all are.

    Where MIG slices are planned, whole GPUs must be gone, and a manager that tells its state must have succeeded.
    """
    allocatable = node.get("status", {}).get("allocatable") or {}
    for device, count in sorted(devices.items()):
        there = _count(allocatable.get(device))
        if there < count:
            return f"{device}: {there} of {count} allocatable"
    if any(device.startswith(MIG) for device in devices):
        state = _labels(node).get(MIG_STATE)
        if state not in (None, "success"):
            return f"{MIG_STATE} is {state}"
        if WHOLE not in devices and _count(allocatable.get(WHOLE)):
            return f"{WHOLE}: {allocatable[WHOLE]} whole GPUs are given out, and slices are planned"
    return None


def troubled(node: Node, conditions: Mapping[str, str]) -> str | None:
    """A condition by which a node agent says that a device has failed; None where none does."""
    for condition in node.get("status", {}).get("conditions") or ():
        kind, status = condition.get("type"), condition.get("status")
        if kind in conditions and status == conditions[kind]:
            said = condition.get("message") or condition.get("reason") or "no reason given"
            return f"condition {kind} is {status}: {said}"[:400]
    return None


def is_gated(node: Node, gate: str) -> bool:
    """Whether the node still wears its pool's startup taint."""
    return bool(gate) and any(taint["key"] == gate for taint in taints_of(node))


def is_marked(node: Node) -> bool:
    """Whether the warden has taken the node out."""
    return any(taint["key"] == FAILED["key"] for taint in taints_of(node))


def is_ready(node: Node) -> bool:
    """Whether the kubelet says that it is well."""
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in _conditions(node))


def taints_of(node: Node) -> list[dict[str, Any]]:
    """The node's taints, as the API serves them."""
    return list(node.get("spec", {}).get("taints") or [])


def patch_of(node: Node, action: Action, config: Config, now: float) -> list[dict[str, Any]]:
    """The JSON patch that does the action to the node's object; refused by the API where its taints have changed."""
    before = taints_of(node)
    gate = config.pools[_label(node)].gate
    match action.kind:
        case "open":
            opened = _taints(before, [taint for taint in before if taint["key"] != gate])
            return [*opened, *_annotated(node, {MET: text_of(now), SINCE: None, WHY: None})]
        case "met":
            return _annotated(node, {MET: text_of(now), SINCE: None, WHY: None})
        case "mark":
            return [*_taints(before, [*before, dict(FAILED)]), *_annotated(node, _noted(node, action, now))]
        case "note":
            return _annotated(node, _noted(node, action, now))
        case "clear":
            left = [taint for taint in before if taint["key"] != FAILED["key"]]
            return [*(_taints(before, left) if left != before else []), *_annotated(node, {SINCE: None, WHY: None})]
        case _:
            return []


def claim_of(node: Node) -> str | None:
    """The NodeClaim that a node of Karpenter's belongs to."""
    for owner in node["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == "NodeClaim" and str(owner.get("apiVersion", "")).startswith("karpenter.sh/"):
            return str(owner["name"])
    return None


def to_evict(pods: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The pods of a node that a drain asks to go: not those of DaemonSets, of the kubelet itself, or ended ones."""
    return [pod for pod in pods if not _stays(pod)]


def time_of(text: str | None) -> float | None:
    """A time of the API in seconds since 1970; None for what is none."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def text_of(seconds: float) -> str:
    """A time as the API writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _opened(node: Node, pool: Pool) -> Action | None:
    if not is_gated(node, pool.gate) or not is_ready(node) or lacking(node, pool.devices):
        return None
    there = ", ".join(f"{count} {device}" for device, count in sorted(pool.devices.items()))
    return Action("open", _name(node), f"{there} allocatable")


def _judged(node: Node, pool: Pool, health: Health, now: float, measured: str | None, *, room: bool) -> list[Action]:
    """What follows from the state of one node's devices, and from how long it has lasted."""
    name, marked = _name(node), is_marked(node)
    since = time_of(_annotations(node).get(SINCE))
    if not is_ready(node):
        return []  # a node that does not answer is its cloud's and Kubernetes' own affair, and tells nothing of devices
    watched = {kind: status for kind, status in health.conditions.items() if kind not in pool.leaves}
    # Where a cloud repairs nodes by its agent's word, that agent judges the same errors.
    trouble, lack = troubled(node, watched) or (not pool.leaves and measured) or None, lacking(node, pool.devices)
    why = trouble or lack
    if why is None and measured is None and _annotations(node).get(WHY, "").startswith(MEASURED):
        return []  # metrics told of it, and say nothing now: that is no word of its being well
    if why is None:
        if not marked and MET not in _annotations(node):
            return [Action("met", name, "all its devices are there")]
        return [Action("clear", name, "its devices are well again")] if marked or since is not None else []
    if marked:
        return _taken_out(node, pool, why) if health.act else []
    # Of a node from before the warden, nobody knows whether its devices were there: its age alone is no failure.
    to_come = health.start if trouble is None and MET not in _annotations(node) else 0.0
    age = now - (time_of(node["metadata"].get("creationTimestamp")) or 0.0)
    if since is None:
        return [Action("note", name, why)] if age >= to_come - health.after else []
    if now - since < health.after or age < to_come:
        return []
    if not health.act:
        # The same words as long as it lasts: what is new is told, and an event made of it.
        return [Action("report", name, f"since {text_of(since)}: {why}")]
    if room:
        return [Action("mark", name, why)]
    return [Action("report", name, f"stays, as {health.at_once} of its pool are out already, all that may be: {why}")]


def _taken_out(node: Node, pool: Pool, why: str) -> list[Action]:
    if pool.repair == "taint":
        return []
    replaced = pool.repair == "replace" and claim_of(node) is not None
    return [Action("replace" if replaced else "drain", _name(node), why)]


def _noted(node: Node, action: Action, now: float) -> dict[str, str | None]:
    return {SINCE: _annotations(node).get(SINCE) or text_of(now), WHY: action.why}


def _annotated(node: Node, wanted: Mapping[str, str | None]) -> list[dict[str, Any]]:
    have = _annotations(node)
    steps: list[dict[str, Any]] = [] if node["metadata"].get("annotations") else [_step("add", "annotations", {})]
    for key, value in sorted(wanted.items()):
        where = f"annotations/{key.replace('~', '~0').replace('/', '~1')}"
        if value is not None:
            steps.append(_step("add", where, value))
        elif key in have:
            steps.append({"op": "remove", "path": f"/metadata/{where}"})
    return steps


def _step(op: str, where: str, value: Any) -> dict[str, Any]:
    return {"op": op, "path": f"/metadata/{where}", "value": value}


def _taints(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not before:
        # A list that is there by now is not overwritten: the test fails on anything but none.
        return [
            {"op": "test", "path": "/spec/taints", "value": None},
            {"op": "add", "path": "/spec/taints", "value": after},
        ]
    return [
        {"op": "test", "path": "/spec/taints", "value": before},
        {"op": "replace", "path": "/spec/taints", "value": after},
    ]


def _stays(pod: Mapping[str, Any]) -> bool:
    metadata = pod["metadata"]
    owners = [owner.get("kind") for owner in metadata.get("ownerReferences") or () if owner.get("controller")]
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    mirrored = "kubernetes.io/config.mirror" in (metadata.get("annotations") or {})
    return ended or mirrored or "DaemonSet" in owners or "Node" in owners or bool(metadata.get("deletionTimestamp"))


def _pool(node: Node, config: Config) -> Pool | None:
    return config.pools.get(_label(node))


def _label(node: Node) -> str:
    return str(_labels(node).get(POOL, ""))


def _labels(node: Node) -> Mapping[str, str]:
    return node["metadata"].get("labels") or {}


def _annotations(node: Node) -> Mapping[str, str]:
    return node["metadata"].get("annotations") or {}


def _conditions(node: Node) -> Sequence[Mapping[str, Any]]:
    return node.get("status", {}).get("conditions") or ()


def _name(node: Node) -> str:
    return str(node["metadata"]["name"])


def _count(quantity: Any) -> int:
    """A device count; the API serves whole numbers of extended resources, if need be with a suffix: 1k."""
    text = str(quantity or "0")
    factor = {"k": 10**3, "M": 10**6}.get(text[-1:], 1)
    digits = text[:-1] if factor > 1 else text
    return int(digits) * factor if digits.isdigit() else 0
