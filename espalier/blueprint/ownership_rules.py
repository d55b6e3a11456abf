"""Owners and drivers that cannot be: what a node image rules out, what a device's driver has dropped or does not know.

What depends on how add-ons are configured is in their own records (`AddonRecord.judges`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from espalier.blueprint.ownership import DEFAULT_OS, LAST_OF_VOLTA, NO_DRIVER_CONTAINER, VENDORS, os_of
from espalier.catalogue import Accelerator
from espalier.settings.pool import Pool
from espalier.types import Mistake

_LEAST: Final = {
    "B200": (570, "Blackwell"),
    "GB200": (570, "Blackwell"),
    "B300": (580, "Blackwell Ultra"),
    "GB300": (580, "Blackwell Ultra"),
    "RTX-PRO-6000": (575, "Blackwell"),
    "RTX-PRO-4500": (595, "RTX PRO 4500"),
}
"""Accelerator -> its first driver branch, and its architecture. Source: gpu-operator platform-support.rst (570.133.20
for B200, 575.57.08 for RTX PRO 6000); B300 from the R580 release notes; awslabs/amazon-eks-ami, doc/usage/g7-ami.md."""
_EKS_BRANCH: Final = 580
"""The branch in EKS's images for NVIDIA. Source: awslabs/amazon-eks-ami, CHANGELOG.md and doc/usage/g7-ami.md."""
_MIG_PROFILES: Final = 550
"""Branch 535 cannot list a device's MIG profiles, which the MIG manager generates from. Source: gpu-operator 26.3."""


def ownership_mistakes(pool: Pool, path: str, accelerator: Accelerator | None, kind: str) -> Iterator[Mistake]:
    """Drivers that cannot be on a pool's devices, and owners that a node image or the stack's add-ons rule out."""
    if accelerator is None:
        if pool.driver.owner or pool.driver.version or pool.driver.toolkit:
            do = "Remove `driver`, or name the pool's accelerator."
            yield Mistake(f"{path}.driver", "a driver for no device", "a pool with an accelerator", do)
        return
    yield from _image_mistakes(pool, path, accelerator, kind)
    yield from _toolkit_mistakes(pool, path, accelerator, kind)
    yield from _version_mistakes(pool, path, accelerator, kind)


def _image_mistakes(pool: Pool, path: str, accelerator: Accelerator, kind: str) -> Iterator[Mistake]:
    os, owner = os_of(pool, kind), pool.driver.owner
    where = f"{path}.driver.owner"
    if owner == "operator" and os == "cos":
        do = "Leave it to the cloud (GKE installs it), or set image: {os: ubuntu}."
        yield Mistake(where, "operator, on cos", "cloud: no driver container is made for Container-Optimized OS", do)
    elif owner == "operator" and os == "talos":
        do = "Write host, and bind the driver's system extensions to the Talos release."
        yield Mistake(
            where, "operator, on talos", "host: its image is immutable and holds the driver as extensions", do
        )
    elif owner == "operator" and os in NO_DRIVER_CONTAINER:
        do = "Leave it to the cloud, or choose an Ubuntu image where the cloud has one."
        yield Mistake(where, f"operator, on {os}", f"cloud: NVIDIA makes no driver container for {os}", do)
    elif owner == "cloud" and kind in ("existing", "simulated"):
        do = "Write host, or operator with an operator among the add-ons."
        yield Mistake(where, f"cloud, on a cluster of kind {kind}", "host or operator: no cloud makes these nodes", do)
    elif owner == "host" and kind == "gke" and os == "cos" and accelerator.vendor == "nvidia":
        return
    elif owner == "host" and kind in DEFAULT_OS and accelerator.vendor in VENDORS:
        do = "Write cloud, or operator."
        yield Mistake(where, f"host, on {kind}", "cloud or operator: nobody else touches the cloud's nodes", do)


def _toolkit_mistakes(pool: Pool, path: str, accelerator: Accelerator, kind: str) -> Iterator[Mistake]:
    """Whose images hold the toolkit, no operator may write over."""
    wish = pool.driver.toolkit
    where = f"{path}.driver.toolkit"
    if wish is None:
        return
    if accelerator.vendor != "nvidia":
        got = f"{wish}, for {accelerator.name}"
        yield Mistake(where, got, "nothing: only NVIDIA's devices have such a toolkit", "Remove it.")
    elif wish == "host" and kind in DEFAULT_OS:
        do = "Remove it; write operator where an operator is to bring it."
        yield Mistake(where, f"host, on {kind}", "nothing or operator: nobody else touches the cloud's nodes", do)
    elif wish == "operator" and _holds_a_toolkit(pool, kind):
        accepted = "nothing: the cloud's image holds the toolkit, and two would write one configuration"
        yield Mistake(where, f"operator, on {kind}", accepted, "Remove it.")


def _holds_a_toolkit(pool: Pool, kind: str) -> bool:
    """Whether the cloud's image holds the toolkit, or its own installer brings it."""
    if kind == "eks":
        return pool.image.os != "ubuntu"
    return kind == "gke" and pool.driver.owner not in ("operator", "host")


def _version_mistakes(pool: Pool, path: str, accelerator: Accelerator, kind: str) -> Iterator[Mistake]:
    version = pool.driver.version
    where = f"{path}.driver.version"
    if kind == "eks" and isinstance(pool.machine, str) and pool.machine.startswith("g7."):
        do = "Choose another machine (g7e, g6e), or run an image of your own on a cluster of kind existing."
        accepted = f"a machine that branch {_EKS_BRANCH} of EKS's images knows: G7's RTX PRO 4500 asks for 595"
        yield Mistake(f"{path}.machine", pool.machine, accepted, do)
    if version is None:
        return
    if version in ("default", "latest"):
        if kind != "gke" and accelerator.vendor == "nvidia":
            do = 'Remove it, or write a branch such as "580".'
            yield Mistake(where, version, "a branch: default and latest are words of GKE's installer", do)
        return
    if kind == "gke" and pool.driver.owner != "operator":
        do = "Write default or latest."
        yield Mistake(where, repr(version), "default or latest: GKE's installer takes no branch", do)
        return
    if kind in ("eks", "aks") and pool.driver.owner != "operator":
        do = "Pin image.release instead: the driver comes with the image."
        yield Mistake(where, repr(version), "nothing: the cloud's image decides the driver", do)
        return
    yield from _branch_mistakes(pool, where, accelerator, int(version.split(".")[0]))


def _branch_mistakes(pool: Pool, where: str, accelerator: Accelerator, branch: int) -> Iterator[Mistake]:
    if accelerator.name.startswith("V100") and branch > LAST_OF_VOLTA:
        do = f'Write version: "{LAST_OF_VOLTA}", or retire the V100.'
        accepted = f"at most {LAST_OF_VOLTA}: later drivers have dropped Volta"
        yield Mistake(where, f"{branch} for {accelerator.name}", accepted, do)
    least, architecture = _LEAST.get(accelerator.name, (0, ""))
    if branch < least:
        do = f'Write version: "{least}" or later.'
        accepted = f"at least {least}: earlier drivers do not know {architecture}"
        yield Mistake(where, f"{branch} for {accelerator.name}", accepted, do)
    if pool.sharing and pool.sharing.mig and branch < _MIG_PROFILES:
        do = f'Write version: "{_MIG_PROFILES}" or later.'
        accepted = f"at least {_MIG_PROFILES} with MIG: earlier drivers cannot list the profiles"
        yield Mistake(where, f"{branch} with MIG", accepted, do)
