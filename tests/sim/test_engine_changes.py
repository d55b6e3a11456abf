"""What `preview` tells of changes, replacements and drift, and that `up` then does exactly that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from espalier.engine.changes import Change
from espalier.engine.errors import ApplyFailed, RefusedError
from espalier.engine.inventory import Inventory
from espalier.engine.preview import preview
from espalier.kube import Client, Kind, Reference
from tests.sim.live_stack import CONFIG_MAP, DEPLOYMENT, NAMESPACE, PROJECT, LiveStack, live_stack, obj

STATEFUL_SET = Kind("apps/v1", "StatefulSet")
CLAIM = Kind("v1", "PersistentVolumeClaim")
DEFINITION = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")


@pytest.fixture(scope="module")
def client(kubeconfig: Path) -> Client:
    return Client.connect(kubeconfig)


@pytest.fixture(scope="module", autouse=True)
def keeper(client: Client) -> Iterator[None]:
    """Another stack's inventory: without it the namespace would come and go with every test."""
    inventory = Inventory.load(client, PROJECT, "changes-keeper")
    inventory.expect([])
    yield
    inventory.remove()


@pytest.fixture
def stack(request: pytest.FixtureRequest, kubeconfig: Path, client: Client) -> Iterator[LiveStack]:
    with live_stack(f"c-{request.node.name.removeprefix('test_')}", kubeconfig, client) as made:
        yield made


def uid(live: dict[str, Any]) -> str:
    return live["metadata"]["uid"]


def frozen(value: str) -> dict[str, Any]:
    return {"data": {"a": value}, "immutable": True}


def order(stack: LiveStack) -> list[str]:
    """What people were told of ConfigMaps, in order."""
    return [line.split(" (")[0] for line in stack.lines if " ConfigMap " in line and "waiting" not in line]


# Replacement


def test_an_object_that_the_engine_named_is_made_first_and_the_old_one_deleted_last(stack: LiveStack) -> None:
    def body(value: str) -> None:
        source = stack.add_unnamed(CONFIG_MAP, "c", frozen(value))
        stack.add(CONFIG_MAP, "reader", {"data": {"of": source.metadata["name"]}})

    stack.up(lambda: body("1"))
    (old,) = stack.names(CONFIG_MAP) - {"reader"}
    stack.lines.clear()
    assert stack.changes(lambda: body("2")) == {"c": ("replace", "data"), "reader": ("update", "data.of")}
    (new,) = stack.names(CONFIG_MAP) - {"reader"}
    assert new != old
    assert stack.get(CONFIG_MAP, "reader")["data"] == {"of": new}
    where = f"ConfigMap {stack.name}/"
    assert order(stack) == [f"replace {where}{new}", f"update {where}reader", f"delete {where}{old}"]
    assert stack.entries().keys() == {stack.name, new, "reader"}
    assert stack.changes(lambda: body("2")) == {}
    assert stack.changes(lambda: body("3"))["c"] == ("replace", "data")


def test_a_run_that_died_between_making_and_deleting_is_finished_by_the_next(
    stack: LiveStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def body(value: str) -> None:
        stack.add_unnamed(CONFIG_MAP, "c", frozen(value))

    stack.up(lambda: body("1"))
    with monkeypatch.context() as patched:

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        patched.setattr("espalier.engine.up._prune", die)
        with pytest.raises(KeyboardInterrupt):
            stack.up(lambda: body("2"))
    assert len(stack.names(CONFIG_MAP)) == 2
    assert stack.changes(lambda: body("2")) == {"c": ("delete",)}
    (name,) = stack.names(CONFIG_MAP)
    assert stack.get(CONFIG_MAP, name)["data"] == {"a": "2"}
    assert stack.entries().keys() == {stack.name, name}


@pytest.mark.parametrize("named", [True, False])
def test_the_old_one_goes_first_where_its_name_is_taken_or_the_program_says_so(stack: LiveStack, named: bool) -> None:
    def body(value: str) -> None:
        if named:
            stack.add(CONFIG_MAP, "c", frozen(value))
        else:
            stack.add_unnamed(CONFIG_MAP, "c", frozen(value), delete_before_replace=True)

    stack.up(lambda: body("1"))
    (name,) = stack.names(CONFIG_MAP)
    first = uid(stack.get(CONFIG_MAP, name))
    (change,) = (c for c in preview(stack.program(lambda: body("2")), connection=stack.kubeconfig) if c.op != "same")
    assert change.notes == (f"ConfigMap {stack.name}/{name} is deleted first",)
    assert stack.changes(lambda: body("2")) == {"c": ("replace", "data")}
    assert stack.names(CONFIG_MAP) == {name}
    assert uid(stack.get(CONFIG_MAP, name)) != first
    assert stack.changes(lambda: body("2")) == {}


def test_dependents_of_a_replacement_in_place_stay_and_read_what_is_new(stack: LiveStack) -> None:
    def body(value: str) -> None:
        source = stack.add(CONFIG_MAP, "c", frozen(value))
        stack.add(CONFIG_MAP, "by-name", {"data": {"of": source.metadata["name"]}})
        stack.add(CONFIG_MAP, "by-uid", {"data": {"of": source.metadata["uid"]}})

    stack.up(lambda: body("1"))
    before = uid(stack.get(CONFIG_MAP, "by-uid"))
    assert stack.changes(lambda: body("2")) == {"c": ("replace", "data"), "by-uid": ("update", "data.of")}
    assert stack.get(CONFIG_MAP, "by-uid")["data"] == {"of": uid(stack.get(CONFIG_MAP, "c"))}
    assert uid(stack.get(CONFIG_MAP, "by-uid")) == before


def test_an_object_that_is_called_differently_now_is_replaced_the_new_one_first(stack: LiveStack) -> None:
    def body(name: str) -> None:
        metadata = {"name": name, "namespace": stack.name}
        obj(CONFIG_MAP, "c", {"metadata": metadata, "data": {"a": "1"}})

    stack.up(lambda: body("one"))
    stack.lines.clear()
    assert stack.changes(lambda: body("two")) == {"c": ("replace", "metadata.name")}
    assert order(stack) == [f"replace ConfigMap {stack.name}/two", f"delete ConfigMap {stack.name}/one"]
    assert stack.entries().keys() == {stack.name, "two"}


def test_the_field_that_forces_a_replacement_is_named_where_the_server_says_spec(stack: LiveStack) -> None:
    def body(service: str, replicas: int) -> None:
        labels = {"a": "b"}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
        spec = {"serviceName": service, "replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
        stack.add(STATEFUL_SET, "s", {"spec": spec})

    stack.up(lambda: body("one", 0))
    assert stack.changes(lambda: body("two", 0)) == {"s": ("replace", "spec.serviceName")}


def claim(storage_class: str) -> dict[str, Any]:
    resources = {"requests": {"storage": "1Gi"}}
    notes = {"annotations": {"pulumi.com/skipAwait": "true"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": resources, "storageClassName": storage_class}
    return {"metadata": notes, "spec": spec}


def test_a_claim_is_not_replaced_unless_told(stack: LiveStack) -> None:
    def body(storage_class: str, **options: Any) -> None:
        stack.add(CLAIM, "disk", claim(storage_class), **options)

    stack.up(lambda: body("one"))
    first = uid(stack.get(CLAIM, "disk"))
    for run in (stack.preview, stack.up):
        with pytest.raises(ApplyFailed, match="would lose what it holds"):
            run(lambda: body("two"))
    assert uid(stack.get(CLAIM, "disk")) == first
    told = stack.changes(lambda: body("two", delete_before_replace=True))
    assert told == {"disk": ("replace", "spec.storageClassName")}
    assert uid(stack.get(CLAIM, "disk")) != first


def test_a_claim_is_not_lost_by_being_called_differently(stack: LiveStack) -> None:
    def body(name: str) -> None:
        manifest = claim("one")
        obj(CLAIM, "disk", {**manifest, "metadata": {**manifest["metadata"], "name": name, "namespace": stack.name}})

    stack.up(lambda: body("one"))
    for run in (stack.preview, stack.up):
        with pytest.raises(ApplyFailed, match="would lose what it holds"):
            run(lambda: body("two"))
    assert stack.get(CLAIM, "one")


def test_what_a_replaced_namespace_holds_is_made_anew(stack: LiveStack) -> None:
    def body(trigger: str, *, told: bool = True, protect: bool = False) -> None:
        name = f"{stack.name}-x"
        options: dict[str, Any] = {"delete_before_replace": True} if told else {}
        space: Any = obj(NAMESPACE, "x", {"metadata": {"name": name}}, replacement_trigger=trigger, **options)
        inside = {"name": "c", "namespace": space.metadata["name"]}
        obj(CONFIG_MAP, "inside", {"metadata": inside, "data": {"a": "1"}}, protect=protect)

    def found() -> dict[str, Any]:
        return stack.client.get(CONFIG_MAP, "c", f"{stack.name}-x")

    stack.up(lambda: body("1"))
    first = uid(found())
    with pytest.raises(ApplyFailed, match="would lose what it holds"):
        stack.preview(lambda: body("2", told=False))
    changed = {"x": ("replace", "replacementTrigger"), "inside": ("replace", "metadata.namespace")}
    assert stack.changes(lambda: body("2")) == changed
    assert uid(found()) != first
    assert stack.changes(lambda: body("2")) == {}
    stack.up(lambda: body("2", protect=True))
    for run in (stack.preview, stack.up):
        with pytest.raises(ApplyFailed, match="holds what is protected"):
            run(lambda: body("3", protect=True))


def test_what_a_replaced_definition_defines_is_made_anew(stack: LiveStack) -> None:
    group = f"{stack.name}.example.com"
    tree = Kind(f"{group}/v1", "Tree")

    def body(trigger: str) -> None:
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        names = {"plural": "trees", "singular": "tree", "kind": "Tree"}
        spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
        options: dict[str, Any] = {"replacement_trigger": trigger, "delete_before_replace": True}
        crd = obj(DEFINITION, "crd", {"metadata": {"name": f"trees.{group}"}, "spec": spec}, **options)
        stack.add(tree, "oak", {"spec": {"height": 3}}, depends_on=[crd])

    stack.up(lambda: body("1"))
    changed = stack.changes(lambda: body("2"))
    assert {name: what[0] for name, what in changed.items()} == {"crd": "replace", "oak": "replace"}
    assert stack.get(tree, "oak")["spec"] == {"height": 3}
    assert stack.changes(lambda: body("2")) == {}


# Drift


def deployment(image: str = "app:1") -> dict[str, Any]:
    labels = {"app": "web"}
    container = {"name": "app", "image": image, "ports": [{"containerPort": 80}]}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}
    return {"metadata": {"annotations": {"pulumi.com/skipAwait": "true"}}, "spec": spec}


def told(stack: LiveStack, body: Any) -> Change:
    (change,) = (c for c in preview(stack.program(body), connection=stack.kubeconfig) if c.op != "same")
    return change


def test_drift_in_depth_is_mended_though_the_program_changed_too(stack: LiveStack) -> None:
    def body(note: str = "1") -> None:
        manifest = deployment()
        manifest["metadata"]["annotations"]["note"] = note
        stack.add(DEPLOYMENT, "web", manifest)

    stack.up(body)
    container = {"name": "app", "image": "app:9", "ports": [{"containerPort": 80, "name": "http"}]}
    stack.edit(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": [container]}}}})
    change = told(stack, lambda: body("2"))
    image = "spec.template.spec.containers[0].image"
    assert change.fields == ("metadata.annotations.note", image)
    assert 'containers[name="app"].image changed by "kubectl-edit"' in change.notes[0]
    assert stack.changes(lambda: body("2")) == {"web": ("update", "metadata.annotations.note", image)}
    assert stack.changes(lambda: body("2")) == {}
    # What others added beside ours is theirs.
    ports = stack.get(DEPLOYMENT, "web")["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert ports == [{"containerPort": 80, "name": "http", "protocol": "TCP"}]


def test_a_field_that_was_never_ours_is_a_conflict(stack: LiveStack) -> None:
    def body(**data: str) -> None:
        stack.add(CONFIG_MAP, "c", {"data": data})

    stack.up(lambda: body(a="1"))
    stack.edit(CONFIG_MAP, "c", {"data": {"a": "9", "theirs": "1"}})
    for run in (stack.preview, stack.up):
        with pytest.raises(ApplyFailed) as caught:
            run(lambda: body(a="1", theirs="2"))
        (problem,) = caught.value.errors
        assert 'data.theirs belong to "kubectl-edit"' in problem.reason
        assert "data.a" not in problem.reason
        assert "espalier up --force" in problem.do
    assert stack.get(CONFIG_MAP, "c")["data"] == {"a": "9", "theirs": "1"}
    stack.up(lambda: body(a="1", theirs="2"), force=True)
    assert stack.get(CONFIG_MAP, "c")["data"] == {"a": "1", "theirs": "2"}


def test_a_field_that_another_tool_took_by_force_is_taken_back(stack: LiveStack) -> None:
    def body() -> None:
        stack.add(CONFIG_MAP, "c", {"data": {"a": "1"}})

    stack.up(body)
    path = f"/api/v1/namespaces/{stack.name}/configmaps/c"
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "2"}}
    query = {"fieldManager": "argocd", "force": "true"}
    stack.client.request("PATCH", path, query=query, body=applied, content_type="application/apply-patch+yaml")
    assert 'data.a changed by "argocd"' in told(stack, body).notes[0]
    assert stack.changes(body) == {"c": ("update", "data.a")}
    assert stack.changes(body) == {}


def test_a_field_that_others_removed_comes_back(stack: LiveStack) -> None:
    def body() -> None:
        stack.add(CONFIG_MAP, "c", {"metadata": {"labels": {"x": "y"}}, "data": {"a": "1"}})

    stack.up(body)
    stack.edit(CONFIG_MAP, "c", {"metadata": {"labels": None}})
    assert stack.changes(body) == {"c": ("update", "metadata.labels")}


def test_an_object_that_was_made_anew_by_someone_else_is_not_drift(stack: LiveStack) -> None:
    def body() -> None:
        stack.add(CONFIG_MAP, "c", {"data": {"a": "1"}})

    stack.up(body)
    stack.client.delete(CONFIG_MAP, "c", stack.name)
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": stack.name}}
    path = f"/api/v1/namespaces/{stack.name}/configmaps"
    stack.client.request("POST", path, query={"fieldManager": "them"}, body={**theirs, "data": {"a": "theirs"}})
    with pytest.raises((ApplyFailed, RefusedError), match="them"):
        stack.up(body)
    assert stack.client.find_object(Reference(CONFIG_MAP, stack.name, "c"))
    assert stack.get(CONFIG_MAP, "c")["data"] == {"a": "theirs"}
