"""What a node's device plugin advertises, once its devices are shared."""

from __future__ import annotations

from espalier.catalogue import Accelerator
from espalier.settings.pool import Sharing


def advertised(accelerator: Accelerator | None, count: int, sharing: Sharing | None) -> dict[str, int]:
    """The devices that one node's plugin advertises, after sharing; `count` is how many the node has.

    MIG is advertised by profile (strategy "mixed"), so that a slice and a whole device are never mistaken for one
    another; time slices and MPS multiply the plain resource. Source: NVIDIA/k8s-device-plugin v0.20.0 README and
    internal/rm (a "+" in a profile becomes "." in the resource's name).
    """
    if accelerator is None:
        return {}
    if sharing and sharing.mig:
        profile = sharing.mig.removeprefix("all-")
        return {f"nvidia.com/mig-{profile.replace('+', '.')}": count * accelerator.mig[profile]}
    copies = (sharing.time_slices or sharing.mps or 1) if sharing else 1
    return {accelerator.resource: count * copies}
