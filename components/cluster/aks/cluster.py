"""A cluster of Azure Kubernetes Service, as a component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_azure_native as azure_native
from pulumi_azure_native import containerservice, managedidentity, resources

from espalier.blueprint.clouds.aks import AksNodeGroup, AksPlan
from espalier.blueprint.clouds.aks.model import AksGiven
from espalier.blueprint.clouds.model import CloudPlan
from espalier.components.cluster.aks import guard
from espalier.components.cluster.aks.azure import Azure
from espalier.components.cluster.aks.control_plane import control_plane, logs, maintenance
from espalier.components.cluster.aks.files import files_of
from espalier.components.cluster.aks.folders import folders
from espalier.components.cluster.aks.keys import DiskKeys, disk_keys, secrets_key
from espalier.components.cluster.aks.kubeconfig import authority_of, kubeconfig
from espalier.components.cluster.aks.network import network_of
from espalier.components.cluster.aks.objects import disk_class, priorities, storage_class
from espalier.components.cluster.aks.parts import parts_of
from espalier.components.cluster.aks.pools import agent_pool
from espalier.components.cluster.aks.roles import assign
from espalier.components.cluster.provider import provider_for
from espalier.components.objects import register
from espalier.types import Planned


class AksCluster(pulumi.ComponentResource):
    """The cluster with its network, identity, keys and agent pools; or only agent pools of a given cluster."""

    provider: pulumi.ProviderResource
    kubeconfig: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    oidc_issuer: pulumi.Output[str]
    parts: Mapping[str, pulumi.Output[Any]]
    accounts: Mapping[str, Mapping[str, pulumi.Output[str]]]

    @classmethod
    def planned(cls, name: str, plan: CloudPlan, opts: pulumi.ResourceOptions) -> AksCluster:
        """A cluster that the blueprint has compiled already."""
        assert isinstance(plan, AksPlan)  # noqa: S101 - its own compiler's
        self = cls.__new__(cls)
        self._register(name, plan, opts)
        return self

    def _register(self, name: str, plan: AksPlan, opts: pulumi.ResourceOptions) -> None:
        super().__init__("espalier:index:AksCluster", name, {}, opts)
        self.accounts = {}
        provider = _subscription(self, name, plan)
        azure = Azure(self, name, plan.resource_group, plan.region, plan.tags, provider, plan.subscription)
        if plan.given is None:
            after, disks = self._made(azure, plan)
        else:
            after, disks = self._added(azure, plan, plan.given), None
        text = kubeconfig(plan, self.endpoint, self.certificate_authority)
        self.kubeconfig = pulumi.Output.secret(text)
        self.provider = provider_for(
            self,
            name,
            kubeconfig=self.kubeconfig,
            context=plan.name,
            identifier=f"aks/{plan.region}/{plan.resource_group}/{plan.name}",
            after=after,
        )
        register(self, name, _objects(plan, disks), self.provider)
        self.register_outputs(
            {
                "endpoint": self.endpoint,
                "certificate_authority": self.certificate_authority,
                "oidc_issuer": self.oidc_issuer,
                "kubeconfig": self.kubeconfig,
                **self.parts,
            }
        )

    def _made(self, azure: Azure, plan: AksPlan) -> tuple[list[pulumi.Resource], pulumi.Input[str] | None]:
        """All of a cluster; returns what its objects come after, and the id of its disk encryption set."""
        azure, group = _group(azure, plan)
        inside = network_of(azure, plan)
        locked: dict[str, pulumi.Input[str]] = {"network": inside.made.id} if inside.made else {}
        scopes: dict[str, pulumi.Input[str]] = {"network": inside.id, "subnet": inside.nodes}
        identity, principals, tenant = _identity(azure, plan)
        disks: pulumi.Input[str] | None = plan.keys.disk_set or None
        after: list[pulumi.Resource] = []
        keys: DiskKeys | None = None
        if plan.keys.vault:
            keys = disk_keys(azure, plan, tenant)
            disks, locked["vault"] = keys.id, keys.vault.id
            after.append(keys.granted)
        secrets: pulumi.Input[str] | None = plan.keys.etcd_key or None
        if plan.keys.secrets_vault:
            made = secrets_key(azure, plan, tenant)
            secrets, scopes["secrets-vault"], locked["secrets-vault"] = made.url, made.vault.id, made.vault.id
        stores: list[pulumi.Resource] = []
        if plan.files and not plan.files.group:
            account = files_of(azure, plan, plan.files, inside)
            scopes["files"] = account.id
            stores.append(account)
        scopes["disks"] = disks or ""
        beside = parts_of(azure, plan, inside, keys)
        self.parts = beside.beside.outputs(plan.parts)
        early = [role for role in plan.roles if role.principal == "control-plane"]
        after += assign(azure, early, scopes, principals)
        groups = [item for item in plan.groups if isinstance(item, AksNodeGroup)]
        first = next(item for item in groups if item.inline)
        cluster = control_plane(
            azure, plan, first, subnet=inside.nodes, identity=identity, disks=disks, secrets=secrets, after=after
        )
        late = [role for role in plan.roles if role.principal != "control-plane"]
        granted = assign(azure, late, {"cluster": cluster.id, **beside.scopes}, {"kubelet": _kubelet(cluster)})
        windows = maintenance(azure, plan, cluster)
        pools = {
            item.key: agent_pool(azure, plan, item, inside.nodes, [cluster, *windows])
            for item in groups
            if not item.inline
        }
        if plan.monitoring:
            logs(azure, plan.monitoring, cluster)
        if plan.protected:
            guard.lock(azure, locked)
        if plan.deny_deletion:
            guard.deny_deletion(azure, plan, group)
        host = cluster.private_fqdn if plan.api.private and not plan.api.public_name else cluster.fqdn
        self.endpoint = host.apply(lambda name: f"https://{name}:443")
        self.certificate_authority = authority_of(azure, cluster)
        self.oidc_issuer = cluster.oidc_issuer_profile.apply(lambda found: found.issuer_url if found else "")
        self.accounts = folders(azure, plan, group, self.oidc_issuer, beside.scopes)
        system = [pools[item.key] for item in groups if item.pool == first.pool and not item.inline]
        return [cluster, *granted, *system, *stores], disks

    def _added(self, azure: Azure, plan: AksPlan, given: AksGiven) -> list[pulumi.Resource]:
        """The agent pools of a given cluster."""
        self.parts = {}
        self.endpoint = pulumi.Output.from_input(f"https://{given.endpoint}:443")
        self.certificate_authority = pulumi.Output.from_input(given.certificate)
        self.oidc_issuer = pulumi.Output.from_input(given.issuer)
        subnet = plan.network.subnet_id or None
        groups = [item for item in plan.groups if isinstance(item, AksNodeGroup)]
        made = {item.key: agent_pool(azure, plan, item, subnet, []) for item in groups}
        return [made[item.key] for item in groups if item.mode == "System"]


def _subscription(component: AksCluster, name: str, plan: AksPlan) -> pulumi.ProviderResource | None:
    """A provider of the named subscription; without one, the deployer's own configuration says which."""
    if not plan.subscription:
        return None
    return azure_native.Provider(
        f"{name}-azure",
        subscription_id=plan.subscription,
        tenant_id=plan.tenant or None,
        opts=pulumi.ResourceOptions(parent=component),
    )


def _group(azure: Azure, plan: AksPlan) -> tuple[Azure, pulumi.Input[str]]:
    """The place with its resource group, and the group's id."""
    if not plan.makes_group:
        return azure, f"/subscriptions/{plan.subscription}/resourceGroups/{plan.resource_group}"
    group = resources.ResourceGroup(
        f"{azure.name}-group",
        resource_group_name=plan.resource_group,
        location=azure.location,
        tags=azure.tags,
        opts=azure.options(),
    )
    return replace(azure, base=(group,)), group.id


def _identity(azure: Azure, plan: AksPlan) -> tuple[pulumi.Input[str], dict[str, pulumi.Input[str]], pulumi.Input[str]]:
    """The control plane's identity: its id, who it is in role assignments, and its tenant."""
    if plan.identity:
        return plan.identity, {}, plan.tenant
    made = managedidentity.UserAssignedIdentity(
        f"{azure.name}-identity",
        resource_name_=f"{plan.name}-control-plane",
        resource_group_name=azure.group,
        location=azure.location,
        tags=azure.tags,
        opts=azure.options(),
    )
    return made.id, {"control-plane": made.principal_id}, plan.tenant or made.tenant_id


def _kubelet(cluster: containerservice.ManagedCluster) -> pulumi.Output[str]:
    """Object id of the identity that AKS makes for nodes."""
    return cluster.identity_profile.apply(lambda found: (found or {})["kubeletidentity"].object_id or "")


def _objects(plan: AksPlan, disks: pulumi.Input[str] | None) -> list[Planned]:
    """Storage classes, and the order of preference that the autoscaler reads."""
    found: list[Planned] = []
    if disks is not None:
        found.append(Planned("disk-class", disk_class(disks)))
    if plan.files is not None:
        found.append(Planned("files-class", storage_class(plan.files, plan.files.group or plan.resource_group)))
    if plan.priorities is not None:
        found.append(Planned("priorities", priorities(plan.priorities)))
    return found
