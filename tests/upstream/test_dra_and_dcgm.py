"""Our values of NVIDIA's DRA driver and DCGM exporter against their own charts."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from espalier.addons.dcgm_exporter import RECORD as DCGM
from espalier.addons.nvidia_dra_driver import RECORD as DRA
from espalier.blueprint.reach import daemonset_reaches
from espalier.types import AddonRecord
from tests.unit.test_addons_nvidia_dra_and_dcgm import told
from tests.unit.test_addons_nvidia_gpu_operator import pools_of
from tests.upstream.values import folder_of, strangers, theirs


@pytest.mark.parametrize("record", [DRA, DCGM], ids=["dra", "dcgm"])
@pytest.mark.parametrize("options", [{}, {"gpus": True}], ids=["plain", "gpus"])
def test_every_key_is_one_of_the_charts(record: AddonRecord, options: dict[str, Any]) -> None:
    ours = told(record, pools_of({}), **(options if record is DRA else {}))
    assert list(strangers(ours, theirs(record.id))) == []


@pytest.mark.parametrize("record", [DRA, DCGM], ids=["dra", "dcgm"])
def test_the_source_is_upstreams(record: AddonRecord) -> None:
    source = yaml.safe_load((folder_of(record.id) / "source.yaml").read_text("utf-8"))
    assert record.content is not None
    assert (source["version"], source["license"], source["git"]) == (record.version, record.licence, record.source)
    assert source["repo"].startswith(getattr(record.content.source, "repo"))  # noqa: B009 - a chart, as its kind says


def daemonset(addon: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((folder_of(addon) / "manifests.yaml").read_text("utf-8"))
    (found,) = [one for one in documents if one and one["kind"] == "DaemonSet"]
    return found["spec"]["template"]


def test_with_our_tolerations_both_reach_a_tainted_pool_and_with_their_own_not() -> None:
    (pool,) = pools_of({"taints": [{"key": "team", "value": "a"}]})
    shape = pool.shape
    for record, tolerations in (
        (DRA, told(DRA, (pool,))["kubeletPlugin"]["tolerations"]),
        (DCGM, told(DCGM, (pool,))["tolerations"]),
    ):
        template = daemonset(record.id)
        assert daemonset_reaches({"spec": {**template["spec"], "tolerations": tolerations}}, shape) is None
    assert daemonset_reaches(daemonset("dcgm-exporter"), shape) is not None


def test_the_chart_names_the_resource_that_pods_ask_for() -> None:
    documents = yaml.safe_load_all((folder_of("nvidia-dra-driver") / "manifests.yaml").read_text("utf-8"))
    classes = {one["metadata"]["name"]: one["spec"] for one in documents if one and one["kind"] == "DeviceClass"}
    assert classes["gpu.nvidia.com"]["extendedResourceName"] == "nvidia.com/gpu"
