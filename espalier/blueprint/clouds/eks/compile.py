"""EKS's compiler."""

from __future__ import annotations

from espalier.blueprint.clouds.eks.cluster import plan
from espalier.blueprint.clouds.eks.cluster_rules import cluster_mistakes, stack_mistakes
from espalier.blueprint.clouds.eks.folders import TENANCY
from espalier.blueprint.clouds.eks.identity_provider import with_provider
from espalier.blueprint.clouds.eks.pools import groups
from espalier.blueprint.clouds.eks.rules import pool_mistakes
from espalier.blueprint.clouds.eks.zones import regions, zones
from espalier.blueprint.clouds.model import Compiler

COMPILER = Compiler(
    cloud="aws",
    zones=zones,
    regions=regions,
    cluster_mistakes=cluster_mistakes,
    pool_mistakes=pool_mistakes,
    groups=groups,
    plan=plan,
    tenancy=TENANCY,
    stack_mistakes=stack_mistakes,
    with_identity=with_provider,
)
