"""What GKE asks for before it admits pods of critical priority: a quota for them in their namespace.

Elsewhere a pod outside kube-system is refused, and its DaemonSet stays without pods. Source: NVIDIA, "GPU Operator with
Google GKE"; GoogleCloudPlatform/cluster-toolkit, the NVIDIA DRA driver's manifests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from espalier.blueprint import names
from espalier.content import reference
from espalier.types import AddonPlan, Manifest, Planned

_CRITICAL: Final = ("system-node-critical", "system-cluster-critical")


def admit_critical(addon: AddonPlan) -> AddonPlan:
    """The add-on with a quota in each namespace that needs one; what runs there comes after it."""
    wanted = sorted({namespace for manifest in addon.manifests for namespace in _critical_in(manifest)})
    if not wanted:
        return addon
    namespaces = {
        planned.manifest["metadata"]["name"]: planned.suffix
        for planned in addon.objects
        if planned.manifest["kind"] == "Namespace"
    }
    quotas = {namespace: _planned(namespace, namespaces.get(namespace)) for namespace in wanted}
    facts = replace(
        addon.facts, objects=(*addon.facts.objects, *(reference(quota.manifest) for quota in quotas.values()))
    )
    return replace(addon, objects=tuple(_placed(addon.objects, quotas)), facts=facts)


def _placed(objects: Sequence[Planned], quotas: Mapping[str, Planned]) -> Iterator[Planned]:
    """Namespaces first, then the quotas, then what runs in them: an object comes after those that it needs."""
    yield from (one for one in objects if one.manifest["kind"] == "Namespace")
    yield from quotas.values()
    for one in objects:
        if one.manifest["kind"] == "Namespace":
            continue
        further = tuple(quotas[namespace].suffix for namespace in _critical_in(one.manifest))
        yield replace(one, needs=(*one.needs, *further)) if further else one


def _critical_in(manifest: Manifest) -> list[str]:
    """The namespace where a workload's pods have critical priority; none for kube-system, which GKE itself admits."""
    spec = manifest.get("spec")
    template = spec.get("template") if isinstance(spec, Mapping) else None
    pod: Any = template.get("spec") if isinstance(template, Mapping) else None
    namespace = manifest.get("metadata", {}).get("namespace", "default")
    critical = isinstance(pod, Mapping) and pod.get("priorityClassName") in _CRITICAL
    return [namespace] if critical and namespace != "kube-system" else []


def _planned(namespace: str, made_by: str | None) -> Planned:
    selector = {"operator": "In", "scopeName": "PriorityClass", "values": list(_CRITICAL)}
    return Planned(
        f"critical-pods-{namespace}",
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "gcp-critical-pods", "namespace": namespace, "labels": dict(names.MANAGED_BY)},
            "spec": {"hard": {"pods": "1000"}, "scopeSelector": {"matchExpressions": [selector]}},
        },
        needs=(made_by,) if made_by else (),
    )
