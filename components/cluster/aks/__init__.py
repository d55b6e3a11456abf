"""A cluster of Azure Kubernetes Service, as components."""

from espalier.components.cluster.aks.cluster import AksCluster

__all__ = ["AksCluster"]
