"""Finalizers that hold a deletion up: who set them, what to do, and taking them off when told to."""

from __future__ import annotations

import json
from typing import Any

from espalier.kube import Client, Manifest, Reference

# These are taken off by Kubernetes' own controllers, which live as long as the cluster does.
_BUILT_IN = frozenset(
    {
        "batch.kubernetes.io/job-tracking",
        "customresourcecleanup.apiextensions.k8s.io",
        "foregroundDeletion",
        "kubernetes",
        "kubernetes.io/pv-protection",
        "kubernetes.io/pvc-protection",
        "orphan",
    }
)


def foreign(obj: Manifest) -> list[str]:
    """The finalizers that some controller other than Kubernetes' own has to take off."""
    return [name for name in obj["metadata"].get("finalizers") or () if name not in _BUILT_IN]


def advice(client: Client, reference: Reference, obj: Manifest) -> str:
    """Says who set the finalizers and how to go on without that controller."""
    names = foreign(obj)
    who = _setters(obj)
    held = f"{reference} is held by the finalizer{'s' if len(names) > 1 else ''} {', '.join(names)}"
    held += f", set by {' and '.join(who)}" if who else ""
    command = f"kubectl patch {_plural(client, reference)} {reference.name}"
    command += f" -n {reference.namespace}" if reference.namespace else ""
    patch = json.dumps({"metadata": {"finalizers": _rest(obj) or None}}, separators=(",", ":"))
    return (
        f"{held}; if that controller is gone, clean up what it would have (outside the cluster, too), then: "
        f"{command} --type merge -p '{patch}', or say --remove-finalizers"
    )


def strip(client: Client, reference: Reference, obj: Manifest) -> None:
    """Takes off what `foreign` lists, of this very object. Raises KubeError."""
    body: dict[str, Any] = {"metadata": {"uid": obj["metadata"]["uid"], "finalizers": _rest(obj) or None}}
    client.patch(reference.kind, reference.name, body, namespace=reference.namespace)


def _rest(obj: Manifest) -> list[str]:
    return [name for name in obj["metadata"].get("finalizers") or () if name in _BUILT_IN]


def _setters(obj: Manifest) -> list[str]:
    """The field managers that own the finalizers."""
    names = {
        str(entry.get("manager"))
        for entry in obj["metadata"].get("managedFields") or ()
        if "f:finalizers" in (entry.get("fieldsV1") or {}).get("f:metadata", {})
    }
    return sorted(names)


def _plural(client: Client, reference: Reference) -> str:
    plural = client.find(reference.kind).plural
    return f"{plural}.{reference.kind.group}" if reference.kind.group else plural
