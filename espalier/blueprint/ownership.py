"""Who owns what on a pool's devices: driver, container toolkit, device plugin, discovery, sharing, metrics.

One owner each, and the reason. Derived from the cluster's kind, the node image, the accelerator, the user's wishes and
what the stack's add-ons provide; add-ons compute from it which pools they serve, so that no part has two owners on any
cloud. Sources of what each cloud's images hold: awslabs/amazon-eks-ami (nodeadm, CHANGELOG.md); GKE, "Run GPUs";
NVIDIA cloud-native-docs (gpu-operator/google-gke.rst, microsoft-aks.rst).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from espalier.catalogue import Accelerator
from espalier.settings.pool import Pool
from espalier.types import Owner, Owners

DEFAULT_OS: Final = {"eks": "al2023", "gke": "cos", "aks": "ubuntu"}
"""Kind of cluster -> the operating system of its nodes where a pool names none."""
NO_DRIVER_CONTAINER: Final = ("al2023", "bottlerocket", "azure-linux", "talos")
"""Operating systems besides COS without a driver container of NVIDIA's. Source: gpu-operator platform-support.rst."""
OPERANDS: Final = "nvidia.com/gpu.deploy.operands"
"""The label by which, at "false", the GPU operator leaves nodes alone. Source: gpu-operator v26.7.0,
controllers/state_manager.go."""
LAST_OF_VOLTA: Final = 580
"""Volta's last driver branch: later ones have dropped it, and the open kernel modules begin with Turing. Source: NVIDIA
data centre driver documentation, R580 (Maxwell to Volta end with it)."""
CLAIMS: Final = "nvidia-dra-driver"
"""The add-on that hands GPUs out by claims: what a container gets is a CDI device, which containerd reads itself."""
VENDORS: Final = ("nvidia", "amd", "aws", "google")
"""Vendors whose devices some cloud's image has a driver for; of others nobody knows but the stack's own team."""
Provided = Mapping[str, tuple[str, ...]]
"""What the stack's add-ons provide: <part>/<device> -> their ids."""


def os_of(pool: Pool, kind: str) -> str:
    """The operating system of a pool's nodes; "" where nobody says it."""
    return pool.image.os or DEFAULT_OS.get(kind, "")


def owners_of(
    pool: Pool, accelerator: Accelerator | None, kind: str, provided: Provided | None = None
) -> Owners | None:
    """The owners of a pool's parts on a cluster of this kind; None for a pool without devices.

    Without `provided`, whose stack's add-ons are not known, "addon" means: some add-on, if there is one.
    """
    if accelerator is None:
        return None
    base = _base(pool, accelerator, kind, provided)
    if provided is None:
        return base
    driver, toolkit, plugin = (_named(part, owner, accelerator.resource, provided) for part, owner in base.parts()[:3])
    if plugin.who == "nobody" and _has_a_plugin(pool, accelerator, kind):
        plugin = Owner("host", "no add-on of the stack brings a device plugin: the nodes have it themselves")
    if toolkit.who == "nobody" and plugin.addon == CLAIMS and pool.driver.toolkit is None:
        toolkit = Owner("host", "claims reach containers by CDI, which the nodes' containerd reads itself")
    named = Owners(driver, toolkit, plugin)
    return replace(
        named,
        feature_discovery=_discovery(named, accelerator, provided),
        sharing=_sharing(pool, accelerator, kind, named, provided),
        metrics=_metrics(accelerator, pool, provided),
    )


def _has_a_plugin(pool: Pool, accelerator: Accelerator, kind: str) -> bool:
    """Whether nodes that no cloud of the stack makes are taken to advertise their devices themselves."""
    said = accelerator.vendor in VENDORS or pool.driver.owner == "host"
    return kind == "simulated" or (said and (kind == "existing" or accelerator.vendor not in VENDORS))


def _base(pool: Pool, accelerator: Accelerator, kind: str, provided: Provided | None) -> Owners:
    os = os_of(pool, kind)
    if accelerator.vendor == "google":
        gke = Owner("cloud", "GKE runs the TPU's driver and device plugin itself")
        return Owners(gke, gke, gke)
    if accelerator.vendor not in VENDORS:
        return _of_others(pool, accelerator, kind)
    if kind == "gke":
        return _on_gke(pool, os)
    if kind == "eks":
        return _on_eks(accelerator, os)
    if kind == "aks":
        return _on_aks(pool, accelerator)
    return _elsewhere(pool, accelerator, kind, provided or {})


def _on_gke(pool: Pool, os: str) -> Owners:
    if pool.driver.owner == "operator":
        operator = Owner("addon", "the pool's driver is an operator's: GKE's installer and plugin are switched off")
        return Owners(operator, operator, operator)
    if pool.driver.owner == "host":
        theirs = Owner(
            "host", "somebody applies Google's installer of drivers: GKE's own and its plugin are switched off"
        )
        operator = Owner("addon", "GKE's device plugin is switched off, and what came with it")
        return Owners(theirs, operator, operator)
    installer = Owner("cloud", f"GKE installs the {pool.driver.version or 'default'} driver on {os}")
    plugin = Owner("cloud", "GKE runs a device plugin of its own on every GPU node pool")
    return Owners(installer, installer, plugin)


def _on_eks(accelerator: Accelerator, os: str) -> Owners:
    if os == "ubuntu":
        operator = Owner("addon", "Canonical's EKS image holds no driver: an operator installs it")
        return Owners(operator, operator, Owner("addon", "the ubuntu image has no device plugin"))
    family = "Neuron" if accelerator.vendor == "aws" else "NVIDIA"
    image = Owner("cloud", f"the EKS {os} image for {family} holds it")
    if os == "bottlerocket":
        return Owners(image, image, Owner("cloud", "Bottlerocket's image runs a device plugin of its own"))
    return Owners(image, image, Owner("addon", f"the {os} image has no device plugin"))


def _on_aks(pool: Pool, accelerator: Accelerator) -> Owners:
    plugin = Owner("addon", "AKS installs a driver, and no device plugin")
    toolkit = Owner("cloud", "the AKS node image holds the container toolkit")
    if pool.driver.toolkit == "operator":
        toolkit = Owner("addon", "the pool's container toolkit is an operator's")
    if pool.driver.owner == "operator" or accelerator.vendor == "amd":
        return Owners(Owner("addon", "the agent pool's GPU profile is None: an operator's driver"), toolkit, plugin)
    return Owners(Owner("cloud", "the agent pool's GPU profile is Install"), toolkit, plugin)


def _elsewhere(pool: Pool, accelerator: Accelerator, kind: str, provided: Provided) -> Owners:
    """Hosts that Espalier did not make. The toolkit follows the driver unless an operator is there to bring it."""
    plugin = Owner("addon", "nobody else brings a device plugin")
    if kind == "simulated":
        none = Owner("host", "a simulated node has none")
        return Owners(none, none, plugin)
    theirs = Owner("host", "the hosts have it: Espalier did not make them")
    operator = Owner("addon", "the pool's driver is an operator's")
    driver = operator if pool.driver.owner == "operator" else theirs
    toolkit = driver
    if pool.driver.toolkit is not None:
        said = "the pool's container toolkit is"
        toolkit = (
            Owner("host", f"{said} the hosts'")
            if pool.driver.toolkit == "host"
            else Owner("addon", f"{said} an operator's")
        )
    elif driver.who == "host" and provided.get(f"toolkit/{accelerator.resource}"):
        toolkit = Owner("addon", "an operator is there, and nobody says that the hosts have one")
    return Owners(driver, toolkit, plugin)


def _of_others(pool: Pool, accelerator: Accelerator, kind: str) -> Owners:
    """Devices that no cloud's image knows (Gaudi, FPGAs): an add-on's, or the hosts' where the stack says so."""
    toolkit = Owner("host", "containers reach such devices without one")
    if kind == "simulated":
        none = Owner("host", "a simulated node has none")
        return Owners(none, toolkit, Owner("addon", "nobody else brings a device plugin"))
    if pool.driver.owner == "host":
        theirs = Owner("host", "the stack file says that the hosts have it")
        return Owners(theirs, toolkit, Owner("addon", "nobody else brings a device plugin"))
    driver = Owner("addon", f"no node image is known to hold a driver for {accelerator.name}")
    return Owners(driver, toolkit, Owner("addon", f"nobody is known to advertise {accelerator.resource}"))


def _named(part: str, owner: Owner, resource: str, provided: Provided) -> Owner:
    """An add-on's part with the add-on's name; nobody's where no add-on of the stack provides it."""
    if owner.who != "addon":
        return owner
    ids = provided.get(f"{part}/{resource}", ())
    if ids:
        return replace(owner, addon=ids[0])
    return Owner("nobody", f"{owner.why}, and no add-on of the stack provides {part}/{resource}")


def _discovery(owners: Owners, accelerator: Accelerator, provided: Provided) -> Owner:
    ids = provided.get(f"feature-discovery/{accelerator.resource}", ())
    if ids and owners.device_plugin.who != "cloud":
        return Owner("addon", "it labels nodes by what it finds on them", ids[0])
    return Owner("nobody", "nodes have their labels from their pool, and no discovery is needed")


def _sharing(pool: Pool, accelerator: Accelerator, kind: str, owners: Owners, provided: Provided) -> Owner:
    """Who gives a device to several pods: slices of MIG are cut on the device, turns are taken in its plugin."""
    if pool.sharing is None:
        return Owner("nobody", "devices are given out whole")
    plugin = owners.device_plugin
    if pool.sharing.mig is None:
        how = "MPS" if pool.sharing.mps else "time slices"
        return replace(plugin, why=f"{how} are a matter of the device plugin: {plugin.why}")
    if kind == "gke" and plugin.who == "cloud":
        return Owner("cloud", "GKE cuts the devices when it makes a node")
    if kind == "aks":
        return Owner("cloud", "AKS cuts the devices when it makes a node (GPU instance profile)")
    if kind == "simulated":
        return Owner("host", "a simulated node has its slices from the start")
    ids = provided.get(f"mig/{accelerator.resource}", ())
    if ids:
        return Owner("addon", "its MIG manager cuts the devices as the label nvidia.com/mig.config says", ids[0])
    if pool.driver.owner == "host":
        return Owner("host", "the pool's driver is the hosts', and so is the cutting of its devices")
    return Owner("nobody", "no add-on of the stack cuts devices into MIG slices")


def _metrics(accelerator: Accelerator, pool: Pool, provided: Provided) -> Owner:
    ids = provided.get(f"metrics/{accelerator.resource}", ())
    off = pool.labels.get(OPERANDS) == "false"
    if ids and not off:
        return Owner("addon", "it measures the devices", ids[0])
    return Owner("nobody", "no add-on of the stack measures them")
