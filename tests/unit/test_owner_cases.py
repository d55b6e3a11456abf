"""Who installs the driver: each case from the stack file to the node pool that is asked for and the chart's values.

Sources of the cases: NVIDIA cloud-native-docs (gpu-operator: getting-started.rst, google-gke.rst, microsoft-aks.rst,
gpu-driver-configuration.rst, precompiled-drivers.rst; dra-intro-install.rst); GKE, "Run GPUs" and "Prepare GKE
infrastructure for DRA workloads"; awslabs/amazon-eks-ami; RKE2 docs, add-ons/gpu_operators.md; Talos, NVIDIA GPUs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.blueprint.build import inputs_of
from espalier.blueprint.clouds.aks import AksNodeGroup
from espalier.blueprint.clouds.eks import EksNodeGroup
from espalier.blueprint.clouds.gke.model import GkeNodePool
from espalier.settings import validate
from espalier.settings.model import Settings
from espalier.types import Mistakes

EKS: Final[dict[str, Any]] = {
    "kind": "eks",
    "name": "ml",
    "version": "1.35",
    "region": "us-east-1",
    "access": {"via": "network", "admins": ["arn:aws:iam::123456789012:role/platform"]},
}
GKE: Final[dict[str, Any]] = {
    "kind": "gke",
    "name": "ml",
    "version": "1.35",
    "region": "us-central1",
    "project": "example-ml",
    "access": {"via": "dns-endpoint"},
}
AKS: Final[dict[str, Any]] = {
    "kind": "aks",
    "name": "ml",
    "version": "1.35",
    "region": "eastus",
    "access": {"via": "network", "admins": ["11111111-2222-3333-4444-555555555555"]},
}
HOSTS: Final[dict[str, Any]] = {"kind": "existing", "version": "1.35", "kubeconfig": "k", "context": "c"}
SYSTEM: Final[dict[str, dict[str, Any]]] = {
    "eks": {"machine": "m7i.xlarge", "nodes": {"min": 2, "max": 3}},
    "gke": {"machine": "e2-standard-4", "nodes": {"min": 1, "max": 3}},
    "aks": {"machine": "Standard_D8s_v5", "nodes": {"min": 3, "max": 6}},
    "existing": {"machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"max": 1}},
}
L4: Final[dict[str, Any]] = {"accelerator": "L4", "count": 1}
A100: Final[dict[str, Any]] = {"accelerator": "A100-80", "count": 8}
T4: Final[dict[str, Any]] = {"accelerator": "T4", "count": 1}
GB200: Final[dict[str, Any]] = {
    "accelerator": "GB200",
    "count": 4,
    "capacity": ["reserved"],
    "reservation": {"id": "cr-0123456789abcdef0", "type": "capacity-block", "zones": ["us-east-1a"]},
}
OPERATORS: Final[dict[str, Any]] = {"driver": {"owner": "operator"}}
UBUNTU: Final[dict[str, Any]] = {"image": {"os": "ubuntu"}}
CANONICALS: Final[dict[str, Any]] = {"image": {"os": "ubuntu", "release": "ami-0123456789abcdef0"}}
MIG: Final[dict[str, Any]] = {"sharing": {"mig": "all-1g.10gb"}}
COS_ROOT: Final = "/home/kubernetes/bin/nvidia"
OPERATOR: Final = "nvidia-gpu-operator"
SHORT: Final = {"op": OPERATOR, "plugin": "nvidia-device-plugin", "dra": "nvidia-dra-driver", "-": "nobody"}

OFF: Final = {"enabled": False}
NEWEST: Final = {"enabled": True, "version": "595.91.07", "kernelModuleType": "auto", "usePrecompiled": False}
K3S: Final = {"name": "CONTAINERD_SOCKET", "value": "/run/k3s/containerd/containerd.sock"}
BY_POOL: Final = {"enabled": True, "nvidiaDriverCRD": {"enabled": True, "deployDefaultCR": False}}


def operator(**options: Any) -> dict[str, Any]:
    return {"node-feature-discovery": {}, OPERATOR: options}


def plugin() -> dict[str, Any]:
    return {"nvidia-device-plugin": {}}


def dra(**options: Any) -> dict[str, Any]:
    return {"nvidia-dra-driver": options}


@dataclass(frozen=True, slots=True)
class Case:
    """A pool on a cluster, and all that follows.

    `owners`: driver, toolkit, device plugin, discovery, sharing, metrics. `values`: what the operator's chart is told
    of PARTS, and nothing besides. `asked`: what the cloud's node pool asks for.
    """

    name: str
    cluster: dict[str, Any]
    pool: dict[str, Any]
    addons: dict[str, Any]
    owners: str
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    asked: dict[str, Any] = field(default_factory=dict[str, Any])


ON: Final = {"enabled": True}
CASES: Final = [
    # Hosts of one's own
    Case("hosts, operator's driver", HOSTS, L4 | OPERATORS, operator(),
         "op op op op - op", {"driver": NEWEST, "toolkit": ON}),
    Case("hosts, precompiled driver of a branch", HOSTS, L4 | {"driver": {"owner": "operator", "version": "580"}},
         operator(precompiled=True),
         "op op op op - op", {"driver": NEWEST | {"version": "580", "usePrecompiled": True}, "toolkit": ON}),
    Case("hosts, a branch's own version", HOSTS, L4 | {"driver": {"owner": "operator", "version": "580"}}, operator(),
         "op op op op - op", {"driver": NEWEST | {"version": "580.173.02"}, "toolkit": ON}),
    Case("hosts, V100", HOSTS, {"accelerator": "V100-32", **OPERATORS}, operator(),
         "op op op op - op",
         {"driver": NEWEST | {"version": "580.173.02", "kernelModuleType": "proprietary"}, "toolkit": ON}),
    Case("hosts with a driver", HOSTS, L4, operator(),
         "host op op op - op", {"driver": OFF, "toolkit": ON}),
    Case("hosts with driver and toolkit (DGX OS)", HOSTS, L4 | {"driver": {"owner": "host", "toolkit": "host"}},
         operator(),
         "host host op op - op", {"driver": OFF, "toolkit": OFF}),
    Case("hosts with driver and toolkit, plain plugin", HOSTS, L4, plugin(), "host host plugin - - -"),
    Case("hosts, devices cut by the operator", HOSTS, A100 | OPERATORS | MIG, operator(),
         "op op op op op op", {"driver": NEWEST, "toolkit": ON, "migManager": ON}),
    Case("RKE2", HOSTS, L4 | OPERATORS, operator(runtime="rke2"),
         "op op op op - op", {"driver": NEWEST, "toolkit": ON | {"env": [K3S]}}),
    Case("k3s", HOSTS, L4 | OPERATORS, operator(runtime="k3s"),
         "op op op op - op", {"driver": NEWEST, "toolkit": ON | {"env": [K3S]}}),
    Case("RKE2 by NRI", HOSTS, L4 | OPERATORS, operator(runtime="rke2", nri=True),
         "op op op op - op",
         {"driver": NEWEST, "toolkit": ON | {"env": [K3S]}, "cdi": {"enabled": True, "nriPluginEnabled": True}}),
    Case("MicroK8s", HOSTS, L4 | OPERATORS, operator(runtime="microk8s"),
         "op op op op - op",
         {"driver": NEWEST, "toolkit": ON | {"env": [
             {"name": "CONTAINERD_CONFIG", "value": "/var/snap/microk8s/current/args/containerd-template.toml"},
             {"name": "CONTAINERD_SOCKET", "value": "/var/snap/microk8s/common/run/containerd.sock"},
             {"name": "RUNTIME_CONFIG_SOURCE", "value": "file=/var/snap/microk8s/current/args/containerd.toml"}]}}),
    Case("Talos, toolkit by the operator (1.15)", HOSTS, L4 | {"image": {"os": "talos"}, "driver": {"owner": "host"}},
         operator(),
         "host op op op - op", {"driver": OFF, "toolkit": ON}),
    Case("Talos, toolkit by extension (before)", HOSTS,
         L4 | {"image": {"os": "talos"}, "driver": {"owner": "host", "toolkit": "host"}}, operator(),
         "host host op op - op", {"driver": OFF, "toolkit": OFF}),
    # EKS
    Case("EKS, al2023", EKS, L4, plugin(),
         "cloud cloud plugin - - -", asked={"image": "AL2023_x86_64_NVIDIA"}),
    Case("EKS, al2023 on Arm", EKS, GB200, plugin() | {"aws-efa-device-plugin": {}},
         "cloud cloud plugin - - -", asked={"image": "AL2023_ARM_64_NVIDIA"}),
    Case("EKS, al2023, operator", EKS, L4, operator(),
         "cloud cloud op op - op", {"driver": OFF, "toolkit": OFF}, {"image": "AL2023_x86_64_NVIDIA"}),
    Case("EKS, ubuntu, operator's driver", EKS, L4 | OPERATORS | CANONICALS, operator(),
         "op op op op - op", {"driver": NEWEST, "toolkit": ON}, {"image": "CUSTOM"}),
    Case("EKS, bottlerocket", EKS, L4 | {"image": {"os": "bottlerocket"}}, {},
         "cloud cloud cloud - - -", asked={"image": "BOTTLEROCKET_x86_64_NVIDIA"}),
    # GKE
    Case("GKE, cos, GKE's driver", GKE, L4, {},
         "cloud cloud cloud - - -", asked={"image": "COS_CONTAINERD", "driver": "DEFAULT"}),
    Case("GKE, ubuntu, GKE's newest driver", GKE, L4 | UBUNTU | {"driver": {"version": "latest"}}, {},
         "cloud cloud cloud - - -", asked={"image": "UBUNTU_CONTAINERD", "driver": "LATEST"}),
    Case("GKE, partitions", GKE, A100 | MIG, {},
         "cloud cloud cloud - cloud -",
         asked={"image": "COS_CONTAINERD", "driver": "DEFAULT", "partition": "1g.10gb"}),
    Case("GKE, time sharing", GKE, L4 | {"sharing": {"time-slices": 4}}, {},
         "cloud cloud cloud - cloud -",
         asked={"image": "COS_CONTAINERD", "driver": "DEFAULT", "sharing": "TIME_SHARING", "clients": 4}),
    Case("GKE, MPS", GKE, L4 | {"sharing": {"mps": 4}}, {},
         "cloud cloud cloud - cloud -",
         asked={"image": "COS_CONTAINERD", "driver": "DEFAULT", "sharing": "MPS", "clients": 4}),
    Case("GKE, cos, Google's installer, operator", GKE, A100 | MIG | {"driver": {"owner": "host"}}, operator(),
         "host op op op op op",
         {"driver": OFF, "hostPaths": {"driverInstallDir": COS_ROOT},
          "toolkit": ON | {"installDir": COS_ROOT, "env": [{"name": "RUNTIME_CONFIG_SOURCE", "value": "file"}]},
          "migManager": ON | {"env": [{"name": "WITH_REBOOT", "value": "true"}]}},
         {"image": "COS_CONTAINERD", "driver": "INSTALLATION_DISABLED", "no-plugin": "true"}),
    Case("GKE, ubuntu, operator's driver", GKE, L4 | OPERATORS | UBUNTU, operator(),
         "op op op op - op", {"driver": NEWEST, "toolkit": ON},
         {"image": "UBUNTU_CONTAINERD", "driver": "INSTALLATION_DISABLED", "no-plugin": "true"}),
    Case("GKE, cos, claims", GKE | {"version": "1.36"}, L4 | {"driver": {"owner": "host"}}, dra(gpus=True),
         "host host dra - - -",
         asked={"image": "COS_CONTAINERD", "driver": "INSTALLATION_DISABLED", "no-plugin": "true"}),
    # AKS
    Case("AKS, AKS's driver", AKS, T4, plugin(), "cloud cloud plugin - - -", asked={"driver": "Install"}),
    Case("AKS, AKS's driver, operator", AKS, T4, operator(),
         "cloud cloud op op - op", {"driver": OFF, "toolkit": OFF, "runtimeClass": "nvidia-container-runtime"},
         {"driver": "Install"}),
    Case("AKS, operator's driver, the image's toolkit", AKS, T4 | OPERATORS, operator(),
         "op cloud op op - op", {"driver": NEWEST, "toolkit": OFF, "runtimeClass": "nvidia-container-runtime"},
         {"driver": "None"}),
    Case("AKS, operator's driver and toolkit", AKS, T4 | {"driver": {"owner": "operator", "toolkit": "operator"}},
         operator(),
         "op op op op - op", {"driver": NEWEST, "toolkit": ON}, {"driver": "None"}),
    Case("AKS, slices", AKS, A100 | MIG, operator(),
         "cloud cloud op op cloud op", {"driver": OFF, "toolkit": OFF, "runtimeClass": "nvidia-container-runtime"},
         {"driver": "Install", "partition": "MIG1g"}),
]  # fmt: skip
PARTS: Final = ("driver", "toolkit", "hostPaths", "migManager", "cdi")


def settings_of(cluster: dict[str, Any], addons: dict[str, Any], *pools: dict[str, Any]) -> Settings:
    system = {"name": "system", "system": True} | SYSTEM[cluster["kind"]]
    named = [{"name": f"p{index}", "nodes": {"max": 2}} | pool for index, pool in enumerate(pools)]
    return validate({"cluster": cluster, "pools": [system, *named], "addons": addons}, where="espalier")


def told(settings: Settings, addon: str) -> dict[str, Any]:
    """What the add-on's chart is told."""
    inputs, content = inputs_of(settings, RECORDS[addon], RECORDS), RECORDS[addon].content
    assert inputs is not None
    assert content is not None
    return dict(content.values(inputs))


def owned(blueprint: Blueprint) -> dict[str, list[str]]:
    return {
        pool.name: [owner.addon or owner.who for _, owner in pool.owners.parts()]
        for pool in blueprint.pools
        if pool.owners is not None
    }


def asked(blueprint: Blueprint) -> dict[str, Any]:
    """What the only group of the pool with devices asks its cloud for; nothing where no cloud makes it."""
    (pool,) = [pool for pool in blueprint.pools if pool.owners is not None]
    found: dict[str, Any] = {}
    for group in pool.groups:
        if isinstance(group, EksNodeGroup):
            found = {"image": group.ami_type}
        elif isinstance(group, AksNodeGroup):
            found = {"driver": group.gpu_driver, "partition": group.gpu_instance_profile}
        elif isinstance(group, GkeNodePool) and group.gpus is not None:
            gpus = group.gpus
            found = {"image": group.image_type, "driver": gpus.driver, "partition": gpus.partition}
            found |= {"sharing": gpus.sharing, "clients": gpus.clients if gpus.sharing else None}
            found |= {"no-plugin": group.labels.get("gke-no-default-nvidia-gpu-device-plugin")}
    return {key: value for key, value in found.items() if value is not None}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_case_from_the_stack_file_to_the_node_and_the_chart(case: Case) -> None:
    settings = settings_of(case.cluster, case.addons, case.pool)
    blueprint = build(settings, RECORDS)
    assert owned(blueprint) == {"p0": [SHORT.get(name, name) for name in case.owners.split()]}
    assert asked(blueprint) == case.asked
    failed = [proof.evidence for proof in blueprint.proofs if not proof.ok and not proof.held]
    assert failed == []
    if OPERATOR in case.addons:
        values = told(settings, OPERATOR)
        found = {part: values[part] for part in PARTS if part in values}
        if "runtimeClass" in values["operator"]:
            found["runtimeClass"] = values["operator"]["runtimeClass"]
        assert found == {"migManager": OFF} | case.values


def test_driver_versions_that_differ_are_an_object_for_each_pool() -> None:
    pools = [L4 | OPERATORS, T4 | {"driver": {"owner": "operator", "version": "580"}}, A100]
    values = told(settings_of(HOSTS, operator(), *pools), OPERATOR)
    assert values["driver"] == BY_POOL
    made = {one["metadata"]["name"]: one["spec"] for one in values["extraObjects"]}
    assert {name: (spec["version"], spec["nodeSelector"]) for name, spec in made.items()} == {
        "p0": ("595.91.07", {"espalier.dev/pool": "p0"}),
        "p1": ("580.173.02", {"espalier.dev/pool": "p1"}),
    }
    policy = {"autoUpgrade": True, "maxParallelUpgrades": 1, "maxUnavailable": "25%"}
    assert all(spec["upgradePolicy"] == policy and spec["default"] is False for spec in made.values())


def test_akss_driver_and_an_operators_are_on_nodes_of_their_own() -> None:
    settings = settings_of(AKS, operator(), T4, T4 | OPERATORS)
    drivers = [group.gpu_driver for group in _agent_pools(build(settings, RECORDS)) if group.gpu_driver]
    assert drivers == ["Install", "None"]
    values = told(settings, OPERATOR)
    assert values["driver"] == BY_POOL
    assert [one["spec"]["nodeSelector"] for one in values["extraObjects"]] == [{"espalier.dev/pool": "p1"}]


def _agent_pools(blueprint: Blueprint) -> list[AksNodeGroup]:
    return [group for pool in blueprint.pools for group in pool.groups if isinstance(group, AksNodeGroup)]


@pytest.mark.parametrize(
    ("cluster", "pool", "root"),
    [
        (HOSTS, L4, "/"),
        (EKS, L4, "/"),
        (GKE, L4, COS_ROOT),
        (GKE, L4 | UBUNTU, "/opt/nvidia"),
    ],
)
def test_the_dra_driver_is_told_where_the_driver_lies(cluster: dict[str, Any], pool: dict[str, Any], root: str) -> None:
    assert told(settings_of(cluster, dra(), pool), "nvidia-dra-driver")["nvidiaDriverRoot"] == root


def test_no_value_is_one_that_this_chart_no_longer_reads() -> None:
    """`driver.useOpenKernelModules` and `cdi.default` are gone; a plugin's configuration must have a name and data."""
    for case in CASES:
        if OPERATOR in case.addons:
            values = told(settings_of(case.cluster, case.addons, case.pool), OPERATOR)
            assert "useOpenKernelModules" not in values["driver"]
            assert "default" not in values.get("cdi", {})
    config = told(settings_of(HOSTS, operator(), L4 | {"sharing": {"mps": 2}}), OPERATOR)["devicePlugin"]["config"]
    assert config["create"] is True
    assert config["name"]
    assert config["data"]


@pytest.mark.parametrize(
    ("cluster", "addons", "pools", "text"),
    [
        (
            GKE,
            operator(),
            [L4 | OPERATORS | UBUNTU, L4 | {"driver": {"owner": "host"}}],
            "espalier:addons.nvidia-gpu-operator: got p1 on cos beside p0 on ubuntu; accepted: one image.os for all "
            "pools: the operator looks for drivers in one place. Give them one image.os, or keep the operator off "
            'some: labels: {nvidia.com/gpu.deploy.operands: "false"}.',
        ),
        (
            GKE,
            operator(),
            [L4],
            "espalier:addons.nvidia-gpu-operator: got a device plugin on pool p0, where GKE runs a device plugin of "
            "its own on every GPU node pool; accepted: one device plugin a node. Remove nvidia-gpu-operator, or keep "
            'it off the pool: labels: {nvidia.com/gpu.deploy.operands: "false"}.',
        ),
        (
            EKS,
            operator(),
            [L4 | {"image": {"os": "bottlerocket"}}],
            "espalier:addons.nvidia-gpu-operator: got a device plugin on pool p0, where Bottlerocket's image runs a "
            "device plugin of its own; accepted: one device plugin a node. Remove nvidia-gpu-operator, or keep it off "
            'the pool: labels: {nvidia.com/gpu.deploy.operands: "false"}.',
        ),
        (
            AKS,
            operator(),
            [T4, T4 | {"driver": {"owner": "operator", "toolkit": "operator"}}],
            "espalier:addons.nvidia-gpu-operator: got a container toolkit for p1 and none for p0; accepted: one "
            "answer for all pools: the operator brings a toolkit to each node or to none. Keep it off the others: "
            'labels: {nvidia.com/gpu.deploy.container-toolkit: "false"}.',
        ),
        (
            GKE,
            dra(),
            [L4, L4 | UBUNTU],
            "espalier:addons.nvidia-dra-driver: got a driver in /home/kubernetes/bin/nvidia (p0) and a driver in "
            "/opt/nvidia (p1); accepted: one place for all pools, which is all that the chart can be told. Give these "
            "pools one image.os.",
        ),
        (
            EKS,
            plugin(),
            [L4 | CANONICALS],
            "espalier:pools[1].driver.owner: got cloud, on ubuntu; accepted: operator: Canonical's image for EKS holds "
            "no driver of NVIDIA's. Set driver: {owner: operator}, or image.os: al2023, whose image holds a driver.",
        ),
    ],
)
def test_pools_that_one_chart_cannot_serve_are_refused(
    cluster: dict[str, Any], addons: dict[str, Any], pools: list[dict[str, Any]], text: str
) -> None:
    with pytest.raises(Mistakes) as caught:
        build(settings_of(cluster, addons, *pools), RECORDS)
    assert [mistake.text() for mistake in caught.value.mistakes] == [text]


def test_pools_that_the_operator_is_kept_off_may_have_another_system() -> None:
    kept = L4 | {"driver": {"owner": "host"}, "labels": {"nvidia.com/gpu.deploy.operands": "false"}}
    values = told(settings_of(GKE, operator(), L4 | OPERATORS | UBUNTU, kept), OPERATOR)
    assert "hostPaths" not in values
    assert values["driver"] == NEWEST
