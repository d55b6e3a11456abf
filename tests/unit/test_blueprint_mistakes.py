"""Every refusal of the blueprint says where, what would be taken and what to do; all of them come at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.catalogue import accelerators
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

CASES: list[tuple[str, dict[str, Any], str]] = [
    # what, settings, the text, with ACCELERATORS and ADDONS for the names of all
    ("unknown accelerator", {"pools": [gpu(accelerator="H-100")]},
     "pools[0].accelerator: got 'H-100'; accepted: ACCELERATORS. Write one of the catalogue's names."),
    ("no MIG", {"pools": [gpu(accelerator="L4", sharing={"mig": "all-1g.6gb"})]},
     "pools[0].sharing.mig: got 'all-1g.6gb'; accepted: nothing: L4 has no MIG. Use time-slices or mps, or "
     "another accelerator."),
    ("another's profile", {"pools": [gpu(accelerator="H200", sharing={"mig": "all-1g.10gb"})]},
     "pools[0].sharing.mig: got 'all-1g.10gb'; accepted: all-1g.18gb, all-1g.18gb+me, all-1g.35gb, "
     "all-2g.35gb, all-3g.71gb, all-4g.71gb, all-7g.141gb, all-balanced. Choose a profile of this "
     "accelerator."),
    ("sharing a TPU", {"pools": [tpu(topology="2x2", sharing={"mps": 2})]},
     "pools[0].sharing: got sharing of TPU-v6e; accepted: sharing of NVIDIA accelerators. Remove "
     "`sharing`; whole devices are given out."),
    ("sharing of AMD", {"pools": [gpu(accelerator="MI300X", sharing={"time-slices": 2})]},
     "pools[0].sharing: got sharing of MI300X; accepted: sharing of NVIDIA accelerators. Remove `sharing`; "
     "whole devices are given out."),
    ("no topology", {"pools": [tpu()]},
     "pools[0].topology: got nothing; accepted: for TPU-v6e: 2x2, 2x4, 4x4, 4x8, 8x8, 8x16, 16x16. Add the "
     "slice's topology."),
    ("unknown topology", {"pools": [tpu(topology="3x3")]},
     "pools[0].topology: got '3x3'; accepted: 2x2, 2x4, 4x4, 4x8, 8x8, 8x16, 16x16. Choose a topology of "
     "this TPU."),
    ("topology of a GPU", {"pools": [gpu(accelerator="T4", topology="2x2")]},
     "pools[0].topology: got '2x2'; accepted: nothing for T4. Remove `topology`; only TPU slices have one."),
    ("half a slice at most", {"pools": [tpu(topology="4x8")]},
     "pools[0].nodes.max: got 4; accepted: a multiple of 8, the hosts of a 4x8 slice. Count whole slices."),
    ("half a slice at least", {"pools": [tpu(topology="4x4", nodes={"min": 2, "max": 4, "start": 4})]},
     "pools[0].nodes.min: got 2; accepted: a multiple of 4, the hosts of a 4x4 slice. Count whole slices."),
    ("half a slice at first", {"pools": [tpu(topology="4x4", nodes={"max": 4, "start": 1})]},
     "pools[0].nodes.start: got 1; accepted: a multiple of 4, the hosts of a 4x4 slice. Count whole "
     "slices."),
    ("count of a TPU", {"pools": [tpu(topology="2x2", count=8)]},
     "pools[0].count: got 8; accepted: 4. Remove `count`; a TPU's chips a node follow from its machine."),
    ("Espalier's label", {"pools": [gpu(accelerator="T4", labels={"espalier.dev/pool": "q"})]},
     'pools[0].labels["espalier.dev/pool"]: got \'q\'; accepted: nothing: Espalier sets espalier.dev/pool '
     "itself. Remove it, or rename it."),
    ("unknown add-on", {"addons": {"nvidia-device-plugins": {}}},
     "addons.nvidia-device-plugins: got 'nvidia-device-plugins'; accepted: ADDONS. Did you mean "
     "'nvidia-device-plugin'?"),
    ("nothing like an add-on", {"addons": {"zzz": {}}},
     "addons.zzz: got 'zzz'; accepted: ADDONS. Remove it."),
    ("unknown option", {"addons": {"alpha": {"lvl": 1}}},
     "addons.alpha.lvl: got 1; accepted: level. Correct or remove the option."),
    ("wrong option", {"addons": {"alpha": {"level": "high"}}},
     "addons.alpha.level: got 'high'; accepted: level. Correct or remove the option."),
    ("option of none", {"addons": {"nvidia-device-plugin": {"x": 1}}},
     "addons.nvidia-device-plugin.x: got 1; accepted: no options. Correct or remove the option."),
    ("missing need", {"addons": {"beta": {}}},
     "addons.beta: got no alpha; accepted: alpha beside it. Add `alpha: {}` to espalier:addons."),
    ("conflict", {"addons": {"alpha": {}, "gamma": {}}},
     "addons.gamma: got beside alpha; accepted: one of the two. Remove gamma or alpha."),
    ("needs in a ring", {"addons": {"ring-a": {}, "ring-b": {}}},
     "addons: got ring-a -> ring-b -> ring-a; accepted: add-ons whose needs form no cycle. Remove one of "
     "them."),
    ("quota over the maxima", {"pools": [H100], "tenants": [quota("nvidia.com/gpu", 33)]},
     'tenants[0].quota.devices["nvidia.com/gpu"]: got 33; accepted: at most 32, all pools at their maxima. '
     "Lower the quota or raise a pool's nodes.max."),
    ("quota of nobody's device", {"pools": [H100], "tenants": [quota("google.com/tpu", 1)]},
     "tenants[0].quota.devices[\"google.com/tpu\"]: got 'google.com/tpu'; accepted: nvidia.com/gpu. Name a "
     "device that a pool advertises."),
    ("quota without devices", {"pools": [SYSTEM], "tenants": [quota("amd.com/gpu", 1)]},
     "tenants[0].quota.devices[\"amd.com/gpu\"]: got 'amd.com/gpu'; accepted: none: no pool has an "
     "accelerator. Name a device that a pool advertises."),
    ("price for nothing", {"pools": [H100], "prices": {"h200": PRICE}},
     "prices.h200: got 'h200'; accepted: H100-80, p, p5.48xlarge. Name a pool, its accelerator or its "
     "machine."),
    ("tenants that read alike", {"tenants": [{"name": "a", "workspaces": ["b-team"]}, {"name": "a-b"}]},
     "tenants[1].name: got a-b with workspace team, which reads like a workspace of tenant a; accepted: "
     "tenants and workspaces whose names, joined by -, differ. Rename the tenant or the workspace."),
    ("an add-on's namespace", {"tenants": [{"name": "nvidia-device-plugin"}], "addons": {"nvidia-device-plugin": {}}},
     "tenants[0].name: got namespace nvidia-device-plugin, which add-on nvidia-device-plugin has already; "
     "accepted: each namespace once. Rename the tenant or the workspace."),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "text"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_refusal_says_where_what_and_how(settings: dict[str, Any], text: str) -> None:
    (found,) = mistakes(**settings)
    addons = sorted(id for id, record in {**RECORDS, **EXTRA}.items() if record.state != "retired")
    for short, whole in {"ACCELERATORS": ", ".join(accelerators()), "ADDONS": ", ".join(addons)}.items():
        text = text.replace(short, whole)
    assert found.text() == f"espalier:{text}"


def test_an_object_of_two_add_ons_is_refused() -> None:
    shared = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own", "namespace": "shared"}}
    twins = {id: addon(id, objects=lambda _: (Planned("one", shared),)) for id in ("one", "two")}
    settings = validate({"cluster": {"kind": "simulated"}, "addons": {"one": {}, "two": {}}}, where="espalier")
    with pytest.raises(Mistakes) as raised:
        build(settings, twins)
    assert [mistake.text() for mistake in raised.value.mistakes] == [
        "espalier:addons.two: got configmap/shared/own, which add-on one has already; accepted: each object by one "
        "add-on. Turn it off in one of the two; for a namespace, say `create-namespace: false` in one record."
    ]


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
