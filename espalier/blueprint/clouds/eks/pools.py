"""EKS's node groups: one kind of capacity of a pool, as a managed node group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from espalier.blueprint import names
from espalier.blueprint.clouds.eks import tags, ubuntu
from espalier.blueprint.clouds.eks.images import ami_type, family
from espalier.blueprint.clouds.eks.karpenter import karpenter_objects, placement_group, stays
from espalier.blueprint.clouds.eks.launch import PODS, fabric, huge_pages, one_zone, placement, storage_gib, template_of
from espalier.blueprint.clouds.eks.model import EksNodeGroup
from espalier.blueprint.clouds.eks.zones import chosen
from espalier.blueprint.clouds.model import NodeGroup, Wanted
from espalier.blueprint.clouds.naming import generation_of, physical
from espalier.settings.eks import Eks
from espalier.types import CapacityKind, Taint

NAME_LIMIT = 63
"""Characters of a node group's name (EKS API, CreateNodegroup)."""
CAPACITY_TYPE = "eks.amazonaws.com/capacityType"
EFA = "vpc.amazonaws.com/efa"


def groups(cluster: Eks, wanted: Wanted) -> tuple[NodeGroup, ...]:
    """One group a kind of capacity, in the pool's order of preference."""
    return tuple(_group(cluster, wanted, kind, first=kind == wanted.pool.capacity[0]) for kind in wanted.pool.capacity)


def zones_of(cluster: Eks, wanted: Wanted, kind: CapacityKind) -> tuple[str, ...]:
    """The zones of a group: the reservation's, the pool's, else the cluster's; the first where it must be one."""
    pool = wanted.pool
    held = pool.reservation.zones if pool.reservation and kind == "reserved" else ()
    there = held or pool.zones or chosen(cluster.region, cluster.zones)
    return there[:1] if one_zone(wanted) else there


def by_karpenter(cluster: Eks, wanted: Wanted) -> bool:
    """Whether Karpenter makes the pool's nodes; it runs on the system pool, which is a managed group all the same."""
    return cluster.autoscaler == "karpenter" and not wanted.system


def _group(cluster: Eks, wanted: Wanted, kind: CapacityKind, *, first: bool) -> EksNodeGroup:
    pool = wanted.pool
    capacity_type = _capacity_type(wanted, kind)
    labels, taints, further = _labels(wanted, kind), _taints(wanted, kind), _further(wanted)
    there = zones_of(cluster, wanted, kind)
    pods, storage = pool.max_pods or PODS, storage_gib(wanted)
    types = (wanted.machine.name, *(row.name for row in wanted.alternatives if kind == "spot"))
    generation = generation_of(_fixed(wanted, kind, types, there, (*taints, *wanted.startup)))
    key = f"{pool.name}-{kind}"
    name = physical(key, generation, NAME_LIMIT)
    karpenter = by_karpenter(cluster, wanted)
    made = _made_labels(cluster, wanted, capacity_type, there, name, karpenter)
    surge = pool.surge > 0 if pool.surge is not None else kind != "reserved"
    template = template_of(wanted, kind)
    if family(wanted) == "ubuntu":
        joins = ubuntu.user_data(cluster, name, capacity_type, labels, (*taints, *wanted.startup), pods)
        template = replace(template, user_data=joins, image=pool.image.release)
    objects = (
        karpenter_objects(
            cluster, wanted, kind, group=name, zones=there, types=types, labels=labels, taints=taints, template=template
        )
        if karpenter
        else ()
    )
    return EksNodeGroup(
        key=key,
        name=name,
        generation=generation,
        pool=pool.name,
        shape=wanted.shape(
            kind, labels={**labels, **made}, taints=taints, pods=pods, storage_gib=storage, further=further
        ),
        labels=labels,
        taints=(*taints, *wanted.startup),
        minimum=pool.nodes.min if first else 0,
        maximum=pool.nodes.max,
        start=wanted.start if first else 0,
        zones=there,
        instance_types=() if capacity_type == "CAPACITY_BLOCK" else types,
        ami_type=ami_type(wanted) or "",
        release=None if template.image else pool.image.release,
        capacity_type=capacity_type,
        template=template,
        surge=surge,
        max_unavailable=pool.surge or 1,
        repair=pool.repair,
        asg_tags=tags.asg_tags(
            {**labels, CAPACITY_TYPE: capacity_type},
            taints,
            wanted.devices,
            further,
            pods=pods,
            storage_gib=storage,
        ),
        system=wanted.system,
        placement_group=_placement_group(cluster, wanted, kind, name),
        karpenter=karpenter,
        objects=objects,
        notes=tuple(_notes(cluster, wanted, kind, there, surge)),
    )


def _capacity_type(wanted: Wanted, kind: CapacityKind) -> Literal["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"]:
    held = wanted.pool.reservation
    if kind == "reserved" and held is not None and held.type == "capacity-block":
        return "CAPACITY_BLOCK"
    return "SPOT" if kind == "spot" else "ON_DEMAND"


def _placement_group(cluster: Eks, wanted: Wanted, kind: CapacityKind, name: str) -> str:
    strategy = placement(wanted, kind)
    if strategy is None:
        return ""
    if by_karpenter(cluster, wanted):
        return placement_group(cluster, wanted, kind, strategy)
    return f"{cluster.name}-{name}"


def _labels(wanted: Wanted, kind: CapacityKind) -> dict[str, str]:
    given = wanted.labels(kind) | tags.accelerator_label(wanted.devices, wanted.machine.cloud_accelerator)
    if fabric(wanted):
        given[f"{EFA}.present"] = "true"
    return dict(sorted(given.items()))


def _made_labels(
    cluster: Eks, wanted: Wanted, capacity_type: str, there: tuple[str, ...], name: str, karpenter: bool
) -> dict[str, str]:
    """Labels that EKS, the cloud's controller and the kubelet, or Karpenter, give by themselves."""
    made = {
        "kubernetes.io/arch": wanted.machine.architecture,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": wanted.machine.name,
        "topology.kubernetes.io/region": cluster.region,
        **({"topology.kubernetes.io/zone": there[0]} if there else {}),
    }
    if karpenter:
        # As the karpenter add-on names its pools; to Karpenter, a capacity block is reserved capacity like any other.
        kind = {"SPOT": "spot", "CAPACITY_BLOCK": "reserved"}.get(capacity_type, "on-demand")
        return made | {"karpenter.sh/capacity-type": kind}
    return made | {CAPACITY_TYPE: capacity_type, "eks.amazonaws.com/nodegroup": name}


def _taints(wanted: Wanted, kind: CapacityKind) -> tuple[Taint, ...]:
    return (*wanted.taints(), *((names.SPOT_TAINT,) if kind == "spot" else ()))


def _further(wanted: Wanted) -> dict[str, int]:
    """Extended resources besides the accelerator's devices."""
    found: dict[str, int] = {}
    if wanted.accelerator is not None and wanted.accelerator.cores:
        found["aws.amazon.com/neuroncore"] = wanted.count * wanted.accelerator.cores
    if fabric(wanted):
        found[EFA] = wanted.machine.efa or 0
    if pages := huge_pages(wanted):
        found["hugepages-2Mi"] = pages
    return found


def _fixed(
    wanted: Wanted, kind: CapacityKind, types: tuple[str, ...], there: tuple[str, ...], taints: tuple[Taint, ...]
) -> dict[str, object]:
    """What EKS cannot change in place, and what must not change under the work on a node."""
    held = wanted.pool.reservation
    return {
        "types": types,
        "ami": ami_type(wanted),
        "kind": _capacity_type(wanted, kind),
        "zones": there,
        "taints": [str(taint) for taint in taints],
        "devices": dict(wanted.devices),
        "block": held.id if held and _capacity_type(wanted, kind) == "CAPACITY_BLOCK" else None,
        "fabric": fabric(wanted),
        "placement": placement(wanted, kind),
    }


def _notes(cluster: Eks, wanted: Wanted, kind: CapacityKind, there: tuple[str, ...], surge: bool) -> Iterator[str]:
    pool = wanted.pool
    group = f"{pool.name}-{kind}"
    yield from ubuntu.notes(wanted, group)
    said = pool.zones or (pool.reservation.zones if pool.reservation and kind == "reserved" else ())
    if one_zone(wanted) and not said and len(chosen(cluster.region, cluster.zones)) > 1:
        yield f"{group}: its nodes are joined closely, hence in one zone, {there[0]}; `zones` chooses another"
    if by_karpenter(cluster, wanted) and pool.sharing is not None:
        yield f"{group}: Karpenter knows how its devices are shared by a NodeOverlay, which is alpha in Karpenter 1.14"
    if by_karpenter(cluster, wanted) and stays(wanted):
        yield (
            f"{group}: each new image is drift to Karpenter: nodes keep theirs until they are empty, and whatever else "
            "of the pool has changed; with image.release pinned, such changes replace them"
        )
    scaled = cluster.autoscaler in (None, "cluster-autoscaler")
    if scaled and wanted.devices and not wanted.startup and not tags.accelerator_label(wanted.devices, ""):
        yield (
            f"{group}: cluster-autoscaler waits for no device but whole GPUs: it may start another node while the "
            f"first one's {next(iter(wanted.devices))} is not advertised yet, and takes it away unused"
        )
    if kind == "spot" and not wanted.alternatives:
        yield f"{group}: spot of one machine type alone; further ones under `machines` are taken back less often"
    if _capacity_type(wanted, kind) == "CAPACITY_BLOCK":
        yield (
            f"{group}: EKS takes the block's nodes away 40 minutes before it ends by a scheduled action of its own, "
            "and upgrades the group only while it has no node"
        )
    elif not surge:
        yield f"{group}: upgraded without spare nodes: {pool.surge or 1} fewer while it lasts"
