"""Objects that are laid down past the SDK: recorded and applied as if all of them had been registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.components.objects import register
from espalier.engine.model import Recording, Resource
from espalier.engine.monitor import Answer, Engine, Monitor
from espalier.engine.program import Program, run
from espalier.engine.record import record
from espalier.engine.shelf import WORD, shelved
from espalier.types import Planned

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.just(3.0)
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


def definition(**rest: Any) -> dict[str, Any]:
    named = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**named, "metadata": {"name": "foos.example.com", "labels": {"a": "b"}}, **rest}


def recorded(planned: tuple[Planned, ...], *, shelf: bool) -> Recording:
    return record(Program(lambda: put(planned), "demo", "test", asks_nothing=shelf))


def put(planned: tuple[Planned, ...]) -> dict[str, pulumi.CustomResource]:
    return register(pulumi.ComponentResource("x:index:Group", "group"), "group", planned)


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.sampled_from(("spec", "extra", "more")), JSON))
def test_what_is_laid_down_is_recorded_as_the_sdk_would_have_sent_it(rest: Mapping[str, Any]) -> None:
    objects = (Planned("foos", definition(**rest)), Planned("later", definition(spec={"x": 1}), ("foos",)))
    ways = [recorded(objects, shelf=shelf) for shelf in (True, False)]
    assert ways[0].to_json() == ways[1].to_json()
    assert repr(ways[0].to_json()) == repr(ways[1].to_json())  # 1 is not 1.0, and the order of keys is the same


def test_of_a_definition_the_sdk_gets_the_name_alone_and_of_all_else_everything() -> None:
    sent: dict[str, set[str]] = {}

    def program() -> None:
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "r"},
            "rules": [],
        }
        for suffix, made in put((Planned("foos", definition(spec={"x": 1})), Planned("role", role))).items():
            sent[suffix] = {"spec", "rules", "metadata", WORD} & set(vars(made))

    record(Program(program, "demo", "test", asks_nothing=True))
    assert sent == {"foos": {"metadata", WORD}, "role": {"metadata", "rules"}}
    record(Program(program, "demo", "test"))
    assert sent["foos"] == {"metadata", "spec"}


def test_a_program_of_ones_own_transforms_definitions_too() -> None:
    def kept(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if "spec" not in args.props:
            return None
        props: dict[str, Any] = dict(args.props)
        return pulumi.ResourceTransformationResult({**props, "spec": {**props["spec"], "y": 2}}, args.opts)

    def program() -> None:
        group = pulumi.ComponentResource("x:index:Group", "group", None, pulumi.ResourceOptions(transformations=[kept]))
        register(group, "group", [Planned("foos", definition(spec={"x": 1}))])

    by_name = {resource.name: resource for resource in record(Program(program, "demo", "test")).resources}
    assert by_name["group-foos"].inputs["spec"] == {"x": 1, "y": 2}


class Live:
    """A backend that gives back more than was sent, as an API server does."""

    def __init__(self) -> None:
        self.got: list[Resource] = []

    def register(self, resource: Resource) -> Answer:
        self.got.append(resource)
        return Answer("id", {**resource.inputs, "metadata": {**resource.inputs["metadata"], "uid": "1"}, "status": {}})


def test_an_apply_gets_the_whole_object_and_the_program_its_name() -> None:
    live, uids = Live(), list[str]()

    def program() -> None:
        made = put((Planned("foos", definition(spec={"x": 1})),))["foos"]
        vars(made)["metadata"].apply(lambda metadata: uids.append(metadata["uid"]))

    given = Program(program, "demo", "test", asks_nothing=True)
    run(given, Monitor("demo", "test", live), Engine(), dry_run=False)
    assert [resource.inputs for resource in live.got] == [definition(spec={"x": 1})]
    assert uids == ["1"]


def test_without_a_shelf_all_is_registered() -> None:
    assert shelved(definition(spec={"x": 1})) == definition(spec={"x": 1})
