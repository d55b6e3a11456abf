"""One resource as an object to be applied: checked, named, and hashed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from espalier.engine.cluster import Cluster, Clusters
from espalier.engine.errors import Problem, RefusedError
from espalier.engine.ignoring import NOTHING, keep_live
from espalier.engine.inventory import Entry, short_id
from espalier.engine.manifest import (
    AUTO_NAMED,
    auto_name,
    is_auto_named,
    is_patch,
    is_remote,
    kind_of,
    manifest_of,
    mark_secret,
    namespaced,
)
from espalier.engine.model import Resource
from espalier.engine.names import Name
from espalier.engine.options import malformed_options, paths_of, refused_options, seconds_for
from espalier.engine.ownership import all_fields, digest, field_marks, owned_digest, owned_fields
from espalier.engine.paths import Path, without
from espalier.engine.values import Json, has_secret, has_unknown, reveal
from espalier.engine.waitfor import TIMEOUT, WAIT_FOR
from espalier.engine.waits import wait_for
from espalier.kube import Kind, Reference, UnknownKindError

UNTOLD = "unknown"
"""Stands for the hash of a value that is unknown before the apply: no hash equals it."""
_NO_PLUGIN = "this engine applies Kubernetes objects only: use `pulumi up`"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A resource with the object that it means in its cluster."""

    resource: Resource
    cluster: Cluster
    kind: Kind
    manifest: Mapping[str, Json] = field(repr=False)
    """As the program says it, with markers."""
    reference: Reference | None
    """None while its name or namespace is unknown."""
    desired: str
    """Hash of the manifest but for what is ignored; empty while something in it is unknown."""
    generation: int = 0
    """How many times an object without a name of its own was replaced."""
    ignored: tuple[Path, ...] = ()
    trigger: str = ""
    """Hash of the option `replacement_trigger`; empty for none."""
    settled: Mapping[str, Json] | None = field(default=None, repr=False)
    """The manifest with the live values of what is ignored; None where it is not to be told from `manifest`."""

    @property
    def sent(self) -> dict[str, Json]:
        """The object as it is sent, with markers."""
        return dict(self.manifest if self.settled is None else self.settled)

    @property
    def plain(self) -> dict[str, Any]:
        """The object as it is sent, secrets in plain text."""
        return reveal(self.sent)

    @property
    def known(self) -> Reference:
        """The reference of an object whose name is known. Raises ValueError for any other."""
        if self.reference is None:
            raise ValueError(f"{self.resource.urn} has no name yet")
        return self.reference

    def live(self) -> dict[str, Any] | None:
        """The live object; None where there is none, or where it went with its namespace or definition."""
        if self.reference is None or self.cluster.replaced.took(self.reference):
            return None
        return self.cluster.live(self.reference)

    def settle(self, live: dict[str, Any] | None) -> Target:
        """The same with what is to be sent for ignored fields, over this live object."""
        if live is None or not self.ignored:
            return self
        kept = keep_live(dict(self.manifest), live, owned_fields(live) or NOTHING, self.ignored)
        return replace(self, settled=kept)

    def remade(self, live: dict[str, Any]) -> Target:
        """The same for a replacement of a live object: whoever set an ignored field, its value is kept."""
        if not self.ignored:
            return self
        return replace(self, settled=keep_live(dict(self.manifest), live, all_fields(live) or NOTHING, self.ignored))

    def renamed(self) -> Target:
        """The same under the next name that the engine gives."""
        name = self.cluster.names.renew(self.resource, _taken(self.resource, self.kind, self.cluster, self.manifest))
        return _target(self.resource, self.cluster, self.kind, _named(self.manifest, name.text), name.generation)

    def unchanged(self) -> Entry | None:
        """The inventory's entry where neither the program nor anyone else changed our part of the object."""
        live = self.live()
        entry = self.cluster.inventory.entries.get(self.reference.key) if self.reference else None
        if live is None or entry is None or not self.desired or entry.desired != self.desired:
            return None
        if entry.trigger != self.trigger or self.cluster.replaced.any_of(self.resource.options.get("replaceWith", ())):
            return None
        ours = live["metadata"]["uid"] == entry.uid and self.digest(live) == entry.live
        return entry if ours else None

    def digest(self, live: Mapping[str, Any]) -> str:
        """The hash of our part of the live object, but for what is ignored."""
        return owned_digest(live, self.manifest, self.ignored)

    def entry(self, *, uid: str = "", desired: str = "", live: str = "", fields: str = "") -> Entry:
        """The inventory's entry of the object; with nothing given, of one that is about to be applied."""
        return Entry(uid=uid, desired=desired, live=live, fields=fields, **self._marks())

    def _marks(self) -> dict[str, Any]:
        """What an entry has of the program alone."""
        options = self.resource.options
        return {
            "urn": self.resource.urn,
            "reference": self.known,
            "depends": tuple(short_id(urn) for urn in self.resource.dependencies),
            "protect": bool(options.get("protect")),
            "retain": bool(options.get("retainOnDelete")),
            "generation": self.generation,
            "deleted_with": short_id(options["deletedWith"]) if options.get("deletedWith") else "",
            "delete_seconds": seconds_for(self.resource, "delete") or 0.0,
            "trigger": self.trigger,
        }

    def applied_entry(self, live: Mapping[str, Any], *, ready: bool) -> Entry:
        """The entry of an object that was applied; one that is not yet ready has no hashes, so it is tried again."""
        return self.entry(
            uid=live["metadata"]["uid"],
            desired=self.desired if ready else "",
            live=self.digest(live) if ready else "",
            fields=field_marks(live),
        )

    def is_marked(self, before: Entry) -> bool:
        """Tells whether the entry of an object that needs nothing has the marks that it has now."""
        return all(getattr(before, name) == mark for name, mark in self._marks().items())

    def same_entry(self, before: Entry) -> Entry:
        """The entry of an object that needs nothing, with the marks that it has now."""
        return self.entry(uid=before.uid, desired=before.desired, live=before.live, fields=before.fields)


def refusals(resource: Resource) -> list[Problem]:
    """Lists what this engine does not do of what a custom resource asks."""
    problems = [Problem(resource.urn, f"sets the option {name}", do) for name, do in refused_options(resource)]
    if not resource.custom:
        return problems
    if is_remote(resource.type):
        do = "register the objects themselves, for example from `espalier render`"
        if resource.type.endswith(":Release"):
            do = "use `pulumi up`, or in the add-on's record give each hook a rule, keep or drop, for `hooks: release`"
        problems.append(Problem(resource.urn, f"{resource.type} is expanded by a plugin", do))
    elif kind_of(resource) is None:
        problems.append(Problem(resource.urn, f"{resource.type} needs a provider plugin", _NO_PLUGIN))
    elif is_patch(resource):
        do = "own the whole object, or use `pulumi up`"
        problems.append(Problem(resource.urn, f"{resource.type} patches an object of someone else", do))
    problems += [Problem(resource.urn, reason, do) for reason, do in malformed_options(resource)]
    return problems or _unreadable_waits(resource)


def _unreadable_waits(resource: Resource) -> list[Problem]:
    """What annotations say of waiting but cannot be read: found before anything is applied."""
    metadata = resource.inputs.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if not isinstance(annotations, dict) or annotations.keys().isdisjoint((TIMEOUT, WAIT_FOR)):
        return []
    kind = kind_of(resource)
    if kind is None or has_unknown(metadata):
        return []
    try:
        wait_for(manifest_of(resource, kind))
    except ValueError as error:
        return [Problem(resource.urn, str(error), "correct the annotation")]
    return []


def target_of(resource: Resource, clusters: Clusters) -> Target:
    """Checks and names a Kubernetes resource. Raises RefusedError, KubeError."""
    problems = refusals(resource)
    kind = kind_of(resource)
    if problems or kind is None:
        raise RefusedError("the program asks for what this engine does not do", problems)
    cluster = clusters.of(resource)
    manifest = _with_namespace(manifest_of(resource, kind), kind, cluster, clusters.namespace(resource))
    if not is_auto_named(resource):
        return _target(resource, cluster, kind, manifest, 0)
    taken = _taken(resource, kind, cluster, manifest)
    name = cluster.names.of(resource, lambda: _name_before(resource, kind, cluster), taken)
    return _target(resource, cluster, kind, _named(manifest, name.text), name.generation)


def _target(resource: Resource, cluster: Cluster, kind: Kind, manifest: Mapping[str, Json], generation: int) -> Target:
    ignored = paths_of(resource, "ignoreChanges")
    return Target(
        resource=resource,
        cluster=cluster,
        kind=kind,
        manifest=manifest,
        reference=_reference(manifest, kind),
        desired=digest(without(dict(manifest), ignored)),
        generation=generation,
        ignored=ignored,
        trigger=_trigger(resource),
    )


def _trigger(resource: Resource) -> str:
    value = resource.options.get("replacementTrigger")
    return "" if value is None else digest(value) or UNTOLD


def _named(manifest: Mapping[str, Json], name: str) -> dict[str, Json]:
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}}


def _name_before(resource: Resource, kind: Kind, cluster: Cluster) -> Name | None:
    """What the object was called in the last run, under this URN or a former one."""
    for urn in (resource.urn, *resource.former):
        entries = [e for e in cluster.entries_of([urn], kind) if _was_auto_named(resource, e, cluster)]
        if entries:
            newest = max(entries, key=lambda entry: entry.generation)
            return Name(newest.reference.name, newest.generation)
    return None


def _was_auto_named(resource: Resource, entry: Entry, cluster: Cluster) -> bool:
    live = cluster.live(entry.reference)
    if live is None:
        return entry.reference.name == auto_name(resource, entry.generation)
    return (live["metadata"].get("annotations") or {}).get(AUTO_NAMED) == "true"


def _taken(resource: Resource, kind: Kind, cluster: Cluster, manifest: Mapping[str, Json]) -> Callable[[str], bool]:
    namespace = reveal(manifest["metadata"].get("namespace") or "")

    def taken(name: str) -> bool:
        entry = cluster.inventory.entries.get((kind.group, kind.kind, namespace, name))
        return entry is not None and entry.urn != resource.urn

    return taken


def _with_namespace(manifest: dict[str, Json], kind: Kind, cluster: Cluster, default: str) -> dict[str, Json]:
    metadata: Any = manifest.get("metadata")
    if not isinstance(metadata, dict):
        return manifest
    scoped = namespaced(kind)
    if scoped is None:
        scoped = _discovered(kind, cluster)
    if scoped and not metadata.get("namespace"):
        return manifest | {"metadata": metadata | {"namespace": default}}
    if scoped is False and "namespace" in metadata:
        return manifest | {"metadata": {key: value for key, value in metadata.items() if key != "namespace"}}
    return manifest


def _discovered(kind: Kind, cluster: Cluster) -> bool | None:
    try:
        return cluster.client.find(kind).namespaced
    except UnknownKindError:
        return None


def _reference(manifest: Mapping[str, Json], kind: Kind) -> Reference | None:
    metadata: Any = manifest.get("metadata")
    if not isinstance(metadata, dict):
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace") or ""
    if isinstance(name, str) and isinstance(namespace, str):
        return Reference(kind, namespace, name)
    name, namespace = reveal(name), reveal(namespace)
    return Reference(kind, namespace, name) if isinstance(name, str) and isinstance(namespace, str) else None


def live_outputs(target: Target, live: Mapping[str, Any]) -> dict[str, Json]:
    """What the program gets of a live object: secret is what went in secret, which the API does not tell."""
    outputs: dict[str, Json] = dict(live)
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    outputs["metadata"] = metadata
    if target.kind == Kind("v1", "Secret"):
        if "stringData" in target.manifest:
            outputs["stringData"] = reveal(target.manifest["stringData"])
        mark_secret(outputs)
    secret = {key for key, value in target.manifest.items() if has_secret(value)}
    mark_secret(outputs, {*secret, *target.resource.options.get("additionalSecretOutputs", ())})
    return outputs


def object_id(reference: Reference) -> str:
    """The id that Pulumi gives a Kubernetes object."""
    return f"{reference.namespace}/{reference.name}" if reference.namespace else reference.name
