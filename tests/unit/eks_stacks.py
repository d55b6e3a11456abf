"""Pools on EKS, for tests: compiled from the keys of a stack file, or the mistakes that a user sees."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.blueprint.clouds.eks import COMPILER, EksNodeGroup
from espalier.blueprint.clouds.wanted import Site
from espalier.blueprint.pools import PoolPlan, compile_pools
from espalier.catalogue import Catalogue, catalogue
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.settings.eks import Eks
from espalier.settings.load import load_file
from espalier.settings.pool import Pool
from espalier.types import Mistake

CATALOGUE = catalogue()
SYSTEM: dict[str, Any] = {
    "name": "system",
    "system": True,
    "machine": {"cpu": 4, "memory": "16Gi"},
    "nodes": {"min": 2, "max": 6},
}
ROOT = Path(__file__).parents[2]
ZONE = ["us-east-1a"]
STACK: dict[str, Any] = {
    "cluster": {
        "kind": "eks",
        "name": "c",
        "version": "1.35",
        "region": "us-east-1",
        "access": {"via": "network", "admins": ["arn:aws:iam::123456789012:role/platform"]},
    },
    "pools": [
        {"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"min": 2, "max": 6}},
        {"name": "cpu", "machine": "m7i.2xlarge", "capacity": ["spot", "on-demand"], "nodes": {"max": 9}},
        {"name": "l4", "accelerator": "L4", "count": 1, "capacity": ["spot", "on-demand"], "nodes": {"max": 4}},
        {
            "name": "cut",
            "accelerator": "A100-80",
            "zones": ZONE,
            "nodes": {"max": 2},
            "sharing": {"mig": "all-1g.10gb"},
        },
        {
            "name": "h100",
            "accelerator": "H100-80",
            "capacity": ["reserved", "on-demand"],
            "nodes": {"max": 4},
            "reservation": {"id": "cr-0123456789abcdef0", "type": "capacity-block", "zones": ZONE},
        },
        {"name": "trainium", "accelerator": "Trainium", "zones": ZONE, "nodes": {"max": 2}},
    ],
    "addons": {
        "nvidia-device-plugin": {},
        "neuron-device-plugin": {},
        "aws-efa-device-plugin": {},
    },
}
"""A stack with a pool of every sort."""
BLOCK = {"id": "cr-0123456789abcdef0", "type": "capacity-block", "zones": ["us-east-1a"]}


def a_pool(**keys: Any) -> Pool:
    """A pool of its keys in the stack file, of at most 4 nodes unless they say otherwise."""
    return Pool.model_validate_json(json.dumps({"name": "p", "nodes": {"max": 4}, **keys}))


def a_cluster(**keys: Any) -> Eks:
    """A cluster in us-east-1."""
    block = {"kind": "eks", "name": "c", "version": "1.35", "region": "us-east-1", "access": {"via": "network"}, **keys}
    return Eks.model_validate_json(json.dumps(block))


def compiled(
    *pools: Pool, cluster: Eks | None = None, rows: Catalogue = CATALOGUE
) -> tuple[tuple[PoolPlan, ...], tuple[Mistake, ...]]:
    """The pools beside a system pool, and what is wrong with them."""
    site = Site(cluster=cluster or a_cluster(), compiler=COMPILER, catalogue=rows)
    return compile_pools((*pools, a_pool(**SYSTEM)), {}, simulated=False, known=rows.accelerators, site=site)


def groups_of(pool: Pool, cluster: Eks | None = None) -> tuple[EksNodeGroup, ...]:
    """The groups of a pool without mistakes."""
    plans, mistakes = compiled(pool, cluster=cluster)
    assert mistakes == (), "\n".join(mistake.text() for mistake in mistakes)
    return tuple(group for group in plans[0].groups if isinstance(group, EksNodeGroup))


def group_of(cluster: Eks | None = None, **keys: Any) -> EksNodeGroup:
    """The only group of a pool, or its first."""
    return groups_of(a_pool(**keys), cluster)[0]


@cache
def recorded(folder: Path) -> tuple[Blueprint, list[dict[str, Any]]]:
    """The blueprint of `STACK`, and what its program registers, as JSON; `folder` is for its file."""
    file = folder / "Pulumi.t.yaml"
    file.write_text(yaml.safe_dump({"config": {f"espalier:{key}": value for key, value in STACK.items()}}))
    stack = load_file(file)
    recording = record(Program(ROOT, "espalier", "t", stack.config))
    return build(stack.settings, RECORDS), [resource.to_json() for resource in recording.resources]
