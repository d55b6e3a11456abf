"""Whose every part of a device's stack is, once the stack's add-ons are known; and proofs that somebody has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.blueprint.owner_proofs import owner_proofs
from espalier.blueprint.ownership import owners_of
from espalier.blueprint.pools import PoolPlan, compile_pools
from espalier.blueprint.proofs import prove
from espalier.catalogue import accelerators
from espalier.settings import validate
from espalier.settings.pool import Pool
from espalier.types import AddonPlan, Planned, Proof, Taint

OPERATOR = dict.fromkeys(RECORDS["nvidia-gpu-operator"].provides, ("nvidia-gpu-operator",))
PLUGIN = {"device-plugin/nvidia.com/gpu": ("nvidia-device-plugin",)}
EXISTING = {"kind": "existing", "version": "1.35", "kubeconfig": "~/.kube/config", "context": "c"}


def a_pool(accelerator: str = "A100-80", **keys: Any) -> Pool:
    return Pool.model_validate({"name": "p", "accelerator": accelerator, "nodes": {"max": 2}, **keys}, strict=False)


def owned(pool: Pool, kind: str, provided: dict[str, tuple[str, ...]]) -> dict[str, str]:
    owners = owners_of(pool, accelerators()[pool.accelerator or ""], kind, provided)
    assert owners is not None
    assert all(owner.why for _, owner in owners.parts())
    return {part: owner.addon or owner.who for part, owner in owners.parts()}


@pytest.mark.parametrize(
    ("kind", "keys", "provided", "expected"),
    [
        ("existing", {}, PLUGIN, "host host nvidia-device-plugin nobody nobody nobody"),
        ("existing", {}, {}, "host host host nobody nobody nobody"),
        (
            "existing",
            {"sharing": {"mig": "all-1g.10gb"}},
            PLUGIN,
            "host host nvidia-device-plugin nobody nobody nobody",
        ),
        (
            "existing",
            {"sharing": {"mig": "all-1g.10gb"}, "driver": {"owner": "host"}},
            PLUGIN,
            "host host nvidia-device-plugin nobody host nobody",
        ),
        (
            "existing",
            {"sharing": {"mps": 2}},
            PLUGIN,
            "host host nvidia-device-plugin nobody nvidia-device-plugin nobody",
        ),
        (
            "existing",
            {"driver": {"owner": "operator"}},
            PLUGIN,
            "nobody nobody nvidia-device-plugin nobody nobody nobody",
        ),
        ("existing", {"driver": {"owner": "operator"}}, OPERATOR, "gpu gpu gpu gpu nobody gpu"),
        ("existing", {}, OPERATOR, "host gpu gpu gpu nobody gpu"),
        ("existing", {"driver": {"toolkit": "host"}}, OPERATOR, "host host gpu gpu nobody gpu"),
        ("existing", {"sharing": {"mig": "all-1g.10gb"}}, OPERATOR, "host gpu gpu gpu gpu gpu"),
        ("eks", {}, PLUGIN, "cloud cloud nvidia-device-plugin nobody nobody nobody"),
        ("eks", {}, OPERATOR, "cloud cloud gpu gpu nobody gpu"),
        ("eks", {"image": {"os": "bottlerocket"}}, PLUGIN, "cloud cloud cloud nobody nobody nobody"),
        ("eks", {"image": {"os": "ubuntu"}, "driver": {"owner": "operator"}}, OPERATOR, "gpu gpu gpu gpu nobody gpu"),
        ("eks", {}, {}, "cloud cloud nobody nobody nobody nobody"),
        ("gke", {"sharing": {"mig": "all-1g.10gb"}}, PLUGIN, "cloud cloud cloud nobody cloud nobody"),
        ("gke", {"sharing": {"time-slices": 2}}, PLUGIN, "cloud cloud cloud nobody cloud nobody"),
        (
            "gke",
            {"image": {"os": "ubuntu"}, "driver": {"owner": "operator"}},
            OPERATOR,
            "gpu gpu gpu gpu nobody gpu",
        ),
        ("gke", {"driver": {"owner": "host"}, "sharing": {"mig": "all-1g.10gb"}}, OPERATOR, "host gpu gpu gpu gpu gpu"),
        ("aks", {"sharing": {"mig": "all-1g.10gb"}}, OPERATOR, "cloud cloud gpu gpu cloud gpu"),
        ("aks", {"driver": {"owner": "operator", "toolkit": "operator"}}, OPERATOR, "gpu gpu gpu gpu nobody gpu"),
        ("simulated", {"sharing": {"mig": "all-1g.10gb"}}, PLUGIN, "host host nvidia-device-plugin nobody host nobody"),
    ],
)
def test_each_part_is_somebodys_or_said_to_be_nobodys(
    kind: str, keys: dict[str, Any], provided: dict[str, tuple[str, ...]], expected: str
) -> None:
    names = [{"gpu": "nvidia-gpu-operator"}.get(name, name) for name in expected.split()]
    assert list(owned(a_pool(**keys), kind, provided).values()) == names


def proofs_of(pool: dict[str, Any], **addons: Any) -> dict[str, Proof]:
    """Those of a stack on a cluster that exists."""
    block = {"name": "p", "accelerator": "A100-80", "nodes": {"max": 2}, **pool}
    named = {id.replace("_", "-"): options for id, options in addons.items()}
    settings = validate({"cluster": EXISTING, "pools": [block], "addons": named}, where="espalier")
    return {proof.name: proof for proof in build(settings, RECORDS).proofs}


def test_slices_that_nobody_cuts_fail_a_proof() -> None:
    pool = {"sharing": {"mig": "all-1g.10gb"}}
    proof = proofs_of(pool, nvidia_device_plugin={})["owners/p"]
    assert not proof.ok
    assert proof.evidence == (
        "sharing: no add-on of the stack cuts devices into MIG slices; add nvidia-gpu-operator to espalier:addons, or "
        "say that it is the hosts' (driver: {owner: host}) where they have it"
    )
    assert proofs_of(pool | {"driver": {"owner": "host"}}, nvidia_device_plugin={})["owners/p"].ok
    assert proofs_of(pool, nvidia_gpu_operator={}, node_feature_discovery={})["owners/p"].ok
    assert proofs_of({"sharing": {"time-slices": 4}}, nvidia_device_plugin={})["owners/p"].ok


def test_an_operators_driver_without_an_operator_fails_a_proof() -> None:
    proof = proofs_of({"driver": {"owner": "operator"}}, nvidia_device_plugin={})["owners/p"]
    assert not proof.ok
    assert proof.evidence.startswith(
        "driver: the pool's driver is an operator's, and no add-on of the stack provides driver/nvidia.com/gpu; add "
        "nvidia-gpu-operator to espalier:addons, or say"
    )


TOLERATIONS = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def rendered(*manifests: dict[str, Any]) -> AddonPlan:
    """The operator as its chart would give it, cut down to what is read of it."""
    objects = tuple(Planned(f"o{index}", manifest) for index, manifest in enumerate(manifests))
    return AddonPlan("nvidia-gpu-operator", "v26.7.0", 0, objects, ())


def policy(**driver: Any) -> dict[str, Any]:
    spec = {"daemonsets": {"tolerations": TOLERATIONS}, "driver": driver}
    return {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy"},
        "spec": spec,
    }


def driver(pool: str) -> dict[str, Any]:
    spec = {"tolerations": TOLERATIONS, "nodeSelector": {"espalier.dev/pool": pool}}
    return {"apiVersion": "nvidia.com/v1alpha1", "kind": "NVIDIADriver", "metadata": {"name": pool}, "spec": spec}


def plan_of(**keys: Any) -> PoolPlan:
    (plan,), mistakes = compile_pools([a_pool(**keys)], {}, simulated=False, provided=OPERATOR)
    assert mistakes == ()
    return plan


def one_driver(plan: PoolPlan, *manifests: dict[str, Any]) -> tuple[bool, str]:
    found = {proof.name: proof for proof in owner_proofs([plan], [rendered(*manifests)], RECORDS)}
    return found["driver/p"].ok, found["driver/p"].evidence


def test_one_driver_on_each_node_is_computed_from_the_operators_objects() -> None:
    ours, theirs = plan_of(driver={"owner": "operator"}), plan_of(driver={"owner": "host"})
    everywhere, by_pool = policy(enabled=True), policy(enabled=True, useNvidiaDriverCRD=True)
    assert one_driver(ours, everywhere) == (True, "one driver: nvidia-gpu-operator's")
    assert one_driver(ours, by_pool, driver("p")) == (True, "one driver: nvidia-gpu-operator's")
    assert one_driver(ours, by_pool, driver("other")) == (
        False,
        "on-demand: no driver where its driver is nvidia-gpu-operator's",
    )
    assert one_driver(ours, everywhere, driver("p")) == (
        False,
        "on-demand: nvidia-gpu-operator's driver, nvidia-gpu-operator's driver p where its driver is "
        "nvidia-gpu-operator's",
    )
    assert one_driver(theirs, everywhere) == (
        False,
        "on-demand: nvidia-gpu-operator's driver where its driver is host's",
    )
    assert one_driver(theirs, by_pool, driver("other")) == (True, "one driver: host's")


def test_operands_reach_their_pools_by_the_policys_own_tolerations() -> None:
    plan = plan_of(driver={"owner": "operator"})
    addon = rendered(policy(enabled=True))
    reach = {proof.name: proof for proof in prove([plan], [], [addon], RECORDS)}["daemonset/nvidia-gpu-operator"]
    assert (reach.ok, reach.evidence) == (True, "reaches p/on-demand")
    tainted = replace(plan.shape, taints=(*plan.shape.taints, Taint("espalier.dev/spot", "true")))
    missed = {proof.name: proof for proof in prove([replace(plan, shapes=(tainted,))], [], [addon], RECORDS)}[
        "daemonset/nvidia-gpu-operator"
    ]
    assert not missed.ok
    assert "operands does not tolerate espalier.dev/spot=true:NoSchedule" in missed.evidence


def test_discovery_must_reach_every_node_also_those_without_devices() -> None:
    plan = replace(plan_of(), accelerator=None, owners=None)
    taint = replace(plan.shape, taints=(Taint("team", "a"),), devices={})
    template = {"spec": {"tolerations": []}}
    daemonset = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "worker", "namespace": "n"},
        "spec": {"template": template},
    }
    addon = AddonPlan("node-feature-discovery", "0.19.0", 0, (Planned("d", daemonset),), ())
    found = {proof.name: proof for proof in prove([replace(plan, shapes=(taint,))], [], [addon], RECORDS)}
    assert (
        found["daemonset/node-feature-discovery"].evidence == "p/on-demand: worker does not tolerate team=a:NoSchedule"
    )
