"""GKE's compiler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from espalier.blueprint.clouds.gke import cluster as clusters
from espalier.blueprint.clouds.gke import cluster_rules, critical, pools, rules, zones
from espalier.blueprint.clouds.gke.folders import TENANCY
from espalier.blueprint.clouds.model import CloudPlan, Compiler
from espalier.settings.cloud import CloudCluster
from espalier.settings.gke import Gke

if TYPE_CHECKING:
    from espalier.blueprint.pools import PoolPlan


def plan(cluster: CloudCluster, planned: Sequence[PoolPlan]) -> CloudPlan:
    """The cluster with all its node pools."""
    assert isinstance(cluster, Gke)  # noqa: S101 - its own settings
    return clusters.plan(cluster, planned)


COMPILER = Compiler(
    cloud="gcp",
    zones=zones.zones,
    regions=zones.regions,
    cluster_mistakes=cluster_rules.cluster_mistakes,
    pool_mistakes=rules.pool_mistakes,
    groups=pools.groups,
    plan=plan,
    tenancy=TENANCY,
    stack_mistakes=cluster_rules.stack_mistakes,
    addon=critical.admit_critical,
)
