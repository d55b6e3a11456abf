"""What is replaced in a run, and what goes with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from espalier.engine.inventory import Entry
from espalier.engine.model import Resource
from espalier.kube import Reference


@dataclass
class Replaced:
    """Filled while a run goes on, from several threads; a preview fills it before it asks again."""

    urns: set[str] = field(default_factory=set[str])
    """The resources that were replaced."""
    moved: dict[str, Entry] = field(default_factory=dict[str, Entry])
    """URN -> the object that the resource was, where the program calls it differently now."""
    old_urns: set[str] = field(default_factory=set[str])
    """The URNs of objects that are deleted at the end since others took their places: no deletions of their own."""
    _namespaces: set[str] = field(default_factory=set[str])
    _definitions: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def add(self, resource: Resource) -> None:
        """Notes that a resource is replaced."""
        self.urns.add(resource.urn)
        self.old_urns.update((resource.urn, *resource.former))

    def emptied(self, reference: Reference, live: Mapping[str, Any]) -> None:
        """Notes what goes with an object that is deleted to be made anew: a namespace's or a definition's objects."""
        if reference.kind.group == "" and reference.kind.kind == "Namespace":
            self._namespaces.add(reference.name)
        if reference.kind.kind == "CustomResourceDefinition":
            self._definitions.add((live["spec"]["group"], live["spec"]["names"]["kind"]))

    def took(self, reference: Reference) -> bool:
        """Tells whether an object went with its namespace or its definition."""
        kind = (reference.kind.group, reference.kind.kind)
        return reference.namespace in self._namespaces or kind in self._definitions

    def any_of(self, urns: Iterable[str]) -> bool:
        """Tells whether one of these resources is replaced."""
        return not self.urns.isdisjoint(urns)
