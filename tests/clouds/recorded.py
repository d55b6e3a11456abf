"""Stack files through the real program, with the embedded engine: what would be asked of a cloud, as plain data.

Nothing here has an account: what only a cloud can tell is `UNKNOWN` in the inputs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from espalier.engine.model import STACK_TYPE, Recording, Resource
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.engine.values import reveal
from espalier.settings.load import load_file

ROOT = Path(__file__).parents[2]
STACKS = sorted((ROOT / "stacks").glob("Pulumi.*.yaml"))
CLOUDS = {"aws": "aws:", "gcp": "gcp:", "azure": "azure-native:"}
"""Each cloud, and how the types of its resources begin."""
_STACK = "recorded"


@dataclass(frozen=True)
class Graph:
    """All resources of one run, by their logical names, which are unique in a stack of ours."""

    resources: Mapping[str, Resource]
    recording: Recording

    def of(self, *types: str) -> dict[str, Resource]:
        """Those whose type is one of these, or begins with one that ends in a colon."""
        return {
            name: resource
            for name, resource in self.resources.items()
            if resource.type in types or resource.type.startswith(tuple(type_ for type_ in types if type_[-1] == ":"))
        }

    def inputs(self, name: str) -> dict[str, Any]:
        """Plain values, secrets in plain text; what only the cloud can tell is UNKNOWN."""
        return reveal(dict(self.resources[name].inputs))

    @cached_property
    def needs(self) -> Mapping[str, frozenset[str]]:
        """By each name, what must stand before it: by its inputs, its `depends_on` and its provider."""
        names = {resource.urn: name for name, resource in self.resources.items()}
        return {
            name: frozenset(names[urn] for urn in _urns(resource) if urn in names)
            for name, resource in self.resources.items()
        }

    @cached_property
    def before(self) -> Mapping[str, frozenset[str]]:
        """The same with all that those need: what is made before it, and destroyed after it. Raises on a cycle."""
        order = TopologicalSorter(self.needs).static_order()
        found: dict[str, frozenset[str]] = {}
        for name in order:
            direct = self.needs[name]
            found[name] = direct.union(*(found[other] for other in direct))
        return found


def _urns(resource: Resource) -> set[str]:
    named = (urn for found in resource.property_dependencies.values() for urn in found)
    return {*resource.dependencies, *named, resource.provider}


def recorded(source: str | Path) -> Graph:
    """The graph of a stack file, or of its text. Raises Mistakes for what no blueprint can be built of."""
    return _recorded(source if isinstance(source, str) else str(source.resolve()), text=isinstance(source, str))


@cache
def _recorded(source: str, *, text: bool) -> Graph:
    if not text:
        return _run(Path(source))
    with tempfile.TemporaryDirectory() as folder:
        for base in (ROOT / "stacks").glob("[!P]*.yaml"):
            (Path(folder) / base.name).write_text(base.read_text("utf-8"), "utf-8")
        path = Path(folder) / f"Pulumi.{_STACK}.yaml"
        path.write_text(source, "utf-8")
        return _run(path)


def _run(path: Path) -> Graph:
    file = load_file(path)
    recording = record(Program(ROOT, "espalier", file.name, file.config))
    inside = [resource for resource in recording.resources if resource.type != STACK_TYPE]
    found = {resource.name: resource for resource in inside}
    assert len(found) == len(inside), "two resources of one logical name"
    return Graph(found, recording)
