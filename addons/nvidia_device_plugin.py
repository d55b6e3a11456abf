"""NVIDIA's device plugin: advertises GPUs to the kubelet, whole, sliced or shared.

Facts: NVIDIA/k8s-device-plugin v0.20.0, deployments/helm/nvidia-device-plugin (chart 0.20.0, appVersion 0.20.0). The
chart picks a node's configuration by a label and a sidecar that watches it; here each configuration has a DaemonSet of
its own, bound to its pools, so that nothing has to be discovered and a change of one pool rolls only its own plugin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from espalier.addons.nvidia_sharing import DEVICE, config_name, config_of
from espalier.types import AddonInputs, AddonRecord, Planned, PoolFacts

NAME = "nvidia-device-plugin"
VERSION = "0.20.0"
IMAGE = f"nvcr.io/nvidia/k8s-device-plugin:v{VERSION}"
_POOL = "espalier.dev/pool"


class Options(BaseModel):
    """No options: everything follows from the pools."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """Namespace and identity once; a configuration and a DaemonSet for each way of sharing that a pool asks for.

    Nothing at all where the cloud runs a plugin of its own on every pool.
    """
    having = [pool for pool in inputs.pools if pool.vendor == "nvidia"]
    pools = [pool for pool in having if not _has_another(pool)]
    if having and not pools:
        return ()
    groups: dict[str, list[PoolFacts]] = {}
    for pool in pools:
        groups.setdefault(config_name(pool.sharing), []).append(pool)
    planned = [*_identity()]
    for config, members in sorted(groups.items()):
        planned += _plugin(config, members)
    return planned


def _has_another(pool: PoolFacts) -> bool:
    """Whether the cloud runs a plugin of its own there (GKE, Bottlerocket): two would fight over the kubelet."""
    return pool.owners is not None and pool.owners.device_plugin.who == "cloud"


def _labels(component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": NAME,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/version": VERSION,
        "app.kubernetes.io/managed-by": "espalier",
    }


def _object(
    api: str, kind: str, name: str, component: str, body: Mapping[str, Any], cluster: bool = False
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": _labels(component)}
    if not cluster:
        metadata["namespace"] = NAME
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **body}


def _identity() -> list[Planned]:
    """The plugin talks to the kubelet over a socket of the host, hence the namespace's Pod Security level.

    It never asks the Kubernetes API, so its account has no role and no token: of the image's programs only
    cmd/config-manager and cmd/gpu-feature-discovery do (they import client-go), and neither runs here.
    """
    namespace = _object("v1", "Namespace", NAME, "namespace", {}, cluster=True)
    namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"
    account = _object("v1", "ServiceAccount", NAME, "identity", {"automountServiceAccountToken": False})
    return [Planned("namespace", namespace), Planned("account", account, ("namespace",))]


def _plugin(config: str, pools: Sequence[PoolFacts]) -> list[Planned]:
    text = yaml.safe_dump(config_of(pools[0].sharing), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    # The plugin does not watch its file: the content's hash in the name is what rolls the pods on a change.
    name = f"{NAME}-{config}-{digest}"
    configmap = _object("v1", "ConfigMap", name, config, {"data": {"config.yaml": text}})
    planned = [
        Planned(f"{config}-config", configmap, ("namespace",)),
        Planned(
            f"{config}-daemonset",
            _daemonset(f"{NAME}-{config}", config, pools, _plugin_pod(name, config)),
            ("namespace", "account", f"{config}-config"),
        ),
    ]
    if config.startswith("mps-"):
        control = _daemonset(f"{NAME}-{config}-control", f"{config}-control", pools, _mps_control_pod(name))
        planned.append(Planned(f"{config}-control", control, ("namespace", "account", f"{config}-config")))
    return planned


def _daemonset(name: str, component: str, pools: Sequence[PoolFacts], pod: Mapping[str, Any]) -> dict[str, Any]:
    selector = {key: value for key, value in _labels(component).items() if key.endswith(("/name", "/component"))}
    taints = sorted({(t.key, t.value, t.effect) for pool in pools for t in pool.taints})
    affinity = {"key": _POOL, "operator": "In", "values": sorted(pool.name for pool in pools)}
    spec = {
        "priorityClassName": "system-node-critical",
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [affinity]}]
                }
            }
        },
        "tolerations": [{"key": k, "operator": "Equal", "value": v, "effect": e} for k, v, e in taints],
        **pod,
    }
    template = {"metadata": {"labels": _labels(component)}, "spec": spec}
    body = {
        "selector": {"matchLabels": selector},
        "updateStrategy": {"type": "RollingUpdate"},
        "template": template,
    }
    return _object("apps/v1", "DaemonSet", name, component, {"spec": body})


def _plugin_pod(config_map: str, config: str) -> dict[str, Any]:
    """CAP_SYS_ADMIN where the chart adds it and it has a use: to see MIG devices, to ask the MPS daemon for its health.

    Sources: deployments/helm/nvidia-device-plugin/templates/_helpers.tpl (securityContext) and
    daemonset-device-plugin.yml (NVIDIA_MIG_MONITOR_DEVICES); internal/plugin/mps.go (waitForDaemon).
    """
    plain = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    admin = {"capabilities": {"add": ["SYS_ADMIN"]}}
    mounts = [("plugins", "/var/lib/kubelet/device-plugins"), ("cdi", "/var/run/cdi"), ("config", "/config")]
    volumes = [_host("plugins", "/var/lib/kubelet/device-plugins", "Directory"), _host("cdi", "/var/run/cdi")]
    env = [("CONFIG_FILE", "/config/config.yaml"), *_GPU_ENV]
    if config == "mig":
        env.append(("NVIDIA_MIG_MONITOR_DEVICES", "all"))
    if config.startswith("mps-"):
        env.append(("MPS_ROOT", "/run/nvidia/mps"))
        mounts += [("mps-shm", "/dev/shm"), ("mps-root", "/mps")]  # noqa: S108 - a path inside the container
        volumes += _MPS_VOLUMES
    security = admin if config.startswith(("mig", "mps-")) else plain
    container = _container("plugin", ["nvidia-device-plugin"], security, mounts, env)
    return {"containers": [container], "volumes": [*volumes, _config_volume(config_map)]}


def _mps_control_pod(config_map: str) -> dict[str, Any]:
    """The daemon that MPS clients share; it must see the host's processes and mount a shared /dev/shm."""
    privileged = {"privileged": True}
    mounts = [("mps-shm", "/dev/shm"), ("mps-root", "/mps"), ("config", "/config")]  # noqa: S108 - as above
    env = [("CONFIG_FILE", "/config/config.yaml"), *_GPU_ENV]
    prepare = _container("mounts", ["mps-control-daemon", "mount-shm"], privileged, [], [])
    prepare["volumeMounts"] = [{"name": "mps-root", "mountPath": "/mps", "mountPropagation": "Bidirectional"}]
    daemon = _container("control", ["mps-control-daemon"], privileged, mounts, env)
    return {
        "hostPID": True,
        "initContainers": [prepare],
        "containers": [daemon],
        "volumes": [*_MPS_VOLUMES, _config_volume(config_map)],
    }


def _container(
    name: str,
    command: Sequence[str],
    security: Mapping[str, Any],
    mounts: Sequence[tuple[str, str]],
    env: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    return {
        "name": name,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "env": [{"name": key, "value": value} for key, value in env],
        "securityContext": dict(security),
        "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in mounts],
    }


def _host(name: str, path: str, kind: str = "DirectoryOrCreate") -> dict[str, Any]:
    """A path of the node; kind "" is not checked by the kubelet."""
    return {"name": name, "hostPath": {"path": path, "type": kind}}


def _config_volume(config_map: str) -> dict[str, Any]:
    return {"name": "config", "configMap": {"name": config_map}}


_GPU_ENV = (("NVIDIA_VISIBLE_DEVICES", "all"), ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"))
_MPS_VOLUMES = [_host("mps-root", "/run/nvidia/mps"), _host("mps-shm", "/run/nvidia/mps/shm", "")]

RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="accelerators",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/NVIDIA/k8s-device-plugin",
    options=Options,
    objects=objects,
    provides=frozenset({f"device-plugin/{DEVICE}"}),
    privileged_namespaces=frozenset({NAME}),
    reaches=frozenset({DEVICE}),
)
