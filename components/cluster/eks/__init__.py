"""A cluster of Amazon EKS, as components."""

from espalier.components.cluster.eks.cluster import EksCluster

__all__ = ["EksCluster"]
