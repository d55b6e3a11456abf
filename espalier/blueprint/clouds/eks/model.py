"""An EKS cluster, decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from espalier.blueprint.clouds.model import CloudPlan, NodeGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class EksNodeGroup(NodeGroup):
    """A managed node group with a launch template of its own."""

    instance_types: tuple[str, ...]
    ami_type: str
    capacity_type: str
    """ON_DEMAND, SPOT or CAPACITY_BLOCK."""
    disk_gib: int
    asg_tags: Mapping[str, str]
    """What cluster-autoscaler builds the first node of an empty group from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EksPlan(CloudPlan):
    """A cluster, its network, its identities and its node groups."""

    version: str
    cidr: str
    admins: tuple[str, ...]
