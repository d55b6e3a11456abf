"""What is deleted before what, and the schedule that follows from it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from espalier.engine import schedule
from espalier.engine.inventory import Entry, short_id
from espalier.engine.order import Drain, Node, Order, order_of
from espalier.engine.schedule import Done, Schedule
from espalier.kube import Kind, Reference

CRD = "apiextensions.k8s.io/v1"
HOOKS = "admissionregistration.k8s.io/v1"
TREE = ("example.com", "Tree")


def entry(name: str, kind: str = "ConfigMap", api: str = "v1", namespace: str = "", depends: str = "") -> Entry:
    needs = tuple(short_id(other) for other in depends.split())
    return Entry(urn=name, reference=Reference(Kind(api, kind), namespace, name), depends=needs)


def tree(name: str, namespace: str = "", depends: str = "") -> Entry:
    return entry(name, "Tree", "example.com/v1", namespace, depends)


def deletes(entries: list[Entry], drains: tuple[Drain, ...] = (), custom: Any = ()) -> list[list[str]]:
    """Waves of names: each begins when the one before is gone."""
    return waves(order_of(entries, drains, custom))


def waves(order: Order) -> list[list[str]]:
    rest = {node: set(first) for node, first in order.before.items()}
    found: list[list[str]] = []
    while rest:
        now = {node for node, first in rest.items() if not first & rest.keys()}
        # Points that others wait for take no time.
        now = {node for node in now if node not in things(order)} or now
        assert now, f"a circle: {rest}"
        names = sorted("drain" if node in order.drains else node[-1] for node in now if node in things(order))
        found += [names] if names else []
        rest = {node: first for node, first in rest.items() if node not in now}
    return found


def things(order: Order) -> set[Node]:
    return {*order.entries, *order.drains}


def test_deletion_goes_backwards_and_takes_blockers_first() -> None:
    entries = [
        entry("ns", "Namespace"),
        entry("in-ns", namespace="ns"),
        entry("base"),
        entry("top", depends="base"),
        entry("hook", "ValidatingWebhookConfiguration", HOOKS, depends="base"),
    ]
    assert deletes(entries) == [["hook"], ["in-ns", "top"], ["base", "ns"]]


def test_what_was_made_to_depend_on_a_webhook_does_not_keep_it() -> None:
    entries = [entry("hook", "MutatingWebhookConfiguration", HOOKS), entry("judged", depends="hook")]
    assert deletes(entries) == [["hook"], ["judged"]]


def test_an_aggregated_api_goes_first_unless_it_serves_our_objects() -> None:
    apis = [entry("v1.a.io", "APIService", "apiregistration.k8s.io/v1")]
    assert deletes([*apis, entry("x")]) == [["v1.a.io"], ["x"]]
    assert deletes([*apis, entry("x", "Thing", "a.io/v1")]) == [["x"], ["v1.a.io"]]


def test_custom_resources_go_before_controllers_that_nobody_named() -> None:
    entries = [
        entry("trees.example.com", "CustomResourceDefinition", CRD),
        entry("gardener", "Deployment", "apps/v1"),
        entry("gardener", "ServiceAccount"),
        tree("oak"),
        entry("shop", "Deployment", "apps/v1", depends="oak"),
    ]
    assert deletes(entries, custom={TREE}) == [["shop"], ["oak"], ["gardener", "gardener", "trees.example.com"]]


def test_the_controller_that_depends_on_a_definition_outlives_its_resources_first_of_all() -> None:
    """Two groups want each other's controllers to live: certificates for the gardener, trees for the certifier."""
    entries = [
        entry("certs.c.io", "CustomResourceDefinition", CRD),
        entry("trees.example.com", "CustomResourceDefinition", CRD),
        entry("certifier", "Deployment", "apps/v1", depends="certs.c.io"),
        entry("gardener", "Deployment", "apps/v1", depends="cert trees.example.com"),
        entry("cert", "Cert", "c.io/v1", depends="certs.c.io"),
        tree("oak", depends="trees.example.com"),
        entry("shop", "Deployment", "apps/v1", depends="oak"),
    ]
    order = [name for wave in deletes(entries, custom={TREE, ("c.io", "Cert")}) for name in wave]
    assert (
        order.index("shop")
        < order.index("oak")
        < order.index("gardener")
        < order.index("cert")
        < order.index("certifier")
    )
    assert order.index("oak") < order.index("trees.example.com")


def test_what_others_made_goes_before_its_namespace_definition_and_controllers() -> None:
    entries = [
        entry("ns", "Namespace"),
        entry("trees.example.com", "CustomResourceDefinition", CRD),
        entry("gardener", "Deployment", "apps/v1", namespace="ns"),
    ]
    drains = (
        Drain(Kind("example.com/v1", "Tree"), None, "trees.example.com"),
        Drain(Kind("v1", "Service"), frozenset({"ns"})),
    )
    assert deletes(entries, drains) == [["drain", "drain"], ["gardener", "trees.example.com"], ["ns"]]


def test_what_others_made_is_looked_for_again_when_ours_are_gone() -> None:
    """Ours may be held by theirs, and more of theirs may be made as long as ours live."""
    entries = [
        entry("trees.example.com", "CustomResourceDefinition", CRD),
        entry("gardener", "Deployment", "apps/v1"),
        tree("oak"),
    ]
    drains = (Drain(Kind("example.com/v1", "Tree"), None, "trees.example.com"),)
    assert deletes(entries, drains, {TREE}) == [["drain", "oak"], ["drain"], ["gardener", "trees.example.com"]]


def test_nodes_outlive_the_pods_on_them() -> None:
    entries = [entry("n1", "Node"), entry("team", "Namespace"), entry("web", "Deployment", "apps/v1"), entry("c")]
    assert deletes(entries) == [["c", "team", "web"], ["n1"]]


def riding(name: str, with_: str, **more: str) -> Entry:
    base = entry(name, **more)
    return Entry(urn=base.urn, reference=base.reference, depends=base.depends, deleted_with=short_id(with_))


def test_what_goes_with_another_is_not_deleted_itself() -> None:
    entries = [entry("ns", "Namespace"), riding("a", "ns"), riding("b", "a"), entry("c", depends="b")]
    order = order_of(entries, (), ())
    assert {root[3]: [rider.urn for rider in riders] for root, riders in order.riders.items()} == {"ns": ["a", "b"]}
    assert waves(order) == [["c"], ["ns"]]


@pytest.mark.parametrize("with_", ["not-there", "a"])
def test_without_what_it_goes_with_an_object_is_deleted_itself(with_: str) -> None:
    assert not order_of([riding("a", with_)], (), ()).riders


def test_two_objects_of_one_urn_are_both_ordered() -> None:
    """A replaced object leaves an older one under the same URN."""
    kind = Kind("v1", "ConfigMap")
    old, new = (Entry(urn="u", reference=Reference(kind, "", name)) for name in ("old", "new"))
    assert deletes([old, new, entry("top", depends="u")]) == [["top"], ["new", "old"]]


def node(name: str) -> Node:
    return ("", "ConfigMap", "", name)


def run(before: dict[str, set[str]], fails: str = "") -> tuple[list[str], list[str]]:
    lock, ended = threading.Lock(), list[str]()

    def begin(step: Node, done: Done) -> None:
        def end() -> None:
            with lock:
                ended.append(step[3])
            done(step[3] != fails)

        threading.Timer(0.02, end).start()

    graph = {node(name): {node(each) for each in first} for name, first in before.items()}
    left = Schedule(graph).run(begin)
    return ended, [step[3] for step in left]


def test_steps_follow_what_they_wait_for() -> None:
    ended, left = run({"c": {"b"}, "b": {"a"}, "a": set(), "x": set()})
    assert sorted(ended) == ["a", "b", "c", "x"]
    assert ended.index("a") < ended.index("b") < ended.index("c")
    assert left == []


def test_the_longest_chain_is_begun_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one thread, so that what is begun next is a choice each time."""
    monkeypatch.setattr(schedule, "_THREADS", 1)
    begun: list[str] = []

    def begin(step: Node, done: Done) -> None:
        begun.append(step[3])
        done(True)

    graph = {"a1": set[str](), "a2": set[str](), "z1": set[str](), "z2": {"z1"}, "z3": {"z2"}, "end": {"a1", "z3"}}
    Schedule({node(name): {node(each) for each in first} for name, first in graph.items()}).run(begin)
    assert begun == ["z1", "z2", "a1", "z3", "a2", "end"]


def test_equal_chains_are_begun_namespace_by_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_THREADS", 1)
    begun: list[Node] = []

    def begin(step: Node, done: Done) -> None:
        begun.append(step)
        done(True)

    nodes: list[Node] = [("", kind, space, "x") for kind in ("ConfigMap", "Secret") for space in ("n1", "n2")]
    Schedule({node: set() for node in nodes}).run(begin)
    assert [node[2] for node in begun] == ["n1", "n1", "n2", "n2"]


def test_what_comes_after_a_failure_is_left_and_the_rest_goes_on() -> None:
    ended, left = run({"c": {"b"}, "b": {"a"}, "a": set(), "y": {"x"}, "x": set()}, fails="a")
    assert sorted(ended) == ["a", "x", "y"]
    assert left == ["b", "c"]


def test_a_circle_of_old_inventories_is_broken() -> None:
    ended, left = run({"a": {"b"}, "b": {"a"}, "c": {"a"}})
    assert sorted(ended) == ["a", "b", "c"]
    assert left == []


def test_a_step_that_raises_ends_the_run() -> None:
    def begin(step: Node, done: Done) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Schedule({node("a"): set(), node("b"): {node("a")}}).run(begin)


def test_ten_thousand_objects_are_ordered_in_a_moment() -> None:
    entries = [entry("crds.example.com", "CustomResourceDefinition", CRD)]
    entries += [entry(f"ns{i}", "Namespace") for i in range(200)]
    entries += [tree(f"t{i}", f"ns{i % 200}", "crds.example.com") for i in range(3000)]
    entries += [entry(f"c{i}", namespace=f"ns{i % 200}", depends=f"ns{i % 200} t{i % 3000}") for i in range(7000)]
    started = time.process_time()
    assert len(order_of(entries, (), {TREE}).entries) == len(entries)
    assert time.process_time() - started < 15
