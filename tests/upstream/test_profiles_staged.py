"""Whole profiles with upstream's manifests as content: planned in the solver's order, nothing held up or twice."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.blueprint.bundles import BUNDLES
from espalier.charts.stage import Stage
from espalier.cli import main
from tests.upstream.staged import UPSTREAM, items_of, staged

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = {
    "cluster": {"kind": "simulated"},
    "pools": [
        {"name": "system", "machine": {"cpu": 64, "memory": "512Gi"}, "nodes": {"min": 3, "max": 3}},
        {"name": "h100", "accelerator": "H100-80", "count": 8, "nodes": {"max": 4}},
    ],
}

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


@pytest.mark.parametrize("profile", BUNDLES)
def test_a_profile_is_planned_with_all_that_it_consists_of(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stacks").mkdir()
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    config = {f"espalier:{key}": value for key, value in {**CONFIG, "profile": profile}.items()}
    (tmp_path / "stacks" / "Pulumi.one.yaml").write_text(yaml.safe_dump({"config": config}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Stage, "_rendered", staged)
    for id in BUNDLES[profile]:
        items_of(id)  # a plan of a filled cache reads no YAML
    started = time.perf_counter()
    with pytest.raises(SystemExit) as ended:
        main(["plan", "one", "--json"])
    taken = time.perf_counter() - started
    document = json.loads(capsys.readouterr().out)
    sys.__stdout__.write(f"\nplan of {profile}: {len(document['kubernetes'])} objects, {taken:.1f} s\n")  # type: ignore[union-attr]
    assert ended.value.code in (0, 1), document["errors"]  # policies judge what upstream's own values give
    rows = {row["id"]: row for row in document["addons"]}
    assert rows.keys() >= set(BUNDLES[profile])
    assert {id for id in BUNDLES[profile] if rows[id]["content"] != "rendered" or rows[id]["held"]} == set()
    order = {id: rows[id]["wave"] for id in rows}
    if "kueue" in order:
        assert order["kueue"] > max(order[id] for id in ("jobset", "kubeflow-trainer"))
