"""One owner of every part of a device's stack, on every kind of cluster; and what cannot be."""

from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.addons.nvidia_device_plugin import RECORD as NVIDIA
from espalier.blueprint.ownership import owners_of
from espalier.blueprint.ownership_rules import ownership_mistakes
from espalier.blueprint.pools import compile_pools
from espalier.blueprint.proofs import prove
from espalier.catalogue import accelerators
from espalier.settings.pool import Pool
from espalier.types import AddonInputs, Facts, Owner, Owners, PoolFacts

PATH = "espalier:pools[0]"


def a_pool(accelerator: str | None = "H100-80", **keys: Any) -> Pool:
    return Pool.model_validate({"name": "p", "accelerator": accelerator, "nodes": {"max": 2}, **keys}, strict=False)


def who(pool: Pool, kind: str) -> tuple[str, str, str]:
    owners = owners_of(pool, accelerators()[pool.accelerator or ""], kind)
    assert owners is not None
    assert all(owner.why for owner in (owners.driver, owners.toolkit, owners.device_plugin))
    return owners.driver.who, owners.toolkit.who, owners.device_plugin.who


@pytest.mark.parametrize(
    ("kind", "accelerator", "keys", "driver", "toolkit", "plugin"),
    [
        ("eks", "H100-80", {}, "cloud", "cloud", "addon"),
        ("eks", "H100-80", {"image": {"os": "bottlerocket"}}, "cloud", "cloud", "cloud"),
        ("eks", "Trainium", {}, "cloud", "cloud", "addon"),
        ("gke", "L4", {}, "cloud", "cloud", "cloud"),
        ("gke", "L4", {"image": {"os": "ubuntu"}, "driver": {"owner": "operator"}}, "addon", "addon", "addon"),
        ("eks", "L4", {"image": {"os": "ubuntu"}, "driver": {"owner": "operator"}}, "addon", "addon", "addon"),
        ("gke", "TPU-v6e", {"topology": "4x4"}, "cloud", "cloud", "cloud"),
        ("aks", "H100-80", {}, "cloud", "cloud", "addon"),
        ("aks", "H100-80", {"driver": {"owner": "operator"}}, "addon", "cloud", "addon"),
        ("aks", "MI300X", {}, "addon", "cloud", "addon"),
        ("existing", "H100-80", {}, "host", "host", "addon"),
        ("existing", "H100-80", {"driver": {"owner": "operator"}}, "addon", "addon", "addon"),
        ("simulated", "A100-80", {}, "host", "host", "addon"),
    ],
)
def test_each_part_has_one_owner(
    kind: str, accelerator: str, keys: dict[str, Any], driver: str, toolkit: str, plugin: str
) -> None:
    assert who(a_pool(accelerator, **keys), kind) == (driver, toolkit, plugin)


def test_a_pool_without_devices_has_none() -> None:
    assert owners_of(a_pool(None, machine="m6i.large"), None, "eks") is None


@pytest.mark.parametrize(
    ("kind", "accelerator", "keys", "text"),
    [
        (
            "gke",
            "L4",
            {"driver": {"owner": "operator"}},
            "driver.owner: got operator, on cos; accepted: cloud: no driver container is made for Container-Optimized "
            "OS. Leave it to the cloud (GKE installs it), or set image: {os: ubuntu}.",
        ),
        (
            "eks",
            "L4",
            {"driver": {"owner": "operator"}},
            "driver.owner: got operator, on al2023; accepted: cloud: NVIDIA makes no driver container for al2023. "
            "Leave it to the cloud, or choose an Ubuntu image where the cloud has one.",
        ),
        (
            "existing",
            "L4",
            {"driver": {"owner": "cloud"}},
            "driver.owner: got cloud, on a cluster of kind existing; accepted: host or operator: no cloud makes these "
            "nodes. Write host, or operator with an operator among the add-ons.",
        ),
        (
            "gke",
            "L4",
            {"image": {"os": "ubuntu"}, "driver": {"owner": "host"}},
            "driver.owner: got host, on gke; accepted: cloud or operator: nobody else touches the cloud's nodes. "
            "Write cloud, or operator.",
        ),
        (
            "aks",
            "T4",
            {"driver": {"owner": "host"}},
            "driver.owner: got host, on aks; accepted: cloud or operator: nobody else touches the cloud's nodes. "
            "Write cloud, or operator.",
        ),
        (
            "existing",
            "V100-16",
            {"driver": {"owner": "operator", "version": "595"}},
            "driver.version: got 595 for V100-16; accepted: at most 580: later drivers have dropped Volta. "
            'Write version: "580", or retire the V100.',
        ),
        (
            "existing",
            "B200",
            {"driver": {"owner": "operator", "version": "550.90.07"}},
            "driver.version: got 550 for B200; accepted: at least 570: earlier drivers do not know Blackwell. "
            'Write version: "570" or later.',
        ),
        (
            "existing",
            "A100-80",
            {"driver": {"owner": "operator", "version": "535"}, "sharing": {"mig": "all-1g.10gb"}},
            "driver.version: got 535 with MIG; accepted: at least 550 with MIG: earlier drivers cannot list the "
            'profiles. Write version: "550" or later.',
        ),
        (
            "gke",
            "L4",
            {"driver": {"version": "580"}},
            "driver.version: got '580'; accepted: default or latest: GKE's installer takes no branch. "
            "Write default or latest.",
        ),
        (
            "eks",
            "L4",
            {"driver": {"version": "580"}},
            "driver.version: got '580'; accepted: nothing: the cloud's image decides the driver. "
            "Pin image.release instead: the driver comes with the image.",
        ),
        (
            "aks",
            "T4",
            {"driver": {"version": "latest"}},
            "driver.version: got latest; accepted: a branch: default and latest are words of GKE's installer. "
            'Remove it, or write a branch such as "580".',
        ),
        (
            "existing",
            "L4",
            {"image": {"os": "talos"}, "driver": {"owner": "operator"}},
            "driver.owner: got operator, on talos; accepted: host: its image is immutable and holds the driver as "
            "extensions. Write host, and bind the driver's system extensions to the Talos release.",
        ),
        (
            "eks",
            "L4",
            {"image": {"os": "bottlerocket"}, "driver": {"owner": "operator"}},
            "driver.owner: got operator, on bottlerocket; accepted: cloud: NVIDIA makes no driver container for "
            "bottlerocket. Leave it to the cloud, or choose an Ubuntu image where the cloud has one.",
        ),
        (
            "eks",
            "L4",
            {"machine": "g7.48xlarge"},
            "machine: got g7.48xlarge; accepted: a machine that branch 580 of EKS's images knows: G7's RTX PRO 4500 "
            "asks for 595. Choose another machine (g7e, g6e), or run an image of your own on a cluster of kind "
            "existing.",
        ),
        (
            "existing",
            "MI300X",
            {"driver": {"toolkit": "host"}},
            "driver.toolkit: got host, for MI300X; accepted: nothing: only NVIDIA's devices have such a toolkit. "
            "Remove it.",
        ),
        (
            "aks",
            "T4",
            {"driver": {"toolkit": "host"}},
            "driver.toolkit: got host, on aks; accepted: nothing or operator: nobody else touches the cloud's nodes. "
            "Remove it; write operator where an operator is to bring it.",
        ),
        (
            "eks",
            "L4",
            {"driver": {"toolkit": "operator"}},
            "driver.toolkit: got operator, on eks; accepted: nothing: the cloud's image holds the toolkit, and two "
            "would write one configuration. Remove it.",
        ),
        (
            "eks",
            None,
            {"machine": "m6i.large", "driver": {"owner": "cloud"}},
            "driver: got a driver for no device; accepted: a pool with an accelerator. "
            "Remove `driver`, or name the pool's accelerator.",
        ),
    ],
)
def test_what_cannot_own_is_refused_with_what_can(
    kind: str, accelerator: str | None, keys: dict[str, Any], text: str
) -> None:
    row = accelerators()[accelerator] if accelerator else None
    found = list(ownership_mistakes(a_pool(accelerator, **keys), PATH, row, kind))
    assert [mistake.text() for mistake in found] == [f"{PATH}.{text}"]


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("existing", {"driver": {"owner": "operator", "version": "580"}}),
        ("gke", {"driver": {"version": "latest"}}),
        ("gke", {"driver": {"owner": "host"}}),
        ("aks", {"driver": {"owner": "operator", "version": "595"}}),
        ("eks", {}),
    ],
)
def test_what_can_own_is_not_refused(kind: str, keys: dict[str, Any]) -> None:
    assert not list(ownership_mistakes(a_pool(**keys), PATH, accelerators()["H100-80"], kind))


def of_the_cloud(facts: PoolFacts) -> PoolFacts:
    cloud = Owner("cloud", "the image has one")
    return PoolFacts(f"{facts.name}-cloud", facts.shapes, facts.sharing, facts.vendor, Owners(cloud, cloud, cloud))


def test_the_plugin_leaves_pools_alone_that_have_one() -> None:
    plans, _ = compile_pools([a_pool()], {}, simulated=False)
    ours = plans[0].facts()
    facts = Facts("eks", "1.35", runs_containers=True)
    both = NVIDIA.objects(AddonInputs(facts, (ours, of_the_cloud(ours)), NVIDIA.options()))
    (daemonset,) = [one.manifest for one in both if one.manifest["kind"] == "DaemonSet"]
    terms = daemonset["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (term,) = terms["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {"key": "espalier.dev/pool", "operator": "In", "values": ["p"]} in term["matchExpressions"]
    assert not list(NVIDIA.objects(AddonInputs(facts, (of_the_cloud(ours),), NVIDIA.options())))


def test_a_clouds_pool_whose_devices_nobody_advertises_fails_a_proof() -> None:
    from dataclasses import replace

    plans, _ = compile_pools([a_pool()], {}, simulated=False)
    in_cloud: Any = replace(plans[0], groups=(object(),), owners=owners_of(a_pool(), plans[0].accelerator, "eks"))
    proof = prove([in_cloud], [], [], RECORDS)[0]
    assert (proof.name, proof.ok) == ("owner/nvidia.com/gpu", False)
    assert "nobody advertises nvidia.com/gpu on p: the node image brings no plugin for it" in proof.evidence
    assert "add nvidia-device-plugin or nvidia-gpu-operator to espalier:addons" in proof.evidence
    elsewhere = prove(plans, [], [], RECORDS)[0]
    assert elsewhere.ok
