"""What stands idle: pure functions of pods, device metrics and the time. Who leaves no metric is never idle.

A notebook (Kubeflow's) or a server (a Deployment or StatefulSet that says so by a label) is idle when every pod of it
that asks for a device has used none for the tenant's time, and metrics cover all of that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from espalier.warden.rules import time_of

AFTER, ACTION = "espalier.dev/idle-after", "espalier.dev/idle-action"
"""Annotations of a tenant's namespace: seconds, and report or stop."""
STOPPED = "kubeflow-resource-stopped"
"""Kubeflow's notebook controller runs no pod of a notebook with this annotation (notebook_controller.go)."""
MAY_STOP = "espalier.dev/stop-when-idle"
NOTEBOOK = "notebook-name"
"""Kubeflow's label of a notebook's pods."""
METRICS: Mapping[str, float] = {"DCGM_FI_DEV_GPU_UTIL": 1.0, "DCGM_FI_PROF_GR_ENGINE_ACTIVE": 100.0}
"""DCGM's metrics of use, with what makes percent of them; the second is the one that MIG slices have (dcgm-exporter,
etc/default-counters.csv)."""

STEP = 60
"""Seconds between the moments at which coverage is looked at."""

Pod = tuple[str, str]
"""Namespace and name."""
Use = Mapping[Pod, float]
"""Pod -> the most of its devices' time that it used, in percent."""


@dataclass(frozen=True)
class Rule:
    """What holds in one namespace: idle after so many seconds, then told or stopped."""

    after: int
    action: Literal["report", "stop"]


@dataclass(frozen=True)
class Idle:
    """One thing that stands idle."""

    kind: Literal["Notebook", "Deployment", "StatefulSet"]
    namespace: str
    name: str
    action: Literal["report", "stop"]
    why: str


def rules_of(namespaces: Iterable[Mapping[str, Any]], default: Rule | None, *, may_stop: bool) -> dict[str, Rule]:
    """Namespace -> its rule, of tenants' namespaces alone: its own, else the platform's; what cannot be read is none.

    Where nothing may be stopped, a rule that says so is told of all the same.
    """
    found: dict[str, Rule] = {}
    for namespace in namespaces:
        metadata = namespace["metadata"]
        if "espalier.dev/tenant" not in (metadata.get("labels") or {}):
            continue
        notes: Mapping[str, str] = metadata.get("annotations") or {}
        after, action = notes.get(AFTER, ""), notes.get(ACTION, "")
        if not after and not action and default is not None:
            found[metadata["name"]] = default
        elif after.isdigit() and int(after) > 0 and action in ("report", "stop"):
            found[metadata["name"]] = Rule(int(after), "stop" if action == "stop" and may_stop else "report")
    return found


def queries(after: int) -> tuple[tuple[str, float, bool], ...]:
    """PromQL of a rule's time: each with what makes percent of its values, and whether it tells of coverage.

    Most use over the whole time, and in how many of its minutes there was a measurement: a pod whose metrics are
    younger, or have a hole, is not judged.
    """
    return tuple(
        query
        for metric, percent in METRICS.items()
        for query in (
            (f"max_over_time({metric}[{after}s])", percent, False),
            (f"count_over_time({metric}[{after}s:{STEP}s])", 1.0, True),
        )
    )


def pods_of(answer: Mapping[str, Any], percent: float) -> dict[Pod, float]:
    """Pod -> the highest value, of Prometheus' answer to an instant query; series without a pod tell nothing.

    Where Prometheus keeps its own labels, the exporter's come as exported_pod and exported_namespace.
    """
    found: dict[Pod, float] = {}
    for series in answer["data"]["result"]:
        labels: Mapping[str, str] = series["metric"]
        namespace = labels.get("exported_namespace") or labels.get("namespace")
        pod = labels.get("exported_pod") or labels.get("pod")
        value = float(series["value"][1]) * percent
        if namespace and pod and value == value:  # NaN differs from itself
            found[namespace, pod] = max(value, found.get((namespace, pod), 0.0))
    return found


def covered(minutes: Use, after: int) -> frozenset[Pod]:
    """The pods that were measured all along, but for a twentieth."""
    return frozenset(pod for pod, count in minutes.items() if count >= 0.95 * after / STEP)


def idle(
    pods: Iterable[Mapping[str, Any]],
    rules: Mapping[str, Rule],
    used: Mapping[int, Use],
    known: Mapping[int, frozenset[Pod]],
    devices: frozenset[str],
    below: float,
    now: float,
) -> list[Idle]:
    """All that stands idle now. `used` and `known` are by a rule's time: most use, and who was measured all along."""
    owners: dict[tuple[str, str, str], list[tuple[bool, str]]] = {}
    for pod in pods:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        owner, rule = owner_of(pod), rules.get(namespace)
        if owner is None or rule is None or not asks(pod, devices) or _ends(pod):
            continue
        most = used.get(rule.after, {}).get((namespace, name))
        started = time_of(pod["status"].get("startTime"))
        old = started is not None and now - started >= rule.after
        is_idle = old and most is not None and most < below and (namespace, name) in known.get(rule.after, frozenset())
        owners.setdefault((owner[0], namespace, owner[1]), []).append((is_idle, f"{name} {most or 0:.0f}%"))
    return [
        Idle(_kind(kind), namespace, name, rules[namespace].action, _why(rules[namespace].after, found))
        for (kind, namespace, name), found in sorted(owners.items())
        if all(is_idle for is_idle, _ in found)
    ]


def owner_of(pod: Mapping[str, Any]) -> tuple[str, str] | None:
    """What would be stopped: the notebook, or the server that says it may be; None for any other pod."""
    labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
    if NOTEBOOK in labels:
        return "Notebook", labels[NOTEBOOK]
    if labels.get(MAY_STOP) != "true":
        return None
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == "StatefulSet":
            return "StatefulSet", str(owner["name"])
        digest = labels.get("pod-template-hash", "")
        if owner.get("kind") == "ReplicaSet" and digest and str(owner["name"]).endswith(f"-{digest}"):
            return "Deployment", str(owner["name"]).removesuffix(f"-{digest}")
    return None


def asks(pod: Mapping[str, Any], devices: frozenset[str]) -> bool:
    """Whether the pod holds a device."""
    return any(
        device in devices
        for container in pod["spec"].get("containers", ())
        for device in (container.get("resources") or {}).get("limits") or {}
    )


def _ends(pod: Mapping[str, Any]) -> bool:
    """Whether the pod has ended, or was asked to."""
    return pod["status"].get("phase") in ("Succeeded", "Failed") or bool(pod["metadata"].get("deletionTimestamp"))


def _kind(text: str) -> Literal["Notebook", "Deployment", "StatefulSet"]:
    return "Notebook" if text == "Notebook" else "Deployment" if text == "Deployment" else "StatefulSet"


def _why(after: int, found: Sequence[tuple[bool, str]]) -> str:
    return f"used its devices by no more than {', '.join(text for _, text in found)} for {after} s"
