"""Resource options: aliases resolved as Pulumi's engine does, paths, and fields that are left to others."""

from __future__ import annotations

import io
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from rich.console import Console

from espalier.engine.ignoring import NOTHING, keep_live
from espalier.engine.inventory import Entry
from espalier.engine.model import Resource
from espalier.engine.ownership import field_marks, owned_digest, owned_fields, was_ours
from espalier.engine.paths import parse
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.engine.secrecy import hidden
from espalier.engine.target import Target
from espalier.engine.values import Secret
from espalier.kube import Kind, Reference
from espalier.report.terminal import show_changes


def former(body: Any) -> dict[str, list[str]]:
    """The former URNs by logical name, without what all URNs begin with."""
    resources: tuple[Resource, ...] = record(Program(body, "demo", "test")).resources
    return {
        resource.name: [urn.removeprefix("urn:pulumi:test::demo::") for urn in resource.former]
        for resource in resources
        if resource.former
    }


class Box(pulumi.ComponentResource):
    def __init__(self, name: str, type_: str = "my:index:Box", **options: Any) -> None:
        super().__init__(type_, name, {}, pulumi.ResourceOptions(**options))


def config_map(name: str, **options: Any) -> pulumi.CustomResource:
    return pulumi.CustomResource("kubernetes:core/v1:ConfigMap", name, {}, pulumi.ResourceOptions(**options))


CM = "kubernetes:core/v1:ConfigMap"


def test_an_alias_may_name_any_part_of_the_old_urn() -> None:
    def body() -> None:
        box = Box("box")
        config_map("a", parent=box, aliases=[pulumi.Alias(name="old")])
        config_map("b", parent=box, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)])
        config_map("c", parent=box, aliases=[pulumi.Alias(type_="my:index:Old"), pulumi.Alias(project="p", stack="s")])
        config_map("d", aliases=[pulumi.Alias(parent=box), f"urn:pulumi:test::demo::{CM}::plain"])

    assert former(body) == {
        "a": [f"my:index:Box${CM}::old"],
        "b": [f"{CM}::b"],
        "c": ["my:index:Box$my:index:Old::c", f"urn:pulumi:s::p::my:index:Box${CM}::c"],
        "d": [f"my:index:Box${CM}::d", f"{CM}::plain"],
    }


def test_children_inherit_the_aliases_of_all_above_and_their_names_follow() -> None:
    def body() -> None:
        outer = Box("new", aliases=[pulumi.Alias(name="old")])
        inner = Box("new-in", "my:index:In", parent=outer)
        config_map("new-in-data", parent=inner)
        config_map("other", parent=inner, aliases=[pulumi.Alias(name="another")])

    assert former(body) == {
        "new": ["my:index:Box::old"],
        "new-in": ["my:index:Box$my:index:In::old-in"],
        "new-in-data": [f"my:index:Box$my:index:In${CM}::old-in-data"],
        "other": [f"my:index:Box$my:index:In${CM}::another"],
    }


def test_a_component_that_was_retyped_is_followed_by_its_children() -> None:
    def body() -> None:
        box = Box("box", aliases=[pulumi.Alias(type_="my:index:Case")])
        config_map("box-data", parent=box)

    assert former(body)["box-data"] == [f"my:index:Case${CM}::box-data"]


def test_an_alias_whose_parent_was_renamed_too_finds_the_old_one() -> None:
    def body() -> None:
        box = Box("box", aliases=[pulumi.Alias(type_="my:index:Case")])
        config_map("moved", aliases=[pulumi.Alias(parent=box)])

    assert former(body)["moved"] == [f"my:index:Box${CM}::moved", f"my:index:Case${CM}::moved"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("spec.replicas", ("spec", "replicas")),
        ('metadata.annotations["a.b/c"].x', ("metadata", "annotations", "a.b/c", "x")),
        ('["a \\"b\\""][0][*].*', ('a "b"', 0, "*", "*")),
        ("*", ("*",)),
    ],
)
def test_property_paths_are_read_as_pulumi_writes_them(text: str, path: tuple[Any, ...]) -> None:
    assert parse(text) == path


@pytest.mark.parametrize("text", ["", ".", "a..b", "a[", "a[b]", 'a["b]', "a]", "a[-1]"])
def test_what_is_no_property_path_says_what_is_accepted(text: str) -> None:
    with pytest.raises(ValueError, match="is no property path; a path such as"):
        parse(text)


def live(value: Any, fields: dict[str, Any]) -> dict[str, Any]:
    entry = {"manager": "espalier", "operation": "Apply", "fieldsV1": fields}
    return {"metadata": {"name": "x", "managedFields": [entry]}, **value}


def kept(manifest: dict[str, Any], now: dict[str, Any], *paths: str) -> dict[str, Any]:
    whole = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}, **manifest}
    fields = owned_fields(now) or NOTHING
    result = keep_live(whole, now, fields, tuple(parse(path) for path in paths))
    assert {key: result.pop(key) for key in ("apiVersion", "kind", "metadata")} == {
        "apiVersion": "v1",
        "kind": "Thing",
        "metadata": {"name": "x"},
    }
    return result


PORTS = {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}}}}}
TWO = {"spec": {"ports": [{"port": 90, "name": "theirs"}, {"port": 80, "protocol": "TCP", "name": "live", "x": 1}]}}


def test_ignored_fields_get_the_live_value_as_far_as_they_are_ours() -> None:
    wanted = {"spec": {"ports": [{"port": 80, "name": "ours", "x": 2}]}}
    assert kept(wanted, live(TWO, PORTS), "spec.ports[0].name") == {
        "spec": {"ports": [{"port": 80, "name": "live", "x": 2}]}
    }
    # What is not ours is left to its owner.
    assert kept(wanted, live(TWO, PORTS), "spec.ports[*].x") == {"spec": {"ports": [{"port": 80, "name": "ours"}]}}
    whole = {"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "live"}]}}
    assert kept(wanted, live(TWO, PORTS), "spec.ports") == whole
    assert kept({}, live(TWO, PORTS), "*") == whole
    assert kept(wanted, live(TWO, {}), "*") == {}


def test_an_item_that_is_new_keeps_the_programs_value() -> None:
    wanted = {"spec": {"ports": [{"port": 99, "name": "new"}]}}
    assert kept(wanted, live(TWO, PORTS), "spec.ports[0].name") == wanted


def test_lists_that_are_owned_as_a_whole_go_by_their_places() -> None:
    now = live({"spec": {"args": ["a", "b"]}}, {"f:spec": {"f:args": {}}})
    assert kept({"spec": {"args": ["x", "y"]}}, now, "spec.args[1]") == {"spec": {"args": ["x", "b"]}}
    manifest = {"spec": {"args": ["x", "y"]}}
    other = live({"spec": {"args": ["a", "c"]}}, {"f:spec": {"f:args": {}}})
    second, first = (parse("spec.args[1]"),), (parse("spec.args[0]"),)
    assert owned_digest(now, manifest, second) == owned_digest(other, manifest, second)
    assert owned_digest(now, manifest, first) != owned_digest(other, manifest, first)


def test_live_values_of_secret_inputs_stay_secret() -> None:
    now = live({"data": {"a": "new"}}, {"f:data": {"f:a": {}}})
    assert kept({"data": {"a": Secret("old")}}, now, "data.a") == {"data": {"a": Secret("new")}}
    assert kept({"data": Secret({"a": "old"})}, now, "data") == {"data": Secret({"a": "new"})}


def test_marks_tell_which_fields_were_ours() -> None:
    fields = {"f:data": {".": {}, "f:a.b/c": {}}, "f:metadata": {"f:finalizers": {'v:"x"': {}}}, **PORTS}
    marks = field_marks(live({}, fields))
    ours = [".data", ".data.a.b/c", '.metadata.finalizers[="x"]', '.spec.ports[port=80,protocol="TCP"].name']
    assert all(was_ours(field, marks) for field in ours)
    assert not any(was_ours(field, marks) for field in (".data.a", ".spec", '.spec.ports[port=80,protocol="UDP"].name'))
    assert not was_ours(".data", "")


def target(value: Any, kind: str = "ConfigMap") -> Any:
    manifest = {"apiVersion": "v1", "kind": kind, "data": value}
    resource: Any = None
    cluster: Any = None
    named: dict[str, Any] = {"kind": Kind("v1", kind), "reference": None, "desired": ""}
    return Target(resource=resource, cluster=cluster, manifest=manifest, **named)


OBSERVED = {"uid", "desired", "live", "fields"}
"""What an entry has of the cluster and of the last run; all else it has of the program."""


@pytest.mark.parametrize("mark", [field.name for field in fields(Entry) if field.name not in OBSERVED])
def test_an_entry_is_written_anew_when_the_program_changes_a_mark_of_it(mark: str) -> None:
    resource: Any = SimpleNamespace(urn="urn", dependencies=("urn of another",), options={"protect": True})
    made = replace(target({}), resource=resource, reference=Reference(Kind("v1", "ConfigMap"), "a", "b"))
    entry = made.entry(uid="u", desired="d", live="l", fields="f")
    assert made.is_marked(entry)
    assert not made.is_marked(replace(entry, **{mark: "another"}))
    assert made.same_entry(replace(entry, **{mark: "another"})) == entry


@pytest.mark.parametrize("quoted", ['say "no"', 'say \\"no\\"', "c2F5ICJubyI="])
def test_secrets_are_hidden_in_every_form_that_a_refusal_may_quote(quoted: str) -> None:
    for made in (target({"k": Secret('say "no"')}), target({"k": 'say "no"'}, "Secret")):
        assert hidden(made, f"invalid value: {quoted}!") == "invalid value: (secret)!"
    assert quoted in hidden(target({"k": 'say "no"'}), f"invalid value: {quoted}!")


def test_people_are_told_who_changed_what_and_what_goes_first() -> None:
    console = Console(file=io.StringIO(), width=200)
    change: Any = {"urn": "urn:pulumi:s::p::kubernetes:core/v1:ConfigMap::c", "op": "replace", "fields": ["data"]}
    document: Any = {"changes": [change], "waves": []}
    show_changes(console, document, notes={change["urn"]: ("ConfigMap x/c [1] is deleted first",)})
    assert isinstance(console.file, io.StringIO)
    assert "replace  c" in console.file.getvalue()
    assert "ConfigMap x/c [1] is deleted first" in console.file.getvalue()
