"""What the plan tells its reader besides: what GKE demands, and what the stack asks of it without spare capacity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from espalier.blueprint import names
from espalier.blueprint.clouds.gke import zones
from espalier.blueprint.clouds.gke.compute_classes import QUEUED, TAKES_PLAIN
from espalier.blueprint.clouds.gke.labels import changed
from espalier.blueprint.clouds.gke.maintenance import LEAST_HOURS, nodes_follow
from espalier.blueprint.clouds.gke.model import GkeNodePool
from espalier.blueprint.clouds.upgrades import upgrade_notes
from espalier.settings.gke import Gke

if TYPE_CHECKING:
    from espalier.blueprint.pools import PoolPlan

_BY_PRICE = ("reserved", "spot", "flex", "on-demand")


def notes(cluster: Gke, pools: Sequence[PoolPlan]) -> Iterator[str]:
    """Of the cluster first, then pool by pool."""
    if cluster.maintenance.hours < LEAST_HOURS and cluster.given is None:
        yield (
            f"maintenance: GKE demands 48 hours in 32 days, so the weekly window lasts {LEAST_HOURS} hours "
            f"instead of {cluster.maintenance.hours}"
        )
    if cluster.security_group is None and cluster.given is None:
        yield "access: without security-group RBAC knows no Google groups, and tenants' groups have no rights"
    if nodes_follow(cluster):
        yield "upgrades: nodes take their control plane's version in the same run; by itself GKE upgrades none of them"
    yield from upgrade_notes(())
    for tag, label in changed(cluster).items():
        yield f"tags: {tag} becomes {label}, as Google Cloud's labels are written"
    if cluster.given is None and not (cluster.keys.secrets and cluster.keys.disks):
        yield (
            "keys: a key ring cannot be deleted, and it is kept when the cluster goes, with the keys of its volumes; "
            "to make a cluster of this name anew, give these keys by id"
        )
    if cluster.registries:
        yield "registries: nodes pull of these repositories alone, and of no other of the project"
    if cluster.keys.disks and (cluster.buckets or cluster.registries) and cluster.given is None:
        yield (
            "keys.disks: it encrypts buckets and registries, too, so the agents of Cloud Storage and Artifact Registry "
            "must be allowed its use"
        )
    if cluster.network.egress == "none" and cluster.given is None and cluster.network.id is None:
        yield "network: without egress nodes pull images from Google's registries alone (Private Google Access)"
    for pool in pools:
        yield from _of_pool(cluster, pool)


def _of_pool(cluster: Gke, pool: PoolPlan) -> Iterator[str]:
    groups = [group for group in pool.groups if isinstance(group, GkeNodePool)]
    yield from _order(cluster, pool, groups)
    slices = any(group.placement and group.placement.tpu_topology for group in groups)
    if slices:
        yield f"pool {pool.name}: a slice is upgraded whole, and takes no pods meanwhile"
    tight = sorted({group.shape.capacity_kind for group in groups if group.surge == 0})
    if tight and not slices:
        yield f"pool {pool.name}: {' and '.join(tight)} upgrades without a spare node: one is missing at a time"
    if any(group.fabric for group in groups):
        yield f"pool {pool.name}: pods get the machine's fast networks by ResourceClaims (DRANET)" + (
            ", in place of GPUDirect's TCPX and TCPXO"
            if groups[0].machine_type.startswith(("a3-high", "a3-mega"))
            else ""
        )
        if cluster.given is not None:
            yield f"pool {pool.name}: DRANET needs Dataplane V2, which the given cluster must have"
        stand = sorted({zone for group in groups for zone in group.zones})
        yield f"pool {pool.name}: stands in {', '.join(stand)} alone, as its network does; fabric: false spreads it"
    if any(group.placement and group.placement.workload_policy for group in groups):
        yield f"pool {pool.name}: its workload policies follow cluster-toolkit; no run on such machines is known"
    if any(group.fabric_later for group in groups):
        yield (
            f"pool {pool.name}: from 1.35 on its fast network is attached, by node pools that are made anew; "
            "fabric: false keeps these"
        )
    yield from _unsure_zones(cluster, pool, groups)


def _order(cluster: Gke, pool: PoolPlan, groups: Sequence[GkeNodePool]) -> Iterator[str]:
    """How the order of a pool's kinds of capacity is kept."""
    kinds = [shape.capacity_kind for shape in pool.shapes]
    if len(kinds) < 2:
        return
    name = groups[0].labels.get(names.COMPUTE_CLASS)
    if name is not None:
        yield (
            f"pool {pool.name}: its order {', '.join(kinds)} is kept for pods that select "
            f"{names.COMPUTE_CLASS}: {name}; no others run on it"
        )
        return
    if cluster.autoscaler != "none" and kinds != sorted(kinds, key=_BY_PRICE.index):
        why = QUEUED if any(group.queued for group in groups) else TAKES_PLAIN
        yield (
            f"pool {pool.name}: {why}, so it has no ComputeClass, and GKE's autoscaler takes the cheapest kind of "
            f"capacity that has room: the order {', '.join(kinds)} is kept only as far as prices agree"
        )


def _unsure_zones(cluster: Gke, pool: PoolPlan, groups: Sequence[GkeNodePool]) -> Iterator[str]:
    open_groups = [group for group in groups if group.reservation is None]
    if pool.accelerator is None or not open_groups:
        return
    machine = open_groups[0].machine_type
    stand = sorted({zone for group in open_groups for zone in group.zones})
    have = zones.zones_with(machine, pool.accelerator.name, cluster.region)
    if have is None:
        yield f"pool {pool.name}: which zones have {machine} is not known; {', '.join(stand)} is tried"
    elif without := [zone for zone in stand if zone not in have]:
        yield f"pool {pool.name}: {machine} is not known to be in {', '.join(without)}"
