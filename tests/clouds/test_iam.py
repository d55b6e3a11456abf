"""Every IAM policy that stacks record, before an independent linter and before rules of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from espalier.blueprint.clouds.eks.policies_managed import MANAGED
from espalier.engine.values import has_unknown
from tests.clouds.aws import POLICY_DOCUMENTS
from tests.clouds.linter import Sort, findings, is_read, statements
from tests.clouds.stacks import ALL, GIVEN, graph_of

AWS_STACKS = [stack for stack in (*ALL, *GIVEN) if stack.startswith("aws") or stack.endswith("eks")]
_IDENTITIES = {
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/policy:Policy",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation",
}


def _sort(type_: str) -> Sort:
    return "identity" if type_ in _IDENTITIES else "trust" if type_ == "aws:iam/role:Role" else "resource"


def policies(stack: str) -> Iterator[tuple[str, Sort, Any]]:
    """Where each stands, its sort, and its text."""
    graph = graph_of(stack, imagined=True)
    for name, resource in graph.of(*POLICY_DOCUMENTS).items():
        inputs = graph.inputs(name)
        for key in POLICY_DOCUMENTS[resource.type]:
            if inputs.get(key) is not None:
                yield f"{name}.{key}", _sort(resource.type), inputs[key]


@pytest.mark.parametrize("stack", AWS_STACKS)
def test_the_linter_has_nothing_against_any_policy(stack: str) -> None:
    found: list[str] = []
    for name, sort, text in policies(stack):
        assert not has_unknown(text), f"{name} cannot be read before it is applied"
        found += [f"{name}: {finding}" for finding in findings(text, sort)]
    assert not found, "\n".join(found)


def wide(statement: dict[str, Any]) -> list[str]:
    """Actions that a statement allows on everything, without a condition, beyond reading."""
    if statement["Effect"] != "Allow" or "*" not in statement.get("Resource", []) or "Condition" in statement:
        return []
    actions = statement.get("Action", ["NotAction"])
    return [action for action in actions if not is_read(action)]


def test_the_linter_sees_what_espalier_writes_for_every_identity() -> None:
    """Each role that a stack file may name is made in some stack here, and each that has a policy of Espalier's has it
    read; the others take AWS's own policies. Both autoscalers and both shared file systems are among them."""
    seen = {name.removeprefix("platform-cluster-") for stack in AWS_STACKS for name, _, _ in policies(stack)}
    roles = ("cluster", "nodes", "network", "volumes", "files", "autoscaler", "lb")
    assert {f"role-{role}.assumeRolePolicy" for role in roles} <= seen
    written = {name.removesuffix(".policy") for name in seen if name.endswith(".policy")}
    assert written == {
        *(f"role-{role}-policy" for role in ("cluster", "nodes", "files", "autoscaler", "lb")),
        "bucket-models-policy",
        *(f"folder-{space}-policy" for space in ("vision", "language-dev", "language-prod")),
        "interruptions-policy",
        "key-disks",
    }


@pytest.mark.parametrize("stack", AWS_STACKS)
def test_no_identity_may_change_everything(stack: str) -> None:
    found: list[str] = []
    for name, sort, text in policies(stack):
        for statement in statements(text):
            assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys(), name
            if sort == "identity":
                assert "*" not in statement["Action"], name
                found += [f"{name}: {action} on *" for action in wide(statement)]
    assert not found, "\n".join(found)


_ATTACHES = {
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("policyArn",),
    "aws:iam/policyAttachment:PolicyAttachment": ("policyArn",),
    "aws:iam/role:Role": ("managedPolicyArns",),
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": ("policyArns",),
}
"""Every way in which a role gets a policy that stands by itself."""
_AWS: dict[str, dict[str, Any]] = {
    f"{policy['Path'].strip('/')}/{name}".lstrip("/"): policy
    for name, policy in json.loads(aws_managed_policies_data).items()
}
"""AWS's own policies by name with path, as AWS answered when moto was made."""
_CHANGES_ALL = {
    "AmazonEC2ContainerRegistryPullOnly": {"ecr"},
    "AmazonEKSClusterPolicy": {"autoscaling", "ec2", "elasticloadbalancing"},
    "AmazonEKSWorkerNodePolicy": {"eks-auth"},
    "AmazonEKS_CNI_Policy": {"ec2"},
    "AmazonSSMManagedInstanceCore": {"ec2messages", "ssm", "ssmmessages"},
}
"""Those by which more than reading is allowed on everything, without a condition, and of which services: AWS's word."""


def attached(stack: str) -> Iterator[tuple[str, str]]:
    """Where each is attached, and the policy's ARN."""
    graph = graph_of(stack, imagined=True)
    for name, resource in graph.of(*_ATTACHES).items():
        for key in _ATTACHES[resource.type]:
            value = graph.inputs(name).get(key) or []
            yield from ((name, arn) for arn in ([value] if isinstance(value, str) else value))


def broad(policy: str) -> list[str]:
    """What makes a policy of AWS's too broad for any role: its name says all, or a pattern of its actions does."""
    named = [policy] if policy.endswith("FullAccess") or "Administrator" in policy or "PowerUser" in policy else []
    patterns = [
        action
        for statement in statements(_AWS[policy]["Document"])
        for action in (
            [statement["Action"]] if isinstance(statement.get("Action"), str) else statement.get("Action", [])
        )
        if statement["Effect"] == "Allow" and "*" in action and not is_read(action)
    ]
    return [*named, *patterns]


@pytest.mark.parametrize("stack", AWS_STACKS)
def test_roles_have_no_policy_of_awss_but_those_on_the_list(stack: str) -> None:
    for name, arn in attached(stack):
        _, found, policy = arn.partition(":iam::aws:policy/")
        assert found, f"{name} attaches {arn}, which nobody lints"
        assert policy in MANAGED, f"{name} attaches {policy}"


def test_the_list_has_what_is_attached_and_says_why() -> None:
    seen = {arn.partition(":iam::aws:policy/")[2] for stack in AWS_STACKS for _, arn in attached(stack)}
    assert seen == set(MANAGED)
    assert all(MANAGED.values())


@pytest.mark.parametrize("policy", MANAGED)
def test_no_policy_of_awss_is_broader_than_the_list_lets(policy: str) -> None:
    document = _AWS[policy]["Document"]
    assert broad(policy) == []
    changed = {action.partition(":")[0] for statement in statements(document) for action in wide(statement)}
    assert changed == _CHANGES_ALL.get(policy, set())
    assert not {"iam", "sts", "kms"} & changed
    found = [one for one in findings(document, "identity") if "RESOURCE_STAR" not in one]
    # A snapshot is made from a volume, which other statements name (parliament judges each by itself).
    assert [one for one in found if "ec2:CreateSnapshot" not in one] == []


@pytest.mark.parametrize(
    "policy", ["AdministratorAccess", "PowerUserAccess", "AmazonEC2FullAccess", "AmazonS3FullAccess", "IAMFullAccess"]
)
def test_broad_policies_are_known_as_such(policy: str) -> None:
    assert broad(policy)


@pytest.mark.parametrize("stack", AWS_STACKS)
def test_roles_are_taken_by_services_and_no_one_else(stack: str) -> None:
    for name, sort, text in policies(stack):
        if sort == "trust":
            for statement in statements(text):
                assert statement["Principal"].keys() <= {"Service", "Federated"}, name
                assert "*" not in str(statement["Principal"]), name


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ({"Action": ["ec2:Descri"], "Resource": "*"}, "UNKNOWN_ACTION"),
        ({"Action": ["ec2:RunInstances"], "Resource": "*"}, "RESOURCE_STAR"),
        ({"Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::bucket"}, "RESOURCE_MISMATCH"),
        (
            {"Action": ["eks:ListClusters"], "Resource": "*", "Condition": {"StringEquals": {"aws:Nothing": "x"}}},
            "UNKNOWN_CONDITION",
        ),
        ({"Action": ["ec2:CreateSecurityGroup"], "Resource": "arn:aws:ec2:*:*:vpc/*"}, "RESOURCE_MISMATCH"),
    ],
)
def test_the_linter_finds_what_is_wrong(statement: dict[str, Any], why: str) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
    assert any(why in finding for finding in findings(document, "identity"))


def test_what_is_wide_is_found() -> None:
    assert wide({"Effect": "Allow", "Action": ["ec2:DescribeImages", "ec2:RunInstances"], "Resource": ["*"]}) == [
        "ec2:RunInstances"
    ]
    assert wide({"Effect": "Allow", "Action": ["ec2:RunInstances"], "Resource": ["arn:aws:ec2:*"]}) == []
