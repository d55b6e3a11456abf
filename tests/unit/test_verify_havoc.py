"""Which faults a row of random ones is drawn from, without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from espalier import sim
from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.kube import Client
from espalier.settings import load_file
from espalier.verify.havoc import havoc

ROOT = Path(__file__).parents[2]


class Quiet:
    """An API server whose jobs have finished and whose nodes are gone."""

    def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        return manifest

    def delete(self, *_: Any) -> None: ...

    def list(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return []


def hit(blueprint: Blueprint, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()

    def fault(_: str, component: str, kind: str, **__: Any) -> tuple[str, ...]:
        found.add((component, kind))
        return ()

    monkeypatch.setattr(sim, "fault", fault)
    monkeypatch.setattr(sim, "up", lambda _: None)
    monkeypatch.setattr("espalier.verify.havoc.time.sleep", lambda _: None)
    assert havoc(blueprint, cast("Client", Quiet()), "x", faults=300, seed=1).ok
    return found


def test_faults_strike_every_process_and_the_warden_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_file(ROOT / "stacks" / "Pulumi.elastic.yaml").settings
    without = settings.model_copy(update={"addons": {"nvidia-device-plugin": {}}})
    killed = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "karpenter"}
    struck = hit(build(settings, RECORDS), monkeypatch)
    assert {component for component, kind in struck if kind == "kill"} == {*killed, "warden"}
    assert {kind for _, kind in struck} >= {"no-spot", "reclaim-spot", "not-ready", "lose-device", "slow-driver"}
    plain = hit(build(without, RECORDS), monkeypatch)
    assert {component for component, kind in plain if kind == "kill"} == killed
