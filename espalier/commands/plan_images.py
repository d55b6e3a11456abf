"""The images of a plan: all that the platform pulls, each with the add-on that brings it and where it is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from espalier.blueprint import Blueprint
from espalier.blueprint.probe import probe_images
from espalier.charts.images import places_of
from espalier.content import ImagePath
from espalier.types import AddonRecord, Image

WORKLOADS: Final = ("CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "StatefulSet")
_DEFINITION: Final = "CustomResourceDefinition"

Objects = Sequence[Mapping[str, Any]]
Owners = Mapping[tuple[str, str, str], str]
"""Add-on by kind, namespace and name of an object."""


def all_images(objects: Objects, blueprint: Blueprint, records: Mapping[str, AddonRecord]) -> list[Image]:
    """Images in pod templates and in custom resources, where records declare more, what the lock has of content that is
    not seen, and those of probes."""
    addons = {_key(manifest): addon.id for addon in blueprint.addons for manifest in addon.manifests}
    found = [*_in_pods(objects, addons), *_elsewhere(objects, addons, records)]
    seen = {(image.image, image.addon) for image in found}
    where = {True: "from the lock, not rendered", False: "elsewhere in its objects"}
    more = [
        Image(image, addon.id, where[addon.held is not None])
        for addon in blueprint.addons
        for image in addon.facts.images
        if (image, addon.id) not in seen
    ]
    return sorted({*found, *more, *probe_images(blueprint)}, key=lambda image: (image.image, image.where, image.addon))


def _in_pods(objects: Objects, addons: Owners) -> Iterator[Image]:
    for obj in objects:
        if obj["kind"] in WORKLOADS:
            for container, image in _containers(obj):
                yield Image(image, addons.get(_key(obj), ""), f"{obj['kind']}/{_named(obj)} {container}")


def _elsewhere(objects: Objects, addons: Owners, records: Mapping[str, AddonRecord]) -> Iterator[Image]:
    """In containers within custom resources, and where records say."""
    for obj in objects:
        if obj["kind"] == _DEFINITION:
            continue
        addon = addons.get(_key(obj), "")
        for image, path in places_of(obj, _paths(records.get(addon))):
            if path or obj["kind"] not in WORKLOADS:
                yield Image(image, addon, f"{obj['kind']}/{_named(obj)} {path or 'containers'}")


def _paths(record: AddonRecord | None) -> tuple[ImagePath, ...]:
    return record.content.images if record is not None and record.content is not None else ()


def _containers(obj: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    spec = obj.get("spec", {})
    if obj["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    pod = spec if obj["kind"] == "Pod" else spec["template"]["spec"]
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(group, []):
            yield container["name"], container["image"]


def _named(obj: Mapping[str, Any]) -> str:
    _, namespace, name = _key(obj)
    return f"{namespace}/{name}" if namespace else name


def _key(obj: Mapping[str, Any]) -> tuple[str, str, str]:
    """Objects of a program of one's own may leave their name to the engine, or not know it yet."""
    metadata = obj.get("metadata") or {}
    namespace, name = metadata.get("namespace"), metadata.get("name")
    return (
        str(obj["kind"]),
        namespace if isinstance(namespace, str) else "",
        name if isinstance(name, str) else "of a name to be made",
    )
