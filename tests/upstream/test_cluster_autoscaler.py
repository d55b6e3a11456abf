"""Our cluster-autoscaler against upstream's chart 9.59.0: no right more than it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from espalier.addons.cluster_autoscaler import RECORD
from espalier.types import AddonInputs, Facts, Manifest
from tests.unit.eks_stacks import a_pool, compiled

UPSTREAM = Path(__file__).parents[2].parent / "shared" / "upstream" / "cluster-autoscaler"
FACTS = Facts("eks", "1.35", True, cluster="example", region="eu-west-1", autoscaler="cluster-autoscaler")
NARROWER = {
    ("", "configmaps", "watch"): "only in its own namespace, where the priorities are",
    ("", "configmaps", "list"): "only in its own namespace",
    ("policy", "poddisruptionbudgets", "get"): "read with the others: list and watch are of the same data",
}
"""What the chart grants elsewhere, or in other verbs, with why ours differs."""


@pytest.fixture(scope="module")
def theirs() -> list[Manifest]:
    if not UPSTREAM.is_dir():
        pytest.skip("upstream's facts are not beside the checkout, in ../shared/upstream")
    return [one for one in yaml.safe_load_all((UPSTREAM / "manifests.yaml").read_text("utf-8")) if one]


@pytest.fixture(scope="module")
def ours() -> list[Manifest]:
    plans, _ = compiled(a_pool(accelerator="L4", capacity=["spot", "on-demand"]))
    inputs = AddonInputs(FACTS, tuple(plan.facts() for plan in plans), RECORD.options())
    return [planned.manifest for planned in RECORD.objects(inputs)]


def rights(manifests: list[Manifest]) -> Iterator[tuple[str, str, str]]:
    for manifest in manifests:
        if manifest["kind"] in ("ClusterRole", "Role"):
            for rule in manifest["rules"]:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        for verb in rule["verbs"]:
                            yield group, resource, verb


def command(manifests: list[Manifest]) -> set[str]:
    deployment = next(one for one in manifests if one["kind"] == "Deployment")
    return set(deployment["spec"]["template"]["spec"]["containers"][0]["command"])


def test_it_has_no_right_that_the_chart_does_not_ask_for(ours: list[Manifest], theirs: list[Manifest]) -> None:
    assert set(rights(ours)) - set(rights(theirs)) - set(NARROWER) == set()


def test_it_reads_all_that_the_chart_lets_it_read_of_scheduling(ours: list[Manifest], theirs: list[Manifest]) -> None:
    """What is left out is switched off here: provisioning requests, capacity buffers, legacy groups, endpoints."""
    off = {"autoscaling.x-k8s.io", "extensions"}
    reads = {(group, what) for group, what, verb in rights(theirs) if verb == "list" and group not in off}
    assert reads - {(group, what) for group, what, verb in rights(ours) if verb == "list"} == {("", "podtemplates")}


def test_it_finds_groups_as_the_chart_has_it_do(ours: list[Manifest], theirs: list[Manifest]) -> None:
    shared = {"./cluster-autoscaler", "--cloud-provider=aws", "--namespace=kube-system"}
    discovery = {one for one in command(theirs) if one.startswith("--node-group-auto-discovery")}
    assert shared | discovery <= command(ours)
    assert shared <= command(theirs)
