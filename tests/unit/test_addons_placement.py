"""Where the pods of add-ons run whose webhooks or controllers everything else waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint.reach import daemonset_reaches
from espalier.types import AddonInputs, Facts, Taint
from tests.unit.test_blueprint_gates import H100, SYSTEM, blueprint

PLACES = [
    ("kueue", ("controllerManager",), ""),
    ("volcano", ("custom",), "default_"),
    ("kai-scheduler", ("global",), ""),
    ("nvidia-gpu-operator", ("operator",), ""),
    ("node-feature-discovery", ("master",), ""),
    ("node-feature-discovery", ("gc",), ""),
]
TAINTED = Taint("CriticalAddonsOnly", "true")


def spec(id: str, path: tuple[str, ...], prefix: str) -> Mapping[str, Any]:
    """What the chart's value at the path says of where the pods run."""
    record = RECORDS[id]
    assert record.content
    found: Any = record.content.values(AddonInputs(Facts("eks", "1.35", True), (), record.options()))
    for key in path:
        found = found[key]
    return {key: found[f"{prefix}{key}"] for key in ("tolerations", "affinity") if f"{prefix}{key}" in found}


@pytest.mark.parametrize(("id", "path", "prefix"), PLACES)
def test_no_webhook_is_on_a_node_that_may_be_taken_back_or_has_a_device(
    id: str, path: tuple[str, ...], prefix: str
) -> None:
    pools = blueprint(SYSTEM, {**H100, "capacity": ["spot", "on-demand"]}).pools
    (system,), devices = pools[0].shapes, pools[1].shapes
    template = {"spec": spec(id, path, prefix)}
    for shape in devices:
        assert daemonset_reaches(template, shape) is not None
    assert daemonset_reaches(template, system) is None
    kept = replace(system, taints=(TAINTED,))
    assert daemonset_reaches(template, kept) is None


@pytest.mark.parametrize(("id", "path", "prefix"), PLACES[1:])
def test_labels_alone_keep_it_off_where_nothing_is_tainted(id: str, path: tuple[str, ...], prefix: str) -> None:
    """Kueue's chart takes no affinity."""
    for pool in blueprint({**H100, "capacity": ["spot", "on-demand"]}, {**SYSTEM, "capacity": ["spot"]}).pools:
        for shape in pool.shapes:
            bare = replace(shape, taints=())
            assert daemonset_reaches({"spec": spec(id, path, prefix)}, bare) is not None
