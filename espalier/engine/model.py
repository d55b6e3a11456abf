"""What a program registered: resources with their options, the stack's outputs, the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from espalier.engine.values import Json, to_json

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One registration. Values are JSON with the markers of `espalier.engine.values`."""

    urn: str
    type: str
    """The token, such as `kubernetes:apps/v1:Deployment`."""
    name: str
    """The logical name, which is not the object's `metadata.name`."""
    parent: str
    """The parent's URN; empty for the stack."""
    custom: bool
    """False for components, which only group others."""
    inputs: Mapping[str, Json] = field(repr=False)
    dependencies: tuple[str, ...]
    """URNs that must be done before, sorted."""
    property_dependencies: Mapping[str, tuple[str, ...]]
    """URNs by the input that reads them, sorted."""
    provider: str
    """The URN of an explicit provider; empty where none was given."""
    options: Mapping[str, Json]
    """Pulumi's resource options by their names in the protocol; only those that were given."""
    former: tuple[str, ...] = ()
    """URNs that it may have had before, by its aliases and by those of the components above it."""
    outputs: Mapping[str, Json] = field(default_factory=dict[str, Json], repr=False)
    """What a component registered with `register_outputs`; empty for others."""

    def to_json(self) -> dict[str, Any]:
        """Gives plain JSON in which unknowns and secrets are marked."""
        return {
            "urn": self.urn,
            "type": self.type,
            "name": self.name,
            "parent": self.parent,
            "custom": self.custom,
            "inputs": to_json(dict(self.inputs)),
            "outputs": to_json(dict(self.outputs)),
            "dependencies": list(self.dependencies),
            "property_dependencies": to_json(dict(self.property_dependencies)),
            "provider": self.provider,
            "options": to_json(dict(self.options)),
        }


@dataclass(frozen=True)
class Log:
    """A line that the program logged with `pulumi.log` or by a warning of the SDK."""

    severity: str
    """info, warning or error."""
    message: str
    urn: str = ""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """All that one run of a program asked for, in an order that does not vary between runs."""

    project: str
    stack: str
    resources: tuple[Resource, ...]
    """Sorted by depth in the chain of parents, then by URN."""
    outputs: Mapping[str, Json]
    """The stack's exports."""
    logs: tuple[Log, ...]

    def to_json(self) -> dict[str, Any]:
        """Gives plain JSON in which unknowns and secrets are marked."""
        return {
            "project": self.project,
            "stack": self.stack,
            "resources": [resource.to_json() for resource in self.resources],
            "outputs": to_json(dict(self.outputs)),
            "logs": [vars(log) for log in self.logs],
        }


def urn_of(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """Builds the URN that Pulumi's engine gives: the types of all components above, then its own."""
    above = qualified_type(parent) if parent else ""
    qualified = f"{above}${type_}" if above and above != STACK_TYPE else type_
    return f"urn:pulumi:{stack}::{project}::{qualified}::{name}"


def qualified_type(urn: str) -> str:
    """Gives the part of a URN that holds the types, joined by `$`."""
    return urn.split("::", 3)[2]


def in_order(resources: Mapping[str, Resource]) -> tuple[Resource, ...]:
    """Sorts by depth in the chain of parents, then URN. Linear but for the sort itself."""
    depths: dict[str, int] = {"": 0}

    def depth(urn: str) -> int:
        chain: list[str] = []
        while urn not in depths and urn in resources:
            chain.append(urn)
            urn = resources[urn].parent
        base = depths.get(urn, 0)
        for step, link in enumerate(reversed(chain), start=1):
            depths[link] = base + step
        return depths[chain[0]] if chain else base

    return tuple(sorted(resources.values(), key=lambda resource: (depth(resource.urn), resource.urn)))
