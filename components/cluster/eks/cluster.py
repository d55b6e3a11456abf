"""A cluster of Amazon EKS, as a component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan
from espalier.blueprint.clouds.eks.identities import RoleKey
from espalier.blueprint.clouds.eks.plan import GivenControlPlane
from espalier.blueprint.clouds.model import CloudPlan
from espalier.components.cluster.eks.addons import addons
from espalier.components.cluster.eks.control_plane import Api, control_plane, given
from espalier.components.cluster.eks.folders import folders
from espalier.components.cluster.eks.ground import Ground
from espalier.components.cluster.eks.identities import Identity, access, identities, key, node_profile, pod_identities
from espalier.components.cluster.eks.identity_provider import identity_provider
from espalier.components.cluster.eks.image_cache import image_cache
from espalier.components.cluster.eks.interruptions import interruptions
from espalier.components.cluster.eks.kubeconfig import kubeconfig
from espalier.components.cluster.eks.network import Standing, network
from espalier.components.cluster.eks.node_groups import node_groups, placement_groups
from espalier.components.cluster.eks.parts import parts
from espalier.components.cluster.eks.storage import file_system, storage_classes
from espalier.components.cluster.provider import provider_for


class EksCluster(pulumi.ComponentResource):
    """The cluster with its network, identities, add-ons and node groups; or node groups for one that is there."""

    provider: pulumi.ProviderResource
    kubeconfig: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    oidc_issuer: pulumi.Output[str]
    parts: Mapping[str, pulumi.Output[Any]]
    accounts: Mapping[str, Mapping[str, pulumi.Output[str]]]

    @classmethod
    def planned(cls, name: str, plan: CloudPlan, opts: pulumi.ResourceOptions) -> EksCluster:
        """A cluster that the blueprint has compiled already."""
        assert isinstance(plan, EksPlan)  # noqa: S101 - its own compiler's
        self = cls.__new__(cls)
        self._register(name, plan, opts)
        return self

    def _register(self, name: str, plan: EksPlan, opts: pulumi.ResourceOptions) -> None:
        # Made before the component, whose children inherit it: they go to the plan's region and account, wherever the
        # deployer's own configuration points.
        cloud = aws.Provider(
            f"{name}-aws",
            region=plan.region,
            allowed_account_ids=[plan.account] if plan.account else None,
            opts=pulumi.ResourceOptions(parent=opts.parent),
        )
        inherited = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=[cloud]))
        super().__init__("espalier:index:EksCluster", name, {}, inherited)
        self.accounts = {}
        standing = network(self, name, plan)
        roles = identities(self, name, plan)
        api = self._api(name, plan, standing, roles)
        granted = access(self, name, plan, api.name)
        first = [addon for addon in plan.addons if addon.before_nodes]
        ready = addons(self, name, plan, first, api.name, roles, standing.pods, [])
        disks = key(self, f"{name}-key-disks", plan, plan.disk_key, "Disks") if plan.disk_key else None
        ground = Ground(
            cluster_name=api.name,
            endpoint=api.endpoint,
            certificate=api.certificate_authority,
            network_id=standing.id,
            subnets=standing.subnets,
            security_group=api.security_group,
            node_role=roles["nodes"].arn,
            disk_key=disks.arn if disks else None,
            after=(*standing.ready, *roles["nodes"].rights, *ready, *image_cache(self, name, plan)),
        )
        system = node_groups(self, name, plan, ground, plan.managed(system=True))
        later = [addon for addon in plan.addons if not addon.before_nodes]
        running = addons(self, name, plan, later, api.name, roles, standing.pods, [*ready, *system])
        # An upgrade takes DNS and volumes' drivers before all other pools, and a removal after them.
        others = node_groups(self, name, plan, ground.later_than(running), plan.managed(system=False))
        identity_provider(self, name, plan, api.name, [*running, *others])
        associated = pod_identities(self, name, plan, roles, api.name)
        # What Karpenter and its NodeClasses name without an output of it.
        named = [*interruptions(self, name, plan), *node_profile(self, name, plan, roles["nodes"])]
        named += disks.rights if disks else ()
        filled = file_system(self, name, plan, ground)
        self.parts = parts(self, name, plan, ground.disk_key, standing.id).outputs(plan.parts)
        folders(self, name, plan, api.name)
        placed = placement_groups(self, name, plan)
        self._reach(name, plan, api, [*granted, *api.doors, *system, *running, *associated, *placed, *named])
        storage_classes(self, name, plan, filled, self.provider)
        self.register_outputs(
            {
                "kubeconfig": self.kubeconfig,
                "endpoint": self.endpoint,
                "certificate_authority": self.certificate_authority,
                "oidc_issuer": self.oidc_issuer,
                **self.parts,
            }
        )

    def _api(self, name: str, plan: EksPlan, standing: Standing, roles: Mapping[RoleKey, Identity]) -> Api:
        if isinstance(plan.control, GivenControlPlane):
            return given(plan, plan.control)
        secrets = key(self, f"{name}-key-secrets", plan, plan.control.secrets_key, "Secrets")
        return control_plane(self, name, plan, plan.control, standing, roles["cluster"], secrets)

    def _reach(self, name: str, plan: EksPlan, api: Api, after: list[pulumi.Resource]) -> None:
        """The way into the cluster, which opens once someone is let in and something runs there."""
        self.endpoint = api.endpoint
        self.certificate_authority = api.certificate_authority
        self.oidc_issuer = api.issuer
        self.kubeconfig = pulumi.Output.secret(kubeconfig(plan, api.endpoint, api.certificate_authority))
        self.provider = provider_for(
            self,
            name,
            kubeconfig=self.kubeconfig,
            context=plan.name,
            identifier=f"eks/{plan.region}/{plan.name}",
            after=after,
        )
