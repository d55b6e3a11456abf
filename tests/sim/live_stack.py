"""A stack whose program is a function of the test, brought up on a live cluster."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi

from espalier.engine.changes import Change, UpResult
from espalier.engine.destroy import destroy
from espalier.engine.inventory import Entry, Inventory
from espalier.engine.preview import preview
from espalier.engine.program import Program
from espalier.engine.up import up
from espalier.kube import Client, Kind, Reference

PROJECT = "demo"
MODULES = {"v1": "core/v1"}
CONFIG_MAP = Kind("v1", "ConfigMap")
DEPLOYMENT = Kind("apps/v1", "Deployment")
NAMESPACE = Kind("v1", "Namespace")
SECRET = Kind("v1", "Secret")


def obj(kind: Kind, logical: str, manifest: dict[str, Any], **options: Any) -> pulumi.CustomResource:
    """Registers an object; without a name in `metadata` the engine names it."""
    token = f"kubernetes:{MODULES.get(kind.api_version, kind.api_version)}:{kind.kind}"
    return pulumi.CustomResource(token, logical, manifest, pulumi.ResourceOptions(**options))


@dataclass
class LiveStack:
    """A stack with a namespace of its own, which its program makes."""

    name: str
    kubeconfig: Path
    client: Client
    lines: list[str] = field(default_factory=list[str])
    """What was told to people."""

    def program(self, body: Callable[[], Any]) -> Program:
        def whole() -> None:
            obj(NAMESPACE, "ns", {"metadata": {"name": self.name}})
            body()

        return Program(whole, PROJECT, self.name)

    def add(self, kind: Kind, name: str, manifest: dict[str, Any] | None = None, **options: Any) -> Any:
        """Registers an object of the stack's namespace under a name of its own."""
        metadata = {"name": name, "namespace": self.name, **((manifest or {}).get("metadata") or {})}
        return obj(kind, name, {**(manifest or {}), "metadata": metadata}, **options)

    def add_unnamed(self, kind: Kind, logical: str, manifest: dict[str, Any] | None = None, **options: Any) -> Any:
        """Registers an object of the stack's namespace that the engine names."""
        return obj(kind, logical, {**(manifest or {}), "metadata": {"namespace": self.name}}, **options)

    def up(self, body: Callable[[], Any], **options: Any) -> UpResult:
        return up(self.program(body), connection=self.kubeconfig, progress=self.lines.append, **options)

    def changes(self, body: Callable[[], Any]) -> dict[str, tuple[str, ...]]:
        """What `preview` says and `up` then does: logical name -> op and fields, without what is same."""
        told = _shown(preview(self.program(body), connection=self.kubeconfig))
        done = _shown(self.up(body).changes)
        assert done == told
        return told

    def preview(self, body: Callable[[], Any]) -> dict[str, tuple[str, ...]]:
        return _shown(preview(self.program(body), connection=self.kubeconfig))

    def destroy(self) -> tuple[Change, ...]:
        return tuple(destroy(PROJECT, self.name, self.kubeconfig, progress=self.lines.append))

    def get(self, kind: Kind, name: str) -> dict[str, Any]:
        found = self.client.find_object(Reference(kind, self.name, name))
        assert found is not None, f"{kind} {name} is not there"
        return found

    def names(self, kind: Kind) -> set[str]:
        items = self.client.list(kind, self.name)
        return {item["metadata"]["name"] for item in items} - {"kube-root-ca.crt"}

    def entries(self) -> dict[str, Entry]:
        """The inventory's entries by the object's name."""
        entries = Inventory.load(self.client, PROJECT, self.name).entries.values()
        return {entry.reference.name: entry for entry in entries}

    def edit(
        self, kind: Kind, name: str, body: dict[str, Any], *, manager: str = "kubectl-edit", sub: str = ""
    ) -> None:
        """Changes an object as another tool would."""
        base = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
        path = f"{base}/namespaces/{self.name}/{self.client.find(kind).plural}/{name}{f'/{sub}' if sub else ''}"
        query = {"fieldManager": manager}
        how = "merge" if sub else "strategic-merge"
        self.client.request("PATCH", path, query=query, body=body, content_type=f"application/{how}-patch+json")


def _shown(changes: tuple[Change, ...]) -> dict[str, tuple[str, ...]]:
    shown = {change.urn.rpartition("::")[2]: (change.op, *change.fields) for change in changes if change.op != "same"}
    assert len(shown) == sum(change.op != "same" for change in changes), f"an object is told twice: {changes}"
    return shown


@contextmanager
def live_stack(name: str, kubeconfig: Path, client: Client) -> Generator[LiveStack]:
    """A stack that is taken away afterwards; nothing is awaited, since a namespace takes seconds to go."""
    # What an earlier test left behind may still be going away.
    unique = zlib.crc32(f"{name} {os.getpid()}".encode())
    stack = LiveStack(f"{re.sub('[^a-z0-9]+', '-', name.lower())[:40].strip('-')}-{unique:08x}", kubeconfig, client)
    yield stack
    inventory = Inventory.load(client, PROJECT, stack.name)
    for entry in inventory.entries.values():
        if not entry.reference.namespace and client.find_object(entry.reference):
            client.delete(entry.reference.kind, entry.reference.name)
    inventory.remove()
