"""The cluster's network: one subnetwork with secondary ranges for pods and Services, made or given."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final

from espalier.blueprint.clouds.gke.model import GkeNetwork
from espalier.blueprint.clouds.gke.pools import DEFAULT_PODS
from espalier.blueprint.clouds.model import Wanted
from espalier.settings.gke import Gke
from espalier.types import Mistake

NODES: Final = "10.64.0.0/16"
PODS: Final = "100.64.0.0/14"
"""Shared address space (RFC 6598), which GKE takes for pods and which private networks seldom route."""
SERVICES: Final = "100.68.0.0/20"
_RANGES: Final = ("pods", "services")


def network_of(cluster: Gke) -> GkeNetwork:
    """The network of a cluster without mistakes. Cloud NAT serves a region: one for all zones."""
    block = cluster.network
    if block.id is not None:
        subnetwork = block.subnets[0] if block.subnets else ""
        return GkeNetwork(
            made=False,
            network=block.id,
            subnetwork=subnetwork,
            nodes=None,
            pods=None,
            services=None,
            pods_range=cluster.pods_range or _RANGES[0],
            services_range=cluster.services_range or _RANGES[1],
            nat=False,
        )
    return GkeNetwork(
        made=True,
        network=cluster.name,
        subnetwork=f"{cluster.name}-nodes",
        nodes=block.cidr or NODES,
        pods=block.pods or PODS,
        services=block.services or SERVICES,
        pods_range=_RANGES[0],
        services_range=_RANGES[1],
        nat=block.egress != "none",
    )


def network_mistakes(cluster: Gke) -> Iterator[Mistake]:
    """Networks that are both made and given, given without what GKE asks of them, or whose ranges collide."""
    if cluster.given is not None:
        return
    yield from _given(cluster) if cluster.network.id is not None else _made(cluster)
    if cluster.master_cidr and ipaddress.ip_network(cluster.master_cidr).prefixlen != 28:
        yield Mistake("espalier:cluster.master-cidr", cluster.master_cidr, "a /28", "Write one of 16 addresses.")


def _given(cluster: Gke) -> Iterator[Mistake]:
    path, block = "espalier:cluster.network", cluster.network
    for key, value in (("cidr", block.cidr), ("pods", block.pods), ("services", block.services)):
        if value is not None:
            do = "Remove it, or remove `id`."
            yield Mistake(f"{path}.{key}", value, "nothing: the given subnetwork has its ranges already", do)
    if len(block.subnets) != 1:
        accepted = "the one subnetwork of the region that nodes stand in"
        yield Mistake(f"{path}.subnets", str(len(block.subnets)), accepted, "Name it.")
    for key, value in (("pods-range", cluster.pods_range), ("services-range", cluster.services_range)):
        if value is None:
            accepted = "the name of the given subnetwork's secondary range"
            yield Mistake(f"espalier:cluster.{key}", "nothing", accepted, f"Add {key}: <name>.")


def _made(cluster: Gke) -> Iterator[Mistake]:
    block = cluster.network
    if block.subnets:
        do = "Add network.id, or remove `subnets`."
        yield Mistake("espalier:cluster.network.subnets", ", ".join(block.subnets), "subnets of a given network", do)
    for key, value in (("pods-range", cluster.pods_range), ("services-range", cluster.services_range)):
        if value is not None:
            do = "Remove it, or name a given network by network.id."
            yield Mistake(f"espalier:cluster.{key}", value, "a range of a given subnetwork", do)
    yield from _overlaps(cluster)


def _overlaps(cluster: Gke) -> Iterator[Mistake]:
    block = cluster.network
    ranges = [
        ("network.cidr", block.cidr or NODES),
        ("network.pods", block.pods or PODS),
        ("network.services", block.services or SERVICES),
        *((("master-cidr", cluster.master_cidr),) if cluster.master_cidr else ()),
    ]
    for index, (key, value) in enumerate(ranges):
        for other, taken in ranges[:index]:
            if ipaddress.ip_network(value).overlaps(ipaddress.ip_network(taken)):
                accepted = f"a range beside {other}, which is {taken}"
                yield Mistake(f"espalier:cluster.{key}", value, accepted, "Change one of the two.")


def room_mistakes(cluster: Gke, wanted: Sequence[Wanted]) -> Iterator[Mistake]:
    """Pools that need more pods' addresses than their range has: GKE gives each node twice its pods, a power of two.

    Source: GKE, "VPC-native clusters: IP address ranges" (110 pods a node: a /24).
    """
    if cluster.network.id is not None or cluster.given is not None:
        return
    pods = cluster.network.pods or PODS
    need = sum(one.pool.nodes.max * _addresses(one.pool.max_pods or DEFAULT_PODS) for one in wanted)
    has = ipaddress.ip_network(pods).num_addresses
    if need > has:
        prefix = 32 - (need - 1).bit_length()
        accepted = f"at least a /{prefix}: all pools at their maxima take {need} addresses, {pods} has {has}"
        do = "Widen it, or lower pools' nodes.max or max-pods."
        yield Mistake("espalier:cluster.network.pods", pods, accepted, do)
    nodes, most = cluster.network.cidr or NODES, sum(one.pool.nodes.max for one in wanted)
    room = ipaddress.ip_network(nodes).num_addresses - 4
    if most > room:
        accepted = f"at least {most} addresses: {nodes} has {room} for nodes"
        yield Mistake("espalier:cluster.network.cidr", nodes, accepted, "Widen it, or lower pools' nodes.max.")


def _addresses(pods: int) -> int:
    return 1 << (2 * pods - 1).bit_length()
