"""AKS's compiler."""

from __future__ import annotations

from espalier.blueprint.clouds.aks.cluster import plan
from espalier.blueprint.clouds.aks.cluster_rules import cluster_mistakes
from espalier.blueprint.clouds.aks.folders import TENANCY
from espalier.blueprint.clouds.aks.pools import groups
from espalier.blueprint.clouds.aks.rules import pool_mistakes, stack_mistakes
from espalier.blueprint.clouds.aks.zones import regions, zones
from espalier.blueprint.clouds.model import Compiler

COMPILER = Compiler(
    cloud="azure",
    zones=zones,
    regions=regions,
    cluster_mistakes=cluster_mistakes,
    pool_mistakes=pool_mistakes,
    groups=groups,
    plan=plan,
    tenancy=TENANCY,
    stack_mistakes=stack_mistakes,
)
