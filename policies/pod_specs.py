"""Finds the pod specs inside any object: workloads, and custom resources that carry pods (Notebook, JobSet).

A pod spec is told by its fields, not by a list of kinds, since every training operator brings kinds of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from espalier.policies.resources import api_group, kind_of
from espalier.policies.values import is_hidden, listing, mapping
from espalier.types import Registered

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
_MARKS = frozenset((*CONTAINERS, *HOST_NAMESPACES, "volumes"))
_WORKLOADS = {
    "core": frozenset(("Pod", "PodTemplate", "ReplicationController")),
    "apps": frozenset(("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")),
    "batch": frozenset(("CronJob", "Job")),
}
_ON_THE_WAY = frozenset(("spec", "template", "jobTemplate", "podTemplate", *CONTAINERS))
# What it installs is not among the registered resources of a release.
_OPAQUE = ("helm.sh", "Release")


@dataclass(slots=True)
class PodSpecs:
    """The pod specs of one object, in the order of their paths, and the paths that could not be read."""

    specs: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    unclear: list[str] = field(default_factory=list[str])


def pod_specs(resource: Registered) -> PodSpecs:
    """All pod specs of the object, at any depth."""
    found = PodSpecs()
    if (api_group(resource), kind_of(resource)) == _OPAQUE:
        found.unclear.append("the pods of a Helm release are not among the registered resources")
    if not _may_hold_pods(resource):
        return found
    rest: list[tuple[str, Any]] = [(key, resource.props.get(key)) for key in ("template", "spec")]
    while rest:
        path, value = rest.pop()
        if is_hidden(value):
            if path.rsplit(".", 1)[-1] in _ON_THE_WAY:
                found.unclear.append(f"{path} is not known")
            continue
        fields = mapping(value)
        if not _MARKS.isdisjoint(fields):
            found.specs.append(fields)
            found.unclear += [f"{path}.{key} is not known" for key in CONTAINERS if is_hidden(fields.get(key))]
        inner = [(f"{path}.{key}", item) for key, item in fields.items() if key not in CONTAINERS]
        inner += [(f"{path}[{place}]", item) for place, item in enumerate(listing(value))]
        rest += reversed([(where, item) for where, item in inner if isinstance(item, Mapping | list | tuple)])
    return found


def containers(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    """Every container of a pod spec with its name; None in place of one that is hidden."""
    for key in CONTAINERS:
        for place, entry in enumerate(listing(spec.get(key))):
            container = mapping(entry)
            name = container.get("name")
            shown = name if isinstance(name, str) else f"{key}[{place}]"
            if is_hidden(entry):
                yield shown, None
            elif container:
                yield shown, container


def _may_hold_pods(resource: Registered) -> bool:
    group = api_group(resource)
    custom = "." in group and not group.endswith(".k8s.io")
    return custom or kind_of(resource) in _WORKLOADS.get(group, ())
