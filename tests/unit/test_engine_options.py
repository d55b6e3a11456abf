"""Resource options: aliases resolved as Pulumi's engine does, paths, and fields that are left to others."""

from __future__ import annotations

from typing import Any

import pulumi

from espalier.engine.model import Resource
from espalier.engine.program import Program
from espalier.engine.record import record


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
