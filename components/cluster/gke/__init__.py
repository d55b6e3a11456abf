"""A cluster of Google Kubernetes Engine, as components."""

from espalier.components.cluster.gke.cluster import GkeCluster

__all__ = ["GkeCluster"]
