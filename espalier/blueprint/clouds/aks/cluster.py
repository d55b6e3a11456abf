"""The AKS cluster that a stack file asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from espalier.blueprint.clouds.aks import ids
from espalier.blueprint.clouds.aks.identities import makes_secrets_key, roles_of
from espalier.blueprint.clouds.aks.model import (
    AksApi,
    AksAutoscaler,
    AksFiles,
    AksGiven,
    AksKeys,
    AksMonitoring,
    AksNodeGroup,
    AksPlan,
)
from espalier.blueprint.clouds.aks.network import network_notes, network_of
from espalier.blueprint.clouds.aks.parts import blob_account, blobs_kept, part_notes, parts_of
from espalier.blueprint.clouds.aks.zones import zones
from espalier.blueprint.clouds.model import CloudPlan
from espalier.blueprint.clouds.route import route_of
from espalier.blueprint.clouds.upgrades import upgrade_notes
from espalier.settings.aks import Aks
from espalier.settings.cloud import CloudCluster

if TYPE_CHECKING:
    from espalier.blueprint.pools import PoolPlan

_TIERS: Final[dict[str, Literal["Free", "Standard", "Premium"]]] = {
    "free": "Free",
    "standard": "Standard",
    "premium": "Premium",
}
_NODE_IMAGES: Final = {
    "node-image": "NodeImage",
    "security-patch": "SecurityPatch",
    "unmanaged": "Unmanaged",
    "none": "None",
}
_DAYS: Final = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}


def plan(cluster: CloudCluster, pools: Sequence[PoolPlan]) -> CloudPlan:
    """The cluster with all its agent pools, of a stack without mistakes."""
    assert isinstance(cluster, Aks)  # noqa: S101 - its own kind's
    groups = [group for pool in pools for group in pool.groups if isinstance(group, AksNodeGroup)]
    # A given cluster's autoscaler has a profile of its own, and perhaps an order of its own.
    priorities = _priorities(pools) if cluster.autoscaler != "none" and cluster.given is None else None
    day, start = cluster.maintenance.start.split(" ")
    return AksPlan(
        kind="aks",
        name=cluster.name,
        region=cluster.region,
        zones=cluster.zones or zones(cluster.region) or (),
        tags=tags_of(cluster),
        groups=tuple(groups),
        notes=tuple(_notes(cluster, groups)),
        parts=parts_of(cluster),
        blobs=blob_account(cluster),
        blobs_kept=blobs_kept(cluster),
        version=cluster.version,
        subscription=cluster.subscription or "",
        tenant=cluster.tenant or "",
        resource_group=cluster.resource_group or cluster.name,
        makes_group=cluster.resource_group is None,
        node_group=f"{cluster.name}-nodes",
        given=_given(cluster),
        network=network_of(cluster),
        api=_api(cluster),
        login=cluster.login,
        admins=tuple(sorted(set(cluster.access.admins if cluster.access else ()))),
        identity=cluster.identity or "",
        roles=roles_of(cluster, groups),
        keys=_keys(cluster),
        files=_files(cluster),
        tier=_TIERS[cluster.tier],
        support="AKSLongTermSupport" if cluster.tier == "premium" else "KubernetesOfficial",
        upgrade_channel=cluster.upgrades,
        node_os_channel=_NODE_IMAGES[cluster.node_images],
        day=_DAYS[day],
        start=start,
        hours=cluster.maintenance.hours,
        autoscaler=_autoscaler(cluster, priorities),
        priorities=priorities,
        monitoring=_monitoring(cluster),
        azure_policy=cluster.azure_policy,
        protected=cluster.deletion_protection and cluster.given is None,
        deny_deletion=cluster.deletion_protection and cluster.given is None and cluster.deletion_guard == "policy",
    )


def tags_of(cluster: Aks) -> dict[str, str]:
    """Tags of everything that is made."""
    return dict(sorted({**cluster.tags, "espalier-cluster": cluster.name, "managed-by": "espalier"}.items()))


def _given(cluster: Aks) -> AksGiven | None:
    given = cluster.given
    if given is None:
        return None
    return AksGiven(endpoint=given.endpoint, certificate=given.certificate, issuer=given.issuer or "")


def _api(cluster: Aks) -> AksApi:
    access = cluster.access
    private = access is None or access.via != "public"
    return AksApi(
        private=private,
        dns_zone=cluster.private_dns_zone if private else "",
        public_name=private and cluster.private_dns_zone == "none",
        ranges=access.cidrs if access and not private else (),
        route=route_of(access),
    )


def _keys(cluster: Aks) -> AksKeys:
    makes = cluster.disk_encryption == "customer" and cluster.keys.disks is None and cluster.given is None
    return AksKeys(
        vault=ids.global_name(cluster, "kv") if makes else "",
        disk_set=cluster.keys.disks or "",
        etcd_key=cluster.keys.secrets or "",
        secrets_vault=ids.global_name(cluster, "ks") if makes_secrets_key(cluster) else "",
    )


def _files(cluster: Aks) -> AksFiles | None:
    storage = cluster.storage
    if storage is None:
        return None
    zonal = bool(cluster.zones or zones(cluster.region))
    return AksFiles(
        account=ids.name_of(storage.id) if storage.id else ids.global_name(cluster, "st"),
        group=ids.group_of(storage.id) if storage.id else "",
        sku="PremiumV2_ZRS" if zonal else "PremiumV2_LRS",
    )


def _monitoring(cluster: Aks) -> AksMonitoring | None:
    asked = cluster.monitoring
    if asked is None or cluster.given is not None:
        return None
    return AksMonitoring(
        workspace=asked.workspace, containers=asked.containers, metrics=asked.metrics, defender=asked.defender
    )


def _autoscaler(cluster: Aks, priorities: Mapping[str, tuple[str, ...]] | None) -> AksAutoscaler | None:
    if cluster.autoscaler == "none":
        return None
    return AksAutoscaler(expander="priority" if priorities else "least-waste")


def _priorities(pools: Sequence[PoolPlan]) -> Mapping[str, tuple[str, ...]] | None:
    """The ladder of each pool with several kinds of capacity; all agent pools are in it, or they would never grow.

    The expander matches the names of scale sets, aks-<agent pool>-<digits>-vmss, and wants patterns that exclude one
    another; a name has no hyphen, so these do (cluster-autoscaler, expander/priority/readme.md).
    """
    if all(len({group.shape.capacity_kind for group in pool.groups}) < 2 for pool in pools):
        return None
    found: dict[str, list[str]] = {}
    for pool in pools:
        kinds = list(dict.fromkeys(group.shape.capacity_kind for group in pool.groups))
        for group in pool.groups:
            found.setdefault(str(100 - 10 * kinds.index(group.shape.capacity_kind)), []).append(f"^aks-{group.name}-.*")
    return {priority: tuple(sorted(found[priority])) for priority in sorted(found, key=int, reverse=True)}


def _notes(cluster: Aks, groups: Sequence[AksNodeGroup]) -> Iterator[str]:
    yield from network_notes(cluster)
    yield from upgrade_notes(group.name for group in groups if group.snapshot)
    yield from _key_notes(cluster)
    yield from part_notes(cluster)
    if cluster.deletion_protection and cluster.given is None:
        yield (
            "deletion: Pulumi refuses to delete the cluster, and locks hold its network and keys; a lock of the "
            "cluster itself would hold old agent pools, too (deletion-guard: policy denies its deletion alone)"
        )
    for group in groups:
        yield from group.notes


def _key_notes(cluster: Aks) -> Iterator[str]:
    keys = _keys(cluster)
    if cluster.given is None and not keys.etcd_key and not keys.secrets_vault:
        yield (
            "keys: Kubernetes Secrets are encrypted at rest by keys of Azure's; secrets-encryption: customer makes one "
            "of your own, keys.secrets names one"
        )
    if keys.secrets_vault:
        yield (
            "keys: the vault of the key for Secrets takes connections from all networks, guarded by Entra alone: AKS "
            "reaches a private one only through API server VNet integration, which Espalier does not set up. AKS holds "
            "on to one version of the key, so it does not rotate by itself: az keyvault key rotate, pulumi refresh and "
            "`up`, then write all Secrets anew; the version before must stay until the next time"
        )
    if keys.etcd_key:
        yield (
            "keys: the vault of keys.secrets must take connections from all networks, guarded by Entra alone: AKS "
            "reaches a private one only through API server VNet integration, which Espalier does not set up"
        )
    if keys.vault or keys.secrets_vault:
        yield "keys: a Key Vault that is made cannot be purged: after a destroy its name stays taken for 90 days"
