"""AMD's device plugin: advertises GPUs whose driver is on the node already.

Facts: ROCm/k8s-device-plugin k8s-ds-amdgpu-dp-health.yaml (mounts, arguments; /dev for the health check, hence
privileged) and its Helm chart amd-gpu; image 1.31.0.9.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from espalier.addons.device_plugin import KUBELET_PLUGINS, NoOptions, plugin_objects
from espalier.types import AddonInputs, AddonRecord, Planned

NAME: Final = "amd-device-plugin"
VERSION: Final = "1.31.0.9"
DEVICE: Final = "amd.com/gpu"


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The plugin on all pools of AMD's GPUs."""
    pools = [pool for pool in inputs.pools if pool.vendor == "amd"]
    container = {
        "name": "plugin",
        "image": f"docker.io/rocm/k8s-device-plugin:{VERSION}",
        "imagePullPolicy": "IfNotPresent",
        "workingDir": "/root",
        "command": ["./k8s-device-plugin"],
        "args": ["-logtostderr=true", "-stderrthreshold=INFO", "-v=5", "-pulse=2"],
        "securityContext": {"privileged": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "plugins", "mountPath": KUBELET_PLUGINS},
            {"name": "sys", "mountPath": "/sys"},
            {"name": "dev", "mountPath": "/dev"},
        ],
    }
    return plugin_objects(NAME, VERSION, pools, container, {"plugins": KUBELET_PLUGINS, "sys": "/sys", "dev": "/dev"})


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="accelerators",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/ROCm/k8s-device-plugin",
    options=NoOptions,
    objects=objects,
    provides=frozenset({f"device-plugin/{DEVICE}"}),
    privileged_namespaces=frozenset({NAME}),
    reaches=frozenset({DEVICE}),
)
