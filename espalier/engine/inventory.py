"""What a stack has applied, kept in the cluster that it was applied to.

ConfigMaps of the namespace `espalier-system`: a header that names the stack and the cluster, and shards
that hold the objects, so that ten thousand fit far below the 1 MiB that one ConfigMap may have. Values of
objects are never kept, only hashes of them. An object's identity is written before it is applied, so that
a run that dies loses none: into the shards before the run, and into a journal in mid-run.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from espalier.engine.errors import Problem, RefusedError
from espalier.engine.namespace import (
    CONFIG_MAP,
    MANAGED_BY,
    NAMESPACE,
    NAMESPACE_KIND,
    STACK_LABEL,
    ensure,
    remove_if_unused,
)
from espalier.kube import FIELD_MANAGER, ApiError, Client, Reference, kind_named

__all__ = ["NAMESPACE", "Entry", "Inventory", "Key", "cluster_uid", "other_stacks", "short_id"]

_SCHEMA = 1
_PER_SHARD = 400
_SHARD_BYTES = 700_000
"""Entries that depend on a thousand others are long: a shard stays below this too."""
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
            reference=Reference(kind_named(api_version, kind), namespace, name),
            uid=row["uid"],
            desired=row["desired"],
            live=row["live"],
            depends=tuple(row["depends"]),
            **{name: row[name] for name in _MARKS if name in row},
        )


@lru_cache(maxsize=100_000)
def short_id(urn: str) -> str:
    """Sixteen letters for a URN: an object may depend on a thousand others."""
    return hashlib.sha256(urn.encode()).hexdigest()[:16]


@dataclass
class Inventory:
    """The inventory of one stack in one cluster.

    `expect` may be called from many threads; everything else from one at a time.
    """

    client: Client
    project: str
    stack: str
    entries: dict[Key, Entry] = field(default_factory=dict[Key, Entry])
    _written: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """The ConfigMaps as they are in the cluster, by name."""
    _journal: list[Entry] = field(default_factory=list[Entry])
    """What was expected in mid-run, after the shards were written."""
    _kept: int = 0
    """How many of the journal are in the cluster."""
    _keeping: bool = False
    """Whether a thread is writing the journal."""
    _turn: threading.Condition = field(default_factory=threading.Condition)

    @classmethod
    def load(cls, client: Client, project: str, stack: str) -> Inventory:
        """Reads the inventory; a stack that was never applied has an empty one.

        Raises RefusedError when it belongs to another engine or to another cluster.
        """
        inventory = cls(client, project, stack)
        items = inventory._list()
        inventory._written = {item["metadata"]["name"]: item for item in items}
        for item in items:
            data = item.get("data") or {}
            if "header" in data:
                inventory._check(json.loads(data["header"]))
        for entry in _entries(items):
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

    def _list(self) -> list[dict[str, Any]]:
        return self.client.list(CONFIG_MAP, NAMESPACE, labelSelector=f"{STACK_LABEL}={self.stack_id}")

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

    def confirm(self) -> None:
        """Raises RefusedError where another run changed the inventory since it was read."""
        now = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in self._list()}
        if now != {name: item["metadata"]["resourceVersion"] for name, item in self._written.items()}:
            raise self._changed("nothing was changed")

    def _changed(self, message: str) -> RefusedError:
        where = f"{self.project}/{self.stack}"
        reason = "its inventory was changed by another run meanwhile"
        return RefusedError(message, [Problem(where, reason, "see what that run did, then run again")])

    def save(self) -> None:
        """Writes what changed since it was loaded or saved, and nothing else; the journal is merged into it.

        Whenever it is broken off, each entry is in the cluster: new shards are written before old ones lose entries
        to them, and the journal goes last.
        """
        if not self._written:
            ensure(self.client)
        wanted = self._objects()
        for name in sorted(wanted, key=lambda name: (name in self._written, name)):
            known = self._written.get(name)
            if known is None or known.get("data") != wanted[name]:
                self._written[name] = self._write(name, wanted[name], known)
        for name in sorted(self._written.keys() - wanted.keys()):
            self._delete(name)
        self._journal, self._kept = [], 0

    def remove(self) -> None:
        """Deletes the inventory, and its namespace where no stack has anything there."""
        for name in sorted(self._written):
            self._delete(name)
        remove_if_unused(self.client)

    def expect(self, entries: Iterable[Entry]) -> None:
        """Writes the identities of what is about to be applied, before it is; those it has are left alone.

        Threads that call at the same time share one write.
        """
        with self._turn:
            new = {entry.reference.key: entry for entry in entries if entry.reference.key not in self.entries}
            self.entries |= new
            if not self._written:
                self.save()
                return
            self._journal.extend(new.values())
            wanted = len(self._journal)
            while new and self._kept < wanted:
                if self._keeping:
                    self._turn.wait()
                else:
                    self._keep_journal()

    def _keep_journal(self) -> None:
        """Writes what the journal has now; others may add to it meanwhile. Called and left with the lock held."""
        start, end = self._kept, len(self._journal)
        self._keeping = True
        self._turn.release()
        try:
            for index in range(start // _PER_SHARD, (end - 1) // _PER_SHARD + 1):
                rows = self._journal[index * _PER_SHARD : min((index + 1) * _PER_SHARD, end)]
                name = f"inventory-{self.stack_id}-journal-{index}"
                data = {"objects": _rows_text(rows)}
                self._written[name] = self._write(name, data, self._written.get(name))
        finally:
            self._turn.acquire()
            self._keeping = False
            self._turn.notify_all()
        self._kept = end

    def _objects(self) -> dict[str, dict[str, str]]:
        # Sorting copies in one step first, so other threads may add meanwhile.
        entries = sorted(self.entries.values(), key=lambda entry: (entry.urn, entry.reference))
        header = {
            "schema": _SCHEMA,
            "project": self.project,
            "stack": self.stack,
            "engine": "embedded",
            "cluster": self._header().get("cluster") or cluster_uid(self.client),
        }
        # Never fewer than there were: an entry that changed shards is newer in the higher one.
        shards = _shards(entries, self._header().get("shards", 1))
        objects = {f"inventory-{self.stack_id}": {"header": json.dumps(header | {"shards": len(shards)})}}
        return objects | {f"inventory-{self.stack_id}-{i}": {"objects": text} for i, text in enumerate(shards)}

    def _header(self) -> Mapping[str, Any]:
        known = self._written.get(f"inventory-{self.stack_id}")
        return json.loads(known["data"]["header"]) if known else {}

    def _write(self, name: str, data: dict[str, str], known: dict[str, Any] | None) -> dict[str, Any]:
        labels = {MANAGED_BY: FIELD_MANAGER, STACK_LABEL: self.stack_id}
        metadata: dict[str, Any] = {"name": name, "namespace": NAMESPACE, "labels": labels}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        try:
            if known is None:
                return self.client.create(manifest)
            # The version that was read: what another run wrote meanwhile is a Conflict, not overwritten.
            metadata["resourceVersion"] = known["metadata"]["resourceVersion"]
            return self.client.replace(manifest)
        except ApiError as error:
            if error.reason not in ("AlreadyExists", "Conflict", "NotFound"):
                raise
            # It may be this very write, whose answer was lost on the way.
            live = self.client.find_object(Reference(CONFIG_MAP, NAMESPACE, name))
            if live is not None and live.get("data") == data:
                return live
            raise self._changed("the inventory could not be written") from None

    def _delete(self, name: str) -> None:
        uid = self._written[name]["metadata"]["uid"]
        try:
            self.client.delete(CONFIG_MAP, name, NAMESPACE, uid=uid)
        except ApiError as error:
            if error.status != 404:
                raise
        del self._written[name]


def _rows_text(entries: Iterable[Entry]) -> str:
    return json.dumps([entry.to_json() for entry in entries], separators=(",", ":"))


def _shards(entries: list[Entry], count: int) -> list[str]:
    """Spreads entries over `count` texts, or twice as many until each is small enough."""
    while True:
        shards: list[list[Entry]] = [[] for _ in range(count)]
        for entry in entries:
            shards[int(short_id(entry.urn), 16) % count].append(entry)
        texts = [_rows_text(shard) for shard in shards]
        longest = max(len(text) for text in texts)
        if count * _PER_SHARD >= len(entries) and (longest <= _SHARD_BYTES or count > len(entries)):
            return texts
        count *= 2


def _entries(items: Iterable[Mapping[str, Any]]) -> Iterator[Entry]:
    """All entries of an inventory's ConfigMaps; of those that are there twice the newest comes last."""

    def age(item: Mapping[str, Any]) -> tuple[bool, int]:
        parts = item["metadata"]["name"].split("-")
        return ("journal" not in parts, int(parts[-1]) if len(parts) > 2 else -1)

    for item in sorted(items, key=age):
        for row in json.loads((item.get("data") or {}).get("objects", "[]")):
            yield Entry.from_json(row)


def other_stacks(client: Client, stack_id: str) -> dict[Key, str]:
    """The objects in the inventories of all other stacks of a cluster, each with its stack."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for item in client.list(CONFIG_MAP, NAMESPACE, labelSelector=f"{STACK_LABEL},{STACK_LABEL}!={stack_id}"):
        groups.setdefault(item["metadata"]["labels"][STACK_LABEL], []).append(item)
    owners: dict[Key, str] = {}
    for identity in sorted(groups):
        headers = [item["data"]["header"] for item in groups[identity] if "header" in (item.get("data") or {})]
        header = json.loads(headers[0]) if headers else {}
        name = f"{header.get('project', '?')}/{header.get('stack', identity)}"
        owners |= {entry.reference.key: name for entry in _entries(groups[identity])}
    return owners


def cluster_uid(client: Client) -> str:
    """What identifies a cluster for its whole life: the UID of kube-system."""
    return client.get(NAMESPACE_KIND, "kube-system")["metadata"]["uid"]
