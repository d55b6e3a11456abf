"""When an object counts as ready: a table, kind by kind, of functions over live objects.

What is awaited and for how long follows Pulumi's Kubernetes provider 4.34 (its `await` package), so that both
engines wait alike; docs/engine.md says where they differ. Kinds that the table does not name are ready once they
are applied. `espalier.engine.waitfor` reads the annotations that say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from espalier.engine.waitfor import SKIP, WAIT_FOR, annotations_of, asked_for, condition_is, condition_of
from espalier.engine.waitfor import is_skipped as _is_skipped
from espalier.engine.waitfor import seconds_of as _seconds_of
from espalier.engine.waiting import READY, Check, Needs, Others, State, Wait, needs_nothing
from espalier.kube import Kind, Manifest, Reference

__all__ = ["ENDPOINT_SLICE", "READY", "WAITS", "State", "Wait", "annotations_of", "wait_for"]

KWOK_NODE = "kwok.x-k8s.io/node"
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice")
CLAIM = Kind("v1", "PersistentVolumeClaim")
SERVICE = Kind("v1", "Service")
STORAGE_CLASS = Kind("storage.k8s.io/v1", "StorageClass")
_NOT_READY = "node.kubernetes.io/not-ready"
_REVISION = "deployment.kubernetes.io/revision"
_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - the name of a type
_UNSEEN = State("the controller has not seen it yet")
_SETTLING = 10.0
"""Seconds without news after which a Service without pods is taken for one that has none."""


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    check: Check
    seconds: float
    """The default timeout."""
    what: str
    """For people: what is awaited."""
    needs: Needs = needs_nothing


def _status(obj: Manifest) -> Mapping[str, Any]:
    return obj.get("status") or {}


def _is_seen(obj: Manifest) -> bool:
    return _status(obj).get("observedGeneration", 0) >= obj["metadata"].get("generation", 0)


def _conditioned(type_: str) -> Check:
    test = condition_is(type_)
    return lambda obj, _: test(obj)


def _phase(*wanted: str, lost: str = "") -> Check:
    def check(obj: Manifest, _: Others) -> State:
        phase = _status(obj).get("phase")
        return (
            READY if phase in wanted else State(f"phase is {phase or 'not set'}", failed=bool(lost) and phase == lost)
        )

    return check


def _deployment(obj: Manifest, others: Others) -> State:
    """Progressing is asked for from the second revision on, as in Pulumi: the first one rolls nothing out."""
    status, want = _status(obj), obj["spec"].get("replicas", 1)
    revision = annotations_of(obj).get(_REVISION)
    if not _is_seen(obj) or not revision:
        return _UNSEEN
    updated, ready, available = (status.get(f"{name}Replicas", 0) for name in ("updated", "ready", "available"))
    progressing = condition_of(obj, "Progressing")
    rolled_out = progressing.get("status") == "True" and progressing.get("reason") == "NewReplicaSetAvailable"
    stalled = progressing.get("message", "") if progressing.get("status") == "False" else ""
    if updated < want or ready < want or condition_of(obj, "Available").get("status") != "True":
        text = f"{available} of {want} replicas available, {updated} updated"
        return State(f"{text}: {stalled}" if stalled else text)
    if revision != "1" and not rolled_out:
        return State(f"{updated} of {want} replicas updated, the old ones are not gone")
    return _claims_bound(obj, others)


def _claims(obj: Manifest) -> tuple[Reference, ...]:
    volumes = obj["spec"]["template"]["spec"].get("volumes") or ()
    names = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume}
    return tuple(Reference(CLAIM, obj["metadata"].get("namespace", ""), name) for name in sorted(names))


def _claims_bound(obj: Manifest, others: Others) -> State:
    for reference in _claims(obj):
        for claim in others(reference) or ():
            phase = _status(claim).get("phase")
            if phase != "Bound":
                return State(f"its claim {reference.name} is {phase or 'not bound'}")
    return READY


def _stateful_set(obj: Manifest, _: Others) -> State:
    status, want = _status(obj), obj["spec"].get("replicas", 1)
    if not _is_seen(obj):
        return _UNSEEN
    on_delete = (obj["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"
    there, ready, current = (status.get(name, 0) for name in ("replicas", "readyReplicas", "currentReplicas"))
    if there != want or ready != want:
        return State(f"{ready} of {want} replicas ready, {status.get('updatedReplicas', 0)} updated")
    if on_delete and obj["metadata"].get("generation", 1) > 1:
        return READY
    if current != want or status.get("currentRevision") != status.get("updateRevision"):
        return State(f"{current} of {want} replicas are of the current revision; the new one is not rolled out")
    return READY


def _daemon_set(obj: Manifest, _: Others) -> State:
    status = _status(obj)
    want = status.get("desiredNumberScheduled")
    if "observedGeneration" not in status or not _is_seen(obj) or want is None:
        return _UNSEEN
    names = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
    if all(status.get(name, 0) >= want for name in names):
        return READY
    return State(f"{status.get('numberAvailable', 0)} of {want} pods available")


def _job(obj: Manifest, _: Others) -> State:
    status = _status(obj)
    if (failed := condition_of(obj, "Failed")).get("status") == "True":
        return State(f"the job failed: {failed.get('message') or failed.get('reason')}", failed=True)
    if condition_of(obj, "Complete").get("status") == "True":
        return READY
    if obj["spec"].get("suspend"):
        return State(f"it is suspended, so it does not complete; {SKIP}: 'true' goes on without it")
    counts = (f"{status.get(name, 0)} {name}" for name in ("active", "succeeded", "failed"))
    return State(f"the job is not complete: {', '.join(counts)}")


def _pod(obj: Manifest, _: Others) -> State:
    phase = _status(obj).get("phase")
    if phase == "Succeeded":
        return READY
    if phase == "Failed":
        return State("the pod failed", failed=True)
    scheduled = condition_of(obj, "PodScheduled")
    if scheduled.get("status") == "False":
        return State(f"not scheduled: {scheduled.get('message')}")
    return condition_is("Ready")(obj)


def _claim_class(obj: Manifest) -> tuple[Reference, ...]:
    name = obj["spec"].get("storageClassName")
    return (Reference(STORAGE_CLASS, "", name),) if name else ()


def _claim(obj: Manifest, others: Others) -> State:
    """A claim whose class waits for a first consumer is bound by a pod, which may well depend on the claim."""
    state = _phase("Bound", lost="Lost")(obj, others)
    if state.ready or state.failed or _status(obj).get("phase") != "Pending":
        return state
    classes = [found for reference in _claim_class(obj) for found in others(reference) or ()]
    waits = any(found.get("volumeBindingMode") == "WaitForFirstConsumer" for found in classes)
    return READY if waits else state


def _replication_controller(obj: Manifest, _: Others) -> State:
    want, available = obj["spec"].get("replicas", 1), _status(obj).get("availableReplicas", 0)
    return READY if available == want and _is_seen(obj) else State(f"{available} of {want} replicas available")


def _quota(obj: Manifest, _: Others) -> State:
    same = _status(obj).get("hard") == obj["spec"].get("hard")
    return READY if same else State("its limits are not in force")


def _secret(obj: Manifest, _: Others) -> State:
    return READY if obj.get("type") != _TOKEN or obj.get("data") else State("the token is not filled in")


def _slices_of(obj: Manifest) -> tuple[Reference, ...]:
    """A Service's EndpointSlices; none where it selects no pods to wait for."""
    spec, metadata = obj["spec"], obj["metadata"]
    if not spec.get("selector") or spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None":
        return ()
    return (Reference(ENDPOINT_SLICE, metadata.get("namespace", ""), metadata["name"]),)


def _service(obj: Manifest, others: Others) -> State:
    balanced = obj["spec"].get("type") == "LoadBalancer"
    if balanced and not (_status(obj).get("loadBalancer") or {}).get("ingress"):
        return State("the load balancer has no address")
    for reference in _slices_of(obj):
        state = _endpoints(reference, others)
        if not state.ready:
            return state
    return READY


def _endpoints(reference: Reference, others: Others) -> State:
    """Ready where a pod is ready and none is pending; without any pod, ready when that stays so."""
    slices = others(reference)
    if not slices:
        return State("no endpoints yet")
    endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or ()]
    # A pod that terminates is neither ready nor will it ever be.
    conditions = [c for e in endpoints if not (c := e.get("conditions") or {}).get("terminating")]
    pending = sum(not condition.get("ready", True) for condition in conditions)
    if pending:
        return State(f"{pending} of {len(conditions)} pods that it selects are not ready")
    return READY if conditions else State("it selects no pod", settles=_SETTLING)


def _backends(obj: Manifest) -> list[str]:
    rules = obj["spec"].get("rules") or ()
    paths = [path for rule in rules for path in (rule.get("http") or {}).get("paths") or ()]
    return sorted({name for path in paths if (name := (path["backend"].get("service") or {}).get("name"))})


def _ingress_needs(obj: Manifest) -> tuple[Reference, ...]:
    namespace = obj["metadata"].get("namespace", "")
    return tuple(Reference(kind, namespace, name) for name in _backends(obj) for kind in (ENDPOINT_SLICE, SERVICE))


def _ingress(obj: Manifest, others: Others) -> State:
    if not (_status(obj).get("loadBalancer") or {}).get("ingress"):
        return State("it has no address: its class needs a controller that gives one")
    namespace = obj["metadata"].get("namespace", "")
    for name in _backends(obj):
        services = others(Reference(SERVICE, namespace, name)) or ()
        external = any(service["spec"].get("type") == "ExternalName" for service in services)
        if not external and not others(Reference(ENDPOINT_SLICE, namespace, name)):
            return State(f"its backend {name} has no endpoints", settles=_SETTLING)
    return READY


def _webhook_services(obj: Manifest) -> tuple[Reference, ...]:
    services = (hook["clientConfig"].get("service") for hook in obj.get("webhooks") or ())
    found = {(service["namespace"], service["name"]) for service in services if service}
    return tuple(Reference(ENDPOINT_SLICE, namespace, name) for namespace, name in sorted(found))


def _webhook(obj: Manifest, others: Others) -> State:
    """From the moment that it is applied, what it judges is refused until its server answers."""
    for reference in _webhook_services(obj):
        slices = others(reference) or ()
        endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or ()]
        if not any((endpoint.get("conditions") or {}).get("ready", True) for endpoint in endpoints):
            return State(f"no pod behind its Service {reference.namespace}/{reference.name} is ready")
    return READY


def _node(obj: Manifest, _: Others) -> State:
    if KWOK_NODE not in annotations_of(obj):
        return READY
    # The node controller takes its taint away a moment after the condition turns: only then do pods come.
    if any(taint["key"] == _NOT_READY for taint in obj["spec"].get("taints") or ()):
        return State(f"taint {_NOT_READY} is still there")
    return condition_is("Ready")(obj)


_WEBHOOKS = Row(_webhook, 600, "a ready pod behind its Service", _webhook_services)
WAITS: Mapping[tuple[str, str], Row] = MappingProxyType(
    {
        ("", "Namespace"): Row(_phase("Active", lost="Terminating"), 60, "phase Active"),
        ("", "Node"): Row(_node, 120, "a simulated node to be Ready"),
        ("", "PersistentVolume"): Row(_phase("Available", "Bound"), 300, "phase Available or Bound"),
        ("", "PersistentVolumeClaim"): Row(_claim, 300, "phase Bound", _claim_class),
        ("", "Pod"): Row(_pod, 600, "condition Ready"),
        ("", "ReplicationController"): Row(_replication_controller, 600, "its replicas to be available"),
        ("", "ResourceQuota"): Row(_quota, 60, "its limits to be in force"),
        ("", "Secret"): Row(_secret, 30, "its token"),
        ("", "Service"): Row(_service, 600, "an address and ready endpoints", _slices_of),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _WEBHOOKS,
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _WEBHOOKS,
        ("apiextensions.k8s.io", "CustomResourceDefinition"): Row(
            _conditioned("Established"), 300, "condition Established"
        ),
        ("apiregistration.k8s.io", "APIService"): Row(_conditioned("Available"), 300, "condition Available"),
        ("apps", "DaemonSet"): Row(_daemon_set, 600, "its pods to be available"),
        ("apps", "Deployment"): Row(_deployment, 600, "its replicas to be available", _claims),
        ("apps", "StatefulSet"): Row(_stateful_set, 600, "its replicas to be ready"),
        ("batch", "Job"): Row(_job, 600, "it to complete"),
        ("networking.k8s.io", "Ingress"): Row(_ingress, 600, "an address and its backends", _ingress_needs),
    }
)
"""Group and kind -> what is awaited."""

_ASKED_SECONDS = 600.0


def wait_for(obj: Manifest) -> Wait | None:
    """Tells what to await of an object that was applied, with its annotations; None for nothing.

    Raises ValueError with what is accepted for an annotation that cannot be read.
    """
    if _is_skipped(obj):
        return None
    seconds = _seconds_of(obj)
    asked = asked_for(obj)
    if asked is not None:
        what = f"{WAIT_FOR} {annotations_of(obj)[WAIT_FOR]}"
        return Wait(lambda live, _: asked(live), seconds or _ASKED_SECONDS, what)
    row = WAITS.get((Kind(obj["apiVersion"], obj["kind"]).group, obj["kind"]))
    if row is None:
        return None
    return Wait(row.check, seconds or row.seconds, row.what, row.needs)
