"""A device of a vendor that no cloud knows: by a row of the team's own, with a plugin that somebody must bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.catalogue import catalogue
from espalier.charts.records import records_in
from espalier.settings import validate
from espalier.types import Mistakes, Proof

ROWS = """
sources: {habana: {text: "a test", date: "2026-11-01"}}
defaults: {aws: {source: habana, capacity: [on-demand]}}
accelerators:
  Gaudi3:
    vendor: habana
    resource: habana.ai/gaudi
    memory_gib: 128
    host: {cpu: 20, memory_gib: 128, per_node: 8}
    labels: {habana.ai/gaudi.present: "true"}
    source: habana
"""
PLUGIN = """
source: {manifests: {url: plugin.yaml, version: "1"}}
namespace: habana
privileged: true
provides: [device-plugin/habana.ai/gaudi, driver/habana.ai/gaudi]
reaches: [habana.ai/gaudi]
"""
POOL: dict[str, Any] = {"name": "gaudi", "accelerator": "Gaudi3", "nodes": {"max": 2}}
CLUSTER = {"kind": "existing", "version": "1.35", "kubeconfig": "~/.kube/config", "context": "c"}


def stack(tmp_path: Path, kind: str = "existing", **pool: Any) -> Blueprint:
    (tmp_path / "catalogue").mkdir(exist_ok=True)
    (tmp_path / "catalogue" / "habana.yaml").write_text(ROWS)
    records = {**RECORDS, **records_in(tmp_path, RECORDS)}
    tenants = [{"name": "t", "groups": {"edit": ["g"]}, "quota": {"devices": {"habana.ai/gaudi": 16}, "cpu": 1}}]
    block = {
        "cluster": CLUSTER if kind == "existing" else {"kind": kind},
        "pools": [POOL | pool],
        "tenants": tenants,
        "addons": {id: {} for id in records.keys() - RECORDS.keys()},
    }
    return build(validate(block, where="espalier"), records, known=catalogue(tmp_path / "catalogue"))


def proofs(blueprint: Blueprint) -> dict[str, Proof]:
    return {proof.name: proof for proof in blueprint.proofs}


@pytest.mark.parametrize("kind", ["existing", "simulated"])
def test_the_pool_has_labels_taint_devices_and_quota_as_any(tmp_path: Path, kind: str) -> None:
    blueprint = stack(tmp_path, kind)
    (pool,) = blueprint.pools
    assert pool.shape.devices == {"habana.ai/gaudi": 8}
    assert pool.shape.labels["habana.ai/gaudi.present"] == "true"
    assert pool.shape.labels["espalier.dev/accelerator"] == "Gaudi3"
    assert [str(taint) for taint in pool.shape.taints] == ["habana.ai/gaudi=present:NoSchedule"]
    assert proofs(blueprint)["quota/t"].evidence == "16 habana.ai/gaudi of 16"


def test_nobody_is_told_to_advertise_it(tmp_path: Path) -> None:
    found = proofs(stack(tmp_path))
    assert not found["owner/habana.ai/gaudi"].ok
    assert found["owner/habana.ai/gaudi"].evidence == (
        "nobody advertises habana.ai/gaudi on gaudi: its vendor's nodes are not known to; add an add-on of your own "
        "whose record provides device-plugin/habana.ai/gaudi, or say that the hosts have it (driver: {owner: host})"
    )
    assert found["owners/gaudi"].evidence.startswith(
        "driver: no node image is known to hold a driver for Gaudi3, and no add-on of the stack provides "
        "driver/habana.ai/gaudi; add an add-on whose record provides driver/habana.ai/gaudi, or say"
    )


def test_the_hosts_have_it_where_the_stack_file_says_so(tmp_path: Path) -> None:
    found = proofs(stack(tmp_path, driver={"owner": "host"}))
    assert found["owner/habana.ai/gaudi"].ok
    assert found["owners/gaudi"].ok


def test_a_plugin_of_the_teams_own_owns_it(tmp_path: Path) -> None:
    (tmp_path / "addons").mkdir()
    (tmp_path / "addons" / "habana-plugin.yaml").write_text(PLUGIN)
    (tmp_path / "plugin.yaml").write_text("")
    blueprint = stack(tmp_path)
    owners = blueprint.pools[0].owners
    assert owners is not None
    assert (owners.driver.addon, owners.device_plugin.addon) == ("habana-plugin", "habana-plugin")
    found = proofs(blueprint)
    assert found["owners/gaudi"].ok
    # Its content was not rendered here: no proof passes on what is not seen.
    assert found["owner/habana.ai/gaudi"].held
    assert found["daemonset/habana-plugin"].held


def test_it_is_not_shared(tmp_path: Path) -> None:
    with pytest.raises(Mistakes) as caught:
        stack(tmp_path, sharing={"time-slices": 2})
    assert "sharing of Gaudi3; accepted: sharing of NVIDIA accelerators" in str(caught.value)
