"""ComputeClasses: a pool's kinds of capacity in the user's order, as GKE's autoscaler follows it.

Without one, the autoscaler takes the cheapest node pool that has room. With one, it tries the class's rules from the
first to the last, for pods that select the class by its label; a pool that is refused is left alone for some minutes.
Each rule names node pools of one kind of capacity, which carry the class's label and its taint.

Source: GKE, "About custom ComputeClasses" (node pools priority rules; manually created node pools; active migration)
and its reference of the resource, cloud.google.com/v1, read 2026-11: `nodepools` stands alone in its rule, has no order
in itself, and is for Standard clusters. GKE tolerates the taint for pods that select the class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from espalier.blueprint import names
from espalier.blueprint.clouds.gke.model import GkeNodePool
from espalier.blueprint.clouds.model import Wanted
from espalier.settings.gke import Gke
from espalier.types import Planned, Taint

if TYPE_CHECKING:
    from espalier.blueprint.pools import PoolPlan

TAKES_PLAIN: Final = "pods that select nothing run on it, and a class's nodes take none of these"
QUEUED: Final = "queued nodes come for a ProvisioningRequest alone"


def class_of(cluster: Gke, wanted: Wanted) -> str | None:
    """Name of the class that keeps the pool's order; None where there is none to keep, or none that can be kept."""
    return None if len(wanted.pool.capacity) < 2 or why_none(cluster, wanted) else f"espalier-{wanted.pool.name}"


def why_none(cluster: Gke, wanted: Wanted) -> str | None:
    """Why a pool of several kinds of capacity has no class."""
    pool = wanted.pool
    if cluster.autoscaler == "none":
        return "nothing scales it"
    if wanted.system or (wanted.accelerator is None and not pool.taints):
        return TAKES_PLAIN
    if pool.flex and pool.flex.queued and "flex" in pool.capacity:
        return QUEUED
    return None


def class_taint(name: str) -> Taint:
    """The taint of all nodes of a class."""
    return Taint(names.COMPUTE_CLASS, name)


def classes(cluster: Gke, pools: Sequence[PoolPlan]) -> Mapping[str, Planned]:
    """Pool -> its class; pools without one are left out."""
    found: dict[str, Planned] = {}
    for pool in pools:
        groups = [group for group in pool.groups if isinstance(group, GkeNodePool)]
        name = groups[0].labels.get(names.COMPUTE_CLASS) if groups else None
        if name is not None:
            found[pool.name] = Planned(f"class-{pool.name}", _object(cluster, name, groups))
    return found


def _object(cluster: Gke, name: str, groups: Sequence[GkeNodePool]) -> dict[str, Any]:
    """Rules in the order of the groups, which is the user's; slices of one kind of capacity share a rule."""
    rules: dict[str, list[str]] = {}
    for group in groups:
        rules.setdefault(group.shape.capacity_kind, []).append(group.name)
    return {
        "apiVersion": "cloud.google.com/v1",
        "kind": "ComputeClass",
        "metadata": {"name": name, "labels": dict(names.MANAGED_BY)},
        "spec": {
            "priorities": [{"nodepools": pools} for pools in rules.values()],
            "nodePoolAutoCreation": {"enabled": False},
            "activeMigration": {"optimizeRulePriority": cluster.active_migration},
            "whenUnsatisfiable": "DoNotScaleUp",  # said, since its default differs by version
        },
    }
