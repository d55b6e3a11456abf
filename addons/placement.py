"""Where the pods of add-ons run: on nodes that stay, two apart, one going at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from espalier.blueprint import names
from espalier.types import PoolFacts

_STAYING: Final = (
    {"key": "espalier.dev/accelerator", "operator": "DoesNotExist"},
    {"key": "espalier.dev/capacity", "operator": "NotIn", "values": ["spot"]},
)


def staying_affinity() -> dict[str, Any]:
    """Neither on an accelerator's node, which it would keep from going away, nor on one that may be taken back."""
    terms = [{"matchExpressions": [dict(one) for one in _STAYING]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def system_tolerations() -> list[dict[str, str]]:
    """Of the taint that keeps a cloud's system pool for such pods."""
    return [{"key": "CriticalAddonsOnly", "operator": "Exists"}]


def apart(selector: Mapping[str, str]) -> list[dict[str, Any]]:
    """Spread over nodes where there are several; one node is better than none."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(selector)},
        }
    ]


def one_at_a_time() -> dict[str, Any]:
    """The body of a PodDisruptionBudget."""
    return {"maxUnavailable": 1}


def on_pool(pool: PoolFacts) -> dict[str, Any]:
    """The fields of a pod that goes to a pool, on all its kinds of capacity."""
    taints = dict.fromkeys(taint for shape in pool.shapes for taint in shape.taints)
    return {
        "nodeSelector": {names.POOL: pool.name},
        "tolerations": [
            {"key": one.key, "operator": "Equal", "value": one.value, "effect": one.effect} for one in taints
        ],
    }
