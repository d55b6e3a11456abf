"""What records change of upstream's manifests that take no values: a controller as it should run here."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from espalier.addons.placement import apart, staying_affinity, system_tolerations

_NOBODY: Final = 65532
"""The user `nonroot` of distroless images."""


def controller(
    manifest: Mapping[str, Any], *, arguments: Sequence[str] = (), requests: Mapping[str, str], memory: str
) -> dict[str, Any]:
    """A Deployment of one container: two pods apart on nodes that stay, without rights over their node.

    `arguments` come after upstream's own; `memory` is the limit.
    """
    changed = copy.deepcopy(dict(manifest))
    changed["spec"]["replicas"] = 2
    pod = changed["spec"]["template"]["spec"]
    pod["affinity"] = staying_affinity()
    pod["tolerations"] = system_tolerations()
    pod["topologySpreadConstraints"] = apart(changed["spec"]["selector"]["matchLabels"])
    pod["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": _NOBODY,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (container,) = pod["containers"]
    container["args"] = [*container.get("args", ()), *arguments]
    container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container["resources"] = {"requests": dict(requests), "limits": {"memory": memory}}
    return changed


def labelled(manifest: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """An object with further labels."""
    changed = copy.deepcopy(dict(manifest))
    changed["metadata"]["labels"] = {**(changed["metadata"].get("labels") or {}), **labels}
    return changed


def placed(manifest: Mapping[str, Any], *, replicas: int = 2) -> dict[str, Any]:
    """A Deployment on nodes that stay, its pods apart. Requests and rights of its containers are upstream's."""
    changed = copy.deepcopy(dict(manifest))
    changed["spec"]["replicas"] = replicas
    pod = changed["spec"]["template"]["spec"]
    pod["affinity"] = staying_affinity()
    pod["tolerations"] = system_tolerations()
    if replicas > 1:
        pod["topologySpreadConstraints"] = apart(changed["spec"]["selector"]["matchLabels"])
    for container in pod["containers"]:
        container.setdefault("resources", {}).setdefault("requests", {"cpu": "20m", "memory": "128Mi"})
    return changed


def stamped(manifest: Mapping[str, Any], content: str) -> dict[str, Any]:
    """A Deployment whose pods are replaced when this text changes, which they read at their start alone."""
    changed = copy.deepcopy(dict(manifest))
    about = changed["spec"]["template"]["metadata"]
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    about["annotations"] = {**about.get("annotations", {}), "espalier.dev/configuration": digest}
    return changed
