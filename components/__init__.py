"""Pulumi components of Espalier: `Platform` for a whole stack file, and its parts for other programs."""

# The package is imported by name and not by its classes, or Pulumi's component host would offer them as ours.
from espalier.components.addon import Addon, AddonArgs
from espalier.components.cluster import (
    ExistingCluster,
    ExistingClusterArgs,
    SimulatedCluster,
    SimulatedClusterArgs,
)
from espalier.components.platform import Platform, PlatformArgs
from espalier.components.pool import Pool, PoolArgs
from espalier.components.tenant import Tenant, TenantArgs
from espalier.components.tenant_guards import TenantGuards, TenantGuardsArgs

__all__ = [
    "Addon",
    "AddonArgs",
    "ExistingCluster",
    "ExistingClusterArgs",
    "Platform",
    "PlatformArgs",
    "Pool",
    "PoolArgs",
    "SimulatedCluster",
    "SimulatedClusterArgs",
    "Tenant",
    "TenantArgs",
    "TenantGuards",
    "TenantGuardsArgs",
]
