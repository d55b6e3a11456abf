"""NVIDIA's DRA driver and DCGM exporter: values from the pools, version gates, and what they cannot be beside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.addons.dcgm_exporter import RECORD as DCGM
from espalier.addons.nvidia_dra_driver import RECORD as DRA
from espalier.blueprint.order import plan_addons, provided_by
from espalier.types import AddonInputs, AddonRecord, Facts, Mistake, Owner, Owners, PoolFacts
from tests.unit.test_addons_nvidia_gpu_operator import pools_of


def told(record: AddonRecord, pools: tuple[PoolFacts, ...], kind: str = "existing", **options: Any) -> dict[str, Any]:
    assert record.content is not None
    facts = Facts(kind, "1.36", runs_containers=True)
    return dict(record.content.values(AddonInputs(facts, pools, record.options.model_validate(options))))


def texts(addons: dict[str, Any], *blocks: dict[str, Any], version: str = "1.36", kind: str = "existing") -> list[str]:
    facts = Facts(kind, version, runs_containers=True)
    mistakes: tuple[Mistake, ...] = plan_addons(addons, RECORDS, facts, pools_of(*blocks))[1]
    return [mistake.text() for mistake in mistakes]


def test_gpus_are_switched_on_in_the_way_in_which_the_chart_renders() -> None:
    domains = told(DRA, pools_of({}))
    assert domains["resources"] == {"gpus": {"enabled": False}, "computeDomains": {"enabled": True}}
    assert "gpuResourcesEnabledOverride" not in domains
    gpus = told(DRA, pools_of({}), gpus=True)
    assert gpus["resources"]["gpus"] == {"enabled": True}
    assert gpus["gpuResourcesEnabledOverride"] is True
    assert gpus["nvidiaDriverRoot"] == "/"
    assert told(DRA, (), "gke")["nvidiaDriverRoot"] == "/home/kubernetes/bin/nvidia"


def test_gpus_make_it_the_one_owner_of_the_device_plugins_part() -> None:
    token = "device-plugin/nvidia.com/gpu"
    assert token not in provided_by({"nvidia-dra-driver": {}}, RECORDS)
    assert provided_by({"nvidia-dra-driver": {"gpus": True}}, RECORDS)[token] == ("nvidia-dra-driver",)


@pytest.mark.parametrize(
    ("addons", "version", "text"),
    [
        (
            {"nvidia-dra-driver": {"gpus": True}},
            "1.35",
            "espalier:addons.nvidia-dra-driver.gpus: got gpus on Kubernetes 1.35; accepted: 1.36 or later: the driver "
            "asks for 1.34.2, and before 1.36 no pod's nvidia.com/gpu is a claim. Set gpus: false and add "
            "nvidia-device-plugin, or take a later version.",
        ),
        (
            {"nvidia-dra-driver": {"gpus": True}, "nvidia-device-plugin": {}},
            "1.36",
            "espalier:addons.nvidia-dra-driver.gpus: got gpus beside nvidia-device-plugin; accepted: one of the two: "
            "both would hand out each GPU, and so each twice. Remove nvidia-device-plugin, or set gpus: false.",
        ),
        (
            {"nvidia-dra-driver": {"compute-domains": False}},
            "1.36",
            "espalier:addons.nvidia-dra-driver: got neither gpus nor compute-domains; accepted: one of the two. Remove "
            "the add-on, or set one.",
        ),
        (
            {"nvidia-dra-driver": {}},
            "1.31",
            "espalier:addons.nvidia-dra-driver: got Kubernetes 1.31; accepted: 1.32 or later. Remove it, or take a "
            "later version.",
        ),
        (
            {"nvidia-dra-driver": {}, "nvidia-gpu-operator": {}, "node-feature-discovery": {}},
            "1.36",
            "espalier:addons.nvidia-dra-driver: got beside nvidia-gpu-operator; accepted: one of the two: each "
            "brings its own definition of computedomains.resource.nvidia.com. Remove nvidia-dra-driver or "
            "nvidia-gpu-operator.",
        ),
    ],
)
def test_what_claims_cannot_be_is_refused(addons: dict[str, Any], version: str, text: str) -> None:
    assert text in texts(addons, {}, version=version)


def test_old_drivers_and_shared_devices_are_refused() -> None:
    old = texts({"nvidia-dra-driver": {}}, {"driver": {"owner": "operator", "version": "570.86.15"}})
    assert old == [
        "espalier:addons.nvidia-dra-driver: got driver.version 570.86.15 of pool p0; accepted: a driver of 580 or "
        'later. Write "580" or later.'
    ]
    shared = texts({"nvidia-dra-driver": {"gpus": True}}, {"sharing": {"time-slices": 4}})
    assert shared == [
        "espalier:addons.nvidia-dra-driver.gpus: got gpus on pool p0, which is shared by time-slices; accepted: whole "
        "devices, which is what claims hand out here. Remove `sharing`, or set gpus: false and add "
        "nvidia-device-plugin."
    ]


def test_gpus_where_the_cloud_runs_a_plugin_are_refused() -> None:
    (pool,) = pools_of({})
    cloud = Owner("cloud", "GKE runs a device plugin of its own on every GPU node pool")
    facts = Facts("gke", "1.36", runs_containers=True)
    inputs = AddonInputs(facts, (replace(pool, owners=Owners(cloud, cloud, cloud)),), DRA.options(gpus=True))
    assert [mistake.text() for mistake in DRA.judges(inputs)] == [
        "espalier:addons.nvidia-dra-driver.gpus: got gpus on pool p0, where GKE runs a device plugin of its own on "
        "every GPU node pool; accepted: pools without a device plugin: two would hand out each GPU twice. Set gpus: "
        "false."
    ]


def test_domains_beside_the_plugin_are_fine() -> None:
    assert texts({"nvidia-dra-driver": {}, "nvidia-device-plugin": {}}, {}, version="1.34") == []


def test_the_exporter_is_where_the_devices_are() -> None:
    found = told(DCGM, pools_of({"taints": [{"key": "team", "value": "a"}]}))
    assert found["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in found["tolerations"]
    assert found["serviceMonitor"] == {"enabled": False}
    assert told(DCGM, pools_of({}), "existing", **{"service-monitor": True})["serviceMonitor"] == {"enabled": True}


def test_two_that_measure_are_refused_and_so_is_gke() -> None:
    both = {"dcgm-exporter": {}, "nvidia-gpu-operator": {}, "node-feature-discovery": {}}
    assert (
        "espalier:addons.dcgm-exporter: got beside nvidia-gpu-operator; accepted: one of the two: the operator starts "
        "an exporter of its own. Remove dcgm-exporter or nvidia-gpu-operator." in texts(both, {}, version="1.35")
    )
    assert texts({"dcgm-exporter": {}}, {}, kind="gke") == [
        "espalier:addons.dcgm-exporter: got on a cluster of kind gke; accepted: GKE's own DCGM metrics: on its nodes a "
        "pod that asks for no device finds no driver. Remove it."
    ]
