"""The engine's parts that need no cluster."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future
from typing import Any

import pulumi
import pytest
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest

from espalier.engine.durations import seconds_of
from espalier.engine.errors import RefusedError
from espalier.engine.executor import Later, RegistrationExecutor
from espalier.engine.inventory import Entry, Inventory, short_id
from espalier.engine.options import HONOURED, REFUSED
from espalier.engine.ownership import changed_fields, owned_digest
from espalier.engine.program import Program
from espalier.engine.up import up
from espalier.engine.values import UNKNOWN, Secret, decode, encode, to_json
from espalier.kube import Client, Kind, Kubeconfig, Reference


def test_values_go_to_the_sdk_and_back() -> None:
    values = {
        "int": 3,
        "big": 2**40,
        "float": 1.5,
        "none": None,
        "list": [True, UNKNOWN, {"deep": Secret({"k": UNKNOWN})}],
    }
    back = decode(encode(values))
    assert back == values
    assert [type(back[key]) for key in ("int", "big", "float")] == [int, int, float]
    assert to_json(back["list"]) == [True, {"$unknown": True}, {"deep": {"$secret": True}}]
    assert "canary" not in repr(Secret("canary")) + str(Secret("canary")) + f"{[Secret('canary')]}"


def test_a_later_answer_holds_no_thread() -> None:
    later = Later()
    with RegistrationExecutor(max_workers=1) as executor:
        waiting = executor.submit(lambda: later)
        assert executor.submit(lambda: "next").result(timeout=60) == "next"
        assert not waiting.done()
        later.set_result("ready")
        assert waiting.result(timeout=60) == "ready"
        broken: Future[Any] = executor.submit(lambda: {}["missing"])
        with pytest.raises(KeyError):
            broken.result(timeout=60)


def live(data: dict[str, Any], fields: dict[str, Any], manager: str = "espalier", **metadata: Any) -> dict[str, Any]:
    entry = {"manager": manager, "operation": "Apply", "fieldsV1": fields}
    return {"metadata": {"name": "a", "managedFields": [entry], **metadata}, **data}


PORTS = {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}}}, "f:set": {'v:"x"': {}}}}


def test_only_our_fields_count_as_drift() -> None:
    def at(name: str, other: str, ready: bool) -> str:
        ports = [{"port": 81, "protocol": "TCP", "name": other}, {"port": 80, "protocol": "TCP", "name": name}]
        return owned_digest(live({"spec": {"ports": ports, "set": ["x", other]}, "status": ready}, PORTS))

    assert at("http", "a", True) == at("http", "b", False)
    assert at("http", "a", True) != at("web", "a", True)
    assert owned_digest(live({"spec": {}}, PORTS)) != at("http", "a", True)
    fewer = {"f:spec": {"f:ports": PORTS["f:spec"]["f:ports"]}}
    assert owned_digest(live({"spec": {}}, fewer)) != owned_digest(live({"spec": {}}, PORTS))
    assert owned_digest(live({}, PORTS, manager="kubectl")) == ""


def test_changed_fields_are_paths_without_what_the_server_counts() -> None:
    before = {"metadata": {"resourceVersion": "1", "labels": {"a.b/c": "1"}}, "spec": {"l": [{"x": 1}, {"y": 1}]}}
    after = {"metadata": {"resourceVersion": "2", "labels": {}}, "spec": {"l": [{"x": 1}, {"y": 2}]}, "status": 1}
    assert changed_fields(before, after) == ("metadata.labels.a.b/c", "spec.l[1].y")


def obj(api: str, kind: str, spec: Any = None, status: Any = None, **metadata: Any) -> dict[str, Any]:
    body = {"apiVersion": api, "kind": kind, "metadata": {"name": "x", **metadata}, "spec": spec or {}}
    return body if status is None else body | {"status": status}


def entry(name: str, kind: str = "ConfigMap", api: str = "v1", namespace: str = "", depends: str = "") -> Entry:
    needs = tuple(short_id(other) for other in depends.split())
    return Entry(urn=name, reference=Reference(Kind(api, kind), namespace, name), depends=needs)


def test_ten_thousand_objects_fit_into_config_maps() -> None:
    config = Kubeconfig(context="none", server="http://127.0.0.1:1")
    inventory = Inventory(Client.connect(config), "project", "stack")
    header = {"data": {"header": json.dumps({"cluster": "uid"})}}
    inventory._written[f"inventory-{inventory.stack_id}"] = header
    for i in range(10_000):
        urn = f"urn:pulumi:stack::project::espalier:index:Platform$espalier:index:Tenant$kubernetes:v1:X::name-{i}"
        one = entry(f"a-rather-long-name-of-an-object-{i}", namespace=f"a-namespace-with-a-name-{i // 10}")
        fresh = Entry(urn=urn, reference=one.reference, uid="u" * 36, desired="d" * 32, live="l" * 32)
        inventory.entries[fresh.reference.key] = fresh
    started = time.process_time()
    objects = inventory._objects()
    assert time.process_time() - started < 15
    sizes = [sum(map(len, data.values())) for data in objects.values()]
    assert max(sizes) < 1 << 19
    rows = [row for data in objects.values() for row in json.loads(data.get("objects", "[]"))]
    assert {Entry.from_json(row) for row in rows} == set(inventory.entries.values())


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("500ms", 0.5), ("1.5m", 90)])
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "5 m", "-1s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="accepted"):
        seconds_of(text)


def refused(body: Any) -> list[tuple[str, str]]:
    with pytest.raises(RefusedError) as caught:
        up(Program(body, "demo", "test"))
    return [(problem.urn.rpartition("::")[2], problem.reason) for problem in caught.value.problems]


def config_map(name: str, **options: Any) -> pulumi.CustomResource:
    manifest = {"metadata": {"name": name}}
    return pulumi.CustomResource("kubernetes:core/v1:ConfigMap", name, manifest, pulumi.ResourceOptions(**options))


def test_an_option_that_is_not_honoured_is_refused_by_name() -> None:
    assert refused(lambda: config_map("x", import_="default/x")) == [("x", "sets the option import")]
    assert "--adopt" in REFUSED["import"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ignore_changes": ["spec..replicas"]}, "ignoreChanges: 'spec..replicas' is no property path"),
        ({"replace_on_changes": ["a[b"]}, "replaceOnChanges: 'a[b' is no property path"),
        ({"additional_secret_outputs": ["data.token"]}, "additionalSecretOutputs: 'data.token' is no output"),
        ({"custom_timeouts": pulumi.CustomTimeouts(delete="soon")}, "customTimeouts.delete: 'soon' is no duration"),
    ],
)
def test_what_cannot_be_read_in_an_option_is_refused(options: dict[str, Any], said: str) -> None:
    (problem,) = refused(lambda: config_map("x", **options))
    assert problem[1].startswith(said)


READ_ELSEWHERE = {"type", "name", "parent", "custom", "object", "dependencies", "propertyDependencies", "provider"}
NO_OPTION = {
    *("remote", "acceptSecrets", "acceptResources", "supportsPartialValues", "supportsResultReporting"),
    *("accepts_byte_string", "aliasSpecs", "sourcePosition", "stackTrace", "parentStackTraceHandle", "snippetId"),
}
"""What the SDK says of itself and of where a line of the program is; `remote` is refused where it is read."""
UNDER_OTHER_NAMES = {
    "deleteBeforeReplaceDefined": "deleteBeforeReplace",
    "importId": "import",
    "aliasURNs": "aliases",
    "replace_with": "replaceWith",
    "replacement_trigger": "replacementTrigger",
    "state_migrations": "stateMigrations",
    "pluginChecksums": "pluginDownloadURL",  # of the plugin that nobody downloads
}


def test_no_option_of_the_protocol_is_passed_over() -> None:
    """A newer SDK may bring one that this engine has not heard of: it must be in the table before that SDK is taken."""
    fields = {field.name for field in RegisterResourceRequest.DESCRIPTOR.fields} - READ_ELSEWHERE - NO_OPTION
    assert {UNDER_OTHER_NAMES.get(name, name) for name in fields} == HONOURED.keys() | REFUSED.keys()


def test_no_option_is_both_honoured_and_refused() -> None:
    assert not HONOURED.keys() & REFUSED.keys()


@pytest.mark.parametrize(
    ("type_", "inputs", "said"),
    [
        ("kubernetes:core/v1:NamespacePatch", {"kind": "Namespace"}, "patches an object of someone else"),
        ("kubernetes:helm.sh/v3:Release", {"chart": "x"}, "is expanded by a plugin"),
        ("kubernetes:yaml:ConfigFile", {}, "is expanded by a plugin"),
        ("aws:s3/bucket:Bucket", {}, "needs a provider plugin"),
        ("random:index/randomId:RandomId", {}, "needs a provider plugin"),
        ("kubernetes:core/v1:ConfigMap", {}, "has no provider"),
    ],
)
def test_what_the_engine_cannot_apply_is_refused_by_name(type_: str, inputs: dict[str, Any], said: str) -> None:
    (problem,) = refused(lambda: pulumi.CustomResource(type_, "x", inputs))
    assert problem[0] == "x"
    assert said in problem[1]


def test_waits_that_cannot_be_read_are_refused_before_anything_is_applied() -> None:
    def body() -> None:
        config_map("x", custom_timeouts=pulumi.CustomTimeouts(create="soon", update="later", delete="5m"))
        notes = {"pulumi.com/waitFor": "whenever"}
        manifest = {"metadata": {"name": "y", "annotations": notes}}
        pulumi.CustomResource("kubernetes:core/v1:ConfigMap", "y", manifest)

    said = refused(body)
    assert [name for name, _ in said] == ["x", "x", "y"]
    assert said[0][1].startswith("customTimeouts.create: 'soon' is no duration")
    assert said[1][1].startswith("customTimeouts.update: 'later' is no duration")
    assert "pulumi.com/waitFor" in said[2][1]


def test_all_refusals_are_told_at_once() -> None:
    def body() -> None:
        config_map("a", ignore_changes=["[x"], import_="y")
        pulumi.CustomResource("aws:s3/bucket:Bucket", "b", {})

    assert [name for name, _ in refused(body)] == ["b", "a", "a"]


def test_growth_of_a_recording_is_linear() -> None:
    from espalier.engine.record import record

    def seconds(count: int) -> float:
        def body() -> None:
            for i in range(count):
                config_map(f"c{i}")

        started = time.process_time()
        record(Program(body, "demo", "test"))
        return time.process_time() - started

    seconds(50)
    few = seconds(100)
    # The best of three: what others do on the machine costs processor time here as well.
    assert any(seconds(800) < 16 * few for _ in range(3)), few


def test_a_thread_of_its_own_can_record() -> None:
    from espalier.engine.record import record

    found: list[Any] = []
    thread = threading.Thread(
        target=lambda: found.append(record(Program(lambda: pulumi.export("a", 1), "demo", "test")))
    )
    thread.start()
    thread.join(120)
    assert found[0].outputs == {"a": 1}
