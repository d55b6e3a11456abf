"""What the AWS load balancer controller may do: load balancers and security groups with this cluster's tag, no others.

Actions: kubernetes-sigs/aws-load-balancer-controller, docs/install/iam_policy.json; the controller tags all that it
makes with elbv2.k8s.aws/cluster, and here that tag's value is asked for, too. Its Cognito, WAF, Shield and ACM import
are left out: an add-on that needs them has to ask.
"""

from __future__ import annotations

from espalier.blueprint.clouds.eks.policies import Document, Where, allow, document

_TAG = "elbv2.k8s.aws/cluster"
_READS = (
    "acm:DescribeCertificate",
    "acm:ListCertificates",
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeCoipPools",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeIpamPools",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVpcPeeringConnections",
    "ec2:DescribeVpcs",
    "ec2:GetSecurityGroupsForVpc",
    "elasticloadbalancing:DescribeCapacityReservation",
    "elasticloadbalancing:DescribeListenerAttributes",
    "elasticloadbalancing:DescribeListenerCertificates",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeSSLPolicies",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:DescribeTrustStores",
)
_MAKES = ("CreateListener", "CreateLoadBalancer", "CreateRule", "CreateTargetGroup")
_CHANGES = (
    "AddListenerCertificates",
    "DeleteListener",
    "DeleteLoadBalancer",
    "DeleteRule",
    "DeleteTargetGroup",
    "DeregisterTargets",
    "ModifyCapacityReservation",
    "ModifyIpPools",
    "ModifyListener",
    "ModifyListenerAttributes",
    "ModifyLoadBalancerAttributes",
    "ModifyRule",
    "ModifyTargetGroup",
    "ModifyTargetGroupAttributes",
    "RegisterTargets",
    "RemoveListenerCertificates",
    "RemoveTags",
    "SetIpAddressType",
    "SetRulePriorities",
    "SetSecurityGroups",
    "SetSubnets",
)


def controller(where: Where) -> Document:
    """The controller's policy."""
    kinds = ("listener", "listener-rule", "loadbalancer", "targetgroup")
    balancers = [where.arn("elasticloadbalancing", f"{kind}/*") for kind in kinds]
    groups = where.arn("ec2", "security-group/*")
    asked = {"StringEquals": {f"aws:RequestTag/{_TAG}": where.cluster}}
    owned = {"StringEquals": {f"aws:ResourceTag/{_TAG}": where.cluster}}
    node_groups = {"StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{where.cluster}": "owned"}}
    new = [f"elasticloadbalancing:{name}" for name in _MAKES]
    tag_new = {"StringEquals": {"elasticloadbalancing:CreateAction": list(_MAKES)}}
    tag_group = {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup", f"aws:RequestTag/{_TAG}": where.cluster}}
    ingress = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    linked = where.arn("iam", "role/aws-service-role/elasticloadbalancing.amazonaws.com/*", global_=True)
    service = {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}}
    return document(
        [
            allow("Read", _READS, "*"),
            allow("LinkService", ["iam:CreateServiceLinkedRole"], linked, service),
            allow("MakeBalancers", new, balancers, asked),
            allow("TagNewBalancers", ["elasticloadbalancing:AddTags"], balancers, tag_new),
            allow("TagBalancers", ["elasticloadbalancing:AddTags"], balancers, owned),
            allow("ChangeBalancers", [f"elasticloadbalancing:{name}" for name in _CHANGES], balancers, owned),
            allow("MakeGroupIn", ["ec2:CreateSecurityGroup"], where.arn("ec2", "vpc/*")),
            allow("MakeGroup", ["ec2:CreateSecurityGroup"], groups, asked),
            allow("TagNewGroup", ["ec2:CreateTags"], groups, tag_group),
            allow(
                "ChangeGroup", [*ingress, "ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DeleteTags"], groups, owned
            ),
            allow("ReachNodes", ingress, groups, node_groups),
        ]
    )
