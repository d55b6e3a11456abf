"""Node pools, and the placement policies of TPU slices."""

from __future__ import annotations

import pulumi
from pulumi_gcp import compute, container

from espalier.blueprint.clouds.gke import GkeNodePool, GkePlan
from espalier.components.cluster.gke.control_plane import Reached
from espalier.components.cluster.gke.identities import NodeAccount
from espalier.components.cluster.gke.keys import Keys
from espalier.components.cluster.gke.network import Place
from espalier.components.cluster.gke.node_pool_args import autoscaling, node_config


class NodePools:
    """All node pools of a plan; `system` are those that what lives in the cluster needs first."""

    system: list[pulumi.Resource]
    of: dict[str, list[pulumi.Resource]]
    """Pool -> its node pools."""

    def __init__(
        self,
        name: str,
        plan: GkePlan,
        cluster: Reached,
        keys: Keys,
        place: Place,
        account: NodeAccount,
        opts: pulumi.ResourceOptions,
    ) -> None:
        self._plan, self._cluster, self._keys, self._account = plan, cluster, keys, account
        before = [*keys.ready, *place.ready, *account.ready]
        self._opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=before))
        self.system, self.of = [], {}
        for group in plan.groups:
            assert isinstance(group, GkeNodePool)  # noqa: S101 - its own compiler's
            made = self._node_pool(f"{name}-group-{group.key}", group)
            self.of.setdefault(group.pool, []).append(made)
            if group.awaited:
                self.system.append(made)

    def _node_pool(self, name: str, group: GkeNodePool) -> container.NodePool:
        plan = self._plan
        return container.NodePool(
            name,
            name=group.name,
            project=plan.project,
            location=plan.location,
            cluster=self._cluster.path,
            node_locations=list(group.zones),
            initial_node_count=group.initial if group.autoscaling else None,
            node_count=None if group.autoscaling else group.initial,
            autoscaling=autoscaling(group),
            version=group.node_version or self._cluster.version,
            max_pods_per_node=group.max_pods,
            management=container.NodePoolManagementArgs(auto_repair=group.repair, auto_upgrade=True),
            upgrade_settings=container.NodePoolUpgradeSettingsArgs(
                strategy="SURGE", max_surge=group.surge, max_unavailable=0 if group.surge else 1
            ),
            placement_policy=self._placement(name, group),
            queued_provisioning=container.NodePoolQueuedProvisioningArgs(enabled=True) if group.queued else None,
            network_config=container.NodePoolNetworkConfigArgs(
                enable_private_nodes=True, accelerator_network_profile="auto" if group.fabric else None
            ),
            node_config=node_config(plan, group, self._keys.disks, self._account.email),
            opts=pulumi.ResourceOptions.merge(
                self._opts,
                # The autoscaler owns the number of nodes; local disks follow from the machine type.
                pulumi.ResourceOptions(
                    ignore_changes=["initialNodeCount", "nodeConfig.ephemeralStorageLocalSsdConfig"]
                ),
            ),
        )

    def _placement(self, name: str, group: GkeNodePool) -> container.NodePoolPlacementPolicyArgs | None:
        if group.placement is None:
            return None
        policy = None
        if group.placement.workload_policy is not None:
            policy = _workload_policy(name, self._plan, group, self._opts)
        return container.NodePoolPlacementPolicyArgs(
            type="COMPACT", policy_name=policy, tpu_topology=group.placement.tpu_topology
        )


def _workload_policy(name: str, plan: GkePlan, group: GkeNodePool, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    assert group.placement is not None  # noqa: S101 - asked for by one
    policy = compute.ResourcePolicy(
        f"{name}-policy",
        name=group.placement.workload_policy,
        project=plan.project,
        region=plan.region,
        workload_policy=compute.ResourcePolicyWorkloadPolicyArgs(
            type="HIGH_THROUGHPUT", accelerator_topology=group.placement.policy_topology
        ),
        opts=opts,
    )
    return policy.name
