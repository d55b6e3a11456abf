"""A node pool, as a component."""

from typing import Any, NotRequired, TypedDict

import pulumi

from espalier.blueprint.pools import PoolPlan, compile_pools
from espalier.components.inputs import hyphenated, run_error, settings_of
from espalier.components.objects import register


class NodesArgs(TypedDict):
    """How many nodes a pool has."""

    min: NotRequired[int]
    """Nodes that stay when nothing runs; default: 0."""
    max: int
    """Nodes at most."""
    start: NotRequired[int]
    """Nodes made at first; default: min."""


class SharingArgs(TypedDict):
    """One way, at most, of giving a device to several pods."""

    mig: NotRequired[str]
    """MIG profile that all devices are cut into, such as all-1g.10gb."""
    time_slices: NotRequired[int]
    """Pods that take turns on a device."""
    mps: NotRequired[int]
    """Pods that share a device by NVIDIA's Multi-Process Service."""


class PoolArgs(TypedDict):
    """Arguments of Pool: a pool block of a stack file. All are plain: they shape the program."""

    name: str
    """The pool's name, a DNS label of at most 30 characters."""
    nodes: NodesArgs
    """How many nodes."""
    accelerator: NotRequired[str]
    """A name of the catalogue, such as H100-80."""
    count: NotRequired[int]
    """Devices a node."""
    machine: NotRequired[Any]
    """A machine type's name, or {cpu, memory}."""
    topology: NotRequired[str]
    """TPU slice topology, such as 4x4."""
    capacity: NotRequired[list[str]]
    """Kinds of capacity in order of preference: reserved, spot, flex, on-demand."""
    sharing: NotRequired[SharingArgs]
    """How several pods share a device; default: they do not."""
    labels: NotRequired[dict[str, str]]
    """Labels for its nodes."""


class Pool(pulumi.ComponentResource):
    """A pool of simulated nodes, which a simulated cluster makes Ready.

    On clusters that Espalier did not make, the nodes are there already and a pool registers none.
    """

    nodes: pulumi.Output[list[str]]
    """Names of the nodes that the pool starts with."""

    def __init__(self, name: str, args: PoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = settings_of(name, {"pools": [hyphenated(args)]})
        plans, mistakes = compile_pools(settings.pools, {}, simulated=True)
        if mistakes:
            raise run_error(name, mistakes)
        self._register(name, plans[0], opts)

    @classmethod
    def planned(cls, name: str, plan: PoolPlan, opts: pulumi.ResourceOptions) -> "Pool":
        """A pool that the blueprint has compiled already."""
        self = cls.__new__(cls)
        self._register(name, plan, opts)
        return self

    def _register(self, name: str, plan: PoolPlan, opts: pulumi.ResourceOptions | None) -> None:
        super().__init__("espalier:index:Pool", name, {}, opts)
        made = register(self, name, plan.nodes)
        register(self, name, plan.node_pools)
        self.nodes = pulumi.Output.all(*[vars(node)["metadata"]["name"] for node in made.values()])
        self.register_outputs({"nodes": self.nodes})
