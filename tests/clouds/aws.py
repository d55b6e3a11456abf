"""What each resource of the AWS provider asks of AWS: operations of botocore's models, and where keys differ.

Source of the calls: terraform-provider-aws, internal/service/<service>/<resource>.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.clouds.shapes import aws, aws_shape
from tests.clouds.translate import Row

_REGION = {"region": "the SDK's client has it"}
_LATER = "a further call, which takes a boolean"
_EC2_TAGS = {"tags": "TagSpecifications[].Tags"}
INSTANCE_TYPES = aws_shape("ec2", "InstanceType").enum


def _row(service: str, operation: str, names: Mapping[str, str] | None = None, **keys: Any) -> Row:
    left_out = {**_REGION, **keys.pop("left_out", {})}
    return Row(shape=aws(service, operation), call=(service, operation), names=names or {}, left_out=left_out, **keys)


def _ec2(operation: str, names: Mapping[str, str] | None = None, **keys: Any) -> Row:
    return _row("ec2", operation, {**_EC2_TAGS, **(names or {})}, **keys)


_RULE = {
    "ipProtocol": "IpPermissions[].IpProtocol",
    "fromPort": "IpPermissions[].FromPort",
    "toPort": "IpPermissions[].ToPort",
    "securityGroupId": "GroupId",
    "cidrIpv4": "IpPermissions[].IpRanges[].CidrIp",
    "cidrIpv6": "IpPermissions[].Ipv6Ranges[].CidrIpv6",
    "prefixListId": "IpPermissions[].PrefixListIds[].PrefixListId",
    "referencedSecurityGroupId": "IpPermissions[].UserIdGroupPairs[].GroupId",
}
_RULE_TEXT = {"description": "stands in the range or the pair"}
_LUSTRE = (
    "autoImportPolicy",
    "automaticBackupRetentionDays",
    "copyTagsToBackups",
    "dailyAutomaticBackupStartTime",
    "dataCompressionType",
    "dataReadCacheConfiguration",
    "deploymentType",
    "driveCacheType",
    "efaEnabled",
    "exportPath",
    "importPath",
    "importedFileChunkSize",
    "logConfiguration",
    "metadataConfiguration",
    "perUnitStorageThroughput",
    "rootSquashConfiguration",
    "throughputCapacity",
    "weeklyMaintenanceStartTime",
)
_QUEUE = {
    "delaySeconds": "DelaySeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "policy": "Policy",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}

RESOURCES: Mapping[str, tuple[Row, ...]] = {
    # EKS
    "aws:eks/cluster:Cluster": (
        _row(
            "eks",
            "CreateCluster",
            {"vpcConfig": "resourcesVpcConfig", "enabledClusterLogTypes": "logging.clusterLogging[].types"},
            left_out={
                "defaultAddonsToRemoves": "removed by the provider afterwards",
                "forceUpdateVersion": "of an update",
            },
            given={"logging.clusterLogging[].enabled": True},
            words={"encryptionConfig.resources": frozenset({"secrets"})},
        ),
    ),
    "aws:eks/nodeGroup:NodeGroup": (
        _row(
            "eks",
            "CreateNodegroup",
            {"nodeRoleArn": "nodeRole", "subnetIds": "subnets"},
            left_out={"forceUpdateVersion": "of an update", "nodeGroupNamePrefix": "the provider makes a name of it"},
            words={"instanceTypes": INSTANCE_TYPES},
        ),
    ),
    "aws:eks/addon:Addon": (
        _row(
            "eks",
            "CreateAddon",
            {"resolveConflictsOnCreate": "resolveConflicts"},
            left_out={"preserve": "of the deletion", "resolveConflictsOnUpdate": "of an update"},
        ),
        _row(
            "eks",
            "UpdateAddon",
            {"resolveConflictsOnUpdate": "resolveConflicts"},
            takes=frozenset({"clusterName", "addonName", "resolveConflictsOnUpdate"}),
        ),
    ),
    "aws:eks/identityProviderConfig:IdentityProviderConfig": (_row("eks", "AssociateIdentityProviderConfig"),),
    "aws:eks/accessEntry:AccessEntry": (
        _row(
            "eks",
            "CreateAccessEntry",
            {"userName": "username"},
            # Source: EKS user guide, access entries; the model leaves the type a plain text.
            words={
                "type": frozenset(
                    {"STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "EC2", "HYPERPOD_LINUX"}
                )
            },
        ),
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": (_row("eks", "AssociateAccessPolicy"),),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": (_row("eks", "CreatePodIdentityAssociation"),),
    # EC2
    "aws:ec2/vpc:Vpc": (
        _ec2(
            "CreateVpc",
            {"assignGeneratedIpv6CidrBlock": "AmazonProvidedIpv6CidrBlock"},
            left_out={
                "enableDnsHostnames": _LATER,
                "enableDnsSupport": _LATER,
                "enableNetworkAddressUsageMetrics": _LATER,
            },
        ),
    ),
    "aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation": (_ec2("AssociateVpcCidrBlock"),),
    "aws:ec2/subnet:Subnet": (
        _ec2(
            "CreateSubnet",
            left_out={
                "mapPublicIpOnLaunch": _LATER,
                "assignIpv6AddressOnCreation": _LATER,
                "enableResourceNameDnsARecordOnLaunch": _LATER,
            },
        ),
        _ec2(
            "ModifySubnetAttribute",
            takes=frozenset({"privateDnsHostnameTypeOnLaunch"}),
            given={"SubnetId": "subnet-0123456789abcdef0"},
        ),
    ),
    "aws:ec2/internetGateway:InternetGateway": (
        _ec2("CreateInternetGateway", left_out={"vpcId": "AttachInternetGateway"}),
        _ec2(
            "AttachInternetGateway",
            takes=frozenset({"vpcId"}),
            given={"InternetGatewayId": "igw-0123456789abcdef0"},
        ),
    ),
    "aws:ec2/eip:Eip": (_ec2("AllocateAddress"),),
    "aws:ec2/natGateway:NatGateway": (_ec2("CreateNatGateway", {"privateIp": "PrivateIpAddress"}),),
    "aws:ec2/routeTable:RouteTable": (_ec2("CreateRouteTable"),),
    "aws:ec2/route:Route": (_ec2("CreateRoute", {"egressOnlyGatewayId": "EgressOnlyInternetGatewayId"}),),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": (_ec2("AssociateRouteTable"),),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (
        _ec2("CreateVpcEndpoint", {"policy": "PolicyDocument"}, left_out={"autoAccept": _LATER}),
    ),
    "aws:ec2/securityGroup:SecurityGroup": (
        _ec2(
            "CreateSecurityGroup",
            {"name": "GroupName"},
            left_out={
                "namePrefix": "the provider makes a name of it",
                "revokeRulesOnDelete": "of the deletion",
            },
            given={"GroupName": "made-by-the-provider"},
        ),
    ),
    # The group that every network comes with: the provider takes its rules away.
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": (
        _ec2(
            "DescribeSecurityGroups",
            left_out={
                "vpcId": "a filter",
                "tags": "CreateTags",
                "ingress": "given with no rule, taken away",
                "egress": "given with no rule, taken away",
            },
        ),
        _ec2("CreateTags", {"tags": "Tags"}, takes=frozenset({"tags"}), given={"Resources": ["sg-0123456789abcdef0"]}),
    ),
    "aws:ec2/tag:Tag": (_ec2("CreateTags", {"key": "Tags[].Key", "value": "Tags[].Value", "resourceId": "Resources"}),),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (
        _ec2("AuthorizeSecurityGroupIngress", _RULE, left_out=_RULE_TEXT),
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (
        _ec2("AuthorizeSecurityGroupEgress", _RULE, left_out=_RULE_TEXT),
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": (
        _ec2(
            "CreateLaunchTemplate",
            {
                "name": "/LaunchTemplateName",
                "description": "/VersionDescription",
                "tags": "/TagSpecifications[].Tags",
                "vpcSecurityGroupIds": "SecurityGroupIds",
                "networkInterfaces.securityGroups": "Groups",
                "networkInterfaces.ipv6Addresses": "Ipv6Addresses",
                "ebsOptimized": "EbsOptimized",
            },
            base="LaunchTemplateData",
            left_out={
                "updateDefaultVersion": "of an update",
                "defaultVersion": "of an update",
                "namePrefix": "the provider makes a name of it",
            },
            # Source: EC2 API reference, LaunchTemplateInstanceNetworkInterfaceSpecificationRequest.
            words={"LaunchTemplateData.NetworkInterfaces.InterfaceType": frozenset({"interface", "efa", "efa-only"})},
        ),
    ),
    "aws:ec2/placementGroup:PlacementGroup": (_ec2("CreatePlacementGroup", {"name": "GroupName"}),),
    "aws:ec2/flowLog:FlowLog": (
        _ec2(
            "CreateFlowLogs",
            {"vpcId": "ResourceIds", "subnetId": "ResourceIds", "iamRoleArn": "DeliverLogsPermissionArn"},
            given={"ResourceType": "VPC"},
        ),
    ),
    # IAM and KMS
    "aws:iam/role:Role": (
        _row(
            "iam",
            "CreateRole",
            {"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"},
            left_out={
                "forceDetachPolicies": "of the deletion",
                "namePrefix": "the provider makes a name of it",
            },
            given={"RoleName": "made-by-the-provider"},
        ),
    ),
    "aws:iam/rolePolicy:RolePolicy": (
        _row(
            "iam",
            "PutRolePolicy",
            {"name": "PolicyName", "policy": "PolicyDocument", "role": "RoleName"},
            given={"PolicyName": "made-by-the-provider"},
        ),
    ),
    "aws:iam/policy:Policy": (
        _row(
            "iam",
            "CreatePolicy",
            {"name": "PolicyName", "policy": "PolicyDocument"},
            left_out={"delayAfterPolicyCreationInMs": "of the provider"},
            given={"PolicyName": "made-by-the-provider"},
        ),
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (_row("iam", "AttachRolePolicy", {"role": "RoleName"}),),
    "aws:iam/instanceProfile:InstanceProfile": (
        _row(
            "iam",
            "CreateInstanceProfile",
            {"name": "InstanceProfileName"},
            left_out={"role": "AddRoleToInstanceProfile"},
            given={"InstanceProfileName": "made-by-the-provider"},
        ),
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": (
        _row(
            "iam",
            "CreateOpenIDConnectProvider",
            {"clientIdLists": "ClientIDList", "thumbprintLists": "ThumbprintList"},
        ),
    ),
    "aws:kms/key:Key": (
        _row(
            "kms",
            "CreateKey",
            left_out={
                "deletionWindowInDays": "of the deletion",
                "enableKeyRotation": _LATER,
                "isEnabled": _LATER,
                "rotationPeriodInDays": "EnableKeyRotation",
            },
        ),
        _row(
            "kms",
            "EnableKeyRotation",
            {"rotationPeriodInDays": "RotationPeriodInDays"},
            takes=frozenset({"rotationPeriodInDays"}),
            given={"KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab"},
        ),
        _row(
            "kms",
            "ScheduleKeyDeletion",
            {"deletionWindowInDays": "PendingWindowInDays"},
            takes=frozenset({"deletionWindowInDays"}),
            given={"KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab"},
        ),
    ),
    "aws:kms/alias:Alias": (_row("kms", "CreateAlias", {"name": "AliasName"}),),
    # What else a cluster needs
    "aws:autoscaling/tag:Tag": (
        _row(
            "autoscaling",
            "CreateOrUpdateTags",
            {"autoscalingGroupName": "Tags[].ResourceId", "tag": "Tags[]"},
            given={"Tags[].ResourceType": "auto-scaling-group"},
        ),
    ),
    "aws:cloudwatch/logGroup:LogGroup": (
        _row(
            "logs",
            "CreateLogGroup",
            {"name": "logGroupName"},
            left_out={"retentionInDays": "PutRetentionPolicy", "skipDestroy": "of the deletion"},
        ),
        _row(
            "logs",
            "PutRetentionPolicy",
            {"name": "logGroupName"},
            takes=frozenset({"name", "retentionInDays"}),
            # Source: CloudWatch Logs API reference, PutRetentionPolicy; the model leaves the number open.
            words={
                "retentionInDays": frozenset(
                    {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288}
                    | {3653}
                )
            },
        ),
    ),
    "aws:cloudwatch/eventRule:EventRule": (
        _row("events", "PutRule", left_out={"forceDestroy": "of the deletion", "isEnabled": _LATER}),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": (
        _row(
            "events",
            "PutTargets",
            {"arn": "Targets[].Arn", "roleArn": "Targets[].RoleArn", "targetId": "Targets[].Id"},
            given={"Targets[].Id": "made-by-the-provider"},
            left_out={"forceDestroy": "of the deletion"},
        ),
    ),
    "aws:sqs/queue:Queue": (
        _row(
            "sqs",
            "CreateQueue",
            {"name": "QueueName", **{key: f"Attributes.{name}" for key, name in _QUEUE.items()}},
            given={"QueueName": "made-by-the-provider"},
            texts=True,
        ),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": (_row("sqs", "SetQueueAttributes", {"policy": "Attributes.Policy"}),),
    "aws:efs/fileSystem:FileSystem": (
        _row(
            "efs",
            "CreateFileSystem",
            left_out={"lifecyclePolicies": "PutLifecycleConfiguration", "protection": _LATER},
            given={"CreationToken": "made-by-the-provider"},
        ),
        _row(
            "efs",
            "PutLifecycleConfiguration",
            takes=frozenset({"lifecyclePolicies"}),
            given={"FileSystemId": "fs-0123456789abcdef0"},
        ),
    ),
    "aws:efs/mountTarget:MountTarget": (_row("efs", "CreateMountTarget"),),
    "aws:efs/accessPoint:AccessPoint": (
        _row("efs", "CreateAccessPoint", given={"ClientToken": "made-by-the-provider"}),
    ),
    "aws:efs/backupPolicy:BackupPolicy": (_row("efs", "PutBackupPolicy"),),
    "aws:fsx/lustreFileSystem:LustreFileSystem": (
        _row(
            "fsx",
            "CreateFileSystem",
            {key: f"LustreConfiguration.{key[0].upper()}{key[1:]}" for key in _LUSTRE},
            left_out={"skipFinalBackup": "of the deletion", "finalBackupTags": "of the deletion"},
            given={"FileSystemType": "LUSTRE"},
        ),
    ),
    # Buckets, repositories and a zone
    "aws:s3/bucket:Bucket": (
        _row(
            "s3",
            "CreateBucket",
            {"tags": "CreateBucketConfiguration.Tags"},
            left_out={"forceDestroy": "of the deletion"},
            patterns={"Bucket": r"[a-z0-9][-a-z0-9]{1,61}[a-z0-9]"},
        ),
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": (
        _row(
            "s3",
            "PutPublicAccessBlock",
            {
                key: f"PublicAccessBlockConfiguration.{key[0].upper()}{key[1:]}"
                for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
            },
        ),
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (
        _row(
            "s3",
            "PutBucketOwnershipControls",
            {"rule": "OwnershipControls.Rules[]"},
        ),
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        _row(
            "s3",
            "PutBucketEncryption",
            {
                "rules": "ServerSideEncryptionConfiguration.Rules",
                "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId": "KMSMasterKeyID",
                "rules.applyServerSideEncryptionByDefault.sseAlgorithm": "SSEAlgorithm",
            },
        ),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": (_row("s3", "PutBucketVersioning"),),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (
        _row("s3", "PutBucketLifecycleConfiguration", {"rules": "LifecycleConfiguration.Rules", "rules.id": "ID"}),
    ),
    "aws:s3/bucketPolicy:BucketPolicy": (_row("s3", "PutBucketPolicy"),),
    "aws:ecr/repository:Repository": (
        _row(
            "ecr",
            "CreateRepository",
            {"name": "repositoryName", "encryptionConfigurations": "encryptionConfiguration"},
            single=frozenset({"encryptionConfigurations"}),
            left_out={"forceDelete": "of the deletion"},
        ),
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": (
        _row("ecr", "PutLifecyclePolicy", {"policy": "lifecyclePolicyText", "repository": "repositoryName"}),
    ),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": (_row("ecr", "CreatePullThroughCacheRule"),),
    "aws:route53/zone:Zone": (
        _row(
            "route53",
            "CreateHostedZone",
            {
                "comment": "HostedZoneConfig.Comment",
                "vpcs": "VPC",
                "vpcs.vpcId": "VPCId",
                "vpcs.vpcRegion": "VPCRegion",
            },
            single=frozenset({"vpcs"}),
            left_out={"forceDestroy": "of the deletion", "tags": "ChangeTagsForResource"},
            given={"CallerReference": "made-by-the-provider"},
        ),
    ),
    "aws:route53/zoneAssociation:ZoneAssociation": (
        _row(
            "route53",
            "AssociateVPCWithHostedZone",
            {"zoneId": "HostedZoneId", "vpcId": "VPC.VPCId", "vpcRegion": "VPC.VPCRegion"},
        ),
    ),
    "aws:resourcegroups/group:Group": (_row("resource-groups", "CreateGroup", {"configurations": "Configuration"}),),
}
"""Type of resource -> the calls that it makes; the first is its own, the others are made where their inputs are."""

NO_API: Mapping[str, str] = {}
"""Types of the AWS provider that ask nothing of AWS, each with the reason."""

POLICY_DOCUMENTS: Mapping[str, tuple[str, ...]] = {
    "aws:iam/role:Role": ("assumeRolePolicy",),
    "aws:iam/rolePolicy:RolePolicy": ("policy",),
    "aws:iam/policy:Policy": ("policy",),
    "aws:kms/key:Key": ("policy",),
    "aws:kms/keyPolicy:KeyPolicy": ("policy",),
    "aws:s3/bucketPolicy:BucketPolicy": ("policy",),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("policy",),
    "aws:sqs/queue:Queue": ("policy",),
    "aws:sqs/queuePolicy:QueuePolicy": ("policy",),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": ("policy",),
}
"""Which inputs hold policies as JSON text."""
