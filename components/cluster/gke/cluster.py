"""A cluster of Google Kubernetes Engine, as a component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from espalier.blueprint.clouds.gke import GkePlan
from espalier.blueprint.clouds.model import CloudPlan
from espalier.components.cluster.gke.access import admins, kubeconfig
from espalier.components.cluster.gke.apis import switch_on
from espalier.components.cluster.gke.control_plane import Reached, control_plane
from espalier.components.cluster.gke.folders import folders
from espalier.components.cluster.gke.identities import node_account
from espalier.components.cluster.gke.keys import Keys, keys_of
from espalier.components.cluster.gke.network import Place, place_of
from espalier.components.cluster.gke.node_pools import NodePools
from espalier.components.cluster.gke.parts import parts_of
from espalier.components.cluster.provider import provider_for
from espalier.components.objects import register


class GkeCluster(pulumi.ComponentResource):
    """The cluster with its network, identities, keys and node pools; of a given cluster, the node pools alone."""

    provider: pulumi.ProviderResource
    kubeconfig: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    oidc_issuer: pulumi.Output[str]
    parts: Mapping[str, pulumi.Output[Any]]
    accounts: Mapping[str, Mapping[str, pulumi.Output[str]]]

    @classmethod
    def planned(cls, name: str, plan: CloudPlan, opts: pulumi.ResourceOptions) -> GkeCluster:
        """A cluster that the blueprint has compiled already."""
        assert isinstance(plan, GkePlan)  # noqa: S101 - its own compiler's
        self = cls.__new__(cls)
        self._register(name, plan, opts)
        return self

    def _register(self, name: str, plan: GkePlan, opts: pulumi.ResourceOptions) -> None:
        super().__init__("espalier:index:GkeCluster", name, {}, opts)
        self.accounts = {}
        inside = pulumi.ResourceOptions(parent=self)
        apis = switch_on(name, plan, inside)
        after = pulumi.ResourceOptions(parent=self, depends_on=apis)
        account = node_account(name, plan, after)
        if plan.given is None:
            keys, place = keys_of(name, plan, after), place_of(name, plan, after)
            reached = control_plane(name, plan, keys, place, account, after)
        else:
            keys, place = Keys.given(plan), Place.given(plan)
            reached = Reached.given(plan, plan.given)
        beside = parts_of(name, plan, keys, place, account, after)
        self.parts = beside.outputs(plan.parts)
        pools = NodePools(name, plan, reached, keys, place, account, inside)
        # The project has its pool of identities once it has a cluster that uses it.
        folders(name, plan, beside.buckets, pulumi.ResourceOptions(parent=self, depends_on=list(reached.ready)))
        granted = admins(name, plan, inside)
        self._reach(name, plan, reached, [*granted, *reached.ready, *pools.system])
        if plan.objects:
            register(self, name, plan.objects, self.provider)
        for pool, planned in plan.classes.items():
            register(self, name, [planned], self.provider, after=pools.of[pool])
        self.register_outputs(
            {
                "endpoint": self.endpoint,
                "certificate_authority": self.certificate_authority,
                "oidc_issuer": self.oidc_issuer,
                "kubeconfig": self.kubeconfig,
                **self.parts,
            }
        )

    def _reach(self, name: str, plan: GkePlan, reached: Reached, after: list[pulumi.Resource]) -> None:
        """What lives in the cluster comes after the rights in it and after its first nodes, and goes before them."""
        self.endpoint = reached.endpoint
        self.certificate_authority = reached.certificate
        self.oidc_issuer = pulumi.Output.from_input(plan.oidc_issuer)
        self.kubeconfig = pulumi.Output.secret(kubeconfig(plan, self.endpoint, self.certificate_authority))
        self.provider = provider_for(
            self,
            name,
            kubeconfig=self.kubeconfig,
            context=plan.name,
            identifier=plan.path,
            after=after,
        )
