"""What node groups stand on: a cluster that is made or given, as far as they need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A cluster with its network and the nodes' identity, before it has any node."""

    cluster_name: pulumi.Input[str]
    endpoint: pulumi.Output[str]
    certificate: pulumi.Output[str]
    """The API's URL, and its authority in base64: what a node with an image of its own joins by."""
    network_id: pulumi.Input[str]
    subnets: Mapping[str, pulumi.Input[str]]
    """Private subnet by zone."""
    security_group: pulumi.Input[str]
    """The cluster's own, which every node joins."""
    node_role: pulumi.Input[str]
    """ARN of the nodes' role."""
    disk_key: pulumi.Input[str] | None
    """ARN of the key that encrypts disks; None is the account's own, aws/ebs."""
    after: tuple[pulumi.Resource, ...]
    """What must stand before the first node starts: routes, rights and the add-ons that make a node ready."""

    def later_than(self, resources: Sequence[pulumi.Resource]) -> Ground:
        """The same ground, for nodes that start later than `resources`, too."""
        return replace(self, after=(*self.after, *resources))
