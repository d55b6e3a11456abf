"""Which IAM actions the program's resources need.

Source: AWS Service Authorization Reference; pulumi-aws calls the create, read, tag and delete actions of each.
"""

from __future__ import annotations

from collections.abc import Iterable

_EC2_NAMED = {
    "vpc:Vpc": "Vpc",
    "subnet:Subnet": "Subnet",
    "internetGateway:InternetGateway": "InternetGateway",
    "natGateway:NatGateway": "NatGateway",
    "routeTable:RouteTable": "RouteTable",
    "route:Route": "Route",
    "launchTemplate:LaunchTemplate": "LaunchTemplate",
    "placementGroup:PlacementGroup": "PlacementGroup",
    "securityGroup:SecurityGroup": "SecurityGroup",
    "flowLog:FlowLog": "FlowLogs",
}
_OTHERS: dict[str, tuple[str, ...]] = {
    "aws:eks/cluster:Cluster": ("eks:CreateCluster", "eks:DeleteCluster", "eks:TagResource", "iam:PassRole"),
    "aws:eks/nodeGroup:NodeGroup": ("eks:CreateNodegroup", "eks:DeleteNodegroup", "iam:PassRole"),
    "aws:eks/addon:Addon": ("eks:CreateAddon", "eks:DeleteAddon"),
    "aws:eks/accessEntry:AccessEntry": ("eks:CreateAccessEntry", "eks:DeleteAccessEntry"),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": (
        "eks:AssociateAccessPolicy",
        "eks:DisassociateAccessPolicy",
    ),
    "aws:eks/identityProviderConfig:IdentityProviderConfig": (
        "eks:AssociateIdentityProviderConfig",
        "eks:DisassociateIdentityProviderConfig",
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": (
        "eks:CreatePodIdentityAssociation",
        "eks:DeletePodIdentityAssociation",
        "iam:PassRole",
    ),
    "aws:ec2/eip:Eip": ("ec2:AllocateAddress", "ec2:ReleaseAddress"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ("ec2:AssociateRouteTable", "ec2:DisassociateRouteTable"),
    "aws:ec2/tag:Tag": ("ec2:CreateTags", "ec2:DeleteTags"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("ec2:CreateVpcEndpoint", "ec2:DeleteVpcEndpoints"),
    "aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation": ("ec2:AssociateVpcCidrBlock",),
    "aws:ec2/securityGroupRule:SecurityGroupRule": ("ec2:AuthorizeSecurityGroupIngress",),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": ("ec2:RevokeSecurityGroupIngress",),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ("ec2:AuthorizeSecurityGroupIngress",),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": ("ec2:AuthorizeSecurityGroupEgress",),
    "aws:iam/role:Role": ("iam:CreateRole", "iam:DeleteRole", "iam:TagRole"),
    "aws:iam/rolePolicy:RolePolicy": ("iam:PutRolePolicy", "iam:DeleteRolePolicy"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
    "aws:iam/policy:Policy": ("iam:CreatePolicy", "iam:DeletePolicy"),
    "aws:iam/instanceProfile:InstanceProfile": (
        "iam:AddRoleToInstanceProfile",
        "iam:CreateInstanceProfile",
        "iam:DeleteInstanceProfile",
        "iam:PassRole",
        "iam:RemoveRoleFromInstanceProfile",
        "iam:TagInstanceProfile",
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": ("iam:CreateOpenIDConnectProvider",),
    "aws:kms/key:Key": ("kms:CreateKey", "kms:EnableKeyRotation", "kms:ScheduleKeyDeletion"),
    "aws:kms/alias:Alias": ("kms:CreateAlias", "kms:DeleteAlias"),
    "aws:cloudwatch/logGroup:LogGroup": ("logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:DeleteLogGroup"),
    "aws:cloudwatch/eventRule:EventRule": ("events:PutRule", "events:DeleteRule"),
    "aws:cloudwatch/eventTarget:EventTarget": ("events:PutTargets", "events:RemoveTargets"),
    "aws:sqs/queue:Queue": ("sqs:CreateQueue", "sqs:DeleteQueue"),
    "aws:sqs/queuePolicy:QueuePolicy": ("sqs:SetQueueAttributes",),
    "aws:autoscaling/tag:Tag": ("autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags"),
    "aws:efs/fileSystem:FileSystem": ("elasticfilesystem:CreateFileSystem", "elasticfilesystem:DeleteFileSystem"),
    "aws:efs/mountTarget:MountTarget": ("elasticfilesystem:CreateMountTarget", "elasticfilesystem:DeleteMountTarget"),
    "aws:fsx/lustreFileSystem:LustreFileSystem": ("fsx:CreateFileSystem", "fsx:DeleteFileSystem"),
    "aws:s3/bucket:Bucket": ("s3:CreateBucket", "s3:DeleteBucket", "s3:PutBucketTagging"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": ("s3:PutBucketOwnershipControls",),
    "aws:s3/bucketPolicy:BucketPolicy": ("s3:DeleteBucketPolicy", "s3:PutBucketPolicy"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "s3:PutEncryptionConfiguration",
    ),
    "aws:s3/bucketVersioning:BucketVersioning": ("s3:PutBucketVersioning",),
    "aws:ecr/repository:Repository": ("ecr:CreateRepository", "ecr:DeleteRepository", "ecr:TagResource"),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": ("ecr:DeleteLifecyclePolicy", "ecr:PutLifecyclePolicy"),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": (
        "ecr:CreatePullThroughCacheRule",
        "ecr:DeletePullThroughCacheRule",
    ),
    "aws:route53/zone:Zone": (
        "route53:AssociateVPCWithHostedZone",
        "route53:ChangeTagsForResource",
        "route53:CreateHostedZone",
        "route53:DeleteHostedZone",
    ),
    "aws:route53/zoneAssociation:ZoneAssociation": (
        "route53:AssociateVPCWithHostedZone",
        "route53:DisassociateVPCFromHostedZone",
    ),
}
ACTIONS: dict[str, tuple[str, ...]] = _OTHERS | {
    f"aws:ec2/{type_}": (f"ec2:Create{name}", f"ec2:Delete{name}", "ec2:CreateTags")
    for type_, name in _EC2_NAMED.items()
}
"""Type of resource -> actions without which it cannot be made and deleted."""


def actions_of(types: Iterable[str]) -> list[str]:
    """The actions that resources of these types need, sorted."""
    return sorted({action for type_ in types for action in ACTIONS.get(type_, ())})


def unjudged(types: Iterable[str]) -> list[str]:
    """Types of AWS whose actions are not known here."""
    return sorted(type_ for type_ in set(types) if type_.startswith("aws:") and type_ not in ACTIONS)
