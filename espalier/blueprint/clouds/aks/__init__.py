"""Azure Kubernetes Service: from the stack file to a cluster and its agent pools."""

from espalier.blueprint.clouds.aks.compile import COMPILER
from espalier.blueprint.clouds.aks.model import AksNodeGroup, AksPlan

__all__ = ["COMPILER", "AksNodeGroup", "AksPlan"]
