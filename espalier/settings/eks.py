"""A cluster of Amazon EKS."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from espalier.settings.base import VERSION_PATTERN, GroupName, Strict, form
from espalier.settings.cloud import CloudCluster

_ACCOUNT = form(r"^[0-9]{12}$", 'an AWS account\'s twelve digits, in quotes, such as "123456789012"')
_ROLE = form(
    r"^arn:aws(-us-gov)?:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$",
    "an IAM role's ARN, such as arn:aws:iam::123456789012:role/platform",
)
_POLICY = form(
    r"^arn:aws(-us-gov)?:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]+$",
    "an IAM policy's ARN, such as arn:aws:iam::123456789012:policy/boundary",
)
_PRINCIPAL = form(
    r"^arn:aws(-us-gov)?:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=,.@/-]+$",
    "the ARN of an IAM role or user, such as arn:aws:iam::123456789012:role/engineers",
)
_PATH = form(r"^/([A-Za-z0-9_+=,.@-]+/)*$", "an IAM path that begins and ends with /, such as /platform/")
_SUBNET = form(r"^subnet-[0-9a-f]{8,17}$", "a subnet's id, such as subnet-0a1b2c3d4e5f60718")
_SECURITY_GROUP = form(r"^sg-[0-9a-f]{8,17}$", "a security group's id, such as sg-0a1b2c3d4e5f60718")
_ENDPOINT = form(
    r"^https://[^\s/@:]+$", "the API's URL without a path, such as https://ABCD.gr7.us-east-1.eks.amazonaws.com"
)
_ISSUER = form(r"^https://[^\s@]+$", "the issuer's URL, such as https://oidc.eks.us-east-1.amazonaws.com/id/ABCD")
_BASE64 = form(
    r"^[A-Za-z0-9+/]+={0,2}$", "a PEM certificate in base64, as the cluster's certificateAuthority.data has it"
)
_ADDON_VERSION = form(
    r"^v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+$", "a version of an EKS add-on, such as v1.22.4-eksbuild.3"
)

Role = Annotated[str, Field(pattern=_ROLE, max_length=620)]
Principal = Annotated[str, Field(pattern=_PRINCIPAL, max_length=620)]
LogType = Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]
AddonName = Literal[
    "vpc-cni",
    "kube-proxy",
    "coredns",
    "eks-pod-identity-agent",
    "eks-node-monitoring-agent",
    "aws-ebs-csi-driver",
    "aws-efs-csi-driver",
    "aws-fsx-csi-driver",
]
Upstream = Literal["public.ecr.aws", "quay.io", "registry.k8s.io"]
"""Registries that ECR caches without credentials of theirs (ECR API, CreatePullThroughCacheRule)."""
RETENTION = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Days that CloudWatch Logs can keep (CloudWatch Logs API, PutRetentionPolicy)."""


class Roles(Strict):
    """IAM roles that are there already, by ARN; each that is not named is made."""

    cluster: Role | None = Field(default=None, description="the control plane's")
    nodes: Role | None = Field(default=None, description="the nodes'")
    network: Role | None = Field(default=None, description="the VPC CNI's, kube-system/aws-node")
    volumes: Role | None = Field(default=None, description="the EBS driver's, kube-system/ebs-csi-controller-sa")
    files: Role | None = Field(default=None, description="the EFS or FSx driver's controller's")
    autoscaler: Role | None = Field(
        default=None, description="kube-system/cluster-autoscaler's, or kube-system/karpenter's"
    )
    load_balancer: Role | None = Field(
        default=None, description="the load balancer controller's, kube-system/aws-load-balancer-controller"
    )
    boundary: Annotated[str, Field(pattern=_POLICY, max_length=620)] | None = Field(
        default=None, description="permissions boundary of every role that is made"
    )
    path: Annotated[str, Field(pattern=_PATH, max_length=256)] = Field(
        default="/", description="IAM path of every role that is made"
    )


class Logs(Strict):
    """The control plane's logs, in CloudWatch."""

    types: tuple[LogType, ...] = Field(
        default=("api", "audit", "authenticator", "controllerManager", "scheduler"), description="what is logged"
    )
    retention_days: Annotated[int, Field(ge=1, le=3653)] = Field(
        default=90, description="days that CloudWatch keeps them, one of the numbers that it knows"
    )


class GivenCluster(Strict):
    """An EKS cluster that Espalier did not make: its accelerator pools are added to it, and nothing else of it changes.

    `name`, `version`, `region`, `zones`, `network.id`, `network.subnets` and `roles.nodes` say the rest of it.
    """

    endpoint: Annotated[str, Field(pattern=_ENDPOINT, max_length=255)] = Field(description="the API's URL")
    certificate: Annotated[str, Field(pattern=_BASE64, max_length=16384)] = Field(
        description="the API's certificate authority, PEM in base64"
    )
    security_group: Annotated[str, Field(pattern=_SECURITY_GROUP)] = Field(
        description="the cluster's security group, which nodes join"
    )
    issuer: Annotated[str, Field(pattern=_ISSUER, max_length=255)] | None = Field(
        default=None, description="issuer of the service accounts' tokens; default: not told"
    )


class Eks(CloudCluster):
    """A cluster of Amazon EKS."""

    kind: Literal["eks"] = Field(description="this kind of cluster")
    account_id: Annotated[str, Field(pattern=_ACCOUNT)] | None = Field(
        default=None,
        description="the account that it stands in: credentials of any other are refused; with it Espalier makes a key "
        "for disks and names the account in policies",
    )
    nodes_version: Annotated[str, Field(pattern=VERSION_PATTERN)] | None = Field(
        default=None,
        description="Kubernetes minor version that node groups stay at while `version` is ahead: an upgrade's first up "
        "then takes the control plane and EKS's add-ons alone, and the next one, without this key, all nodes; default: "
        "`version`",
    )
    roles: Roles = Field(default_factory=Roles, description="IAM roles that are there; default: Espalier makes them")
    logs: Logs = Field(default_factory=Logs, description="the control plane's logs")
    groups: dict[GroupName, Annotated[tuple[Principal, ...], Field(max_length=50)]] = Field(
        default={}, description="Kubernetes groups, as tenants name them, and the IAM principals that are in each"
    )
    pod_subnets: Annotated[tuple[Annotated[str, Field(pattern=_SUBNET)], ...], Field(max_length=6)] = Field(
        default=(),
        description="subnets of a given network that pods take addresses from, one for each of `zones`, in their "
        "order; in a network that is made, `network.pods` is their range",
    )
    load_balancer: bool = Field(
        default=True,
        description="an identity for the AWS load balancer controller is made or named; without it the control plane's "
        "role may make load balancers of Services itself",
    )
    zonal_shift: bool = Field(default=False, description="AWS may move traffic away from a zone that fails")
    image_cache: tuple[Upstream, ...] = Field(
        default=(),
        description="registries that ECR caches, made once in an account and region; with sources.registry: "
        "<account>.dkr.ecr.<region>.amazonaws.com nodes pull through them; default: none is made",
    )
    addon_versions: dict[AddonName, Annotated[str, Field(pattern=_ADDON_VERSION)]] = Field(
        default={}, description="versions of EKS's own add-ons; default: those of Espalier's table for the version"
    )
    given: GivenCluster | None = Field(
        default=None, description="a cluster that is there already, whose pools alone are added; default: it is made"
    )
