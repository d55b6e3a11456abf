"""What is left to a Namespace that goes, and what is deleted by itself all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from espalier.engine.contents import (
    judges_deletions,
    leave_pods_to_namespaces,
    leave_to_namespaces,
    takes_pods_first,
)
from espalier.engine.inventory import Entry, short_id
from espalier.engine.order import Order, order_of
from espalier.kube import ApiError, Client, Kind, Kubeconfig, Reference

RBAC = "rbac.authorization.k8s.io"


def entry(name: str, kind: str = "ConfigMap", api: str = "v1", namespace: str = "ns", depends: str = "") -> Entry:
    needs = tuple(short_id(other) for other in depends.split())
    return Entry(urn=name, reference=Reference(Kind(api, kind), namespace, name), uid=f"uid-{name}", depends=needs)


def space(name: str = "ns") -> Entry:
    return entry(name, "Namespace", namespace="")


def alive(entries: list[Entry], **changes: dict[str, Any]) -> Callable[[Reference], dict[str, Any] | None]:
    """All that the entries say, each with what `changes` says of its metadata; None says that it is not there."""
    found = {e.reference: {"metadata": {"uid": e.uid, **changes.get(e.urn, {})}} for e in entries}
    return lambda reference: found.get(reference)


def left(entries: list[Entry], *, judged: bool = False, **changes: dict[str, Any]) -> tuple[set[str], Order]:
    order = order_of(entries, (), ())
    along = leave_to_namespaces(order, alive(entries, **changes), lambda: judged)
    assert all(each.reference.namespace == node[3] for node, found in along.items() for each in found)
    assert not order.entries.keys() & {each.reference.key for found in along.values() for each in found}
    return {each.urn for found in along.values() for each in found}, order


def test_a_namespace_takes_along_what_no_controller_acts_on() -> None:
    inert = [
        entry("settings"),
        entry("token", "Secret"),
        entry("account", "ServiceAccount"),
        entry("role", "Role", f"{RBAC}/v1", depends="account"),
        entry("binding", "RoleBinding", f"{RBAC}/v1", depends="role account"),
    ]
    acted_on = [entry(kind, kind, api) for kind, api in (("Service", "v1"), ("Job", "batch/v1"), ("Tree", "a.io/v1"))]
    elsewhere = [entry("free", namespace="default"), entry("wide", "ClusterRole", f"{RBAC}/v1", namespace="")]
    assert left([space(), *inert, *acted_on, *elsewhere])[0] == {each.urn for each in inert}


def test_what_had_to_be_gone_before_what_is_taken_along_is_gone_before_the_namespace() -> None:
    app = entry("app", "Deployment", "apps/v1", namespace="other", depends="settings")
    taken, order = left([space(), entry("settings"), app])
    assert taken == {"settings"}
    assert order.before[space().reference.key] >= {app.reference.key}
    assert all(entry("settings").reference.key not in first for first in order.before.values())


def test_what_others_wait_for_is_deleted_by_itself_and_so_is_what_waits_for_that() -> None:
    """The database goes after the settings that read it; the account depends on the settings."""
    database = entry("database", "StatefulSet", "apps/v1")
    settings = entry("settings", depends="database")
    account = entry("account", "ServiceAccount", depends="settings")
    assert left([space(), database, settings, account, entry("plain")])[0] == {"plain"}


def test_what_another_namespace_waits_for_is_deleted_by_itself() -> None:
    """Deployments of two namespaces share nothing here but an order that the program asked for."""
    entries = [space(), space("base"), entry("under", namespace="base"), entry("top", depends="under")]
    assert left(entries)[0] == {"under"}


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": {"finalizers": ["a.io/x"]}},
        {"settings": {"deletionTimestamp": "now"}},
        {"settings": {"uid": "someone made it anew"}},
        {"settings": {"annotations": {"pulumi.com/deletionPropagationPolicy": "orphan"}}},
        {"ns": {"deletionTimestamp": "now"}},
        {"ns": {"uid": "someone made it anew"}},
        {"ns": {"annotations": {"pulumi.com/skipAwait": "true"}}},
    ],
)
def test_what_may_be_held_up_or_is_not_ours_is_deleted_by_itself(changes: dict[str, Any]) -> None:
    assert left([space(), entry("settings")], **changes)[0] == set()


@pytest.mark.parametrize("option", [{"retain": True}, {"delete_seconds": 5.0}])
def test_what_has_options_for_its_deletion_is_deleted_by_itself(option: dict[str, Any]) -> None:
    assert left([space(), replace(entry("settings"), **option)])[0] == set()


def test_a_namespace_that_stays_takes_nothing_along() -> None:
    assert left([replace(space(), retain=True), entry("settings")])[0] == set()


def test_what_others_go_with_is_deleted_by_itself() -> None:
    rider = replace(entry("rider"), deleted_with=short_id("settings"))
    assert left([space(), entry("settings"), rider])[0] == set()


def test_where_deletions_are_judged_all_is_deleted_by_itself() -> None:
    assert left([space(), entry("settings")], judged=True)[0] == set()


def unawaited(entries: list[Entry], *, pods_first: bool = True, **changes: dict[str, Any]) -> set[str]:
    """The workloads that are deleted without awaiting their pods."""
    order, live = order_of(entries, (), ()), alive(entries, **changes)
    leave_to_namespaces(order, live, lambda: False)
    return {order.entries[node].urn for node in leave_pods_to_namespaces(order, live, lambda: pods_first)}


def app(name: str = "app", kind: str = "Deployment", api: str = "apps/v1", **more: str) -> Entry:
    return entry(name, kind, api, **more)


def test_a_namespace_that_takes_pods_first_takes_those_of_workloads_that_nothing_else_waits_for() -> None:
    entries = [
        space(),
        entry("settings"),
        entry("account", "ServiceAccount"),
        app(depends="settings account ns"),
        *(app(kind, kind) for kind in ("DaemonSet", "ReplicaSet", "StatefulSet")),
        *(app(kind, kind, "batch/v1") for kind in ("Job", "CronJob")),
        app("old", "ReplicationController", "v1"),
    ]
    others = [app("their", "Job", "batch.example.com/v1"), app("free", namespace="default"), entry("pod", "Pod")]
    found = {"app", "DaemonSet", "ReplicaSet", "StatefulSet", "Job", "CronJob", "old"}
    assert unawaited([*entries, *others, entry("front", "Service", depends="app")]) == found
    assert unawaited(entries, pods_first=False) == set()


@pytest.mark.parametrize(
    "below",
    [
        app("below", "StatefulSet"),
        entry("below", "PersistentVolumeClaim"),
        entry("below", namespace="default"),
        entry("below", "ClusterRoleBinding", f"{RBAC}/v1", namespace=""),
        entry("trees.a.io", "CustomResourceDefinition", "apiextensions.k8s.io/v1", namespace=""),
    ],
)
def test_pods_are_awaited_where_something_has_to_outlive_them_that_does_not_wait_for_the_namespace(
    below: Entry,
) -> None:
    assert "app" not in unawaited([space(), below, app(depends=below.urn)])


def test_machines_have_to_outlive_the_namespace_or_the_pods_are_awaited() -> None:
    machine = entry("node", "Node", namespace="")
    assert unawaited([space(), machine, app(), app("bound", depends="node")]) == {"app", "bound"}
    assert unawaited([space(), replace(machine, depends=(short_id("ns"),)), app()]) == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"app": {"deletionTimestamp": "now"}},
        {"app": {"uid": "someone made it anew"}},
        {"app": {"annotations": {"pulumi.com/deletionPropagationPolicy": "foreground"}}},
        {"ns": {"deletionTimestamp": "now"}},
        {"ns": {"uid": "someone made it anew"}},
        {"ns": {"annotations": {"pulumi.com/skipAwait": "true"}}},
    ],
)
def test_pods_are_awaited_where_the_namespace_may_not_await_them(changes: dict[str, Any]) -> None:
    assert unawaited([space(), app()], **changes) == set()


@pytest.mark.parametrize("option", [{"retain": True}, {"delete_seconds": 5.0}])
def test_pods_of_what_has_options_for_its_deletion_are_awaited(option: dict[str, Any]) -> None:
    assert unawaited([space(), replace(app(), **option)]) == set()


class Judges(Client):
    """A cluster with these rules in a webhook's configuration and in a policy."""

    def __init__(self, hook: dict[str, Any] | None = None, policy: dict[str, Any] | None = None) -> None:
        super().__init__(Client.connect(Kubeconfig(context="none", server="http://127.0.0.1:1"))._transport)
        self.found: dict[str, list[dict[str, Any]]] = {
            "ValidatingWebhookConfiguration": [{"webhooks": [{"name": "x", "rules": [hook]}]}] if hook else [],
            "ValidatingAdmissionPolicy": [{"spec": {"matchConstraints": {"resourceRules": [policy]}}}]
            if policy
            else [],
        }

    def list(self, kind: Kind, namespace: str | None = None, **query: str) -> list[dict[str, Any]]:
        if "refused" in self.found:
            raise ApiError(403, "Forbidden", "you may not look")
        return self.found.get(kind.kind, [])


def rule(group: str, operation: str) -> dict[str, Any]:
    return {"apiGroups": [group], "apiVersions": ["*"], "operations": [operation], "resources": ["*"]}


@pytest.mark.parametrize(
    ("found", "judged"),
    [
        (rule("", "DELETE"), True),
        (rule("*", "*"), True),
        (rule(RBAC, "DELETE"), True),
        (rule("", "CREATE"), False),
        (rule("apps", "DELETE"), False),
    ],
)
def test_webhooks_and_policies_that_are_asked_about_deletions(found: dict[str, Any], judged: bool) -> None:
    assert judges_deletions(Judges(hook=found)) is judged
    assert judges_deletions(Judges(policy=found)) is judged


def test_nothing_judges_in_a_cluster_without_any_and_something_may_where_none_may_look() -> None:
    assert not judges_deletions(Judges())
    secretive = Judges()
    secretive.found["refused"] = []
    assert judges_deletions(secretive)


class Versioned(Judges):
    """A cluster that answers this when asked for its version."""

    def __init__(self, answer: dict[str, str] | None) -> None:
        super().__init__()
        self.answer = answer

    def request(self, method: str, path: str, **options: Any) -> Any:
        assert (method, path) == ("GET", "/version")
        if self.answer is None:
            raise ApiError(403, "Forbidden", "you may not look")
        return self.answer


@pytest.mark.parametrize(("major", "minor"), [("1", "36"), ("1", "34"), ("1", "34+"), ("1", "100"), ("2", "0")])
def test_kubernetes_takes_pods_first_from_1_34_on(major: str, minor: str) -> None:
    assert takes_pods_first(Versioned({"major": major, "minor": minor}))


@pytest.mark.parametrize(("major", "minor"), [("1", "33"), ("1", "33+"), ("1", "9"), ("", "")])
def test_older_kubernetes_may_not(major: str, minor: str) -> None:
    assert not takes_pods_first(Versioned({"major": major, "minor": minor}))


def test_a_cluster_that_does_not_tell_its_version_is_taken_for_old() -> None:
    assert not takes_pods_first(Versioned(None))
    assert not takes_pods_first(Versioned({}))
