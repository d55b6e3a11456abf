"""Agent pools as they are registered: where nodes of each kind of capacity come from."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.test_aks_recorded import OTHERS, recorded

GROUP = f"{OTHERS}/Microsoft.Compute/capacityReservationGroups/h100"
POOL: dict[str, Any] = {
    "name": "train",
    "accelerator": "H100-80",
    "count": 8,
    "nodes": {"max": 2},
    "capacity": ["reserved", "spot"],
    "reservation": {"id": GROUP, "zones": ["1"]},
}


@pytest.mark.parametrize("placement", [{}, {"placement": "compact"}], ids=["anywhere", "compact"])
def test_a_pool_is_registered_with_where_its_nodes_come_from(placement: dict[str, str]) -> None:
    graph = recorded(POOL | placement)
    reserved, spot = graph.inputs("group-train-reserved"), graph.inputs("group-train-spot")
    assert reserved["capacityReservationGroupID"] == GROUP
    assert "capacityReservationGroupID" not in spot
    assert (spot["scaleSetPriority"], spot["scaleSetEvictionPolicy"], spot["spotMaxPrice"]) == ("Spot", "Delete", -1)
    assert "spotMaxPrice" not in reserved
    for pool in (reserved, spot):
        assert ("proximityPlacementGroupID" in pool) is bool(placement)
        assert (pool["minCount"], pool["mode"], pool["scaleDownMode"]) == (0, "User", "Delete")
