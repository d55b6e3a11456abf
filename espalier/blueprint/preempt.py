"""Proofs `preempt/<pool>`: who moves a pool's pods in the time between the cloud's notice and the node's end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from espalier.blueprint.pools import PoolPlan
from espalier.types import AddonPlan, NodeShape, Proof

_KARPENTER: Final = "karpenter"
_QUEUE: Final = "INTERRUPTION_QUEUE"
"""The variable from which Karpenter takes the name of the queue of EC2's warnings (charts/karpenter, deployment)."""
_BY_ITSELF: Final = {
    "eks": "EKS drains the nodes of a managed group that EC2 takes back",
    "gke": "the kubelet ends the pods (graceful node shutdown, which GKE switches on)",
    "aks": "AKS cordons and drains the node (node auto-drain, which AKS calls best effort)",
}
"""Sources: EKS User Guide, managed node groups, spot capacity; GKE documentation, Spot VMs; AKS, node auto-drain."""


def preemption_proofs(pools: Sequence[PoolPlan], kind: str, addons: Sequence[AddonPlan]) -> Iterator[Proof]:
    """One for each pool with spot capacity in a cloud, elsewhere none: what ends there is its owner's to know."""
    for pool in pools:
        spot = next((shape for shape in pool.shapes if shape.capacity_kind == "spot"), None)
        if spot is not None and spot.notice is not None and kind in _BY_ITSELF:
            yield _proof(pool, spot, kind, addons)


def _proof(pool: PoolPlan, spot: NodeShape, kind: str, addons: Sequence[AddonPlan]) -> Proof:
    name = f"preempt/{pool.name}"
    assert spot.notice is not None  # noqa: S101 - asked for pools that have one
    told = f"{spot.notice.seconds} s notice, of which a pod gets {spot.notice.grace} s"
    if not _made_by_karpenter(pool):
        return Proof(name, True, f"{told}: {_BY_ITSELF[kind]}")
    addon = next((addon for addon in addons if addon.id == _KARPENTER), None)
    if addon is not None and addon.held:
        return Proof(name, False, f"karpenter is not rendered: {addon.held.why}. {addon.held.do}", held=True)
    queue = _queue(addon) if addon else ""
    if queue:
        return Proof(name, True, f"{told}: Karpenter hears of it from queue {queue} and drains the node")
    do = "set settings.interruptionQueue in the values of karpenter"
    return Proof(name, False, f"{told}, and nobody drains the node: Karpenter is told of no queue of warnings; {do}")


def _made_by_karpenter(pool: PoolPlan) -> bool:
    return any(planned.manifest["kind"] == "NodePool" for group in pool.groups for planned in group.objects)


def _queue(addon: AddonPlan) -> str:
    """The queue that the controller's own container is told of."""
    variables: list[Mapping[str, Any]] = [
        variable
        for manifest in addon.manifests
        if manifest["kind"] == "Deployment"
        for container in manifest["spec"]["template"]["spec"]["containers"]
        for variable in container.get("env", [])
    ]
    return next((str(one.get("value") or "") for one in variables if one.get("name") == _QUEUE), "")
