"""A cluster of Amazon EKS, as a component."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan
from espalier.blueprint.clouds.model import CloudPlan
from espalier.components.cluster.eks.ground import Ground
from espalier.components.cluster.eks.node_groups import node_groups
from espalier.components.cluster.provider import provider_for


class EksCluster(pulumi.ComponentResource):
    """The cluster with its network, identities, add-ons and node groups."""

    provider: pulumi.ProviderResource
    kubeconfig: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    oidc_issuer: pulumi.Output[str]

    @classmethod
    def planned(cls, name: str, plan: CloudPlan, opts: pulumi.ResourceOptions) -> EksCluster:
        """A cluster that the blueprint has compiled already."""
        assert isinstance(plan, EksPlan)  # noqa: S101 - its own compiler's
        self = cls.__new__(cls)
        self._register(name, plan, opts)
        return self

    def _register(self, name: str, plan: EksPlan, opts: pulumi.ResourceOptions) -> None:
        super().__init__("espalier:index:EksCluster", name, {}, opts)
        inside = pulumi.ResourceOptions(parent=self)
        cluster = aws.eks.Cluster(
            f"{name}-control-plane",
            name=plan.name,
            version=plan.version,
            role_arn="arn:aws:iam::123456789012:role/eks",
            vpc_config={"subnet_ids": [], "endpoint_private_access": True, "endpoint_public_access": False},
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False},
            opts=inside,
        )
        ground = Ground(
            cluster_name=cluster.name,
            network_id="vpc-0",
            subnets=dict.fromkeys(plan.zones, ""),
            security_group="sg-0",
            node_role="arn:aws:iam::123456789012:role/node",
            disk_key=None,
            after=(),
        )
        groups = node_groups(self, name, plan, ground)
        self.endpoint = cluster.endpoint
        self.certificate_authority = cluster.certificate_authority.apply(lambda found: found.data or "")
        self.kubeconfig = pulumi.Output.secret(_kubeconfig(plan, self.endpoint, self.certificate_authority))
        self.provider = provider_for(
            self,
            name,
            kubeconfig=self.kubeconfig,
            context=plan.name,
            identifier=f"eks/{plan.region}/{plan.name}",
            after=groups[:1],
        )
        self.register_outputs({"endpoint": self.endpoint, "kubeconfig": self.kubeconfig})


def _kubeconfig(plan: EksPlan, endpoint: pulumi.Output[str], authority: pulumi.Output[str]) -> pulumi.Output[str]:
    def text(found: dict[str, Any]) -> str:
        return json.dumps({"server": found["endpoint"], "ca": found["authority"], "cluster": plan.name})

    return pulumi.Output.all(endpoint=endpoint, authority=authority).apply(text)
