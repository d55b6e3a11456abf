"""What `verify --probe` runs on each pool with devices: a program, where, how long at most, and what it must tell.

Pods ask for what the proof `wake/<pool>/whole` says wakes the pool, so that nothing waits for a node that cannot come.
Devices that pods take turns at are asked for one by one: a plugin gives out no more (k8s-device-plugin v0.20.0 README,
failRequestsGreaterThanOne).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal

from espalier.blueprint import names
from espalier.blueprint.build import Blueprint
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.wake import works_of
from espalier.catalogue import CLOUDS, Catalogue, catalogue
from espalier.catalogue.model import chips
from espalier.charts.images import ImageRule
from espalier.quantity import parse_quantity
from espalier.types import Image

if TYPE_CHECKING:
    from espalier.catalogue.machines import Machine

Program = Literal["gpu", "tpu", "neuron"]
Level = Literal["restricted", "baseline"]

TOLERANCE: Final = 0.8
"""What part of the expected bandwidth is enough. Without NVLink SHARP 8 H100 reach 370 of 480 GB/s (nccl-tests issue
212), which this tells apart; what size and version make out is less."""
START_MINUTES: Final = 20
"""A node starts, its driver comes up and an image of several GB is there in less, or something is wrong."""
RUN_MINUTES: Final = 10
IDLE_MINUTES: Final = 10
"""An autoscaler leaves a node idle that long before it takes it away (cluster-autoscaler FAQ,
scale-down-unneeded-time)."""
WORST_MINUTES: Final = START_MINUTES + RUN_MINUTES + IDLE_MINUTES

EFA: Final = "vpc.amazonaws.com/efa"
_PAGES: Final = "hugepages-2Mi"
_EFA_PAGES: Final = "5Gi"
"""EKS user guide, ml/node-efa: a worker of NCCL's tests over EFA asks for 5120Mi."""
_SLICE: Final = "cloud.google.com/gke-nodepool"
"""A TPU slice of several hosts is a node pool of its own."""

_CUDA: Final = (
    "docker.io/pytorch/pytorch:2.10.0-cuda12.8-cudnn9-runtime"
    "@sha256:b85566342b86d13a67712e9315d40cdc2dad7f8d86df1aff3831f80835edbcca"
)
_CUDA_VOLTA: Final = (
    "docker.io/pytorch/pytorch:2.4.1-cuda12.1-cudnn9-runtime"
    "@sha256:ac7c098a81512e719afa5d2d497f812d7db3498f340a4b819c69cb7b3b257126"
)
"""PyTorch's builds for CUDA 12.8 know Volta no more (PyTorch 2.8 release notes)."""
_CUDA_EFA: Final = (
    "public.ecr.aws/deep-learning-containers/pytorch-training:2.8.0-gpu-py312-cu129-ubuntu22.04-ec2-v1.33"
)
"""AWS's own, which has the EFA plugin of NCCL (aws-ofi-nccl)."""
_ROCM: Final = (
    "docker.io/rocm/pytorch:rocm7.2.4_ubuntu24.04_py3.12_pytorch_release_2.9.1"
    "@sha256:7fe531fa185af260352fe7fbb3fa64ad749abe72adf0600a648c4692801b125a"
)
"""Tag and digest as AMD's documentation lists them (ROCm, "PyTorch on ROCm")."""
_JAX: Final = "us-docker.pkg.dev/cloud-tpu-images/jax-ai-image/tpu:jax0.8.1-rev1"
_NEURON: Final = "public.ecr.aws/neuron/pytorch-training-neuronx:2.9.0-neuronx-py312-sdk2.27.1-ubuntu24.04"


@dataclass(frozen=True, slots=True)
class Measure:
    """A bandwidth that is measured: of one node's devices, or over all nodes of the probe.

    `expected` is in GB/s, as NVIDIA's nccl-tests count bus bandwidth; None where nothing is known to judge it by.
    `source` says where it comes from, or why there is none.
    """

    check: str
    scope: Literal["node", "nodes"]
    devices: int
    expected: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A Job of `nodes` pods, each on a node of its own."""

    pool: PoolPlan
    program: Program
    image: str
    nodes: int
    asks: Mapping[str, str]
    """Quantities that each pod asks for."""
    tolerations: tuple[Mapping[str, str], ...]
    selector: Mapping[str, str]
    devices: int
    """How many devices the program must see in each pod."""
    device: str
    """The resource that they are asked for by."""
    sharing: Literal["", "mig", "turns"]
    """"mig" where each device is a slice of its own, "turns" where pods take turns at one."""
    level: Level
    """The Pod Security level that it can be held to."""
    together: str
    """The label whose value all its nodes share; "" for any nodes."""
    measures: tuple[Measure, ...]

    @property
    def name(self) -> str:
        """The name of its first check."""
        return f"probe/{self.pool.name}"

    @property
    def checks(self) -> tuple[str, ...]:
        """The names of all that it proves."""
        return (self.name, *(measure.check for measure in self.measures))

    @property
    def worst(self) -> float | None:
        """USD that it costs at most, where all of its nodes have to start; None where a price is not known."""
        prices = [shape.price.per_hour if shape.price else None for shape in self.pool.shapes]
        known = [price for price in prices if price is not None]
        return self.nodes * max(known) * WORST_MINUTES / 60 if len(known) == len(prices) else None


@dataclass(frozen=True, slots=True)
class Unprobed:
    """A check that is not made, and why."""

    check: str
    why: str


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What is run, and what is left out."""

    probes: tuple[Probe, ...] = ()
    unprobed: tuple[Unprobed, ...] = ()


PAUSE: Final = "registry.k8s.io/pause:3.10"
"""Kubernetes' own image that does nothing; a node that has run any pod mostly has it."""


def plan_probes(blueprint: Blueprint, only: Sequence[str] = ()) -> ProbePlan:
    """The probes of all pools with devices, or of those that `only` names; none where nothing runs containers."""
    pools = [pool for pool in blueprint.pools if pool.accelerator and (not only or pool.name in only)]
    if not blueprint.facts.runs_containers:
        why = "its devices are simulated, and no container runs: nothing computes here"
        return ProbePlan((), tuple(Unprobed(f"probe/{pool.name}", why) for pool in pools))
    rule = ImageRule(blueprint.settings.sources.registry or "")
    known = blueprint.catalogue or catalogue()
    named = {pool.name: isinstance(pool.machine, str) for pool in blueprint.settings.pools}
    probes: list[Probe] = []
    unprobed: list[Unprobed] = []
    for pool in pools:
        machine = _machine(known, pool) if pool.groups or named.get(pool.name) else None
        if why := _not_here(pool, machine):
            unprobed.append(Unprobed(f"probe/{pool.name}", why))
            continue
        probe, left = _probe(pool, machine, rule)
        probes.append(probe)
        unprobed += left
    return ProbePlan(tuple(probes), tuple(unprobed))


def probe_images(blueprint: Blueprint) -> tuple[Image, ...]:
    """The images that `verify --probe` would pull: a site without a way out mirrors them, too."""
    if not blueprint.facts.runs_containers:
        return ()
    probes = (Image(probe.image, "", f"verify --probe, {probe.name}") for probe in plan_probes(blueprint).probes)
    return (*probes, Image(pause_image(blueprint), "", "verify --probe, pods that do nothing"))


def pause_image(blueprint: Blueprint) -> str:
    """What does nothing, from the stack's own registry where it has one."""
    return ImageRule(blueprint.settings.sources.registry or "").apply(PAUSE)


def _machine(known: Catalogue, pool: PoolPlan) -> Machine | None:
    found = (known.machines(cloud).get(pool.shape.machine) for cloud in CLOUDS)
    return next((machine for machine in found if machine is not None), None)


def _not_here(pool: PoolPlan, machine: Machine | None) -> str:
    """Why nothing is run on such a pool; "" where something is."""
    assert pool.accelerator is not None  # noqa: S101 - asked of pools that have one
    if pool.accelerator.vendor not in ("nvidia", "amd", "google", "aws"):
        return f"no program is known that computes on {pool.accelerator.resource}"
    if machine is not None and machine.architecture == "arm64":
        return f"{machine.name} is an arm64 machine, for which no image is pinned"
    if pool.maximum == 0:
        return "the pool can have no node"
    return ""


def _probe(pool: PoolPlan, machine: Machine | None, rule: ImageRule) -> tuple[Probe, list[Unprobed]]:
    assert pool.accelerator is not None  # noqa: S101 - asked of pools that have one
    vendor = pool.accelerator.vendor
    turns = "time-slices" in pool.sharing or "mps" in pool.sharing
    work = works_of(pool)[0 if turns else -1]
    device, count = next(iter(sorted(pool.shape.devices.items())))
    mig = "mig" in pool.sharing
    fabric = EFA in pool.shape.capacity and not pool.sharing
    hosts = _hosts(pool)
    nodes = hosts if hosts > 1 else 2 if fabric and _knows_efa(pool) and pool.maximum > 1 else 1
    asked = {key: _quantity(key, amount) for key, amount in sorted(work.asks.items())}
    if fabric:
        pages = pool.shape.capacity.get(_PAGES, "0")
        asked |= {_PAGES: _EFA_PAGES} if parse_quantity(pages) >= parse_quantity(_EFA_PAGES) else {}
    devices = 1 if turns else sum(pool.shape.devices.values()) if mig else count
    measures, left = _measures(pool, machine, nodes, devices)
    probe = Probe(
        pool=pool,
        program="tpu" if vendor == "google" else "neuron" if vendor == "aws" else "gpu",
        image=rule.apply(_image(pool, fabric)),
        nodes=nodes,
        asks=asked,
        tolerations=work.tolerations,
        selector=work.selector,
        devices=devices,
        device="its MIG slices" if mig else device,
        sharing="turns" if turns else "mig" if mig else "",
        # ROCm's and the TPU's device files belong to root, as a container of theirs does by default.
        level="baseline" if vendor in ("amd", "google") else "restricted",
        together=_SLICE if hosts > 1 else "",
        measures=measures,
    )
    return probe, left


def _hosts(pool: PoolPlan) -> int:
    """Hosts of a TPU slice, which is used whole; 1 for everything else."""
    topology = pool.shape.labels.get(names.TPU_TOPOLOGY)
    return chips(topology) // sum(pool.shape.devices.values()) if topology else 1


def _image(pool: PoolPlan, fabric: bool) -> str:
    assert pool.accelerator is not None  # noqa: S101 - asked of pools that have one
    if pool.accelerator.vendor == "nvidia":
        volta = pool.accelerator.name.startswith("V100")
        return _CUDA_VOLTA if volta else _CUDA_EFA if fabric else _CUDA
    return {"amd": _ROCM, "google": _JAX, "aws": _NEURON}[pool.accelerator.vendor]


def _knows_efa(pool: PoolPlan) -> bool:
    """Whether the image for its devices has a plugin for EFA."""
    return pool.accelerator is not None and _image(pool, fabric=True) == _CUDA_EFA


def _measures(
    pool: PoolPlan, machine: Machine | None, nodes: int, devices: int
) -> tuple[tuple[Measure, ...], list[Unprobed]]:
    """What is measured, and what would be of interest and is not."""
    assert pool.accelerator is not None  # noqa: S101 - asked of pools that have one
    name, between = f"bandwidth/{pool.name}", f"bandwidth/{pool.name}/nodes"
    if pool.sharing:
        return (), [Unprobed(name, "its devices are shared: an all-reduce is over whole ones")]
    if pool.accelerator.vendor == "google":
        total = devices * nodes
        figure = _figure(machine, "nodes" if nodes > 1 else "node")
        return ((Measure(name, "nodes" if nodes > 1 else "node", total, *figure),) if total > 1 else ()), []
    found: list[Measure] = []
    left: list[Unprobed] = []
    if devices > 1:
        found.append(Measure(name, "node", devices, *_figure(machine, "node")))
    if nodes > 1:
        found.append(Measure(between, "nodes", devices * nodes, *_figure(machine, "nodes")))
    elif why := _not_between(pool, machine):
        left.append(Unprobed(between, why))
    return tuple(found), left


def _figure(machine: Machine | None, scope: Literal["node", "nodes"]) -> tuple[float | None, str]:
    if machine is None:
        return None, "the pool names no machine of the catalogue"
    busbw = machine.busbw
    amount = None if busbw is None else busbw.node if scope == "node" else busbw.nodes
    if busbw is None or amount is None:
        return None, f"the catalogue has no such figure of {machine.name}"
    return amount, f"{busbw.origin.source}, {busbw.origin.date}"


def _not_between(pool: PoolPlan, machine: Machine | None) -> str:
    """Why the network between machines that have a fast one is not measured; "" where they have none."""
    if machine is None:
        return ""
    if EFA in pool.shape.capacity:
        return "the pool has at most one node" if pool.maximum < 2 else "no image with its plugin for EFA is pinned"
    if machine.efa:
        return "its nodes give pods no EFA interfaces"
    if machine.infiniband:
        return "no add-on gives pods its InfiniBand interfaces"
    if machine.cloud == "gcp" and (machine.network_gbps or 0) >= _GPUDIRECT:
        return "pods need a plugin of Google's for GPUDirect, which no add-on brings"
    return ""


_GPUDIRECT: Final = 800
"""Gbit/s from which Google's GPU machines have a network of GPUs' own: A3 High and newer."""


def _quantity(key: str, amount: Fraction) -> str:
    """Rounded down to what the API server takes as it is: millicores, MiB, whole devices."""
    if key == "cpu":
        return f"{int(amount * 1000)}m"
    return f"{int(amount / 2**20)}Mi" if key == "memory" else str(int(amount))
