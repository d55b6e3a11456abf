"""A recording: what a program registers, as Pulumi's own engine would see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from espalier.engine.errors import ProgramError
from espalier.engine.model import Recording, Resource
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.engine.values import UNKNOWN, Secret

HEADER = """
import pulumi

def obj(kind, name, manifest, **opts):
    manifest = {"metadata": {"name": name}, **manifest}
    return pulumi.CustomResource(f"kubernetes:core/v1:{kind}", name, manifest, pulumi.ResourceOptions(**opts))
"""


def recorded(folder: Path, body: str, **config: str) -> Recording:
    (folder / "__main__.py").write_text(HEADER + body)
    full = {f"demo:{key}": value for key, value in config.items()}
    return record(Program(folder, "demo", "test", full))


def by_name(recording: Recording) -> dict[str, Resource]:
    return {resource.name: resource for resource in recording.resources}


NESTED = """
class Inner(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("x:index:Inner", name, {}, opts)
        self.ns = obj("Namespace", name + "-ns", {}, parent=self)
        obj("ConfigMap", name + "-cm", {"data": {"uid": self.ns.metadata["uid"], "in": self.ns.metadata["name"]}},
            parent=self, protect=True)
        self.register_outputs({"facts": {"namespaces": [self.ns.metadata["name"]]}})

class Outer(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("x:index:Outer", name, {}, opts)
        self.inner = Inner(name + "-in", pulumi.ResourceOptions(parent=self))
        self.register_outputs({})

cluster = pulumi.ProviderResource("kubernetes", "cluster", {"kubeconfig": "~/.kube/config"})
outer = Outer("a", pulumi.ResourceOptions(providers=[cluster]))
pulumi.export("where", outer.inner.ns.id)
pulumi.export("uid", outer.inner.ns.metadata["uid"])
"""


def test_urns_hold_every_level_of_components(tmp_path: Path) -> None:
    found = by_name(recorded(tmp_path, NESTED))
    assert found["a-in-cm"].urn == (
        "urn:pulumi:test::demo::x:index:Outer$x:index:Inner$kubernetes:core/v1:ConfigMap::a-in-cm"
    )
    assert found["a-in-cm"].parent == found["a-in"].urn
    assert found["a-in-cm"].provider.endswith("pulumi:providers:kubernetes::cluster")


def test_dependencies_come_from_outputs(tmp_path: Path) -> None:
    found = by_name(recorded(tmp_path, NESTED))
    assert found["a-in-cm"].dependencies == (found["a-in-ns"].urn,)
    assert found["a-in-cm"].property_dependencies == {"data": (found["a-in-ns"].urn,)}


def test_what_the_cluster_fills_in_is_unknown_and_names_are_known(tmp_path: Path) -> None:
    recording = recorded(tmp_path, NESTED)
    assert by_name(recording)["a-in-cm"].inputs["data"] == {"uid": UNKNOWN, "in": "a-in-ns"}
    assert recording.outputs == {"where": "a-in-ns", "uid": UNKNOWN}
    assert recording.to_json()["outputs"]["uid"] == {"$unknown": True}


def test_a_components_outputs_are_kept_for_policies(tmp_path: Path) -> None:
    assert by_name(recorded(tmp_path, NESTED))["a-in"].outputs == {"facts": {"namespaces": ["a-in-ns"]}}


def test_typed_classes_give_none_as_unknown(tmp_path: Path) -> None:
    body = """
from pulumi_kubernetes.core.v1 import ConfigMap, Service
svc = Service("web", metadata={"name": "web"}, spec={"ports": [{"port": 80, "target_port": 8080}]})
ConfigMap("seen", metadata={"name": "seen"}, data={"ip": svc.spec.cluster_ip, "uid": svc.metadata.uid,
          "status": svc.status.load_balancer.ingress[0].ip, "ns": svc.metadata.namespace})
"""
    found = by_name(recorded(tmp_path, body))
    assert found["web"].inputs["spec"] == {"ports": [{"port": 80, "targetPort": 8080}]}
    assert isinstance(found["web"].inputs["spec"]["ports"][0]["port"], int)
    assert found["seen"].inputs["data"] == {"ip": UNKNOWN, "uid": UNKNOWN, "status": UNKNOWN, "ns": "default"}


def test_secrets_stay_marked_and_unseen(tmp_path: Path) -> None:
    body = """
token = pulumi.Output.secret("canary-7")
obj("Secret", "s", {"stringData": {"token": token}})
plain = obj("Secret", "live", {"stringData": {"token": "canary-7"}})
obj("ConfigMap", "reader", {"data": {"copy": plain.stringData["token"]}})
pulumi.export("token", pulumi.Config().require_secret("key"))
"""
    (tmp_path / "__main__.py").write_text(HEADER + body)
    program = Program(tmp_path, "demo", "test", {"demo:key": "canary-7"}, frozenset({"demo:key"}))
    recording = record(program)
    found = by_name(recording)
    assert found["s"].inputs["stringData"]["token"] == Secret("canary-7")
    assert found["reader"].inputs["data"]["copy"] == Secret("canary-7")
    assert recording.outputs == {"token": Secret("canary-7")}
    for view in (repr(found["s"]), str(recording.outputs), repr(program), json.dumps(found["s"].to_json())):
        assert "canary-7" not in view


def test_two_runs_are_equal_to_the_byte(tmp_path: Path) -> None:
    body = """
last = [obj("ConfigMap", f"c{i}", {}) for i in range(60)]
for i in range(60):
    obj("ConfigMap", f"d{i}", {}, depends_on=last[i % 7:])
"""
    first = json.dumps(recorded(tmp_path, body).to_json())
    assert first == json.dumps(recorded(tmp_path, body).to_json())


def test_modules_of_the_program_register_in_each_run(tmp_path: Path) -> None:
    (tmp_path / "helper_of_program.py").write_text(HEADER + 'obj("Namespace", "imported", {})')
    for _ in range(2):
        recording = recorded(tmp_path, "import helper_of_program")
        assert "imported" in by_name(recording)


def test_options_are_recorded_by_their_names_in_the_protocol(tmp_path: Path) -> None:
    body = """
first = obj("ConfigMap", "first", {})
obj("ConfigMap", "all", {}, protect=True, retain_on_delete=True, ignore_changes=["data"],
    aliases=[pulumi.Alias(name="old")], deleted_with=first, replace_on_changes=["data"],
    delete_before_replace=True, custom_timeouts=pulumi.CustomTimeouts(create="5m"),
    additional_secret_outputs=["data"], version="4.0.0", import_="default/all")
"""
    found = by_name(recorded(tmp_path, body))
    assert found["first"].options == {}
    assert found["all"].options == {
        "protect": True,
        "retainOnDelete": True,
        "ignoreChanges": ["data"],
        "aliases": [{"name": "old"}],
        "deletedWith": found["first"].urn,
        "replaceOnChanges": ["data"],
        "deleteBeforeReplace": True,
        "customTimeouts": {"create": "5m"},
        "additionalSecretOutputs": ["data"],
        "version": "4.0.0",
        "import": "default/all",
    }


@pytest.mark.parametrize(
    ("body", "said", "detail"),
    [
        ("raise pulumi.RunError('settings: two mistakes')", "settings: two mistakes", ""),
        ("1 / 0", "the program raised ZeroDivisionError: division by zero", "1 / 0"),
        ("raise SystemExit(3)", "exit code 3", ""),
        ("import nowhere_to_be_found", "nowhere_to_be_found", "import nowhere_to_be_found"),
        ("x = (", "SyntaxError", "__main__.py"),
        ("obj('ConfigMap', 'a', {}).id.apply(lambda _: {}['k'])", "KeyError", "lambda"),
        ("obj('ConfigMap', 'a', {}); obj('ConfigMap', 'a', {})", "registered twice", ""),
        ("pulumi.StackReference('other')", "the outputs of another stack, other", ""),
        ("pulumi.runtime.invoke('aws:index:getRegion', {})", "aws:index:getRegion", ""),
        (
            "from pulumi_kubernetes.yaml.v2 import ConfigGroup\nConfigGroup('g', files=['*.yaml'])",
            "kubernetes:yaml/v2:ConfigGroup is built by a plugin",
            "",
        ),
        (
            "obj('ConfigMap', 'a', {}, transforms=[lambda args: None])\npulumi.StackReference('other')",
            "another stack",
            "",
        ),
    ],
)
def test_a_program_that_fails_says_why_and_nothing_more(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], body: str, said: str, detail: str
) -> None:
    with pytest.raises(ProgramError) as caught:
        recorded(tmp_path, body)
    assert said in str(caught.value)
    assert detail in caught.value.detail
    assert "espalier/engine" not in caught.value.detail
    assert capfd.readouterr() == ("", "")


def test_every_refusal_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ProgramError) as caught:
        recorded(tmp_path, "pulumi.StackReference('one')\npulumi.StackReference('two')")
    assert [problem.urn.rpartition("::")[2] for problem in caught.value.problems] == ["one", "two"]


def test_logs_are_kept_and_prints_leave_stdout_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = recorded(tmp_path, "pulumi.log.warn('mind the gap')\nprint('loud')")
    assert [(log.severity, log.message) for log in recording.logs] == [("warning", "mind the gap")]
    assert capsys.readouterr() == ("", "loud\n")


def test_a_function_is_a_program_too() -> None:
    import pulumi

    def body() -> None:
        pulumi.export("stack", f"{pulumi.get_project()}/{pulumi.get_stack()}")

    assert record(Program(body, "demo", "test")).outputs == {"stack": "demo/test"}


def test_a_missing_name_is_filled_in_and_stays_the_same(tmp_path: Path) -> None:
    body = """
cm = pulumi.CustomResource("kubernetes:core/v1:ConfigMap", "Some_Thing", {"data": {}, "metadata": None})
pulumi.export("id", cm.id)
"""
    outputs: Any = recorded(tmp_path, body).outputs
    assert outputs == recorded(tmp_path, body).outputs
    assert outputs["id"].startswith("default/some-thing-")
