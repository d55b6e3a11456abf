"""What a Namespace takes along when it is deleted, so that nobody needs to delete it, or to await it, one by one.

Only where nothing is lost by it: kinds that no controller acts on, live and ours, without a finalizer or a word on
their deletion, and with nothing but the Namespace waiting for them to be gone. Where something in the cluster judges
deletions, all is deleted by itself: a refusal names the object then, not the Namespace that hangs.

Workloads are deleted by themselves, in their turn; but where Kubernetes empties a Namespace of its pods before it
touches anything else in it, that they stop is awaited with the Namespace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from espalier.engine.inventory import Entry
from espalier.engine.order import Node, Order
from espalier.engine.waitfor import PROPAGATION, annotations_of, is_skipped
from espalier.kube import Client, Kind, KubeError, Manifest, Reference

_RBAC = "rbac.authorization.k8s.io"
_INERT = frozenset({("", "ConfigMap"), ("", "Secret"), ("", "ServiceAccount"), (_RBAC, "Role"), (_RBAC, "RoleBinding")})
_HOOKS = "admissionregistration.k8s.io/v1"
_JUDGES = (
    Kind(_HOOKS, "MutatingWebhookConfiguration"),
    Kind(_HOOKS, "ValidatingWebhookConfiguration"),
    Kind(_HOOKS, "ValidatingAdmissionPolicy"),
)

_WORKLOADS = frozenset(
    {("apps", kind) for kind in ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")}
    | {("batch", "CronJob"), ("batch", "Job"), ("", "ReplicationController")}
)
_PODS_FIRST = (1, 34)

Live = Callable[[Reference], "dict[str, Any] | None"]


def leave_to_namespaces(order: Order, live: Live, judged: Callable[[], bool]) -> dict[Node, list[Entry]]:
    """Takes out of the order what goes with its Namespace: the Namespace's node -> entries.

    `judged` tells whether deletions are judged, and is asked only where something could go along.
    """
    after = order.after()
    along = _candidates(order, _INERT, live)
    rest = [node for node in along if not _waits_alone(node, along, after)]
    while rest:
        node = rest.pop()
        if node in along:
            along.remove(node)
            # What was to be gone before it has to be so still.
            rest += [each for each in order.before[node] if each in along]
    if not along or judged():
        return {}
    found: dict[Node, list[Entry]] = {}
    for node in sorted(along):
        found.setdefault(_namespace_of(node), []).append(order.entries.pop(node))
    for node in along:
        order.put(_namespace_of(node), *order.before.pop(node))
    for first in order.before.values():
        first.difference_update(along)
    return found


def leave_pods_to_namespaces(order: Order, live: Live, pods_first: Callable[[], bool]) -> set[Node]:
    """Finds the workloads that may be deleted without awaiting their pods, when `leave_to_namespaces` is done.

    What has to come after such a workload comes after its Namespace, and that has no pods left before it loses
    anything else, or is gone itself. `pods_first` tells whether this is so, and is asked only where it matters.
    """
    after = order.after()
    above = cache(lambda node: order.above([node]))

    def waits(node: Node, space: Node) -> bool:
        return node == space or space in above(node)

    found = {
        node
        for node in _candidates(order, _WORKLOADS, live)
        if all(waits(each, _namespace_of(node)) for each in after.get(node, ()))
    }
    return found if found and pods_first() else set()


def takes_pods_first(client: Client) -> bool:
    """Tells whether the cluster deletes and awaits a Namespace's pods before the rest: Kubernetes 1.34 and later do.

    From then on that is locked on (KEP-5080, feature gate OrderedNamespaceDeletion); 1.33 may have it turned off.
    """
    try:
        version = client.request("GET", "/version")
    except KubeError:
        return False
    # Some clouds write "34+" as the minor version; who writes none is taken for old.
    parts = (re.match(r"\d+", str(version.get(part))) for part in ("major", "minor"))
    return tuple(int(found[0]) if found else 0 for found in parts) >= _PODS_FIRST


def judges_deletions(client: Client) -> bool:
    """Tells whether a webhook or a policy is asked about deletions of these kinds, or may be."""
    try:
        return any(_asks(rule) for kind in _JUDGES for obj in client.list(kind) for rule in _rules(obj))
    except KubeError:
        return True


def _candidates(order: Order, kinds: Collection[tuple[str, str]], live: Live) -> set[Node]:
    return {node for node, entry in order.entries.items() if node[:2] in kinds and _may_go_along(order, entry, live)}


def _may_go_along(order: Order, entry: Entry, live: Live) -> bool:
    node = entry.reference.key
    if entry.retain or entry.delete_seconds or node in order.riders:
        return False
    space = order.entries.get(_namespace_of(node))
    obj = live(entry.reference)
    if space is None or space.retain or obj is None or obj["metadata"]["uid"] != entry.uid:
        return False
    above = live(space.reference)
    if above is None or above["metadata"]["uid"] != space.uid or is_skipped(above):
        return False
    going = "deletionTimestamp" in above["metadata"] or "deletionTimestamp" in obj["metadata"]
    return not going and not obj["metadata"].get("finalizers") and PROPAGATION not in annotations_of(obj)


def _waits_alone(node: Node, along: set[Node], after: Mapping[Node, Iterable[Node]]) -> bool:
    """Whether nothing waits for it but its Namespace, and what goes with the same one."""
    space = _namespace_of(node)
    return all(each == space or (each in along and each[2] == node[2]) for each in after.get(node, ()))


def _namespace_of(node: Node) -> Node:
    return ("", "Namespace", "", node[2])


def _rules(obj: Manifest) -> Iterator[Mapping[str, Any]]:
    for webhook in obj.get("webhooks") or ():
        yield from webhook.get("rules") or ()
    constraints = (obj.get("spec") or {}).get("matchConstraints") or {}
    yield from constraints.get("resourceRules") or ()


def _asks(rule: Mapping[str, Any]) -> bool:
    groups, operations = rule.get("apiGroups") or (), rule.get("operations") or ()
    return not {"DELETE", "*"}.isdisjoint(operations) and not {"", _RBAC, "*"}.isdisjoint(groups)
