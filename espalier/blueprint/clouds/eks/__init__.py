"""Amazon EKS: from the stack file to clusters, node groups and launch templates."""

from espalier.blueprint.clouds.eks.compile import COMPILER
from espalier.blueprint.clouds.eks.model import EksNodeGroup
from espalier.blueprint.clouds.eks.plan import EksPlan

__all__ = ["COMPILER", "EksNodeGroup", "EksPlan"]
