"""Kinds of objects, and what identifies one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

Manifest = Mapping[str, Any]
"""A Kubernetes object as JSON."""


@dataclass(frozen=True, order=True)
class Kind:
    """A Kubernetes kind at one version, such as `Kind("apps/v1", "Deployment")`."""

    api_version: str
    kind: str

    @cached_property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        return f"{self.api_version}/{self.kind}"


@lru_cache(maxsize=4096)
def kind_named(api_version: str, kind: str) -> Kind:
    """The same `Kind` each time: thousands of objects have a few kinds."""
    return Kind(api_version, kind)


@dataclass(frozen=True, order=True)
class Reference:
    """One object of a cluster."""

    kind: Kind
    namespace: str
    """Empty for an object that has none."""
    name: str

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind.kind} {where}{self.name}"

    @cached_property
    def key(self) -> tuple[str, str, str, str]:
        """What stays the same when the kind is served at another version."""
        return (self.kind.group, self.kind.kind, self.namespace, self.name)


def reference_of(manifest: Manifest) -> Reference:
    """Names the object that a manifest with a full `apiVersion`, `kind` and `metadata.name` describes."""
    metadata = manifest["metadata"]
    kind = Kind(manifest["apiVersion"], manifest["kind"])
    return Reference(kind, metadata.get("namespace") or "", metadata["name"])
