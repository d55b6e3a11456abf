"""IAM policy documents of an EKS cluster's identities: each names what it may change by ARN or by tag.

`*` stands as the resource of reads alone, which AWS cannot scope. The account's place in an ARN is `*` where the stack
file does not name it: a role reaches its own account alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Statement = dict[str, Any]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What policies of a cluster are scoped by."""

    partition: str
    region: str
    account: str
    """Twelve digits, or * where the account is not known."""
    cluster: str

    def arn(self, service: str, resource: str, *, global_: bool = False, owned: bool = True) -> str:
        """An ARN in the cluster's region and account; `global_`: of no region; not `owned`: of no account."""
        region, account = "" if global_ else self.region, self.account if owned else ""
        return f"arn:{self.partition}:{service}:{region}:{account}:{resource}"

    @property
    def cluster_arn(self) -> str:
        return self.arn("eks", f"cluster/{self.cluster}")


def document(statements: Sequence[Statement]) -> Document:
    """A policy of several statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(
    sid: str, actions: Sequence[str], resources: Sequence[str] | str, conditions: Mapping[str, Any] | None = None
) -> Statement:
    """A statement that allows."""
    resource = resources if isinstance(resources, str) else list(resources)
    found: Statement = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": resource}
    return found | ({"Condition": dict(conditions)} if conditions else {})


def trusted_service(service: str) -> Document:
    """Trust of a role that an AWS service takes, such as eks.amazonaws.com."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return document([statement])


def trusted_pods(where: Where, namespace: str, service_account: str) -> Document:
    """Trust of a role that one service account of this cluster takes by Pod Identity.

    Session tags of Pod Identity: EKS user guide, pod-id-abac (eks-cluster-arn, kubernetes-namespace,
    kubernetes-service-account).
    """
    exact = {
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": service_account,
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": exact, "StringLike": {"aws:RequestTag/eks-cluster-arn": where.cluster_arn}},
    }
    return document([statement])


def control_plane(where: Where, key: str, conditions: Mapping[str, Any] | None, *, least: bool) -> Document:
    """The control plane's use of the key that Secrets are encrypted with (terraform-aws-eks, main.tf).

    `least`: what it needs for nodes as well, and nothing for load balancers (EKS user guide, cluster-iam-role: the
    minimum without AmazonEKSClusterPolicy, which has the tag of any cluster).
    """
    use = allow("UseKey", ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants"], key, conditions)
    reads = ("AvailabilityZones", "DhcpOptions", "InstanceTopology", "Instances", "NetworkInterfaces", "Vpcs")
    tags = {"ForAnyValue:StringEquals": {"aws:TagKeys": f"kubernetes.io/cluster/{where.cluster}"}}
    nodes = (
        allow("TagNodes", ["ec2:CreateTags"], where.arn("ec2", "instance/*"), tags),
        allow("ReadNodes", [f"ec2:Describe{each}" for each in reads], "*"),
    )
    return document([use, *nodes] if least else [use])


def for_volumes(key: str) -> Document:
    """The EBS driver's use of a key that is given (aws-ebs-csi-driver, docs/install.md)."""
    use = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom"]
    granted = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return document(
        [allow("UseKey", [*use, "kms:ReEncryptTo"], key), allow("GrantKey", ["kms:CreateGrant"], key, granted)]
    )


def disk_key_policy(where: Where, services: Sequence[str]) -> Document:
    """Policy of the key of disks: whoever in the account may use EBS, EFS or `services` may use it through these.

    As AWS's own key aws/ebs has it, so that the roles of Auto Scaling and of Spot need not exist beforehand. In a key's
    policy `*` is the key itself.
    """
    root = f"arn:{where.partition}:iam::{where.account}:root"
    use = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    use += ["kms:RetireGrant"] if "ecr" in services else []  # a repository's grants end with it
    named = sorted({"ec2", "elasticfilesystem", *services})
    through = [f"{service}.{where.region}.amazonaws.com" for service in named]
    conditions = {"StringEquals": {"kms:CallerAccount": where.account, "kms:ViaService": through}}
    return document(
        [
            {**allow("Account", ["kms:*"], "*"), "Principal": {"AWS": root}},
            {**allow("ThroughDisks", use, "*", conditions), "Principal": {"AWS": "*"}},
        ]
    )


def image_cache(where: Where, upstreams: Sequence[str]) -> Document:
    """Nodes make a cache's repository when they first pull from it (ECR user guide, pull through cache permissions)."""
    repositories = [where.arn("ecr", f"repository/{upstream}/*") for upstream in upstreams]
    return document([allow("FirstPull", ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"], repositories)])


def cluster_autoscaler(where: Where) -> Document:
    """Reads everything of groups, changes those of this cluster alone.

    Actions: kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws/README.md. EKS puts the tag
    k8s.io/cluster-autoscaler/<cluster>=owned on the Auto Scaling group of each managed node group.
    """
    reads = [
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:DescribeLaunchConfigurations",
        "autoscaling:DescribeScalingActivities",
        "autoscaling:DescribeTags",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:GetInstanceTypesFromInstanceRequirements",
    ]
    tag = {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{where.cluster}": "owned"}
    groups = where.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")
    changes = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
    node_groups = where.arn("eks", f"nodegroup/{where.cluster}/*")
    return document(
        [
            allow("ReadGroups", reads, "*"),
            allow("ReadNodeGroups", ["eks:DescribeNodegroup"], node_groups),
            allow("ScaleOwnGroups", changes, groups, {"StringEquals": tag}),
        ]
    )


def fsx_driver(where: Where) -> Document:
    """The FSx for Lustre driver: makes file systems with this cluster's tag, and changes those alone.

    Actions: kubernetes-sigs/aws-fsx-csi-driver, docs/README.md, of which S3 data repositories are left out.
    """
    tag = {"aws:ResourceTag/espalier.dev/cluster": where.cluster}
    asked = {"aws:RequestTag/espalier.dev/cluster": where.cluster}
    systems = where.arn("fsx", "file-system/*")
    linked = where.arn("iam", "role/aws-service-role/fsx.amazonaws.com/*", global_=True)
    named = {"StringEquals": {"iam:AWSServiceName": "fsx.amazonaws.com"}}
    return document(
        [
            allow("Read", ["fsx:DescribeFileSystems", "fsx:ListTagsForResource"], "*"),
            allow("Make", ["fsx:CreateFileSystem", "fsx:TagResource"], systems, {"StringEquals": asked}),
            allow("Change", ["fsx:DeleteFileSystem", "fsx:UpdateFileSystem"], systems, {"StringEquals": tag}),
            allow("LinkService", ["iam:CreateServiceLinkedRole"], linked, named),
        ]
    )
