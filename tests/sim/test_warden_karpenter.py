"""Gates and repairs with Karpenter, real: drivers that are slow, MIG, devices that are lost."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.addons import RECORDS
from espalier.blueprint import names
from espalier.engine.up import up
from espalier.kube import ApiError, Client, Kind
from espalier.settings import load_file
from espalier.verify.rehearse import Rehearsal
from tests.sim.elastic import DEPLOYMENT, NODE, POD, ROOT, TOLERATES, Elastic

CLAIMS = Kind("karpenter.sh/v1", "NodeClaim")
GPU = "nvidia.com/gpu"
SECONDS = 120


def stack_file(folder: Path, *, gated: bool) -> Path:
    """The `elastic` stack, its warden quick to judge; ungated, its pools say so."""
    text = (ROOT / "stacks" / "Pulumi.elastic.yaml").read_text()
    if not gated:
        text = text.replace("      accelerator:", "      readiness: false\n      accelerator:")
    assert "{after: 15s}" in text
    (folder / "base.yaml").write_text((ROOT / "stacks" / "base.yaml").read_text())
    path = folder / "Pulumi.elastic.yaml"
    path.write_text(text.replace("{after: 15s}", "{after: 1s}"))
    return path


def brought_up(name: str, path: Path) -> Elastic:
    rehearsal = Rehearsal.of(load_file(path), name, root=ROOT, project="espalier", records=RECORDS)
    blueprint = rehearsal.blueprint
    assert blueprint.warden
    status = sim.up(name, machines=blueprint.machines, warden=blueprint.warden, progress=print)
    client = Client.connect(status.kubeconfig)
    up(rehearsal.program, connection=client)
    return Elastic(name, rehearsal, client)


@pytest.fixture(scope="module")
def elastic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elastic]:
    name = f"test-wardened-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}"
    try:
        yield brought_up(name, stack_file(tmp_path_factory.mktemp("gated"), gated=True))
    finally:
        sim.down(name)


@pytest.fixture(autouse=True)
def tidy(elastic: Elastic, eventually: Callable[..., Any]) -> Iterator[None]:
    yield
    sim.fault(elastic.name, "nodes", "quick-driver")
    cleared(elastic, eventually)


def cleared(elastic: Elastic, eventually: Callable[..., Any]) -> None:
    """No work and no node: one whose devices never came is not Karpenter's to take away."""
    elastic.clear()
    for claim in claims(elastic):
        with suppress(ApiError):
            elastic.client.delete(CLAIMS, claim)
    eventually(lambda: not elastic.made(), SECONDS)


def early_bird(elastic: Elastic) -> None:
    """A pod that may run on the pool's nodes and asks for no device: nothing but a gate keeps it off a new node."""
    spec = elastic.spec(1)
    spec["containers"][0].pop("resources")
    metadata = {"name": "early", "namespace": "default"}
    elastic.client.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def claims(elastic: Elastic) -> list[str]:
    return sorted(claim["metadata"]["name"] for claim in elastic.client.list(CLAIMS))


def allocatable(node: dict[str, Any]) -> int:
    return int(node["status"]["allocatable"].get(GPU, "0"))


def test_one_pod_wakes_one_node_and_nothing_starts_there_before_the_devices_are_there(
    elastic: Elastic, eventually: Callable[..., Any]
) -> None:
    sim.fault(elastic.name, "nodes", "slow-driver", pool="h100", seconds=20)
    seen: dict[str, Any] = {}

    def running(pod: str) -> dict[str, Any] | None:
        for claim in elastic.client.list(CLAIMS):
            seen[claim["metadata"]["name"]] = claim.get("status")
        return elastic.node_of(pod)

    elastic.pod("asks", devices=1)
    early_bird(elastic)
    node = eventually(lambda: running("early"), SECONDS)
    assert allocatable(node) == 8
    assert names.STARTUP_TAINT.key not in {taint["key"] for taint in node["spec"].get("taints", [])}
    eventually(lambda: running("asks"), SECONDS)
    assert len(seen) == 1, f"one pod had {len(seen)} nodes made: {seen}"


def test_without_the_gate_work_starts_on_a_node_without_devices(
    elastic: Elastic, eventually: Callable[..., Any], tmp_path: Path
) -> None:
    """What the gate is for: the same drill, on pools that say `readiness: false`."""
    brought_up(elastic.name, stack_file(tmp_path, gated=False))
    try:
        sim.fault(elastic.name, "nodes", "slow-driver", pool="h100", seconds=600)
        elastic.pod("asks", devices=1)
        early_bird(elastic)
        node = eventually(lambda: elastic.node_of("early"), SECONDS)
        assert allocatable(node) == 0
    finally:
        cleared(elastic, eventually)
        brought_up(elastic.name, stack_file(tmp_path, gated=True))


def test_a_node_that_loses_a_device_is_replaced_by_karpenter(elastic: Elastic, eventually: Callable[..., Any]) -> None:
    elastic.client.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "serve", "namespace": "default"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "serve"}},
                "template": {"metadata": {"labels": {"app": "serve"}}, "spec": elastic.spec(8)},
            },
        }
    )

    def node() -> str | None:
        pods = elastic.client.list(POD, "default", labelSelector="app=serve")
        live = [p for p in pods if p["status"]["phase"] == "Running" and not p["metadata"].get("deletionTimestamp")]
        return str(live[0]["spec"]["nodeName"]) if live else None

    first = eventually(node, SECONDS)
    before = claims(elastic)
    assert sim.fault(elastic.name, "nodes", "lose-device", node=first) == (first,)
    second = eventually(lambda: (found := node()) != first and found, SECONDS)
    assert allocatable(elastic.client.get(NODE, second)) == 8
    eventually(lambda: first not in elastic.made(), SECONDS)
    eventually(lambda: not set(before) & set(claims(elastic)), SECONDS)
    events = elastic.client.list(Kind("v1", "Event"), "default")
    said = [e["message"] for e in events if e["reason"] == "DeviceReplace" and e["involvedObject"]["name"] == first]
    assert said == ["nvidia.com/gpu: 7 of 8 allocatable"]


def test_a_second_up_changes_nothing(elastic: Elastic) -> None:
    changes = up(elastic.rehearsal.program, connection=elastic.client).changes
    assert [change for change in changes if change.op != "same"] == []


def test_tolerations_of_work_need_no_word_of_the_gate() -> None:
    assert all(names.STARTUP_PREFIX not in str(toleration) for toleration in TOLERATES)


def test_the_stacks_objects_are_all_there(elastic: Elastic) -> None:
    live = elastic.client.get(DEPLOYMENT, "espalier-warden", "espalier-warden")
    assert live["status"].get("readyReplicas") == 2
    with pytest.raises(ApiError):
        elastic.client.get(DEPLOYMENT, "espalier-warden", "default")
