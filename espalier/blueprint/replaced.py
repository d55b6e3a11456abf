"""Who replaces a node that is not well, and what a plan says where nobody does.

Facts: EKS repairs nodes of managed groups that are asked to (node-repair: on its agent's conditions and NotReady); GKE
repairs by auto-repair, never with flex-start; AKS always does (node-auto-repair: NotReady for 10 minutes). None of
them knows the warden's mark: a node that it has drained is an autoscaler's to take away, which no autoscaler does below
the pool's minimum. Karpenter replaces a node whose NodeClaim the warden deletes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from espalier.blueprint.gates import WARDEN
from espalier.blueprint.pools import PoolPlan
from espalier.types import Facts

_ALWAYS = ("aks",)
"""Clouds whose repair of nodes cannot be switched off."""


def replacement_notes(
    pools: Sequence[PoolPlan], facts: Facts, addons: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Of the pools of a cloud; Karpenter's nodes are replaced."""
    if facts.scaler == "karpenter":
        return ()
    return (*_unrepaired(pools, facts), *_drained(pools, facts, addons))


def _unrepaired(pools: Sequence[PoolPlan], facts: Facts) -> Iterator[str]:
    bare = [group.key for pool in pools for group in pool.groups if not group.repair and facts.kind not in _ALWAYS]
    if bare:
        yield f"repair: nobody replaces nodes of {', '.join(bare)} that are not Ready: their cloud is not asked to"


def _drained(pools: Sequence[PoolPlan], facts: Facts, addons: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Marked and empty, a node stays where no autoscaler may take it away."""
    health: Mapping[str, Any] = addons.get(WARDEN, {}).get("health") or {}
    if WARDEN not in addons or health.get("action", "act") != "act":
        return
    held = [pool for pool in pools if pool.accelerator and (pool.minimum > 0 or not facts.may_scale)]
    if held:
        why = "at its nodes.min no autoscaler takes one away" if facts.may_scale else "no autoscaler is there"
        known = "; EKS replaces those of which its own agent tells" if any(p.facts().repaired for p in held) else ""
        also = known if facts.kind == "eks" else ""
        names = ", ".join(pool.name for pool in held)
        yield (
            f"repair: a node of {names} whose devices fail is drained by warden and stays, marked, for you to end: "
            f"{why}{also} (docs/warden.md tells how)"
        )
