"""EKS clusters, compiled: networks, identities, add-ons, storage; and what is said of clusters that cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.iam.aws_managed_policies import aws_managed_policies_data

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.blueprint.build import facts_of
from espalier.blueprint.clouds.eks import EksNodeGroup, EksPlan
from espalier.blueprint.clouds.eks.addons import VERSIONS, version_of
from espalier.blueprint.clouds.eks.network import GivenNetwork, MadeNetwork
from espalier.blueprint.clouds.eks.plan import ControlPlane, GivenControlPlane
from espalier.blueprint.clouds.eks.policies import Document, Statement
from espalier.blueprint.clouds.eks.zones import regions, zones
from espalier.preflight.aws.settings import image_parameter
from espalier.settings import validate
from espalier.types import Mistakes
from tests.unit.eks_stacks import a_cluster
from tests.unit.preflight_needs import needs

ROLE = "arn:aws:iam::123456789012:role/platform"
BLOCK: dict[str, Any] = {
    "kind": "eks",
    "name": "demo",
    "version": "1.35",
    "region": "us-east-1",
    "access": {"via": "network", "admins": [ROLE]},
}
SYSTEM = {"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"min": 2, "max": 6}}
KEY = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
SUBNETS = ["subnet-0a1b2c3d4e5f60718", "subnet-0a1b2c3d4e5f60719"]
NETWORK = {"id": "vpc-0a1b2c3d4e5f60718", "subnets": SUBNETS}
ZONES = ["us-east-1a", "us-east-1b"]
GIVEN = {
    "given": {
        "endpoint": "https://ABC.gr7.us-east-1.eks.amazonaws.com",
        "certificate": "QUJD",
        "security-group": "sg-0a1b2c3d4e5f60718",
    },
    "roles": {"nodes": ROLE},
    "network": NETWORK,
    "zones": ZONES,
    "access": {"via": "network"},
}
REACHED = {"access": {**BLOCK["access"], "cidrs": ["10.8.0.0/16"]}}
WRONG = yaml.safe_load((Path(__file__).parent / "eks_wrong_clusters.yaml").read_text("utf-8"))


def planned(cluster: dict[str, Any], pools: list[Any] | None = None) -> EksPlan:
    """The plan of the block with `cluster` laid over it. Raises Mistakes."""
    block = {key: value for key, value in {**BLOCK, **cluster}.items() if value is not None}
    settings = validate({"cluster": block, "pools": pools or [SYSTEM]}, where="espalier")
    found = build(settings, RECORDS).cloud
    assert isinstance(found, EksPlan)
    return found


def made_network(plan: EksPlan) -> MadeNetwork:
    assert isinstance(plan.network, MadeNetwork)
    return plan.network


def control_plane(plan: EksPlan) -> ControlPlane:
    assert isinstance(plan.control, ControlPlane)
    return plan.control


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong["case"] for wrong in WRONG])
def test_a_wrong_cluster_says_what_is_accepted_and_what_to_do(wrong: dict[str, Any]) -> None:
    with pytest.raises(Mistakes) as raised:
        planned(wrong["cluster"], wrong.get("pools"))
    assert [mistake.text() for mistake in raised.value.mistakes] == wrong["says"]


# Network -----------------------------------------------------------------------------------------------------------


def test_the_zones_are_those_of_the_regions_that_eks_is_in() -> None:
    session = botocore.session.get_session()
    there = {region for name in ("aws", "aws-us-gov") for region in session.get_available_regions("eks", name)}
    assert set(regions()) == there
    recorded = {region: {zone.name for zone in found} for region, found in RegionsAndZonesBackend.zones.items()}
    assert {region: set(zones(region) or ()) for region in regions() if region != "us-west-1"} == {
        region: recorded[region] for region in regions() if region != "us-west-1"
    }
    assert recorded["us-west-1"] < set(zones("us-west-1") or ())  # of three, an account sees two


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    region = draw(st.sampled_from(["us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1"]))
    named = draw(st.lists(st.sampled_from(zones(region) or ()), min_size=2, max_size=6, unique=True))
    prefix = draw(st.integers(16, 21))
    base = draw(st.sampled_from([IPv4Network("10.0.0.0/8"), IPv4Network("192.168.0.0/16")]))
    place = draw(st.integers(0, 2 ** (prefix - base.prefixlen) - 1))
    cidr = IPv4Network((int(base.network_address) + place * 2 ** (32 - prefix), prefix))
    pods = draw(st.sampled_from([None, "100.64.0.0/16", "100.127.8.0/21"]))
    return {"region": region, "zones": named, "network": {"cidr": str(cidr), **({"pods": pods} if pods else {})}}


@given(networks())
def test_subnets_are_within_their_range_and_never_overlap(block: dict[str, Any]) -> None:
    network = made_network(planned(block))
    within = {"private": network.cidr, "public": network.cidr, "pods": network.pods_cidr}
    found: list[IPv4Network] = []
    for kind, range_ in within.items():
        subnets = getattr(network, kind)
        assert [subnet.zone for subnet in subnets] == (block["zones"] if range_ else [])
        for subnet in subnets:
            found.append(IPv4Network(subnet.cidr))
            assert found[-1].subnet_of(IPv4Network(range_))
            assert 16 <= found[-1].prefixlen <= 28  # what AWS takes
    assert not any(one.overlaps(other) for one, other in combinations(found, 2))
    services = IPv4Network(control_plane(planned(block)).services)
    assert not any(services.overlaps(IPv4Network(range_)) for range_ in network.inside)


@given(networks(), st.data())
def test_another_zone_moves_no_subnet(block: dict[str, Any], data: st.DataObject) -> None:
    fewer = data.draw(st.lists(st.sampled_from(block["zones"]), min_size=2, unique=True))
    whole, part = made_network(planned(block)), made_network(planned({**block, "zones": fewer}))
    for kind in ("private", "public", "pods"):
        known = {subnet.zone: subnet.cidr for subnet in getattr(whole, kind)}
        assert all(known[subnet.zone] == subnet.cidr for subnet in getattr(part, kind))


def test_services_have_a_range_that_the_network_does_not() -> None:
    assert control_plane(planned({})).services == "172.20.0.0/16"
    assert control_plane(planned({"network": {"cidr": "172.20.0.0/16"}})).services == "10.100.0.0/16"
    assert control_plane(planned({"network": {"services": "192.168.0.0/20"}})).services == "192.168.0.0/20"


def test_nodes_leave_by_one_gateway_by_their_zones_or_by_none() -> None:
    one, each, none = (made_network(planned({"network": {"egress": way}})) for way in ("nat", "nat-per-zone", "none"))
    assert one.nat_of == {"us-east-1a": "us-east-1a", "us-east-1b": "us-east-1a", "us-east-1c": "us-east-1a"}
    assert each.nat_of == {zone: zone for zone in ("us-east-1a", "us-east-1b", "us-east-1c")}
    assert (none.nat_zones, none.nat_of, none.public) == ((), {}, ())
    assert one.endpoints == each.endpoints == {}
    assert one.gateway_endpoints == none.gateway_endpoints == {"s3": "com.amazonaws.us-east-1.s3"}
    needed = {
        "ec2",
        "ecr.api",
        "ecr.dkr",
        "eks",
        "eks-auth",
        "sts",
        "logs",
        "ssm",
        "autoscaling",
        "elasticloadbalancing",
    }
    assert needed <= none.endpoints.keys()
    assert none.endpoints["ecr.api"] == "com.amazonaws.us-east-1.ecr.api"


@pytest.mark.parametrize(
    ("further", "endpoint"),
    [
        ({"storage": {"type": "efs"}}, "elasticfilesystem"),
        ({"storage": {"type": "fsx-lustre"}}, "fsx"),
        ({"autoscaler": "karpenter"}, "sqs"),
    ],
)
def test_a_network_without_a_way_out_has_the_endpoint_of_each_option(further: dict[str, Any], endpoint: str) -> None:
    alone = {"network": {"egress": "none"}}
    assert endpoint not in made_network(planned(alone)).endpoints
    assert endpoint in made_network(planned({**alone, **further})).endpoints


def test_load_balancers_and_karpenter_find_their_subnets() -> None:
    network = made_network(planned({"autoscaler": "karpenter"}))
    assert network.private[0].tags == {"kubernetes.io/role/internal-elb": "1", "karpenter.sh/discovery": "demo"}
    assert network.public[0].tags == {"kubernetes.io/role/elb": "1"}
    assert control_plane(planned({"autoscaler": "karpenter"})).group_tags == {"karpenter.sh/discovery": "demo"}


def test_a_given_network_has_a_subnet_for_each_zone() -> None:
    reached = {**BLOCK["access"], "cidrs": ["10.8.0.0/16"]}
    plan = planned({"network": NETWORK, "zones": ZONES, "access": reached, "pod-subnets": SUBNETS[::-1]})
    subnets = dict(zip(ZONES, SUBNETS, strict=True))
    pods = dict(zip(ZONES, SUBNETS[::-1], strict=True))
    assert plan.network == GivenNetwork(id=NETWORK["id"], subnets=subnets, pods=pods)  # pyright: ignore[reportArgumentType]
    assert control_plane(plan).reached_from == {"cidr-10.8.0.0-16": "10.8.0.0/16"}


# Control plane -----------------------------------------------------------------------------------------------------


def test_the_api_is_private_unless_public_is_asked_for() -> None:
    private = control_plane(planned({}))
    assert (private.public, private.public_cidrs, private.reached_from) == (False, (), {"network": "10.64.0.0/16"})
    access = {"via": "public", "cidrs": ["52.10.0.0/24"], "admins": [ROLE]}
    public = control_plane(planned({"access": access}))
    assert (public.public, public.public_cidrs, public.reached_from) == (True, ("52.10.0.0/24",), {})


def test_everything_is_logged_kept_and_protected_by_default() -> None:
    plan = planned({})
    control = control_plane(plan)
    assert set(control.logs) == {"api", "audit", "authenticator", "controllerManager", "scheduler"}
    assert (control.retention_days, control.deletion_protection, plan.protect) == (90, True, True)
    assert not planned({"deletion-protection": False}).protect


def test_people_are_let_in_once_as_administrators_or_by_their_groups() -> None:
    reader, both = "arn:aws:iam::123456789012:role/team/reader", "arn:aws:iam::123456789012:user/ann"
    access = {"via": "network", "admins": [ROLE, both]}
    entries = planned({"access": access, "groups": {"b": [reader, both], "a": [reader]}}).entries
    admin = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    assert {entry.principal: (entry.groups, entry.policy) for entry in entries} == {
        ROLE: ((), admin),
        reader: (("a", "b"), None),
        both: (("b",), admin),
    }
    assert len({entry.key for entry in entries}) == len(entries) == 3


def test_a_given_cluster_is_given_nothing_but_pools() -> None:
    plan = planned(GIVEN)
    assert isinstance(plan.control, GivenControlPlane)
    assert (plan.entries, plan.addons, plan.classes, plan.file_system) == ((), (), (), None)
    assert {role.key: role.arn for role in plan.roles} == {"nodes": ROLE, "autoscaler": None}
    assert [group.pool for group in plan.groups] == ["system"]


# Keys and identities -----------------------------------------------------------------------------------------------


def test_keys_are_made_given_or_the_accounts_own() -> None:
    unknown = planned({})
    assert control_plane(unknown).secrets_key.alias == "alias/demo-secrets"
    assert unknown.disk_key is None
    assert any("aws/ebs" in note for note in unknown.notes)
    known = planned({"account-id": "123456789012"})
    assert known.disk_key
    assert known.disk_key.policy
    assert known.classes[0].parameters["kmsKeyId"] == "arn:aws:kms:us-east-1:123456789012:alias/demo-disks"
    given_ = planned({"keys": {"disks": KEY, "secrets": KEY}})
    assert given_.disk_key
    assert (given_.disk_key.arn, given_.disk_key.policy, control_plane(given_).secrets_key.arn) == (KEY, None, KEY)
    assert given_.classes[0].parameters["kmsKeyId"] == KEY


def test_roles_are_made_or_given_and_bounded() -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    plan = planned({"roles": {"cluster": ROLE, "boundary": boundary, "path": "/team/"}})
    roles = {role.key: role for role in plan.roles}
    assert set(roles) == {"cluster", "nodes", "network", "volumes", "autoscaler", "lb"}
    assert roles["cluster"].arn == ROLE
    for key in roles.keys() - {"cluster"}:
        assert (roles[key].arn, roles[key].boundary, roles[key].path) == (None, boundary, "/team/")


def test_role_names_fit_iam_at_their_longest() -> None:
    plan = planned(
        {"name": "a" * 40, "region": "ap-southeast-1", "storage": {"type": "efs"}},
    )
    assert max(len(role.name) for role in plan.roles) <= 64
    assert len({role.name for role in plan.roles}) == len(plan.roles)


def test_aws_own_policies_exist() -> None:
    known = {
        f"arn:aws:iam::aws:policy{policy['Path']}{name}"
        for name, policy in json.loads(aws_managed_policies_data).items()
    }
    named = {arn for plan in everything() for role in plan.roles for arn in role.managed}
    assert named <= known


def test_the_control_plane_makes_load_balancers_only_where_no_controller_does() -> None:
    def of_cluster(plan: EksPlan) -> tuple[tuple[str, ...], set[str]]:
        (role,) = [role for role in plan.roles if role.key == "cluster"]
        assert role.policy is not None
        return role.managed, {action for one in role.policy["Statement"] for action in one["Action"]}

    managed, actions = of_cluster(planned({}))
    assert managed == ()
    assert {action for action in actions if not is_read(action)} == {"ec2:CreateTags", "kms:Decrypt", "kms:Encrypt"}
    managed, actions = of_cluster(planned({"load-balancer": False}))
    assert managed == ("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",)
    assert "ec2:CreateTags" not in actions


def test_each_service_account_takes_a_role_that_trusts_it_alone() -> None:
    for plan in everything():
        taken = {addon.role: addon.service_account for addon in plan.addons if addon.role}
        taken |= {identity.role: identity.service_account for identity in plan.identities}
        roles = {role.key: role for role in plan.roles}
        assert taken.keys() == roles.keys() - {"cluster", "nodes"}
        for key, account in taken.items():
            (statement,) = roles[key].trust["Statement"]
            assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
            assert statement["Condition"]["StringEquals"] == {
                "aws:RequestTag/kubernetes-namespace": "kube-system",
                "aws:RequestTag/kubernetes-service-account": account,
            }
            assert statement["Condition"]["StringLike"]["aws:RequestTag/eks-cluster-arn"].endswith(":cluster/demo")


def everything() -> Iterator[EksPlan]:
    """Plans that have every identity at least once."""
    yield planned({"storage": {"type": "efs"}, "keys": {"disks": KEY}})
    yield planned({"autoscaler": "karpenter", "storage": {"type": "fsx-lustre"}, "account-id": "123456789012"})


def documents() -> Iterator[tuple[str, Document]]:
    for plan in everything():
        yield from ((f"{plan.network}/{role.key}", role.policy) for role in plan.roles if role.policy)


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def is_read(action: str) -> bool:
    return action.split(":")[1].startswith(("Describe", "Get", "List"))


def statements() -> list[Statement]:
    return [statement for _, policy in documents() for statement in policy["Statement"]]


def test_only_reads_are_of_everything_and_no_action_is_a_pattern() -> None:
    assert len(statements()) > 30
    for statement in statements():
        actions = listed(statement["Action"])
        assert not any("*" in action for action in actions), statement["Sid"]
        if "*" in listed(statement["Resource"]):
            assert all(is_read(action) for action in actions), statement["Sid"]


def test_a_change_is_bounded_by_the_cluster_by_name_or_by_tag() -> None:
    """Launching from shared images, subnets and groups is not: what is launched carries the tag."""
    shared = {"LaunchFrom", "LinkService", "MakeGroupIn", "TagNewBalancers"}
    for statement in statements():
        if all(is_read(action) for action in listed(statement["Action"])) or statement["Sid"] in shared:
            continue
        bounds = json.dumps([statement["Resource"], statement.get("Condition")])
        assert "demo" in bounds or KEY in bounds, statement["Sid"]


def test_the_autoscaler_changes_groups_of_this_cluster_alone() -> None:
    (policy,) = [role.policy for role in planned({}).roles if role.key == "autoscaler"]
    assert policy
    (change,) = [one for one in policy["Statement"] if "autoscaling:SetDesiredCapacity" in one["Action"]]
    assert change["Condition"] == {"StringEquals": {"aws:ResourceTag/k8s.io/cluster-autoscaler/demo": "owned"}}


def test_nodes_may_fill_the_caches_of_registries_that_are_made_and_no_others() -> None:
    plan = planned({"image-cache": ["registry.k8s.io", "quay.io"]})
    assert plan.image_cache == ("quay.io", "registry.k8s.io")
    (policy,) = [role.policy for role in plan.roles if role.key == "nodes"]
    assert policy
    assert policy["Statement"][0]["Resource"] == [
        "arn:aws:ecr:us-east-1:*:repository/quay.io/*",
        "arn:aws:ecr:us-east-1:*:repository/registry.k8s.io/*",
    ]
    assert [role.policy for role in planned({}).roles if role.key == "nodes"] == [None]


def test_karpenters_nodes_stand_in_the_given_subnets_with_the_clusters_key() -> None:
    spot = {"name": "l4", "accelerator": "L4", "count": 1, "nodes": {"max": 4}}
    block = {**GIVEN, "autoscaler": "karpenter", "account-id": "123456789012"}
    (group,) = [one for one in planned({**block, "given": None, **REACHED}, [SYSTEM, spot]).groups if one.pool == "l4"]
    assert isinstance(group, EksNodeGroup)
    spec = group.objects[0].manifest["spec"]
    assert spec["subnetSelectorTerms"] == [{"id": subnet} for subnet in SUBNETS]
    keys = {mapping["ebs"].get("kmsKeyID") for mapping in spec["blockDeviceMappings"]}
    assert keys == {"arn:aws:kms:us-east-1:123456789012:alias/demo-disks"}


def test_karpenter_reads_a_queue_of_its_own() -> None:
    plan = planned({"autoscaler": "karpenter"})
    assert plan.interruptions
    assert plan.interruptions.queue == "demo"
    assert {tuple(event["source"]) for event in plan.interruptions.events.values()} == {("aws.ec2",), ("aws.health",)}
    assert [identity.service_account for identity in plan.identities if identity.role == "autoscaler"] == ["karpenter"]
    assert planned({}).interruptions is None


@pytest.mark.parametrize("role", [None, "arn:aws:iam::123456789012:role/team/theirs"])
def test_karpenters_nodes_have_a_profile_that_needs_no_iam_in_the_cluster(role: str | None) -> None:
    """IAM has no endpoint in a network: without a way out Karpenter could not make a profile of a role."""
    block = {"autoscaler": "karpenter", "network": {"egress": "none"}, "roles": {"nodes": role, "path": "/team/"}}
    plan = planned(block, [SYSTEM, {"name": "l4", "accelerator": "L4", "count": 1, "nodes": {"max": 4}}])
    (group,) = [one for one in plan.groups if isinstance(one, EksNodeGroup) and one.karpenter]
    spec = group.objects[0].manifest["spec"]
    assert plan.node_profile
    assert (spec["instanceProfile"], "role" in spec) == (plan.node_profile.name, False)
    assert (plan.node_profile.name, plan.node_profile.path) == ("demo-us-east-1-nodes", "/team/")
    (policy,) = [one.policy for one in plan.roles if one.key == "autoscaler"]
    assert policy
    asked = {action for one in policy["Statement"] for action in listed(one["Action"]) if action.startswith("iam:")}
    assert asked == {"iam:PassRole", "iam:GetInstanceProfile", "iam:ListInstanceProfiles"}
    assert planned({}).node_profile is None


def test_a_network_without_a_way_out_is_known_to_add_ons() -> None:
    def isolated(block: dict[str, Any]) -> bool:
        return facts_of(validate({"cluster": {**BLOCK, **block}, "pools": [SYSTEM]}, where="espalier")).isolated

    assert isolated({"network": {"egress": "none"}})
    assert not isolated({})
    assert not isolated({"network": NETWORK, "zones": ZONES})


# Add-ons and storage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_of_kubernetes_has_its_add_ons(version: str) -> None:
    addons = {addon.name: addon.version for addon in planned({"version": version}).addons}
    assert addons["kube-proxy"].startswith(f"v{version}.")
    assert all("-eksbuild." in found for found in addons.values())


def test_nodes_may_stay_behind_for_a_step_of_an_upgrade_and_the_plan_says_so() -> None:
    plan = planned({"nodes-version": "1.34"})
    assert (plan.version, plan.nodes_version) == ("1.35", "1.34")
    assert version_of("coredns", "1.35") in {addon.version for addon in plan.addons}
    note = (
        "upgrades: node groups stay at 1.34 while the control plane and EKS's add-ons go to 1.35; an up without "
        "nodes-version takes them after"
    )
    assert note in plan.notes
    own = planned({"nodes-version": "1.34", "autoscaler": "karpenter"})
    assert f"{note}; Karpenter's nodes go there by themselves" in own.notes
    assert planned({}).nodes_version == "1.35"
    assert not any("nodes-version" in told for told in planned({"nodes-version": "1.35"}).notes)


@pytest.mark.parametrize(("autoscaler", "version"), [("cluster-autoscaler", "1.34"), ("karpenter", "1.35")])
def test_images_are_of_the_version_that_their_nodes_are_of(autoscaler: str, version: str) -> None:
    """Karpenter's nodes take the control plane's, whatever the groups that EKS manages stay at."""
    release = f"{version}.2-20260801"
    l4 = {"name": "l4", "accelerator": "L4", "nodes": {"max": 2}, "image": {"release": release}}
    plan = planned({"nodes-version": "1.34", "autoscaler": autoscaler}, [SYSTEM, l4])
    cluster = a_cluster(autoscaler=autoscaler, **{"nodes-version": "1.34"})
    system, own = (next(group for group in plan.groups if group.pool == pool) for pool in ("system", "l4"))
    asked = [image_parameter(needs(cluster), group, "") or "" for group in (system, own)]
    assert [path.removeprefix("/aws/service/eks/optimized-ami/")[:4] for path in asked] == ["1.34", version]
    other = {**l4, "image": {"release": f"{'1.35' if version == '1.34' else '1.34'}.2-20260801"}}
    with pytest.raises(Mistakes) as raised:
        planned({"nodes-version": "1.34", "autoscaler": autoscaler}, [SYSTEM, other])
    assert f"a release of the cluster's version, {version}.x-YYYYMMDD" in str(raised.value)


def test_what_makes_a_node_ready_comes_before_nodes_and_the_rest_after() -> None:
    addons = planned({"storage": {"type": "efs"}}).addons
    before = [addon.name for addon in addons if addon.before_nodes]
    assert before == ["eks-pod-identity-agent", "vpc-cni", "kube-proxy"]
    assert {addon.name for addon in addons} - set(before) == {
        "coredns",
        "aws-ebs-csi-driver",
        "eks-node-monitoring-agent",
        "aws-efs-csi-driver",
    }


def test_pods_take_prefixes_and_policies_of_the_network_hold() -> None:
    (plain,) = [addon for addon in planned({}).addons if addon.name == "vpc-cni"]
    assert plain.configuration["env"]["ENABLE_PREFIX_DELEGATION"] == "true"
    assert plain.configuration["enableNetworkPolicy"] == "true"
    assert "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG" not in plain.configuration["env"]
    (apart,) = [a for a in planned({"network": {"pods": "100.64.0.0/16"}}).addons if a.name == "vpc-cni"]
    assert apart.configuration["env"]["AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"] == "true"
    assert apart.pod_subnets


def test_a_version_of_ones_own_is_taken() -> None:
    addons = planned({"addon-versions": {"coredns": "v1.13.2-eksbuild.1"}}).addons
    assert [addon.version for addon in addons if addon.name == "coredns"] == ["v1.13.2-eksbuild.1"]


def test_volumes_are_encrypted_and_tagged_and_gp3_is_the_default() -> None:
    plan = planned({"storage": {"type": "efs", "id": "fs-0a1b2c3d4e5f60718"}, "tags": {"team": "ml"}})
    classes = {one.name: one for one in plan.classes}
    assert [name for name, one in classes.items() if one.default] == ["gp3"]
    assert classes["gp3"].parameters["encrypted"] == "true"
    assert classes["gp3"].binding == "WaitForFirstConsumer"
    assert classes["efs"].parameters["fileSystemId"] == "fs-0a1b2c3d4e5f60718"
    (driver,) = [addon for addon in plan.addons if addon.name == "aws-ebs-csi-driver"]
    assert driver.configuration["controller"]["extraVolumeTags"] == {"espalier.dev/cluster": "demo", "team": "ml"}
    assert driver.configuration["node"] == {"tolerateAllTaints": True}


def test_lustre_is_made_a_claim_at_a_time_with_the_tag_that_its_driver_may_make() -> None:
    plan = planned({"storage": {"type": "fsx-lustre"}})
    (lustre,) = [one for one in plan.classes if one.name == "fsx-lustre"]
    assert "espalier.dev/cluster=demo" in lustre.parameters["extraTags"].split(",")
    assert lustre.filled == ("subnetId", "securityGroupIds")
    assert plan.file_system
    assert not plan.file_system.made


def test_the_plan_says_what_else_has_to_be_seen_to() -> None:
    def notes(block: dict[str, Any]) -> list[str]:
        return [note for note in planned(block).notes if not note.startswith(("upgrades: ", "pool "))]

    assert notes({"account-id": "123456789012"}) == []
    (key,) = notes({"keys": {"disks": KEY}})
    assert "AWSServiceRoleForAutoScaling" in key
    found = notes({"account-id": "123456789012", "network": {"egress": "none"}})
    assert ["sources.registry" in note for note in found] == [True]
