"""Every refusal of the blueprint says where, what would be taken and what to do; all of them come at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.settings import validate
from espalier.types import AddonInputs, AddonRecord, Mistake, Mistakes, Planned

SYSTEM: dict[str, Any] = {"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"max": 1}}


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    level: int = 1


def nothing(_inputs: AddonInputs) -> Sequence[Planned]:
    return ()


def addon(id: str, **fields: Any) -> AddonRecord:
    base = AddonRecord(id, "1.0.0", "test", "optional", "Apache-2.0", "here", Options, nothing)
    return replace(base, **fields)


EXTRA = {
    record.id: record
    for record in (
        addon("alpha"),
        addon("beta", needs=frozenset({"alpha"})),
        addon("gamma", conflicts={"alpha": ""}),
        addon("ring-a", needs=frozenset({"ring-b"})),
        addon("ring-b", needs=frozenset({"ring-a"})),
    )
}


def blueprint(**settings: Any) -> Blueprint:
    return build(validate({"cluster": {"kind": "simulated"}, **settings}, where="espalier"), {**RECORDS, **EXTRA})


def mistakes(**settings: Any) -> list[Mistake]:
    with pytest.raises(Mistakes) as raised:
        blueprint(**settings)
    return list(raised.value.mistakes)


def gpu(**keys: Any) -> dict[str, Any]:
    return {"name": "p", "nodes": {"max": 4}, **keys}


def tpu(**keys: Any) -> dict[str, Any]:
    return gpu(accelerator="TPU-v6e", **keys)


def quota(device: str, count: int) -> dict[str, Any]:
    return {"name": "t", "quota": {"devices": {device: count}}}


H100 = gpu(accelerator="H100-80")
PRICE = {"on-demand": 1.0, "date": "2026-11-01"}

CASES: list[tuple[str, dict[str, Any], str, str, str]] = [
    # what, settings, path, a part of what is accepted, a part of what to do
    ("unknown accelerator", {"pools": [gpu(accelerator="H-100")]}, "pools[0].accelerator", "H100-80", "catalogue"),
    ("no MIG", {"pools": [gpu(accelerator="L4", sharing={"mig": "all-1g.6gb"})]}, "pools[0].sharing.mig",
     "nothing: L4 has no MIG", "time-slices"),
    ("another's profile", {"pools": [gpu(accelerator="H200", sharing={"mig": "all-1g.10gb"})]},
     "pools[0].sharing.mig", "all-1g.18gb", "Choose a profile"),
    ("sharing a TPU", {"pools": [tpu(topology="2x2", sharing={"mps": 2})]}, "pools[0].sharing", "NVIDIA", "Remove"),
    ("sharing of AMD", {"pools": [gpu(accelerator="MI300X", sharing={"time-slices": 2})]}, "pools[0].sharing",
     "NVIDIA", "Remove `sharing`"),
    ("no topology", {"pools": [tpu()]}, "pools[0].topology", "2x2, 2x4, 4x4", "Add the slice's topology"),
    ("unknown topology", {"pools": [tpu(topology="3x3")]}, "pools[0].topology", "2x2, 2x4, 4x4", "Choose"),
    ("topology of a GPU", {"pools": [gpu(accelerator="T4", topology="2x2")]}, "pools[0].topology", "nothing for T4",
     "Remove `topology`"),
    ("half a slice at most", {"pools": [tpu(topology="4x8")]}, "pools[0].nodes.max", "a multiple of 8", "whole"),
    ("half a slice at least", {"pools": [tpu(topology="4x4", nodes={"min": 2, "max": 4, "start": 4})]},
     "pools[0].nodes.min", "a multiple of 4, the hosts of a 4x4 slice", "Count whole slices"),
    ("half a slice at first", {"pools": [tpu(topology="4x4", nodes={"max": 4, "start": 1})]},
     "pools[0].nodes.start", "a multiple of 4", "Count whole slices"),
    ("count of a TPU", {"pools": [tpu(topology="2x2", count=8)]}, "pools[0].count", "4", "Remove `count`"),
    ("Espalier's label", {"pools": [gpu(accelerator="T4", labels={"espalier.dev/pool": "q"})]},
     'pools[0].labels["espalier.dev/pool"]', "Espalier sets espalier.dev/pool itself", "Remove it"),
    ("unknown add-on", {"addons": {"nvidia-device-plugins": {}}}, "addons.nvidia-device-plugins",
     "nvidia-device-plugin", "Did you mean 'nvidia-device-plugin'?"),
    ("nothing like an add-on", {"addons": {"zzz": {}}}, "addons.zzz", "alpha, amd-device-plugin", "Remove it"),
    ("unknown option", {"addons": {"alpha": {"lvl": 1}}}, "addons.alpha.lvl", "level", "Correct or remove"),
    ("wrong option", {"addons": {"alpha": {"level": "high"}}}, "addons.alpha.level", "level", "Correct or remove"),
    ("option of none", {"addons": {"nvidia-device-plugin": {"x": 1}}}, "addons.nvidia-device-plugin.x", "no options",
     "Correct or remove"),
    ("missing need", {"addons": {"beta": {}}}, "addons.beta", "alpha beside it", "Add `alpha: {}`"),
    ("conflict", {"addons": {"alpha": {}, "gamma": {}}}, "addons.gamma", "one of the two", "Remove gamma or alpha"),
    ("needs in a ring", {"addons": {"ring-a": {}, "ring-b": {}}}, "addons", "form no cycle", "Remove one"),
    ("quota over the maxima", {"pools": [H100], "tenants": [quota("nvidia.com/gpu", 33)]},
     'tenants[0].quota.devices["nvidia.com/gpu"]', "at most 32, all pools at their maxima", "raise a pool's nodes.max"),
    ("quota of nobody's device", {"pools": [H100], "tenants": [quota("google.com/tpu", 1)]},
     'tenants[0].quota.devices["google.com/tpu"]', "nvidia.com/gpu", "Name a device that a pool advertises"),
    ("quota without devices", {"pools": [SYSTEM], "tenants": [quota("amd.com/gpu", 1)]},
     'tenants[0].quota.devices["amd.com/gpu"]', "none: no pool has an accelerator", "Name a device"),
    ("price for nothing", {"pools": [H100], "prices": {"h200": PRICE}}, "prices.h200", "H100-80, p, p5.48xlarge",
     "Name a pool, its accelerator or its machine"),
    ("tenants that read alike", {"tenants": [{"name": "a", "workspaces": ["b-team"]}, {"name": "a-b"}]},
     "tenants[1].name", "joined by -, differ", "Rename"),
    ("an add-on's namespace", {"tenants": [{"name": "nvidia-device-plugin"}], "addons": {"nvidia-device-plugin": {}}},
     "tenants[0].name", "each namespace once", "Rename"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "path", "accepted", "do"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_refusal_says_where_what_and_how(settings: dict[str, Any], path: str, accepted: str, do: str) -> None:
    (found,) = mistakes(**settings)
    assert found.path == f"espalier:{path}"
    assert accepted in found.accepted
    assert do in found.do
    assert found.got


def test_several_mistakes_are_told_at_once() -> None:
    found = mistakes(
        pools=[
            gpu(name="a", accelerator="H-100"),
            gpu(name="b", accelerator="L4", sharing={"mig": "all-1g.6gb"}),
            tpu(),
        ],
        addons={"zzz": {}, "beta": {"lvl": 1}},
    )
    assert [m.path.removeprefix("espalier:") for m in found] == [
        "pools[0].accelerator",
        "pools[1].sharing.mig",
        "pools[2].topology",
        "addons.beta.lvl",
        "addons.zzz",
        "addons.beta",
    ]


def test_quota_namespace_and_price_mistakes_come_together() -> None:
    found = mistakes(
        pools=[H100],
        tenants=[
            {"name": "nvidia-device-plugin", "quota": {"devices": {"nvidia.com/gpu": 33}}},
            {"name": "u", "quota": {"devices": {"amd.com/gpu": 1}}},
        ],
        addons={"nvidia-device-plugin": {}},
        prices={"x": PRICE},
    )
    assert [m.path.removeprefix("espalier:") for m in found] == [
        'tenants[0].quota.devices["nvidia.com/gpu"]',
        'tenants[1].quota.devices["amd.com/gpu"]',
        "tenants[0].name",
        "prices.x",
    ]


def test_a_quota_of_all_there_is_is_taken() -> None:
    made = blueprint(pools=[H100], tenants=[{"name": "t", "quota": {"devices": {"nvidia.com/gpu": 32}}}])
    (proof,) = [proof for proof in made.proofs if proof.name == "quota/t"]
    assert (proof.ok, proof.evidence) == (True, "32 nvidia.com/gpu of 32")


def test_without_pools_a_quota_cannot_be_judged_and_is_taken() -> None:
    made = blueprint(tenants=[{"name": "t", "quota": {"devices": {"nvidia.com/gpu": 1000}}}])
    assert made.tenants[0].workspaces[0].hard["requests.nvidia.com/gpu"] == "1000"
