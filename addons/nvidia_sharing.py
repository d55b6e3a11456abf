"""How NVIDIA's device plugin is told to share devices: one word and one configuration for each way.

The word is also the value of the label nvidia.com/device-plugin.config, by which the GPU operator's plugin picks its
configuration on a node. Facts: NVIDIA/k8s-device-plugin v0.20.0, api/config/v1 and README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

DEVICE: Final = "nvidia.com/gpu"


def config_name(sharing: Mapping[str, Any]) -> str:
    """One word for a way of sharing; profiles of MIG differ on the device, not in the plugin."""
    if "mig" in sharing:
        return "mig"
    return next((f"{how}-{copies}" for how, copies in sharing.items()), "whole")


def config_of(sharing: Mapping[str, Any]) -> dict[str, Any]:
    """The plugin's configuration file."""
    config: dict[str, Any] = {
        "version": "v1",
        "flags": {"migStrategy": "mixed" if "mig" in sharing else "none"},
    }
    for key, section in (("time-slices", "timeSlicing"), ("mps", "mps")):
        if key in sharing:
            entry = {"name": DEVICE, "replicas": sharing[key]}
            config["sharing"] = {section: {"failRequestsGreaterThanOne": True, "resources": [entry]}}
    return config
