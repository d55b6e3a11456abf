"""What AKS cannot do: wrong pools and clusters, each with the one text that a user reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.blueprint import build
from espalier.settings import validate
from espalier.types import Mistakes

ADMIN = "11111111-2222-3333-4444-555555555555"
SYSTEM: dict[str, Any] = {"name": "system", "machine": "Standard_D4s_v5", "nodes": {"min": 2, "max": 3}}
GENERAL: dict[str, Any] = {"name": "p", "machine": "Standard_D8s_v5", "nodes": {"max": 4}}
CLUSTER: dict[str, Any] = {
    "kind": "aks",
    "name": "ml",
    "version": "1.35",
    "region": "eastus",
    "access": {"via": "network", "admins": [ADMIN]},
}
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "aks_mistakes.yaml").read_text("utf-8"))


def texts(cluster: dict[str, Any], pools: list[dict[str, Any]]) -> list[str]:
    try:
        build(validate({"cluster": cluster, "pools": pools}, where="espalier"), {})
    except Mistakes as error:
        return [mistake.text() for mistake in error.mistakes]
    return []


def changed(case: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The cluster block and the pools of a case; a key that is null is left out."""
    cluster = {key: value for key, value in (CLUSTER | case.get("cluster", {})).items() if value is not None}
    if "pool" in case:
        return cluster, [SYSTEM, case["pool"]]
    if "system" in case:
        return cluster, [SYSTEM | case["system"], GENERAL]
    return cluster, [SYSTEM]


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_each_mistake_is_told_alone_and_in_these_words(case: dict[str, Any]) -> None:
    assert texts(*changed(case)) == [case["text"]]


def test_what_the_cases_change_is_fine_without_the_change() -> None:
    assert texts(CLUSTER, [SYSTEM, GENERAL]) == []
    assert texts(CLUSTER, [SYSTEM]) == []


def test_there_is_a_case_for_every_key_that_is_judged() -> None:
    paths = {case["text"].split(":", 1)[1].split(": got")[0] for case in CASES}
    assert len(CASES) >= 75
    assert len(paths) >= 45


def test_a_stack_without_a_pool_for_the_system_is_told_what_to_add() -> None:
    gpus = {"name": "t4", "accelerator": "T4", "count": 1, "nodes": {"max": 2}}
    assert texts(CLUSTER, [gpus]) == [
        "espalier:pools: got no pool for the system; accepted: a pool without an accelerator: AKS needs one. "
        "Add one: {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}."
    ]


def test_two_pools_for_the_system_are_one_too_many() -> None:
    second = GENERAL | {"system": True, "nodes": {"min": 1, "max": 2}}
    assert texts(CLUSTER, [SYSTEM | {"system": True}, second]) == [
        "espalier:pools[1].system: got a second system pool, besides system; accepted: one. Keep it in one pool."
    ]


def test_all_mistakes_are_told_at_once() -> None:
    cluster = CLUSTER | {"autoscaler": "karpenter", "storage": {"type": "efs"}}
    found = texts(cluster, [SYSTEM | {"surge": 0}, GENERAL | {"repair": False, "fabric": True}])
    assert [text.split(": got")[0] for text in found] == [
        "espalier:cluster.storage.type",
        "espalier:cluster.autoscaler",
        "espalier:pools[0].surge",
        "espalier:pools[1].repair",
        "espalier:pools[1].fabric",
    ]
