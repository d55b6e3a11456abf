"""A pool for Karpenter: a NodePool and an EC2NodeClass for each of its kinds of capacity.

Source: CRDs of karpenter-provider-aws v1.14.1, nodepools.karpenter.sh/v1, ec2nodeclasses.karpenter.k8s.aws/v1 and
nodeoverlays.karpenter.sh/v1alpha1; its documents on weights, capacity reservations, placement groups and disruption.
Each group is a NodePool of its own, since taints differ by kind of capacity and EFA wants one machine type; weights
keep the pool's order of preference.

Karpenter takes a node's devices from its machine type, whole ones. Where pods share them, a NodeOverlay says what the
node will advertise instead: kubernetes-sigs/karpenter, pkg/cloudprovider/types.go, ApplyCapacityOverlay, lays it over
the machine type's own capacity; pkg/controllers/nodeoverlay matches it by the NodePool's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from espalier.blueprint import names
from espalier.blueprint.clouds.eks.addons import tags_of
from espalier.blueprint.clouds.eks.identities import disk_key_arn, profile_name
from espalier.blueprint.clouds.eks.images import alias, family
from espalier.blueprint.clouds.eks.launch import HOP_LIMIT, PODS, LaunchTemplate, Volume, array
from espalier.blueprint.clouds.model import Wanted
from espalier.blueprint.wake_karpenter import GROUP, NODE_POOL, TYPE
from espalier.settings.eks import Eks
from espalier.types import CapacityKind, Planned, Taint

_WEIGHT: Final = 100
"""The highest: 1 to 100, the higher is tried first."""
_KIND: Final[Mapping[CapacityKind, str]] = {"reserved": "reserved", "spot": "spot", "on-demand": "on-demand"}


def karpenter_objects(
    cluster: Eks,
    wanted: Wanted,
    kind: CapacityKind,
    *,
    group: str,
    zones: tuple[str, ...],
    types: tuple[str, ...],
    labels: Mapping[str, str],
    taints: tuple[Taint, ...],
    template: LaunchTemplate,
) -> tuple[Planned, ...]:
    """What Karpenter reads of one group; `group` is the group's name in the plan, generation and all.

    The objects are named by the group without its generation: Karpenter itself replaces nodes that drift from them, at
    once or, where they stay (`stays`), when they are empty.
    """
    name = f"{wanted.pool.name}-{kind}"
    spec = _node_class(cluster, wanted, template)
    if template.placement:
        spec["placementGroupSelector"] = {"name": placement_group(cluster, wanted, kind, template.placement)}
    node_class = _object("karpenter.k8s.aws/v1", "EC2NodeClass", name, spec)
    pool = _object("karpenter.sh/v1", "NodePool", name, _node_pool(wanted, kind, name, zones, types, labels, taints))
    pool["metadata"]["annotations"] = {GROUP: group}
    planned = (Planned(f"class-{name}", node_class), Planned(f"pool-{name}", pool, (f"class-{name}",)))
    if wanted.pool.sharing is None:
        return planned
    overlay = _object("karpenter.sh/v1alpha1", "NodeOverlay", name, _overlay(wanted, name))
    return (*planned, Planned(f"overlay-{name}", overlay, (f"pool-{name}",)))


def placement_group(cluster: Eks, wanted: Wanted, kind: CapacityKind, strategy: str) -> str:
    """Name of the group that Karpenter's nodes are placed in.

    Without a generation, since the nodes of the one before are in it until Karpenter has replaced them; with the
    strategy, which cannot change.
    """
    return f"{cluster.name}-{wanted.pool.name}-{kind}-{strategy}"


def stays(wanted: Wanted) -> bool:
    """Whether a node that drifts is kept while it is used: each new image would be drift, and end training."""
    return wanted.accelerator is not None and wanted.pool.image.release is None


def _overlay(wanted: Wanted, node_pool: str) -> dict[str, Any]:
    """What a node advertises once its devices are shared; none of them whole where they are cut."""
    whole = {wanted.accelerator.resource: 0} if wanted.accelerator else {}
    return {
        "requirements": [{"key": NODE_POOL, "operator": "In", "values": [node_pool]}],
        "capacity": {name: str(number) for name, number in sorted({**whole, **wanted.devices}.items())},
    }


def _object(api: str, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "labels": dict(names.MANAGED_BY)},
        "spec": spec,
    }


def _node_pool(
    wanted: Wanted,
    kind: CapacityKind,
    node_class: str,
    zones: tuple[str, ...],
    types: tuple[str, ...],
    labels: Mapping[str, str],
    taints: tuple[Taint, ...],
) -> dict[str, Any]:
    pool, machine = wanted.pool, wanted.machine
    requirements = {
        TYPE: types,
        "karpenter.sh/capacity-type": (_KIND.get(kind, "on-demand"),),
        "kubernetes.io/arch": (machine.architecture,),
        "kubernetes.io/os": ("linux",),
        "topology.kubernetes.io/zone": zones,
    }
    accelerated = wanted.accelerator is not None
    return {
        "weight": _WEIGHT - 10 * pool.capacity.index(kind),
        "limits": {"cpu": str(machine.vcpu * pool.nodes.max)},
        "template": {
            "metadata": {"labels": dict(labels)},
            "spec": {
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": node_class},
                "requirements": [
                    {"key": key, "operator": "In", "values": list(values)} for key, values in requirements.items()
                ],
                "taints": [taint.to_json() for taint in taints],
                **({"startupTaints": [taint.to_json() for taint in wanted.startup]} if wanted.startup else {}),
                # Training is not ended by its node's age; other nodes are renewed each month.
                "expireAfter": "Never" if accelerated else "720h",
            },
        },
        "disruption": {
            # Work on accelerators is not moved to save money; a node that nobody uses goes.
            "consolidationPolicy": "WhenEmpty" if accelerated else "WhenEmptyOrUnderutilized",
            "consolidateAfter": "10m" if accelerated else "5m",
            "budgets": [
                {"nodes": "1" if pool.surge == 0 or kind == "reserved" else "10%"},
                *([{"nodes": "0", "reasons": ["Drifted"]}] if stays(wanted) else []),
            ],
        },
    }


def _node_class(cluster: Eks, wanted: Wanted, template: LaunchTemplate) -> dict[str, Any]:
    # Subnets that are given carry no tag of ours.
    subnets = [{"id": subnet} for subnet in cluster.network.subnets]
    spec: dict[str, Any] = {
        "instanceProfile": profile_name(cluster),
        "amiSelectorTerms": [{"alias": alias(wanted)}],
        "subnetSelectorTerms": subnets or [{"tags": {"karpenter.sh/discovery": cluster.name}}],
        # EKS tags the cluster's own security group so; its rules let all nodes reach one another.
        "securityGroupSelectorTerms": [{"tags": {"aws:eks:cluster-name": cluster.name}}],
        "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": HOP_LIMIT},
        "kubelet": {"maxPods": wanted.pool.max_pods or PODS},
        "blockDeviceMappings": [_volume(volume, disk_key_arn(cluster)) for volume in template.volumes],
        "tags": tags_of(cluster),
    }
    if array(wanted):
        spec["instanceStorePolicy"] = "RAID0"
    if len(template.volumes) > 1 and family(wanted) == "al2023":
        spec["userData"] = template.user_data  # mounts the snapshot's volume
    if template.reservation:
        spec["capacityReservationSelectorTerms"] = [{"id": template.reservation}]
    return spec


def _volume(volume: Volume, key: str | None) -> dict[str, Any]:
    settings = {
        "encrypted": True,
        "deleteOnTermination": True,
        "volumeType": volume.type,
        "volumeSize": f"{volume.size_gib}Gi" if volume.size_gib else None,
        "iops": volume.iops,
        "throughput": volume.throughput,
        "snapshotID": volume.snapshot,
        "kmsKeyID": key,
    }
    return {"deviceName": volume.device, "ebs": {name: value for name, value in settings.items() if value is not None}}
