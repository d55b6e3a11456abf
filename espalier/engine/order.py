"""The order of deletion: what has to be gone before what, as a graph.

First what blocks deletions (webhooks, aggregated APIs), then dependents before what they depend on. Whatever the
program said, an object goes before its namespace, a custom resource before its definition, and both before all that
its controller may consist of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from espalier.engine.inventory import Entry, Key, short_id
from espalier.kube import Kind

Node = tuple[str, ...]
"""An entry by its `Reference.key`, a drain by its kind, or a point that others wait for."""

_WEBHOOKS = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})
_CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")
_API_SERVICE = ("apiregistration.k8s.io", "APIService")
_NAMESPACE = ("", "Namespace")
_NODE = ("", "Node")
_POD_MAKERS = frozenset(
    {"CronJob", "DaemonSet", "Deployment", "Job", "Namespace", "Pod"}
    | {"ReplicaSet", "ReplicationController", "StatefulSet"}
)
_PODS: Node = ("pods",)
_BLOCKERS: Node = ("blockers",)


@dataclass(frozen=True)
class Drain:
    """Takes away what others made of one kind: in some namespaces, or everywhere."""

    kind: Kind
    namespaces: frozenset[str] | None
    """None for everywhere."""
    definition: str = ""
    """The name of the definition of ours that must outlive it; empty for none."""

    @property
    def node(self) -> Node:
        """Where it stands in the graph."""
        return ("drain", self.kind.group, self.kind.kind)


@dataclass
class Order:
    """What must be gone before each node is begun."""

    entries: dict[Node, Entry] = field(default_factory=dict[Node, Entry])
    drains: dict[Node, Drain] = field(default_factory=dict[Node, Drain])
    before: dict[Node, set[Node]] = field(default_factory=dict[Node, set[Node]])
    riders: dict[Node, list[Entry]] = field(default_factory=dict[Node, list[Entry]])
    """Entries that go with another (`deleted_with`): forgotten when that is gone."""

    def put(self, node: Node, *first: Node) -> None:
        """Has `first` gone before `node`."""
        self.before.setdefault(node, set()).update(first)

    def after(self) -> dict[Node, list[Node]]:
        """What waits for each node to be gone."""
        after: dict[Node, list[Node]] = {}
        for node, first in self.before.items():
            for each in first:
                after.setdefault(each, []).append(node)
        return after

    def below(self, nodes: Iterable[Node]) -> set[Node]:
        """All that any of these must be gone before, themselves included."""
        after = self.after()
        found: set[Node] = set()
        rest = list(nodes)
        while rest:
            node = rest.pop()
            if node not in found:
                found.add(node)
                rest.extend(after.get(node, ()))
        return found

    def above(self, nodes: Iterable[Node]) -> set[Node]:
        """All that must be gone before any of these, themselves included."""
        found: set[Node] = set()
        rest = list(nodes)
        while rest:
            node = rest.pop()
            if node not in found:
                found.add(node)
                rest.extend(self.before.get(node, ()))
        return found


def order_of(entries: Iterable[Entry], drains: Iterable[Drain], custom: Collection[tuple[str, str]]) -> Order:
    """Orders deletions. `custom` has group and kind of what definitions of the cluster define."""
    order = Order()
    wanted = sorted(entries, key=lambda entry: (entry.urn, entry.reference))
    by_id: dict[str, list[Entry]] = {}
    for entry in wanted:
        by_id.setdefault(short_id(entry.urn), []).append(entry)
    rides = {entry.reference.key: root for entry in wanted if (root := _root(entry, by_id)) is not None}
    for entry in wanted:
        if entry.reference.key in rides:
            order.riders.setdefault(rides[entry.reference.key], []).append(entry)
        else:
            order.entries[entry.reference.key] = entry
            order.put(entry.reference.key)
    for drain in sorted(drains, key=lambda drain: drain.node):
        order.drains[drain.node] = drain
        order.put(drain.node)
    _drain_again(order, custom)
    _blockers_first(order)
    _dependents_first(order, by_id, rides)
    _contents_first(order)
    _controllers_last(order, custom)
    _nodes_last(order)
    return order


def _root(entry: Entry, by_id: Mapping[str, list[Entry]]) -> Key | None:
    """What an entry goes with in this very run, followed to the end of the chain."""
    root: Key | None = None
    seen = {entry.reference.key}
    while entry.deleted_with and (above := by_id.get(entry.deleted_with)):
        entry = above[0]
        if entry.reference.key in seen or entry.retain:
            break
        seen.add(entry.reference.key)
        root = entry.reference.key
    return root


def _is(node: Node, kind: tuple[str, str]) -> bool:
    return node[:2] == kind


def _served_by(order: Order) -> dict[Node, set[Node]]:
    """An aggregated API of ours -> our objects that it serves, which cannot be reached without it."""
    groups: dict[str, set[Node]] = {}
    for node in order.entries:
        groups.setdefault(node[0], set()).add(node)
    apis = [node for node in order.entries if _is(node, _API_SERVICE)]
    return {node: groups.get(node[3].partition(".")[2], set()) for node in apis}


def _blockers_first(order: Order) -> None:
    """A webhook or an aggregated API whose server is gone blocks deletions, even of its own namespace."""
    served = _served_by(order)
    blockers = {node for node in order.entries if node[1] in _WEBHOOKS}
    blockers |= {node for node, objects in served.items() if not objects}
    for node, objects in served.items():
        order.put(node, *objects)
    if blockers:
        order.put(_BLOCKERS, *blockers)
    for node in [*order.entries, *order.drains] if blockers else ():
        if node not in blockers:
            order.put(node, _BLOCKERS)


def _dependents_first(order: Order, by_id: Mapping[str, list[Entry]], rides: Mapping[Key, Node]) -> None:
    early = order.before.get(_BLOCKERS, set())
    lifted: list[tuple[Node, Node]] = []
    for node, entry in order.entries.items():
        for needed in (each for identity in entry.depends for each in by_id.get(identity, ())):
            key: Node = needed.reference.key
            if key in rides:
                lifted.append((rides[needed.reference.key], node))
            elif key not in early and key != node:
                order.put(key, node)
    # What needs an object that goes with another has to go before that other, where the program does not say otherwise.
    for root, node in lifted:
        if root not in order.above([node]):
            order.put(root, node)


def _contents_first(order: Order) -> None:
    early = order.before.get(_BLOCKERS, set())
    definitions: dict[str, list[Node]] = {}
    for node in order.entries:
        if _is(node, _CRD):
            definitions.setdefault(node[3].partition(".")[2], []).append(node)
    for node in order.entries.keys() - early:
        namespace: Node = (*_NAMESPACE, "", node[2])
        if node[2] and namespace in order.entries:
            order.put(namespace, node)
        for definition in definitions.get(node[0], ()):
            order.put(definition, node)
    for node, drain in order.drains.items():
        if drain.definition:
            order.put((*_CRD, "", drain.definition), node)
        for name in drain.namespaces or ():
            order.put((*_NAMESPACE, "", name), node)


def _drain_again(order: Order, custom: Collection[tuple[str, str]]) -> None:
    """Ours may be held by what others made of them, and a controller may make more as long as ours live."""
    ours: dict[str, list[Node]] = {}
    for node in order.entries:
        if node[:2] in custom:
            ours.setdefault(node[0], []).append(node)
    for node, drain in list(order.drains.items()):
        if drain.definition and drain.kind.group in ours:
            again: Node = (*node, "again")
            order.drains[again] = drain
            order.put(again, node, *ours[drain.kind.group])


def _controllers_last(order: Order, custom: Collection[tuple[str, str]]) -> None:
    """Custom resources, and what is drained, go before the rest: their controller has to live to clean up.

    What the program makes depend on a custom resource still goes before it. Where two groups each want the other's
    controller to live, the one whose definition the controller depends on has its way.
    """
    groups: dict[Node, set[Node]] = {}
    for node in order.entries:
        if node[:2] in custom:
            groups.setdefault(("group", node[0]), set()).add(node)
    for node, drain in order.drains.items():
        groups.setdefault(("group", drain.kind.group) if drain.definition else ("group", *node), set()).add(node)
    early = order.before.get(_BLOCKERS, set())
    definitions = [node for node in order.entries if _is(node, _CRD)]
    inner = {*early, *definitions, *(node for members in groups.values() for node in members)}
    rest = {node for node in order.entries if node not in inner and not _is(node, _NAMESPACE)}
    for group in sorted(groups):
        order.put(group, *groups[group])
        own = [node for node in definitions if node[3].partition(".")[2] == group[1]]
        _put_last(order, group, rest & order.above(own))
    for group in sorted(groups):
        _put_last(order, group, rest)


def _put_last(order: Order, group: Node, nodes: set[Node]) -> None:
    for node in nodes - order.above([group]):
        order.put(node, group)


def _nodes_last(order: Order) -> None:
    """A pod whose node is gone has nobody to stop it: the cluster notices after a minute."""
    machines = [node for node in order.entries if _is(node, _NODE)]
    if not machines:
        return
    early = order.below(machines)
    order.put(_PODS, *(node for node in order.entries if node[1] in _POD_MAKERS and node not in early))
    for node in machines:
        order.put(node, _PODS)
