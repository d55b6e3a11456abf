"""Our queues against the definitions of Kueue, Volcano and KAI, and our values against their charts' own keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from espalier.addons import RECORDS
from espalier.addons.kueue import FRAMEWORKS
from espalier.blueprint import build
from espalier.settings import validate
from espalier.types import AddonInputs, Facts, Planned, QueueFacts
from tests.upstream.test_karpenter import closed

UPSTREAM = Path(__file__).parents[2].parent / "shared" / "upstream"
GPU, TPU = "nvidia.com/gpu", "google.com/tpu"
POOLS: list[dict[str, Any]] = [
    {"name": "h100", "accelerator": "H100-80", "nodes": {"max": 4}, "capacity": ["reserved", "spot", "on-demand"]},
    {"name": "mig", "accelerator": "A100-80", "nodes": {"max": 2}, "sharing": {"mig": "all-1g.10gb"}},
    {"name": "near", "accelerator": "H100-80", "nodes": {"min": 2, "max": 2}, "placement": "compact"},
    {"name": "queued", "accelerator": "L4", "nodes": {"max": 2}, "capacity": ["flex"], "flex": {"queued": True}},
]
TPUS: list[dict[str, Any]] = [{"name": "v6e", "accelerator": "TPU-v6e", "topology": "4x4", "nodes": {"max": 8}}]
TENANTS: list[dict[str, Any]] = [
    {
        "name": "a",
        "groups": {"edit": ["engineers"]},
        "quota": {"devices": {GPU: 16}},
        "queue": {"weight": 2, "borrow": {GPU: 8}},
    },
    {"name": "b", "quota": {"devices": {GPU: 40, "nvidia.com/mig-1g.10gb": 56}}},
]
KEYS: dict[str, dict[str, Any]] = {
    "kueue": {"pools": [*POOLS, *TPUS], "tenants": TENANTS, "queues": {"topology": True}},
    "volcano": {"pools": [*POOLS, *TPUS], "tenants": TENANTS},
    "kai-scheduler": {"pools": [POOLS[0], POOLS[2]], "tenants": [TENANTS[0]]},
}


def made(system: str) -> tuple[Planned, ...]:
    block = {"cluster": {"kind": "simulated"}, "addons": {system: {}}, **KEYS[system]}
    queues = build(validate(block, where="espalier"), RECORDS).queues
    assert queues
    return queues.objects


def facts_of(system: str, file: str) -> Any:
    path = UPSTREAM / system / file
    if not path.is_file():
        pytest.skip("upstream's facts are not beside the checkout, in ../shared/upstream")
    text = path.read_text("utf-8").replace("^(?i)", "(?i)^")  # Go takes flags anywhere, Python at the start
    return [one for one in yaml.safe_load_all(text) if one]


@pytest.mark.parametrize("system", KEYS)
def test_every_object_is_one_that_its_definition_takes(system: str) -> None:
    schemas = {
        (f"{one['spec']['group']}/{version['name']}", one["spec"]["names"]["kind"]): closed(
            version["schema"]["openAPIV3Schema"]
        )
        for one in facts_of(system, "crds.yaml")
        for version in one["spec"]["versions"]
        if version["served"]
    }
    for planned in made(system):
        manifest = planned.manifest
        schema = schemas[manifest["apiVersion"], manifest["kind"]]
        errors = [f"{e.json_path}: {e.message}" for e in jsonschema.Draft7Validator(schema).iter_errors(manifest)]
        assert errors == [], manifest


@pytest.mark.parametrize("system", KEYS)
def test_every_value_is_a_key_of_the_chart(system: str) -> None:
    (known,) = facts_of(system, "values.yaml")
    record = RECORDS[system]
    assert record.content
    queues = QueueFacts(counted={GPU: "count.espalier.dev/all"}, slices=True)
    facts = Facts("eks", "1.35", True, autoscaler="cluster-autoscaler")
    values = record.content.values(AddonInputs(facts, (), record.options(), {}, queues))
    assert unknown(values, known) == []


def unknown(values: Mapping[str, Any], known: Mapping[str, Any], path: str = "") -> list[str]:
    """Keys that the chart's own values lack; below an empty mapping or a list anything goes."""
    found: list[str] = []
    for key, value in values.items():
        if key not in known:
            found.append(f"{path}{key}")
        elif isinstance(value, Mapping) and isinstance(known[key], Mapping) and known[key]:
            found += unknown(value, known[key], f"{path}{key}.")
    return found


@pytest.mark.parametrize("system", KEYS)
def test_the_record_names_what_these_facts_are_of(system: str) -> None:
    (source,) = facts_of(system, "source.yaml")
    record = RECORDS[system]
    assert record.content
    assert record.content.facts
    assert source["version"] == record.version == record.content.source.version
    assert source["repo"] in (record.content.source.address, getattr(record.content.source, "repo", ""))
    assert set(record.content.facts.crds) <= set(source["crds"])
    images = (UPSTREAM / system / "images.txt").read_text("utf-8").split()
    assert set(record.content.facts.images) <= set(images)


def test_kueue_serves_no_kind_of_job_that_it_does_not_know() -> None:
    (values,) = facts_of("kueue", "values.yaml")
    text = values["managerConfig"]["controllerManagerConfigYaml"]
    assert [kind for kinds in FRAMEWORKS.values() for kind in kinds if f'"{kind}"' not in text] == []
