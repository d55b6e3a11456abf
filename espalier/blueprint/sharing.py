"""What a node's device plugin advertises, once its devices are shared: computed here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from espalier.catalogue import Accelerator
from espalier.catalogue.model import MigProfile
from espalier.settings.pool import Sharing

BALANCED: Final = "all-balanced"
"""A geometry of NVIDIA's MIG manager: two small slices, and one of each next size."""


def advertised(accelerator: Accelerator | None, count: int, sharing: Sharing | None) -> dict[str, int]:
    """The devices that one node's plugin advertises, after sharing; `count` is how many the node has.

    MIG is advertised by profile (strategy "mixed"), so that a slice and a whole device are never mistaken for one
    another; time slices and MPS multiply the plain resource. Source: NVIDIA/k8s-device-plugin v0.20.0 README and
    internal/rm (a "+" in a profile becomes "." in the resource's name).
    """
    if accelerator is None:
        return {}
    if sharing and sharing.mig:
        slices = geometry(accelerator, sharing.mig)
        return {slice_name(profile): count * number for profile, number in slices.items()}
    copies = (sharing.time_slices or sharing.mps or 1) if sharing else 1
    return {accelerator.resource: count * copies}


def slice_name(profile: str) -> str:
    """The resource by which a slice of this profile is asked for."""
    return f"nvidia.com/mig-{profile.replace('+', '.')}"


def geometries(accelerator: Accelerator) -> tuple[str, ...]:
    """All that a pool may write as `mig`; nothing for what has no MIG."""
    balanced = (BALANCED,) if accelerator.profiles else ()
    return (*(f"all-{profile}" for profile in accelerator.mig), *balanced)


def geometry(accelerator: Accelerator, mig: str) -> Mapping[str, int]:
    """Profile -> slices a device. Source: NVIDIA/mig-parted v0.15.0, deployments/systemd/config-default.yaml."""
    if mig != BALANCED:
        profile = mig.removeprefix("all-")
        return {profile: accelerator.mig[profile]}
    return {profile.name: 2 if profile.slices == 1 else 1 for profile in _balanced(accelerator)}


def _balanced(accelerator: Accelerator) -> list[MigProfile]:
    """The plainest profile of one, two and three compute slices: no extras, the least memory. A30 has none of three."""
    plain = [profile for profile in accelerator.profiles if "+" not in profile.name and "-" not in profile.name]
    sizes = {profile.slices for profile in plain} & {1, 2, 3}
    return [
        min((one for one in plain if one.slices == size), key=lambda one: one.memory_slices) for size in sorted(sizes)
    ]


def shares(accelerator: Accelerator, sharing: Mapping[str, int | str], devices: Mapping[str, int]) -> dict[str, float]:
    """What part of a node's price one of each advertised device is; all that a node has come to 1.

    Slices of MIG count by their compute slices. Neuron's cores are another name for its devices, so each come to 1.
    """
    profiles = {slice_name(profile.name): profile.slices for profile in accelerator.profiles}
    if "mig" in sharing and devices.keys() <= profiles.keys():
        total = sum(profiles[name] * number for name, number in devices.items())
        return {name: profiles[name] / total for name in devices}
    return {name: 1 / number for name, number in devices.items()}
