"""The cluster of a stack file without mistakes, decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from espalier.blueprint.clouds.gke import machines, zones
from espalier.blueprint.clouds.gke.compute_classes import classes
from espalier.blueprint.clouds.gke.labels import labels_of
from espalier.blueprint.clouds.gke.maintenance import nodes_follow, pauses_of, window_of
from espalier.blueprint.clouds.gke.model import GivenCluster, GkeAccess, GkeNetwork, GkeNodePool, GkePlan
from espalier.blueprint.clouds.gke.network import network_of
from espalier.blueprint.clouds.gke.notes import notes
from espalier.blueprint.clouds.gke.objects import objects
from espalier.blueprint.clouds.gke.parts import parts_of
from espalier.blueprint.clouds.naming import physical
from espalier.blueprint.clouds.route import route_of
from espalier.quantity import parse_quantity
from espalier.settings.gke import Gke

if TYPE_CHECKING:
    from espalier.blueprint.pools import PoolPlan

_ACCOUNT_LIMIT: Final = 30
NODE_ROLES: Final = ("roles/artifactregistry.reader", "roles/container.defaultNodeServiceAccount")
"""Least that nodes need: logs and metrics, and images of the project. Source: GKE, "Harden your cluster's security".
Where `registries` name what nodes pull of, they read these alone."""
_CONTROL_PLANE: Final = ("SYSTEM_COMPONENTS", "APISERVER", "CONTROLLER_MANAGER", "SCHEDULER")


def plan(cluster: Gke, pools: Sequence[PoolPlan]) -> GkePlan:
    """The cluster with its network, identities, keys and all node pools."""
    location = cluster.given.location if cluster.given and cluster.given.location else cluster.region
    path = f"projects/{cluster.project}/locations/{location}/clusters/{cluster.name}"
    network = network_of(cluster)
    made = cluster.given is None
    disks = cluster.keys.disks or (key_path(cluster, "disks") if made else None)
    return GkePlan(
        kind="gke",
        name=cluster.name,
        region=cluster.region,
        zones=cluster.zones or zones.usual_zones(cluster.region),
        tags=labels_of(cluster),
        groups=tuple(group for pool in pools for group in pool.groups),
        notes=tuple(notes(cluster, pools)),
        parts=parts_of(cluster),
        project=cluster.project,
        location=location,
        version=cluster.version,
        channel=cluster.channel.upper(),
        apis=_apis(cluster),
        network=network,
        access=_access(cluster, network, path),
        service_account=cluster.service_account,
        account_id=physical(cluster.name, "nodes", _ACCOUNT_LIMIT),
        node_roles=NODE_ROLES[1:] if cluster.registries else NODE_ROLES,
        secrets_key=cluster.keys.secrets,
        disks_key=cluster.keys.disks,
        master_cidr=cluster.master_cidr,
        security_group=cluster.security_group,
        window=window_of(cluster),
        pauses=pauses_of(cluster),
        nodes_follow=nodes_follow(cluster),
        profile="BALANCED" if cluster.autoscaling_profile == "balanced" else "OPTIMIZE_UTILIZATION",
        limits=_limits(cluster),
        metrics=_metrics(pools),
        logs=("SYSTEM_COMPONENTS", "WORKLOADS", *_CONTROL_PLANE[1:]),
        filestore=cluster.storage is not None,
        deletion_protection=cluster.deletion_protection,
        given=GivenCluster(endpoint=cluster.given.endpoint, certificate=cluster.given.certificate)
        if cluster.given
        else None,
        objects=tuple(objects(cluster, network, disks)) if made and disks else (),
        classes=classes(cluster, pools),
        oidc_issuer=f"https://container.googleapis.com/v1/{path}",
    )


def key_path(cluster: Gke, name: str) -> str:
    """Path of a key that is made, in a ring of the cluster's name."""
    return f"projects/{cluster.project}/locations/{cluster.region}/keyRings/{cluster.name}/cryptoKeys/{name}"


def _access(cluster: Gke, network: GkeNetwork, path: str) -> GkeAccess:
    """Without ranges of its own, the private endpoint answers to the cluster's network alone."""
    access = cluster.access
    assert access is not None  # noqa: S101 - a cluster without has a mistake
    inside = (network.nodes,) if network.nodes and access.via != "public" else ()
    return GkeAccess(
        via=access.via,
        cidrs=access.cidrs or inside,
        route=route_of(access),
        admins=access.admins,
        condition=f'resource.name == "{path}" || resource.name.startsWith("{path}/")',
    )


def _apis(cluster: Gke) -> tuple[str, ...]:
    if not cluster.enable_apis or cluster.given is not None:
        return ()
    keys = not (cluster.keys.secrets and cluster.keys.disks)
    parts = parts_of(cluster)
    wanted = {
        "artifactregistry": parts.makes_registries,
        "cloudkms": keys,
        "dns": parts.zone is not None and parts.zone.given is None,
        "file": cluster.storage is not None,
        "storage": parts.makes_buckets,
    }
    names = ["compute", "container", "iam", *(name for name, needed in wanted.items() if needed)]
    return tuple(f"{name}.googleapis.com" for name in sorted(names))


def _limits(cluster: Gke) -> dict[str, int]:
    """Node auto-provisioning's limits by resource type: vCPUs, GB of memory, devices."""
    found = cluster.auto_provisioning
    if found is None:
        return {}
    devices = {machines.TYPES[name]: number for name, number in sorted(found.devices.items())}
    return {"cpu": found.cpu, "memory": int(parse_quantity(found.memory) / machines.GIB), **devices}


def _metrics(pools: Sequence[PoolPlan]) -> tuple[str, ...]:
    """Components whose metrics are kept; DCGM's where GKE installs a driver, JobSet's where there are slices."""
    groups = [group for pool in pools for group in pool.groups if isinstance(group, GkeNodePool)]
    dcgm = any(group.gpus and group.gpus.driver != "INSTALLATION_DISABLED" for group in groups)
    slices = any(group.placement and group.placement.tpu_topology for group in groups)
    return (*_CONTROL_PLANE, *(("DCGM",) if dcgm else ()), *(("JOBSET",) if slices else ()))
