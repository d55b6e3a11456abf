"""NVIDIA's DRA driver: domains of GPUs joined by NVLink over several nodes, and, where asked for, the GPUs themselves.

Facts: kubernetes-sigs/dra-driver-nvidia-gpu v0.4.1 (values.yaml, templates/validation.yaml: GPUs only with
gpuResourcesEnabledOverride; a device plugin beside them hands out each GPU twice); NVIDIA cloud-native-docs,
dra-intro-install.rst (Kubernetes 1.34.2, driver 580); GKE, "Prepare GKE infrastructure for DRA workloads" (where the
driver lies). Its definition of ComputeDomain differs from the GPU operator's,
so that one of the two is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.nvidia_sharing import DEVICE
from espalier.addons.tolerations import tolerations_of
from espalier.content import ChartSource, Content, ContentFacts, ImagePath
from espalier.types import AddonInputs, AddonRecord, Facts, Mistake, PoolFacts

NAME: Final = "nvidia-dra-driver"
VERSION: Final = "0.4.1"
NAMESPACE: Final = "dra-driver-nvidia-gpu"
_LEAST_DRIVER: Final = 580
_SHIM: Final = 36
"""The Kubernetes minor from which a pod's nvidia.com/gpu becomes a claim by itself (DRAExtendedResource, on by default;
the chart's class gpu.nvidia.com names it), so that quotas and node templates stay as they are."""
_DOMAINS: Final = 32
"""The chart's own kubeVersion."""
_GKE_ROOTS: Final = {"cos": "/home/kubernetes/bin/nvidia", "ubuntu": "/opt/nvidia"}
"""Operating system of GKE's nodes -> where the driver lies."""
_PATH: Final = f"espalier:addons.{NAME}"


class Options(BaseModel):
    """What is handed out by claims."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    gpus: bool = Field(default=False, description="whole GPUs, in the place of a device plugin")
    compute_domains: bool = Field(default=True, description="domains of GPUs joined by NVLink over several nodes")


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart: what it hands out, where the driver lies, which nodes it must reach."""
    options: Options = inputs.options
    pools = [pool for pool in inputs.pools if pool.vendor == "nvidia"]
    found: dict[str, Any] = {
        "nvidiaDriverRoot": next(iter(_roots(pools, inputs.facts))),
        "resources": {
            "gpus": {"enabled": options.gpus},
            "computeDomains": {"enabled": options.compute_domains},
        },
        "kubeletPlugin": {"tolerations": tolerations_of(pools)},
    }
    return found | ({"gpuResourcesEnabledOverride": True} if options.gpus else {})


def _roots(pools: Sequence[PoolFacts], facts: Facts) -> Mapping[str, list[str]]:
    """Where the driver lies -> the pools where it lies there; never nothing."""
    roots = _GKE_ROOTS if facts.kind == "gke" else {}
    found: dict[str, list[str]] = {}
    for pool in pools:
        found.setdefault(roots.get(pool.os, "/"), []).append(pool.name)
    return found or {roots.get("cos", "/"): []}


def refuses(facts: Facts) -> Iterator[Mistake]:
    """Versions of Kubernetes without what it needs."""
    if int(facts.kubernetes_version[2:]) < _DOMAINS:
        got, accepted = f"Kubernetes {facts.kubernetes_version}", f"1.{_DOMAINS} or later"
        yield Mistake(_PATH, got, accepted, "Remove it, or take a later version.")


def judges(inputs: AddonInputs) -> Iterator[Mistake]:
    """What cannot be handed out by claims here, or is handed out already."""
    options: Options = inputs.options
    pools = [pool for pool in inputs.pools if pool.vendor == "nvidia"]
    for pool in pools:
        branch = pool.driver_version.split(".")[0]
        if branch.isdigit() and int(branch) < _LEAST_DRIVER:
            got, do = f"driver.version {pool.driver_version} of pool {pool.name}", f'Write "{_LEAST_DRIVER}" or later.'
            yield Mistake(_PATH, got, f"a driver of {_LEAST_DRIVER} or later", do)
    if len(roots := _roots(pools, inputs.facts)) > 1:
        got = " and ".join(f"a driver in {root} ({', '.join(names)})" for root, names in sorted(roots.items()))
        accepted = "one place for all pools, which is all that the chart can be told"
        yield Mistake(_PATH, got, accepted, "Give these pools one image.os.")
    if not options.gpus:
        if not options.compute_domains:
            yield Mistake(_PATH, "neither gpus nor compute-domains", "one of the two", "Remove the add-on, or set one.")
        return
    yield from _gpu_mistakes(inputs)
    for pool in pools:
        if pool.owners and pool.owners.device_plugin.who == "cloud":
            got = f"gpus on pool {pool.name}, where {pool.owners.device_plugin.why}"
            accepted = "pools without a device plugin: two would hand out each GPU twice"
            yield Mistake(f"{_PATH}.gpus", got, accepted, "Set gpus: false.")
        if pool.sharing:
            how = ", ".join(pool.sharing)
            accepted = "whole devices, which is what claims hand out here"
            do = "Remove `sharing`, or set gpus: false and add nvidia-device-plugin."
            yield Mistake(f"{_PATH}.gpus", f"gpus on pool {pool.name}, which is shared by {how}", accepted, do)


def _gpu_mistakes(inputs: AddonInputs) -> Iterator[Mistake]:
    version = inputs.facts.kubernetes_version
    if int(version[2:]) < _SHIM:
        accepted = f"1.{_SHIM} or later: the driver asks for 1.34.2, and before 1.{_SHIM} no pod's {DEVICE} is a claim"
        do = "Set gpus: false and add nvidia-device-plugin, or take a later version."
        yield Mistake(f"{_PATH}.gpus", f"gpus on Kubernetes {version}", accepted, do)
    if "nvidia-device-plugin" in inputs.beside:
        accepted = "one of the two: both would hand out each GPU, and so each twice"
        do = "Remove nvidia-device-plugin, or set gpus: false."
        yield Mistake(f"{_PATH}.gpus", "gpus beside nvidia-device-plugin", accepted, do)


def _provides(options: Options) -> frozenset[str]:
    domains = {"compute-domains/nvidia.com"} if options.compute_domains else set[str]()
    return frozenset(domains | ({f"device-plugin/{DEVICE}"} if options.gpus else set()))


_POD: Final = "spec.template.spec"

RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="accelerators",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/kubernetes-sigs/dra-driver-nvidia-gpu",
    options=Options,
    content=Content(
        source=ChartSource("dra-driver-nvidia-gpu", VERSION, "oci://registry.k8s.io/dra-driver-nvidia/charts"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "privileged"},
        release="dra-driver-nvidia-gpu",
        values=values,
        # Pods of a compute domain are made by the image that the controller is of.
        images=tuple(
            ImagePath(kind, f"{_POD}.containers[*].env[*].value", pattern=r"^(registry\.k8s\.io/\S+)$", optional=True)
            for kind in ("DaemonSet", "Deployment")
        ),
        facts=ContentFacts(
            crds=(
                "computedomaincliques.resource.nvidia.com",
                "computedomains.resource.nvidia.com",
            )
        ),
    ),
    conflicts={"nvidia-gpu-operator": "each brings its own definition of computedomains.resource.nvidia.com"},
    provides=_provides(Options()),
    provides_by=_provides,
    privileged_namespaces=frozenset({NAMESPACE}),
    reaches=frozenset({DEVICE}),
    refuses=refuses,
    judges=judges,
)
