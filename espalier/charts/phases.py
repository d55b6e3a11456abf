"""The order in which an add-on's objects are applied: in phases, each ready before the next.

1. its namespaces; 2. definitions; 3. identities, rights and configuration, and what Espalier itself writes; 4. hooks
of before, by weight; 5. workloads, what leads to them, webhooks, and custom resources of others; 6. custom resources
of its own definitions, which its own webhooks judge; 7. hooks of after, by weight.

Webhooks and custom resources of others come along with the workloads, not after them: certificates that a workload
waits for are such resources, and some controllers are not ready until their webhook's configuration is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from espalier.charts.objects import CRD, Object, scopes_of
from espalier.charts.tool import Item
from espalier.content import Content, reference
from espalier.types import Planned

_CONFIGURATION = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "CSIDriver",
        "DeviceClass",
        "IngressClass",
        "LimitRange",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PriorityClass",
        "ResourceQuota",
        "Role",
        "RoleBinding",
        "RuntimeClass",
        "Secret",
        "ServiceAccount",
        "StorageClass",
    }
)
_KUBERNETES_OWN = ("default", "kube-system", "kube-public", "kube-node-lease")
_WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")

Phase = tuple[int, int]
"""The phase, and a hook's weight within it."""


def in_order(content: Content, objects: Sequence[Object], own: Sequence[Planned]) -> tuple[Planned, ...]:
    """All objects of an add-on, each with what must be ready before it.

    `own` are objects that the record itself writes; they keep their needs of one another and come before workloads,
    but for custom resources of its own definitions.
    """
    groups = {key.rpartition("/")[0] for key in scopes_of(Item(o.source, False, o.manifest) for o in objects)}
    phases: dict[Phase, list[Planned]] = {}
    for obj in [*_namespace(content, objects), *objects]:
        planned = Planned(reference(obj.manifest), obj.manifest, retain=obj.retain)
        phases.setdefault(_phase(obj, groups), []).append(planned)
    for planned in own:
        group = str(planned.manifest["apiVersion"]).rpartition("/")[0]
        phases.setdefault((6 if group in groups else 3, 0), []).append(planned)
    ordered: list[Planned] = []
    before: tuple[str, ...] = ()
    for _, members in sorted(phases.items()):
        for planned in _sorted(members, own):
            needs = tuple(dict.fromkeys((*before, *planned.needs)))
            ordered.append(Planned(planned.suffix, planned.manifest, needs, planned.retain))
        before = tuple(planned.suffix for planned in members) or before
    return tuple(ordered)


def _sorted(members: Sequence[Planned], own: Sequence[Planned]) -> list[Planned]:
    """By name; the record's own objects after the others and in their own order, since they need one another."""
    suffixes = {planned.suffix for planned in own}
    others = sorted((p for p in members if p.suffix not in suffixes), key=lambda p: p.suffix)
    return [*others, *(planned for planned in members if planned.suffix in suffixes)]


def _namespace(content: Content, objects: Sequence[Object]) -> list[Object]:
    """The release's namespace, unless it is there by other means. It stays where something in it is to stay."""
    name = content.namespace
    brought = any(obj.kind == "Namespace" and obj.manifest["metadata"]["name"] == name for obj in objects)
    if brought or not content.create_namespace or name in _KUBERNETES_OWN:
        return []
    metadata: dict[str, Any] = {"name": name}
    if content.namespace_labels:
        metadata["labels"] = dict(sorted(content.namespace_labels.items()))
    stays = any(obj.retain and obj.manifest["metadata"].get("namespace") == name for obj in objects)
    return [Object("namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, retain=stays)]


def _phase(obj: Object, groups: set[str]) -> Phase:
    if obj.hook:
        return (4 if obj.hook == "before" else 7), obj.weight
    if obj.kind == "Namespace":
        return 1, 0
    if obj.kind == CRD:
        return 2, 0
    group = str(obj.manifest["apiVersion"]).rpartition("/")[0]
    if group in groups:
        return 6, 0
    return (3 if obj.kind in _CONFIGURATION else 5), 0


def withheld(objects: Iterable[Object]) -> tuple[list[Object], list[str]]:
    """For a cluster that runs no containers: what is left, and what would block it, by name.

    A webhook or an API whose server is a Service of pods has nobody to answer; so has a definition's conversion.
    """
    kept: list[Object] = []
    out: list[str] = []
    for obj in objects:
        if _is_served_by_pods(obj.manifest):
            out.append(reference(obj.manifest))
        elif obj.kind == CRD and _converts_by_pods(obj.manifest):
            out.append(f"conversion of {reference(obj.manifest)}")
            spec = {key: value for key, value in obj.manifest["spec"].items() if key != "conversion"}
            kept.append(Object(obj.source, {**obj.manifest, "spec": spec}, obj.hook, obj.weight, obj.retain))
        else:
            kept.append(obj)
    return kept, sorted(out)


def _is_served_by_pods(manifest: Mapping[str, Any]) -> bool:
    if manifest["kind"] == "APIService":
        return bool(manifest.get("spec", {}).get("service"))
    hooks = manifest.get("webhooks") or []
    return manifest["kind"] in _WEBHOOKS and any(hook.get("clientConfig", {}).get("service") for hook in hooks)


def _converts_by_pods(manifest: Mapping[str, Any]) -> bool:
    conversion = manifest["spec"].get("conversion") or {}
    return bool((conversion.get("webhook") or {}).get("clientConfig", {}).get("service"))
