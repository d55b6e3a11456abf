"""A stack of some 150 mixed objects in variants, and what has to be true of the cluster after an `up`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pulumi

from espalier.engine import holder
from espalier.engine.changes import UpResult
from espalier.engine.errors import EngineError
from espalier.engine.inventory import Inventory
from espalier.engine.program import Program
from espalier.engine.up import up
from espalier.kube import ApiError, Client, Kind, KubeError, Reference

PROJECT = "faults"
LABEL = "faults.espalier.dev/stack"
LOGICAL = "faults.espalier.dev/object"
SIZE = 14
GATE = "gate"
NAMESPACE = Kind("v1", "Namespace")
CONFIG_MAP = Kind("v1", "ConfigMap")
DEFINITION = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
MODULES = {"v1": "core/v1"}
UNWRITTEN = ("not in the inventory", "the inventory has another uid")
"""How those problems begin that a run which ended in order leaves none of."""


@dataclass(frozen=True)
class Item:
    """One object of the program."""

    logical: str
    kind: Kind
    body: dict[str, Any]
    after: tuple[str, ...] = ()
    """Logical names of what it depends on."""
    named: bool = True
    """False for an object whose name the engine makes up."""
    reads: str = ""
    """The logical name of an object whose live UID goes into `data.of`."""
    inside: bool = True
    """Whether it lives in the stack's namespace."""


def items(stack: str, variant: str, size: int = SIZE) -> list[Item]:
    """The program of a variant: a third is the same in all, a third changes, a third is the variant's own.

    It has some 6 objects times `size`. The variant `gated` waits for something that only the test does
    (`open_gate`), with one object after it.
    """
    found = [Item(stack, NAMESPACE, {}, inside=False), _definition(stack)]
    for index in range(size):
        found += _third(f"same-{index:02}", "fixed", index, stack)
        found += _third(f"edit-{index:02}", variant, index, stack)
        found += _third(f"{variant}-{index:02}", "own", index, stack)
    if variant == "gated":
        gate = {"metadata": {"annotations": {"pulumi.com/waitFor": "jsonpath={.data.open}=yes"}}}
        found += [Item(GATE, CONFIG_MAP, gate), Item("behind", CONFIG_MAP, {}, after=(GATE,))]
    return [item for item in found if item.kind != _custom(stack) or item.logical.startswith(("same", variant))]


def _custom(stack: str) -> Kind:
    return Kind(f"{stack}.espalier.dev/v1", "Thing")


def _definition(stack: str) -> Item:
    group = f"{stack}.espalier.dev"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    body = {
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        }
    }
    return Item(f"things.{group}", DEFINITION, body, inside=False)


def _third(name: str, value: str, index: int, stack: str) -> list[Item]:
    """Two objects, of kinds that take turns, the second after the first; some wait, some are named by the engine."""
    first = Item(f"{name}-x", CONFIG_MAP, {"data": {"value": value}}, named=index % 4 != 0)
    label = {"app": name}
    container = {"name": "c", "image": "registry.k8s.io/pause:3.10.1"}
    template = {"metadata": {"labels": label}, "spec": {"containers": [container]}}
    turns = [
        Item(f"{name}-y", Kind("v1", "Secret"), {"stringData": {"value": f"{value}-secret"}}),
        Item(f"{name}-y", Kind("v1", "Service"), {"spec": {"clusterIP": "None", "selector": {"app": value}}}),
        Item(
            f"{name}-y",
            Kind("apps/v1", "Deployment"),
            {
                "spec": {
                    "replicas": 0,
                    "paused": False,
                    "minReadySeconds": len(value),
                    "selector": {"matchLabels": label},
                    "template": template,
                }
            },
        ),
        Item(f"{name}-y", CONFIG_MAP, {"data": {"value": value}}, reads=first.logical, named=False),
        Item(
            f"{name}-y",
            Kind("rbac.authorization.k8s.io/v1", "Role"),
            {"rules": [{"apiGroups": [""], "resources": ["pods"], "resourceNames": [value], "verbs": ["get"]}]},
        ),
        Item(f"{name}-y", _custom(stack), {"spec": {"value": value}}, after=(f"things.{stack}.espalier.dev",)),
    ]
    second = turns[index % len(turns)]
    return [first, replace(second, after=(*second.after, first.logical))]


def program(stack: str, variant: str, size: int = SIZE) -> Program:
    """The Pulumi program of a variant."""

    return Program(lambda: register(stack, variant, size), PROJECT, stack)


def register(stack: str, variant: str, size: int = SIZE) -> None:
    """What the program itself does."""
    made: dict[str, pulumi.CustomResource] = {}
    for item in items(stack, variant, size):
        made[item.logical] = _register(item, stack, made)


def _register(item: Item, stack: str, made: dict[str, pulumi.CustomResource]) -> pulumi.CustomResource:
    body: dict[str, Any] = {**item.body, "metadata": metadata_of(item, stack)}
    if item.reads:
        # Every resource has a property for each of its inputs.
        uid = pulumi.Output.from_input(made[item.reads].metadata)["uid"]  # pyright: ignore[reportAttributeAccessIssue]
        body["data"] = {**body["data"], "of": uid}
    after = [made[name] for name in item.after] + ([made[stack]] if item.inside else [])
    module = MODULES.get(item.kind.api_version, item.kind.api_version)
    token = f"kubernetes:{module}:{item.kind.kind}"
    body |= {"apiVersion": item.kind.api_version, "kind": item.kind.kind}
    return pulumi.CustomResource(token, item.logical, body, pulumi.ResourceOptions(depends_on=after))


def metadata_of(item: Item, stack: str) -> dict[str, Any]:
    """What the program says of an object's metadata."""
    found: dict[str, Any] = {**item.body.get("metadata", {}), "labels": {LABEL: stack, LOGICAL: item.logical}}
    if item.named:
        found["name"] = item.logical
    if item.inside:
        found["namespace"] = stack
    return found


KINDS = sorted({item.kind for item in items("x", "a")} - {_custom("x")})


def live(client: Client, stack: str) -> list[dict[str, Any]]:
    """All objects in the cluster that bear the stack's label."""
    found: list[dict[str, Any]] = []
    for kind in [*KINDS, _custom(stack)]:
        try:
            found += client.list(kind, labelSelector=f"{LABEL}={stack}")
        except ApiError as error:
            # The stack's own definition is gone, or not there yet.
            if error.status != 404:
                raise
    return found


def wrongs(client: Client, stack: str, wanted: list[Item]) -> list[str]:
    """What of the cluster is not as the program says: missing, twice, different, left over, or not in the inventory."""
    found = live(client, stack)
    by_logical: dict[str, list[dict[str, Any]]] = {}
    for obj in found:
        by_logical.setdefault(obj["metadata"]["labels"][LOGICAL], []).append(obj)
    problems = [f"left over: {name}" for name in sorted(by_logical.keys() - {item.logical for item in wanted})]
    for item in wanted:
        here = by_logical.get(item.logical, [])
        if len(here) != 1:
            problems.append(f"{item.logical} is there {len(here)} times")
        else:
            problems += _differences(item, here[0], by_logical)
    return problems + _inventory_wrongs(client, stack, found)


def _differences(item: Item, obj: dict[str, Any], by_logical: dict[str, list[dict[str, Any]]]) -> list[str]:
    if obj["kind"] != item.kind.kind or "deletionTimestamp" in obj["metadata"]:
        return [f"{item.logical} is a {obj['kind']} or is going away"]
    body = dict(item.body)
    if item.reads:
        body["data"] = {**body["data"], "of": by_logical[item.reads][0]["metadata"]["uid"]}
    body.pop("stringData", None)
    return [] if _within(body, obj) else [f"{item.logical} is not as the program says: {obj}"]


def _within(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(_within(part, value.get(key)) for key, part in wanted.items() if part)
    if isinstance(wanted, list):
        return isinstance(value, list) and all(_within(*pair) for pair in zip(wanted, value, strict=True))
    return wanted == value


def _inventory_wrongs(client: Client, stack: str, found: list[dict[str, Any]]) -> list[str]:
    entries = Inventory.load(client, PROJECT, stack).entries
    lives = {_key(obj): obj["metadata"]["uid"] for obj in found}
    unknown, another = UNWRITTEN
    problems = [f"{unknown}: {key}" for key in sorted(lives.keys() - entries.keys())]
    problems += [f"only in the inventory: {key}" for key in sorted(entries.keys() - lives.keys())]
    return problems + [
        f"{another}: {key}" for key, uid in sorted(lives.items()) if key in entries and entries[key].uid != uid
    ]


def _key(obj: dict[str, Any]) -> tuple[str, str, str, str]:
    metadata = obj["metadata"]
    return Reference(Kind(obj["apiVersion"], obj["kind"]), metadata.get("namespace") or "", metadata["name"]).key


def up_in_child(stack: str, variant: str, size: int, kubeconfig: Path, log: Path, start: Any = None) -> None:
    """What a process of its own does; `start` is a barrier at which it waits for others."""
    with log.open("w", buffering=1) as file:
        if start is not None:
            start.wait()
        try:
            up(program(stack, variant, size), connection=kubeconfig, progress=lambda line: print(line, file=file))
        except (EngineError, KubeError) as error:
            print(f"{type(error).__name__}: {error}", file=file)
            sys.exit(1)
        print("ended", file=file)


def up_elsewhere(hours: float, *arguments: Any) -> None:
    """`up_in_child` as if on another machine, whose clock is ahead by so many hours."""
    real = time.time

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(hours=hours)

    time.time = lambda: real() + hours * 3600
    modules: list[Any] = [module for name, module in sys.modules.items() if name.startswith("espalier.")]
    for module in modules:
        if getattr(module, "datetime", None) is datetime:
            module.datetime = Shifted
    setattr(holder, "_machine", lambda: "another machine")  # noqa: B010 - private to its module
    up_in_child(*arguments)


def open_gate(client: Client, stack: str) -> None:
    """Does what the variant `gated` waits for."""
    client.patch(CONFIG_MAP, GATE, {"data": {"open": "yes"}}, namespace=stack)


def ops(result: UpResult) -> dict[str, int]:
    """How many changes of each kind an `up` made."""
    counts: dict[str, int] = {}
    for change in result.changes:
        counts[change.op] = counts.get(change.op, 0) + 1
    return counts
