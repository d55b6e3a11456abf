"""What ends, with which notice and who drains; retries and notebooks; what each cloud and version gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.blueprint.admission import NOTEBOOKS, RETRIES, SPOT_KEYS, admission_policies
from espalier.blueprint.notice import notice_of
from espalier.blueprint.preempt import preemption_proofs
from espalier.content import Recorded, Rendered
from espalier.settings import validate
from espalier.settings.load import load_file
from espalier.types import AddonPlan, CapacityKind, NodeShape, Planned, Proof
from tests.unit.eks_stacks import ROOT, STACK


def shape(kind: CapacityKind) -> NodeShape:
    return NodeShape("p", "m", kind, {}, (), {}, {}, None)


def built(stack: dict[str, Any], **contents: Any) -> Blueprint:
    return build(validate(stack, where="espalier"), RECORDS, contents)


def karpenter_stack() -> dict[str, Any]:
    pools = [pool for pool in STACK["pools"] if pool["name"] in ("system", "l4")]
    return STACK | {"cluster": STACK["cluster"] | {"autoscaler": "karpenter"}, "pools": pools}


def controller(queue: str | None) -> Planned:
    env = [{"name": "CLUSTER_NAME", "value": "c"}, *([{"name": "INTERRUPTION_QUEUE", "value": queue}] if queue else [])]
    container = {"name": "controller", "image": "example.com/k:1.14.1", "env": env}
    spec = {"template": {"metadata": {}, "spec": {"containers": [container], "nodeSelector": {"none": "such"}}}}
    metadata = {"name": "karpenter", "namespace": "kube-system"}
    return Planned("d", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


def proof(blueprint: Blueprint, name: str) -> Proof:
    (found,) = [one for one in blueprint.proofs if one.name == name]
    return found


@pytest.mark.parametrize(
    ("kind", "capacity", "version", "block", "seconds", "grace"),
    [
        ("eks", "spot", "1.36", False, 120, 120),
        ("eks", "reserved", "1.36", True, 600, 600),
        ("gke", "spot", "1.34", False, 30, 15),
        ("gke", "spot", "1.35", False, 120, 105),
        ("gke", "flex", "1.35", False, None, None),
        ("aks", "spot", "1.36", False, 30, 30),
    ],
)
def test_each_cloud_gives_what_it_says(
    kind: str, capacity: CapacityKind, version: str, block: bool, seconds: int | None, grace: int | None
) -> None:
    notice = notice_of(kind, capacity, version, block=block)
    assert notice is not None
    assert (notice.seconds, notice.grace) == (seconds, grace)
    assert notice.source
    assert notice.why


@pytest.mark.parametrize(
    ("kind", "capacity"),
    [("eks", "reserved"), ("eks", "on-demand"), ("gke", "on-demand"), ("existing", "spot"), ("simulated", "spot")],
)
def test_what_stays_or_is_not_known_has_no_notice(kind: str, capacity: CapacityKind) -> None:
    assert notice_of(kind, capacity, "1.36") is None


def test_every_shape_of_a_pool_knows_how_it_ends() -> None:
    pools = {pool.name: pool for pool in built(STACK).pools}
    ends = {name: [one.notice and one.notice.seconds for one in pool.shapes] for name, pool in pools.items()}
    assert ends["l4"] == [120, None]
    assert ends["h100"] == [600, None]  # a capacity block
    assert ends["system"] == [None]


def test_policies_are_told_of_the_nodes_that_end() -> None:
    (facts,) = [pool for pool in built(STACK).policy_facts()["pools"] if pool["name"] == "l4"]
    (end,) = facts["ends"]
    assert (end["capacity"], end["grace"]) == ("spot", 120)
    assert {"key": "espalier.dev/spot", "value": "true", "effect": "NoSchedule"} in end["taints"]
    assert end["labels"]["espalier.dev/pool"] == "l4"


@pytest.mark.parametrize(
    ("stack", "pool", "text"),
    [
        ("aws-dev", "l4", "120 s notice, of which a pod gets 120 s: EKS drains the nodes of a managed group"),
        ("gcp-dev", "l4", "120 s notice, of which a pod gets 105 s: the kubelet ends the pods (graceful node shutdown"),
        ("azure-dev", "t4", "30 s notice, of which a pod gets 30 s: AKS cordons and drains the node (node auto-drain"),
    ],
)
def test_each_cloud_says_who_drains_a_spot_pool(stack: str, pool: str, text: str) -> None:
    blueprint = build(load_file(ROOT / "stacks" / f"Pulumi.{stack}.yaml").settings, RECORDS)
    found = {one.name: one for one in blueprint.proofs if one.name.startswith("preempt/")}
    spot = {p.name for p in blueprint.pools if any(s.capacity_kind == "spot" for s in p.shapes)}
    assert set(found) == {f"preempt/{name}" for name in spot}
    assert found[f"preempt/{pool}"].ok
    assert text in found[f"preempt/{pool}"].evidence


def test_karpenter_drains_where_it_is_told_of_the_queue() -> None:
    blueprint = built(karpenter_stack(), karpenter=Rendered((controller("c"),), RECORDS_FACTS))
    assert proof(blueprint, "preempt/l4").ok
    assert "Karpenter hears of it from queue c and drains the node" in proof(blueprint, "preempt/l4").evidence


def test_a_spot_pool_whose_notice_nobody_hears_is_no_proof() -> None:
    found = proof(built(karpenter_stack(), karpenter=Rendered((controller(None),), RECORDS_FACTS)), "preempt/l4")
    assert (found.ok, found.held) == (False, False)
    assert found.evidence == (
        "120 s notice, of which a pod gets 120 s, and nobody drains the node: Karpenter is told of no queue of "
        "warnings; set settings.interruptionQueue in the values of karpenter"
    )


def test_a_karpenter_that_is_not_rendered_proves_nothing_and_is_held() -> None:
    blueprint = built(karpenter_stack(), karpenter=Recorded("it is not there", "Fetch it."))
    assert [mistake.text() for mistake in blueprint.held() if mistake.path.endswith(".karpenter")] == [
        "espalier:addons.karpenter: got it is not there; accepted: content that is there. Fetch it."
    ]
    found = proof(blueprint, "preempt/l4")
    assert (found.ok, found.held) == (False, True)
    assert "karpenter is not rendered: it is not there. Fetch it." in found.evidence


def test_elsewhere_nothing_is_claimed() -> None:
    blueprint = built(STACK)
    assert list(preemption_proofs(blueprint.pools, "existing", [])) == []
    without = [replace(pool, shapes=(replace(pool.shape, notice=None),)) for pool in blueprint.pools]
    assert list(preemption_proofs(without, "eks", [])) == []


RECORDS_FACTS = AddonPlan("karpenter", "1", 0, (), ()).facts


# What the API server gives to tenants' work ----------------------------------------------------------------------


def policies(version: str, *kinds: CapacityKind, tenants: bool = True) -> dict[tuple[str, str], Any]:
    made = admission_policies(version, [shape(kind) for kind in kinds], tenants=tenants)
    return {(one.manifest["kind"], one.manifest["metadata"]["name"]): one.manifest for one in made}


def test_from_1_36_on_the_server_changes_what_it_is_given() -> None:
    assert set(policies("1.36", "spot", "on-demand")) == {
        ("MutatingAdmissionPolicy", RETRIES),
        ("MutatingAdmissionPolicyBinding", RETRIES),
        ("MutatingAdmissionPolicy", NOTEBOOKS),
        ("MutatingAdmissionPolicyBinding", NOTEBOOKS),
    }
    assert set(policies("1.100", "spot")) == set(policies("1.36", "spot"))


def test_before_it_warns_of_retries_and_refuses_notebooks_on_spot() -> None:
    made = policies("1.35", "spot")
    assert made["ValidatingAdmissionPolicyBinding", RETRIES]["spec"]["validationActions"] == ["Warn"]
    assert made["ValidatingAdmissionPolicyBinding", NOTEBOOKS]["spec"]["validationActions"] == ["Deny"]
    assert not [kind for kind, _ in made if kind.startswith("Mutating")]


def test_where_nothing_is_spot_notebooks_need_no_policy_and_without_tenants_nobody_does() -> None:
    assert {name for _, name in policies("1.36", "on-demand", "reserved")} == {RETRIES}
    assert policies("1.36", "spot", tenants=False) == {}


@pytest.mark.parametrize("version", ["1.35", "1.36"])
def test_only_tenants_namespaces_are_touched_and_only_when_something_is_made(version: str) -> None:
    for (kind, _), made in policies(version, "spot").items():
        if not kind.endswith("Binding"):
            matching = made["spec"]["matchConstraints"]
            expressions = [{"key": "espalier.dev/tenant", "operator": "Exists"}]
            assert matching["namespaceSelector"] == {"matchExpressions": expressions}
            assert [rule["operations"] for rule in matching["resourceRules"]] == [["CREATE"]]


@pytest.mark.parametrize("stack", ["aws-dev", "gcp-dev", "azure-dev"])
def test_spot_nodes_of_every_cloud_have_a_taint_that_the_older_policy_knows(stack: str) -> None:
    blueprint = build(load_file(ROOT / "stacks" / f"Pulumi.{stack}.yaml").settings, RECORDS)
    spot = [one for pool in blueprint.pools for one in pool.shapes if one.capacity_kind == "spot"]
    assert spot
    assert all({taint.key for taint in one.taints} & set(SPOT_KEYS) for one in spot)
