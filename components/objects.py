"""Registers planned objects as plain Kubernetes resources.

They are registered by token and not through pulumi_kubernetes' typed classes: the objects are complete already, the
provider takes the same inputs, and importing the typed classes costs more than a whole plan (0.35 s for core/v1 alone).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi

from espalier.content import Release
from espalier.engine.shelf import shelved
from espalier.types import Planned

PROVIDER_VERSION = "4.34.2"
"""Version of the Kubernetes provider's plugin; the same as that of the pinned Python package, held by a test."""
_DEFINITION = "CustomResourceDefinition"
_SECRET = {"$secret": True}
RELEASE_SECONDS = 600
"""How long Helm waits for a release to be ready."""


def token_of(manifest: Mapping[str, Any]) -> str:
    """Pulumi's type token of an object, such as kubernetes:apps/v1:DaemonSet."""
    group_version = manifest["apiVersion"]
    return f"kubernetes:{'core/v1' if group_version == 'v1' else group_version}:{manifest['kind']}"


def register(
    component: pulumi.ComponentResource,
    name: str,
    planned: Iterable[Planned],
    provider: pulumi.ProviderResource | None = None,
    after: Sequence[pulumi.Resource] = (),
) -> dict[str, pulumi.CustomResource]:
    """Registers each object as `<name>-<suffix>`, a child of `component`; returns them by suffix.

    An object must come after those that it needs, and comes after all of `after`. Without `provider` they inherit the
    component's.
    """
    made: dict[str, pulumi.CustomResource] = {}
    for item in planned:
        options = pulumi.ResourceOptions(
            parent=component,
            provider=provider,
            depends_on=[*after, *(made[need] for need in item.needs)],
            retain_on_delete=item.retain or None,
            version=PROVIDER_VERSION,
        )
        inputs = shelved(item.manifest) if item.manifest["kind"] == _DEFINITION else dict(item.manifest)
        made[item.suffix] = pulumi.CustomResource(token_of(item.manifest), f"{name}-{item.suffix}", inputs, options)
    return made


def register_release(
    component: pulumi.ComponentResource, name: str, release: Release, after: Iterable[pulumi.CustomResource]
) -> None:
    """Registers a chart that Helm installs, once `after` is ready. Its namespace and definitions are among these.

    A release that fails is rolled back, and a first one removed, so that the next run begins anew.
    """
    properties = {
        "name": release.name,
        "namespace": release.namespace,
        "chart": _from_here(release.chart),
        "description": release.digest,  # the provider compares paths: a folder may change beneath its own
        "values": dict(release.values),
        "skipCrds": True,
        "skipAwait": False,
        "atomic": True,
        "timeout": RELEASE_SECONDS,
        "maxHistory": 10,
        "compat": "true",  # as the typed class has it
    }
    options = pulumi.ResourceOptions(parent=component, depends_on=list(after), version=PROVIDER_VERSION)
    pulumi.CustomResource("kubernetes:helm.sh/v3:Release", name, properties, options)


def rendered(release: Release) -> list[dict[str, Any]]:
    """Its objects and hooks as policies judge them; the values that Secrets hold are hidden."""
    return [_hidden(obj) for obj in (*release.objects, *release.hooks)]


def _from_here(path: Path) -> str:
    """Relative to the project where it lies within, so that the input is the same on every machine."""
    whole, here = path.resolve(), Path.cwd().resolve()
    return f"./{whole.relative_to(here).as_posix()}" if whole.is_relative_to(here) else str(whole)


def _hidden(obj: Mapping[str, Any]) -> dict[str, Any]:
    if obj["kind"] != "Secret":
        return dict(obj)
    held = {key: dict.fromkeys(obj[key], _SECRET) for key in ("data", "stringData") if obj.get(key)}
    return {**obj, **held}


def namespace_name(namespace: pulumi.CustomResource) -> pulumi.Output[str]:
    """The live namespace's name: whoever reads it waits for the namespace."""
    metadata: pulumi.Output[dict[str, Any]] = vars(namespace)["metadata"]
    return metadata["name"]
