"""Kubernetes objects among the resources: which object a registration means, and what a plan knows of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from espalier.engine.model import Resource
from espalier.engine.values import UNKNOWN, Json, Secret
from espalier.kube.kinds import Kind, kind_named

PREFIX = "kubernetes:"
_REMOTE_MODULES = ("yaml", "helm.sh", "kustomize")
_NAME_LIMIT = 63
AUTO_NAMED = "pulumi.com/autonamed"
"""The annotation that Pulumi's provider, too, puts on an object that it named."""
# Kinds of Kubernetes' own groups that have no namespace (kubernetes 1.36, `kubectl api-resources`).
CLUSTER_SCOPED = frozenset(
    {
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "CustomResourceDefinition",
        "DeviceClass",
        "DeviceTaintRule",
        "FlowSchema",
        "IPAddress",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "ResourceSlice",
        "RuntimeClass",
        "ServiceCIDR",
        "StorageClass",
        "StorageVersionMigration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
    }
)
# What the API server fills in under `metadata`, and under `spec` of some kinds.
_COMPUTED_METADATA = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
_COMPUTED_SPEC: Mapping[str, tuple[str, ...]] = {
    "Node": ("podCIDR", "podCIDRs"),
    "PersistentVolumeClaim": ("storageClassName", "volumeName"),
    "Pod": ("nodeName", "serviceAccountName"),
    "Service": ("clusterIP", "clusterIPs", "ipFamilies"),
}


def kind_of(resource: Resource) -> Kind | None:
    """The kind that a resource's token names, or None where it is no Kubernetes object.

    `kubernetes:core/v1:ConfigMap` is v1/ConfigMap, `kubernetes:apps/v1:Deployment` is
    apps/v1/Deployment. The inputs' own `apiVersion` and `kind`, where they are plain text, go before the
    token: a custom resource's token need not name its full group.
    """
    if not resource.custom or not resource.type.startswith(PREFIX):
        return None
    _, module, name = resource.type.split(":", 2)
    if is_remote(resource.type):
        return None
    api_version = resource.inputs.get("apiVersion")
    kind = resource.inputs.get("kind")
    return kind_named(
        api_version if isinstance(api_version, str) else module.removeprefix("core/"),
        kind if isinstance(kind, str) else name,
    )


@lru_cache(maxsize=4096)
def is_remote(type_: str) -> bool:
    """Tells whether a token stands for a chart or a bundle that only a plugin can expand."""
    module = type_.split(":", 2)[1].partition("/")[0] if type_.count(":") == 2 else ""
    return type_.startswith(PREFIX) and module in _REMOTE_MODULES


def is_patch(resource: Resource) -> bool:
    """Tells whether a resource patches an object of someone else: `NamespacePatch` and its sisters.

    The token ends in Patch while the inputs carry the plain kind.
    """
    name = resource.type.rpartition(":")[2]
    kind = resource.inputs.get("kind")
    return name.endswith("Patch") and (kind is None or kind == name.removesuffix("Patch"))


def namespaced(kind: Kind) -> bool | None:
    """Tells whether Kubernetes' own kinds have a namespace; None for kinds of others."""
    own = "." not in kind.group or kind.group.endswith(".k8s.io")
    if not own:
        return None
    return kind.kind not in CLUSTER_SCOPED


def is_auto_named(resource: Resource) -> bool:
    """Tells whether the program gives an object no name."""
    metadata = resource.inputs.get("metadata")
    return metadata is None or (
        isinstance(metadata, dict) and not metadata.get("name") and not metadata.get("generateName")
    )


def auto_name(resource: Resource, generation: int = 0) -> str:
    """The name of an object whose program gives none: the logical name and a hash of the URN.

    Pulumi draws random letters and keeps them in its state; here the same URN gives the same name, and each
    replacement, being another generation, another one.
    """
    seed = f"{resource.urn}#{generation}" if generation else resource.urn
    digest = hashlib.sha256(seed.encode()).hexdigest()[:8]
    base = re.sub(r"[^a-z0-9.-]+", "-", resource.name.lower()).strip("-.")
    return f"{base[: _NAME_LIMIT - len(digest) - 1]}-{digest}"


def manifest_of(resource: Resource, kind: Kind, name: str = "") -> dict[str, Json]:
    """The object as it is to be applied, with markers still in it: its kind and name are filled in.

    `name` is for an object whose program gives none; it is that of a plan where it is empty.
    """
    manifest = {key: value for key, value in resource.inputs.items() if key != "status"}
    manifest["apiVersion"] = kind.api_version
    manifest["kind"] = kind.kind
    if is_auto_named(resource):
        metadata: dict[str, Json] = manifest.get("metadata") or {}
        annotations = metadata.get("annotations")
        marked = {AUTO_NAMED: "true"}
        manifest["metadata"] = {
            **metadata,
            "name": name or auto_name(resource),
            "annotations": {**annotations, **marked} if isinstance(annotations, dict) else marked,
        }
    return manifest


def plan_id(manifest: Mapping[str, Json], kind: Kind) -> str:
    """The id as far as a plan knows it, `namespace/name` or `name`; empty while unknown."""
    metadata: Any = manifest.get("metadata")
    if not isinstance(metadata, dict):
        return ""
    name: Json = metadata.get("name")
    namespace: Json = metadata.get("namespace")
    if not isinstance(name, str):
        return ""
    scope = namespaced(kind)
    if namespace is None and scope is None:
        return ""
    if scope is False or (namespace is None and not scope):
        return name
    if namespace is None:
        namespace = "default"
    return f"{namespace}/{name}" if isinstance(namespace, str) else ""


def plan_outputs(manifest: Mapping[str, Json], kind: Kind, resource: Resource) -> dict[str, Json]:
    """The outputs as far as a plan knows them: the inputs, and unknown what the API server fills in."""
    outputs = dict(manifest)
    metadata: Any = outputs.get("metadata")
    if isinstance(metadata, dict):
        filled: dict[str, Json] = dict.fromkeys(_COMPUTED_METADATA, UNKNOWN) | metadata
        if "namespace" not in filled and namespaced(kind):
            filled["namespace"] = "default"
        outputs["metadata"] = filled
    computed = _COMPUTED_SPEC.get(kind.kind, ())
    spec: Any = outputs.get("spec")
    if computed and isinstance(spec, dict):
        outputs["spec"] = dict.fromkeys(computed, UNKNOWN) | spec
    if kind.kind == "Secret":
        mark_secret(outputs)
    mark_secret(outputs, resource.options.get("additionalSecretOutputs", ()))
    return outputs


def marked_inputs(type_: str, inputs: dict[str, Json]) -> dict[str, Json]:
    """The inputs with the values of a Secret marked, as the typed class of Pulumi's Kubernetes SDK marks them."""
    if type_ != f"{PREFIX}core/v1:Secret":
        return inputs
    marked = dict(inputs)
    for key in ("data", "stringData"):
        values = marked.get(key)
        if isinstance(values, dict):
            marked[key] = {name: item if isinstance(item, Secret) else Secret(item) for name, item in values.items()}
    return marked


def mark_secret(outputs: dict[str, Json], names: Iterable[str] = ("data", "stringData")) -> None:
    """Marks outputs secret; the data of a Secret, which neither the API server nor the SDK does, unless others."""
    for key in names:
        value = outputs.get(key)
        if value is not None and not isinstance(value, Secret):
            outputs[key] = Secret(value)
