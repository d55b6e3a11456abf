"""The Node objects of a simulated pool: KWOK makes them Ready and plays their kubelet."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from espalier.blueprint import names
from espalier.types import NodeShape, Planned


def played(shape: NodeShape) -> NodeShape:
    """A cloud's node as the simulator plays it: the same to the scheduler, and marked as simulated."""
    return replace(shape, labels=dict(sorted({**shape.labels, names.SIMULATED: "true"}.items())))


def simulated_nodes(shape: NodeShape, count: int) -> tuple[Planned, ...]:
    """`count` nodes of one shape, named by pool, generation and number."""
    generation = generation_of(shape)
    return tuple(
        Planned(f"node-{generation}-{index}", node_manifest(shape, f"{shape.pool}-{generation}-{index}"))
        for index in range(count)
    )


def generation_of(shape: NodeShape) -> str:
    """Five hexadecimal digits that change with what cannot change on a live node."""
    fixed = [
        shape.machine,
        shape.capacity_kind,
        sorted(shape.capacity.items()),
        [str(t) for t in shape.taints],
        [shape.labels.get(key) for key in (names.ACCELERATOR, names.TPU_TOPOLOGY)],
    ]
    return hashlib.sha256(json.dumps(fixed).encode()).hexdigest()[:5]


def node_manifest(shape: NodeShape, name: str) -> dict[str, Any]:
    """A Node of this shape, marked as simulated.

    What its kubelet would report as capacity is an annotation, which the simulated cluster turns into the node's
    status: providers and engines rightly send no status.
    """
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {**shape.labels, **names.MANAGED_BY, "kubernetes.io/hostname": name},
            "annotations": {
                names.KWOK_NODE: "fake",
                names.SIMULATED_CAPACITY: json.dumps(dict(shape.capacity), sort_keys=True),
            },
        },
        # No empty spec: under server-side apply it would make what controllers add (podCIDR) ours.
        **({"spec": {"taints": [taint.to_json() for taint in shape.taints]}} if shape.taints else {}),
    }
