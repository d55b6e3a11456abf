"""The URNs that a resource had before: its own aliases, and those of the components above it.

As Pulumi's engine resolves them (pulumi, pkg/resource/deploy/step_generator.go: generateAliases,
collapseAliasToUrn, inheritedChildAlias).
"""

from __future__ import annotations

from collections.abc import Mapping

from pulumi.runtime.proto.alias_pb2 import Alias
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest

from espalier.engine.model import Resource, urn_of


def former_urns(
    request: RegisterResourceRequest, known: Mapping[str, Resource], stack: str, project: str
) -> tuple[str, ...]:
    """Lists the URNs under which the resource may be known, likeliest first; `known` is what was registered before."""
    own = list(request.aliasURNs)
    for alias in request.aliases:
        own += [alias.urn] if alias.urn else _of_spec(alias.spec, request, known, stack, project)
    parent = known.get(request.parent)
    inherited: list[str] = []
    if parent is not None and parent.former:
        called = [(request.type, request.name), *map(_type_and_name, own)]
        for above in parent.former:
            inherited += [
                urn_of(stack, project, above, type_, _renamed(name, parent.name, above)) for type_, name in called
            ]
    now = urn_of(stack, project, request.parent, request.type, request.name)
    return tuple(urn for urn in dict.fromkeys([*own, *inherited]) if urn != now)


def _of_spec(
    spec: Alias.Spec, request: RegisterResourceRequest, known: Mapping[str, Resource], stack: str, project: str
) -> list[str]:
    parent = "" if spec.noParent else spec.parentUrn or request.parent
    # A parent that was renamed itself was another one then.
    parents = [parent, *known[parent].former] if spec.parentUrn and parent in known else [parent]
    return [
        urn_of(
            spec.stack or stack, spec.project or project, above, spec.type or request.type, spec.name or request.name
        )
        for above in parents
    ]


def _type_and_name(urn: str) -> tuple[str, str]:
    _, _, qualified, name = urn.split("::", 3)
    return qualified.rpartition("$")[2], name


def _renamed(name: str, parent: str, former: str) -> str:
    """A child's name that begins with its parent's is taken to follow the parent's."""
    return f"{_type_and_name(former)[1]}{name.removeprefix(parent)}" if name.startswith(parent) else name
