"""The unmodified program, recorded for every file in stacks/: names for life, options, order, facts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.engine.model import STACK_TYPE, Recording, Resource
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.settings.load import StackFile, load_file
from espalier.types import Planned

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "urns"
STACKS = sorted((ROOT / "stacks").glob("Pulumi.*.yaml"))
NAMES = [path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in STACKS]


@cache
def loaded(stack: str) -> StackFile:
    return load_file(ROOT / "stacks" / f"Pulumi.{stack}.yaml")


@cache
def recorded(stack: str) -> Recording:
    return record(Program(ROOT, "espalier", stack, loaded(stack).config))


@cache
def blueprint(stack: str) -> Blueprint:
    return build(loaded(stack).settings, RECORDS)


def by_urn(recording: Recording) -> dict[str, Resource]:
    return {resource.urn: resource for resource in recording.resources}


def inside(recording: Recording) -> list[Resource]:
    return [resource for resource in recording.resources if resource.type != STACK_TYPE]


def alias_urns(resource: Resource) -> set[str]:
    """The URNs that the resource says it had: whole ones, or its own with another name, type or parent."""
    found: set[str] = set()
    stack, project = resource.urn.split("::")[0], resource.urn.split("::")[1]
    for alias in resource.options.get("aliases", []):  # pyright: ignore
        if isinstance(alias, str):
            found.add(alias)
            continue
        parent = alias.get("parentUrn", resource.parent)
        above = "" if alias.get("noParent") else parent.split("::")[2]
        type_ = alias.get("type", resource.type)
        full = f"{above}${type_}" if above and above != STACK_TYPE else type_
        found.add(f"{stack}::{project}::{full}::{alias.get('name', resource.name)}")
    return found


def vanished(golden: Iterable[str], resources: Iterable[Resource]) -> list[str]:
    """URNs of the golden list that no registered resource has, nor says that it had."""
    resources = list(resources)
    known = {resource.urn for resource in resources}.union(*(alias_urns(resource) for resource in resources))
    return sorted(set(golden) - known)


@pytest.mark.parametrize("stack", NAMES)
def test_no_urn_vanishes_without_an_alias(stack: str, request: pytest.FixtureRequest) -> None:
    """A URN that vanishes is an object deleted and made anew on every cluster that has it."""
    file = GOLDEN / f"{stack}.txt"
    urns = [resource.urn for resource in recorded(stack).resources]
    if request.config.getoption("--update-goldens"):
        file.write_text("".join(f"{urn}\n" for urn in urns), "utf-8")
    golden = file.read_text("utf-8").split() if file.is_file() else []
    lost = vanished(golden, recorded(stack).resources)
    assert not lost, (
        "These URNs are gone: give the renamed resource `aliases=[pulumi.Alias(name=...)]` (or parent=), and only "
        "where the object itself is meant to go, run pytest --update-goldens:\n" + "\n".join(lost)
    )
    assert golden == urns, f"There are new URNs: run pytest --update-goldens and commit {file.relative_to(ROOT)}."


def test_the_alias_rule_takes_an_alias_and_nothing_less() -> None:
    def program(name: str, formerly: str | None = None) -> Recording:
        def run() -> None:
            import pulumi

            class Box(pulumi.ComponentResource):
                pass

            box = Box("x:index:Box", "box")
            manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
            opts = pulumi.ResourceOptions(
                parent=box,
                aliases=[pulumi.Alias(name=formerly)] if formerly else None,
            )
            pulumi.CustomResource("kubernetes:core/v1:ConfigMap", name, manifest, opts)

        return record(Program(run, "demo", "test"))

    old = [resource.urn for resource in program("old").resources]
    (lost,) = vanished(old, program("new").resources)
    assert lost.endswith("::old")
    assert vanished(old, program("new", formerly="old").resources) == []
    assert vanished(old, program("new", formerly="other").resources) == [lost]


@pytest.mark.parametrize("stack", NAMES)
def test_a_recording_is_the_same_in_every_process(stack: str) -> None:
    code = (
        "import json, sys; from pathlib import Path\n"
        "from espalier.engine.program import Program; from espalier.engine.record import record\n"
        "from espalier.settings.load import load_file\n"
        "root, stack = Path(sys.argv[1]), sys.argv[2]\n"
        "file = load_file(root / 'stacks' / f'Pulumi.{stack}.yaml')\n"
        "print(json.dumps(record(Program(root, 'espalier', stack, file.config)).to_json()))\n"
    )
    texts = [json.dumps(recorded(stack).to_json())]
    for seed in ("0", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(ROOT), stack],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        texts.append(done.stdout.strip())
    assert len(set(texts)) == 1
    assert json.dumps(record(Program(ROOT, "espalier", stack, loaded(stack).config)).to_json()) == texts[0]


@pytest.mark.parametrize("stack", NAMES)
def test_children_have_their_parent_and_start_with_its_name(stack: str) -> None:
    found = by_urn(recorded(stack))
    (top,) = [resource for resource in inside(recorded(stack)) if found[resource.parent].type == STACK_TYPE]
    assert (top.type, top.name) == ("espalier:index:Platform", "platform")
    for resource in inside(recorded(stack)):
        if resource is not top:
            assert resource.name.startswith(f"{found[resource.parent].name}-")
            assert not found[resource.parent].custom
        assert stack not in resource.name.split("-")


@pytest.mark.parametrize("stack", NAMES)
def test_every_object_goes_through_the_clusters_provider(stack: str) -> None:
    found = by_urn(recorded(stack))
    (provider,) = [r for r in inside(recorded(stack)) if r.type == "pulumi:providers:kubernetes"]
    assert found[provider.parent].type == f"espalier:index:{cluster_class(stack)}"
    objects = [r for r in inside(recorded(stack)) if r.type.startswith("kubernetes:")]
    assert objects
    assert {resource.provider for resource in objects} == {provider.urn}
    # Without a stable identifier, a changed kubeconfig would replace every object.
    assert provider.inputs["clusterIdentifier"]


def cluster_class(stack: str) -> str:
    return f"{loaded(stack).settings.cluster.kind.capitalize()}Cluster"


def planned_by_name(stack: str) -> dict[str, tuple[str, Planned]]:
    """Registered name -> name of its component, and what the blueprint planned."""
    plan, top = blueprint(stack), "platform"
    parts: list[tuple[str, Iterable[Planned]]] = [(top, plan.objects)]
    parts += [(f"{top}-pool-{pool.name}", (*pool.nodes, *pool.node_pools)) for pool in plan.pools]
    parts += [(f"{top}-{addon.id}", addon.objects) for addon in plan.addons]
    parts += [(f"{top}-tenant-{t.name}", [p for w in t.workspaces for p in w.objects]) for t in plan.tenants]
    return {f"{name}-{item.suffix}": (name, item) for name, items in parts for item in items}


@pytest.mark.parametrize("stack", NAMES)
def test_what_is_planned_is_registered_as_it_is_and_after_what_it_needs(stack: str) -> None:
    found = by_urn(recorded(stack))
    # A cloud's storage classes name what the cloud has made: they are the cluster component's own.
    objects = {
        r.name: r
        for r in inside(recorded(stack))
        if r.type.startswith("kubernetes:") and found[r.parent].type != f"espalier:index:{cluster_class(stack)}"
    }
    planned = planned_by_name(stack)
    assert objects.keys() == planned.keys()
    for name, (component, item) in planned.items():
        assert dict(objects[name].inputs) == json.loads(json.dumps(item.manifest))
        assert found[objects[name].parent].name == component
        assert {found[urn].name for urn in objects[name].dependencies} == {f"{component}-{need}" for need in item.needs}


@pytest.mark.parametrize("stack", NAMES)
def test_every_component_registers_its_outputs(stack: str) -> None:
    components = [r for r in inside(recorded(stack)) if not r.custom]
    kinds = ["Platform", "Tenant", "Addon", cluster_class(stack)] + (["Pool"] if blueprint(stack).cloud is None else [])
    assert {r.type for r in components} >= {f"espalier:index:{kind}" for kind in kinds}
    for resource in components:
        assert resource.outputs, resource.name


@pytest.mark.parametrize("stack", NAMES)
def test_the_outputs_name_what_was_made(stack: str) -> None:
    plan = blueprint(stack)
    expected = {tenant.name: list(tenant.namespaces) for tenant in plan.tenants}
    exports = recorded(stack).outputs
    assert exports["namespaces"] == expected
    parts = {"buckets", "registries", "dns"} if stack.endswith("-prod") else set[str]()
    assert exports.keys() == {"namespaces", *parts} | (
        {"kubeconfig"} if plan.cloud else set()
    )  # `destroy` drains by it
    outputs = {r.name: r.outputs for r in inside(recorded(stack)) if r.type == "espalier:index:Pool"}
    assert outputs == {
        f"platform-pool-{pool.name}": {"nodes": [node.manifest["metadata"]["name"] for node in pool.nodes]}
        for pool in plan.pools
        if not pool.groups
    }


@pytest.mark.parametrize("stack", NAMES)
def test_the_platforms_facts_are_the_blueprints(stack: str) -> None:
    (platform,) = [r for r in inside(recorded(stack)) if r.type == "espalier:index:Platform"]
    assert platform.inputs["facts"] == json.loads(json.dumps(blueprint(stack).policy_facts()))
