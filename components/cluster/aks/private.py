"""Private endpoints in the cluster's network, and the zones that resolve them."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import network, privatedns

from espalier.blueprint.clouds.aks.model import AksPlan
from espalier.blueprint.clouds.aks.network import ZONES
from espalier.components.cluster.aks.azure import Azure
from espalier.components.cluster.aks.network import Network


def private_zone(azure: Azure, plan: AksPlan, what: str, inside: Network) -> pulumi.Input[str]:
    """The id of the zone of Azure's own domain for `what`, which the network resolves instead of the public one."""
    if what in plan.network.zones:
        return plan.network.zones[what]
    domain = ZONES[what]
    zone = privatedns.PrivateZone(
        f"{azure.name}-{what}-zone",
        private_zone_name=domain,
        resource_group_name=azure.group,
        location="Global",
        tags=azure.tags,
        opts=azure.options(),
    )
    privatedns.VirtualNetworkLink(
        f"{azure.name}-{what}-zone-link",
        virtual_network_link_name=plan.name,
        private_zone_name=domain,
        resource_group_name=azure.group,
        location="Global",
        registration_enabled=False,
        # What others in a given network reach by public addresses they still do.
        resolution_policy=None if inside.made else privatedns.ResolutionPolicy.NX_DOMAIN_REDIRECT,
        virtual_network={"id": inside.id},
        tags=azure.tags,
        opts=azure.options(after=[zone]),
    )
    return zone.id


def private_endpoint(
    azure: Azure,
    plan: AksPlan,
    what: str,
    target: pulumi.Input[str],
    sort: str,
    zone: pulumi.Input[str],
    inside: Network,
) -> pulumi.Resource:
    """An address in the network for `target`, a resource's id; returns what makes its name known in `zone`, an id.

    `sort` is Azure's word for what of the target is reached: file, blob or registry.
    """
    endpoint = network.PrivateEndpoint(
        f"{azure.name}-{what}-endpoint",
        private_endpoint_name=f"{plan.name}-{what}",
        resource_group_name=azure.group,
        location=azure.location,
        subnet={"id": inside.endpoints},
        private_link_service_connections=[{"name": what, "private_link_service_id": target, "group_ids": [sort]}],
        tags=azure.tags,
        opts=azure.options(),
    )
    return network.PrivateDnsZoneGroup(
        f"{azure.name}-{what}-names",
        private_dns_zone_group_name="default",
        private_endpoint_name=f"{plan.name}-{what}",
        resource_group_name=azure.group,
        private_dns_zone_configs=[{"name": what, "private_dns_zone_id": zone}],
        opts=azure.options(after=[endpoint]),
    )
