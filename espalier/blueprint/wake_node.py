"""The node that an autoscaler makes up before there is one, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from espalier.blueprint import names
from espalier.catalogue import Catalogue
from espalier.quantity import parse_quantity
from espalier.types import Taint

Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a program registered: its resources as JSON, the Kubernetes objects among them, and the machines known."""

    resources: tuple[Mapping[str, Any], ...]
    objects: tuple[Mapping[str, Any], ...]
    catalogue: Catalogue
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A node as its autoscaler takes it to be. `allocatable` in base units: cores, bytes, devices."""

    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    allocatable: Mapping[str, Fraction]
    said: str
    """What it was made of, in a few words."""
    broken: str = ""
    """Why the autoscaler would never start such a node, whatever it looks like."""


def amounts(resources: Mapping[str, Any]) -> dict[str, Fraction]:
    """A resource list in base units; what is no quantity is left out."""
    found: dict[str, Fraction] = {}
    for key, value in resources.items():
        try:
            found[key] = parse_quantity(str(value))
        except ValueError:
            continue
    return found


def effect_of(text: str) -> Effect | None:
    """A taint's effect, None for what is none."""
    match text:
        case "NoSchedule" | "PreferNoSchedule" | "NoExecute":
            return text
        case _:
            return None


def lasting(taints: Sequence[Taint]) -> tuple[Taint, ...]:
    """Each taint once, in the order given, without those that cluster-autoscaler knows to go (`STARTUP_PREFIX`)."""
    return tuple(dict.fromkeys(taint for taint in taints if not taint.key.startswith(names.STARTUP_PREFIX)))
