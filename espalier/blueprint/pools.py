"""A pool block becomes node shapes: what its nodes advertise, carry and cost, on every kind of cluster alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from espalier.blueprint import names
from espalier.blueprint.autoscaling import node_pools, type_names
from espalier.blueprint.clouds.model import NodeGroup, Wanted
from espalier.blueprint.clouds.wanted import Site, wanted_of
from espalier.blueprint.nodes import played, simulated_nodes
from espalier.blueprint.ownership import Provided, os_of, owners_of
from espalier.blueprint.ownership_rules import ownership_mistakes
from espalier.blueprint.prices import overridden
from espalier.blueprint.sharing import advertised, geometries, shares
from espalier.catalogue import Accelerator, accelerators
from espalier.settings.model import PriceOverride
from espalier.settings.pool import Pool, Shape
from espalier.settings.tree import path_text
from espalier.types import CapacityKind, Mistake, NodeShape, Owners, Planned, PoolFacts, Taint

PODS_PER_NODE = "110"
"""The kubelet's default (KubeletConfiguration.maxPods)."""
EPHEMERAL_STORAGE = "1Ti"
PLAIN_MACHINE = (4, "16Gi")
"""vCPU and memory of a machine that is named but not in the catalogue."""


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A pool, compiled. `shapes` has one entry for each kind of capacity, in the user's order of preference."""

    name: str
    accelerator: Accelerator | None
    shapes: tuple[NodeShape, ...]
    minimum: int
    maximum: int
    start: int
    sharing: Mapping[str, int | str]
    nodes: tuple[Planned, ...]
    """Node objects to register: on a simulated cluster those that it starts with, elsewhere none."""
    groups: tuple[NodeGroup, ...] = ()
    """What a cloud makes of it, in the order of its capacity kinds; empty elsewhere."""
    system: bool = False
    """In a cloud, cluster components run on it."""
    owners: Owners | None = None
    """Who owns what is on its devices; None for a pool without any."""
    os: str = ""
    """The operating system of its nodes; "" where nobody says it."""
    driver_version: str = ""
    """The driver's version or branch, where the pool says one."""
    node_pools: tuple[Planned, ...] = ()
    """What the autoscaler of a simulated cluster is told of it; empty elsewhere."""
    later_taints: tuple[Taint, ...] = ()
    """Taints that a node of it may get once it runs, and that agents, which may mend it, must tolerate."""
    tenants: tuple[str, ...] | None = None
    """The tenants that alone may use it; None for all."""

    @property
    def shape(self) -> NodeShape:
        """The shape of the kind of capacity that is tried first."""
        return self.shapes[0]

    def device_prices(self, shape: NodeShape) -> dict[str, float | None]:
        """USD an hour of one of each device that a node of this shape advertises; None where the price is unknown."""
        if self.accelerator is None:
            return {}
        parts = shares(self.accelerator, self.sharing, shape.devices)
        return {device: shape.price.per_hour * part if shape.price else None for device, part in parts.items()}

    def facts(self) -> PoolFacts:
        vendor = self.accelerator.vendor if self.accelerator else ""
        objects = tuple(planned for group in self.groups for planned in group.objects)
        name = self.accelerator.name if self.accelerator else ""
        return PoolFacts(
            self.name,
            self.shapes,
            self.sharing,
            vendor,
            self.owners,
            objects,
            accelerator=name,
            os=self.os,
            driver_version=self.driver_version,
            repaired=any(group.repair for group in self.groups),
            later_taints=self.later_taints,
        )


def compile_pools(
    pools: Sequence[Pool],
    prices: Mapping[str, PriceOverride],
    *,
    simulated: bool,
    known: Mapping[str, Accelerator] | None = None,
    site: Site | None = None,
    provided: Provided | None = None,
    gated: frozenset[str] = frozenset(),
) -> tuple[tuple[PoolPlan, ...], tuple[Mistake, ...]]:
    """All pools compiled, and everything that the catalogue, or the cloud of `site`, says cannot be.

    `known` are the accelerators that a pool may name; default: Espalier's own. `provided` is what the stack's add-ons
    provide, where they are known; `gated` names the pools whose new nodes wait for their devices. A pool that cannot be
    compiled is left out of the first tuple.
    """
    known = accelerators() if known is None else known
    if site is not None:
        return _in_cloud(pools, prices, known, site, simulated, provided, gated)
    kind = "simulated" if simulated else "existing"
    plans: list[PoolPlan] = []
    mistakes: list[Mistake] = []
    for index, pool in enumerate(pools):
        found = mistakes_of_pool(pool, f"espalier:pools[{index}]", known, kind)
        mistakes += found
        if found:
            continue
        plan = compile_pool(pool, prices, simulated=simulated, known=known, provided=provided)
        if pool.name in gated:
            plan = replace(plan, shapes=tuple(replace(s, startup_taints=(names.STARTUP_TAINT,)) for s in plan.shapes))
        mistakes += _label_mistakes(pool, plan, f"espalier:pools[{index}].labels")
        plans.append(plan)
    return tuple(plans), tuple(mistakes)


def _in_cloud(
    pools: Sequence[Pool],
    prices: Mapping[str, PriceOverride],
    known: Mapping[str, Accelerator],
    site: Site,
    simulated: bool,
    provided: Provided | None,
    gated: frozenset[str],
) -> tuple[tuple[PoolPlan, ...], tuple[Mistake, ...]]:
    """As compile_pools; where the cluster is simulated, its nodes look like those that the cloud would make."""
    mistakes: list[Mistake] = []
    wanted: list[Wanted] = []
    first = system_pool(pools)
    for index, pool in enumerate(pools):
        path = f"espalier:pools[{index}]"
        found = mistakes_of_pool(pool, path, known, site.cluster.kind, reference=False)
        if not found:
            accelerator = known[pool.accelerator] if pool.accelerator else None
            one, found = wanted_of(pool, path, accelerator, prices, site, system=pool is first or pool.system)
            if one is not None:
                found = list(site.compiler.pool_mistakes(site.cluster, one))
                wanted.append(one)
        mistakes += found
    mistakes += site.compiler.stack_mistakes(site.cluster, wanted)
    if mistakes:
        return (), tuple(mistakes)
    open_pools = [one for one in wanted if _takes_plain_pods(one) and not one.system]
    wanted = [
        replace(
            one,
            alone=one.system and not open_pools,
            startup=(names.STARTUP_TAINT,) if one.pool.name in gated else (),
        )
        for one in wanted
    ]
    plans = tuple(_cloud_plan(one, site, simulated, provided) for one in wanted)
    for one, plan in zip(wanted, plans, strict=True):
        mistakes += _label_mistakes(one.pool, plan, f"{one.path}.labels")
    return plans, tuple(mistakes)


def _takes_plain_pods(one: Wanted) -> bool:
    """Whether pods that ask for no device and tolerate nothing may run on it; spot is tainted in some clouds."""
    return one.accelerator is None and not one.pool.taints and set(one.pool.capacity) != {"spot"}


def system_pool(pools: Sequence[Pool]) -> Pool | None:
    """The pool that cluster components run on: the first marked so, else the first without an accelerator."""
    marked = [pool for pool in pools if pool.system]
    return next(iter(marked or [pool for pool in pools if pool.accelerator is None]), None)


def _cloud_plan(one: Wanted, site: Site, simulated: bool, provided: Provided | None) -> PoolPlan:
    pool = one.pool
    groups = site.compiler.groups(site.cluster, one)
    shapes = {group.shape.capacity_kind: group.shape for group in reversed(groups)}
    return PoolPlan(
        name=pool.name,
        accelerator=one.accelerator,
        shapes=tuple(shapes[kind] for kind in pool.capacity if kind in shapes),
        minimum=pool.nodes.min,
        maximum=pool.nodes.max,
        start=one.start,
        sharing=pool.sharing.model_dump(by_alias=True, exclude_none=True) if pool.sharing else {},
        nodes=simulated_nodes(played(shapes[pool.capacity[0]]), one.start) if simulated else (),
        groups=groups,
        system=one.system,
        owners=owners_of(pool, one.accelerator, site.cluster.kind, provided),
        os=os_of(pool, site.cluster.kind),
        driver_version=pool.driver.version or "",
        tenants=pool.tenants,
    )


def autoscaled(pools: Sequence[PoolPlan]) -> tuple[PoolPlan, ...]:
    """Pools of a simulated cluster that has an autoscaler: each with its NodePools."""
    types = type_names(pools)
    return tuple(replace(pool, node_pools=node_pools(pool, types[pool.name])) for pool in pools)


def compile_pool(
    pool: Pool,
    prices: Mapping[str, PriceOverride],
    *,
    simulated: bool,
    known: Mapping[str, Accelerator] | None = None,
    provided: Provided | None = None,
) -> PoolPlan:
    """One pool that has no mistakes."""
    kind = "simulated" if simulated else "existing"
    accelerator = (accelerators() if known is None else known)[pool.accelerator] if pool.accelerator else None
    sharing = pool.sharing.model_dump(by_alias=True, exclude_none=True) if pool.sharing else {}
    start = pool.nodes.min if pool.nodes.start is None else pool.nodes.start
    shapes = tuple(_shape(pool, kind, accelerator, prices, simulated) for kind in pool.capacity)
    return PoolPlan(
        name=pool.name,
        accelerator=accelerator,
        shapes=shapes,
        minimum=pool.nodes.min,
        maximum=pool.nodes.max,
        start=start,
        sharing=sharing,
        nodes=simulated_nodes(shapes[0], start) if simulated else (),
        owners=owners_of(pool, accelerator, kind, provided),
        os=os_of(pool, kind),
        driver_version=pool.driver.version or "",
        tenants=pool.tenants,
    )


def _shape(
    pool: Pool,
    kind: CapacityKind,
    accelerator: Accelerator | None,
    prices: Mapping[str, PriceOverride],
    simulated: bool,
) -> NodeShape:
    count = _count(pool, accelerator)
    machine, cpu, memory = _machine(pool, accelerator, count)
    devices = advertised(accelerator, count, pool.sharing)
    capacity = {
        "cpu": str(cpu),
        "memory": memory,
        "ephemeral-storage": EPHEMERAL_STORAGE,
        "pods": PODS_PER_NODE,
    } | {name: str(number) for name, number in devices.items()}
    return NodeShape(
        pool=pool.name,
        machine=machine,
        capacity_kind=kind,
        labels=_labels(pool, kind, machine, accelerator, count, simulated),
        taints=(
            *((names.accelerator_taint(accelerator.resource),) if accelerator else ()),
            *(Taint(taint.key, taint.value, taint.effect) for taint in pool.taints),
        ),
        capacity=capacity,
        devices=devices,
        price=overridden(pool, kind, machine, prices)[1],
    )


def _count(pool: Pool, accelerator: Accelerator | None) -> int:
    return 0 if accelerator is None else pool.count or accelerator.per_node


def _machine(pool: Pool, accelerator: Accelerator | None, count: int) -> tuple[str, int, str]:
    """Name, vCPU and memory: as the pool says, else what comes with the devices on the reference machine."""
    if isinstance(pool.machine, Shape):
        return f"{pool.machine.cpu}cpu-{pool.machine.memory}", pool.machine.cpu, pool.machine.memory
    if accelerator is not None:
        memory = f"{accelerator.host_memory_gib * count}Gi"
        # The reference machine holds per_node devices; with another number it is another machine, at another price.
        plain = accelerator.reference if count == accelerator.per_node else f"{count}x{accelerator.name}"
        return pool.machine or plain, accelerator.host_cpu * count, memory
    return pool.machine or "unnamed", *PLAIN_MACHINE


def _labels(
    pool: Pool, kind: CapacityKind, machine: str, accelerator: Accelerator | None, count: int, simulated: bool
) -> dict[str, str]:
    labels = {
        **pool.labels,
        names.POOL: pool.name,
        names.CAPACITY: kind,
        "node.kubernetes.io/instance-type": machine,
    }
    if simulated:
        labels |= {
            names.SIMULATED: "true",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/os": "linux",
            "topology.kubernetes.io/region": "simulated",
            "topology.kubernetes.io/zone": "simulated-a",
        }
    if accelerator is not None:
        labels |= {names.ACCELERATOR: accelerator.name}
        labels |= names.vendor_labels(pool, accelerator, count)
    return dict(sorted(labels.items()))


def _label_mistakes(pool: Pool, plan: PoolPlan, path: str) -> list[Mistake]:
    """Labels of the user's that Espalier sets, too: both cannot hold."""
    return [
        Mistake(
            path_text((key,), path), repr(value), f"nothing: Espalier sets {key} itself", "Remove it, or rename it."
        )
        for key, value in sorted(pool.labels.items())
        if any(shape.labels[key] != value for shape in plan.shapes)
    ]


def unknown_accelerator(path: str, name: str, known: Mapping[str, Accelerator]) -> Mistake:
    """A pool's accelerator that the catalogue does not have."""
    return Mistake(f"{path}.accelerator", repr(name), ", ".join(known), "Write one of the catalogue's names.")


def mistakes_of_pool(
    pool: Pool,
    path: str,
    known: Mapping[str, Accelerator],
    kind: str,
    *,
    reference: bool = True,
) -> list[Mistake]:
    """What no place can do, or none of this kind. With `reference`, slices are counted in the reference's hosts."""
    if pool.accelerator is None:
        return list(ownership_mistakes(pool, path, None, kind))
    accelerator = known.get(pool.accelerator)
    if accelerator is None:
        return [unknown_accelerator(path, pool.accelerator, known)]
    return [
        *_sharing_mistakes(pool, accelerator, path),
        *_topology_mistakes(pool, accelerator, path, reference),
        *ownership_mistakes(pool, path, accelerator, kind),
    ]


def _sharing_mistakes(pool: Pool, accelerator: Accelerator, path: str) -> list[Mistake]:
    if pool.sharing is None:
        return []
    if accelerator.vendor != "nvidia":
        return [
            Mistake(
                f"{path}.sharing",
                f"sharing of {accelerator.name}",
                "sharing of NVIDIA accelerators",
                "Remove `sharing`; whole devices are given out.",
            )
        ]
    mig = pool.sharing.mig
    known = ", ".join(geometries(accelerator))
    if mig is None or mig in geometries(accelerator):
        return []
    return [
        Mistake(
            f"{path}.sharing.mig",
            repr(mig),
            known or f"nothing: {accelerator.name} has no MIG",
            "Choose a profile of this accelerator." if known else "Use time-slices or mps, or another accelerator.",
        )
    ]


def _topology_mistakes(pool: Pool, accelerator: Accelerator, path: str, reference: bool) -> list[Mistake]:
    """A TPU slice is one atomic unit: whole slices only. Source: XPK system_characteristics.py; GKE TPU concepts."""
    known = accelerator.topologies
    if pool.topology is None:
        if not known:
            return []
        do = "Add the slice's topology."
        return [Mistake(f"{path}.topology", "nothing", f"for {accelerator.name}: {accelerator.topology_words}", do)]
    if not known:
        do = "Remove `topology`; only TPU slices have one."
        return [Mistake(f"{path}.topology", repr(pool.topology), f"nothing for {accelerator.name}", do)]
    if pool.topology not in known:
        do = "Choose a topology of this TPU."
        return [Mistake(f"{path}.topology", repr(pool.topology), accelerator.topology_words, do)]
    if not reference:
        return []
    found: list[Mistake] = []
    if pool.count not in (None, accelerator.per_node):
        do = "Remove `count`; a TPU's chips a node follow from its machine."
        found.append(Mistake(f"{path}.count", str(pool.count), str(accelerator.per_node), do))
    hosts = known[pool.topology]
    for key, number in (("min", pool.nodes.min), ("max", pool.nodes.max), ("start", pool.nodes.start or 0)):
        if number % hosts:
            accepted = f"a multiple of {hosts}, the hosts of a {pool.topology} slice"
            found.append(Mistake(f"{path}.nodes.{key}", str(number), accepted, "Count whole slices."))
    return found
