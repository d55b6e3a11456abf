"""Clusters: each kind yields a provider that everything inside the cluster is registered with."""

from espalier.components.cluster.existing import ExistingCluster, ExistingClusterArgs
from espalier.components.cluster.simulated import SimulatedCluster, SimulatedClusterArgs

__all__ = ["ExistingCluster", "ExistingClusterArgs", "SimulatedCluster", "SimulatedClusterArgs"]
