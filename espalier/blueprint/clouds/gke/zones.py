"""Regions and zones of Google Cloud, and the zones of a region that have an accelerator.

Source: Google's page "Regions and zones" (three regions do not have a, b and c), "GPU regions and zones" and "TPU
regions and zones", read 2026-11 as public repositories keep them. What a region's row does not name is not known: a
pool's own `zones` overrule the rows, since zones gain machines all the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_USUAL: Final = (
    "africa-south1",
    "asia-east1",
    "asia-east2",
    "asia-northeast1",
    "asia-northeast2",
    "asia-northeast3",
    "asia-south1",
    "asia-south2",
    "asia-southeast1",
    "asia-southeast2",
    "australia-southeast1",
    "australia-southeast2",
    "europe-central2",
    "europe-north1",
    "europe-north2",
    "europe-southwest1",
    "europe-west2",
    "europe-west3",
    "europe-west4",
    "europe-west6",
    "europe-west8",
    "europe-west9",
    "europe-west10",
    "europe-west12",
    "me-central1",
    "me-central2",
    "me-west1",
    "northamerica-northeast1",
    "northamerica-northeast2",
    "northamerica-south1",
    "southamerica-east1",
    "southamerica-west1",
    "us-east4",
    "us-east5",
    "us-south1",
    "us-west1",
    "us-west2",
    "us-west3",
    "us-west4",
)
_ZONES: Final[Mapping[str, str]] = {
    **dict.fromkeys(_USUAL, "abc"),
    "europe-west1": "bcd",
    "us-central1": "abcf",
    "us-east1": "bcd",
}
_AI_ZONES: Final[Mapping[str, str]] = {"us-central1": "us-central1-ai1a", "us-south1": "us-south1-ai1b"}
"""Zones for accelerators alone: node pools may stand in them, clusters do not by default."""

_GPUS: Final[Mapping[str, Mapping[str, str]]] = {
    "asia-east1": {"g2": "abc", "t4": "ac", "v100": "c", "a3-highgpu": "c", "a3-megagpu": "c"},
    "asia-east2": {"t4": "ac"},
    "asia-northeast1": {"a2-highgpu": "ac", "g2": "abc", "t4": "ac", "a4": "b", "a3-megagpu": "b", "a3-highgpu": "b"},
    "asia-northeast3": {"g2": "ab", "a2-highgpu": "b", "t4": "bc"},
    "asia-south1": {"g2": "abc", "t4": "ab", "a3-ultragpu": "b"},
    "asia-south2": {"a3-ultragpu": "c", "g4": "c"},
    "asia-southeast1": {
        "g2": "abc",
        "t4": "abc",
        "a4": "b",
        "a3-megagpu": "bc",
        "a3-highgpu": "bc",
        "a2-highgpu": "bc",
        "g4": "bc",
        "a2-ultragpu": "c",
    },
    "asia-southeast2": {"t4": "ab", "g4": "bc"},
    "australia-southeast1": {"t4": "ac", "a3-megagpu": "c"},
    "europe-central2": {"t4": "bc"},
    "europe-north1": {"g4": "a"},
    "europe-west1": {"a3-ultragpu": "b", "a3-megagpu": "bc", "a3-highgpu": "bc", "g2": "bc", "t4": "bcd", "g4": "c"},
    "europe-west2": {"g2": "ab", "t4": "ab", "g4": "b"},
    "europe-west3": {"g2": "ab", "t4": "b"},
    "europe-west4": {
        "a3-ultragpu": "a",
        "a2-ultragpu": "a",
        "a2-highgpu": "ab",
        "g4": "ab",
        "g2": "abc",
        "t4": "abc",
        "v100": "abc",
        "a4": "b",
        "a3-megagpu": "bc",
        "a3-highgpu": "c",
    },
    "europe-west6": {"g2": "bc"},
    "europe-west8": {"g4": "b"},
    "me-central2": {"g2": "ac"},
    "me-west1": {"a2-highgpu": "ac", "t4": "bc"},
    "northamerica-northeast1": {"t4": "c"},
    "northamerica-northeast2": {"g2": "ab"},
    "southamerica-east1": {"t4": "ac"},
    "us-central1": {
        "a4x": "a",
        "a3-megagpu": "abc",
        "a3-highgpu": "ac",
        "a2-ultragpu": "ac",
        "a2-highgpu": "abcf",
        "g2": "abc",
        "t4": "abcf",
        "v100": "abcf",
        "a4": "b",
        "a3-ultragpu": "b",
        "g4": "bf",
    },
    "us-east1": {"a4": "b", "a2-highgpu": "b", "g4": "b", "g2": "bcd", "t4": "cd", "v100": "c", "a3-ultragpu": "d"},
    "us-east4": {
        "a3-megagpu": "abc",
        "a3-highgpu": "ab",
        "g2": "ac",
        "t4": "abc",
        "a4": "b",
        "a3-ultragpu": "b",
        "a2-ultragpu": "c",
        "g4": "c",
    },
    "us-east5": {"a2-ultragpu": "a", "a3-ultragpu": "a", "a3-megagpu": "a", "a3-highgpu": "a", "g4": "abc"},
    "us-south1": {"g4": "ab", "a4": "b", "a3-ultragpu": "b"},
    "us-west1": {
        "a3-megagpu": "ab",
        "a3-highgpu": "ab",
        "g2": "abc",
        "t4": "ab",
        "v100": "ab",
        "a2-highgpu": "b",
        "g4": "bc",
        "a3-ultragpu": "c",
    },
    "us-west2": {"t4": "bc", "a4": "c"},
    "us-west3": {"g4": "a", "a4": "bc", "a2-highgpu": "b", "t4": "b"},
    "us-west4": {"a3-megagpu": "a", "a3-highgpu": "a", "g2": "ac", "t4": "ab", "g4": "a", "a2-highgpu": "b"},
}
_TPUS: Final[Mapping[str, Mapping[str, str]]] = {
    "us-central1": {"ct6e": "b", "ct5p": "a", "ct5lp": "a", "tpu7x": "c"},
    "us-central2": {"ct4p": "b"},
    "us-east1": {"ct6e": "d"},
    "us-east4": {"ct6e": "ab"},
    "us-east5": {"ct6e": "abc", "ct5p": "abc", "ct5lp": "abc"},
    "us-south1": {"ct5p": "a", "ct5lp": "a"},
    "us-west1": {"ct6e": "c", "ct5lp": "c"},
    "us-west4": {"ct5lp": "a"},
}


def zones(region: str) -> tuple[str, ...] | None:
    """Zones of a region, those for accelerators alone last; None for a region that is not known."""
    letters = _ZONES.get(region)
    if letters is None:
        return None
    return (*_named(region, letters), *((_AI_ZONES[region],) if region in _AI_ZONES else ()))


def usual_zones(region: str) -> tuple[str, ...]:
    """The three zones that a cluster stands in where its stack names none."""
    return _named(region, _ZONES.get(region, ""))[:3]


def regions() -> Sequence[str]:
    """All regions that are known, sorted."""
    return sorted(_ZONES)


def zones_with(machine: str, accelerator: str, region: str) -> tuple[str, ...] | None:
    """Zones of the region that have the machine type with this accelerator; None where that is not known."""
    series = machine.split("-")[0]
    attached = {"T4": "t4", "V100-16": "v100"}.get(accelerator)
    if accelerator.startswith("TPU"):
        letters = _TPUS.get(region, {}).get(series)
    elif attached:
        letters = _GPUS.get(region, {}).get(attached)
    else:
        row = _GPUS.get(region, {})
        letters = row.get("-".join(machine.split("-")[:2]), row.get(series))
    return _named(region, letters) if letters else None


def _named(region: str, letters: str) -> tuple[str, ...]:
    return tuple(f"{region}-{letter}" for letter in letters)
