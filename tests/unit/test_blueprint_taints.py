"""Every taint of every pool is known, with who makes it; and what must reach every node tolerates them all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.addons import RECORDS
from espalier.addons.node_feature_discovery import RECORD as NFD
from espalier.addons.tolerations import tolerations_of
from espalier.blueprint import build
from espalier.blueprint.names import STARTUP_TAINT
from espalier.blueprint.pools import PoolPlan, compile_pools
from espalier.blueprint.reach import daemonset_reaches
from espalier.blueprint.taints import taints_of
from espalier.settings import load_file, validate
from espalier.settings.pool import Pool
from espalier.types import AddonInputs, Facts

STACKS = Path(__file__).parents[2] / "stacks"


def pools(stack: str) -> dict[str, PoolPlan]:
    return {pool.name: pool for pool in build(load_file(STACKS / f"Pulumi.{stack}.yaml").settings, RECORDS).pools}


GATE = "startup-taint.cluster-autoscaler.kubernetes.io/espalier-device=waiting:NoSchedule"
FAILED = "status-taint.cluster-autoscaler.kubernetes.io/espalier-device=failed:NoSchedule"


def told(pool: PoolPlan) -> list[str]:
    return [f"{known.taint} {'+'.join(known.kinds)} {known.by}" for known in taints_of(pool)]


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (
            "aws-prod",
            {
                "system": [],
                "h100": [
                    "nvidia.com/gpu=present:NoSchedule reserved espalier",
                    f"{GATE} reserved espalier",
                    f"{FAILED} reserved espalier",
                ],
                "l4": [
                    "nvidia.com/gpu=present:NoSchedule spot+on-demand espalier",
                    "espalier.dev/spot=true:NoSchedule spot espalier",
                    f"{GATE} spot+on-demand espalier",
                    f"{FAILED} spot+on-demand espalier",
                ],
                "trainium": [
                    "aws.amazon.com/neuron=present:NoSchedule on-demand espalier",
                    f"{GATE} on-demand espalier",
                    f"{FAILED} on-demand espalier",
                ],
            },
        ),
        (
            "gcp-prod",
            {
                "cpu": ["cloud.google.com/gke-spot=true:NoSchedule spot espalier"],
                "v6e": [
                    "google.com/tpu=present:NoSchedule on-demand espalier",
                    f"{GATE} on-demand espalier",
                    f"{FAILED} on-demand espalier",
                ],
                "flex": [
                    "nvidia.com/gpu=present:NoSchedule flex espalier",
                    "cloud.google.com/gke-queued=true:NoSchedule flex cloud",
                    f"{GATE} flex espalier",
                    f"{FAILED} flex espalier",
                ],
            },
        ),
        (
            "azure-prod",
            {
                "system": ["CriticalAddonsOnly=true:NoSchedule on-demand espalier"],
                "t4": [
                    "nvidia.com/gpu=present:NoSchedule spot+on-demand espalier",
                    "kubernetes.azure.com/scalesetpriority=spot:NoSchedule spot espalier",
                    "startup-taint.cluster-autoscaler.kubernetes.io/espalier-device=waiting:NoSchedule "
                    "spot+on-demand espalier",
                    f"{FAILED} spot+on-demand espalier",
                ],
            },
        ),
    ],
)
def test_each_taint_is_known_with_who_makes_it(stack: str, expected: dict[str, list[str]]) -> None:
    found = pools(stack)
    assert {name: told(found[name]) for name in expected} == expected


def test_arm_nodes_of_gke_are_tainted_by_gke() -> None:
    cluster = {
        "kind": "gke",
        "name": "demo",
        "project": "example-ml",
        "version": "1.35",
        "region": "us-central1",
        "access": {"via": "dns-endpoint"},
    }
    blocks = [
        {"name": "system", "machine": "e2-standard-4", "nodes": {"min": 1, "max": 3}},
        {"name": "arm", "machine": "c4a-standard-8", "nodes": {"max": 2}},
    ]
    found = build(validate({"cluster": cluster, "pools": blocks}, where="espalier"), {}).pools
    assert told(found[1]) == ["kubernetes.io/arch=arm64:NoSchedule on-demand cloud"]


KEYS = st.sampled_from(["team", "example.com/dedicated", "a.b/c"])
TAINTS = st.lists(
    st.fixed_dictionaries(
        {
            "key": KEYS,
            "value": st.sampled_from(["", "a", "b"]),
            "effect": st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
        }
    ),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(taints=TAINTS, accelerator=st.sampled_from([None, "A100-80", "TPU-v6e", "MI300X"]))
def test_whatever_taints_a_pool_has_agents_of_every_node_tolerate_them(
    taints: list[dict[str, Any]], accelerator: str | None
) -> None:
    topology = {"topology": "2x2"} if accelerator == "TPU-v6e" else {}
    block = {"name": "p", "accelerator": accelerator, "nodes": {"max": 4}, "taints": taints, **topology}
    plans, mistakes = compile_pools([Pool.model_validate(block, strict=False)], {}, simulated=False)
    assert mistakes == ()
    assert {(t["key"], t["value"]) for t in taints} <= {(one.taint.key, one.taint.value) for one in taints_of(plans[0])}
    inputs = AddonInputs(Facts("existing", "1.35", True), tuple(plan.facts() for plan in plans), NFD.options())
    assert NFD.content is not None
    template = {"spec": {"tolerations": NFD.content.values(inputs)["worker"]["tolerations"]}}
    assert all(daemonset_reaches(template, shape) is None for shape in plans[0].shapes)


def test_the_taint_of_a_nodes_start_is_known_too() -> None:
    block = {"name": "p", "accelerator": "L4", "nodes": {"max": 1}}
    (plan,), _ = compile_pools([Pool.model_validate(block, strict=False)], {}, simulated=False)
    gated = replace(plan, shapes=tuple(replace(one, startup_taints=(STARTUP_TAINT,)) for one in plan.shapes))
    assert told(gated)[-1] == f"{STARTUP_TAINT} on-demand espalier"
    assert {one["key"] for one in tolerations_of([gated.facts()])} == {"nvidia.com/gpu", STARTUP_TAINT.key}


def test_tolerations_are_of_all_kinds_of_capacity() -> None:
    pool = pools("azure-prod")["t4"].facts()
    always = {"nvidia.com/gpu", FAILED.partition("=")[0], STARTUP_TAINT.key}
    keys = {one["key"] for one in tolerations_of([pool])}
    assert keys == {*always, "kubernetes.azure.com/scalesetpriority"}
    assert {one["key"] for one in tolerations_of([replace(pool, shapes=pool.shapes[1:])])} == always
