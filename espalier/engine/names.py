"""The names of objects whose program gives none: once given, kept for life."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from espalier.engine.manifest import auto_name
from espalier.engine.model import Resource


@dataclass(frozen=True)
class Name:
    """A name that the engine gave."""

    text: str
    generation: int
    """How many times the object was replaced."""


@dataclass
class Names:
    """The names of one run. Safe to use from many threads."""

    _known: dict[str, Name] = field(default_factory=dict[str, Name])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, resource: Resource, find: Callable[[], Name | None], taken: Callable[[str], bool]) -> Name:
        """The name that `find` knows from the last run, else the first that is not `taken`; the same all the run."""
        with self._lock:
            if resource.urn not in self._known:
                self._known[resource.urn] = find() or _free(resource, 0, taken)
            return self._known[resource.urn]

    def renew(self, resource: Resource, taken: Callable[[str], bool]) -> Name:
        """Another name, for the object's replacement."""
        with self._lock:
            now = self._known[resource.urn]
            self._known[resource.urn] = _free(resource, now.generation + 1, taken)
            return self._known[resource.urn]


def _free(resource: Resource, generation: int, taken: Callable[[str], bool]) -> Name:
    while taken(auto_name(resource, generation)):
        generation += 1
    return Name(auto_name(resource, generation), generation)
