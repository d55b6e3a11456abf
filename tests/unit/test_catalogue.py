"""The catalogue's rows against facts that do not come from the catalogue."""

from __future__ import annotations

import re
from math import prod

import pytest

from espalier.catalogue import Accelerator, accelerators

ROWS = [pytest.param(row, id=name) for name, row in accelerators().items()]

# Devices, vCPU and GiB of the reference machines.
# Sources: karpenter-provider-aws website/content/en/docs/reference/instance-types.md (2026-07-20),
# autoscaler cluster-autoscaler azure_instance_types.go, Google Cloud TPU machine types (2026-08-03).
MACHINES = {
    "g4dn.12xlarge": (4, 48, 192),
    "g6.48xlarge": (8, 192, 768),
    "g5.48xlarge": (8, 192, 768),
    "g6e.48xlarge": (8, 192, 1536),
    "p4d.24xlarge": (8, 96, 1152),
    "p4de.24xlarge": (8, 96, 1152),
    "p5.48xlarge": (8, 192, 2048),
    "p5en.48xlarge": (8, 192, 2048),
    "p6-b200.48xlarge": (8, 192, 2048),
    "ND96isr_MI300X_v5": (8, 96, 1850),
    "ct5lp-hightpu-4t": (4, 112, 192),
    "ct6e-standard-4t": (4, 180, 720),
}

# Slices a device, 1g to 7g, and GiB of each as NVIDIA writes them.
# Source: NVIDIA/mig-parted v0.15.0 deployments/systemd/config-default.yaml.
MIG = {
    "A100-40": ["1g.5gb 7", "1g.10gb 4", "2g.10gb 3", "3g.20gb 2", "4g.20gb 1", "7g.40gb 1"],
    "A100-80": ["1g.10gb 7", "1g.20gb 4", "2g.20gb 3", "3g.40gb 2", "4g.40gb 1", "7g.80gb 1"],
    "H100-80": ["1g.10gb 7", "1g.20gb 4", "2g.20gb 3", "3g.40gb 2", "4g.40gb 1", "7g.80gb 1"],
    "H200": ["1g.18gb 7", "1g.35gb 4", "2g.35gb 3", "3g.71gb 2", "4g.71gb 1", "7g.141gb 1"],
    "B200": ["1g.23gb 7", "1g.45gb 4", "2g.45gb 3", "3g.90gb 2", "4g.90gb 1", "7g.180gb 1"],
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_its_reference_machine(row: Accelerator) -> None:
    devices, cpu, memory = MACHINES[row.reference]
    assert row.per_node == devices
    assert row.host_cpu * row.per_node == cpu
    # A node never claims more memory than its machine has, nor a GiB a device less.
    assert memory - row.per_node < row.host_memory_gib * row.per_node <= memory


@pytest.mark.parametrize("row", ROWS)
def test_mig_is_nvidias_table_and_nobody_elses(row: Accelerator) -> None:
    assert [f"{profile} {count}" for profile, count in row.mig.items()] == MIG.get(row.name, [])


@pytest.mark.parametrize("row", ROWS)
def test_mig_slices_fit_the_device(row: Accelerator) -> None:
    for profile, count in row.mig.items():
        match = re.fullmatch(r"([1-7])g\.([0-9]+)gb", profile)
        assert match, profile
        assert int(match[1]) * count <= 7
        # NVIDIA rounds a slice's memory up by less than 1 GB.
        assert (int(match[2]) - 1) * count < row.memory_gib


@pytest.mark.parametrize("row", ROWS)
def test_a_tpu_slice_is_all_chips_of_its_hosts(row: Accelerator) -> None:
    assert bool(row.topologies) == (row.vendor == "google")
    for topology, hosts in row.topologies.items():
        assert hosts * row.per_node == prod(map(int, topology.split("x"))), topology


def test_a_tpu_carries_the_label_that_its_pods_select_by() -> None:
    """Source: XPK src/xpk/core/system_characteristics.py; GKE sets the label on TPU nodes."""
    labels = {name: dict(row.labels) for name, row in accelerators().items() if row.vendor == "google"}
    key = "cloud.google.com/gke-tpu-accelerator"
    assert labels == {"TPU-v5e": {key: "tpu-v5-lite-podslice"}, "TPU-v6e": {key: "tpu-v6e-slice"}}


def test_a_vendor_has_one_resource() -> None:
    resources = {row.vendor: row.resource for row in accelerators().values()}
    assert resources == {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu", "google": "google.com/tpu"}
