"""Which vCPU quota of EC2 an instance type counts against.

Source: AWS EC2 User Guide, "Amazon EC2 On-Demand Instance quotas" and "Spot Instance quotas"; codes as Service Quotas
lists them under service `ec2`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Market = Literal["on-demand", "spot"]

ADDRESSES = ("ec2", "L-0263D0A3")
"""EC2-VPC Elastic IPs, a region."""
NETWORKS = ("vpc", "L-F678F1CE")
"""VPCs, a region."""
_FAMILY = re.compile(r"^([a-z]+)")


@dataclass(frozen=True, slots=True)
class Bucket:
    """Families of instance types that share a quota; the first of the codes that a region has counts."""

    families: frozenset[str]
    on_demand: tuple[str, ...]
    spot: tuple[str, ...]


_BUCKETS = (
    Bucket(frozenset({"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"}), ("L-1216C47A",), ("L-34B43A08",)),
    Bucket(frozenset({"g", "gr", "vt"}), ("L-DB2E81BA",), ("L-3819A6DF",)),
    Bucket(frozenset({"p"}), ("L-417A185B",), ("L-7212CCBC",)),
    Bucket(frozenset({"trn"}), ("L-2C3B7624",), ("L-6B0D517C",)),
    Bucket(frozenset({"inf"}), ("L-1945791B",), ("L-B5D1601B",)),
    Bucket(frozenset({"dl"}), ("L-6E869C2A",), ("L-85EED4F7",)),
    Bucket(frozenset({"x"}), ("L-7295265B",), ("L-E3A00192",)),
    Bucket(frozenset({"f"}), ("L-74FC7D96",), ("L-88CF9481",)),
    Bucket(frozenset({"hpc"}), ("L-F7808C92",), ()),
    Bucket(frozenset({"u"}), ("L-43DA4232",), ()),
)
_NEW_P_SPOT = ("L-C4BD4855", "L-7212CCBC")
"""P5 and later have a spot quota of their own, or share that of all P where a region has only one."""


def quota_of(machine: str, market: Market, known: Collection[str]) -> str | None:
    """The code of the quota, one of `known` if it can be; None for a family that has none."""
    found = _FAMILY.match(machine)
    family = found[1] if found else ""
    bucket = next((each for each in _BUCKETS if family in each.families), None)
    if bucket is None:
        return None
    codes = bucket.on_demand if market == "on-demand" else bucket.spot
    if family == "p" and market == "spot" and machine[1:2].isdigit() and int(machine[1]) >= 5:
        codes = _NEW_P_SPOT
    return next((code for code in codes if code in known), codes[-1] if codes else None)
