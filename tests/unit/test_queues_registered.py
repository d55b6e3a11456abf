"""Queues in the program: after their system and the tenants where it is there; else in the plan alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.addons import RECORDS
from espalier.engine.model import Resource
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.settings.load import load_file
from espalier.types import Planned

ROOT = Path(__file__).parents[2]
STACK: dict[str, Any] = {
    "espalier:cluster": {"kind": "simulated"},
    "espalier:pools": [
        {"name": "h100", "accelerator": "H100-80", "nodes": {"max": 4}, "capacity": ["spot", "on-demand"]}
    ],
    "espalier:tenants": [{"name": "vision", "quota": {"devices": {"nvidia.com/gpu": 8}}}],
    "espalier:addons": {"kueue": {}},
}

Recorder = Callable[[], dict[str, Resource]]


@pytest.fixture
def registered(tmp_path: Path) -> Recorder:
    file = tmp_path / "Pulumi.q.yaml"
    file.write_text(yaml.safe_dump({"config": STACK}), "utf-8")

    def run() -> dict[str, Resource]:
        recording = record(Program(ROOT, "espalier", "q", load_file(file).config))
        return {resource.name: resource for resource in recording.resources}

    return run


def marker(_: Any) -> tuple[Planned, ...]:
    return (Planned("part", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "p", "namespace": "q"}}),)


def test_queues_come_after_their_system_and_the_tenants(registered: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECORDS, "kueue", replace(RECORDS["kueue"], content=None, objects=marker))
    made = registered()
    local = made["platform-queue-local-vision"]
    for earlier in ("platform-kueue-part", "platform-tenant-vision-team-namespace", "platform-queue-tenant-vision"):
        assert made[earlier].urn in local.dependencies
    assert made["platform-queue-flavour-h100-spot"].urn in made["platform-queue-tenant-vision"].dependencies


def test_queues_of_a_system_that_is_held_up_are_not_registered(registered: Recorder) -> None:
    assert not [name for name in registered() if name.startswith("platform-queue-")]
