"""Node feature discovery: labels each node by the hardware that it finds; operators choose their nodes by it.

Once a cluster: the operators of NVIDIA, AMD and Mellanox each bring one of their own, which is switched off.
Facts: kubernetes-sigs/node-feature-discovery v0.19.0, chart 0.19.0; gpu-operator v26.7.0 values.yaml (device classes,
extraLabelNs); its post-delete hook prunes labels, which a cluster that goes does not need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from espalier.addons.device_plugin import NoOptions
from espalier.addons.placement import staying_affinity, system_tolerations
from espalier.addons.tolerations import CONTROL_PLANE, tolerations_of
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord

NAME: Final = "node-feature-discovery"
VERSION: Final = "0.19.0"
_CLASSES: Final = ("02", "0200", "0207", "0300", "0302", "0380", "1200")
"""PCI classes: networks, InfiniBand, displays, 3D controllers, other displays (AMD's), processing accelerators."""


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart: a worker on every node, whatever its taints; the rest on nodes that stay."""
    staying = {"affinity": staying_affinity(), "tolerations": [CONTROL_PLANE, *system_tolerations()]}
    pci = {"deviceClassWhitelist": list(_CLASSES), "deviceLabelFields": ["vendor"]}
    return {
        "postDeleteCleanup": False,
        "priorityClassName": "system-node-critical",
        "master": {"config": {"extraLabelNs": ["nvidia.com"]}, **staying},
        "gc": staying,
        "worker": {
            "tolerations": [CONTROL_PLANE, *tolerations_of(inputs.pools)],
            "config": {"sources": {"pci": pci}},
        },
    }


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="accelerators",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/kubernetes-sigs/node-feature-discovery",
    options=NoOptions,
    content=Content(
        source=ChartSource(NAME, VERSION, "oci://registry.k8s.io/nfd/charts"),
        namespace=NAME,
        namespace_labels={"pod-security.kubernetes.io/enforce": "privileged"},
        values=values,
        facts=ContentFacts(
            crds=(
                "nodefeaturegroups.nfd.k8s-sigs.io",
                "nodefeaturerules.nfd.k8s-sigs.io",
                "nodefeatures.nfd.k8s-sigs.io",
            )
        ),
    ),
    provides=frozenset({NAME}),
    privileged_namespaces=frozenset({NAME}),
    everywhere=True,
)
