"""The network that a cluster stands in, and its way out."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp import compute

from espalier.blueprint.clouds.gke import GkePlan


@dataclass(frozen=True, slots=True)
class Place:
    """Network and subnetwork by path, and what nodes need to reach the world."""

    network: pulumi.Input[str]
    subnetwork: pulumi.Input[str]
    ready: tuple[pulumi.Resource, ...] = ()

    @classmethod
    def given(cls, plan: GkePlan) -> Place:
        """The network that the plan names."""
        return cls(plan.network.network, plan.network.subnetwork)


def place_of(name: str, plan: GkePlan, opts: pulumi.ResourceOptions) -> Place:
    """The given network, else a VPC with one subnetwork, and Cloud NAT where nodes may reach the world."""
    if not plan.network.made:
        return Place.given(plan)
    network = compute.Network(
        f"{name}-network",
        name=plan.network.network,
        project=plan.project,
        auto_create_subnetworks=False,
        routing_mode="REGIONAL",
        opts=opts,
    )
    subnetwork = compute.Subnetwork(
        f"{name}-subnetwork",
        name=plan.network.subnetwork,
        project=plan.project,
        region=plan.region,
        network=network.id,
        ip_cidr_range=plan.network.nodes,
        private_ip_google_access=True,
        secondary_ip_ranges=[
            compute.SubnetworkSecondaryIpRangeArgs(
                range_name=plan.network.pods_range, ip_cidr_range=plan.network.pods or ""
            ),
            compute.SubnetworkSecondaryIpRangeArgs(
                range_name=plan.network.services_range, ip_cidr_range=plan.network.services or ""
            ),
        ],
        opts=opts,
    )
    ready = (_nat(name, plan, network, subnetwork, opts),) if plan.network.nat else ()
    return Place(network.id, subnetwork.id, ready)


def _nat(
    name: str,
    plan: GkePlan,
    network: compute.Network,
    subnetwork: compute.Subnetwork,
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    router = compute.Router(
        f"{name}-router",
        name=f"{plan.name}-router",
        project=plan.project,
        region=plan.region,
        network=network.id,
        opts=opts,
    )
    return compute.RouterNat(
        f"{name}-nat",
        name=f"{plan.name}-nat",
        project=plan.project,
        region=plan.region,
        router=router.name,
        nat_ip_allocate_option="AUTO_ONLY",
        source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
        subnetworks=[compute.RouterNatSubnetworkArgs(name=subnetwork.id, source_ip_ranges_to_nats=["ALL_IP_RANGES"])],
        enable_dynamic_port_allocation=True,
        enable_endpoint_independent_mapping=False,
        log_config=compute.RouterNatLogConfigArgs(enable=True, filter="ERRORS_ONLY"),
        opts=opts,
    )
