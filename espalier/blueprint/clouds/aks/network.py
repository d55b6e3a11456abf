"""The network of an AKS cluster: made, or given by its ids. All arithmetic with ranges is here.

Pods have addresses of their own range (Azure CNI overlay), a /24 a node; only nodes take addresses of the subnet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final, Literal

from espalier.blueprint.clouds.aks.ids import DNS_ZONES, NETWORKS, form_of, is_a, name_of
from espalier.blueprint.clouds.aks.model import AksNetwork
from espalier.blueprint.clouds.model import Wanted
from espalier.settings.aks import Aks
from espalier.types import Mistake

RANGE: Final = "10.64.0.0/16"
PODS: Final = "10.128.0.0/14"
SERVICES: Final = "172.20.0.0/16"
_POD_BLOCK: Final = 24
"""Prefix of each node's range of pods. Source: azure-aks-docs, concepts-network-azure-cni-overlay.md."""
_LARGEST: Final = 22
"""Longest prefix of a network that is made: half of it are nodes, a /27 of the rest private endpoints."""
_KEPT: Final = 5
"""Addresses of a subnet that Azure keeps for itself."""
ZONES: Final = {
    "files": "privatelink.file.core.windows.net",
    "blobs": "privatelink.blob.core.windows.net",
    "registries": "privatelink.azurecr.io",
}
"""What private endpoints are for -> Azure's domain that resolves them. Source: azure-docs, private-endpoint-dns.md."""
_WORDS: Final = {"files": "files", "buckets": "blobs", "registries": "registries"}
"""The stack file's words for these."""

Outbound = Literal["userAssignedNATGateway", "loadBalancer", "userDefinedRouting", "none"]
_OUTBOUND: Final[dict[str, Outbound]] = {
    "nat-gateway": "userAssignedNATGateway",
    "load-balancer": "loadBalancer",
    "user-defined": "userDefinedRouting",
    "none": "none",
}


def network_of(cluster: Aks) -> AksNetwork:
    """The network of a cluster block without mistakes."""
    network = cluster.network
    whole = ipaddress.ip_network(network.cidr or RANGE)
    nodes, rest = whole.subnets(1)
    services = ipaddress.ip_network(network.services or SERVICES)
    outbound = _outbound(cluster)
    return AksNetwork(
        network_id=network.id or "",
        subnet_id=network.subnets[0] if network.subnets else "",
        range=str(whole),
        nodes=str(nodes),
        endpoints=str(next(rest.subnets(new_prefix=27))),
        endpoints_id=_endpoints_in(cluster),
        zones={_WORDS[key]: zone for key, zone in cluster.endpoints.zones.items()} if cluster.endpoints else {},
        nat=network.id is None and outbound == "userAssignedNATGateway",
        outbound=outbound,
        pods=network.pods or PODS,
        services=str(services),
        dns=str(services[10]),
        isolated=outbound == "none",
    )


def _endpoints_in(cluster: Aks) -> str:
    network, asked = cluster.network, cluster.endpoints
    return (asked.subnet or network.subnets[0]) if asked and network.id and network.subnets else ""


def _outbound(cluster: Aks) -> Outbound:
    default = "none" if cluster.network.egress == "none" else "nat-gateway"
    return _OUTBOUND[cluster.outbound or default]


def network_notes(cluster: Aks) -> Iterator[str]:
    """What the network does that the stack file does not say."""
    network = network_of(cluster)
    if network.nat and cluster.network.egress == "nat-per-zone":
        yield "network: one NAT gateway for all zones: a subnet of Azure takes one, and agent pools span zones"
    if network.endpoints_id:
        yield (
            "network: private endpoints of what is made stand in the given network; Azure's zones that endpoints.zones "
            "does not name are made and linked to it, which fails where it resolves such a zone already"
        )
    if network.isolated:
        yield (
            "network: nodes reach nothing outside; AKS mirrors its own images, all others must come from a registry "
            "with a private endpoint in the network"
        )


def network_mistakes(cluster: Aks) -> Iterator[Mistake]:
    """Ids and ranges of the network that cannot be."""
    network, path = cluster.network, "espalier:cluster.network"
    if network.id is not None:
        yield from _given(cluster)
    elif network.subnets:
        do = "Add the network's id, or remove `subnets`."
        yield Mistake(f"{path}.subnets", f"{len(network.subnets)} without a network", "subnets of network.id", do)
    yield from _endpoints(cluster)
    yield from _egress(cluster)
    yield from _ranges(cluster)


def _given(cluster: Aks) -> Iterator[Mistake]:
    network, path = cluster.network, "espalier:cluster.network"
    if not is_a(network.id or "", NETWORKS):
        do = "Write the virtual network's resource id."
        yield Mistake(f"{path}.id", repr(network.id), f"/subscriptions/.../providers/{NETWORKS}/<name>", do)
        return
    if network.cidr is not None:
        yield Mistake(f"{path}.cidr", network.cidr, "nothing: a given network has its range", "Remove `cidr`.")
    if len(network.subnets) != 1:
        do = "Name the subnet that nodes stand in; pods have a range of their own."
        yield Mistake(f"{path}.subnets", f"{len(network.subnets)} subnets", "one subnet", do)
    for index, subnet in enumerate(network.subnets):
        if not subnet.lower().startswith(f"{network.id}/subnets/".lower()):
            do = "Write the subnet's resource id."
            yield Mistake(f"{path}.subnets[{index}]", repr(subnet), f"{network.id}/subnets/<name>", do)


def _endpoints(cluster: Aks) -> Iterator[Mistake]:
    asked, network, path = cluster.endpoints, cluster.network, "espalier:cluster.endpoints"
    if asked is None:
        return
    if cluster.given is not None or network.id is None:
        accepted = (
            "nothing beside `given`: only pools are added"
            if cluster.given is not None
            else "nothing: a network that is made has a subnet and zones for them"
        )
        yield Mistake(path, "private endpoints", accepted, "Remove it.")
        return
    if asked.subnet is not None and not asked.subnet.lower().startswith(f"{network.id}/subnets/".lower()):
        yield Mistake(f"{path}.subnet", repr(asked.subnet), f"{network.id}/subnets/<name>", "Name one of that network.")
    for key, zone in sorted(asked.zones.items()):
        domain = ZONES[_WORDS[key]]
        if not is_a(zone, DNS_ZONES) or name_of(zone).lower() != domain:
            accepted = f"{form_of(DNS_ZONES).removesuffix('<name>')}{domain}"
            yield Mistake(f"{path}.zones.{key}", repr(zone), accepted, "Write the resource id of that zone.")


def _egress(cluster: Aks) -> Iterator[Mistake]:
    out, egress = cluster.outbound, cluster.network.egress
    where = "espalier:cluster.outbound"
    if out == "user-defined" and cluster.network.id is None:
        do = "Give the network by its id, or remove `outbound`."
        yield Mistake(where, out, "user-defined with a given network, which has the routes", do)
    if out in ("nat-gateway", "load-balancer") and egress == "none":
        yield Mistake(where, out, "none, as network.egress says", "Remove `outbound`, or change network.egress.")
    if out == "none" and egress != "none":
        do = "Set network.egress: none, or remove `outbound`."
        yield Mistake("espalier:cluster.network.egress", egress, "none, as outbound says", do)
    if (out == "none" or egress == "none") and cluster.access is not None and cluster.access.via == "public":
        do = "Set access.via: network, or let nodes out."
        yield Mistake("espalier:cluster.access.via", "public", "a private API: nodes without egress reach no other", do)


def _ranges(cluster: Aks) -> Iterator[Mistake]:
    network, path = cluster.network, "espalier:cluster.network"
    whole = ipaddress.ip_network(network.cidr or RANGE)
    if whole.prefixlen > _LARGEST:
        do = "Write a larger range, such as 10.64.0.0/16."
        yield Mistake(f"{path}.cidr", str(whole), f"a range of /{_LARGEST} or larger", do)
    named = {"pods": network.pods or PODS, "services": network.services or SERVICES}
    ranges = named if network.id is not None else {"cidr": str(whole)} | named
    for (one, first), (other, second) in combinations(ranges.items(), 2):
        if ipaddress.ip_network(first).overlaps(ipaddress.ip_network(second)):
            do = "Move one of them."
            yield Mistake(f"{path}.{other}", second, f"a range apart from {one}, which is {first}", do)
    if ipaddress.ip_network(named["services"]).prefixlen > 28:
        yield Mistake(f"{path}.services", named["services"], "a range of /28 or larger", "Write a larger range.")


def room_mistakes(cluster: Aks, pools: Sequence[Wanted]) -> Iterator[Mistake]:
    """Ranges that cannot hold all nodes of all pools at their maxima, each with one spare.

    Nothing is said of ranges that have other mistakes: no network can be made of them.
    """
    if next(_ranges(cluster), None) is not None:
        return
    nodes = sum(one.pool.nodes.max * (len(one.pool.capacity) + len(one.alternatives)) + 1 for one in pools)
    network, path = network_of(cluster), "espalier:cluster.network"
    blocks = 2 ** max(_POD_BLOCK - ipaddress.ip_network(network.pods).prefixlen, 0)
    if nodes > blocks:
        do = "Write a larger range, or lower the pools' nodes.max."
        yield Mistake(f"{path}.pods", network.pods, f"a range for {nodes} nodes; each takes a /{_POD_BLOCK}", do)
    addresses = ipaddress.ip_network(network.nodes).num_addresses - _KEPT
    if not network.network_id and nodes > addresses:
        do = "Write a larger range, or lower the pools' nodes.max."
        yield Mistake(f"{path}.cidr", network.range, f"a range whose half holds {nodes} nodes", do)
