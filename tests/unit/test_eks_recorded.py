"""EKS clusters, recorded as resources: tags, order, doors, and what a plan loads."""

from __future__ import annotations

import base64
import importlib
import inspect
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.blueprint.clouds.eks import EksNodeGroup
from espalier.components.cluster.cloud import made_cluster
from espalier.components.cluster.eks.kubeconfig import text
from espalier.engine.model import Resource
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.settings import validate
from espalier.settings.load import load_file
from tests.unit.test_eks_cluster import BLOCK, GIVEN, SUBNETS, SYSTEM, planned

ROOT = Path(__file__).parents[2]
L4 = {"name": "l4", "accelerator": "L4", "count": 1, "nodes": {"max": 4}, "capacity": ["spot", "on-demand"]}
CASES: dict[str, dict[str, Any]] = {
    "plain": {"account-id": "123456789012", "tags": {"team": "ml"}},
    "apart": {
        "network": {"egress": "none", "pods": "100.64.0.0/16"},
        "storage": {"type": "fsx-lustre"},
        "image-cache": ["registry.k8s.io"],
    },
    "karpenter": {
        "autoscaler": "karpenter",
        "storage": {"type": "efs"},
        "network": {"egress": "nat"},
        "account-id": "123456789012",
    },
    "given": GIVEN,
}
IDENTITY = {"issuer": "https://id.example.com", "groups-prefix": "ad:"}
PROTECTED = {"aws:eks/cluster:Cluster", "aws:kms/key:Key", "aws:efs/fileSystem:FileSystem"}


class Graph:
    """The resources of a recording, and what each waits for."""

    def __init__(self, resources: tuple[Resource, ...]) -> None:
        self.all = {resource.urn: resource for resource in resources}
        self.reached: dict[str, frozenset[str]] = {}

    def of(self, type_: str, ending: str = "") -> list[Resource]:
        return [one for one in self.all.values() if one.type == type_ and one.name.endswith(ending)]

    def one(self, type_: str, ending: str = "") -> Resource:
        (found,) = self.of(type_, ending)
        return found

    def before(self, resource: Resource) -> frozenset[str]:
        """URNs of all that stand before it, and go after it."""
        if resource.urn not in self.reached:
            near = {*resource.dependencies, *([resource.provider] if resource.provider else [])}
            self.reached[resource.urn] = frozenset(near.union(*(self.before(self.all[urn]) for urn in near)))
        return self.reached[resource.urn]

    def assert_after(self, resource: Resource, others: list[Resource]) -> None:
        assert others
        missing = [other.name for other in others if other.urn not in self.before(resource)]
        assert not missing, f"{resource.name} does not wait for {missing}"


@cache
def graph(case: str, **keys: str) -> Graph:
    def run() -> None:
        import pulumi

        identity = {"identity": {**IDENTITY, **keys}} if keys else {}
        block = {"cluster": {**BLOCK, **CASES[case]}, "pools": [SYSTEM, L4], **identity}
        settings = validate(block, where="espalier")
        plan = build(settings, RECORDS).cloud
        assert plan
        made_cluster("it", plan, pulumi.ResourceOptions())

    return Graph(record(Program(run, "demo", "test")).resources)


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> str:
    return request.param


def takes_tags(type_: str) -> bool:
    """Whether the SDK's class of a type has tags: aws:ec2/vpc:Vpc is pulumi_aws.ec2.Vpc."""
    package, name = type_.split("/")[0].removeprefix("aws:"), type_.split(":")[2]
    module = importlib.import_module(f"pulumi_aws.{package}")
    return "tags" in inspect.signature(getattr(module, name)._internal_init).parameters


def test_everything_that_takes_tags_carries_the_clusters(case: str) -> None:
    wanted = {"espalier.dev/cluster": "demo", **CASES[case].get("tags", {})}
    tagged = [one for one in graph(case).all.values() if one.type.startswith("aws:") and takes_tags(one.type)]
    assert tagged
    for resource in tagged:
        tags = resource.inputs.get("tags")
        assert isinstance(tags, dict), resource.name
        assert wanted.items() <= tags.items(), resource.name


def test_the_api_opens_after_rights_doors_system_nodes_and_add_ons(case: str) -> None:
    """So whatever is in the cluster goes while there are still rights, a way in, and nodes whose controllers run."""
    found = graph(case)
    provider = found.one("pulumi:providers:kubernetes")
    system = [one for one in found.of("aws:eks/nodeGroup:NodeGroup") if "-system-" in one.name]
    found.assert_after(provider, system)
    if case == "given":
        return
    found.assert_after(provider, found.of("aws:eks/accessPolicyAssociation:AccessPolicyAssociation"))
    found.assert_after(provider, found.of("aws:eks/addon:Addon"))
    found.assert_after(provider, found.of("aws:eks/podIdentityAssociation:PodIdentityAssociation"))
    doors = [
        one for one in found.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule") if "-api-" in one.name
    ]
    found.assert_after(provider, doors)
    for one in found.of("kubernetes:storage.k8s.io/v1:StorageClass"):
        assert one.provider == provider.urn


def test_nodes_start_after_their_network_their_rights_and_what_makes_them_ready(case: str) -> None:
    found = graph(case)
    for group in found.of("aws:eks/nodeGroup:NodeGroup"):
        if case == "given":
            assert group.inputs["subnetIds"] == SUBNETS
            continue
        for name in ("eks-pod-identity-agent", "vpc-cni", "kube-proxy"):
            found.assert_after(group, found.of("aws:eks/addon:Addon", f"addon-{name}"))
        found.assert_after(group, found.of("aws:ec2/routeTableAssociation:RouteTableAssociation", "private-us-east-1a"))
        ways = found.of("aws:ec2/route:Route") or found.of("aws:ec2/vpcEndpoint:VpcEndpoint")
        found.assert_after(group, ways)
        rights = [r for r in found.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment") if "role-nodes" in r.name]
        found.assert_after(group, rights)


def test_what_karpenter_and_its_classes_name_stands_before_them_and_goes_after_them() -> None:
    """They name the queue, the profile and the key's alias: no output of these orders them."""
    found = graph("karpenter")
    provider = found.one("pulumi:providers:kubernetes")
    for type_ in (
        "aws:sqs/queue:Queue",
        "aws:sqs/queuePolicy:QueuePolicy",
        "aws:cloudwatch/eventRule:EventRule",
        "aws:cloudwatch/eventTarget:EventTarget",
        "aws:iam/instanceProfile:InstanceProfile",
    ):
        found.assert_after(provider, found.of(type_))
    found.assert_after(provider, found.of("aws:kms/alias:Alias", "key-disks-alias"))
    rights = [one for one in found.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment") if "-nodes-" in one.name]
    found.assert_after(provider, rights)


def test_karpenters_profile_holds_the_nodes_role() -> None:
    profile = graph("karpenter").one("aws:iam/instanceProfile:InstanceProfile")
    assert profile.inputs["name"] == "demo-us-east-1-nodes"
    assert [urn.rsplit("::", 1)[-1] for urn in profile.property_dependencies["role"]] == ["it-role-nodes"]
    assert not graph("plain").of("aws:iam/instanceProfile:InstanceProfile")


def test_an_upgrade_takes_the_control_plane_then_the_network_then_dns_and_volumes_then_accelerators() -> None:
    found = graph("plain")
    cluster = found.one("aws:eks/cluster:Cluster")
    cni, dns, volumes = (
        found.one("aws:eks/addon:Addon", f"addon-{name}") for name in ("vpc-cni", "coredns", "aws-ebs-csi-driver")
    )
    accelerators = [one for one in found.of("aws:eks/nodeGroup:NodeGroup") if "-l4-" in one.name]
    assert len(accelerators) == 2
    found.assert_after(cni, [cluster])
    for addon in (dns, volumes):
        found.assert_after(addon, [cni])
    for group in accelerators:
        found.assert_after(group, [dns, volumes])


def test_the_control_plane_keeps_its_rights_its_key_and_its_logs_to_the_end() -> None:
    found = graph("plain")
    cluster = found.one("aws:eks/cluster:Cluster")
    rights = [r for r in found.all.values() if r.type.startswith("aws:iam/rolePolicy") and "role-cluster" in r.name]
    assert rights
    found.assert_after(cluster, rights)
    found.assert_after(cluster, found.of("aws:kms/alias:Alias", "key-secrets-alias"))
    found.assert_after(cluster, found.of("aws:cloudwatch/logGroup:LogGroup"))


def test_a_gateway_goes_before_the_way_to_the_world_that_it_stands_on() -> None:
    found = graph("plain")
    gateways = found.of("aws:ec2/natGateway:NatGateway")
    assert len(gateways) == 3
    for gateway in gateways:
        found.assert_after(gateway, found.of("aws:ec2/internetGateway:InternetGateway"))
        found.assert_after(gateway, found.of("aws:ec2/route:Route", "route-public"))


def test_it_is_private_encrypted_and_lets_nobody_in_by_making_it() -> None:
    inputs = graph("plain").one("aws:eks/cluster:Cluster").inputs
    assert inputs["vpcConfig"]["endpointPrivateAccess"] is True  # pyright: ignore
    assert inputs["vpcConfig"]["endpointPublicAccess"] is False  # pyright: ignore
    assert inputs["accessConfig"] == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    assert inputs["encryptionConfig"]["resources"] == ["secrets"]  # pyright: ignore
    assert inputs["deletionProtection"] is True
    assert inputs["upgradePolicy"] == {"supportType": "STANDARD"}
    assert inputs["bootstrapSelfManagedAddons"] is False
    for key in graph("plain").of("aws:kms/key:Key"):
        assert key.inputs["enableKeyRotation"] is True


def test_no_door_is_open_to_the_world_and_no_subnet_gives_public_addresses(case: str) -> None:
    found = graph(case)
    for rule in found.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"):
        assert rule.inputs.get("cidrIpv4") != "0.0.0.0/0"
    for subnet in found.of("aws:ec2/subnet:Subnet"):
        assert subnet.inputs["mapPublicIpOnLaunch"] is False
    private = {one.urn for one in found.of("aws:ec2/subnet:Subnet") if "-private-" in one.name}
    for group in found.of("aws:eks/nodeGroup:NodeGroup"):
        assert (
            set(group.property_dependencies.get("subnetIds", ()))
            & {one.urn for one in found.of("aws:ec2/subnet:Subnet")}
            <= private
        )


def test_a_network_without_a_way_out_has_none_and_reaches_the_cloud_inside() -> None:
    found = graph("apart")
    for type_ in ("internetGateway:InternetGateway", "natGateway:NatGateway", "route:Route", "eip:Eip"):
        assert not found.of(f"aws:ec2/{type_}")
    interfaces = [
        one for one in found.of("aws:ec2/vpcEndpoint:VpcEndpoint") if one.inputs["vpcEndpointType"] == "Interface"
    ]
    assert len(interfaces) > 12
    assert all(one.inputs["privateDnsEnabled"] is True for one in interfaces)
    cache = found.one("aws:ecr/pullThroughCacheRule:PullThroughCacheRule")
    assert cache.inputs == {"ecrRepositoryPrefix": "registry.k8s.io", "upstreamRegistryUrl": "registry.k8s.io"}
    for group in found.of("aws:eks/nodeGroup:NodeGroup"):
        found.assert_after(group, [cache])
    doors = found.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert {one.inputs.get("cidrIpv4") for one in doors if "-endpoints-" in one.name} == {
        "10.64.0.0/16",
        "100.64.0.0/16",
    }


def test_what_holds_data_is_protected(case: str) -> None:
    for resource in graph(case).all.values():
        assert bool(resource.options.get("protect")) == (resource.type in PROTECTED), resource.name


def test_a_given_cluster_gets_pools_and_the_autoscalers_identity_alone() -> None:
    found = graph("given")
    made = {one.type for one in found.all.values() if one.type.startswith("aws:")}
    assert not made & {"aws:eks/cluster:Cluster", "aws:ec2/vpc:Vpc", "aws:eks/addon:Addon", "aws:kms/key:Key"}
    assert "aws:eks/nodeGroup:NodeGroup" in made
    assert [one.name for one in found.of("aws:iam/role:Role")] == ["it-role-autoscaler"]
    assert not found.of("kubernetes:storage.k8s.io/v1:StorageClass")


def test_an_image_of_ones_own_joins_by_the_api_that_its_template_names() -> None:
    """EKS refuses a version or a release beside such an image (terraform-aws-eks issue 3459)."""
    image = {"image": {"os": "ubuntu", "release": "ami-0123456789abcdef0"}, "driver": {"owner": "operator"}}
    pool = {"name": "l4", "accelerator": "L4", "count": 1, "nodes": {"max": 4}, **image}

    def run() -> None:
        import pulumi

        made_cluster("it", planned(GIVEN, [SYSTEM, pool]), pulumi.ResourceOptions())

    found = Graph(record(Program(run, "demo", "test")).resources)
    group = found.one("aws:eks/nodeGroup:NodeGroup", "l4-on-demand").inputs
    template = found.one("aws:ec2/launchTemplate:LaunchTemplate", "l4-on-demand").inputs
    assert template["imageId"] == "ami-0123456789abcdef0"
    assert group["amiType"] == "CUSTOM"
    assert not {"version", "releaseVersion"} & group.keys()
    script = base64.b64decode(str(template["userData"])).decode()
    assert "--apiserver-endpoint https://ABC.gr7.us-east-1.eks.amazonaws.com " in script
    assert "--b64-cluster-ca QUJD " in script
    assert "--dns-cluster-ip" not in script  # a given cluster's range of Services is not known
    assert "@" not in script
    assert found.one("aws:eks/nodeGroup:NodeGroup", "system-on-demand").inputs["version"] == "1.35"


def test_everything_goes_to_the_clusters_region_and_account() -> None:
    found = graph("plain")
    cloud = found.one("pulumi:providers:aws")
    assert (cloud.inputs["region"], json.loads(cloud.inputs["allowedAccountIds"])) == (  # pyright: ignore
        "us-east-1",
        ["123456789012"],
    )
    assert {one.provider for one in found.all.values() if one.type.startswith("aws:")} == {cloud.urn}


# Kubeconfig --------------------------------------------------------------------------------------------------------


def config(access: dict[str, Any]) -> dict[str, Any]:
    plan = planned({"access": {**BLOCK["access"], **access}})
    return json.loads(text(plan, "https://ABC.gr7.us-east-1.eks.amazonaws.com", "QUJD"))


def test_the_kubeconfig_asks_the_clouds_command_and_holds_no_credential() -> None:
    found = config({})
    (user,) = found["users"]
    assert user["user"].keys() == {"exec"}
    assert user["user"]["exec"]["command"] == "aws"
    assert user["user"]["exec"]["args"][:4] == ["--region", "us-east-1", "eks", "get-token"]
    (cluster,) = found["clusters"]
    assert cluster["cluster"] == {
        "server": "https://ABC.gr7.us-east-1.eks.amazonaws.com",
        "certificate-authority-data": "QUJD",
    }


def test_a_tunnel_is_a_proxy_or_a_port_whose_certificate_is_still_checked() -> None:
    proxy = config({"via": "tunnel", "proxy": "socks5://127.0.0.1:1080"})["clusters"][0]["cluster"]
    assert (proxy["proxy-url"], proxy["server"]) == (
        "socks5://127.0.0.1:1080",
        "https://ABC.gr7.us-east-1.eks.amazonaws.com",
    )
    port = config({"via": "tunnel", "proxy": "https://127.0.0.1:8443"})["clusters"][0]["cluster"]
    assert (port["server"], port["tls-server-name"]) == (
        "https://127.0.0.1:8443",
        "ABC.gr7.us-east-1.eks.amazonaws.com",
    )


def test_the_kubeconfig_is_a_secret_that_names_the_cluster_for_life() -> None:
    provider = graph("plain").one("pulumi:providers:kubernetes")
    assert provider.inputs["clusterIdentifier"] == "eks/us-east-1/demo"
    assert provider.to_json()["inputs"]["kubeconfig"] == {"$secret": True}
    component = graph("plain").one("espalier:index:EksCluster")
    assert component.to_json()["outputs"]["kubeconfig"] == {"$secret": True}


# The stacks --------------------------------------------------------------------------------------------------------


def test_production_has_what_it_is_said_to_have() -> None:
    settings = load_file(ROOT / "stacks" / "Pulumi.aws-prod.yaml").settings
    cloud = build(settings, RECORDS).cloud
    assert cloud
    groups = {group.key: group for group in cloud.groups if isinstance(group, EksNodeGroup)}
    assert set(groups) == {"system-on-demand", "h100-reserved", "l4-spot", "l4-on-demand", "trainium-on-demand"}
    assert groups["h100-reserved"].capacity_type == "CAPACITY_BLOCK"
    assert groups["h100-reserved"].shape.machine == "p5.48xlarge"
    assert "vpc.amazonaws.com/efa" in groups["h100-reserved"].shape.capacity
    assert groups["trainium-on-demand"].shape.machine == "trn1.32xlarge"


def test_the_identity_provider_is_associated_after_all_else_and_one_at_a_time() -> None:
    found = graph("plain", **{"client-id": "k8s"})
    provider = found.one("aws:eks/identityProviderConfig:IdentityProviderConfig")
    assert provider.inputs["oidc"] == {
        "identityProviderConfigName": "demo",
        "issuerUrl": "https://id.example.com",
        "clientId": "k8s",
        "usernameClaim": "email",
        "usernamePrefix": "oidc:",
        "groupsClaim": "groups",
        "groupsPrefix": "ad:",
    }
    assert provider.options["deleteBeforeReplace"] is True
    found.assert_after(provider, found.of("aws:eks/nodeGroup:NodeGroup"))
    found.assert_after(provider, found.of("aws:eks/addon:Addon"))


def test_a_given_clusters_identity_provider_is_its_owners() -> None:
    found = graph("given", **{"client-id": "k8s"})
    assert found.of("aws:eks/identityProviderConfig:IdentityProviderConfig") == []
    block = {"cluster": {**BLOCK, **GIVEN}, "pools": [SYSTEM], "identity": IDENTITY}
    plan = build(validate(block, where="espalier"), RECORDS).cloud
    assert plan is not None
    assert [note for note in plan.notes if note.startswith("identity:")] == [
        "identity: the cluster is given, so its owner associates https://id.example.com with these claims and prefixes"
    ]
