"""Google Kubernetes Engine: from the stack file to clusters, networks, identities and node pools."""

from espalier.blueprint.clouds.gke.compile import COMPILER
from espalier.blueprint.clouds.gke.model import GkeNodePool, GkePlan

__all__ = ["COMPILER", "GkeNodePool", "GkePlan"]
