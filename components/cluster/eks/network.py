"""The network of an EKS cluster, as resources: a VPC with subnets, routes, NAT gateways and endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan
from espalier.blueprint.clouds.eks.network import GivenNetwork, MadeNetwork, Subnet

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A network that stands, made or given."""

    id: pulumi.Input[str]
    subnets: Mapping[str, pulumi.Input[str]]
    """Private subnet by zone."""
    pods: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    """Subnet that pods take addresses from, by zone; empty: the nodes' own."""
    ready: tuple[pulumi.Resource, ...] = ()
    """What nodes need to reach the world, or the cloud: routes and endpoints."""


def network(parent: pulumi.Resource, name: str, plan: EksPlan) -> Standing:
    """The plan's network."""
    if isinstance(plan.network, GivenNetwork):
        return Standing(id=plan.network.id, subnets=plan.network.subnets, pods=plan.network.pods)
    return _Made(parent, name, plan, plan.network).standing()


class _Made:
    """A network that is being made: names, tags and options that all its resources share."""

    def __init__(self, parent: pulumi.Resource, name: str, plan: EksPlan, network: MadeNetwork) -> None:
        self.name, self.plan, self.network = name, plan, network
        self.inside = pulumi.ResourceOptions(parent=parent)
        self.vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=network.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self.tags("vpc"),
            opts=self.inside,
        )
        # AWS makes it with every network, open within itself; here it lets nothing in or out.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default-security-group",
            vpc_id=self.vpc.id,
            ingress=[],
            egress=[],
            tags=self.tags("default-nothing"),
            opts=self.inside,
        )

    def tags(self, what: str, further: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**self.plan.tags, "Name": f"{self.plan.name}-{what}", **(further or {})}

    def after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(self.inside, pulumi.ResourceOptions(depends_on=list(resources)))

    def standing(self) -> Standing:
        private = {subnet.zone: self.subnet("private", subnet, self.vpc.id) for subnet in self.network.private}
        pods = self.pods()
        tables = {zone: self.table(f"private-{zone}") for zone in private}
        ready: list[pulumi.Resource] = self.ways_out(tables)
        for zone, subnet in private.items():
            ready.append(self.associate(f"private-{zone}", subnet, tables[zone]))
        for zone, subnet in pods.items():
            ready.append(self.associate(f"pods-{zone}", subnet, tables[zone]))
        ready += self.endpoints(private, tables)
        return Standing(
            id=self.vpc.id,
            subnets={zone: subnet.id for zone, subnet in private.items()},
            pods={zone: subnet.id for zone, subnet in pods.items()},
            ready=tuple(ready),
        )

    def subnet(self, kind: str, subnet: Subnet, vpc_id: pulumi.Input[str]) -> aws.ec2.Subnet:
        return aws.ec2.Subnet(
            f"{self.name}-subnet-{kind}-{subnet.zone}",
            vpc_id=vpc_id,
            availability_zone=subnet.zone,
            cidr_block=subnet.cidr,
            map_public_ip_on_launch=False,
            tags=self.tags(f"{kind}-{subnet.zone}", subnet.tags),
            opts=self.inside,
        )

    def pods(self) -> dict[str, aws.ec2.Subnet]:
        if self.network.pods_cidr is None:
            return {}
        second = aws.ec2.VpcIpv4CidrBlockAssociation(
            f"{self.name}-vpc-pods", vpc_id=self.vpc.id, cidr_block=self.network.pods_cidr, opts=self.inside
        )
        return {subnet.zone: self.subnet("pods", subnet, second.vpc_id) for subnet in self.network.pods}

    def table(self, what: str) -> aws.ec2.RouteTable:
        return aws.ec2.RouteTable(
            f"{self.name}-routes-{what}", vpc_id=self.vpc.id, tags=self.tags(what), opts=self.inside
        )

    def associate(self, what: str, subnet: aws.ec2.Subnet, table: aws.ec2.RouteTable) -> pulumi.Resource:
        return aws.ec2.RouteTableAssociation(
            f"{self.name}-routes-of-{what}", subnet_id=subnet.id, route_table_id=table.id, opts=self.inside
        )

    def ways_out(self, private: Mapping[str, aws.ec2.RouteTable]) -> list[pulumi.Resource]:
        """NAT gateways in public subnets, and the private subnets' routes to them."""
        if not self.network.public:
            return []
        gateway = aws.ec2.InternetGateway(
            f"{self.name}-internet", vpc_id=self.vpc.id, tags=self.tags("internet"), opts=self.inside
        )
        public = {subnet.zone: self.subnet("public", subnet, self.vpc.id) for subnet in self.network.public}
        table = self.table("public")
        out = aws.ec2.Route(
            f"{self.name}-route-public",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=self.inside,
        )
        open_ = [out, *(self.associate(f"public-{zone}", subnet, table) for zone, subnet in public.items())]
        nats = {zone: self.nat(zone, public[zone], open_) for zone in self.network.nat_zones}
        return [
            aws.ec2.Route(
                f"{self.name}-route-private-{zone}",
                route_table_id=private[zone].id,
                destination_cidr_block=ANYWHERE,
                nat_gateway_id=nats[by].id,
                opts=self.inside,
            )
            for zone, by in self.network.nat_of.items()
        ]

    def nat(self, zone: str, subnet: aws.ec2.Subnet, open_: list[pulumi.Resource]) -> aws.ec2.NatGateway:
        """A gateway whose address, and so itself, waits for the public subnets' way out."""
        address = aws.ec2.Eip(
            f"{self.name}-nat-address-{zone}", domain="vpc", tags=self.tags(f"nat-{zone}"), opts=self.after(*open_)
        )
        return aws.ec2.NatGateway(
            f"{self.name}-nat-{zone}",
            subnet_id=subnet.id,
            allocation_id=address.id,
            tags=self.tags(f"nat-{zone}"),
            opts=self.inside,
        )

    def endpoints(
        self, private: Mapping[str, aws.ec2.Subnet], tables: Mapping[str, aws.ec2.RouteTable]
    ) -> list[pulumi.Resource]:
        made: list[pulumi.Resource] = [
            aws.ec2.VpcEndpoint(
                f"{self.name}-endpoint-{short}",
                vpc_id=self.vpc.id,
                service_name=service,
                vpc_endpoint_type="Gateway",
                route_table_ids=[table.id for table in tables.values()],
                tags=self.tags(f"endpoint-{short}"),
                opts=self.inside,
            )
            for short, service in self.network.gateway_endpoints.items()
        ]
        if not self.network.endpoints:
            return made
        group = self.endpoint_group()
        for short, service in self.network.endpoints.items():
            made.append(
                aws.ec2.VpcEndpoint(
                    f"{self.name}-endpoint-{short}",
                    vpc_id=self.vpc.id,
                    service_name=service,
                    vpc_endpoint_type="Interface",
                    subnet_ids=[subnet.id for subnet in private.values()],
                    security_group_ids=[group.id],
                    private_dns_enabled=True,
                    tags=self.tags(f"endpoint-{short}"),
                    opts=self.inside,
                )
            )
        return made

    def endpoint_group(self) -> aws.ec2.SecurityGroup:
        group = aws.ec2.SecurityGroup(
            f"{self.name}-endpoints",
            description=f"What lives in {self.plan.name} reaches the cloud's endpoints",
            vpc_id=self.vpc.id,
            tags=self.tags("endpoints"),
            opts=self.inside,
        )
        for number, cidr in enumerate(self.network.inside):
            aws.vpc.SecurityGroupIngressRule(
                f"{self.name}-endpoints-in-{'pods' if number else 'network'}",
                security_group_id=group.id,
                cidr_ipv4=cidr,
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                tags=dict(self.plan.tags),
                opts=self.inside,
            )
        return group
