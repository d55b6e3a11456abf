"""Tolerations of agents, from the taints of the pools that they must reach."""

from __future__ import annotations

from collections.abc import Sequence

from espalier.types import PoolFacts

CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}


def tolerations_of(pools: Sequence[PoolFacts]) -> list[dict[str, str]]:
    """One for each key and effect among all taints of the pools, whatever the value, sorted.

    By `Exists`: charts that tolerate one value (the device plugin's discovery: `present`) miss nodes with another.
    """
    taints = sorted({(taint.key, taint.effect) for pool in pools for taint in pool.taints})
    return [{"key": key, "operator": "Exists", "effect": effect} for key, effect in taints]
