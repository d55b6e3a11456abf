"""What is said of an AWS account: the judging against facts made by hand, the asking against moto."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws

from espalier.blueprint.clouds.eks.parts import parts_of
from espalier.preflight import Finding, NotAsked, NotPossibleError
from espalier.preflight.aws import ask
from espalier.preflight.aws.facts import Denied, Facts, Machine, Quota, Reserved, Running, Subnet
from espalier.preflight.aws.judge import findings
from espalier.preflight.aws.permissions import actions_of
from espalier.preflight.aws.quotas import quota_of
from espalier.settings.eks import Eks
from tests.unit.preflight_needs import group, needs, told

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/platform"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
TAGS = {"espalier.dev/stack": "prod"}
P, P_SPOT, P5_SPOT, STANDARD, G_SPOT = "L-417A185B", "L-7212CCBC", "L-C4BD4855", "L-1216C47A", "L-3819A6DF"
QUOTAS = {
    ("ec2", P): Quota("Running On-Demand P instances", 384.0),
    ("ec2", STANDARD): Quota("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 64.0),
    ("ec2", G_SPOT): Quota("All G and VT Spot Instance Requests", 16.0),
    ("ec2", "L-0263D0A3"): Quota("EC2-VPC Elastic IPs", 5.0),
    ("vpc", "L-F678F1CE"): Quota("VPCs per Region", 5.0),
}
GOOD = Facts(
    account="123456789012",
    caller="arn:aws:iam::123456789012:user/kim",
    now=NOW,
    quotas=QUOTAS,
    running=(),
    addresses=0,
    networks=1,
    offered={"p5.48xlarge": frozenset({"us-east-1a"}), "p5en.48xlarge": frozenset({"us-east-1b"})},
    reservations={},
    denied=(),
    cluster=None,
    taken={},
    vpc="",
    subnets={},
    keys={},
    roles={ROLE: True},
    named={},
    versions={"1.34": "STANDARD_SUPPORT", "1.35": "STANDARD_SUPPORT", "1.32": "EXTENDED_SUPPORT"},
    images={},
)
MADE = (
    ("aws:ec2/eip:Eip", {}),
    ("aws:ec2/vpc:Vpc", {}),
    ("aws:eks/cluster:Cluster", {"name": "prod", "tags": TAGS}),
    ("aws:iam/role:Role", {"name": "prod-nodes", "tags": TAGS}),
    ("aws:cloudwatch/logGroup:LogGroup", {"name": "/aws/eks/prod/cluster", "tags": TAGS}),
)


def cluster(**given: Any) -> Eks:
    block: dict[str, Any] = {
        "kind": "eks",
        "name": "prod",
        "version": "1.35",
        "region": "us-east-1",
        "access": {"via": "network", "admins": [ROLE]},
    }
    return Eks.model_validate_json(json.dumps(block | given))


def judged(facts: Facts = GOOD, *groups: Any, **given: Any) -> list[Finding]:
    return findings(needs(cluster(**given), *(groups or (group(),)), resources=MADE), facts)


def test_a_good_account_is_fine() -> None:
    found = judged()
    assert {each.level for each in found} == {"ok"}
    assert {each.do for each in found} == {""}
    assert "quota L-417A185B Running On-Demand P instances" in told(found, "ok")


RESERVED = Reserved("p5.48xlarge", "us-east-1a", 2, 2, "active", block=True, ends=datetime(2026, 11, 9, tzinfo=UTC))
BLOCK = group(kind="reserved", reservation={"id": "cr-1", "type": "capacity-block"})


@pytest.mark.parametrize(
    ("level", "what", "says", "facts"),
    [
        ("error", "identity", "names account 123456789012", replace(GOOD, account="999999999999")),
        (
            "error",
            "permission eks:CreateCluster",
            "allowed by no policy",
            replace(GOOD, denied=(Denied("eks:CreateCluster", explicit=False, unsure=False),)),
        ),
        (
            "error",
            "permission iam:PassRole",
            "forbidden by a policy",
            replace(GOOD, denied=(Denied("iam:PassRole", explicit=True, unsure=True),)),
        ),
        (
            "warning",
            "permission iam:CreateRole",
            "conditions",
            replace(GOOD, denied=(Denied("iam:CreateRole", explicit=False, unsure=True),)),
        ),
        ("warning", "permissions", "not judged: no", replace(GOOD, denied=NotAsked("no"))),
        ("error", "cluster prod", "there is one already", replace(GOOD, cluster=Running("1.35", {"a": "b"}, {}))),
        ("error", "cluster prod", "runs 1.33", replace(GOOD, cluster=Running("1.33", TAGS, {}))),
        ("error", "cluster prod", "runs 1.36", replace(GOOD, cluster=Running("1.36", TAGS, {}))),
        ("error", "nodes of old", "nodes of 1.31", replace(GOOD, cluster=Running("1.34", TAGS, {"old": "1.31"}))),
        ("error", "Kubernetes 1.35", "EKS has 1.33, 1.34", replace(GOOD, versions={"1.33": "x", "1.34": "x"})),
        ("warning", "Kubernetes 1.35", "extended support", replace(GOOD, versions={"1.35": "EXTENDED_SUPPORT"})),
        ("error", "role prod-nodes", "without the tags", replace(GOOD, taken={"role prod-nodes": {}})),
        (
            "error",
            "log group /aws/eks/prod/cluster",
            "without the tags",
            replace(GOOD, taken={"log group /aws/eks/prod/cluster": {"x": "y"}}),
        ),
        ("error", f"key {KEY}", "PendingDeletion", replace(GOOD, keys={KEY: "PendingDeletion"})),
        ("error", f"key {KEY}", "no such key", replace(GOOD, keys={KEY: ""})),
        ("error", f"role {ROLE}", "no such role", replace(GOOD, roles={ROLE: False})),
        (
            "error",
            "quota L-417A185B Running On-Demand P instances",
            "384 vCPUs at most (gpu-on-demand 2 x 192); quota 96",
            replace(GOOD, quotas={**QUOTAS, ("ec2", P): Quota("Running On-Demand P instances", 96)}),
        ),
        (
            "error",
            "quota L-417A185B Running On-Demand P instances",
            "96 in use elsewhere",
            replace(GOOD, running=(Machine("p4d.24xlarge", spot=False, vcpu=96), Machine("p4d.24xlarge", True, 96))),
        ),
        ("warning", "vCPU quotas", "not judged", replace(GOOD, quotas=NotAsked("AccessDenied"))),
        ("error", "quota L-0263D0A3 EC2-VPC Elastic IPs", "5 there already", replace(GOOD, addresses=5)),
        ("error", "quota L-F678F1CE VPCs per Region", "5 there already", replace(GOOD, networks=5)),
        (
            "error",
            "p5.48xlarge for gpu-on-demand",
            "us-east-1 has none",
            replace(GOOD, offered={"p5en.48xlarge": frozenset("a")}),
        ),
        (
            "error",
            "p5.48xlarge for gpu-on-demand",
            "not in us-east-1a",
            replace(GOOD, offered={"p5.48xlarge": frozenset({"us-east-1f"})}),
        ),
    ],
)
def test_each_lack_is_one_finding_that_says_what_to_do(level: str, what: str, says: str, facts: Facts) -> None:
    found = judged(facts)
    assert {each.what for each in found if each.level != "ok"} == {what}
    finding = told(found, level)[what]
    assert says in finding.got
    assert finding.do


def test_a_machine_that_a_region_lacks_names_what_is_close() -> None:
    there = dict.fromkeys(("p5en.48xlarge", "p5.4xlarge", "m5.large"), frozenset({"us-east-1a"}))
    do = told(judged(replace(GOOD, offered=there)), "error")["p5.48xlarge for gpu-on-demand"].do
    assert do == "Close to it there: p5.4xlarge; or take another region."  # with the same accelerator
    del there["p5.4xlarge"]
    do = told(judged(replace(GOOD, offered=there)), "error")["p5.48xlarge for gpu-on-demand"].do
    assert do == "Close to it there: p5en.48xlarge; or take another region."


def test_some_zones_without_the_machine_are_a_warning() -> None:
    wide = group(zones=("us-east-1a", "us-east-1b"))
    assert told(judged(GOOD, wide), "warning")["p5.48xlarge for gpu-on-demand"].got.startswith("not in us-east-1b")


def test_a_cluster_of_ours_may_go_one_minor_up_and_its_names_are_no_clash() -> None:
    ours = replace(GOOD, cluster=Running("1.34", TAGS, {"a": "1.32"}), taken={"role prod-nodes": TAGS}, addresses=5)
    found = judged(ours)
    assert {each.level for each in found} == {"ok"}
    assert "the control plane goes first" in told(found, "ok")["cluster prod"].got


@pytest.mark.parametrize(
    ("change", "level", "says"),
    [
        ({}, "ok", "capacity block of 2 p5.48xlarge in us-east-1a, 2 free, active, ends 2026-11-09 00:00 UTC"),
        ({"type": "p4d.24xlarge"}, "error", "the pool's machine is p5.48xlarge"),
        ({"zone": "us-east-1b"}, "error", "the pool is in us-east-1a"),
        ({"block": False}, "error", "reservation of 2"),
        ({"state": "expired"}, "error", "expired"),
        ({"ends": NOW}, "error", "ends 2026-11-01"),
        ({"state": "scheduled"}, "warning", "scheduled"),
        ({"total": 1}, "error", "the pool wants 2"),
    ],
)
def test_a_reservation_must_fit_its_pool(change: dict[str, Any], level: str, says: str) -> None:
    found = judged(replace(GOOD, reservations={"cr-1": replace(RESERVED, **change)}), BLOCK)
    assert says in told(found, level)["reservation cr-1 for gpu"].got
    assert not [each for each in found if each.what.startswith("quota L-4")]  # counted when it was reserved


def test_pools_on_one_reservation_are_judged_each_and_their_maxima_together() -> None:
    other = replace(BLOCK, pool="more", group="more-reserved", maximum=1)
    wrong = replace(other, pool="small", machines=("p4d.24xlarge",))
    held = replace(GOOD, reservations={"cr-1": RESERVED})
    found = told(judged(held, BLOCK, other, wrong), "error")
    assert "those on it want 3 together (gpu-on-demand 2 and more-reserved 1)" in found["reservation cr-1 for gpu"].got
    assert "want 3 together" in found["reservation cr-1 for more"].got
    assert "the pool's machine is p4d.24xlarge" in found["reservation cr-1 for small"].got
    fits = judged(replace(GOOD, reservations={"cr-1": replace(RESERVED, total=3)}), BLOCK, other)
    assert {"reservation cr-1 for gpu", "reservation cr-1 for more"} <= told(fits, "ok").keys()


def test_a_reservation_that_is_not_there_is_an_error() -> None:
    assert "reservation cr-1 for gpu" in told(judged(replace(GOOD, reservations={"cr-1": None}), BLOCK), "error")


GIVEN = {"id": "vpc-1", "subnets": ["subnet-a", "subnet-b"]}
SUBNETS = {
    "subnet-a": Subnet("vpc-1", "us-east-1a", 4000, public=False),
    "subnet-b": Subnet("vpc-1", "us-east-1b", 4000, public=False),
}


@pytest.mark.parametrize(
    ("change", "level", "what"),
    [
        ({}, "ok", "addresses of the subnets"),
        ({"subnet-a": None}, "error", "subnet subnet-a"),
        ({"subnet-a": Subnet("vpc-2", "us-east-1a", 4000, public=False)}, "error", "subnet subnet-a"),
        ({"subnet-a": Subnet("vpc-1", "us-east-1a", 4000, public=True)}, "error", "subnet subnet-a"),
        ({"subnet-b": Subnet("vpc-1", "us-east-1a", 4000, public=False)}, "error", "zones of the subnets"),
        ({"subnet-a": Subnet("vpc-1", "us-east-1c", 4000, public=False)}, "error", "zones of gpu-on-demand"),
        (
            {s: Subnet("vpc-1", f"us-east-1{s[-1]}", 50, public=False) for s in SUBNETS},
            "warning",
            "addresses of the subnets",
        ),
        (
            {s: Subnet("vpc-1", f"us-east-1{s[-1]}", 0, public=False) for s in SUBNETS},
            "error",
            "addresses of the subnets",
        ),
    ],
)
def test_a_given_network_must_fit(change: Any, level: str, what: str) -> None:
    facts = replace(GOOD, vpc="available", subnets={**SUBNETS, **change})
    assert what in told(judged(facts, network=GIVEN), level)


def test_addresses_that_its_own_nodes_have_are_a_warning() -> None:
    full = {s: Subnet("vpc-1", f"us-east-1{s[-1]}", 0, public=False) for s in SUBNETS}
    ours = replace(GOOD, vpc="available", subnets=full, cluster=Running("1.35", TAGS, {}))
    found = told(judged(ours, network=GIVEN), "warning")["addresses of the subnets"]
    assert "this stack is up, and its own nodes are in both numbers" in found.got
    theirs = replace(ours, cluster=Running("1.35", {}, {}))
    assert "addresses of the subnets" in told(judged(theirs, network=GIVEN), "error")


def test_p5_on_spot_counts_against_its_own_quota_where_there_is_one() -> None:
    assert quota_of("p5.48xlarge", "spot", {P_SPOT, P5_SPOT}) == P5_SPOT
    assert quota_of("p5.48xlarge", "spot", {P_SPOT}) == P_SPOT
    assert quota_of("p4d.24xlarge", "spot", {P_SPOT, P5_SPOT}) == P_SPOT
    assert [quota_of(m, "on-demand", ()) for m in ("p5.48xlarge", "m7i.large", "is4gen.large")] == [
        P,
        STANDARD,
        STANDARD,
    ]
    assert quota_of("quantum.large", "spot", ()) is None


HELD = "arn:aws:resource-groups:us-east-1:123456789012:group/held"
OF_GROUP = group(kind="reserved", reservation={"id": HELD, "type": "group"})
ONE = Reserved("p5.48xlarge", "us-east-1a", 1, 1, "active", block=False)


@pytest.mark.parametrize(
    ("members", "level", "says"),
    [
        ((ONE, ONE), "ok", "1 p5.48xlarge in us-east-1a, active"),
        ((ONE,), "error", "the pool wants 2"),
        ((ONE, replace(ONE, zone="us-east-1b")), "error", "the pool wants 2"),
        ((replace(ONE, type="p4d.24xlarge"),), "error", "the pool's are p5.48xlarge in us-east-1a"),
        ((ONE, replace(ONE, state="expired")), "error", "expired"),
        ((), "error", "no reservation in it"),
        (None, "error", "there is no such resource group"),
        (NotAsked("AccessDenied"), "warning", "not judged: AccessDenied"),
    ],
)
def test_reservations_of_a_group_count_together(members: Any, level: str, says: str) -> None:
    found = told(judged(replace(GOOD, groups={HELD: members}), OF_GROUP), level)
    assert says in found[f"reservations {HELD} for gpu"].got


def test_members_of_a_group_are_asked_for(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"ResourceArn": f"arn:aws:ec2:us-east-1:123456789012:capacity-reservation/{name}"} for name in ("cr-1", "x")
    ]
    monkeypatch.setitem(ANSWERS, "ListGroupResources", {"ResourceIdentifiers": rows})
    monkeypatch.setitem(ANSWERS, "GetGroup", {})
    found = ask.facts_of(needs(cluster(), OF_GROUP, resources=MADE), lambda _: None)
    assert found.groups == {HELD: (replace(RESERVED, available=1),)}
    assert found.reservations == {}


# The asking ---------------------------------------------------------------------------------------------------------

READING = ("Describe", "List", "Get", "Simulate")
ANSWERS: Mapping[str, Any] = {
    "ListServiceQuotas": {"Quotas": [{"QuotaCode": P, "QuotaName": "Running On-Demand P instances", "Value": 96.0}]},
    "DescribeCapacityReservations": {
        "CapacityReservations": [
            {
                "InstanceType": "p5.48xlarge",
                "AvailabilityZone": "us-east-1a",
                "TotalInstanceCount": 2,
                "AvailableInstanceCount": 1,
                "State": "active",
                "ReservationType": "capacity-block",
                "EndDate": datetime(2026, 11, 9, tzinfo=UTC),
            }
        ]
    },
    "DescribeClusterVersions": {
        "clusterVersions": [
            {"clusterVersion": "1.35", "versionStatus": "STANDARD_SUPPORT"},
            {"clusterVersion": "1.28", "versionStatus": "UNSUPPORTED"},
        ]
    },
    "SimulatePrincipalPolicy": {
        "EvaluationResults": [
            {"EvalActionName": "eks:CreateCluster", "EvalDecision": "implicitDeny"},
            {"EvalActionName": "iam:PassRole", "EvalDecision": "explicitDeny"},
            {"EvalActionName": "kms:CreateKey", "EvalDecision": "allowed"},
        ],
        "IsTruncated": False,
    },
}
"""What moto does not play."""

Calls = list[tuple[str, Any]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """AWS in memory; every operation that is asked of it."""
    for key, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    made: Calls = []
    real = BaseClient._make_api_call

    def call(self: Any, operation: str, arguments: Any) -> Any:
        made.append((operation, arguments))
        return ANSWERS[operation] if operation in ANSWERS else real(self, operation, arguments)

    with mock_aws(), patch.object(BaseClient, "_make_api_call", call):
        yield made


def world() -> dict[str, str]:
    """A network with a private and a public subnet, a cluster of the name, a role, a key and a log group."""
    ec2, iam = boto3.client("ec2"), boto3.client("iam")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[1])
    for name, tags in (("platform", []), ("prod-nodes", [{"Key": "espalier.dev/stack", "Value": "prod"}])):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}", Tags=tags)
    boto3.client("logs").create_log_group(logGroupName="/aws/eks/prod/cluster")
    key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    eks = boto3.client("eks")
    eks.create_cluster(
        name="prod", version="1.34", roleArn=ROLE, resourcesVpcConfig={"subnetIds": subnets}, tags={"other": "yes"}
    )
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image, InstanceType="p3.8xlarge", MinCount=1, MaxCount=1)
    return {"vpc": vpc, "private": subnets[0], "public": subnets[1], "key": key}


def test_what_is_asked_of_aws_only_reads_and_becomes_facts(calls: Calls) -> None:
    made = world()
    del calls[:]
    network = {"id": made["vpc"], "subnets": [made["private"], made["public"], "subnet-0123456789abcdef0"]}
    settings = cluster(network=network, keys={"secrets": made["key"]})
    wanted = needs(settings, BLOCK, resources=MADE)
    facts = ask.facts_of(wanted, lambda _: None)

    writes = [operation for operation, _ in calls if not operation.startswith(READING)]
    assert writes == []
    assert facts.account == "123456789012"
    assert facts.quotas == {(s, P): Quota("Running On-Demand P instances", 96.0) for s in ("ec2", "vpc")}
    assert isinstance(facts.running, tuple)
    assert [each.type for each in facts.running] == ["p3.8xlarge"]
    assert not isinstance(facts.offered, NotAsked)
    assert facts.offered["m5.large"] >= {"us-east-1a"}
    assert facts.reservations == {"cr-1": replace(RESERVED, available=1)}
    assert facts.denied == (
        Denied("eks:CreateCluster", explicit=False, unsure=False),
        Denied("iam:PassRole", explicit=True, unsure=False),
    )
    assert facts.cluster == Running("1.34", {"other": "yes"}, {})
    assert facts.taken == {"role prod-nodes": TAGS, "log group /aws/eks/prod/cluster": {}}
    assert facts.vpc == "available, 10.0.0.0/16"
    assert isinstance(facts.subnets, dict)
    assert [each.public if each else None for each in facts.subnets.values()] == [False, True, None]
    assert facts.keys == {made["key"]: "Enabled"}
    assert facts.roles == {ROLE: True}
    assert facts.versions == {"1.35": "STANDARD_SUPPORT"}
    assert {"cluster prod", "log group /aws/eks/prod/cluster"} <= told(findings(wanted, facts), "error").keys()


PARTS: dict[str, Any] = {
    "account-id": "123456789012",
    "buckets": [{"name": "models"}, {"name": "raw", "id": "raw-data"}, {"name": "gone", "id": "gone-data"}],
    "registries": [{"name": "images"}, {"name": "own", "id": "arn:aws:ecr:eu-west-1:123456789012:repository/own"}],
    "tags": {"team": "ml"},
}


BOUNDARY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
BUCKET = parts_of(cluster(**PARTS)).buckets[0].name


def looked_up(**given: Any) -> list[Finding]:
    settings = cluster(**(PARTS | given))
    wanted = needs(settings, group(), resources=MADE, parts=parts_of(settings))
    return findings(wanted, replace(GOOD, parts=ask.facts_of(wanted, lambda _: None).parts))


def test_a_boundary_and_a_file_system_that_are_named_must_be_there(calls: Calls) -> None:
    def named(policy: str, system: str) -> list[Finding]:
        settings = cluster(roles={"boundary": policy}, storage={"type": "efs", "id": system})
        wanted = needs(settings, group(), resources=MADE)
        return findings(wanted, replace(GOOD, named=ask.facts_of(wanted, lambda _: None).named))

    policy = boto3.client("iam").create_policy(PolicyName="boundary", PolicyDocument=BOUNDARY)["Policy"]["Arn"]
    system = boto3.client("efs").create_file_system(CreationToken="one")["FileSystemId"]
    good = told(named(policy, system), "ok")
    assert good[f"policy {policy}"].got == good[f"file system {system}"].got == "is there"
    gone, none = policy.replace("boundary", "gone"), "fs-0123456789abcdef0"
    bad = told(named(gone, none), "error")
    assert bad[f"policy {gone}"].got == bad[f"file system {none}"].got == "there is none in this account and region"


def test_buckets_and_repositories_are_looked_up(calls: Calls) -> None:
    s3, made = boto3.client("s3"), parts_of(cluster(**PARTS)).buckets[0].name
    s3.create_bucket(Bucket="raw-data")
    boto3.client("ecr", region_name="eu-west-1").create_repository(repositoryName="own")
    del calls[:]
    found = looked_up()
    assert [operation for operation, _ in calls if not operation.startswith((*READING, "Head"))] == []
    good, bad = told(found, "ok"), told(found, "error")
    assert good[f"bucket {made}"].got == "the name is free"
    assert good["bucket raw-data"].got == "in us-east-1"
    assert good["repository 123456789012.dkr.ecr.us-east-1.amazonaws.com/prod/images"].got == "the name is free"
    assert good["repository 123456789012.dkr.ecr.eu-west-1.amazonaws.com/own"].got == "tags mutable"
    assert bad["bucket gone-data"].do.startswith("Correct its id under espalier:cluster.buckets")
    s3.create_bucket(Bucket=made)
    assert "without the tags" in told(looked_up(), "error")[f"bucket {made}"].got
    tags = [{"Key": "team", "Value": "ml"}, {"Key": "more", "Value": "x"}]
    s3.put_bucket_tagging(Bucket=made, Tagging={"TagSet": tags})
    assert "with this stack's tags" in told(looked_up(), "ok")[f"bucket {made}"].got


def test_a_bucket_that_may_not_be_read_is_somebodys(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = BaseClient._make_api_call

    def refuse(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "HeadBucket":
            raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, operation)
        return answer(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    doubts = told(looked_up(), "warning")
    assert "this stack's own, or somebody else's" in doubts[f"bucket {BUCKET}"].got
    assert doubts["bucket raw-data"].got == "there, but the caller may not read of it"


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ("GetBucketTagging", "bucket {bucket}"),
        ("DescribeRepositories", "repository {images}"),
        ("ListTagsForResource", "repository {images}"),
        ("ListHostedZonesByVPC", "zone ml.example.com"),
    ],
)
def test_what_may_not_be_read_is_not_judged(
    operation: str, what: str, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = "123456789012.dkr.ecr.us-east-1.amazonaws.com/prod/images"
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    boto3.client("ecr").create_repository(repositoryName="prod/images")
    answer = BaseClient._make_api_call

    def refuse(self: Any, asked: str, arguments: Any) -> Any:
        if asked == operation:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, asked)
        return answer(self, asked, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    network = {"id": "vpc-0123456789abcdef0", "subnets": []}
    found = looked_up(dns={"zone": "ml.example.com"}, network=network)
    refused = told(found, "warning")[what.format(bucket=BUCKET, images=images)]
    assert refused.got == f"not judged: {operation}: AccessDenied"


def test_hosted_zones_are_looked_up(calls: Calls) -> None:
    vpc = boto3.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    route53 = boto3.client("route53")
    seen = {"VPCRegion": "us-east-1", "VPCId": vpc}
    private = {"PrivateZone": True, "Comment": ""}
    own = route53.create_hosted_zone(Name="ml.example.com", VPC=seen, CallerReference="1", HostedZoneConfig=private)
    public = route53.create_hosted_zone(Name="ml.example.com", CallerReference="2")
    one, two = (each["HostedZone"]["Id"].rpartition("/")[2] for each in (own, public))
    network = {"id": vpc, "subnets": ["subnet-0123456789abcdef0"]}

    def zone(id_: str, **keys: Any) -> Finding:
        dns = {"zone": "ml.example.com", "id": id_}
        (found,) = [each for each in looked_up(**{"dns": dns, **keys}) if each.what == f"zone {id_}"]
        return found

    assert zone(one).level == "ok"
    assert zone(one, network=network).level == "ok"
    assert zone(two).got == "a public zone"
    assert zone("Z0000000000000").got == "there is none"
    other = {"zone": "other.example.com", "id": one}
    assert zone(one, dns=other).got == "the zone of ml.example.com, not of other.example.com"
    elsewhere = {"id": "vpc-0123456789abcdef0", "subnets": []}
    assert zone(one, network=elsewhere).got == "vpc-0123456789abcdef0 is not associated with it"
    mine = looked_up(dns={"zone": "ml.example.com"}, network=network)
    assert "without the tags" in told(mine, "error")["zone ml.example.com"].got


def test_a_refused_question_is_not_judged_and_the_others_are(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
    answer = BaseClient._make_api_call

    def refuse(self: Any, operation: str, arguments: Any) -> Any:
        if operation in ("ListServiceQuotas", "SimulatePrincipalPolicy", "DescribeCluster"):
            raise ClientError(refused, operation)
        return answer(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    facts = ask.facts_of(needs(cluster(), group(), resources=MADE), lambda _: None)
    assert facts.quotas == NotAsked("ListServiceQuotas: AccessDeniedException")
    assert facts.denied == NotAsked("SimulatePrincipalPolicy: AccessDeniedException")
    assert facts.cluster == NotAsked("DescribeCluster: AccessDeniedException")
    assert facts.roles == {ROLE: False}
    doubts = told(findings(needs(cluster(), group(), resources=MADE), facts), "warning")
    assert {"permissions", "vCPU quotas", "cluster prod"} <= doubts.keys()


def test_without_credentials_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(NotPossibleError, match="no credentials for AWS") as caught:
        ask.facts_of(needs(cluster(), group()), lambda _: None)
    assert "aws sso login" in caught.value.do


def test_actions_are_those_of_the_resources() -> None:
    assert actions_of(["aws:kms/alias:Alias", "aws:ec2/vpc:Vpc"]) == [
        "ec2:CreateTags",
        "ec2:CreateVpc",
        "ec2:DeleteVpc",
        "kms:CreateAlias",
        "kms:DeleteAlias",
    ]
    found = told(findings(needs(cluster(), resources=(*MADE, ("aws:new/thing:Thing", {}))), GOOD), "warning")
    assert "aws:new/thing:Thing" in found["permissions"].got
