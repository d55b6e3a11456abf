"""Our NVIDIA device plugin against upstream's chart 0.20.0; each difference is listed with its reason.

Facts: manifests.yaml holds the chart with its defaults, so without a ConfigMap, MIG or MPS. What the chart does with
those is in NVIDIA/k8s-device-plugin v0.20.0, deployments/helm/nvidia-device-plugin/templates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.addons.nvidia_device_plugin import IMAGE, NAME, RECORD, VERSION
from espalier.blueprint.pools import compile_pools
from espalier.settings.pool import Pool
from espalier.types import AddonInputs, Facts

UPSTREAM = Path(__file__).parents[2].parent / "shared" / "upstream"


@pytest.fixture(scope="module")
def folder() -> Path:
    path = UPSTREAM / NAME
    if not path.is_dir():
        pytest.skip("upstream's facts are not beside the checkout, in ../shared/upstream")
    return path


@pytest.fixture(scope="module")
def theirs(folder: Path) -> dict[tuple[str, str], Any]:
    documents = yaml.safe_load_all((folder / "manifests.yaml").read_text("utf-8"))
    return {(d["kind"], d["metadata"]["name"]): d for d in documents if d}


def ours(sharing: dict[str, Any] | None) -> dict[tuple[str, str], Any]:
    block = {"name": "p", "accelerator": "A100-80", "nodes": {"max": 1}, "sharing": sharing}
    plans, _ = compile_pools([Pool.model_validate(block, strict=False)], {}, simulated=False)
    facts = Facts("existing", "1.36", runs_containers=True)
    inputs = AddonInputs(facts, tuple(plan.facts() for plan in plans), RECORD.options())
    made = [planned.manifest for planned in RECORD.objects(inputs)]
    return {(m["kind"], m["metadata"]["name"]): m for m in made}


def spec(daemonset: Any) -> dict[str, Any]:
    return daemonset["spec"]["template"]["spec"]


def env(container: Any) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container.get("env", [])}


def mounts(pod: Any, container: Any) -> dict[str, tuple[str, str, str]]:
    """Path in the container -> path of the host, how the host's path is checked, how mounts spread."""
    hosts = {v["name"]: v["hostPath"] for v in pod["volumes"] if "hostPath" in v}
    return {
        m["mountPath"]: (hosts[m["name"]]["path"], hosts[m["name"]].get("type", ""), m.get("mountPropagation", ""))
        for m in container["volumeMounts"]
        if m["name"] in hosts
    }


THEIR_PLUGIN = ("DaemonSet", "nvidia-device-plugin")
THEIR_CONTROL = ("DaemonSet", "nvidia-device-plugin-mps-control-daemon")
CONFIG = {"CONFIG_FILE": "/config/config.yaml"}
"""The chart sets the same where a ConfigMap is named (templates/daemonset-device-plugin.yml, hasConfigMap)."""


def test_the_version_and_the_images_are_upstreams(folder: Path) -> None:
    source = yaml.safe_load((folder / "source.yaml").read_text("utf-8"))
    assert (source["version"], source["appVersion"]) == (VERSION, VERSION)
    assert source["license"] == RECORD.licence
    assert source["git"] == RECORD.source
    images = (folder / "images.txt").read_text("utf-8").split()
    used = {
        container["image"]
        for sharing in (None, {"mps": 2}, {"mig": "all-1g.10gb"})
        for (kind, _), manifest in ours(sharing).items()
        if kind == "DaemonSet"
        for container in [*spec(manifest)["containers"], *spec(manifest).get("initContainers", [])]
    }
    assert used == {IMAGE} <= set(images)


@pytest.mark.parametrize(
    ("name", "sharing", "further_env", "left_out_mounts", "security"),
    [
        # MPS_ROOT and the two MPS paths serve MPS pools only; elsewhere they would be unused host paths.
        ("whole", None, {}, {"/dev/shm", "/mps"}, None),
        ("time-slices-4", {"time-slices": 4}, {}, {"/dev/shm", "/mps"}, None),
        # The chart gives SYS_ADMIN wherever MIG may be on (_helpers.tpl, requiresCapSysAdmin) and has all MIG devices
        # shown to the container (daemonset-device-plugin.yml, addMigMonitorDevices).
        ("mig", {"mig": "all-1g.10gb"}, {"NVIDIA_MIG_MONITOR_DEVICES": "all"}, {"/dev/shm", "/mps"}, "SYS_ADMIN"),
        # MPS needs a configuration, and with any the chart gives SYS_ADMIN.
        ("mps-2", {"mps": 2}, {"MPS_ROOT": "/run/nvidia/mps"}, set(), "SYS_ADMIN"),
    ],
)
def test_the_plugins_pod_is_upstreams(
    theirs: dict[tuple[str, str], Any],
    name: str,
    sharing: dict[str, Any] | None,
    further_env: dict[str, str],
    left_out_mounts: set[str],
    security: str | None,
) -> None:
    their_pod = spec(theirs[THEIR_PLUGIN])
    our_pod = spec(ours(sharing)["DaemonSet", f"nvidia-device-plugin-{name}"])
    (their,), (our,) = their_pod["containers"], our_pod["containers"]
    for key in ("image", "imagePullPolicy", "command"):
        assert our[key] == their[key], key
    assert our_pod["priorityClassName"] == their_pod["priorityClassName"]
    assert env(our) == {k: v for k, v in env(their).items() if k != "MPS_ROOT"} | CONFIG | further_env
    expected = mounts(their_pod, their)
    assert mounts(our_pod, our) == {path: host for path, host in expected.items() if path not in left_out_mounts}
    wanted = {"capabilities": {"add": [security]}} if security else their["securityContext"]
    assert our["securityContext"] == wanted
    for key in ("hostNetwork", "hostPID", "hostIPC", "initContainers", "runtimeClassName"):
        assert our_pod.get(key) == their_pod.get(key), key


def test_the_mps_control_daemon_is_upstreams(theirs: dict[tuple[str, str], Any]) -> None:
    their_pod = spec(theirs[THEIR_CONTROL])
    our_pod = spec(ours({"mps": 2})["DaemonSet", "nvidia-device-plugin-mps-2-control"])
    for key in ("hostPID", "priorityClassName"):
        assert our_pod[key] == their_pod[key], key
    (their,), (our,) = their_pod["containers"], our_pod["containers"]
    for key in ("image", "imagePullPolicy", "command", "securityContext"):
        assert our[key] == their[key], key
    # NODE_NAME is read by cmd/config-manager and cmd/gpu-feature-discovery, never by cmd/mps-control-daemon.
    assert env(our) == {k: v for k, v in env(their).items() if k != "NODE_NAME"} | CONFIG
    assert mounts(our_pod, our) == mounts(their_pod, their)
    (their_init,), (our_init,) = their_pod["initContainers"], our_pod["initContainers"]
    for key in ("image", "command", "securityContext"):
        assert our_init[key] == their_init[key], key
    assert mounts(our_pod, our_init) == mounts(their_pod, their_init)


def test_no_role_and_no_token_since_the_plugin_never_asks_the_api(theirs: dict[tuple[str, str], Any]) -> None:
    """The chart's ClusterRole (nodes: get, list, watch) serves config-manager, the sidecar that reads the node's label.

    Sources: cmd/config-manager/main.go imports client-go; cmd/nvidia-device-plugin, cmd/mps-control-daemon,
    internal/plugin and internal/rm do not.
    """
    assert {kind for kind, _ in theirs} == {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "DaemonSet"}
    for sharing in (None, {"mps": 2}):
        made = ours(sharing)
        kinds = {kind for kind, _ in made}
        assert kinds == {"Namespace", "ServiceAccount", "ConfigMap", "DaemonSet"}
        for (kind, _), manifest in made.items():
            if kind == "DaemonSet":
                assert spec(manifest)["automountServiceAccountToken"] is False
                commands = [
                    c["command"][0] for c in [*spec(manifest)["containers"], *spec(manifest).get("initContainers", [])]
                ]
                assert "config-manager" not in commands


def test_pods_tolerate_the_accelerators_taint_as_upstream_does(theirs: dict[tuple[str, str], Any]) -> None:
    """Upstream's further toleration, CriticalAddonsOnly, is deprecated in its own values.yaml."""
    (their,) = [t for t in spec(theirs[THEIR_PLUGIN])["tolerations"] if t.get("key") == "nvidia.com/gpu"]
    (our,) = spec(ours(None)["DaemonSet", "nvidia-device-plugin-whole"])["tolerations"]
    assert (our["key"], our["effect"], our["value"]) == (their["key"], their["effect"], "present")
