"""A node group of EKS, decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from espalier.blueprint.clouds.eks.launch import LaunchTemplate
from espalier.blueprint.clouds.model import NodeGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class EksNodeGroup(NodeGroup):
    """A managed node group with a launch template of its own."""

    instance_types: tuple[str, ...]
    """Empty for a capacity block, whose template names it."""
    ami_type: str
    release: str | None
    """Release of the image; None is the newest of the cluster's version."""
    capacity_type: Literal["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"]
    template: LaunchTemplate
    surge: bool
    """Whether an upgrade starts new nodes before it takes old ones away."""
    max_unavailable: int
    """Nodes that an upgrade replaces at a time."""
    asg_tags: Mapping[str, str]
    """What cluster-autoscaler builds the first node of an empty group from."""
    system: bool
    """Cluster components run on it."""
    placement_group: str
    """Name of the placement group that its nodes stand in; "" for none."""
    karpenter: bool
    """Karpenter makes these nodes: there is no managed group, and this is what its nodes look like."""
    notes: tuple[str, ...]
    """What the plan tells its reader of the group."""
