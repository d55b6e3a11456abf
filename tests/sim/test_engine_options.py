"""Resource options of the embedded engine, each on a live API server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from espalier.engine.errors import ApplyFailed, RefusedError
from espalier.engine.inventory import Inventory
from espalier.engine.up import up
from espalier.engine.values import Secret
from espalier.kube import Client, Kind, Reference
from tests.sim.live_stack import CONFIG_MAP, DEPLOYMENT, PROJECT, SECRET, LiveStack, live_stack, obj

SERVICE = Kind("v1", "Service")


@pytest.fixture(scope="module")
def client(kubeconfig: Path) -> Client:
    return Client.connect(kubeconfig)


@pytest.fixture(scope="module", autouse=True)
def keeper(client: Client) -> Iterator[None]:
    """Another stack's inventory: without it the namespace would come and go with every test."""
    inventory = Inventory.load(client, PROJECT, "options-keeper")
    inventory.expect([])
    yield
    inventory.remove()


@pytest.fixture
def stack(request: pytest.FixtureRequest, kubeconfig: Path, client: Client) -> Iterator[LiveStack]:
    with live_stack(f"o-{request.node.name.removeprefix('test_')}", kubeconfig, client) as made:
        yield made


def deployment(replicas: int = 0, image: str = "app:1", **more: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod, **more}
    # None of these tests is about waiting.
    return {"metadata": {"annotations": {"pulumi.com/skipAwait": "true"}}, "spec": spec}


def image_of(live: dict[str, Any], name: str) -> str:
    containers = live["spec"]["template"]["spec"]["containers"]
    return next(container["image"] for container in containers if container["name"] == name)


# ignore_changes


def scaled(stack: LiveStack, replicas: int = 2, **more: Any) -> Callable[[], Any]:
    return lambda: stack.add(DEPLOYMENT, "web", deployment(replicas, **more), ignore_changes=["spec.replicas"])


def test_a_scaled_deployment_stays_scaled(stack: LiveStack) -> None:
    stack.up(scaled(stack))
    assert stack.get(DEPLOYMENT, "web")["spec"]["replicas"] == 2
    stack.edit(DEPLOYMENT, "web", {"spec": {"replicas": 5}})
    assert stack.changes(scaled(stack)) == {}
    assert stack.changes(scaled(stack, replicas=3)) == {}
    image = "spec.template.spec.containers[0].image"
    assert stack.changes(scaled(stack, image="app:2")) == {"web": ("update", image)}
    assert stack.changes(scaled(stack, image="app:2")) == {}
    assert stack.get(DEPLOYMENT, "web")["spec"]["replicas"] == 5


def test_what_an_autoscaler_took_over_is_left_to_it_without_a_conflict(stack: LiveStack) -> None:
    stack.up(scaled(stack))
    stack.edit(DEPLOYMENT, "web", {"spec": {"replicas": 7}}, manager="autoscaler", sub="scale")
    assert stack.changes(scaled(stack)) == {}
    image = "spec.template.spec.containers[0].image"
    assert stack.changes(scaled(stack, image="app:2")) == {"web": ("update", image)}
    stack.edit(DEPLOYMENT, "web", {"spec": {"replicas": 8}}, manager="autoscaler", sub="scale")
    assert stack.changes(scaled(stack, image="app:2")) == {}
    assert stack.get(DEPLOYMENT, "web")["spec"]["replicas"] == 8


def test_a_field_that_is_ours_still_keeps_what_it_has_when_others_change(stack: LiveStack) -> None:
    """Where nobody else owns it, leaving it out would reset it."""
    stack.up(lambda: stack.add(DEPLOYMENT, "web", deployment(3)))
    assert stack.changes(scaled(stack, replicas=9, image="app:2"))["web"][0] == "update"
    assert stack.get(DEPLOYMENT, "web")["spec"]["replicas"] == 3


def test_without_the_option_the_programs_value_comes_back(stack: LiveStack) -> None:
    stack.up(scaled(stack))
    stack.edit(DEPLOYMENT, "web", {"spec": {"replicas": 5}})
    plain = deployment(2)
    assert stack.changes(lambda: stack.add(DEPLOYMENT, "web", plain)) == {"web": ("update", "spec.replicas")}


@pytest.mark.parametrize(
    "path", ["spec.template.spec.containers[0].image", "spec.template.spec.containers[*].image", "spec.template.*"]
)
def test_paths_reach_into_lists_by_the_items_key(stack: LiveStack, path: str) -> None:
    def body() -> None:
        stack.add(DEPLOYMENT, "web", deployment(), ignore_changes=[path])

    stack.up(body)
    # A sidecar comes before ours, so that the index of the program is not that of the live list.
    containers = [{"name": "sidecar", "image": "side:1"}, {"name": "app", "image": "app:9"}]
    template = {
        "spec": {"containers": containers, "$setElementOrder/containers": [{"name": "sidecar"}, {"name": "app"}]}
    }
    stack.edit(DEPLOYMENT, "web", {"spec": {"template": template}}, manager="injector")
    assert stack.changes(body) == {}

    def later() -> None:
        stack.add(DEPLOYMENT, "web", deployment(image="app:2", paused=True), ignore_changes=[path])

    assert stack.changes(later) == {"web": ("update", "spec.paused")}
    live = stack.get(DEPLOYMENT, "web")
    assert (image_of(live, "app"), image_of(live, "sidecar")) == ("app:9", "side:1")
    assert stack.changes(later) == {}


def test_keys_with_dots_and_whole_maps_can_be_ignored(stack: LiveStack) -> None:
    def body(data: str = "1") -> None:
        notes = {"a.b/c": "ours", "d": "ours"}
        ignored = ['metadata.annotations["a.b/c"]', "binaryData"]
        manifest = {"metadata": {"annotations": notes}, "data": {"x": data}, "binaryData": {"b": "YQ=="}}
        stack.add(CONFIG_MAP, "c", manifest, ignore_changes=ignored)

    stack.up(body)
    stack.edit(CONFIG_MAP, "c", {"metadata": {"annotations": {"a.b/c": "theirs"}}, "binaryData": {"b": "Yg=="}})
    assert stack.changes(body) == {}
    assert stack.changes(lambda: body("2")) == {"c": ("update", "data.x")}
    live = stack.get(CONFIG_MAP, "c")
    assert live["metadata"]["annotations"] == {"a.b/c": "theirs", "d": "ours"}
    assert (live["data"], live["binaryData"]) == ({"x": "2"}, {"b": "Yg=="})


def test_all_can_be_ignored(stack: LiveStack) -> None:
    def body(value: str) -> None:
        stack.add(CONFIG_MAP, "c", {"data": {"x": value}}, ignore_changes=["*"])

    stack.up(lambda: body("1"))
    assert stack.changes(lambda: body("2")) == {}
    stack.edit(CONFIG_MAP, "c", {"data": {"x": "3"}})
    assert stack.changes(lambda: body("2")) == {}
    assert stack.get(CONFIG_MAP, "c")["data"] == {"x": "3"}


@pytest.mark.parametrize("ignored", ["data", "stringData"])
def test_a_rotated_secret_stays_rotated(stack: LiveStack, ignored: str) -> None:
    def body(label: str = "a") -> None:
        manifest: dict[str, Any] = {"metadata": {"labels": {"x": label}}}
        manifest |= {"data": {"k": "b2xk"}} if ignored == "data" else {"stringData": {"k": "old"}}
        stack.add(SECRET, "s", manifest, ignore_changes=[ignored])

    stack.up(body)
    stack.edit(SECRET, "s", {"data": {"k": "bmV3"}}, manager="rotator")
    assert stack.changes(body) == {}
    assert stack.changes(lambda: body("b")) == {"s": ("update", "metadata.labels.x")}
    assert stack.get(SECRET, "s")["data"] == {"k": "bmV3"}


def test_a_replacement_keeps_what_is_ignored(stack: LiveStack) -> None:
    def body(app: str) -> None:
        manifest = deployment(2)
        manifest["spec"]["selector"] = {"matchLabels": {"app": app}}
        manifest["spec"]["template"]["metadata"]["labels"] = {"app": app}
        stack.add(DEPLOYMENT, "web", manifest, ignore_changes=["spec.replicas"])

    stack.up(lambda: body("web"))
    stack.edit(DEPLOYMENT, "web", {"spec": {"replicas": 5}}, manager="autoscaler", sub="scale")
    assert stack.changes(lambda: body("other")) == {"web": ("replace", "spec.selector")}
    assert stack.get(DEPLOYMENT, "web")["spec"]["replicas"] == 5


# What asks for a replacement


def test_a_change_in_a_listed_path_replaces_and_another_does_not(stack: LiveStack) -> None:
    def body(a: str, b: str, paths: list[str]) -> None:
        stack.add(CONFIG_MAP, "c", {"data": {"a": a, "b": b}}, replace_on_changes=paths)

    stack.up(lambda: body("1", "1", ["data.a"]))
    uid = stack.get(CONFIG_MAP, "c")["metadata"]["uid"]
    assert stack.changes(lambda: body("1", "2", ["data.a"])) == {"c": ("update", "data.b")}
    assert stack.get(CONFIG_MAP, "c")["metadata"]["uid"] == uid
    assert stack.changes(lambda: body("2", "3", ["data.a"])) == {"c": ("replace", "data.a")}
    second = stack.get(CONFIG_MAP, "c")
    assert (second["metadata"]["uid"] == uid, second["data"]) == (False, {"a": "2", "b": "3"})
    assert stack.changes(lambda: body("2", "4", ["*"])) == {"c": ("replace", "data.b")}
    assert stack.changes(lambda: body("2", "4", ["*"])) == {}


def test_a_trigger_and_a_companion_replace(stack: LiveStack) -> None:
    def body(trigger: str) -> None:
        first = stack.add(CONFIG_MAP, "first", {"data": {"a": "1"}}, replacement_trigger=trigger)
        stack.add(CONFIG_MAP, "second", {"data": {"a": "1"}}, replace_with=[first])

    stack.up(lambda: body("one"))
    assert stack.changes(lambda: body("one")) == {}
    changed = {"first": ("replace", "replacementTrigger"), "second": ("replace", "replaceWith")}
    assert stack.changes(lambda: body("two")) == changed
    assert stack.changes(lambda: body("two")) == {}


# aliases


class Box(pulumi.ComponentResource):
    def __init__(self, stack: LiveStack, name: str, **options: Any) -> None:
        super().__init__("my:index:Box", name, {}, pulumi.ResourceOptions(**options))
        inner = stack.add_unnamed(CONFIG_MAP, f"{name}-data", {"data": {"a": "1"}}, parent=self)
        self.called = inner.metadata["name"]


def test_a_renamed_component_with_an_alias_touches_nothing(stack: LiveStack) -> None:
    stack.up(lambda: Box(stack, "old"))
    (name,) = stack.names(CONFIG_MAP)
    version = stack.get(CONFIG_MAP, name)["metadata"]["resourceVersion"]

    def renamed() -> None:
        Box(stack, "new", aliases=[pulumi.Alias(name="old")])

    assert stack.changes(renamed) == {}
    assert stack.entries()[name].urn.endswith("::new-data")
    assert stack.changes(renamed) == {}
    # The alias has done its work and may go.
    assert stack.changes(lambda: Box(stack, "new")) == {}
    assert stack.names(CONFIG_MAP) == {name}
    assert stack.get(CONFIG_MAP, name)["metadata"]["resourceVersion"] == version
    # Another of the old name gets a name of its own.
    assert stack.changes(lambda: (Box(stack, "new"), Box(stack, "old"))) == {"old-data": ("create",)}
    assert len(stack.names(CONFIG_MAP)) == 2
    assert stack.changes(lambda: (Box(stack, "new"), Box(stack, "old"))) == {}


def test_without_an_alias_a_renamed_component_is_made_anew(stack: LiveStack) -> None:
    stack.up(lambda: Box(stack, "old"))
    assert stack.changes(lambda: Box(stack, "new")) == {"old-data": ("delete",), "new-data": ("create",)}


# deleted_with, protect, retain_on_delete


def test_what_is_deleted_with_another_is_not_deleted_by_itself(stack: LiveStack) -> None:
    def body() -> None:
        owner = stack.add(CONFIG_MAP, "owner")
        stack.add(CONFIG_MAP, "rider", deleted_with=owner)

    stack.up(body)
    stack.destroy()
    deleted = [line for line in stack.lines if line.startswith("delete ConfigMap")]
    assert deleted == [f"delete ConfigMap {stack.name}/owner"]


def test_what_rides_on_something_that_stays_is_deleted_by_itself(stack: LiveStack) -> None:
    owner: list[Any] = []

    def body(rider: bool) -> None:
        owner.append(stack.add(CONFIG_MAP, "owner"))
        if rider:
            stack.add(CONFIG_MAP, "rider", deleted_with=owner[-1])

    stack.up(lambda: body(True))
    assert stack.changes(lambda: body(False)) == {"rider": ("delete",)}
    assert stack.names(CONFIG_MAP) == {"owner"}


def test_what_is_to_stay_is_not_deleted_to_be_replaced(stack: LiveStack) -> None:
    def body(value: str) -> None:
        stack.add(CONFIG_MAP, "c", {"data": {"a": value}, "immutable": True}, retain_on_delete=True)

    stack.up(lambda: body("1"))
    for run in (stack.preview, stack.up):
        with pytest.raises(ApplyFailed, match="retain_on_delete"):
            run(lambda: body("2"))
    assert stack.get(CONFIG_MAP, "c")["data"] == {"a": "1"}


def test_what_is_to_stay_stays_beside_its_replacement(stack: LiveStack) -> None:
    def body(value: str) -> None:
        stack.add_unnamed(CONFIG_MAP, "c", {"data": {"a": value}, "immutable": True}, retain_on_delete=True)

    stack.up(lambda: body("1"))
    assert stack.changes(lambda: body("2")) == {"c": ("replace", "data")}
    assert len(stack.names(CONFIG_MAP)) == 2
    assert len(stack.entries()) == 2


@pytest.mark.parametrize("named", [True, False])
def test_what_is_protected_is_not_replaced(stack: LiveStack, named: bool) -> None:
    def body(value: str) -> None:
        add = stack.add if named else stack.add_unnamed
        add(CONFIG_MAP, "c", {"data": {"a": value}, "immutable": True}, protect=True)

    stack.up(lambda: body("1"))
    for run in (stack.preview, stack.up):
        with pytest.raises(ApplyFailed, match="is protected"):
            run(lambda: body("2"))
    (name,) = stack.names(CONFIG_MAP)
    assert stack.get(CONFIG_MAP, name)["data"] == {"a": "1"}


# custom_timeouts


def test_custom_timeouts_limit_creation_update_and_deletion(stack: LiveStack) -> None:
    def body(port: int, **timeouts: str) -> None:
        spec = {"selector": {"no": "pod"}, "ports": [{"port": port}]}
        stack.add(SERVICE, "web", {"spec": spec}, custom_timeouts=pulumi.CustomTimeouts(**timeouts))

    with pytest.raises(ApplyFailed, match="not ready after 1 s"):
        stack.up(lambda: body(80, create="1s", update="5m"))
    with pytest.raises(ApplyFailed, match="not ready after 2 s"):
        stack.up(lambda: body(81, create="5m", update="2s"))


def test_a_deletion_is_given_up_after_the_time_that_is_set(stack: LiveStack) -> None:
    def body(more: bool = True) -> None:
        if more:
            manifest = {"metadata": {"finalizers": ["example.com/held"]}, "data": {"a": "1"}}
            stack.add(CONFIG_MAP, "c", manifest, custom_timeouts=pulumi.CustomTimeouts(delete="1s"))

    stack.up(body)
    assert stack.entries()["c"].delete_seconds == 1
    with pytest.raises(ApplyFailed, match=r"not gone after 1 s of waiting for its deletion: .*example\.com/held"):
        stack.up(lambda: body(False))
    stack.edit(CONFIG_MAP, "c", {"metadata": {"finalizers": None}})


def test_a_replacement_waits_no_longer_for_the_old_one_than_is_set(stack: LiveStack) -> None:
    def body(value: str) -> None:
        manifest = {"metadata": {"finalizers": ["example.com/held"]}, "data": {"a": value}, "immutable": True}
        stack.add(CONFIG_MAP, "c", manifest, custom_timeouts=pulumi.CustomTimeouts(delete="1s"))

    stack.up(lambda: body("1"))
    with pytest.raises(ApplyFailed, match="after 1 s"):
        stack.up(lambda: body("2"))
    stack.edit(CONFIG_MAP, "c", {"metadata": {"finalizers": None}})


# depends_on, additional_secret_outputs


def test_a_dependent_is_applied_when_what_it_depends_on_is_ready(stack: LiveStack) -> None:
    def body() -> None:
        wait = {"metadata": {"annotations": {"pulumi.com/waitFor": "jsonpath={.data.open}=yes"}}}
        gate = stack.add(CONFIG_MAP, "gate", wait)
        stack.add(CONFIG_MAP, "after", depends_on=[gate])

    worker = threading.Thread(target=lambda: stack.up(body))
    worker.start()
    deadline = time.monotonic() + 120
    while "gate" not in stack.names(CONFIG_MAP) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    assert stack.names(CONFIG_MAP) == {"gate"}
    stack.edit(CONFIG_MAP, "gate", {"data": {"open": "yes"}})
    worker.join(120)
    assert stack.names(CONFIG_MAP) == {"gate", "after"}


def test_additional_secret_outputs_are_secret_and_so_is_what_is_made_of_them(stack: LiveStack) -> None:
    def body() -> None:
        source = stack.add(CONFIG_MAP, "c", {"data": {"token": "canary"}}, additional_secret_outputs=["data"])
        pulumi.export("token", source.data["token"])
        pulumi.export("uid", source.metadata["uid"])

    first, again = stack.up(body).outputs, stack.up(body).outputs
    assert first["token"] == again["token"] == Secret("canary")
    assert isinstance(first["uid"], str)


# provider


def providers(stack: LiveStack, *all_inputs: dict[str, Any]) -> Callable[[], Any]:
    """A program with an object for each provider."""

    def body() -> None:
        for index, inputs in enumerate(all_inputs):
            there = pulumi.ProviderResource("kubernetes", f"p{index}", inputs)
            obj(CONFIG_MAP, f"c{index}", {"metadata": {"name": f"c{index}"}}, provider=there)

    return body


def with_contexts(kubeconfig: Path) -> str:
    """The kubeconfig's text with a second context, whose server does not answer."""
    import yaml

    config = yaml.safe_load(kubeconfig.read_text())
    context = config["contexts"][0]["context"]
    good = config["contexts"][0]["name"]
    config["clusters"].append({"name": "bad", "cluster": {"server": "https://127.0.0.1:9"}})
    config["contexts"].append({"name": "bad", "context": {**context, "cluster": "bad"}})
    config["current-context"] = "bad"
    return yaml.safe_dump(config) + f"# good is {good}\n"


@pytest.mark.parametrize("form", ["path", "text"])
def test_a_provider_is_honoured_with_its_context_and_namespace(stack: LiveStack, form: str, tmp_path: Path) -> None:
    text = with_contexts(stack.kubeconfig)
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    good = text.rpartition("good is ")[2].strip()
    stack.up(lambda: None)
    inputs = {"kubeconfig": text if form == "text" else str(file), "context": good, "namespace": stack.name}

    def body() -> None:
        there = pulumi.ProviderResource("kubernetes", "p", inputs)
        obj(CONFIG_MAP, "c", {"metadata": {"name": "c"}}, provider=there)

    stack.up(body)
    assert stack.names(CONFIG_MAP) == {"c"}


def test_a_second_cluster_and_a_second_user_are_refused_by_name(stack: LiveStack) -> None:
    text = with_contexts(stack.kubeconfig)
    good = text.rpartition("good is ")[2].strip()
    mine = {"kubeconfig": text, "context": good, "namespace": stack.name}
    with pytest.raises(RefusedError, match=r"https://127\.0\.0\.1:9\b"):
        stack.up(providers(stack, mine, {"kubeconfig": text}))
    import yaml

    config = yaml.safe_load(text)
    config["users"][0]["user"] = {"token": "another"}
    other = {"kubeconfig": yaml.safe_dump(config), "context": good}
    with pytest.raises(RefusedError, match="as the user of context"):
        stack.up(providers(stack, mine, other))
    assert stack.client.find_object(Reference(Kind("v1", "Namespace"), "", stack.name)) is None


@pytest.mark.parametrize("inputs", [{}, {"namespace": "default"}, {"kubeconfig": ""}])
def test_a_provider_without_a_kubeconfig_is_refused(
    stack: LiveStack, inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(stack.kubeconfig))
    for connection in (None, stack.kubeconfig):
        with pytest.raises(RefusedError, match="its provider has no kubeconfig"):
            up(stack.program(providers(stack, inputs)), connection=connection)
