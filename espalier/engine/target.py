"""One resource as an object to be applied: checked, named, and hashed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from espalier.engine.cluster import Cluster, Clusters
from espalier.engine.durations import seconds_of
from espalier.engine.errors import Problem, RefusedError
from espalier.engine.inventory import Entry, short_id
from espalier.engine.manifest import is_patch, is_remote, kind_of, manifest_of, mark_secret, namespaced
from espalier.engine.model import Resource
from espalier.engine.options import refused_options
from espalier.engine.ownership import digest
from espalier.engine.values import Json, Secret, has_secret, has_unknown, reveal
from espalier.engine.waits import wait_for
from espalier.kube import Kind, Reference, UnknownKindError

_SHORTEST_HIDDEN = 4
_NO_PLUGIN = "this engine applies Kubernetes objects only: use `pulumi up`"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A resource with the object that it means in its cluster."""

    resource: Resource
    cluster: Cluster
    kind: Kind
    manifest: Mapping[str, Json] = field(repr=False)
    """With markers."""
    reference: Reference | None
    """None while its name or namespace is unknown."""
    desired: str
    """Hash of the manifest; empty while something in it is unknown."""

    @property
    def plain(self) -> dict[str, Any]:
        """The object as it is sent, secrets in plain text."""
        return reveal(dict(self.manifest))

    def entry(self) -> Entry:
        """The inventory's entry of an object that is about to be applied."""
        if self.reference is None:
            raise ValueError(f"{self.resource.urn} has no name yet")
        return Entry(
            urn=self.resource.urn,
            reference=self.reference,
            depends=tuple(short_id(urn) for urn in self.resource.dependencies),
            protect=bool(self.resource.options.get("protect")),
            retain=bool(self.resource.options.get("retainOnDelete")),
        )


def refusals(resource: Resource) -> list[Problem]:
    """Lists what this engine does not do of what a custom resource asks."""
    problems = [Problem(resource.urn, f"sets the option {name}", do) for name, do in refused_options(resource)]
    if not resource.custom:
        return problems
    if is_remote(resource.type):
        do = "register the objects themselves, for example from `espalier render`"
        problems.append(Problem(resource.urn, f"{resource.type} is expanded by a plugin", do))
    elif kind_of(resource) is None:
        problems.append(Problem(resource.urn, f"{resource.type} needs a provider plugin", _NO_PLUGIN))
    elif is_patch(resource):
        do = "own the whole object, or use `pulumi up`"
        problems.append(Problem(resource.urn, f"{resource.type} patches an object of someone else", do))
    return problems or _unreadable_waits(resource)


def _unreadable_waits(resource: Resource) -> list[Problem]:
    """What is said of waiting but cannot be read: found before anything is applied."""
    problems: list[Problem] = []
    timeouts: Mapping[str, str] = resource.options.get("customTimeouts") or {}
    for key, text in sorted(timeouts.items()):
        if key == "delete":
            do = "leave it out: a deletion is awaited for as long as the engine's own limit"
            problems.append(Problem(resource.urn, "sets the option customTimeouts.delete", do))
            continue
        try:
            seconds_of(text)
        except ValueError as error:
            problems.append(Problem(resource.urn, f"customTimeouts.{key}: {error}", "correct the duration"))
    kind = kind_of(resource)
    if kind is not None and not has_unknown(resource.inputs.get("metadata")):
        try:
            wait_for(manifest_of(resource, kind))
        except ValueError as error:
            problems.append(Problem(resource.urn, str(error), "correct the annotation"))
    return problems


def target_of(resource: Resource, clusters: Clusters) -> Target:
    """Checks and names a Kubernetes resource. Raises RefusedError, KubeError."""
    problems = refusals(resource)
    kind = kind_of(resource)
    if problems or kind is None:
        raise RefusedError("the program asks for what this engine does not do", problems)
    cluster = clusters.of(resource)
    manifest = _with_namespace(manifest_of(resource, kind), kind, cluster, clusters.namespace(resource))
    desired = "" if has_unknown(manifest) else digest(reveal(manifest))
    return Target(
        resource=resource,
        cluster=cluster,
        kind=kind,
        manifest=manifest,
        reference=_reference(manifest, kind),
        desired=desired,
    )


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
    name, namespace = reveal(metadata.get("name")), reveal(metadata.get("namespace") or "")
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
    secret |= set(target.resource.options.get("additionalSecretOutputs", ()))
    for key in secret & outputs.keys():
        if not isinstance(outputs[key], Secret):
            outputs[key] = Secret(outputs[key])
    return outputs


def object_id(reference: Reference) -> str:
    """The id that Pulumi gives a Kubernetes object."""
    return f"{reference.namespace}/{reference.name}" if reference.namespace else reference.name


def hidden(target: Target, text: str) -> str:
    """Takes the target's secret values out of a text, such as an error that quotes them."""
    for value in sorted(set(_secret_texts(target)), key=len, reverse=True):
        text = text.replace(value, "(secret)")
    return text


def _secret_texts(target: Target) -> Iterator[str]:
    whole = target.kind == Kind("v1", "Secret")
    for key, value in target.manifest.items():
        yield from _texts(value, inside=whole and key in ("data", "stringData"))


def _texts(value: Json, *, inside: bool) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from _texts(value.value, inside=True)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item, inside=inside)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item, inside=inside)
    elif inside and len(text := str(value)) >= _SHORTEST_HIDDEN:
        yield text
