"""The network of an AKS cluster: a virtual network with subnets and one way out, or a given one."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import network

from espalier.blueprint.clouds.aks.model import AksPlan
from espalier.components.cluster.aks.azure import Azure


@dataclass(frozen=True, slots=True)
class Network:
    """Ids of the network and of the subnets for nodes and for private endpoints."""

    id: pulumi.Input[str]
    nodes: pulumi.Input[str]
    endpoints: pulumi.Input[str]
    """"" in a given network that gets none."""
    made: network.VirtualNetwork | None


def network_of(azure: Azure, plan: AksPlan) -> Network:
    """The network of a cluster that is made."""
    wanted = plan.network
    if wanted.network_id:
        return Network(wanted.network_id, wanted.subnet_id, wanted.endpoints_id, None)
    whole = network.VirtualNetwork(
        f"{azure.name}-network",
        virtual_network_name=plan.name,
        resource_group_name=azure.group,
        location=azure.location,
        address_space={"address_prefixes": [wanted.range]},
        tags=azure.tags,
        opts=azure.options(protect=plan.protected),
    )
    nodes = network.Subnet(
        f"{azure.name}-subnet-nodes",
        subnet_name="nodes",
        resource_group_name=azure.group,
        virtual_network_name=plan.name,
        address_prefix=wanted.nodes,
        default_outbound_access=False,
        nat_gateway={"id": _gateway(azure, plan).id} if wanted.nat else None,
        opts=azure.options(after=[whole]),
    )
    endpoints = network.Subnet(
        f"{azure.name}-subnet-endpoints",
        subnet_name="endpoints",
        resource_group_name=azure.group,
        virtual_network_name=plan.name,
        address_prefix=wanted.endpoints,
        default_outbound_access=False,
        # A network takes one change of its subnets at a time.
        opts=azure.options(after=[nodes]),
    )
    return Network(whole.id, nodes.id, endpoints.id, whole)


def _gateway(azure: Azure, plan: AksPlan) -> network.NatGateway:
    address = network.PublicIPAddress(
        f"{azure.name}-nat-address",
        public_ip_address_name=f"{plan.name}-nat",
        resource_group_name=azure.group,
        location=azure.location,
        sku={"name": "Standard", "tier": "Regional"},
        public_ip_allocation_method="Static",
        tags=azure.tags,
        opts=azure.options(),
    )
    return network.NatGateway(
        f"{azure.name}-nat",
        nat_gateway_name=f"{plan.name}-nat",
        resource_group_name=azure.group,
        location=azure.location,
        sku={"name": "Standard"},
        public_ip_addresses=[{"id": address.id}],
        idle_timeout_in_minutes=10,
        tags=azure.tags,
        opts=azure.options(),
    )
