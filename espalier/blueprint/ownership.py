"""Who owns what on a pool's devices: driver, container toolkit, device plugin. One owner each, and the reason.

Derived from the cluster's kind, the node image, the accelerator and the user's wishes; add-ons compute from it which
pools they serve, so that no part has two owners on any cloud.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from espalier.catalogue import Accelerator
from espalier.settings.pool import Pool
from espalier.types import Mistake, Owner, Owners

DEFAULT_OS: Final = {"eks": "al2023", "gke": "cos", "aks": "ubuntu"}
"""Kind of cluster -> the operating system of its nodes where a pool names none."""
_LAST_OF_VOLTA: Final = 580
"""Volta's last driver branch. Source: NVIDIA data centre driver documentation, R580 (Maxwell to Volta end with it)."""
_LEAST: Final = {
    "B200": (570, "Blackwell"),
    "GB200": (570, "Blackwell"),
    "B300": (580, "Blackwell Ultra"),
    "GB300": (580, "Blackwell Ultra"),
    "RTX-PRO-6000": (575, "Blackwell"),
}
"""Accelerator -> its first driver branch, and its architecture. Source: gpu-operator platform-support.rst (570.133.20
for B200, 575.57.08 for RTX PRO 6000); B300 from the R580 release notes."""
_MIG_PROFILES: Final = 550
"""Branch 535 cannot list a device's MIG profiles, which the MIG manager generates from. Source: gpu-operator 26.3."""


def owners_of(pool: Pool, accelerator: Accelerator | None, kind: str) -> Owners | None:
    """The owners of a pool's parts on a cluster of this kind; None for a pool without devices."""
    if accelerator is None:
        return None
    os = pool.image.os or DEFAULT_OS.get(kind, "")
    if accelerator.vendor == "google":
        gke = Owner("cloud", "GKE runs the TPU's driver and device plugin itself")
        return Owners(gke, gke, gke)
    if kind == "gke":
        return _on_gke(pool, os)
    if kind == "eks":
        return _on_eks(accelerator, os)
    if kind == "aks":
        return _on_aks(pool, accelerator)
    return _elsewhere(pool, kind)


def _on_gke(pool: Pool, os: str) -> Owners:
    if pool.driver.owner == "operator":
        operator = Owner("addon", "the pool's driver is an operator's: GKE's installer and plugin are switched off")
        return Owners(operator, operator, operator)
    installer = Owner("cloud", f"GKE installs the {pool.driver.version or 'default'} driver on {os}")
    plugin = Owner("cloud", "GKE runs a device plugin of its own on every GPU node pool")
    return Owners(installer, installer, plugin)


def _on_eks(accelerator: Accelerator, os: str) -> Owners:
    family = "Neuron" if accelerator.vendor == "aws" else "NVIDIA"
    image = Owner("cloud", f"the EKS {os} image for {family} holds it")
    if os == "bottlerocket":
        return Owners(image, image, Owner("cloud", "Bottlerocket's image runs a device plugin of its own"))
    return Owners(image, image, Owner("addon", f"the {os} image has no device plugin"))


def _on_aks(pool: Pool, accelerator: Accelerator) -> Owners:
    plugin = Owner("addon", "AKS installs a driver, and no device plugin")
    toolkit = Owner("cloud", "the AKS node image holds the container toolkit")
    if pool.driver.owner == "operator" or accelerator.vendor == "amd":
        return Owners(Owner("addon", "the agent pool's GPU profile is None: an operator's driver"), toolkit, plugin)
    return Owners(Owner("cloud", "the agent pool's GPU profile is Install"), toolkit, plugin)


def _elsewhere(pool: Pool, kind: str) -> Owners:
    plugin = Owner("addon", "nobody else brings a device plugin")
    if pool.driver.owner == "operator":
        operator = Owner("addon", "the pool's driver is an operator's")
        return Owners(operator, operator, plugin)
    what = "a simulated node has none" if kind == "simulated" else "the hosts have it: Espalier did not make them"
    return Owners(Owner("host", what), Owner("host", what), plugin)


def ownership_mistakes(pool: Pool, path: str, accelerator: Accelerator | None, kind: str) -> Iterator[Mistake]:
    """Drivers that cannot be on a pool's devices, and owners that a node image rules out."""
    if accelerator is None:
        if pool.driver.owner or pool.driver.version:
            do = "Remove `driver`, or name the pool's accelerator."
            yield Mistake(f"{path}.driver", "a driver for no device", "a pool with an accelerator", do)
        return
    yield from _image_mistakes(pool, path, kind)
    yield from _version_mistakes(pool, path, accelerator, kind)


def _image_mistakes(pool: Pool, path: str, kind: str) -> Iterator[Mistake]:
    os, owner = pool.image.os or DEFAULT_OS.get(kind, ""), pool.driver.owner
    where = f"{path}.driver.owner"
    if owner == "operator" and os == "cos":
        do = "Leave it to the cloud (GKE installs it), or set image: {os: ubuntu}."
        yield Mistake(where, "operator, on cos", "cloud: no driver container is made for Container-Optimized OS", do)
    elif owner == "operator" and os in ("al2023", "bottlerocket", "azure-linux"):
        do = "Leave it to the cloud, or choose an Ubuntu image where the cloud has one."
        yield Mistake(where, f"operator, on {os}", f"cloud: NVIDIA makes no driver container for {os}", do)
    elif owner == "cloud" and kind in ("existing", "simulated"):
        do = "Write host, or operator with an operator among the add-ons."
        yield Mistake(where, f"cloud, on a cluster of kind {kind}", "host or operator: no cloud makes these nodes", do)
    elif owner == "host" and kind in DEFAULT_OS:
        do = "Write cloud, or operator."
        yield Mistake(where, f"host, on {kind}", "cloud or operator: nobody else touches the cloud's nodes", do)


def _version_mistakes(pool: Pool, path: str, accelerator: Accelerator, kind: str) -> Iterator[Mistake]:
    version = pool.driver.version
    where = f"{path}.driver.version"
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
    if accelerator.name.startswith("V100") and branch > _LAST_OF_VOLTA:
        do = f'Write version: "{_LAST_OF_VOLTA}", or retire the V100.'
        accepted = f"at most {_LAST_OF_VOLTA}: later drivers have dropped Volta"
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
