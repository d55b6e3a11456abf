"""The catalogue's rows against facts that do not come from the catalogue, and the arithmetic between them."""

from __future__ import annotations

import re
from dataclasses import fields
from math import prod
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.catalogue import CLOUDS, Accelerator, accelerators, catalogue
from espalier.catalogue.compile import COMPILED, compiled, own_parts
from espalier.catalogue.machines import Machine

ROWS = [pytest.param(row, id=name) for name, row in accelerators().items()]
MACHINES = {cloud: catalogue().machines(cloud) for cloud in CLOUDS}
ALL = [row for rows in MACHINES.values() for row in rows.values()]
CUT = [row for row in accelerators().values() if row.profiles]

# Devices, vCPU and GiB of the machines that stand for an accelerator.
# Sources: EC2 and Azure instance documentation, autoscaler's ec2_instance_types.go and azure_instance_types.go,
# Google Cloud TPU machine types; written down apart from the data files.
REFERENCES = {
    "g4dn.12xlarge": (4, 48, 192),
    "g6.48xlarge": (8, 192, 768),
    "Standard_NV72ads_A10_v5": (2, 72, 880),
    "g5.48xlarge": (8, 192, 768),
    "g6e.48xlarge": (8, 192, 1536),
    "g7e.48xlarge": (8, 192, 2048),
    "p3.16xlarge": (8, 64, 488),
    "p3dn.24xlarge": (8, 96, 768),
    "p4d.24xlarge": (8, 96, 1152),
    "p4de.24xlarge": (8, 96, 1152),
    "p5.48xlarge": (8, 192, 2048),
    "Standard_NC80adis_H100_v5": (2, 80, 640),
    "p5en.48xlarge": (8, 192, 2048),
    "p6-b200.48xlarge": (8, 192, 2048),
    "p6-b300.48xlarge": (8, 192, 4096),
    "p6e-gb200.36xlarge": (4, 144, 960),
    "Standard_ND128isr_GB300_v6": (4, 128, 864),
    "Standard_ND96isr_MI300X_v5": (8, 96, 1850),
    "trn1.32xlarge": (16, 128, 512),
    "trn2.48xlarge": (16, 192, 2048),
    "inf1.24xlarge": (16, 96, 192),
    "inf2.48xlarge": (12, 192, 768),
    "ct4p-hightpu-4t": (4, 240, 407),
    "ct5lp-hightpu-4t": (4, 112, 192),
    "ct5p-hightpu-4t": (4, 208, 448),
    "ct6e-standard-4t": (4, 180, 720),
    "tpu7x-standard-4t": (4, 224, 960),
}

# Slices a device, 1g to 7g, as NVIDIA writes them.
# Source: NVIDIA/mig-parted v0.15.0 deployments/systemd/config-default.yaml.
MIG = {
    "RTX-PRO-6000": [
        *("1g.24gb 4", "1g.24gb+gfx 4", "1g.24gb+me.all 1", "1g.24gb-me 4"),
        *("2g.48gb 2", "2g.48gb+gfx 2", "2g.48gb+me.all 1", "2g.48gb-me 2", "4g.96gb 1", "4g.96gb+gfx 1"),
    ],
    "A100-40": ["1g.5gb 7", "1g.5gb+me 1", "1g.10gb 4", "2g.10gb 3", "3g.20gb 2", "4g.20gb 1", "7g.40gb 1"],
    "A100-80": ["1g.10gb 7", "1g.10gb+me 1", "1g.20gb 4", "2g.20gb 3", "3g.40gb 2", "4g.40gb 1", "7g.80gb 1"],
    "H100-80": ["1g.10gb 7", "1g.10gb+me 1", "1g.20gb 4", "2g.20gb 3", "3g.40gb 2", "4g.40gb 1", "7g.80gb 1"],
    "H100-NVL": ["1g.12gb 7", "1g.12gb+me 1", "1g.24gb 4", "2g.24gb 3", "3g.47gb 2", "4g.47gb 1", "7g.94gb 1"],
    "H200": ["1g.18gb 7", "1g.18gb+me 1", "1g.35gb 4", "2g.35gb 3", "3g.71gb 2", "4g.71gb 1", "7g.141gb 1"],
    "B200": ["1g.23gb 7", "1g.23gb+me 1", "1g.45gb 4", "2g.45gb 3", "3g.90gb 2", "4g.90gb 1", "7g.180gb 1"],
    "B300": ["1g.34gb 7", "1g.34gb+me 1", "1g.67gb 4", "2g.67gb 3", "3g.135gb 2", "4g.135gb 1", "7g.269gb 1"],
    "GB200": ["1g.23gb 7", "1g.23gb+me 1", "1g.47gb 4", "2g.47gb 3", "3g.93gb 2", "4g.93gb 1", "7g.186gb 1"],
    "GB300": ["1g.35gb 7", "1g.35gb+me 1", "1g.70gb 4", "2g.70gb 3", "3g.139gb 2", "4g.139gb 1", "7g.278gb 1"],
}

# Source: XPK src/xpk/core/system_characteristics.py (v1.16.0), its default topologies; cluster-toolkit hardware.go.
TOPOLOGIES = {
    "TPU-v4": ["2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16", "8x16x16"],
    "TPU-v5e": ["2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"],
    "TPU-v5p": ["2x2x1", "4x4x4", "4x4x12", "4x8x12", "4x12x28", "8x12x20", "12x12x12", "4x4x116"],
    "TPU-v6e": ["2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"],
    "TPU-v7x": ["2x2x1", "2x4x4", "12x24x24", "16x24x24", "16x20x28", "4x4x244", "8x8x92", "16x16x32"],
}
LARGEST = {"TPU-v4": 64 * 64, "TPU-v5e": 256, "TPU-v5p": 140 * 64, "TPU-v6e": 256, "TPU-v7x": 144 * 64}


def test_the_compiled_files_are_the_data_files() -> None:
    """Mended by `python -m espalier.catalogue.compile`."""
    assert {path.name: path.read_text("utf-8") for path in COMPILED.iterdir()} == compiled(own_parts())


def test_every_accelerator_of_the_field_is_there() -> None:
    models = "T4 L4 A10 A10G L40S RTX-PRO-6000 V100-16 V100-32 A100-40 A100-80 H100-80 H100-NVL H200 B200 B300"
    more = "GB200 GB300 MI300X Trainium Trainium2 Inferentia Inferentia2 TPU-v4 TPU-v5e TPU-v5p TPU-v6e TPU-v7x"
    assert list(accelerators()) == f"{models} {more}".split()


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_its_reference_machine(row: Accelerator) -> None:
    devices, cpu, memory = REFERENCES[row.reference]
    assert row.per_node == devices
    assert row.host_cpu == cpu // devices
    # A node never claims more memory than its machine has, nor a GiB a device less.
    assert memory - row.per_node < row.host_memory_gib * row.per_node <= memory


@pytest.mark.parametrize("row", ROWS)
def test_every_accelerator_has_a_machine_that_counts_it(row: Accelerator) -> None:
    found = [machine for cloud in CLOUDS for machine in catalogue().machines_with(row.name, cloud)]
    assert row.reference in {machine.name for machine in found}
    assert all(count >= 1 for machine in found for count in machine.counts(row.name))


@pytest.mark.parametrize("row", ROWS)
def test_mig_is_nvidias_table_and_nobody_elses(row: Accelerator) -> None:
    assert [f"{profile} {count}" for profile, count in row.mig.items()] == MIG.get(row.name, [])


@given(st.data())
def test_mig_instances_fit_the_device(data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(CUT))
    profile = data.draw(st.sampled_from(row.profiles))
    compute, memory = row.mig_slices
    assert (compute, memory) in {(7, 8), (4, 4)}
    assert re.fullmatch(rf"{profile.slices}g\.{profile.memory_gib}gb([+-][a-z.]+)?", profile.name)
    assert profile.slices * profile.count <= compute
    assert profile.memory_slices * profile.count <= memory
    # NVIDIA rounds a slice's memory up by less than 1 GB; all slices together hold no more than the device.
    assert (profile.memory_gib - 1) * profile.count < row.memory_gib
    if "me" not in profile.name or profile.name.endswith("-me"):
        # Without the media engines, of which there are few, as many instances as fit.
        assert profile.count == min(compute // profile.slices, memory // profile.memory_slices)


@given(st.data())
def test_a_slice_has_its_share_of_the_memory(data: st.DataObject) -> None:
    """No profile gets more, nor an eighth less, than its memory slices are of the device."""
    row = data.draw(st.sampled_from(CUT))
    profile = data.draw(st.sampled_from(row.profiles))
    share = row.memory_gib * profile.memory_slices / row.mig_slices[1]
    assert 0.85 * share < profile.memory_gib < share + 1


@pytest.mark.parametrize("row", ROWS)
def test_a_tpu_slice_is_all_chips_of_its_hosts(row: Accelerator) -> None:
    assert bool(row.topologies) == (row.vendor == "google")
    for topology, hosts in row.topologies.items():
        assert hosts * row.per_node == prod(map(int, topology.split("x"))), topology
    sizes = list(row.topologies.values())
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_tpu_has_the_topologies_of_its_family(name: str) -> None:
    known = accelerators()[name].topologies
    assert set(TOPOLOGIES[name]) <= set(known)
    assert max(prod(map(int, topology.split("x"))) for topology in known) == LARGEST[name]
    sides = [list(map(int, topology.split("x"))) for topology in known if topology != "2x2x1"]
    assert all(side == sorted(side) for side in sides)


def test_a_single_host_slice_has_its_own_machine() -> None:
    rows = MACHINES["gcp"]
    alone = {name: dict(row.topologies) for name, row in rows.items() if name.endswith(("-1t", "-8t"))}
    assert alone == {
        "ct5lp-hightpu-1t": {"1x1": 1},
        "ct5lp-hightpu-8t": {"2x4": 1},
        "ct6e-standard-1t": {"1x1": 1},
        "ct6e-standard-8t": {"2x4": 1},
        "tpu7x-standard-1t": {"1x1x1": 1},
    }


def test_a_tpu_carries_the_label_that_its_pods_select_by() -> None:
    """Source: XPK src/xpk/core/system_characteristics.py; GKE sets the label on TPU nodes."""
    key = "cloud.google.com/gke-tpu-accelerator"
    labels = {name: dict(row.labels) for name, row in accelerators().items() if row.vendor == "google"}
    assert labels == {
        "TPU-v4": {key: "tpu-v4-podslice"},
        "TPU-v5e": {key: "tpu-v5-lite-podslice"},
        "TPU-v5p": {key: "tpu-v5p-slice"},
        "TPU-v6e": {key: "tpu-v6e-slice"},
        "TPU-v7x": {key: "tpu7x"},
    }
    for row in MACHINES["gcp"].values():
        if row.accelerator in labels:
            assert row.cloud_accelerator == labels[row.accelerator][key]


def test_gke_calls_accelerators_by_its_own_names() -> None:
    """Source: cluster-toolkit machine_mappings.json, but a2-ultragpu by accelerated-platforms' list."""
    names = {row.name.rsplit("-", 1)[0]: row.cloud_accelerator for row in MACHINES["gcp"].values() if row.accelerator}
    assert {family: name for family, name in names.items() if name.startswith("nvidia")} == {
        "g2-standard": "nvidia-l4",
        "g4-standard": "nvidia-rtx-pro-6000",
        "a2-highgpu": "nvidia-tesla-a100",
        "a2-megagpu": "nvidia-tesla-a100",
        "a2-ultragpu": "nvidia-a100-80gb",
        "a3-highgpu": "nvidia-h100-80gb",
        "a3-megagpu": "nvidia-h100-mega-80gb",
        "a3-ultragpu": "nvidia-h200-141gb",
        "a4-highgpu": "nvidia-b200",
        "a4x-highgpu": "nvidia-gb200",
        "a4x-maxgpu-4g": "nvidia-gb300",
    }


def test_a_vendor_has_one_resource() -> None:
    resources = {row.vendor: row.resource for row in accelerators().values()}
    assert resources == {
        "nvidia": "nvidia.com/gpu",
        "amd": "amd.com/gpu",
        "google": "google.com/tpu",
        "aws": "aws.amazon.com/neuron",
    }


def test_neuron_devices_have_cores_and_nothing_else_has() -> None:
    """Source: AWS Neuron architecture pages: NeuronCores a chip."""
    cores = {name: row.cores for name, row in accelerators().items() if row.cores}
    assert cores == {"Trainium": 2, "Trainium2": 8, "Inferentia": 4, "Inferentia2": 2}


@pytest.mark.parametrize("cloud", CLOUDS[:3])
def test_a_cloud_has_machines_for_system_and_cpu_pools(cloud: str) -> None:
    rows = [row for row in MACHINES[cloud].values() if not row.accelerator and not row.attachable]
    assert {row.architecture for row in rows} == {"amd64", "arm64"}
    assert {4, 8, 16, 32} <= {row.vcpu for row in rows}


@given(st.sampled_from(ALL))
def test_a_machine_says_no_more_than_is_known(row: Machine) -> None:
    assert row.origin.source
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", row.origin.date)
    assert set(row.origin.unverified) <= {column.name for column in fields(Machine)} | {"all"}
    assert row.local_disk_gb is None or row.local_disk_gb >= 0
    assert row.network_gbps != 0
    assert bool(row.accelerator) == bool(row.devices)
    assert row.capacity


# Prices -----------------------------------------------------------------------------------------------------------


# USD/h as of the rows' days, written down apart from the data files; None is unknown.
@pytest.mark.parametrize(
    ("cloud", "name", "region", "kind", "amount"),
    [
        ("aws", "p5.48xlarge", "us-east-1", "on-demand", 55.04),
        ("aws", "g6.xlarge", "us-east-1", "on-demand", 0.8048),
        ("aws", "p6-b300.48xlarge", "us-east-1", "on-demand", 142.416),
        ("aws", "p5.48xlarge", "us-east-1", "spot", None),
        ("aws", "p5e.48xlarge", "us-east-1", "on-demand", None),
        ("aws", "p5.48xlarge", "eu-west-1", "on-demand", None),
        ("gcp", "a3-highgpu-8g", "us-central1", "on-demand", 88.49),
        ("gcp", "a3-highgpu-8g", "us-central1", "spot", 50.6095),
        ("gcp", "a3-highgpu-1g", "us-central1", "on-demand", None),
        ("gcp", "g2-standard-96", "us-central1", "on-demand", 8.00326),
        ("gcp", "ct6e-standard-4t", "us-east5", "on-demand", 10.80),
        ("gcp", "ct4p-hightpu-4t", "us-central2", "on-demand", 12.88),
        ("gcp", "tpu7x-standard-4t", "us-central1", "on-demand", None),
        ("azure", "Standard_ND96isr_H100_v5", "eastus", "on-demand", 98.32),
        ("azure", "Standard_NC4as_T4_v3", "eastus", "on-demand", 0.526),
        ("azure", "Standard_ND96isr_MI300X_v5", "eastus2", "on-demand", 48.0),
        ("azure", "Standard_NC4as_T4_v3", "eastus", "spot", None),
    ],
)
def test_a_list_price_is_the_lists(cloud, name, region, kind, amount) -> None:
    rows = catalogue()
    found = rows.price(MACHINES[cloud][name], region, kind)
    assert (found and found.per_hour) == (amount if amount is None else pytest.approx(amount, rel=1e-4))


def test_no_price_is_zero_and_each_has_its_day() -> None:
    rows, seen = catalogue(), 0
    for row in ALL:
        for region in rows.regions(row):
            for kind in ("on-demand", "spot", "reserved", "flex"):
                price = rows.price(row, region, kind)
                if price is not None:
                    seen += 1
                    assert price.per_hour > 0
                    assert price.origin.source
                    assert price.origin.date >= "2026-06-18"
                    assert kind in row.capacity, (row.name, kind)
    assert seen > 6000


def test_spot_is_no_dearer_than_on_demand() -> None:
    rows = catalogue()
    for row in ALL:
        for region in rows.regions(row):
            spot, full = rows.price(row, region, "spot"), rows.price(row, region, "on-demand")
            if spot and full:
                assert spot.per_hour <= full.per_hour * 1.0001, (row.name, region)


def test_an_attached_accelerator_adds_its_own_price() -> None:
    rows, machine = catalogue(), MACHINES["gcp"]["n1-standard-8"]
    alone = rows.price(machine, "us-central1", "on-demand")
    two = rows.price(machine, "us-central1", "on-demand", "T4", 2)
    assert alone is not None
    assert two is not None
    assert two.per_hour == pytest.approx(0.38 + 2 * 0.35, abs=1e-4)
    # The sum is as doubtful as the accelerator's price, and of the older day.
    assert (alone.origin.verified, two.origin.verified, two.origin.date) == (True, False, "2026-08-03")
    # Where one part is unknown so is the sum.
    assert rows.price(machine, "europe-north1", "on-demand") is not None
    assert rows.price(machine, "europe-north1", "on-demand", "T4", 1) is None


def test_reading_is_lazy_and_needs_no_yaml_nor_models() -> None:
    """A plan pays for the accelerators alone: under a millisecond or two, not the data files' fifty."""
    import subprocess
    import sys

    code = (
        "import sys; from espalier.catalogue import accelerators; accelerators(); "
        "from espalier.catalogue import load; print(load._part.cache_info().currsize, "
        "'yaml' in sys.modules, 'espalier.catalogue.machines' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert out.stdout.split() == ["1", "False", "False"]
