"""Our NodePools and EC2NodeClasses against Karpenter's own definitions, v1.14.1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from espalier.addons.karpenter import RECORD, VERSION
from espalier.types import AddonInputs, Facts
from tests.unit.eks_stacks import BLOCK, a_cluster, a_pool, compiled

UPSTREAM = Path(__file__).parents[2].parent / "shared" / "upstream" / "karpenter"
POOLS: list[dict[str, Any]] = [
    {"accelerator": "H100-80", "capacity": ["reserved", "spot", "on-demand"], "reservation": BLOCK},
    {"accelerator": "Trainium", "taints": [{"key": "team", "value": "a", "effect": "NoExecute"}]},
    {"machine": "m7i.2xlarge", "image": {"os": "bottlerocket"}, "disk": {"size": "300Gi", "iops": 6000}},
    {"accelerator": "L4", "preload": {"snapshot": "snap-0123456789abcdef0"}, "max-pods": 60},
    {"accelerator": "T4", "sharing": {"time-slices": 4}, "placement": "compact"},
]


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    if not UPSTREAM.is_dir():
        pytest.skip("upstream's facts are not beside the checkout, in ../shared/upstream")
    documents = [one for one in yaml.safe_load_all((UPSTREAM / "crds.yaml").read_text("utf-8")) if one]
    return {
        one["spec"]["names"]["kind"]: closed(version["schema"]["openAPIV3Schema"])
        for one in documents
        for version in one["spec"]["versions"]
        if version["name"] in ("v1", "v1alpha1")
    }


def closed(schema: Any) -> Any:
    """The API server drops keys that a definition lacks, which nobody notices: here they are an error."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and schema["properties"]:
        open_ended = {"metadata"} & set(schema["properties"]) and "apiVersion" in schema["properties"]
        found["additionalProperties"] = bool(open_ended)
    return found


@pytest.mark.parametrize("keys", POOLS, ids=[str(keys.get("accelerator", keys.get("machine"))) for keys in POOLS])
def test_every_object_is_one_that_karpenter_takes(schemas: dict[str, Any], keys: dict[str, Any]) -> None:
    plans, mistakes = compiled(a_pool(**keys), cluster=a_cluster(autoscaler="karpenter"))
    assert mistakes == ()
    facts = Facts("eks", "1.35", True, cluster="c", region="us-east-1", autoscaler="karpenter")
    made = RECORD.objects(AddonInputs(facts, tuple(plan.facts() for plan in plans), RECORD.options()))
    assert made
    for planned in made:
        manifest = planned.manifest
        errors = [
            f"{error.json_path}: {error.message}"
            for error in jsonschema.Draft7Validator(schemas[manifest["kind"]]).iter_errors(manifest)
        ]
        assert errors == []


def test_the_version_is_the_one_that_these_are_of() -> None:
    if not UPSTREAM.is_dir():
        pytest.skip("upstream's facts are not beside the checkout, in ../shared/upstream")
    assert yaml.safe_load((UPSTREAM / "source.yaml").read_text("utf-8"))["version"] == VERSION
