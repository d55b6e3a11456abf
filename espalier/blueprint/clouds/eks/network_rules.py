"""What AWS cannot do of a cluster's network: ranges, their sizes and overlaps, and ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from itertools import combinations
from typing import Final

from espalier.blueprint.clouds.eks.network import BLOCKS, CIDR, SERVICES, blocks
from espalier.blueprint.clouds.eks.zones import chosen
from espalier.blueprint.clouds.model import Wanted
from espalier.settings.eks import Eks
from espalier.types import Mistake

AT: Final = "espalier:cluster.network"
PRIVATE: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
SHARED: Final = IPv4Network("100.64.0.0/10")
DOCKER: Final = IPv4Network("172.17.0.0/16")
"""Docker's own bridge, which shadows a network of the same range (EKS user guide, network requirements)."""
PREFIXES: Final = (16, 21)
"""Lengths of a network's range: a VPC is /16 at most, and below /21 a zone would have fewer than 256 addresses."""
SERVICE_PREFIXES: Final = (12, 24)
"""EKS API, KubernetesNetworkConfigRequest.serviceIpv4Cidr."""
RESERVED: Final = 5
"""Addresses of each subnet that AWS keeps (VPC user guide, subnet sizing)."""
A_NODE: Final = 1 + 2 * 16
"""Addresses that a node takes at least: its own, and two prefixes (the one in use and the warm one)."""
_VPC: Final = re.compile(r"vpc-[0-9a-f]{8,17}")
_SUBNET: Final = re.compile(r"subnet-[0-9a-f]{8,17}")


def made_network_mistakes(cluster: Eks) -> Iterator[Mistake]:
    """Of a network that Espalier makes."""
    network = cluster.network
    if network.subnets:
        do = "Add network.id, the VPC that they are in; or remove them."
        yield Mistake(f"{AT}.subnets", f"{len(network.subnets)} subnets", "nothing without network.id", do)
    if cluster.pod_subnets:
        do = "Remove them: network.pods is the range of pods in a network that is made."
        yield Mistake("espalier:cluster.pod-subnets", "subnets", "nothing without network.id", do)
    yield from _cidr(network.cidr)
    yield from _pods(network.pods)
    yield from _services(network.services)
    yield from _overlaps(
        {"cidr": network.cidr or CIDR, "pods": network.pods, "services": network.services, "": str(DOCKER)}
    )


def _cidr(cidr: str | None) -> Iterator[Mistake]:
    if cidr is None:
        return
    range_ = IPv4Network(cidr)
    low, high = PREFIXES
    if not any(range_.subnet_of(one) for one in (*PRIVATE, SHARED)):
        accepted = ", ".join(map(str, (*PRIVATE, SHARED)))
        yield Mistake(f"{AT}.cidr", cidr, f"a private range, within {accepted}", f"Choose one, such as {CIDR}.")
    if not low <= range_.prefixlen <= high:
        each = 2 ** (32 - high - BLOCKS)
        accepted = f"/{low} to /{high}: it is cut into {2**BLOCKS} blocks, one a zone of at least {each} addresses"
        yield Mistake(f"{AT}.cidr", cidr, accepted, f"Choose another, such as {CIDR}.")


def _pods(cidr: str | None) -> Iterator[Mistake]:
    if cidr is None:
        return
    range_ = IPv4Network(cidr)
    low, high = PREFIXES
    if not range_.subnet_of(SHARED) or not low <= range_.prefixlen <= high:
        accepted = f"a second range of the VPC, /{low} to /{high} within {SHARED}, which no other network routes"
        yield Mistake(f"{AT}.pods", cidr, accepted, "Choose one, such as 100.64.0.0/16; or remove it.")


def _services(cidr: str | None) -> Iterator[Mistake]:
    if cidr is None:
        return
    range_ = IPv4Network(cidr)
    low, high = SERVICE_PREFIXES
    if not any(range_.subnet_of(one) for one in PRIVATE) or not low <= range_.prefixlen <= high:
        accepted = f"/{low} to /{high} within {', '.join(map(str, PRIVATE))}"
        yield Mistake(f"{AT}.services", cidr, accepted, f"Choose one, such as {SERVICES[0]}; or remove it.")


def _overlaps(ranges: Mapping[str, str | None]) -> Iterator[Mistake]:
    """Two ranges that overlap; the last named is told, and one without a key is Docker's."""
    known = [(key, IPv4Network(cidr)) for key, cidr in ranges.items() if cidr]
    for (first, one), (second, other) in combinations(known, 2):
        if one.overlaps(other):
            key, got = (second, other) if second else (first, one)
            what = f"network.{first}, {one}" if second else f"{other}, which container runtimes use themselves"
            yield Mistake(f"{AT}.{key}", str(got), f"a range that does not overlap {what}", "Choose another.")


def given_network_mistakes(cluster: Eks) -> Iterator[Mistake]:
    """Of a network that is there. Its ranges are not known here: the account knows, and preflight asks it."""
    network, path = cluster.network, "espalier:cluster"
    if network.id and not _VPC.fullmatch(network.id):
        yield Mistake(f"{AT}.id", repr(network.id), "a VPC's id, such as vpc-0a1b2c3d4e5f60718", "Correct it.")
    for key in ("cidr", "pods", "egress"):
        if key in network.model_fields_set and getattr(network, key) is not None:
            do = "Remove it, or remove network.id, and Espalier makes a network."
            if key == "pods":
                do = "Remove it, and name the subnets that pods take addresses from under pod-subnets."
            yield Mistake(f"{AT}.{key}", str(getattr(network, key)), "nothing beside network.id", do)
    if cluster.zones is None:
        do = "Add `zones`, one for each of network.subnets, in their order: a pool's zones choose among them."
        yield Mistake(f"{path}.zones", "nothing beside network.id", "the zones of the subnets", do)
        return
    if network.services:
        yield from _services(network.services)
    yield from _one_a_zone(f"{AT}.subnets", network.subnets, chosen(cluster.region, cluster.zones))
    if cluster.pod_subnets:
        yield from _one_a_zone(f"{path}.pod-subnets", cluster.pod_subnets, chosen(cluster.region, cluster.zones))


def _one_a_zone(path: str, subnets: Sequence[str], named: Sequence[str]) -> Iterator[Mistake]:
    if len(subnets) != len(named):
        accepted = f"{len(named)}, one private subnet for each of {', '.join(named)}, in their order"
        yield Mistake(path, f"{len(subnets)} subnets", accepted, "Name one for each zone.")
    for index, subnet in enumerate(subnets):
        if not _SUBNET.fullmatch(subnet):
            accepted = "a subnet's id, such as subnet-0a1b2c3d4e5f60718"
            yield Mistake(f"{path}[{index}]", repr(subnet), accepted, "Correct it.")
        elif subnet in subnets[:index]:
            yield Mistake(f"{path}[{index}]", f"{subnet} a second time", "each subnet once", "Name another.")


def room_mistakes(cluster: Eks, wanted: Sequence[Wanted]) -> Iterator[Mistake]:
    """More nodes at most than the subnets have addresses for. Nothing is said of what has other mistakes."""
    key = "pods" if cluster.network.pods else "cidr"
    range_ = IPv4Network(cluster.network.pods or cluster.network.cidr or CIDR)
    named = chosen(cluster.region, cluster.zones)
    if not named or not PREFIXES[0] <= range_.prefixlen <= PREFIXES[1]:
        return
    each = blocks(str(range_))[0].num_addresses - RESERVED
    room = len(named) * (each // A_NODE)
    nodes = sum(one.pool.nodes.max for one in wanted)
    if nodes > room:
        got = f"{range_}, and pools of {nodes} nodes at most"
        accepted = (
            f"room for them: it has {each} addresses in each of {len(named)} zones, and a node takes at least {A_NODE}"
        )
        do = "Widen it, add zones, or set network.pods: 100.64.0.0/16." if key == "cidr" else "Widen it, or add zones."
        yield Mistake(f"{AT}.{key}", got, f"{accepted}: {room} nodes", do)
