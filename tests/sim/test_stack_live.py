"""All add-ons of which upstream's manifests are at hand, on a real API server: up in the solver's order, and gone.

No chart is rendered: upstream's own objects are the content, as many as exclude nobody, and no controller runs. What
has no live server there is withheld and listed.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier import sim
from espalier.addons import RECORDS
from espalier.addons.shelf import SHELF
from espalier.charts.objects import CRD
from espalier.charts.stage import Stage
from espalier.cli import main
from espalier.kube import Client, Kind
from espalier.types import Facts
from tests.upstream.staged import ON_THE_HOST, UPSTREAM, items_of, staged, together

ROOT = Path(__file__).parents[2]
FACTS = Facts("simulated", "1.36", False)
FIRST = ("kueue", "kubeflow-trainer", "nvidia-gpu-operator", "training-operator-v1")
"""Of add-ons that exclude one another those that most stacks have."""
SHAPED = frozenset(record.id for record in SHELF) - ON_THE_HOST
"""Add-ons whose pods the record makes what they are to be, whatever values say."""
POOLS: list[dict[str, Any]] = [
    {"name": "system", "machine": {"cpu": 64, "memory": "512Gi"}, "nodes": {"min": 3, "max": 3}},
    {"name": "l4", "accelerator": "L4", "count": 1, "nodes": {"min": 1, "max": 1}},
]

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


class Stack:
    """A project of its own on one cluster, whose add-ons come from upstream's manifests."""

    def __init__(self, folder: Path, cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.cluster, self._capsys = folder, cluster, capsys
        (folder / "stacks").mkdir()
        for name in ("Pulumi.yaml", "__main__.py"):
            shutil.copy(ROOT / name, folder / name)

    def write(self, addons: Mapping[str, Any]) -> None:
        config = {
            "cluster": {"kind": "simulated", "name": self.cluster},
            "pools": POOLS,
            "licences": ["BUSL-1.1"],
            "addons": dict(addons),
            "tenants": [{"name": "work", "owners": ["olga@example.com"]}],
        }
        text = yaml.safe_dump({"config": {f"espalier:{key}": value for key, value in config.items()}})
        (self.folder / "stacks" / "Pulumi.whole.yaml").write_text(text)

    def good(self, word: str, *more: str) -> Any:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([word, "whole", *more, "--json"])
        document = json.loads(self._capsys.readouterr().out)
        assert ended.value.code == 0, json.dumps(document["errors"], indent=1)[:20000]
        return document


@pytest.fixture
def stack(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    new_cluster: Callable[[str], str],
) -> Stack:
    """What upstream's own values render is no more than content here: proofs do not judge it, and Pod Security only
    where the record itself makes the pods what they are to be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Stage, "_rendered", staged)
    monkeypatch.setattr("espalier.commands.apply.allowed", lambda plan: plan)
    for id, record in RECORDS.items():
        if record.content is not None and id not in SHAPED:
            monkeypatch.setitem(RECORDS, id, replace(record, content=replace(record.content, namespace_labels={})))
    return Stack(tmp_path, new_cluster("whole"), capsys)


def tell(lines: Iterable[str]) -> None:
    """Where `pytest -s` shows it."""
    sys.__stdout__.write("\n".join(["", *lines, ""]))  # type: ignore[union-attr]


def test_the_fullest_stack_comes_up_once_and_goes(stack: Stack) -> None:
    """In the solver's order nothing is rejected, nothing is left to do, and nothing hangs without controllers."""
    addons, left = together(FACTS, (), FIRST)
    tell([f"not in it: {id}: {why}" for id, why in left.items()])
    stack.write(addons)
    made = stack.good("up", "--yes")
    assert {change["op"] for change in made["changes"]} == {"create"}
    tell([f"{wave['name']}: {wave['seconds']:.1f} s" for wave in made["waves"]])
    again = stack.good("up", "--yes")
    assert [change for change in again["changes"] if change["op"] != "same"] == []
    client = Client.connect(sim.kubeconfig_path(stack.cluster))
    for manifest in abandoned():
        client.create(manifest)
    gone = stack.good("destroy", "--yes", "--remove-finalizers")
    assert {change["op"] for change in gone["changes"]} == {"delete"}
    there = {one["metadata"]["name"] for one in client.list(Kind("v1", "Namespace"))}
    assert "work" not in there
    ours = {content.namespace: id for id in addons if (content := RECORDS[id].content)}
    left_behind = {ours[name] for name in there & set(ours) - {"kube-system"}}
    assert left_behind == {id for id in left_behind if keeps(id)}


def keeps(id: str) -> bool:
    """Whether something in its namespace is to stay: volumes, or what upstream says so of."""
    if any(data.claims for data in RECORDS[id].data):
        return True
    notes = (item.object["metadata"].get("annotations") or {} for item in items_of(id) if item.object["kind"] != CRD)
    return any(one.get("helm.sh/resource-policy") == "keep" for one in notes)


GONE = "example.com/its-controller-is-gone"


def abandoned() -> list[dict[str, Any]]:
    """A tenant's work, whose finalizer nobody takes off any more. Definitions stay, but a tenant's namespace goes."""
    template = {"spec": {"containers": [{"name": "main", "image": "example.com/x:1"}]}}
    specs: list[tuple[str, str, dict[str, Any]]] = [
        ("kubeflow.org/v1", "Notebook", {"template": template}),
        ("kubeflow.org/v1beta1", "Experiment", {}),
        ("trainer.kubeflow.org/v1alpha1", "TrainJob", {"runtimeRef": {"name": "torch"}}),
        ("serving.kserve.io/v1beta1", "InferenceService", {"predictor": {}}),
        ("argoproj.io/v1alpha1", "Workflow", {"entrypoint": "main", "templates": [{"name": "main"}]}),
    ]
    made: list[dict[str, Any]] = []
    for api_version, kind, spec in specs:
        metadata = {"name": f"left-{kind.lower()}", "finalizers": [GONE], "namespace": "work"}
        made.append({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
    return made
