"""AWS's own policies that roles of an EKS cluster have: these and no others, each with what it is needed for.

Of what they allow, an independent linter is asked as of Espalier's own (tests/clouds/test_iam.py); they are AWS's to
change. A role that is given (`roles`) brings its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

ManagedPolicy = Literal[
    "AmazonEBSCSIDriverPolicyV2",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEKSClusterPolicy",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonSSMManagedInstanceCore",
    "service-role/AmazonEFSCSIDriverPolicy",
]
MANAGED: Final[Mapping[ManagedPolicy, str]] = {
    "AmazonEBSCSIDriverPolicyV2": "volumes: makes, grows, attaches and deletes those that carry the driver's own tag",
    "AmazonEC2ContainerRegistryPullOnly": "nodes: pull images of the account's registry, and change nothing in it",
    "AmazonEKSClusterPolicy": "control plane: load balancers of Services where no controller makes them",
    "AmazonEKSWorkerNodePolicy": "nodes: read what they are in EC2, and hand Pod Identity's credentials to pods",
    "AmazonEKS_CNI_Policy": "VPC CNI: gives nodes' network interfaces the addresses of their pods",
    "AmazonSSMManagedInstanceCore": "nodes: a session of Systems Manager instead of SSH and an open port",
    "service-role/AmazonEFSCSIDriverPolicy": "EFS driver: makes and deletes access points that carry its own tag",
}
"""Name, with its path -> whom it is for and what it lets them do. Source: EKS user guide, security-iam-awsmanpol and
the pages of each role; the node role's third is of Systems Manager's user guide."""
