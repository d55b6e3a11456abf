"""Every stack that can be rehearsed is: brought up on a throw-away cluster, verified, destroyed, with nothing left."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier import sim
from espalier.addons import RECORDS
from espalier.blueprint.clouds import cloud_of
from espalier.kube import Client
from espalier.settings import StackFile, load_file
from espalier.types import Taint
from espalier.verify import verify
from espalier.verify.rehearse import Rehearsal, RehearsalResult, cluster_name, references, rehearse

ROOT = Path(__file__).parents[2]
STACKS = sorted((ROOT / "stacks").glob("Pulumi.*.yaml"))


def run(file: StackFile, keep: bool = False) -> RehearsalResult:
    return rehearse(file, root=ROOT, project="espalier", records=RECORDS, keep=keep)


def stack(path: Path) -> Any:
    """A stack shows that its kind of cluster can be rehearsed."""
    kind = load_file(path).settings.cluster.kind
    return pytest.param(path, id=path.name, marks=pytest.mark.supports(f"{kind} cluster", "rehearsed"))


@pytest.mark.parametrize("path", [stack(path) for path in STACKS])
def test_every_stack_is_rehearsed(path: Path) -> None:
    file = load_file(path)
    result = run(file)
    assert [(check.name, check.evidence) for check in result.checks if not check.ok] == []
    # Lost devices are the warden's: where a stack does not name it, nobody replaces a node for one.
    unproved = set() if "warden" in file.settings.addons else {"device-lost"}
    # No chart is fetched here: what is made of one is left out, and that is said.
    charts = {f"content/{id}" for id in file.settings.addons if (record := RECORDS.get(id)) and record.content}
    assert {entry.name for entry in result.skipped if entry.name.startswith("content/")} == charts
    assert all("is not pinned" in e.why or "held up" in e.why for e in result.skipped if e.name in charts)
    assert {entry.name.split("/")[0] for entry in result.skipped if entry.name not in charts} <= unproved
    assert result.left == ()
    assert result.ok
    assert {change.op for change in result.changes} == {"create"}
    assert result.waves
    names = {check.name for check in result.checks}
    assert {"noop", "destroy"} <= names
    assert {f"quota/{tenant.name}" for tenant in file.settings.tenants} <= names
    assert {f"land/{pool.name}" for pool in file.settings.pools if pool.accelerator} <= names
    if cloud_of(file.settings.cluster):
        assert {name.split("/")[1] for name in names if name.startswith("wake/")} == {
            p.name for p in file.settings.pools
        }
    assert result.cluster.startswith(f"rehearse-{path.name.split('.')[1]}-")
    assert result.cluster not in sim.clusters()


def test_a_stack_for_an_existing_cluster_is_rehearsed_on_simulated_nodes_by_the_same_program() -> None:
    file = load_file(ROOT / "stacks" / "Pulumi.existing.yaml")
    rehearsal = Rehearsal.of(file, "rehearse-x", root=ROOT, project="espalier", records=RECORDS)
    assert rehearsal.program.path == ROOT
    assert rehearsal.program.config["espalier:cluster"] == (
        '{"kind": "simulated", "version": "1.36", "name": "rehearse-x", "partial": true}'
    )
    assert "espalier:extends" not in rehearsal.program.config
    assert "nvidia-device-plugin" in rehearsal.program.config["espalier:addons"]  # from what it extends
    nodes = [reference.name for reference in references(rehearsal.blueprint) if reference.kind.kind == "Node"]
    assert len(nodes) == 3 + 2


CLOUD = """
config:
  espalier:cluster:
    kind: eks
    name: small
    version: "1.35"
    region: us-east-1
    access: {via: network, admins: ["arn:aws:iam::123456789012:role/platform"]}
  espalier:pools:
    - name: system
      machine: {cpu: 4, memory: 16Gi}
      nodes: {min: 2, max: 6}
    - name: l4
      accelerator: L4
      nodes: {max: 4}
      capacity: [spot, on-demand]
  espalier:tenants:
    - name: vision
      groups: {edit: [vision-engineers]}
      quota: {devices: {nvidia.com/gpu: 2}, cpu: 64, memory: 256Gi, storage: 1Ti}
  espalier:addons:
    nvidia-device-plugin: {}
"""


@pytest.fixture
def cloud_stack(tmp_path: Path) -> StackFile:
    (tmp_path / "Pulumi.small.yaml").write_text(CLOUD)
    return load_file(tmp_path / "Pulumi.small.yaml")


def test_a_clouds_stack_is_played_with_the_clouds_node_shapes(cloud_stack: StackFile) -> None:
    rehearsal = Rehearsal.of(cloud_stack, "rehearse-x", root=ROOT, project="espalier", records=RECORDS)
    assert rehearsal.blueprint.cloud is None
    assert rehearsal.blueprint.facts.kind == "eks"
    assert json.loads(rehearsal.program.config["espalier:cluster"]) == {
        "kind": "simulated",
        "version": "1.36",
        "name": "rehearse-x",
        "partial": True,
        "stands-for": cloud_stack.raw["cluster"],
    }
    system, l4 = rehearsal.blueprint.pools
    assert len(system.nodes) == 2
    assert l4.shape.labels["eks.amazonaws.com/capacityType"] == "SPOT"


def test_a_clouds_stack_is_rehearsed(cloud_stack: StackFile) -> None:
    result = run(cloud_stack)
    assert [(check.name, check.evidence) for check in result.checks if not check.ok] == []
    assert result.skipped == ()
    assert result.ok
    names = {check.name for check in result.checks}
    assert {"land/l4", "taint/l4", "sharing/l4", "daemonset/nvidia-device-plugin-whole", "noop", "destroy"} <= names
    assert {"wake/system/plain", "wake/l4/one", "wake/l4/whole"} <= names
    (whole,) = (check.evidence for check in result.checks if check.name == "wake/l4/whole")
    assert whole.count("Running on wake-l4-") == 2  # on spot and on demand
    assert (result.version, len(result.notes)) == ("1.36", 2)
    assert "the stack asks for 1.35" in result.notes[0]


def test_a_template_node_that_would_wake_in_vain_fails_in_the_schedulers_own_words(
    cloud_stack: StackFile, sim_cluster: sim.SimStatus
) -> None:
    rehearsal = Rehearsal.of(cloud_stack, "rehearse-x", root=ROOT, project="espalier", records=RECORDS)
    wake = next(each for each in rehearsal.wakes if (each.pool, each.work.name) == ("l4", "whole"))
    good = wake.groups[0][1]
    assert good is not None
    unlabelled = replace(good, labels={key: v for key, v in good.labels.items() if key != "espalier.dev/pool"})
    tainted = replace(good, taints=(*good.taints, Taint("example.com/mine", "yes", "NoSchedule")))
    smaller = replace(good, allocatable={**good.allocatable, "nvidia.com/gpu": Fraction(4)})
    trials = {"good": good, "unlabelled": unlabelled, "tainted": tainted, "smaller": smaller, "none": None}
    wakes = [replace(wake, pool=name, groups=((f"{name}-group", node),)) for name, node in trials.items()]
    blueprint = replace(rehearsal.blueprint, pools=(), tenants=(), addons=(), objects=())
    found = verify(blueprint, Client.connect(sim_cluster.kubeconfig), simulated=True, wakes=wakes)
    said = {check.name.split("/")[1]: check for check in found.checks}
    assert {name: check.ok for name, check in said.items()} == {name: name == "good" for name in trials}
    assert "didn't match Pod's node affinity/selector" in said["unlabelled"].evidence
    assert "untolerated taint" in said["tainted"].evidence
    assert "Insufficient nvidia.com/gpu" in said["smaller"].evidence
    assert found.left == ()


def test_another_version_is_rehearsed_on_the_simulators_and_that_is_said(tmp_path: Path) -> None:
    text = (ROOT / "stacks" / "Pulumi.existing.yaml").read_text()
    (tmp_path / "Pulumi.old.yaml").write_text(
        text.replace('"1.36"', '"1.35"').replace("  espalier:extends: [base]\n", "")
    )
    for file, notes in (
        (
            load_file(tmp_path / "Pulumi.old.yaml"),
            ("rehearsed on Kubernetes 1.36, the simulator's; the stack asks for 1.35",),
        ),
        (load_file(ROOT / "stacks" / "Pulumi.existing.yaml"), ()),
    ):
        rehearsal = Rehearsal.of(file, "rehearse-x", root=ROOT, project="espalier", records=RECORDS)
        assert rehearsal.notes == notes
        assert rehearsal.blueprint.facts.kubernetes_version == "1.36"


def test_what_only_the_stacks_own_cluster_has_does_not_stop_a_rehearsal(tmp_path: Path) -> None:
    text = (ROOT / "stacks" / "Pulumi.existing.yaml").read_text().replace("  espalier:extends: [base]\n", "")
    stack = yaml.safe_load(text)
    stack["config"]["espalier:addons"] = {"cert-manager": {"existing": "1.18.2"}}
    for tenant in stack["config"]["espalier:tenants"]:
        tenant["placement"] = {"clusters": ["existing"]}
    (tmp_path / "Pulumi.there.yaml").write_text(yaml.safe_dump(stack))
    file = load_file(tmp_path / "Pulumi.there.yaml")
    rehearsal = Rehearsal.of(file, "rehearse-x", root=ROOT, project="espalier", records=RECORDS)
    assert rehearsal.notes == (
        "cert-manager 1.18.2, which the cluster has already, is not on this one: what is of its kinds fails here",
    )


def test_names_of_clusters_are_fit_and_never_the_same() -> None:
    first, second = cluster_name("My_Stack.with-a-very-long-name-indeed"), cluster_name("local")
    assert first.startswith("rehearse-my-stack-with-a-very-")
    assert len(first) <= 40
    assert cluster_name("local") != second


def test_keep_leaves_the_platform_up_for_a_look() -> None:
    result = run(load_file(ROOT / "stacks" / "Pulumi.local.yaml"), keep=True)
    try:
        assert result.ok
        assert "destroy" not in {check.name for check in result.checks}
        client = Client.connect(sim.kubeconfig_path(result.cluster))
        rehearsal = Rehearsal.of(
            load_file(ROOT / "stacks" / "Pulumi.local.yaml"),
            result.cluster,
            root=ROOT,
            project="espalier",
            records=RECORDS,
        )
        assert all(client.find_object(reference) for reference in references(rehearsal.blueprint))
    finally:
        sim.down(result.cluster)


INTERRUPTED = """
import signal, sys
from pathlib import Path
from espalier.addons import RECORDS
from espalier.settings import load_file
from espalier.types import Taint
from espalier.verify import verify
from espalier.verify.rehearse import rehearse
signal.signal(signal.SIGINT, signal.default_int_handler)
root = Path(sys.argv[1])
file = load_file(root / "stacks" / "Pulumi.local.yaml")
def tell(line):
    print(line, file=sys.__stdout__, flush=True)  # what a program prints goes elsewhere while it runs
try:
    rehearse(file, root=root, project="espalier", records=RECORDS, progress=tell)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("at", ["starting cluster", "create ", "setting up"])
def test_an_interrupt_removes_the_cluster(at: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        heard = [next(lines)]
        while at not in heard[-1]:
            heard.append(next(lines))
        process.send_signal(signal.SIGINT)
        heard += lines
    assert heard[-1] == "interrupted\n"
    name = heard[0].split()[2].rstrip(":")
    assert name.startswith("rehearse-local-")
    assert name not in sim.clusters()
