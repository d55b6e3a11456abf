"""What a stack has applied, kept in the cluster that it was applied to.

ConfigMaps of the namespace `espalier-system`: a header that names the stack and the cluster, and shards
that hold the objects, so that ten thousand fit far below the 1 MiB that one ConfigMap may have. Values of
objects are never kept, only hashes of them. An object's identity is written before it is applied, so that
a run that dies loses none.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from espalier.engine.errors import Problem, RefusedError
from espalier.kube import FIELD_MANAGER, ApiError, Client, Kind, Reference

NAMESPACE = "espalier-system"
CONFIG_MAP = Kind("v1", "ConfigMap")
NAMESPACE_KIND = Kind("v1", "Namespace")
MANAGED_BY = "app.kubernetes.io/managed-by"
_STACK_LABEL = "espalier.dev/stack"
_SCHEMA = 1
_PER_SHARD = 400
_TERMINATION = 60.0
_PAUSE = 0.2
_MARKS = ("protect", "retain", "generation", "deleted_with", "delete_seconds", "fields", "trigger")
"""Fields of an entry that are kept only where they are set."""

Key = tuple[str, str, str, str]
"""`Reference.key`: group, kind, namespace, name."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One object of the stack."""

    urn: str
    reference: Reference
    uid: str = ""
    """Empty until it was applied."""
    desired: str = ""
    """Hash of what was applied and became ready; empty while that is not known."""
    live: str = ""
    """Hash of our part of the live object after that."""
    depends: tuple[str, ...] = ()
    """`short_id` of the URNs that must outlive this object."""
    protect: bool = False
    retain: bool = False
    generation: int = 0
    """How many times an object without a name of its own was replaced: each replacement has another name."""
    deleted_with: str = ""
    """`short_id` of the URN whose deletion takes this object along; empty for none."""
    delete_seconds: float = 0.0
    """How long its deletion is awaited; 0 for the engine's own limit."""
    fields: str = ""
    """Which fields were ours when it was applied (`ownership.field_marks`): a conflict over one of them is drift."""
    trigger: str = ""
    """Hash of the option `replacement_trigger`; empty for none."""

    def to_json(self) -> dict[str, Any]:
        """Gives plain JSON, short since there are many."""
        kind = self.reference.kind
        row: dict[str, Any] = {
            "urn": self.urn,
            "object": [kind.api_version, kind.kind, self.reference.namespace, self.reference.name],
            "uid": self.uid,
            "desired": self.desired,
            "live": self.live,
            "depends": list(self.depends),
        }
        marks = {name: getattr(self, name) for name in _MARKS}
        return row | {name: mark for name, mark in marks.items() if mark}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Entry:
        """Reads what `to_json` gave."""
        api_version, kind, namespace, name = row["object"]
        return cls(
            urn=row["urn"],
            reference=Reference(Kind(api_version, kind), namespace, name),
            uid=row["uid"],
            desired=row["desired"],
            live=row["live"],
            depends=tuple(row["depends"]),
            **{name: row[name] for name in _MARKS if name in row},
        )


def short_id(urn: str) -> str:
    """Sixteen letters for a URN: an object may depend on a thousand others."""
    return hashlib.sha256(urn.encode()).hexdigest()[:16]


@dataclass
class Inventory:
    """The inventory of one stack in one cluster. Not safe to save from two threads."""

    client: Client
    project: str
    stack: str
    entries: dict[Key, Entry] = field(default_factory=dict[Key, Entry])
    _written: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """The ConfigMaps as they are in the cluster, by name."""

    @classmethod
    def load(cls, client: Client, project: str, stack: str) -> Inventory:
        """Reads the inventory; a stack that was never applied has an empty one.

        Raises RefusedError when it belongs to another engine or to another cluster.
        """
        inventory = cls(client, project, stack)
        selector = f"{_STACK_LABEL}={inventory.stack_id}"
        for item in client.list(CONFIG_MAP, NAMESPACE, labelSelector=selector):
            inventory._written[item["metadata"]["name"]] = item
            data = item.get("data") or {}
            if "header" in data:
                inventory._check(json.loads(data["header"]))
            for row in json.loads(data.get("objects", "[]")):
                entry = Entry.from_json(row)
                inventory.entries[entry.reference.key] = entry
        return inventory

    @property
    def stack_id(self) -> str:
        """Names the stack among the objects of all stacks of a cluster."""
        return short_id(f"{self.project}/{self.stack}")

    @property
    def exists(self) -> bool:
        """Tells whether anything is kept in the cluster."""
        return bool(self._written)

    def _check(self, header: Mapping[str, Any]) -> None:
        here = cluster_uid(self.client)
        where = f"{self.project}/{self.stack}"
        if header.get("engine") != "embedded":
            reason = f"is owned by the engine {header.get('engine')!r}"
            raise RefusedError(
                f"the stack {where} cannot be run",
                [Problem(where, reason, "use that engine, or destroy with it first")],
            )
        if header.get("cluster") != here:
            reason = f"was applied to the cluster {header.get('cluster')}, and this one is {here}"
            do = f"check the kubeconfig; if the cluster was restored, delete the ConfigMaps of {NAMESPACE}"
            raise RefusedError(f"the stack {where} cannot be run", [Problem(where, reason, do)])

    def save(self) -> None:
        """Writes what changed since it was loaded or saved, and nothing else."""
        if not self._written:
            self._ensure_namespace()
        wanted = self._objects()
        for name, data in wanted.items():
            known = self._written.get(name)
            if known is None or known.get("data") != data:
                self._written[name] = self._write(name, data, known)
        for name in sorted(self._written.keys() - wanted.keys()):
            self._delete(name)

    def remove(self) -> None:
        """Deletes the inventory, and its namespace where no other stack has one there."""
        for name in sorted(self._written):
            self._delete(name)
        others = self.client.list(CONFIG_MAP, NAMESPACE, labelSelector=f"{_STACK_LABEL}")
        namespace = self.client.find_object(Reference(NAMESPACE_KIND, "", NAMESPACE))
        if not others and namespace and namespace["metadata"].get("labels", {}).get(MANAGED_BY) == FIELD_MANAGER:
            self.client.delete(NAMESPACE_KIND, NAMESPACE)

    def expect(self, entries: Iterable[Entry]) -> None:
        """Writes the identities of what is about to be applied, before it is."""
        new = {entry.reference.key: entry for entry in entries if entry.reference.key not in self.entries}
        if new or not self._written:
            self.entries |= new
            self.save()

    def _objects(self) -> dict[str, dict[str, str]]:
        count = 1
        while count * _PER_SHARD < len(self.entries):
            count *= 2
        rows: list[list[dict[str, Any]]] = [[] for _ in range(count)]
        for entry in sorted(self.entries.values(), key=lambda entry: (entry.urn, entry.reference)):
            rows[int(short_id(entry.urn), 16) % count].append(entry.to_json())
        header = {
            "schema": _SCHEMA,
            "project": self.project,
            "stack": self.stack,
            "engine": "embedded",
            "cluster": self._cluster(),
            "shards": count,
        }
        objects = {f"inventory-{self.stack_id}": {"header": json.dumps(header)}}
        for index, shard in enumerate(rows):
            text = json.dumps(shard, separators=(",", ":"))
            objects[f"inventory-{self.stack_id}-{index}"] = {"objects": text}
        return objects

    def _cluster(self) -> str:
        header = self._written.get(f"inventory-{self.stack_id}")
        if header is not None:
            return json.loads(header["data"]["header"])["cluster"]
        return cluster_uid(self.client)

    def _ensure_namespace(self) -> None:
        labels = {MANAGED_BY: FIELD_MANAGER}
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": labels},
        }
        until = time.monotonic() + _TERMINATION
        while True:
            try:
                self.client.create(manifest)
                return
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
            existing = self.client.find_object(Reference(NAMESPACE_KIND, "", NAMESPACE))
            # The last destroy may still be taking it away.
            if existing and "deletionTimestamp" not in existing["metadata"]:
                return
            if time.monotonic() > until:
                do = "see what holds it: kubectl describe namespace"
                raise RefusedError("nothing was changed", [Problem(NAMESPACE, "is still being deleted", do)])
            time.sleep(_PAUSE)

    def _write(self, name: str, data: dict[str, str], known: dict[str, Any] | None) -> dict[str, Any]:
        labels = {MANAGED_BY: FIELD_MANAGER, _STACK_LABEL: self.stack_id}
        metadata: dict[str, Any] = {"name": name, "namespace": NAMESPACE, "labels": labels}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        if known is None:
            return self.client.create(manifest)
        # The version that was read: a second run that wrote meanwhile is a Conflict, not overwritten.
        metadata["resourceVersion"] = known["metadata"]["resourceVersion"]
        return self.client.replace(manifest)

    def _delete(self, name: str) -> None:
        self.client.delete(CONFIG_MAP, name, NAMESPACE)
        del self._written[name]


def cluster_uid(client: Client) -> str:
    """What identifies a cluster for its whole life: the UID of kube-system."""
    return client.get(NAMESPACE_KIND, "kube-system")["metadata"]["uid"]


def done(entry: Entry, *, uid: str, desired: str, live: str) -> Entry:
    """Gives the entry of an object that was applied and became ready."""
    return replace(entry, uid=uid, desired=desired, live=live)
