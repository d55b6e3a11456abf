"""From catalogue files to plain rows: each reference resolved, each derived column computed, all mistakes found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Final

from espalier.catalogue.model import Cloud, chips
from espalier.catalogue.rows import AcceleratorRow, BusbwRow, CatalogueFile, MachineRow, Row, SourceRow, read
from espalier.types import Mistake

Plain = dict[str, Any]
"""A row as JSON values, ready to become one of `model`'s."""

RESOURCES: Final = {
    "nvidia": "nvidia.com/gpu",
    "amd": "amd.com/gpu",
    "google": "google.com/tpu",
    "aws": "aws.amazon.com/neuron",
}
"""What the vendors' own device plugins advertise."""


_DERIVED: Final = {"cubes", "topologies", "capacity", "source", "unverified", "retired"}


@dataclass
class Parts:
    """Rows by kind, as they are compiled to JSON and loaded from it."""

    sources: dict[str, SourceRow] = field(default_factory=dict[str, SourceRow])
    accelerators: dict[str, Plain] = field(default_factory=dict[str, Plain])
    machines: dict[str, dict[str, Plain]] = field(default_factory=dict[str, dict[str, Plain]])
    prices: dict[str, list[Plain]] = field(default_factory=dict[str, list[Plain]])


def parts_of(paths: Sequence[Path], base: Parts | None = None) -> tuple[Parts, list[Mistake]]:
    """The rows of these files, which may refer to those of `base`."""
    mistakes: list[Mistake] = []
    files: list[tuple[Path, CatalogueFile]] = []
    for path in paths:
        file, found = read(path)
        mistakes += found
        if file is not None:
            files.append((path, file))
    builder = _Builder(base or Parts(), [file for _, file in files])
    for path, file in files:
        mistakes += builder.add(str(path), file)
    for path, file in files:
        mistakes += builder.add_accelerators(str(path), file)
    return builder.made, mistakes


class _Builder:
    """Machines and prices first; accelerators then, since their hosts are machines."""

    def __init__(self, base: Parts, files: Sequence[CatalogueFile]) -> None:
        self.base, self.made = base, Parts()
        self.made.sources = {name: row for file in files for name, row in file.sources.items()}
        self.sources = {**base.sources, **self.made.sources}
        self.defaults = {cloud: row for file in files for cloud, row in file.defaults.items()}
        self.accelerators = {*base.accelerators, *(name for file in files for name in file.accelerators)}
        self.known: dict[str, set[str]] = {cloud: set(rows) for cloud, rows in base.machines.items()}
        for file in files:
            for cloud, rows in file.machines.items():
                self.known.setdefault(cloud, set()).update(rows)

    def add(self, path: str, file: CatalogueFile) -> Iterator[Mistake]:
        for cloud, default in file.defaults.items():
            yield from self._source(f"{path}: defaults.{cloud}", default.source)
        for cloud, rows in file.machines.items():
            for name, row in rows.items():
                yield from self._machine(f"{path}: machines.{cloud}.{name}", cloud, name, row)
        for cloud, lists in file.prices.items():
            for index, row in enumerate(lists):
                where = f"{path}: prices.{cloud}.{index}"
                yield from self._source(where, row.source)
                for name in sorted(set(row.machines) - self.known.get(cloud, set())):
                    yield _unknown(f"{where}.machines.{name}", name, "machine", f"one of {cloud}'s machines")
                yield from self._devices(f"{where}.devices", row.devices)
                origin = self._origin(row.source, () if row.verified else ("all",))
                plain = {"kind": row.kind, "origin": origin, "machines": row.machines, "devices": row.devices}
                self.made.prices.setdefault(cloud, []).append(plain)

    def add_accelerators(self, path: str, file: CatalogueFile) -> Iterator[Mistake]:
        for name, row in file.accelerators.items():
            where = f"{path}: accelerators.{name}"
            yield from self._source(where, row.source)
            yield from _columns(where, row)
            yield from _mig_mistakes(where, row)
            resource = row.resource or RESOURCES.get(row.vendor)
            if resource is None:
                accepted = f"a vendor of {', '.join(RESOURCES)}, or a resource"
                yield Mistake(
                    f"{where}.vendor", repr(row.vendor), accepted, "Add resource: what its plugin advertises."
                )
            host = self._host(name, row)
            if isinstance(host, str):
                do = "Name a machine as cloud/machine, or give host: {cpu, memory_gib, per_node}."
                yield Mistake(f"{where}.reference", repr(row.reference), host, do)
            elif resource is not None:
                self.made.accelerators[name] = self._accelerator(name, row, resource, host)

    def _accelerator(self, name: str, row: AcceleratorRow, resource: str, host: Plain) -> Plain:
        return {
            "name": name,
            "vendor": row.vendor,
            "resource": resource,
            "memory_gib": row.memory_gib,
            "cores": row.cores,
            **host,
            "mig_slices": list(row.mig_slices or (0, 0)),
            "profiles": [
                [profile, slices, memory, int(profile.split(".")[1].split("gb")[0]), count]
                for profile, (slices, memory, count) in row.mig.items()
            ],
            "labels": row.labels,
            "origin": self._origin(row.source, row.unverified),
        }

    def _host(self, name: str, row: AcceleratorRow) -> Plain | str:
        """What a node has by default, or what is accepted instead."""
        if row.host is not None and row.reference is None:
            cpu, memory, count = row.host.cpu, row.host.memory_gib, row.host.per_node
            machine, topologies = f"{count}x{name}", dict[str, int]()
        else:
            cloud, _, machine = (row.reference or "").partition("/")
            found = {**self.base.machines.get(cloud, {}), **self.made.machines.get(cloud, {})}.get(machine)
            if found is None or found["accelerator"] != name:
                return f"a machine of the catalogue with {name}"
            count, topologies = found["devices"], found["topologies"]
            cpu, memory = found["vcpu"] // count, int(found["memory_gib"] // count)
        return {
            "per_node": count,
            "host_cpu": cpu,
            "host_memory_gib": memory,
            "reference": machine,
            "topologies": topologies,
        }

    def _machine(self, where: str, cloud: Cloud, name: str, row: MachineRow) -> Iterator[Mistake]:
        default = self.defaults.get(cloud)
        source, capacity = row.source or (default and default.source), row.capacity or (default and default.capacity)
        if source is None or capacity is None:
            key = "source" if source is None else "capacity"
            yield Mistake(f"{where}.{key}", "nothing", f"a {key}", f"Add it, or a default for {cloud}.")
            return
        yield from self._source(where, source)
        if row.busbw is not None:
            yield from self._source(f"{where}.busbw", row.busbw.source)
        yield from _columns(where, row)
        yield from self._devices(f"{where}.accelerator", [row.accelerator] if row.accelerator else [])
        yield from self._devices(f"{where}.attachable", row.attachable)
        if bool(row.accelerator) != bool(row.devices):
            accepted = "devices where there is an accelerator, and only there"
            yield Mistake(f"{where}.devices", str(row.devices), accepted, "Give both, or neither.")
        topologies = sorted({*row.topologies, *_cubes(row.cubes)}, key=lambda text: (chips(text), text))
        for topology in topologies:
            if not row.devices or chips(topology) % row.devices:
                accepted = f"whole machines of {row.devices} chips"
                yield Mistake(f"{where}.topologies", topology, accepted, "Remove the topology.")
                return
        self.made.machines.setdefault(cloud, {})[name] = {
            "name": name,
            "cloud": cloud,
            **row.model_dump(
                mode="json", exclude={"cubes", "topologies", "busbw", "capacity", "source", "unverified", "retired"}
            ),
            "topologies": {topology: chips(topology) // row.devices for topology in topologies},
            "busbw": self._busbw(row.busbw),
            "capacity": list(capacity),
            "retired": row.retired or "",
            "origin": self._origin(source, row.unverified),
        }

    def _busbw(self, row: BusbwRow | None) -> list[Any] | None:
        return None if row is None else [row.node, row.nodes, self._origin(row.source, ())]

    def _source(self, where: str, source: str) -> Iterator[Mistake]:
        if source not in self.sources:
            yield _unknown(f"{where}.source", source, "source", ", ".join(sorted(self.sources)) or "a name in sources")

    def _devices(self, where: str, names: Mapping[str, Any] | Sequence[str]) -> Iterator[Mistake]:
        for name in names:
            if name not in self.accelerators:
                yield _unknown(where, name, "accelerator", "one of the catalogue's accelerators")

    def _origin(self, source: str, unverified: Sequence[str]) -> list[Any]:
        row = self.sources.get(source)
        return [row.text, row.date, list(unverified)] if row else ["", "", list(unverified)]


def _unknown(where: str, name: str, what: str, accepted: str) -> Mistake:
    return Mistake(where, repr(name), accepted, f"Correct the name, or add the {what}.")


def _columns(where: str, row: Row) -> Iterator[Mistake]:
    columns = [*type(row).model_fields, "all"]
    for name in getattr(row, "unverified", ()):
        if name not in columns:
            yield Mistake(f"{where}.unverified", repr(name), ", ".join(columns), "Name columns of the row, or all.")


def _mig_mistakes(where: str, row: AcceleratorRow) -> Iterator[Mistake]:
    """Instances never need more slices, or memory, than the device has; NVIDIA rounds a slice's memory up."""
    if bool(row.mig) != bool(row.mig_slices):
        yield Mistake(f"{where}.mig_slices", str(row.mig_slices), "slices and profiles, or neither", "Give both.")
        return
    compute, memory = row.mig_slices or (0, 0)
    for profile, (slices, memory_slices, count) in row.mig.items():
        gib = int(profile.split(".")[1].split("gb")[0])
        if not profile.startswith(f"{slices}g."):
            yield Mistake(f"{where}.mig.{profile}", str(slices), f"{profile[0]}, as its name says", "Correct it.")
        if slices * count > compute or memory_slices * count > memory or (gib - 1) * count >= row.memory_gib:
            accepted = f"at most {compute} compute slices, {memory} memory slices and {row.memory_gib} GiB in all"
            got = f"{count} of {slices} and {memory_slices} slices and {gib} GiB"
            yield Mistake(f"{where}.mig.{profile}", got, accepted, "Lower the number of instances.")


def _cubes(most: int) -> Iterator[str]:
    """Topologies AxBxC of whole 4x4x4 cubes, A <= B <= C, of at most `most` cubes.

    Source: cluster-toolkit pkg/config/hardware.go and XPK system_characteristics.py.
    """
    for a in range(1, most + 1):
        for b in range(a, most // a + 1):
            for c in range(b, most // (a * b) + 1):
                if prod((a, b, c)) <= most:
                    yield f"{4 * a}x{4 * b}x{4 * c}"
