"""What GKE knows of a machine type besides the catalogue's row: disks, networks, placement.

Source: Compute Engine, "Machine families" and "About local SSD disks"; GKE's node pool module of
GoogleCloudPlatform/cluster-toolkit (main.tf, disk_definitions.tf, gpu_direct.tf), 2026-06.
"""

from __future__ import annotations

from typing import Final

from espalier.catalogue.machines import Machine
from espalier.quantity import parse_quantity
from espalier.settings.pool import Pool

GIB: Final = 2**30
_HYPERDISK: Final = ("a3-ultragpu", "a4", "a4x", "c4", "c4a", "ct6e", "g4", "n4", "tpu7x")
"""Series that cannot boot from Persistent Disk."""
_PERSISTENT: Final = ("a2", "ct4p", "ct5lp", "ct5p", "e2", "g2", "n1", "n2", "n2d")
"""Series that cannot boot from Hyperdisk Balanced."""
_NOT_COMPACT: Final = ("e2", "n1", "n4")
_FLEX_COMPACT: Final = ("a3-ultragpu", "a4", "h4d")
_FABRIC: Final = ("a3-highgpu-8g", "a3-megagpu-8g", "a3-ultragpu-8g", "a4-highgpu-8g", "a4x-highgpu-4g")
"""Machines with networks for their GPUs alone, which GKE attaches by DRANET."""
DOMAIN_NODES: Final = 18
"""Nodes of an NVLink domain of 72 GPUs. Source: cluster-toolkit, examples/gke-a4x."""
METAL: Final = "a4x-maxgpu-4g-metal"
"""Bare metal: its nodes need huge pages, networks of IPv6 alone and reservations by sub-block."""
FABRIC_VERSION: Final = (1, 35)
"""DRANET is in 1.34.1-gke.1829001 and later; of minor versions, all of 1.35 are later."""
FABRIC_NODES: Final = "1.34.1-gke.1829001"
"""The first version of nodes with DRANET, under Dataplane V2. Source: cluster-toolkit, gpu_direct.tf. It takes the
place of GPUDirect's TCPX (A3 High) and TCPXO (A3 Mega), which need four or eight further VPCs and installers."""
PARTITIONS: Final = {
    "A100-40": ("1g.5gb", "2g.10gb", "3g.20gb", "7g.40gb"),
    "A100-80": ("1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb"),
    "H100-80": ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "7g.80gb"),
    "H200": ("1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"),
    "B200": ("1g.23gb", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb"),
    "GB200": ("1g.23gb", "1g.47gb", "2g.47gb", "3g.93gb", "4g.93gb", "7g.186gb"),
    "RTX-PRO-6000": ("1g.24gb", "2g.48gb", "4g.96gb"),
}
"""MIG partition sizes of GKE's own plugin. Source: GoogleCloudPlatform/container-engine-accelerators, pkg/gpu/nvidia/
mig (gpuPartitionSizeMaxCount)."""
TYPES: Final = {
    "T4": "nvidia-tesla-t4",
    "V100-16": "nvidia-tesla-v100",
    "L4": "nvidia-l4",
    "A100-40": "nvidia-tesla-a100",
    "A100-80": "nvidia-a100-80gb",
    "H100-80": "nvidia-h100-80gb",
    "H200": "nvidia-h200-141gb",
    "B200": "nvidia-b200",
    "RTX-PRO-6000": "nvidia-rtx-pro-6000",
    "TPU-v5e": "tpu-v5-lite-podslice",
    "TPU-v5p": "tpu-v5p-slice",
    "TPU-v6e": "tpu-v6e-slice",
}
"""Accelerator of the catalogue -> GKE's name of it, as node auto-provisioning and N1 pools spell it."""


def _of(name: str, series: tuple[str, ...]) -> bool:
    return name.split("-")[0] in series or "-".join(name.split("-")[:2]) in series


def is_tpu(machine: Machine) -> bool:
    """Whether the machine comes with TPUs."""
    return machine.accelerator.startswith("TPU")


def disk_types(machine: Machine) -> tuple[str, ...]:
    """Types of boot disk that the machine takes, the default first."""
    if _of(machine.name, _HYPERDISK):
        return ("hyperdisk-balanced",)
    persistent = ("pd-balanced", "pd-ssd", "pd-standard")
    return persistent if _of(machine.name, _PERSISTENT) else (*persistent[:2], "hyperdisk-balanced")


def disk_gib(pool: Pool) -> int:
    """Size of the boot disk in GiB, which Google Cloud writes GB."""
    if pool.disk.size is None:
        return 200 if pool.accelerator else 100
    return -int(-parse_quantity(pool.disk.size) // GIB)


def local_ssds(machine: Machine) -> int:
    """Local SSDs that come with the machine: of 375 GB each, of 3000 GB on A4X."""
    size = 3000 if machine.name.startswith("a4x") else 375
    return int((machine.local_disk_gb or 0) // size)


def storage_gib(pool: Pool, machine: Machine) -> int:
    """Ephemeral storage of a node in GiB: of its local SSDs where pods have these, else of its boot disk."""
    local = machine.local_disk_gb or 0
    if local and pool.local_disks == "ephemeral":
        return int(local * 10**9 / GIB)
    return disk_gib(pool)


def compact_allowed(machine: Machine, *, flex: bool) -> bool:
    """Whether nodes of this machine can be placed close together."""
    if is_tpu(machine):
        return True
    return _of(machine.name, _FLEX_COMPACT) if flex else not _of(machine.name, _NOT_COMPACT)


def has_fabric(machine: Machine) -> bool:
    """Whether the machine has a fast network for its GPUs."""
    return machine.name in _FABRIC


def domain_of(machine: Machine) -> str:
    """Topology of the NVLink domain that a node pool of this machine is; "" for what has none over several nodes."""
    return "1x72" if machine.name == "a4x-highgpu-4g" else ""


def has_fabric_version(version: str) -> bool:
    """Whether a cluster of this minor version attaches such networks by itself."""
    return tuple(int(part) for part in version.split(".")) >= FABRIC_VERSION


def has_fabric_nodes(release: str) -> bool:
    """Whether nodes of this whole GKE version, such as 1.34.1-gke.1829001, attach such networks."""
    return _parts(release) >= _parts(FABRIC_NODES)


def _parts(release: str) -> list[int]:
    return [int(part) for part in release.replace("-gke", "").split(".")]
