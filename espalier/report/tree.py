"""A plan's resources by parent, flattened for a template, with their inputs as YAML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from espalier.report.documents import ResourceEntry

ALL_MANIFESTS = 1_000_000
"""Characters of YAML in one page; about 1,000 objects and two seconds. It bounds the page, too."""
ONE_MANIFEST = 100_000
"""Characters of YAML for one object; some CustomResourceDefinitions are ten times that."""

_SECRET_FIELDS = ("data", "stringData")


@dataclass(frozen=True, slots=True)
class Node:
    """A resource in depth-first order. `manifest` is "" where there are no inputs and None where it was left out.

    `closes` says how many lists of children end after it.
    """

    name: str
    kind: str
    depth: int
    children: int
    manifest: str | None
    closes: int = 0


def tree(resources: Sequence[ResourceEntry], all_manifests: int = ALL_MANIFESTS) -> list[Node]:
    """Every resource once, parents before their children, siblings in the document's order.

    Manifests are kept in this order until `all_manifests` characters are used up.
    """
    left = all_manifests
    nodes: list[Node] = []
    for resource, depth, children in _walk(resources):
        manifest = manifest_of(resource) if left > 0 or not resource["inputs"] else None
        if manifest is not None and len(manifest) > min(left, ONE_MANIFEST):
            left = left if len(manifest) > ONE_MANIFEST else 0
            manifest = None
        left -= len(manifest or "")
        nodes.append(Node(resource["name"], _kind(resource["type"]), depth, children, manifest))
    depths = [*(node.depth for node in nodes[1:]), 0]
    return [replace(node, closes=max(0, node.depth - after)) for node, after in zip(nodes, depths, strict=False)]


def _walk(resources: Sequence[ResourceEntry]) -> Iterator[tuple[ResourceEntry, int, int]]:
    """Each resource with its depth and its number of children; one whose parent is not there is a root."""
    present = {resource["urn"] for resource in resources}
    children: dict[str, list[ResourceEntry]] = {}
    for resource in resources:
        parent = resource["parent"] if resource["parent"] in present else ""
        children.setdefault(parent, []).append(resource)
    waiting = [(resource, 0) for resource in reversed(children.get("", []))]
    while waiting:
        resource, depth = waiting.pop()
        own = children.get(resource["urn"], [])
        yield resource, depth, len(own)
        waiting.extend((child, depth + 1) for child in reversed(own))


def _kind(type_: str) -> str:
    """The last part of a type token, which is the kind of a Kubernetes object."""
    name = type_.rpartition(":")[2]
    return f"{name} provider" if type_.startswith("pulumi:providers:") else name


def manifest_of(resource: ResourceEntry) -> str:
    """The inputs as YAML, "" for none; unknown values read `unknown`, secret ones `secret`.

    So does all that a Secret holds, marked or not.
    """
    inputs = dict(resource["inputs"])
    if inputs.get("kind") == "Secret":
        inputs |= {field: _masked(inputs[field]) for field in _SECRET_FIELDS if field in inputs}
    if not inputs:
        return ""
    return yaml.dump(plain(inputs), Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=100)


def _masked(values: Any) -> Any:
    return dict.fromkeys(values, "secret") if isinstance(values, dict) and "$secret" not in values else "secret"


def plain(value: Any) -> Any:
    """A JSON value with the plan's markers replaced by the words for them."""
    if isinstance(value, dict):
        if value == {"$unknown": True}:
            return "unknown"
        if value == {"$secret": True}:
            return "secret"
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


class _Dumper(yaml.SafeDumper):
    """Writes several lines as a block. Not libyaml's: it is not everywhere, and escapes characters that this keeps."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
