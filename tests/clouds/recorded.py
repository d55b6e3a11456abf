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
from espalier.engine.monitor import Answer, Engine, Monitor
from espalier.engine.program import Program, run
from espalier.engine.record import Planned, record
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


def recorded(source: str | Path, *, imagined: bool = False) -> Graph:
    """The graph of a stack file, or of its text. Raises Mistakes for what no blueprint can be built of.

    `imagined`: ARNs and ids are made up, so that what is built of them, such as a policy, can be read.
    """
    text = isinstance(source, str)
    return _recorded(source if text else str(source.resolve()), text=text, imagined=imagined)


@cache
def _recorded(source: str, *, text: bool, imagined: bool) -> Graph:
    if not text:
        return _run(Path(source), imagined=imagined)
    with tempfile.TemporaryDirectory() as folder:
        for base in (ROOT / "stacks").glob("[!P]*.yaml"):
            (Path(folder) / base.name).write_text(base.read_text("utf-8"), "utf-8")
        path = Path(folder) / f"Pulumi.{_STACK}.yaml"
        path.write_text(source, "utf-8")
        return _run(path, imagined=imagined)


def _run(path: Path, *, imagined: bool) -> Graph:
    file = load_file(path)
    program = Program(ROOT, "espalier", file.name, file.config)
    recording = _imagine(program) if imagined else record(program)
    inside = [resource for resource in recording.resources if resource.type != STACK_TYPE]
    found = {resource.name: resource for resource in inside}
    assert len(found) == len(inside), "two resources of one logical name"
    return Graph(found, recording)


def _imagine(program: Program) -> Recording:
    engine = Engine()
    monitor = Monitor(program.project, program.stack, _Imagined())
    run(program, monitor, engine, dry_run=True)
    return monitor.recording(engine.logs())


class _Imagined(Planned):
    """Answers with ids and ARNs of the form that AWS gives; all else is as in a plan."""

    def register(self, resource: Resource) -> Answer:
        if not resource.type.startswith(CLOUDS["aws"]):
            return super().register(resource)
        service, _, kind = resource.type.removeprefix(CLOUDS["aws"]).rpartition(":")[0].partition("/")
        name = next((resource.inputs[key] for key in ("name", "nodeGroupName") if key in resource.inputs), kind)
        place = _PLACES.get(service, f"{service}:us-east-1:123456789012")
        tail = _TAILS.get((service, kind), f"{kind.lower()}/{name}")
        arn = f"arn:aws:{place}:{tail}"
        return Answer(str(name), {**resource.inputs, "arn": arn, "name": name, "keyId": tail.rpartition("/")[2]})


_PLACES = {"iam": "iam::123456789012", "efs": "elasticfilesystem:us-east-1:123456789012"}
_TAILS = {
    ("kms", "key"): "key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ("sqs", "queue"): "interruption",
    ("efs", "fileSystem"): "file-system/fs-0123456789abcdef0",
}
"""Where an ARN is not `service:region:account:kind/name`."""
