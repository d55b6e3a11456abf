"""What Karpenter is told of a simulated cluster's pools: machine types for the process, NodePools for the API.

Karpenter's kwok provider makes a Node of a machine type as a cloud would make a machine; all else is the real
autoscaler. Source of the file's shape: kubernetes-sigs/karpenter v1.15.0, kwok/cloudprovider/helpers.go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from espalier.blueprint import names
from espalier.types import CapacityKind, NodeShape, Planned

if TYPE_CHECKING:
    from espalier.blueprint.pools import PoolPlan

ZONE: Final = "topology.kubernetes.io/zone"
TYPE: Final = "node.kubernetes.io/instance-type"
CAPACITY_TYPE: Final = "karpenter.sh/capacity-type"
NODE_CLASS: Final = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "simulated"}
"""The one class of node of a simulated cluster; `espalier sim up` makes it."""
EMPTY_FOR: Final = "10s"
"""An empty node goes after so long: on a laptop nobody waits for the ten minutes that save money in a cloud."""
_UNKNOWN_PRICE: Final = 1.0
"""Karpenter compares prices and has no word for an unknown one; what the plan tells of money is not from here."""
_HIGHEST: Final = 100


def machine_types(pools: Sequence[PoolPlan]) -> str:
    """The machine types of all pools as JSON, with what each kind of capacity costs."""
    types = type_names(pools)
    rows = [
        {
            "name": types[pool.name],
            "architecture": pool.shape.labels.get("kubernetes.io/arch", "amd64"),
            "operatingSystems": ["linux"],
            "resources": dict(sorted(pool.shape.capacity.items())),
            "offerings": [_offering(shape) for shape in _by_capacity_type(pool)],
        }
        for pool in pools
        if types[pool.name] not in {types[other.name] for other in pools[: pools.index(pool)]}
    ]
    return json.dumps(rows, indent=1, sort_keys=True) + "\n"


def type_names(pools: Sequence[PoolPlan]) -> dict[str, str]:
    """Pool -> its machine type: the machine's name, and the pool's with it where two pools share a machine otherwise.

    Two pools of one machine are one type only where they are alike in size, price and devices.
    """
    found: dict[str, str] = {}
    seen: dict[str, Any] = {}
    for pool in pools:
        said = (pool.shape.capacity, [_offering(shape) for shape in _by_capacity_type(pool)])
        machine = pool.shape.machine
        found[pool.name] = machine if seen.setdefault(machine, said) == said else f"{machine}.{pool.name}"
    return found


def node_pools(pool: PoolPlan, machine_type: str) -> tuple[Planned, ...]:
    """A NodePool for each kind of capacity, the preferred one the heaviest; none for a pool that cannot grow."""
    if pool.maximum <= len(pool.nodes):
        return ()
    return tuple(
        Planned(f"autoscaled-{shape.capacity_kind}", _node_pool(pool, shape, machine_type, _HIGHEST - place))
        for place, shape in enumerate(pool.shapes)
    )


def _node_pool(pool: PoolPlan, shape: NodeShape, machine_type: str, weight: int) -> Mapping[str, Any]:
    requirements = [
        {"key": TYPE, "operator": "In", "values": [machine_type]},
        {"key": CAPACITY_TYPE, "operator": "In", "values": [_capacity_type(shape.capacity_kind)]},
    ]
    spec = {
        "nodeClassRef": dict(NODE_CLASS),
        "requirements": requirements,
        "expireAfter": "Never",
        **({"taints": [taint.to_json() for taint in shape.taints]} if shape.taints else {}),
        **({"startupTaints": [taint.to_json() for taint in shape.startup_taints]} if shape.startup_taints else {}),
    }
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": f"{pool.name}-{shape.capacity_kind}", "labels": dict(names.MANAGED_BY)},
        "spec": {
            "weight": weight,
            "limits": _limits(pool, shape),
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": EMPTY_FOR,
                "budgets": [{"nodes": "100%"}],  # the default takes one node in ten away at a time
            },
            "template": {"metadata": {"labels": _labels(shape)}, "spec": spec},
        },
    }


def _limits(pool: PoolPlan, shape: NodeShape) -> dict[str, str]:
    """The size of all nodes that may be made.

    In vCPUs: a limit of `nodes` holds between batches of pods, but not within one (Karpenter v1.15.0 counts only vCPUs,
    memory and the like while it plans a batch: provisioning/scheduling/scheduler.go, subtractMax).
    """
    return {"cpu": str((pool.maximum - len(pool.nodes)) * int(shape.capacity["cpu"]))}


def _labels(shape: NodeShape) -> dict[str, str]:
    """Those that no requirement gives; the class of machine and its zone come from the offering."""
    given = {key: value for key, value in shape.labels.items() if key not in (TYPE, ZONE, CAPACITY_TYPE)}
    return given | {names.SIMULATED: "true"}


def _by_capacity_type(pool: PoolPlan) -> list[NodeShape]:
    """One shape for each of Karpenter's capacity types; Karpenter knows flex and reserved nodes as on-demand ones."""
    found: dict[str, NodeShape] = {}
    for shape in pool.shapes:
        found.setdefault(_capacity_type(shape.capacity_kind), shape)
    return [found[key] for key in sorted(found)]


def _offering(shape: NodeShape) -> dict[str, Any]:
    price = shape.price.per_hour if shape.price else _UNKNOWN_PRICE
    return {
        "Price": price,
        "Available": True,
        "Requirements": [
            {"key": CAPACITY_TYPE, "operator": "In", "values": [_capacity_type(shape.capacity_kind)]},
            {"key": ZONE, "operator": "In", "values": [shape.labels.get(ZONE, "simulated-a")]},
        ],
    }


def _capacity_type(kind: CapacityKind) -> str:
    return "spot" if kind == "spot" else "on-demand"
