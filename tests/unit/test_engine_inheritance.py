"""What a child takes from its parent, as Pulumi's engine gives it (tests/engine holds it against the real one)."""

from __future__ import annotations

import pulumi
import pytest
from pulumi import ResourceOptions

from espalier.engine.program import Program
from espalier.engine.record import record


class Group(pulumi.ComponentResource):
    def __init__(self, name: str, opts: ResourceOptions | None = None) -> None:
        super().__init__("trial:index:Group", name, {}, opts)


class ConfigMap(pulumi.CustomResource):
    def __init__(self, name: str, opts: ResourceOptions | None = None) -> None:
        inputs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
        super().__init__("kubernetes:core/v1:ConfigMap", name, inputs, opts)


def program() -> None:
    first = ConfigMap("first")
    above = ResourceOptions(retain_on_delete=True, protect=True, deleted_with=first)
    group = Group("inner", ResourceOptions(parent=Group("outer", above)))
    ConfigMap("taken", ResourceOptions(parent=group))
    ConfigMap("own", ResourceOptions(parent=group, retain_on_delete=False, protect=False))
    ConfigMap("outside")


@pytest.mark.parametrize(
    ("name", "kept", "protected"), [("taken", True, True), ("own", False, False), ("outside", False, False)]
)
def test_children_take_what_they_leave_open(name: str, kept: bool, protected: bool) -> None:
    resources = record(Program(program, "trial", "dev")).resources
    options = next(resource.options for resource in resources if resource.name == name)
    assert options.get("retainOnDelete", False) is kept
    assert options.get("protect", False) is protected
    assert ("deletedWith" in options) is (name != "outside")
