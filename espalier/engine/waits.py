"""When an object counts as ready: a table, kind by kind, of functions over the live object.

What is awaited and for how long follows Pulumi's Kubernetes provider (its `await` package), so that both
engines wait alike; so do the annotations `pulumi.com/skipAwait`, `pulumi.com/timeoutSeconds` and
`pulumi.com/waitFor`. Kinds that the table does not name are ready once they are applied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from espalier.kube import Kind, Manifest

SKIP = "pulumi.com/skipAwait"
TIMEOUT = "pulumi.com/timeoutSeconds"
WAIT_FOR = "pulumi.com/waitFor"
KWOK_NODE = "kwok.x-k8s.io/node"
_NOT_READY = "node.kubernetes.io/not-ready"
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice")


@dataclass(frozen=True)
class State:
    """How far an object is."""

    text: str
    """For people: what it is waiting for, or why it failed; empty when ready."""
    failed: bool = False
    """True when waiting longer cannot help."""

    @property
    def ready(self) -> bool:
        """Tells whether there is nothing to wait for."""
        return not self.text


READY = State("")
Check = Callable[[Manifest], State]


@dataclass(frozen=True)
class Wait:
    """One row of the table."""

    check: Check
    seconds: float
    """The default timeout."""
    what: str
    """For people: what is awaited."""


def _condition(obj: Manifest, type_: str) -> Mapping[str, Any]:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == type_), {})


def _conditioned(type_: str) -> Check:
    def check(obj: Manifest) -> State:
        condition = _condition(obj, type_)
        if condition.get("status") == "True":
            return READY
        said = condition.get("message") or condition.get("reason") or "not reported yet"
        return State(f"condition {type_} is {condition.get('status', 'missing')}: {said}")

    return check


def _namespace(obj: Manifest) -> State:
    phase = (obj.get("status") or {}).get("phase")
    return READY if phase == "Active" else State(f"phase is {phase or 'not set'}", failed=phase == "Terminating")


def _observed(obj: Manifest) -> bool:
    return (obj.get("status") or {}).get("observedGeneration", 0) >= obj["metadata"].get("generation", 0)


def _deployment(obj: Manifest) -> State:
    status, want = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    if not _observed(obj):
        return State("the controller has not seen it yet")
    progressing = _condition(obj, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return State(progressing.get("message", "progress deadline exceeded"), failed=True)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < want or available < want or status.get("replicas", 0) > updated:
        return State(f"{available} of {want} replicas available, {updated} updated")
    return READY


def _stateful_set(obj: Manifest) -> State:
    status, want = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    if not _observed(obj):
        return State("the controller has not seen it yet")
    rolling = (obj["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    if ready < want or (rolling and updated < want and status.get("currentRevision") != status.get("updateRevision")):
        return State(f"{ready} of {want} replicas ready, {updated} updated")
    return READY


def _daemon_set(obj: Manifest) -> State:
    status = obj.get("status") or {}
    if not _observed(obj):
        return State("the controller has not seen it yet")
    want, available = status.get("desiredNumberScheduled", 0), status.get("numberAvailable", 0)
    on_delete = (obj["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"
    updated = want if on_delete else status.get("updatedNumberScheduled", 0)
    return READY if min(available, updated) >= want else State(f"{available} of {want} pods available")


def _job(obj: Manifest) -> State:
    if (failed := _condition(obj, "Failed")).get("status") == "True":
        return State(f"the job failed: {failed.get('message') or failed.get('reason')}", failed=True)
    if obj["spec"].get("suspend"):
        return READY
    return READY if _condition(obj, "Complete").get("status") == "True" else State("the job is not complete")


def _pod(obj: Manifest) -> State:
    phase = (obj.get("status") or {}).get("phase")
    if phase == "Succeeded":
        return READY
    if phase == "Failed":
        return State("the pod failed", failed=True)
    ready = _conditioned("Ready")(obj)
    scheduled = _condition(obj, "PodScheduled")
    if not ready.ready and scheduled.get("status") == "False":
        return State(f"not scheduled: {scheduled.get('message')}")
    return ready


def _claim(obj: Manifest) -> State:
    phase = (obj.get("status") or {}).get("phase")
    return READY if phase == "Bound" else State(f"phase is {phase or 'not set'}", failed=phase == "Lost")


def _service(obj: Manifest) -> State:
    """The address of a load balancer; endpoints are awaited apart, since they are other objects."""
    if obj["spec"].get("type") != "LoadBalancer":
        return READY
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    return READY if ingress else State("the load balancer has no address")


def _node(obj: Manifest) -> State:
    if KWOK_NODE not in (obj["metadata"].get("annotations") or {}):
        return READY
    # The node controller takes its taint away a moment after the condition turns: only then do pods come.
    if any(taint["key"] == _NOT_READY for taint in obj["spec"].get("taints") or ()):
        return State(f"taint {_NOT_READY} is still there")
    return _conditioned("Ready")(obj)


WAITS: Mapping[tuple[str, str], Wait] = MappingProxyType(
    {
        ("", "Namespace"): Wait(_namespace, 60, "phase Active"),
        ("", "Node"): Wait(_node, 120, "a simulated node to be Ready"),
        ("", "PersistentVolumeClaim"): Wait(_claim, 300, "phase Bound"),
        ("", "Pod"): Wait(_pod, 600, "condition Ready"),
        ("", "Service"): Wait(_service, 600, "a load balancer's address"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"): Wait(
            _conditioned("Established"), 60, "condition Established"
        ),
        ("apiregistration.k8s.io", "APIService"): Wait(_conditioned("Available"), 300, "condition Available"),
        ("apps", "DaemonSet"): Wait(_daemon_set, 600, "its pods to be available"),
        ("apps", "Deployment"): Wait(_deployment, 600, "its replicas to be available"),
        ("apps", "StatefulSet"): Wait(_stateful_set, 600, "its replicas to be ready"),
        ("batch", "Job"): Wait(_job, 600, "it to complete"),
    }
)
"""Group and kind -> what is awaited."""

_ENDPOINT_SECONDS = 600.0


def annotations_of(obj: Manifest) -> Mapping[str, str]:
    """The annotations of an object, empty where it has none."""
    return obj["metadata"].get("annotations") or {}


def wait_for(obj: Manifest) -> Wait | None:
    """Tells what to await of an object that was applied, with its annotations; None for nothing.

    Raises ValueError with what is accepted for an annotation that cannot be read.
    """
    notes = annotations_of(obj)
    if notes.get(SKIP, "").lower() == "true":
        return None
    seconds = _seconds(notes)
    if WAIT_FOR in notes:
        checks = [_expression(text) for text in _expressions(notes[WAIT_FOR])]
        return Wait(_all(checks), seconds or 600, f"{WAIT_FOR} {notes[WAIT_FOR]}")
    row = WAITS.get((Kind(obj["apiVersion"], obj["kind"]).group, obj["kind"]))
    return None if row is None else Wait(row.check, seconds or row.seconds, row.what)


def endpoints_wait(obj: Manifest) -> Wait | None:
    """What to await of the EndpointSlices of a Service that selects pods; None for any other object."""
    if obj["kind"] != "Service" or obj["apiVersion"] != "v1" or wait_for(obj) is None:
        return None
    spec = obj["spec"]
    if not spec.get("selector") or spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None":
        return None
    return Wait(_endpoints, _seconds(annotations_of(obj)) or _ENDPOINT_SECONDS, "a ready endpoint")


def _endpoints(obj: Manifest) -> State:
    ready = any((endpoint.get("conditions") or {}).get("ready", True) for endpoint in obj.get("endpoints") or ())
    return READY if ready else State("no pod that it selects is ready")


def _seconds(notes: Mapping[str, str]) -> float | None:
    text = notes.get(TIMEOUT)
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d*", text):
        raise ValueError(f"annotation {TIMEOUT} is {text!r}; a whole number of seconds is accepted")
    return float(text)


def _all(checks: list[Check]) -> Check:
    def check(obj: Manifest) -> State:
        for one in checks:
            state = one(obj)
            if not state.ready:
                return state
        return READY

    return check


def _expressions(text: str) -> list[str]:
    if not text.lstrip().startswith("["):
        return [text]
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, list) and found and all(isinstance(item, str) for item in found):
        return found
    raise ValueError(f"annotation {WAIT_FOR} is {text!r}; a JSON array of expressions is accepted")


_CONDITION = re.compile(r"condition=([A-Za-z0-9./-]+)(?:=(\w+))?")
_JSONPATH = re.compile(r"jsonpath=\{?\.?((?:[\w-]+|\[\d+\]|\.)+)\}?(?:==?(.*))?", re.DOTALL)


def _expression(text: str) -> Check:
    if match := _CONDITION.fullmatch(text):
        return _condition_is(match[1], match[2] or "True")
    if match := _JSONPATH.fullmatch(text):
        return _path_is(match[1], match[2])
    raise ValueError(
        f"annotation {WAIT_FOR} is {text!r}; condition=Type, condition=Type=Status, jsonpath={{.a.b[0].c}} and "
        "jsonpath={.a.b}=value are accepted"
    )


def _condition_is(type_: str, wanted: str) -> Check:
    def check(obj: Manifest) -> State:
        status = _condition(obj, type_).get("status", "missing")
        return READY if status.lower() == wanted.lower() else State(f"condition {type_} is {status}")

    return check


def _path_is(path: str, wanted: str | None) -> Check:
    steps = re.findall(r"[\w-]+", path.replace("[", ".").replace("]", ""))

    def check(obj: Manifest) -> State:
        value: Any = obj
        for step in steps:
            if isinstance(value, list) and step.isdigit():
                value = value[int(step)] if int(step) < len(value) else None
            else:
                value = value.get(step) if isinstance(value, dict) else None
        if value is None:
            return State(f"{path} is not set")
        text = value if isinstance(value, str) else json.dumps(value)
        met = wanted is None or text == wanted.strip("'\"")
        return READY if met else State(f"{path} is {text}, not {wanted}")

    return check
