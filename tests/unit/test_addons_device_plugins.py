"""Plugins of AMD's, AWS's and EFA's devices: on the pools that have them, with their taints, and nowhere else."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint.pools import PoolPlan, compile_pools
from espalier.blueprint.proofs import prove
from espalier.blueprint.reach import daemonset_reaches
from espalier.charts.images import images_of
from espalier.settings.pool import Pool
from espalier.types import AddonInputs, AddonPlan, Facts, Planned, Taint

FACTS = Facts("eks", "1.35", runs_containers=True, cluster="c", region="eu-west-1")
EFA = "vpc.amazonaws.com/efa"


def plans(*accelerators: str) -> list[PoolPlan]:
    pools = [Pool.model_validate({"name": a.lower(), "accelerator": a, "nodes": {"max": 2}}) for a in accelerators]
    return list(compile_pools(pools, {}, simulated=False)[0])


def with_efa(plan: PoolPlan, count: int = 8) -> PoolPlan:
    return replace(plan, shapes=tuple(replace(s, capacity={**s.capacity, EFA: str(count)}) for s in plan.shapes))


def objects(id: str, pools: list[PoolPlan]) -> list[Planned]:
    record = RECORDS[id]
    return list(record.objects(AddonInputs(FACTS, tuple(pool.facts() for pool in pools), record.options())))


def daemonset(found: list[Planned]) -> dict[str, Any]:
    (one,) = [planned.manifest for planned in found if planned.manifest["kind"] == "DaemonSet"]
    return dict(one)


@pytest.mark.parametrize(
    ("id", "accelerator", "image"),
    [
        ("neuron-device-plugin", "Trainium", "public.ecr.aws/neuron/neuron-device-plugin:2.31.0.0"),
        ("amd-device-plugin", "MI300X", "docker.io/rocm/k8s-device-plugin:1.31.0.9"),
    ],
)
def test_a_plugin_is_on_its_own_pools_alone(id: str, accelerator: str, image: str) -> None:
    mine, other = plans(accelerator, "L4")
    spot = replace(mine.shape, taints=(*mine.shape.taints, Taint("example.com/spot", "true")))
    mine = replace(mine, shapes=(mine.shape, spot))
    found = objects(id, [mine, other])
    template = daemonset(found)["spec"]["template"]
    assert all(daemonset_reaches(template, shape) is None for shape in mine.shapes)
    assert daemonset_reaches(template, other.shape) is not None
    assert images_of([planned.manifest for planned in found]) == [image]
    assert objects(id, [other]) == []


def test_the_efa_plugin_is_on_pools_with_adapters_and_pulls_from_the_clusters_region() -> None:
    efa, plain = plans("H100-80", "L4")
    efa = with_efa(efa)
    found = objects("aws-efa-device-plugin", [efa, plain])
    template = daemonset(found)["spec"]["template"]
    assert daemonset_reaches(template, efa.shape) is None
    assert daemonset_reaches(template, plain.shape) is not None
    (container,) = template["spec"]["containers"]
    assert container["image"] == "602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/aws-efa-k8s-device-plugin:v0.5.8"
    assert not container["securityContext"].get("privileged")
    (neuron,) = plans("Trainium")
    (needy,) = daemonset(objects("aws-efa-device-plugin", [with_efa(neuron)]))["spec"]["template"]["spec"]["containers"]
    assert needy["securityContext"]["privileged"]


def test_only_the_plugin_that_asks_the_api_has_a_token_and_rules() -> None:
    for id, accelerator, asks in (("neuron-device-plugin", "Trainium", True), ("amd-device-plugin", "MI300X", False)):
        found = objects(id, plans(accelerator))
        kinds = [planned.manifest["kind"] for planned in found]
        assert ("ClusterRole" in kinds) is asks
        (account,) = [planned.manifest for planned in found if planned.manifest["kind"] == "ServiceAccount"]
        assert account["automountServiceAccountToken"] is asks
        verbs = [
            v for p in found if p.manifest["kind"] == "ClusterRole" for r in p.manifest["rules"] for v in r["verbs"]
        ]
        assert not {"*", "delete", "escalate"} & set(verbs)


def test_a_pool_with_adapters_needs_their_plugin() -> None:
    (plan,) = plans("H100-80")
    in_cloud: Any = replace(with_efa(plan), groups=(SimpleNamespace(objects=(), repair=False),))

    def proof(name: str, *ids: str) -> tuple[bool, str]:
        addons = [
            AddonPlan(id, "1", 0, tuple(objects(id, [in_cloud])), (), provides=RECORDS[id].provides) for id in ids
        ]
        found = {one.name: one for one in prove([in_cloud], [], addons, RECORDS)}[name]
        return found.ok, found.evidence

    ok, evidence = proof(f"owner/{EFA}", "nvidia-device-plugin")
    assert not ok
    assert "add aws-efa-device-plugin to espalier:addons" in evidence
    assert proof(f"owner/{EFA}", "nvidia-device-plugin", "aws-efa-device-plugin")[0]
    assert proof("daemonset/aws-efa-device-plugin", "aws-efa-device-plugin")[0]
    lone = AddonPlan("aws-efa-device-plugin", "1", 0, (), ())
    (missed,) = [p for p in prove([in_cloud], [], [lone], RECORDS) if p.name == "daemonset/aws-efa-device-plugin"]
    assert not missed.ok


def workload(kind: str, tolerations: list[dict[str, Any]]) -> Planned:
    template = {"metadata": {}, "spec": {"containers": [], "tolerations": tolerations}}
    body = template if kind == "Pod" else {"spec": {"template": template}}
    metadata = {"name": "w", "namespace": "n"}
    return Planned("w", {"apiVersion": "v1", "kind": kind, **body, "metadata": metadata})


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Job", "Pod"])
def test_no_pod_of_an_add_on_may_hold_an_accelerators_node(kind: str) -> None:
    (plan,) = plans("H100-80")

    def held(*planned: Planned) -> tuple[bool, str]:
        addon = AddonPlan("greedy", "1", 0, planned, ())
        (proof,) = [
            p
            for p in prove([plan], [], [addon], RECORDS | {"greedy": RECORDS["amd-device-plugin"]})
            if p.name == "unheld/h100-80"
        ]
        return proof.ok, proof.evidence

    assert held(workload(kind, []))[0]
    assert held(workload("DaemonSet", [{"operator": "Exists"}]))[0]
    ok, evidence = held(workload(kind, [{"operator": "Exists"}]))
    assert not ok
    assert f"greedy: {kind} w on on-demand" in evidence
