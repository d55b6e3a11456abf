"""The catalogue against the clouds' own descriptions: botocore's models, Google's discovery documents, Azure's SDK.

Each cloud's machine names also say what the machine is; that is a second witness to the columns.
"""

from __future__ import annotations

import gzip
import json
import re
from enum import Enum
from importlib.resources import files
from typing import Any

import pytest
from azure.mgmt.compute.models import VirtualMachineSizeTypes
from azure.mgmt.containerservice.models import GPUInstanceProfile, ScaleSetPriority
from pulumi_azure_native.compute import _enums as native_compute
from pulumi_azure_native.containerservice import _enums as native_aks

from espalier.catalogue import accelerators, catalogue
from espalier.catalogue.machines import Machine

AWS, GCP, AZURE = (catalogue().machines(cloud) for cloud in ("aws", "gcp", "azure"))

SDKS = ("azure-mgmt", "azure-native")


def botocore_shapes(service: str, version: str) -> dict[str, Any]:
    """The file itself: botocore's session takes ten times as long for the same enumerations."""
    path = files("botocore") / "data" / service / version / "service-2.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))["shapes"]


def discovery(service: str) -> dict[str, Any]:
    path = files("googleapiclient") / "discovery_cache" / "documents" / f"{service}.v1.json"
    return json.loads(path.read_text("utf-8"))["schemas"]


@pytest.fixture(scope="module")
def ec2() -> dict[str, Any]:
    return botocore_shapes("ec2", "2016-11-15")


@pytest.fixture(scope="module")
def gke() -> dict[str, Any]:
    return discovery("container")


@pytest.fixture(scope="module")
def compute() -> dict[str, Any]:
    return discovery("compute")


def named(rows: dict[str, Machine], pattern: str) -> list[tuple[Machine, re.Match[str]]]:
    return [(row, match) for name, row in rows.items() if (match := re.fullmatch(pattern, name))]


# AWS --------------------------------------------------------------------------------------------------------------


def test_ec2_has_every_machine(ec2: dict[str, Any]) -> None:
    assert not set(AWS) - set(ec2["InstanceType"]["enum"])


def test_the_catalogue_has_every_current_machine_of_its_accelerators(ec2: dict[str, Any]) -> None:
    """A size that AWS adds to a family fails here, with the next botocore."""
    families = {name.partition(".")[0] for name, row in AWS.items() if row.accelerator}
    missing = {name for name in ec2["InstanceType"]["enum"] if name.partition(".")[0] in families} - set(AWS)
    # Its vCPUs and memory could not be confirmed.
    assert missing == {"trn2.3xlarge"}


def test_every_family_of_ec2_with_accelerators_is_known_or_left_out_for_a_reason(ec2: dict[str, Any]) -> None:
    """A family that AWS adds, such as one of the next accelerator, fails here with the next botocore."""
    families = {name.partition(".")[0] for name, row in AWS.items() if row.accelerator}
    told = {name.partition(".")[0] for name in ec2["InstanceType"]["enum"]}
    fractions = {"g6f", "gr6f"}  # parts of an L4, which the device plugin does not count
    older = {"p2", "g2", "g3", "g3s", "g4ad", "g5g"}  # before T4 and V100, of AMD's graphics, or T4G
    others = {"dl1", "dl2q", "f1", "f2", "vt1"}  # Gaudi, Qualcomm, FPGAs, video
    newer = {"g7"}  # of an accelerator that the catalogue does not have
    with_accelerators = re.compile(r"(p\d|g\d|gr\d|inf\d|trn\d|dl\d|f\d|vt\d)[a-z]*(-[a-z]+\d+[a-z]*)?")
    left_out = {name for name in told - families if with_accelerators.fullmatch(name)}
    assert {"g6f", "g4ad"} <= left_out <= fractions | older | others | newer


def test_an_ec2_size_is_four_vcpus_an_xlarge() -> None:
    sized = named(AWS, r"[a-z0-9-]+\.(\d*)(x?)large")
    assert len(sized) > 100
    for row, size in sized:
        assert row.vcpu == 4 * int(size[1] or 1) if size[2] else row.vcpu == 2, row.name


def test_an_ec2_family_says_its_architecture(ec2: dict[str, Any]) -> None:
    """Graviton families have a g after their number; GB200 comes with Grace, an arm64 processor."""
    assert {"x86_64", "arm64"} <= set(ec2["ArchitectureType"]["enum"])
    for name, row in AWS.items():
        arm = bool(re.match(r"[a-z]+\d+g[a-z]*\.", name)) or "-gb" in name
        assert row.architecture == ("arm64" if arm else "amd64"), name


def test_eks_sells_by_the_ways_of_the_catalogue() -> None:
    eks = botocore_shapes("eks", "2017-11-01")
    ways = {"ON_DEMAND": "on-demand", "SPOT": "spot", "CAPACITY_BLOCK": "reserved"}
    assert set(eks["CapacityTypes"]["enum"]) == set(ways)
    assert {kind for row in AWS.values() for kind in row.capacity} == set(ways.values())


def test_efa_is_spread_over_the_network_cards() -> None:
    """Source: EC2 User Guide, EFA: one or more interfaces a card; P5 has 32 cards with one each."""
    assert {name: (row.efa, row.network_cards) for name, row in AWS.items() if (row.efa or 0) > 2} == {
        "g6e.48xlarge": (4, 4),
        "g7e.48xlarge": (4, 4),
        "p4d.24xlarge": (4, 4),
        "p4de.24xlarge": (4, 4),
        "p5.48xlarge": (32, 32),
        "p5e.48xlarge": (32, 32),
        "p5en.48xlarge": (16, 16),
        "p6-b200.48xlarge": (8, 8),
        "p6-b300.48xlarge": (16, 17),
        "trn1.32xlarge": (8, 8),
        "trn1n.32xlarge": (16, 16),
        "trn2.48xlarge": (16, None),
    }


# Google Cloud -----------------------------------------------------------------------------------------------------


def test_a_gcp_name_says_its_devices_and_vcpus() -> None:
    counted = named(GCP, r"(?:a2|a3|a4|a4x)-[a-z]+-(\d+)g(?:-metal)?") + named(GCP, r"(?:ct|tpu)[a-z0-9]+-[a-z]+-(\d)t")
    assert len(counted) == 28
    for row, size in counted:
        assert row.devices == int(size[1]), row.name
    sized = named(GCP, r"[a-z]\d[a-z]?-standard-(\d+)")
    assert len(sized) == 74
    for row, size in sized:
        assert row.vcpu == int(size[1]), row.name


def test_compute_engine_knows_the_catalogues_words(compute: dict[str, Any]) -> None:
    assert {"guestCpus", "memoryMb", "accelerators", "architecture"} <= set(compute["MachineType"]["properties"])
    assert {"ARM64", "X86_64"} <= set(compute["MachineType"]["properties"]["architecture"]["enum"])
    ways = {"STANDARD": "on-demand", "SPOT": "spot", "FLEX_START": "flex", "RESERVATION_BOUND": "reserved"}
    assert set(compute["Scheduling"]["properties"]["provisioningModel"]["enum"]) == set(ways)
    assert set(GCP["g2-standard-4"].capacity) == set(ways.values())
    # Sources: Google's consumption options by machine; GKE flex-start: TPU v4 is not supported.
    limited = {"a4x-highgpu-4g": {"reserved"}, "a4-highgpu-8g": {"reserved", "spot", "flex"}}
    limited["ct4p-hightpu-4t"] = {"on-demand", "spot", "reserved"}
    assert {name: set(GCP[name].capacity) for name in limited} == limited
    assert "acceleratorTopology" in compute["ResourcePolicyWorkloadPolicy"]["properties"]


def test_gke_takes_what_the_catalogue_gives(gke: dict[str, Any]) -> None:
    """Fields that MIG profiles, accelerators' names and topologies are written to."""
    assert {"acceleratorType", "acceleratorCount", "gpuPartitionSize"} <= set(gke["AcceleratorConfig"]["properties"])
    assert "tpuTopology" in gke["PlacementPolicy"]["properties"]
    assert {"spot", "flexStart", "reservationAffinity"} <= set(gke["NodeConfig"]["properties"])


def test_tpus_are_named_by_gke_as_they_are_labelled() -> None:
    tpus = {row.cloud_accelerator for row in GCP.values() if row.accelerator.startswith("TPU-")}
    labels = {label for row in accelerators().values() for label in row.labels.values()}
    assert tpus == labels


# Azure ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [VirtualMachineSizeTypes, native_compute.VirtualMachineSizeTypes], ids=SDKS)
def test_azures_sdks_have_the_sizes_that_they_still_list(sizes: type[Enum]) -> None:
    """Their enumerations end with the third generation: NCv3 is all that they have in common with the catalogue."""
    listed = {str(size.value) for size in sizes}
    assert {name for name in AZURE if re.fullmatch(r"Standard_NC\d+r?s_v3", name)} == {
        name for name in listed if re.fullmatch(r"Standard_NC\d+r?s_v3", name)
    }


def test_an_azure_size_says_its_vcpus_and_its_family() -> None:
    """Source: Azure VM size naming conventions: family, vCPUs, features (p: Arm, r: RDMA, d: local disk), version."""
    for name, row in AZURE.items():
        found = re.fullmatch(r"Standard_([A-Z]+)(\d+)([a-z]*)(?:_.+)?_v\d", name)
        assert found, name
        family, vcpus, features = found.groups()
        assert row.vcpu == int(vcpus), name
        assert (row.architecture == "arm64") == ("p" in features or "_GB" in name), name
        assert row.infiniband == ("r" in features), name
        assert bool(row.accelerator) == family.startswith("N"), name
        if "d" in features and family in {"D", "NC", "NV"} and row.local_disk_gb is not None:
            assert row.local_disk_gb > 0, name


@pytest.mark.parametrize("profiles", [GPUInstanceProfile, native_aks.GPUInstanceProfile], ids=SDKS)
def test_aks_cuts_devices_by_the_catalogues_slices(profiles: type[Enum]) -> None:
    """`gpuInstanceProfile` names compute slices only; each must be a profile of every device that AKS cuts."""
    slices = {int(str(profile.value).removeprefix("MIG").removesuffix("g")) for profile in profiles}
    for name in ("A100-40", "A100-80", "H100-80", "H100-NVL", "H200"):
        assert {profile.slices for profile in accelerators()[name].profiles} == slices


@pytest.mark.parametrize("priorities", [ScaleSetPriority, native_aks.ScaleSetPriority], ids=SDKS)
def test_aks_sells_by_the_ways_of_the_catalogue(priorities: type[Enum]) -> None:
    assert {str(priority.value) for priority in priorities} == {"Spot", "Regular"}
    assert {kind for row in AZURE.values() for kind in row.capacity} == {"on-demand", "spot", "reserved"}
