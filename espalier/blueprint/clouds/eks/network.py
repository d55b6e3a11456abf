"""The network of an EKS cluster: made, or given by its ids. All arithmetic with ranges is here."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from espalier.blueprint.clouds.eks.zones import chosen, zones
from espalier.settings.eks import Eks

CIDR: Final = "10.64.0.0/16"
SERVICES: Final = ("172.20.0.0/16", "10.100.0.0/16")
"""Ranges of Services: the first that the network does not overlap (EKS itself chooses between these two)."""
BLOCKS: Final = 3
"""A network is cut into 2 ** 3 equal blocks: one for each of at most six zones, and the last for public subnets. So a
zone that is added later moves no subnet."""
ENDPOINTS: Final = (
    "autoscaling",
    "ec2",
    "ec2messages",
    "ecr.api",
    "ecr.dkr",
    "eks",
    "eks-auth",
    "elasticloadbalancing",
    "kms",
    "logs",
    "ssm",
    "ssmmessages",
    "sts",
)
"""Interface endpoints of a network without a way out (EKS user guide, private clusters; autoscaling for
cluster-autoscaler, eks-auth for Pod Identity, kms for encrypted disks, the three of ssm for Session Manager)."""
_OF_STORAGE: Final = {"efs": ("elasticfilesystem",), "fsx-lustre": ("fsx",)}
_OF_AUTOSCALER: Final = {"karpenter": ("sqs",)}

Egress = Literal["nat", "nat-per-zone", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A subnet in one zone, with its tags besides those of everything."""

    zone: str
    cidr: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeNetwork:
    """A VPC with private subnets for nodes; public ones only where NAT gateways stand."""

    cidr: str
    private: tuple[Subnet, ...]
    public: tuple[Subnet, ...]
    """Where NAT gateways and public load balancers stand; none without egress."""
    pods_cidr: str | None
    """A second range of the VPC that pods take addresses from; None: the private subnets'."""
    pods: tuple[Subnet, ...]
    nat_zones: tuple[str, ...]
    """Zones with a NAT gateway."""
    nat_of: Mapping[str, str]
    """Zone -> the zone whose NAT gateway its private subnets leave by."""
    endpoints: Mapping[str, str]
    """Interface endpoints: short name -> AWS's service name."""
    gateway_endpoints: Mapping[str, str]
    """Gateway endpoints, which cost nothing: short name -> AWS's service name."""

    @property
    def inside(self) -> tuple[str, ...]:
        """The ranges of all that lives in it."""
        return (self.cidr, *((self.pods_cidr,) if self.pods_cidr else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenNetwork:
    """A VPC that is there, with one private subnet a zone."""

    id: str
    subnets: Mapping[str, str]
    """Zone -> subnet's id."""
    pods: Mapping[str, str] = field(default_factory=dict[str, str])
    """Zone -> id of the subnet that its pods take addresses from; empty: the nodes' own."""


AnyNetwork = MadeNetwork | GivenNetwork


def network_of(cluster: Eks) -> AnyNetwork:
    """The network of a cluster block without mistakes."""
    named = chosen(cluster.region, cluster.zones)
    if cluster.network.id is not None:
        return GivenNetwork(
            id=cluster.network.id,
            subnets=dict(zip(named, cluster.network.subnets, strict=True)),
            pods=dict(zip(named, cluster.pod_subnets, strict=True)) if cluster.pod_subnets else {},
        )
    cidr = cluster.network.cidr or CIDR
    egress = cluster.network.egress
    nat_zones = {"nat": named[:1], "nat-per-zone": named, "none": ()}[egress]
    return MadeNetwork(
        cidr=cidr,
        private=_subnets(cluster, cidr, named, {"kubernetes.io/role/internal-elb": "1", **discovery_of(cluster)}),
        public=() if egress == "none" else _public(cluster, cidr, named),
        pods_cidr=cluster.network.pods,
        pods=_subnets(cluster, cluster.network.pods, named, {}) if cluster.network.pods else (),
        nat_zones=nat_zones,
        nat_of={zone: zone if zone in nat_zones else nat_zones[0] for zone in named} if nat_zones else {},
        endpoints=_endpoints(cluster) if egress == "none" else {},
        gateway_endpoints={"s3": f"com.amazonaws.{cluster.region}.s3"},
    )


def discovery_of(cluster: Eks) -> dict[str, str]:
    """What Karpenter finds the cluster's subnets and security group by."""
    return {"karpenter.sh/discovery": cluster.name} if cluster.autoscaler == "karpenter" else {}


def place_of(region: str, zone: str, named: tuple[str, ...]) -> int:
    """The number of a zone's block: its place among its region's zones, so that no other zone's block depends on it."""
    known = zones(region)
    return known.index(zone) if known and zone in known else named.index(zone)


def blocks(cidr: str) -> list[ipaddress.IPv4Network]:
    """The equal blocks of a network, in order: one for each zone, the last for public subnets."""
    return list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=BLOCKS))


def services_of(cluster: Eks) -> str:
    """The range of Services: as asked for, or the first of EKS's two that the network does not overlap."""
    if cluster.network.services:
        return cluster.network.services
    inside = ipaddress.IPv4Network(cluster.network.cidr or CIDR)
    return next(range_ for range_ in SERVICES if not inside.overlaps(ipaddress.IPv4Network(range_)))


def _subnets(cluster: Eks, cidr: str, named: tuple[str, ...], tags: Mapping[str, str]) -> tuple[Subnet, ...]:
    cut = blocks(cidr)
    return tuple(
        Subnet(zone=zone, cidr=str(cut[place_of(cluster.region, zone, named)]), tags=dict(tags)) for zone in named
    )


def _public(cluster: Eks, cidr: str, named: tuple[str, ...]) -> tuple[Subnet, ...]:
    return _subnets(cluster, str(blocks(cidr)[-1]), named, {"kubernetes.io/role/elb": "1"})


def _endpoints(cluster: Eks) -> dict[str, str]:
    storage = _OF_STORAGE.get(cluster.storage.type, ()) if cluster.storage else ()
    names = {*ENDPOINTS, *storage, *_OF_AUTOSCALER.get(cluster.autoscaler or "", ())}
    return {name: f"com.amazonaws.{cluster.region}.{name}" for name in sorted(names)}
