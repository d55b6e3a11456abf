"""AWS's EFA device plugin: advertises a node's Elastic Fabric Adapters, by which NCCL talks between nodes.

Facts: aws/eks-charts stable/aws-efa-k8s-device-plugin (image v0.5.8; machines of Neuron devices need it privileged).
The image lies in the registry of AWS's add-ons account, 602401143452, of the cluster's region.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from espalier.addons.device_plugin import KUBELET_PLUGINS, NoOptions, plugin_objects
from espalier.types import AddonInputs, AddonRecord, Planned

NAME: Final = "aws-efa-device-plugin"
VERSION: Final = "0.5.8"
DEVICE: Final = "vpc.amazonaws.com/efa"
_PLAIN: Final[dict[str, Any]] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_PRIVILEGED: Final[dict[str, Any]] = {"privileged": True, "runAsUser": 0}


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The plugin on all pools whose nodes have EFA interfaces."""
    pools = [pool for pool in inputs.pools if any(DEVICE in shape.capacity for shape in pool.shapes)]
    neuron = any(pool.vendor == "aws" for pool in pools)
    region = inputs.facts.region
    container = {
        "name": "plugin",
        "image": f"602401143452.dkr.ecr.{region}.amazonaws.com/eks/aws-efa-k8s-device-plugin:v{VERSION}",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": _PRIVILEGED if neuron else _PLAIN,
        "resources": {"requests": {"cpu": "10m", "memory": "20Mi"}},
        "volumeMounts": [
            {"name": "plugins", "mountPath": KUBELET_PLUGINS},
            {"name": "infiniband", "mountPath": "/dev/infiniband"},
        ],
    }
    volumes = {"plugins": KUBELET_PLUGINS, "infiniband": "/dev/infiniband"}
    return plugin_objects(NAME, VERSION, pools, container, volumes)


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="accelerators",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/aws/eks-charts",
    options=NoOptions,
    objects=objects,
    provides=frozenset({f"device-plugin/{DEVICE}"}),
    privileged_namespaces=frozenset({NAME}),
    reaches=frozenset({DEVICE}),
)
