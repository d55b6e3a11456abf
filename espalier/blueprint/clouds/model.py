"""What the compilers of all clouds take and give: plain, frozen data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from espalier.blueprint import names
from espalier.blueprint.clouds.parts import Parts
from espalier.blueprint.clouds.tenancy import Tenancy
from espalier.catalogue import Accelerator
from espalier.catalogue.machines import Machine
from espalier.settings.cloud import CloudCluster
from espalier.settings.identity import Identity
from espalier.settings.pool import Pool
from espalier.types import AddonPlan, CapacityKind, Mistake, NodeShape, Planned, Price, Taint

if TYPE_CHECKING:
    from espalier.blueprint.pools import PoolPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A pool with what the catalogue knows of it, ready for a cloud to compile."""

    pool: Pool
    path: str
    """Where the pool stands in the stack file, such as `espalier:pools[2]`."""
    accelerator: Accelerator | None
    count: int
    """Devices a node, before sharing; 0 for none."""
    machine: Machine
    alternatives: tuple[Machine, ...]
    """Further machine types that spot capacity may take."""
    devices: Mapping[str, int]
    """What a node's device plugin advertises, after sharing."""
    start: int
    system: bool
    """Cluster components run on it."""
    alone: bool = False
    """It is the system's pool, and no other takes pods that tolerate nothing: add-ons and tenants run on it, too."""
    prices: Mapping[CapacityKind, Price | None]
    startup: tuple[Taint, ...] = ()
    """Taints of new nodes, until their devices are there."""
    further_prices: Mapping[str, Price | None] = field(default_factory=dict[str, "Price | None"])
    """What a further machine type costs as spot, by its name."""

    def on(self, machine: Machine) -> Wanted:
        """The same pool on one of its further machine types, as spot capacity."""
        return replace(self, machine=machine, alternatives=(), prices={"spot": self.further_prices.get(machine.name)})

    def labels(self, kind: CapacityKind) -> dict[str, str]:
        """Labels that Espalier gives to the nodes itself, sorted; those that a cloud makes are not among them."""
        given = {**self.pool.labels, names.POOL: self.pool.name, names.CAPACITY: kind}
        if self.accelerator is not None:
            given |= {names.ACCELERATOR: self.accelerator.name}
            given |= names.vendor_labels(self.pool, self.accelerator, self.count)
        return dict(sorted(given.items()))

    def taints(self) -> tuple[Taint, ...]:
        """The accelerator's taint and the user's own; what a cloud or a kind of capacity adds is not among them."""
        own = tuple(Taint(taint.key, taint.value, taint.effect) for taint in self.pool.taints)
        return (*((names.accelerator_taint(self.accelerator.resource),) if self.accelerator else ()), *own)

    def shape(
        self,
        kind: CapacityKind,
        *,
        labels: Mapping[str, str],
        taints: Sequence[Taint],
        pods: int,
        storage_gib: int,
        further: Mapping[str, int] | None = None,
    ) -> NodeShape:
        """What a node will look like to the scheduler: all labels and taints, its own and the cloud's.

        `pods` a node, `storage_gib` of ephemeral storage, `further` extended resources besides the accelerator's.
        """
        resources = {name: str(number) for name, number in {**self.devices, **(further or {})}.items()}
        return NodeShape(
            pool=self.pool.name,
            machine=self.machine.name,
            capacity_kind=kind,
            labels=dict(sorted(labels.items())),
            taints=tuple(taints),
            capacity={
                "cpu": str(self.machine.vcpu),
                "memory": f"{int(self.machine.memory_gib * 1024)}Mi",
                "ephemeral-storage": f"{storage_gib}Gi",
                "pods": str(pods),
            }
            | resources,
            devices=dict(self.devices),
            price=self.prices.get(kind),
            startup_taints=self.startup,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """What a cloud calls a node group, node pool or agent pool: one kind of capacity of a pool, in some zones.

    Each cloud's own class adds what its API takes. Where a pool has several groups, each may grow to `maximum`.
    """

    key: str
    """Stable for life, unique in the stack: the resource's name ends with it."""
    name: str
    """Its name in the cloud, with the generation, within the cloud's limits."""
    generation: str
    """Changes with what cannot change in place: a new generation stands before the old one goes."""
    pool: str
    shape: NodeShape
    labels: Mapping[str, str]
    """Those that are asked for; the cloud adds its own."""
    taints: tuple[Taint, ...]
    """Those that are asked for, of new nodes' startup as well."""
    minimum: int
    maximum: int
    start: int
    zones: tuple[str, ...]
    objects: tuple[Planned, ...] = ()
    """What an autoscaler inside the cluster reads of it."""
    repair: bool = False
    """The cloud replaces nodes that it finds not healthy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudPlan:
    """A cluster in a cloud, decided. Each cloud's own class adds what its components need."""

    kind: str
    name: str
    region: str
    zones: tuple[str, ...]
    tags: Mapping[str, str]
    groups: tuple[NodeGroup, ...]
    notes: tuple[str, ...]
    """What the plan tells its reader besides: an upgrade without spare nodes, a price that is not known."""
    parts: Parts = field(default_factory=Parts)
    """Buckets, registries and a private DNS zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """A cloud's compiler: pure functions from settings to its plan. The settings are those of its own kind."""

    cloud: str
    """As the catalogue calls it: aws, gcp or azure."""
    zones: Callable[[str], tuple[str, ...] | None]
    """Zones of a region, None for a region that it does not know."""
    regions: Callable[[], Sequence[str]]
    cluster_mistakes: Callable[[Any], Iterable[Mistake]]
    """Of the cluster block, paths from `espalier:cluster`."""
    pool_mistakes: Callable[[Any, Wanted], Iterable[Mistake]]
    """What the cloud cannot do of a pool."""
    groups: Callable[[Any, Wanted], tuple[NodeGroup, ...]]
    """The groups of a pool without mistakes, in the order of its capacity kinds. A pool that Karpenter makes has one
    group a kind, too: none of them is registered then, and its shape is what Karpenter's nodes look like."""
    plan: Callable[[CloudCluster, Sequence[PoolPlan]], CloudPlan]
    tenancy: Tenancy
    """Its part in tenants."""
    addon: Callable[[AddonPlan], AddonPlan] = lambda addon: addon
    """An add-on with what the cloud wants beside it."""
    stack_mistakes: Callable[[Any, Sequence[Wanted]], Iterable[Mistake]] = lambda _, __: ()
    """What the pools together lack or cannot have, such as a system pool."""
    with_identity: Callable[[CloudPlan, Identity], CloudPlan] = lambda plan, _: plan
    """A plan whose cluster is told of people's identity provider, where the cloud takes one."""
