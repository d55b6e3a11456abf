"""Proofs that each autoscaler tries a pool's kinds of capacity in the user's order, of what is registered.

cluster-autoscaler and AKS's own read the ConfigMap of the priority expander, the higher number first
(cluster-autoscaler, expander/priority/readme.md); Karpenter the weights of NodePools, the higher first; GKE's the rules
of a ComputeClass, the first first.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

import yaml

from espalier.blueprint import names, wake_aks, wake_eks, wake_gke, wake_karpenter
from espalier.blueprint.clouds.model import CloudPlan
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.wake_node import Recorded
from espalier.types import Proof

_EXPANDER = "cluster-autoscaler-priority-expander"
_UUID = "00000000-0000-0000-0000-000000000000"
Ranks = Mapping[str, float]
"""Group -> its place: the lower is tried first. A group that is not in it is never tried."""


def ladder_proofs(pools: Sequence[PoolPlan], cloud: CloudPlan, autoscaler: str, recorded: Recorded) -> Iterator[Proof]:
    """`ladder/<pool>` for each pool of several kinds of capacity whose order an autoscaler is told."""
    if autoscaler == "none":
        return
    for pool in pools:
        if len(pool.shapes) < 2:
            continue
        name, ranks = f"ladder/{pool.name}", _ranks(pool, cloud, autoscaler, recorded)
        if isinstance(ranks, str):
            yield Proof(name, False, ranks, held=True)
        elif ranks is not None:
            yield _proof(name, pool, ranks)


def _ranks(pool: PoolPlan, cloud: CloudPlan, autoscaler: str, recorded: Recorded) -> Ranks | str | None:
    """The order that the autoscaler reads, or why nothing reads it yet.

    None where it follows prices, and where the order is that of a cluster that Espalier did not make.
    """
    if cloud.kind == "gke":
        return _rules(pool, recorded) if names.COMPUTE_CLASS in pool.shape.labels else None
    if autoscaler == "karpenter":
        held = wake_karpenter.missing(recorded)
        return held or _weights(recorded) if pool.facts().objects else None
    made = [resource for resource in recorded.resources if resource["type"] in (wake_eks.CLUSTER, wake_aks.CLUSTER)]
    if not made:
        return None
    if cloud.kind == "aks" and made[0]["inputs"].get("autoScalerProfile", {}).get("expander") != "priority":
        return {}
    form = f"eks-{{}}-{_UUID}" if cloud.kind == "eks" else "aks-{}-12345678-vmss"
    return _expander(pool, form, recorded)


def _proof(name: str, pool: PoolPlan, ranks: Ranks) -> Proof:
    wanted = [shape.capacity_kind for shape in pool.shapes]
    lost = sorted(group.name for group in pool.groups if group.name not in ranks)
    if lost:
        return Proof(name, False, f"no autoscaler ever tries {', '.join(lost)}")
    places: dict[str, set[float]] = {}
    for group in pool.groups:
        places.setdefault(group.shape.capacity_kind, set()).add(ranks[group.name])
    steps = [places[kind] for kind in wanted]
    tried = " then ".join(sorted(wanted, key=lambda kind: min(places[kind])))
    if all(max(before) < min(after) for before, after in itertools.pairwise(steps)):
        return Proof(name, True, f"tries {tried}")
    return Proof(name, False, f"tries {tried}, or several at a time; the stack file says {' then '.join(wanted)}")


def _rules(pool: PoolPlan, recorded: Recorded) -> Ranks:
    rules = wake_gke.rules_of(recorded).get(pool.shape.labels[names.COMPUTE_CLASS], [])
    return {name: float(place) for place, rule in reversed(list(enumerate(rules))) for name in rule}


def _weights(recorded: Recorded) -> Ranks:
    return {
        str(obj["metadata"].get("annotations", {}).get(wake_karpenter.GROUP)): -float(obj["spec"].get("weight", 1))
        for obj in recorded.objects
        if obj.get("kind") == "NodePool"
    }


def _expander(pool: PoolPlan, form: str, recorded: Recorded) -> Ranks:
    """`form` is what the cloud calls a group's instances, which the patterns are held against.

    Of several patterns that match, the expander takes the one of the highest number.
    """
    patterns = [
        (-float(priority), re.compile(str(pattern)))
        for obj in recorded.objects
        if obj.get("kind") == "ConfigMap" and obj["metadata"]["name"] == _EXPANDER
        for priority, held in yaml.safe_load(obj["data"]["priorities"]).items()
        for pattern in held
    ]
    found = {
        group.name: [place for place, pattern in patterns if pattern.search(form.format(group.name))]
        for group in pool.groups
    }
    return {name: min(places) for name, places in found.items() if places}
