"""The shape of a catalogue file, and its reader: Espalier's own files and a team's are read alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from espalier.catalogue.model import Cloud
from espalier.types import CapacityKind, Mistake

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9_.]{0,62}$")]
Resource = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")]
Topology = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}(x[1-9][0-9]{0,2}){1,2}$")]
Profile = Annotated[str, Field(pattern=r"^[1-9]g\.[0-9]+gb([+-][a-z.]+)?$")]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Usd = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=1, le=100_000)]
Amount = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
AtLeastNone = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Row(BaseModel):
    """Closed and strict: a key that nobody reads is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SourceRow(Row):
    """Where facts come from, and of which day they are."""

    text: Annotated[str, Field(min_length=1, max_length=200)]
    date: Day


class Host(Row):
    """What comes with one device, for an accelerator without a reference machine."""

    cpu: Whole
    memory_gib: Whole
    per_node: Whole


class AcceleratorRow(Row):
    """A device model; see `model.Accelerator`."""

    vendor: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,30}$")]
    resource: Resource | None = None
    memory_gib: Whole
    cores: Annotated[int, Field(ge=0, le=64)] = 0
    reference: str | None = None
    host: Host | None = None
    mig_slices: tuple[Whole, Whole] | None = None
    mig: dict[Profile, tuple[Whole, Whole, Whole]] = {}
    labels: dict[str, str] = {}
    source: str
    unverified: tuple[str, ...] = ()


class BusbwRow(Row):
    """Bus bandwidths of an all-reduce, GB/s; see `model.Busbw`."""

    node: Amount | None = None
    nodes: Amount | None = None
    source: str


class MachineRow(Row):
    """A machine type; see `model.Machine`. `cubes` adds the three-dimensional topologies of whole 4x4x4 cubes."""

    accelerator: str = ""
    devices: Annotated[int, Field(ge=0, le=64)] = 0
    attachable: dict[str, tuple[Whole, ...]] = {}
    cloud_accelerator: str = ""
    vcpu: Whole
    memory_gib: Amount
    architecture: Annotated[str, Field(pattern="^(amd64|arm64)$")]
    local_disk_gb: AtLeastNone | None = None
    network_gbps: Amount | None = None
    network_cards: Whole | None = None
    efa: Annotated[int, Field(ge=0, le=64)] | None = 0
    infiniband: bool = False
    topologies: tuple[Topology, ...] = ()
    cubes: Annotated[int, Field(ge=0, le=1000)] = 0
    busbw: BusbwRow | None = None
    capacity: tuple[CapacityKind, ...] | None = None
    retired: Day | None = None
    note: Annotated[str, Field(max_length=300)] = ""
    source: str | None = None
    unverified: tuple[str, ...] = ()


class Defaults(Row):
    """What a machine's row has that does not say."""

    source: str
    capacity: tuple[CapacityKind, ...]


class PriceRow(Row):
    """Prices of one list and one way of buying: machine -> region -> USD/h.

    `devices` is what one attached accelerator adds to the machine's own price.
    """

    kind: CapacityKind
    source: str
    verified: bool = True
    machines: dict[str, dict[str, Usd]] = {}
    devices: dict[str, dict[str, Usd]] = {}


class CatalogueFile(Row):
    """One file; each of its keys may be left out."""

    sources: dict[Name, SourceRow] = {}
    defaults: dict[Cloud, Defaults] = {}
    accelerators: dict[Name, AcceleratorRow] = {}
    machines: dict[Cloud, dict[Name, MachineRow]] = {}
    prices: dict[Cloud, tuple[PriceRow, ...]] = {}


def read(path: Path) -> tuple[CatalogueFile | None, list[Mistake]]:
    """The file's rows, or all that is wrong with it, each with its line."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text = path.read_text("utf-8")
        node = yaml.compose(text, loader)
        data = yaml.load(text, loader)  # noqa: S506 - a safe loader, the C one
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        return None, [Mistake(str(path), why[:200], "a YAML file that can be read", "Correct the file.")]
    if node is None:
        return CatalogueFile(), []
    lines: dict[tuple[str, ...], int] = {}
    mistakes = list(_walk(node, (), lines, path))
    try:
        # By way of JSON: a list is a tuple then, and still no text is read as a number.
        return CatalogueFile.model_validate_json(json.dumps(data, default=str)), mistakes
    except ValidationError as error:
        return None, [*mistakes, *(_mistake(path, dict(detail), lines) for detail in error.errors())]


def _walk(node: Any, at: tuple[str, ...], lines: dict[tuple[str, ...], int], path: Path) -> Iterator[Mistake]:
    """Notes each value's line, and yields each key that is written twice (YAML would take the last silently)."""
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below, line = (*at, str(key.value)), key.start_mark.line + 1
            if below in lines:
                where = f"{path}: {'.'.join(below)}"
                yield Mistake(where, "a key that is there twice", "each key once", "Remove one of them.", line)
            lines[below] = line
            yield from _walk(value, below, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _walk(value, (*at, str(index)), lines, path)


def _mistake(path: Path, detail: Mapping[str, Any], lines: Mapping[tuple[str, ...], int]) -> Mistake:
    loc = tuple(str(step) for step in detail["loc"])
    known = next((loc[:end] for end in range(len(loc), -1, -1) if loc[:end] in lines), ())
    missing = detail["type"] == "missing"
    got = "nothing" if missing else repr(detail["input"])[:80]
    extra = detail["type"] == "extra_forbidden"
    accepted = "no such key" if extra else "a value: the key is required" if missing else str(detail["msg"])
    do = "Remove the key, or spell it as docs/catalogue.md does." if extra else "Correct the row."
    return Mistake(f"{path}: {'.'.join(loc)}", got, accepted, do, lines.get(known))
