"""What goes before what when a stack is destroyed: Pulumi deletes in the reverse of what depends on what.

`before[x]` is what is made before x, and so what x goes before.
"""

from __future__ import annotations

import pytest

from espalier.engine.model import Resource
from tests.clouds.recorded import CLOUDS, Graph
from tests.clouds.stacks import ALL, GIVEN, graph_of
from tests.clouds.upgrades import CLUSTERS, POOLS, VOLUMES

EVERY = [*ALL, *GIVEN]
OBJECTS = "kubernetes:"
PROVIDER = "pulumi:providers:kubernetes"
GRANTS = (
    "aws:eks/accessEntry:AccessEntry",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
    "azure-native:authorization:RoleAssignment",
    "gcp:projects/iAMMember:IAMMember",
)
"""Types that grant access, of which each stack's administrators are told by their names."""
RIGHTS = (
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "gcp:projects/iAMMember:IAMMember",
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember",
    "azure-native:authorization:RoleAssignment",
)
WAYS = (
    "aws:ec2/vpc:Vpc",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/route:Route",
    "aws:ec2/routeTable:RouteTable",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "gcp:compute/network:Network",
    "gcp:compute/subnetwork:Subnetwork",
    "gcp:compute/router:Router",
    "gcp:compute/routerNat:RouterNat",
    "azure-native:network:VirtualNetwork",
    "azure-native:network:Subnet",
    "azure-native:network:NatGateway",
    "azure-native:network:PublicIPAddress",
)
"""What a node reaches the world by."""


def missing(graph: Graph, later: dict[str, Resource], earlier: dict[str, Resource]) -> list[str]:
    """Pairs that are not in order, `later` being made after all of `earlier`."""
    return [f"{last} could go after {first}" for last in later for first in earlier if first not in graph.before[last]]


def the_provider(graph: Graph) -> dict[str, Resource]:
    found = graph.of(PROVIDER)
    assert len(found) == 1
    return found


def admins(graph: Graph) -> dict[str, Resource]:
    return {name: found for name, found in graph.of(*GRANTS).items() if "-admin" in name}


def system_pools(graph: Graph) -> dict[str, Resource]:
    return {name: found for name, found in graph.of(*POOLS).items() if "-group-system-" in name}


@pytest.mark.parametrize("stack", EVERY)
def test_nothing_goes_round_in_a_circle(stack: str) -> None:
    graph = graph_of(stack)
    assert graph.before.keys() == graph.resources.keys()


@pytest.mark.parametrize("stack", EVERY)
def test_what_is_in_the_cluster_goes_before_its_door_its_nodes_and_itself(stack: str) -> None:
    graph = graph_of(stack)
    objects = graph.of(OBJECTS)
    assert objects
    needed = {**admins(graph), **system_pools(graph), **graph.of(*CLUSTERS), **the_provider(graph)}
    assert admins(graph)
    assert system_pools(graph)
    assert missing(graph, objects, needed) == []


@pytest.mark.parametrize("stack", EVERY)
def test_nodes_go_before_their_cluster_and_the_way_to_the_world(stack: str) -> None:
    """A node that cannot reach its cluster or a registry while it drains holds the destroy up."""
    graph = graph_of(stack)
    ways = {name: found for name, found in graph.of(*WAYS).items() if not name.endswith("-endpoints")}
    assert ways or stack in GIVEN
    assert missing(graph, graph.of(*POOLS), {**graph.of(*CLUSTERS), **ways}) == []


@pytest.mark.parametrize("stack", ALL)
def test_the_network_goes_last(stack: str) -> None:
    graph = graph_of(stack)
    subnets = graph.of("aws:ec2/subnet:Subnet", "gcp:compute/subnetwork:Subnetwork", "azure-native:network:Subnet")
    networks = graph.of("aws:ec2/vpc:Vpc", "gcp:compute/network:Network", "azure-native:network:VirtualNetwork")
    other = ("-public", "-pods", "-endpoints")
    own = {name: found for name, found in subnets.items() if not any(word in name for word in other)}
    assert own
    assert missing(graph, graph.of(*CLUSTERS), {**own, **networks}) == []


@pytest.mark.parametrize("stack", EVERY)
def test_a_key_outlives_what_it_encrypts(stack: str) -> None:
    """A cluster whose key is gone cannot be read, nor can its disks."""
    graph = graph_of(stack)
    keys = graph.of("aws:kms/key:Key", "gcp:kms/cryptoKey:CryptoKey", "azure-native:compute:DiskEncryptionSet")
    secrets = {name: found for name, found in keys.items() if "disk" not in name}
    vault = graph.of("azure-native:keyvault:Vault", "azure-native:keyvault:Key")
    secrets |= {name: found for name, found in vault.items() if "secrets" in name}
    assert missing(graph, graph.of(*CLUSTERS), secrets) == []
    assert missing(graph, graph.of(*POOLS), {name: keys[name] for name in keys.keys() - secrets.keys()}) == []


@pytest.mark.parametrize("stack", EVERY)
def test_an_identity_keeps_its_rights_while_anything_acts_by_it(stack: str) -> None:
    """A role whose policies go first leaves network interfaces, nodes and load balancers behind."""
    graph = graph_of(stack)
    found: list[str] = []
    for right in graph.of(*RIGHTS):
        for identity in identities(graph, right):
            users = {
                name
                for name, needs in graph.needs.items()
                if identity in needs and graph.resources[name].type not in RIGHTS and is_user(graph, name)
            }
            found += [f"{user} could go after {right}" for user in users if right not in graph.before[user]]
    assert found == []


def identities(graph: Graph, right: str) -> set[str]:
    """Whose right it is: what it names as its role, principal or member.

    An identity that a cluster makes itself, such as AKS's kubelet's, cannot have rights before there are nodes.
    """
    resource = graph.resources[right]
    names = {found.urn: name for name, found in graph.resources.items()}
    said = (resource.property_dependencies.get(key, ()) for key in ("role", "member", "principalId"))
    found = {names[urn] for urns in said for urn in urns if urn in names}
    return {name for name in found if graph.resources[name].type not in CLUSTERS}


def is_user(graph: Graph, name: str) -> bool:
    """Whether it acts by an identity: a cluster, a pool, an add-on, a pod; not what merely tells of it."""
    types = (*CLUSTERS, *POOLS, "aws:eks/addon:Addon", "aws:eks/podIdentityAssociation:PodIdentityAssociation")
    return graph.resources[name].type in types


EKS = [stack for stack in ALL if stack.startswith("aws") or stack.endswith("eks")]


@pytest.mark.parametrize("stack", EKS)
def test_eks_add_ons_stand_while_what_they_serve_does(stack: str) -> None:
    """Pods get no address without the VPC CNI; what runs as pods needs the system pool's nodes to end well."""
    graph = graph_of(stack)
    addons = {graph.inputs(name)["addonName"]: name for name in graph.of("aws:eks/addon:Addon")}
    groups, system = graph.of(*POOLS), system_pools(graph)
    for addon in ("vpc-cni", "kube-proxy"):
        assert missing(graph, groups, {addons[addon]: graph.resources[addons[addon]]}) == []
    run_as_pods = {addons[name]: graph.resources[addons[name]] for name in ("coredns", "aws-ebs-csi-driver")}
    assert missing(graph, run_as_pods, system) == []
    assert missing(graph, graph.of(OBJECTS), run_as_pods) == []


PRODUCTION = [stack for stack in ALL if stack.endswith("-prod")]


@pytest.mark.parametrize("stack", PRODUCTION)
def test_clusters_and_what_holds_data_are_kept_in_production(stack: str) -> None:
    """By Pulumi's protection, by the provider's own, or left where they are when the stack goes."""
    graph = graph_of(stack)
    kept = {**graph.of(*CLUSTERS), **graph.of(*VOLUMES)}
    assert kept
    open_ = [
        name
        for name, found in kept.items()
        if not found.options.get("protect")
        and not found.options.get("retainOnDelete")
        and not graph.inputs(name).get("deletionProtection")
    ]
    assert open_ == []


def test_every_cloud_is_among_the_stacks() -> None:
    seen = {cloud for cloud, prefix in CLOUDS.items() if any(graph_of(stack).of(prefix) for stack in ALL)}
    assert seen == set(CLOUDS)
