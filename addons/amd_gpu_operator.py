"""AMD's GPU operator: device plugin and metrics of AMD's GPUs whose driver is on the node already.

Facts: ROCm/gpu-operator v1.5.1: helm-charts-k8s (values.yaml, hooks), docs/installation/kubernetes-helm.md (without
KMM: kmm.enabled and kmm.watch false; pinned images), docs on virtual functions (amd-vgpu). Its installing of drivers
(KMM) builds images into a registry of one's own, and its remediation brings Argo's definitions: both are off. Its
post-delete hook deletes all definitions of Argo and of node feature discovery, other add-ons' data with them: dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from espalier.addons.device_plugin import NoOptions
from espalier.addons.tolerations import tolerations_of
from espalier.content import ChartSource, Content
from espalier.types import AddonInputs, AddonRecord, Manifest

NAME: Final = "amd-gpu-operator"
VERSION: Final = "v1.5.1"
NAMESPACE: Final = "kube-amd-gpu"
DEVICE: Final = "amd.com/gpu"
_IMAGES: Final = {
    "plugin": "docker.io/rocm/k8s-device-plugin:1.31.0.9",
    "metrics": "docker.io/rocm/device-metrics-exporter:v1.5.0",
    "utils": "docker.io/rocm/amd-gpu-operator-utils:v1.3.1",
}
"""The chart's own are `latest`."""


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart: the parts that are its own here, on nodes with AMD's GPUs, whatever else taints them."""
    tolerations = tolerations_of([pool for pool in inputs.pools if pool.vendor == "amd"])
    found = "amd-vgpu" if inputs.facts.kind == "aks" else "amd-gpu"  # Azure's machines have virtual functions
    return {
        "node-feature-discovery": {"enabled": False},
        "kmm": {"enabled": False, "watch": False},
        "remediation": {"enabled": False, "installCRDs": False},
        "controllerManager": {"manager": {"imagePullPolicy": "IfNotPresent"}},
        "deviceConfig": {
            "spec": {
                "selector": {f"feature.node.kubernetes.io/{found}": "true"},
                "driver": {"enable": False},
                "commonConfig": {"utilsContainer": {"image": _IMAGES["utils"]}},
                "devicePlugin": {
                    "devicePluginImage": _IMAGES["plugin"],
                    "devicePluginTolerations": tolerations,
                    "enableNodeLabeller": False,
                },
                "metricsExporter": {"image": _IMAGES["metrics"], "tolerations": tolerations},
            }
        },
    }


def operands(manifest: Manifest) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The DaemonSets that the operator makes of its configuration; their nodes' label is discovery's."""
    if manifest["kind"] != "DeviceConfig":
        return
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    plugin: Mapping[str, Any] = spec.get("devicePlugin") or {}
    yield "device-plugin", {"spec": {"tolerations": plugin.get("devicePluginTolerations") or []}}


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="accelerators",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/ROCm/gpu-operator",
    options=NoOptions,
    content=Content(
        source=ChartSource("gpu-operator-charts", VERSION, "https://rocm.github.io/gpu-operator"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "privileged"},
        release=NAME,
        values=values,
        hooks={"*": "drop"},
    ),
    needs=frozenset({"node-feature-discovery"}),
    conflicts={"amd-device-plugin": "the operator starts a plugin of its own, and each would hand out all devices"},
    provides=frozenset({f"device-plugin/{DEVICE}", f"metrics/{DEVICE}"}),
    privileged_namespaces=frozenset({NAMESPACE}),
    reaches=frozenset({DEVICE}),
    operands=operands,
)
