"""Reads the catalogue's data files into frozen rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_DATA = Path(__file__).with_name("accelerators.yaml")


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A device model. Memory in GiB; `host_*` is what comes with one device on the reference machine."""

    name: str
    vendor: str
    resource: str
    """The extended resource that its device plugin advertises when nothing is shared."""
    memory_gib: int
    per_node: int
    host_cpu: int
    host_memory_gib: int
    reference: str
    mig: Mapping[str, int]
    topologies: Mapping[str, int]
    """TPU slice topology -> hosts; empty for what is not a TPU."""
    labels: Mapping[str, str]


@cache
def accelerators() -> Mapping[str, Accelerator]:
    """All accelerators by name, in the order of the data file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data: dict[str, Any] = yaml.load(_DATA.read_text("utf-8"), Loader=loader)  # noqa: S506 - a safe loader, the C one
    return {
        name: Accelerator(
            name=name,
            vendor=vendor,
            resource=group["resource"],
            memory_gib=row["memory_gib"],
            per_node=row["per_node"],
            host_cpu=row["host"]["cpu"],
            host_memory_gib=row["host"]["memory_gib"],
            reference=row["reference"],
            mig=row.get("mig", {}),
            topologies=row.get("topologies", {}),
            labels=row.get("labels", {}),
        )
        for vendor, group in data.items()
        for name, row in group["accelerators"].items()
    }
