"""AWS Neuron's device plugin: advertises Trainium and Inferentia devices and their cores to the kubelet.

Facts: aws-neuron/neuron-helm-charts 1.9.0 (device plugin 2.31.0.0, Neuron SDK 2.31.0); aws-neuron-sdk
src/k8/k8s-neuron-device-plugin.yml and -rbac.yml (mounts, environment, rules).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from espalier.addons.device_plugin import KUBELET_PLUGINS, NoOptions, plugin_objects
from espalier.types import AddonInputs, AddonRecord, Planned

NAME: Final = "neuron-device-plugin"
VERSION: Final = "2.31.0.0"
DEVICE: Final = "aws.amazon.com/neuron"
_RULES: Final[tuple[dict[str, Any], ...]] = (
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch", "update"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "patch", "update"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
)


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The plugin on all pools of AWS's own accelerators."""
    pools = [pool for pool in inputs.pools if pool.vendor == "aws"]
    container = {
        "name": "plugin",
        "image": f"public.ecr.aws/neuron/neuron-device-plugin:{VERSION}",
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "plugins", "mountPath": KUBELET_PLUGINS},
            {"name": "run", "mountPath": "/run"},
        ],
    }
    return plugin_objects(NAME, VERSION, pools, container, {"plugins": KUBELET_PLUGINS, "run": "/run"}, _RULES)


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="accelerators",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/aws-neuron/neuron-helm-charts",
    options=NoOptions,
    objects=objects,
    provides=frozenset({f"device-plugin/{DEVICE}"}),
    privileged_namespaces=frozenset({NAME}),
    reaches=frozenset({DEVICE}),
)
