"""Every IAM policy that stacks record, before an independent linter and before rules of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

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
