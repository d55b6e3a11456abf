"""NVIDIA's GPU operator: driver, container toolkit, device plugin, discovery, MIG, metrics, each where it owns it.

Facts: gpu-operator v26.7.0 (values.yaml, templates, crds, controllers/state_manager.go); NVIDIA cloud-native-docs
(gpu-operator/life-cycle-policy.rst, google-gke.rst, microsoft-aks.rst, gpu-sharing.rst); RKE2 docs,
add-ons/gpu_operators.md. Node feature discovery is an add-on of its own, so that three operators do not bring three.
Hooks: definitions are objects of their own here, which is what pre-upgrade does; pre-delete waits for a GPUCluster,
which is never made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.nvidia_drivers import driver_objects, driver_of, installed, version_mistakes
from espalier.addons.nvidia_sharing import DEVICE, config_name, config_of
from espalier.addons.placement import staying_affinity, system_tolerations
from espalier.addons.tolerations import CONTROL_PLANE, tolerations_of
from espalier.blueprint.ownership import OPERANDS
from espalier.content import ChartSource, Content, ContentFacts, ImagePath
from espalier.types import AddonInputs, AddonRecord, Facts, Manifest, Mistake, PoolFacts, Window

NAME: Final = "nvidia-gpu-operator"
VERSION: Final = "v26.7.0"
NAMESPACE: Final = "gpu-operator"
TOOLKIT: Final = "nvidia.com/gpu.deploy.container-toolkit"
"""Label of nodes: "false" keeps the toolkit alone off, as OPERANDS does all."""
_GKE_ROOT: Final = "/home/kubernetes/bin/nvidia"
"""Where Container-Optimized OS lets drivers and toolkits be written."""
_PARTS: Final = ("repository", "image", "version")
"""How its definitions name an image."""
_SOCKETS: Final = {
    "containerd": [],
    "rke2": [("CONTAINERD_SOCKET", "/run/k3s/containerd/containerd.sock")],
    "k3s": [("CONTAINERD_SOCKET", "/run/k3s/containerd/containerd.sock")],
    "microk8s": [
        ("CONTAINERD_CONFIG", "/var/snap/microk8s/current/args/containerd-template.toml"),
        ("CONTAINERD_SOCKET", "/var/snap/microk8s/common/run/containerd.sock"),
        ("RUNTIME_CONFIG_SOURCE", "file=/var/snap/microk8s/current/args/containerd.toml"),
    ],
}


class Options(BaseModel):
    """What does not follow from the pools."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    runtime: Literal["containerd", "rke2", "k3s", "microk8s"] = Field(
        default="containerd", description="whose containerd the toolkit configures"
    )
    nri: bool = Field(
        default=False,
        description="devices are handed to containers by containerd's NRI (2.1 or later; experimental), so that the "
        "toolkit need not restart containerd, which on RKE2 and k3s is the whole node agent",
    )
    precompiled: bool = Field(
        default=False, description="drivers are installed as packages of the node's kernel and not compiled there"
    )
    metrics: bool = Field(default=True, description="whether DCGM measures the devices")


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart, of the pools that the operator serves."""
    options: Options = inputs.options
    pools = served(inputs.pools)
    tolerations = _tolerations(pools)
    toolkit = any(_owner(pool, "toolkit") == "addon" for pool in pools)
    on_cos = toolkit and any(pool.os == "cos" for pool in pools)
    found: dict[str, Any] = {
        "nfd": {"enabled": False},
        "operator": {"affinity": staying_affinity(), "tolerations": [CONTROL_PLANE, *system_tolerations()]},
        "daemonsets": {"tolerations": tolerations},
        "mig": {"strategy": "mixed"},
        "toolkit": _toolkit(options, inputs.facts, enabled=toolkit, on_cos=on_cos),
        "migManager": _mig_manager(pools, inputs.facts),
        "devicePlugin": _device_plugin(pools),
        "dcgmExporter": {"enabled": options.metrics},
        **_driver(pools, tolerations, precompiled=options.precompiled),
    }
    if options.nri:
        found["cdi"] = {"enabled": True, "nriPluginEnabled": True}
    if inputs.facts.kind == "gke" and any(pool.os == "cos" for pool in pools):
        found["hostPaths"] = {"driverInstallDir": _GKE_ROOT}
    if inputs.facts.kind == "aks" and pools and not toolkit:
        found["operator"] |= {"runtimeClass": "nvidia-container-runtime"}
    return found


def served(pools: Sequence[PoolFacts]) -> list[PoolFacts]:
    """The pools with operands: all of NVIDIA's, but for those whose label keeps them off."""
    return [pool for pool in pools if pool.vendor == "nvidia" and pool.shape.labels.get(OPERANDS) != "false"]


def _owner(pool: PoolFacts, part: str) -> str:
    """Who owns a part of the pool's devices; "" where nobody says."""
    return next((owner.who for name, owner in (pool.owners.parts() if pool.owners else ()) if name == part), "")


def _tolerations(pools: Sequence[PoolFacts]) -> list[dict[str, str]]:
    """Of all operands; the accelerator's own taint is among them where no pool is there yet."""
    plain = {"key": DEVICE, "operator": "Exists", "effect": "NoSchedule"}
    return [plain, *(one for one in tolerations_of(pools) if one != plain)]


def _driver(pools: Sequence[PoolFacts], tolerations: list[dict[str, str]], *, precompiled: bool) -> dict[str, Any]:
    """One driver by the operator's own policy where all pools have the same, else an object for each pool."""
    theirs = installed(pools)
    if not theirs:
        return {"driver": {"enabled": False}}
    kinds = {driver_of(pool, precompiled=precompiled) for pool in theirs}
    if len(theirs) == len(pools) and len(kinds) == 1:
        (driver,) = kinds
        one = {"version": driver.version, "kernelModuleType": driver.modules, "usePrecompiled": driver.precompiled}
        return {"driver": {"enabled": True, **one}}
    crd = {"enabled": True, "deployDefaultCR": False}
    objects = driver_objects(pools, tolerations, precompiled=precompiled)
    return {"driver": {"enabled": True, "nvidiaDriverCRD": crd}, "extraObjects": objects}


def _toolkit(options: Options, facts: Facts, *, enabled: bool, on_cos: bool) -> dict[str, Any]:
    if not enabled:
        return {"enabled": False}
    env = list(_SOCKETS[options.runtime])
    if facts.kind == "gke" and on_cos:
        env.append(("RUNTIME_CONFIG_SOURCE", "file"))
    found: dict[str, Any] = {"enabled": True}
    if env:
        found["env"] = [{"name": name, "value": value} for name, value in env]
    if facts.kind == "gke" and on_cos:
        found["installDir"] = _GKE_ROOT
    return found


def _mig_manager(pools: Sequence[PoolFacts], facts: Facts) -> dict[str, Any]:
    """On where it is to cut devices: it would undo the cutting of a cloud's (its default is all-disabled)."""
    cuts = any("mig" in pool.sharing and _owner(pool, "sharing") == "addon" for pool in pools)
    found: dict[str, Any] = {"enabled": cuts}
    if cuts and facts.kind == "gke":
        found["env"] = [{"name": "WITH_REBOOT", "value": "true"}]
    return found


def _device_plugin(pools: Sequence[PoolFacts]) -> dict[str, Any]:
    """A configuration for each way of sharing, picked on a node by its label nvidia.com/device-plugin.config.

    The operator does not watch the map: the content's hash in its name is what rolls the plugin on a change.
    """
    shared = {config_name(pool.sharing): config_of(pool.sharing) for pool in pools if pool.sharing.keys() - {"mig"}}
    if not shared:
        return {"enabled": True}
    whole = config_of({"mig": ""}) if any("mig" in pool.sharing for pool in pools) else config_of({})
    data = {name: yaml.safe_dump(config) for name, config in sorted({"whole": whole, **shared}.items())}
    digest = hashlib.sha256(yaml.safe_dump(data).encode()).hexdigest()[:8]
    config = {"create": True, "name": f"device-plugin-{digest}", "default": "whole", "data": data}
    return {"enabled": True, "config": config}


def operands(manifest: Manifest) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The pods that the operator makes of its policy and of each driver's object, as far as scheduling goes.

    Source: controllers/object_controls.go (applyCommonDaemonsetConfig) and internal/state/driver.go. What a node must
    have besides, labels nvidia.com/gpu.deploy.*, the operator gives to each node with a device.
    """
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    if manifest["kind"] == "ClusterPolicy":
        pod = {"spec": {"tolerations": (spec.get("daemonsets") or {}).get("tolerations") or []}}
        yield "operands", pod
        driver = spec.get("driver") or {}
        if driver.get("enabled") and not driver.get("useNvidiaDriverCRD"):
            yield "driver", pod
    elif manifest["kind"] == "NVIDIADriver":
        pod = {key: spec[key] for key in ("tolerations", "nodeSelector") if key in spec}
        yield f"driver {manifest['metadata']['name']}", {"spec": pod}


def judges(inputs: AddonInputs) -> Iterator[Mistake]:
    """Pools with a second owner, and what has one answer for all pools and is asked for two."""
    pools, options, path = served(inputs.pools), inputs.options, f"espalier:addons.{NAME}"
    for pool in pools:
        if pool.owners and pool.owners.device_plugin.who == "cloud":
            got = f"a device plugin on pool {pool.name}, where {pool.owners.device_plugin.why}"
            do = f'Remove {NAME}, or keep it off the pool: labels: {{{OPERANDS}: "false"}}.'
            yield Mistake(path, got, "one device plugin a node", do)
    yield from _place_mistakes(pools, inputs.facts, path)
    yield from _toolkit_mistakes(pools, options, path)
    yield from version_mistakes(path, pools, precompiled=options.precompiled)


def _place_mistakes(pools: Sequence[PoolFacts], facts: Facts, path: str) -> Iterator[Mistake]:
    """An operator's driver lies elsewhere than Google's on Container-Optimized OS: half of the nodes would wait."""
    cos = [pool.name for pool in pools if facts.kind == "gke" and pool.os == "cos"]
    others = [pool.name for pool in pools if pool.name not in cos]
    if cos and others:
        got = f"{', '.join(cos)} on cos beside {', '.join(others)} on ubuntu"
        accepted = "one image.os for all pools: the operator looks for drivers in one place"
        do = f'Give them one image.os, or keep the operator off some: labels: {{{OPERANDS}: "false"}}.'
        yield Mistake(path, got, accepted, do)


def _toolkit_mistakes(pools: Sequence[PoolFacts], options: Options, path: str) -> Iterator[Mistake]:
    ours = [pool.name for pool in pools if _owner(pool, "toolkit") == "addon"]
    theirs = [pool for pool in pools if _owner(pool, "toolkit") not in ("addon", "")]
    bare = [pool.name for pool in theirs if pool.shape.labels.get(TOOLKIT) != "false"]
    if ours and bare:
        got = f"a container toolkit for {', '.join(ours)} and none for {', '.join(bare)}"
        do = f'Keep it off the others: labels: {{{TOOLKIT}: "false"}}.'
        yield Mistake(path, got, "one answer for all pools: the operator brings a toolkit to each node or to none", do)
    if options.nri and not ours:
        accepted = "nri where the operator brings the toolkit: NRI is a part of it"
        yield Mistake(f"{path}.nri", "true, without the operator's toolkit", accepted, "Remove it.")


def _provides(options: Options) -> frozenset[str]:
    parts = [
        "driver",
        "toolkit",
        "device-plugin",
        "feature-discovery",
        "mig",
        *(["metrics"] if options.metrics else []),
    ]
    return frozenset(f"{part}/{DEVICE}" for part in parts)


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="accelerators",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/NVIDIA/gpu-operator",
    options=Options,
    content=Content(
        source=ChartSource("gpu-operator", VERSION, "https://helm.ngc.nvidia.com/nvidia"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "privileged"},
        release="gpu-operator",
        values=values,
        facts=ContentFacts(
            crds=(
                "clusterpolicies.nvidia.com",
                "computedomaincliques.resource.nvidia.com",
                "computedomains.resource.nvidia.com",
                "gpuclusters.nvidia.com",
                "nvidiadrivers.nvidia.com",
            )
        ),
        images=(
            ImagePath("ClusterPolicy", "spec", parts=_PARTS),
            ImagePath("NVIDIADriver", "spec", parts=_PARTS, optional=True),
            ImagePath("Deployment", "spec.template.spec.containers[*].env[*].value", pattern=r"^(nvcr\.io/\S+)$"),
        ),
        hooks={"*/gpu-operator-upgrade-crd*": "drop", "Job/gpu-operator-cleanup-gpucluster": "drop"},
        cluster_scoped=frozenset({"ClusterPolicy", "NVIDIADriver"}),
    ),
    needs=frozenset({"node-feature-discovery"}),
    conflicts={"nvidia-device-plugin": "the operator starts a plugin of its own, and each would hand out all devices"},
    provides=_provides(Options()),
    provides_by=_provides,
    privileged_namespaces=frozenset({NAMESPACE}),
    reaches=frozenset({DEVICE}),
    operands=operands,
    kubernetes=Window("1.33", "1.36"),
    judges=judges,
)
