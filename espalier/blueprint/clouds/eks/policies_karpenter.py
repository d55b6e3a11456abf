"""What Karpenter's controller may do: it makes instances and templates with this cluster's tags, no others.

Source: aws/karpenter-provider-aws, website/content/en/preview/getting-started/.../cloudformation.yaml (August 2026).
Instance profiles are made beside the cluster: it looks for those of its own alone, when a NodeClass goes.
"""

from __future__ import annotations

from espalier.blueprint.clouds.eks.policies import Document, Statement, Where, allow, document


def controller(where: Where, node_role: str, queue: str) -> Document:
    """The controller's policy; `node_role` is the ARN of the nodes' role, `queue` that of the interruption queue."""
    return document([*_instances(where), *_profiles(where, node_role), *_reads(where, queue)])


def interruption_queue(queue: str) -> Document:
    """Policy of the queue that EC2's warnings go to; `queue` is its ARN."""
    events = {"Service": "events.amazonaws.com"}
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    deny: Statement = {**allow("EncryptedOnly", ["sqs:*"], queue, plain), "Effect": "Deny", "Principal": "*"}
    return document([{**allow("Events", ["sqs:SendMessage"], queue), "Principal": events}, deny])


def _tags(where: Where, kind: str) -> dict[str, dict[str, str]]:
    """Conditions on the tags of a request or of a resource: of this cluster, and made for a node pool."""
    exact = {f"aws:{kind}Tag/kubernetes.io/cluster/{where.cluster}": "owned"}
    if kind == "Request":
        exact["aws:RequestTag/eks:eks-cluster-name"] = where.cluster
    return {"StringEquals": exact, "StringLike": {f"aws:{kind}Tag/karpenter.sh/nodepool": "*"}}


def _instances(where: Where) -> list[Statement]:
    launch = ["ec2:CreateFleet", "ec2:RunInstances"]
    shared = [where.arn("ec2", f"{kind}/*", owned=False) for kind in ("image", "snapshot")]
    shared += [
        where.arn("ec2", f"{kind}/*")
        for kind in ("capacity-reservation", "placement-group", "security-group", "subnet")
    ]
    template = where.arn("ec2", "launch-template/*")
    instance = where.arn("ec2", "instance/*")
    kinds = ("fleet", "instance", "launch-template", "network-interface", "spot-instances-request", "volume")
    made = [where.arn("ec2", f"{kind}/*") for kind in kinds]
    asked, owned = _tags(where, "Request"), _tags(where, "Resource")
    by_making = {"ec2:CreateAction": ["CreateFleet", "CreateLaunchTemplate", "RunInstances"]}
    named = ["Name", "eks:eks-cluster-name", "karpenter.sh/nodeclaim"]
    own_name = {"StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": where.cluster}}
    return [
        allow("LaunchFrom", launch, shared),
        allow("LaunchFromTemplate", launch, template, owned),
        allow("LaunchTagged", [*launch, "ec2:CreateLaunchTemplate"], made, asked),
        allow("TagNew", ["ec2:CreateTags"], made, asked | {"StringEquals": {**asked["StringEquals"], **by_making}}),
        allow(
            "TagInstance",
            ["ec2:CreateTags"],
            instance,
            owned | own_name | {"ForAllValues:StringEquals": {"aws:TagKeys": named}},
        ),
        allow("Delete", ["ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"], [instance, template], owned),
    ]


def _profiles(where: Where, node_role: str) -> list[Statement]:
    profiles = where.arn("iam", "instance-profile/*", global_=True)
    return [
        allow("PassRole", ["iam:PassRole"], node_role, {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
        allow("ReadProfile", ["iam:GetInstanceProfile"], profiles),
    ]


def _reads(where: Where, queue: str) -> list[Statement]:
    reads = [
        "ec2:DescribeCapacityReservations",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeInstances",
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribePlacementGroups",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSpotPriceHistory",
        "ec2:DescribeSubnets",
    ]
    here = {"StringEquals": {"aws:RequestedRegion": where.region}}
    images = where.arn("ssm", "parameter/aws/service/*", owned=False)
    return [
        allow("Read", reads, "*", here),
        allow("ReadEverywhere", ["iam:ListInstanceProfiles", "pricing:GetProducts"], "*"),
        allow("ReadImages", ["ssm:GetParameter"], images),
        allow("ReadCluster", ["eks:DescribeCluster"], where.cluster_arn),
        allow("Interruptions", ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], queue),
    ]
