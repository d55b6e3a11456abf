"""Registers planned objects as plain Kubernetes resources.

They are registered by token and not through pulumi_kubernetes' typed classes: the objects are complete already, the
provider takes the same inputs, and importing the typed classes costs more than a whole plan (0.35 s for core/v1 alone).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

from espalier.types import Planned

PROVIDER_VERSION = "4.34.2"
"""Version of the Kubernetes provider's plugin; the same as that of the pinned Python package, held by a test."""


def token_of(manifest: Mapping[str, Any]) -> str:
    """Pulumi's type token of an object, such as kubernetes:apps/v1:DaemonSet."""
    group_version = manifest["apiVersion"]
    return f"kubernetes:{'core/v1' if group_version == 'v1' else group_version}:{manifest['kind']}"


def register(
    component: pulumi.ComponentResource,
    name: str,
    planned: Iterable[Planned],
    provider: pulumi.ProviderResource | None = None,
) -> dict[str, pulumi.CustomResource]:
    """Registers each object as `<name>-<suffix>`, a child of `component`; returns them by suffix.

    An object must come after those that it needs. Without `provider` they inherit the component's.
    """
    made: dict[str, pulumi.CustomResource] = {}
    for item in planned:
        options = pulumi.ResourceOptions(
            parent=component,
            provider=provider,
            depends_on=[made[need] for need in item.needs],
            retain_on_delete=item.retain or None,
            version=PROVIDER_VERSION,
        )
        made[item.suffix] = pulumi.CustomResource(
            token_of(item.manifest), f"{name}-{item.suffix}", dict(item.manifest), options
        )
    return made


def namespace_name(namespace: pulumi.CustomResource) -> pulumi.Output[str]:
    """The live namespace's name: whoever reads it waits for the namespace."""
    metadata: pulumi.Output[dict[str, Any]] = vars(namespace)["metadata"]
    return metadata["name"]
