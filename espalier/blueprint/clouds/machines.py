"""Which machine of a cloud a pool gets, and what there is instead where it cannot have it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

from espalier.catalogue import Accelerator, Catalogue
from espalier.catalogue.machines import Machine
from espalier.catalogue.model import Cloud
from espalier.quantity import parse_quantity
from espalier.settings.pool import Pool, Shape
from espalier.types import Mistake, Price

GIB = 2**30
_SHOWN = 6
Priced = Callable[[Machine, int], Price | None]
"""What a machine with so many of the pool's devices costs on demand; None where that is not known."""


def unpriced(machine: Machine, count: int) -> None:
    """No price is known."""


def pick(
    pool: Pool,
    path: str,
    accelerator: Accelerator | None,
    catalogue: Catalogue,
    cloud: Cloud,
    priced: Priced = unpriced,
) -> tuple[Machine | None, list[Mistake]]:
    """The machine of a pool: the one it names, else the cheapest that has its devices, or its size."""
    machines = catalogue.machines(cloud)
    if isinstance(pool.machine, str):
        found = machines.get(pool.machine)
        if found is None:
            return None, [unknown_machine(pool.machine, f"{path}.machine", machines, cloud)]
        return found, list(_named_mistakes(pool, path, found, accelerator))
    if accelerator is not None:
        return _with_devices(pool, path, accelerator, catalogue, cloud, priced)
    if isinstance(pool.machine, Shape):
        return _of_size(pool, pool.machine, path, catalogue, cloud, priced)
    return None, []


def cheapest_first(pool: Pool, rows: Iterable[Machine], count: int, priced: Priced) -> list[Machine]:
    """By price on demand, since that is known of most machines; unknown ones last, by size and name.

    Machines that are not sold in all of the pool's kinds of capacity come after those that are.
    """

    def key(row: Machine) -> tuple[bool, bool, float, int, float, str]:
        price = priced(row, count)
        lacks = not set(pool.capacity) <= set(row.capacity)
        return lacks, price is None, price.per_hour if price else 0.0, row.vcpu, row.memory_gib, row.name

    return sorted(rows, key=key)


def candidates(
    pool: Pool, accelerator: Accelerator | None, catalogue: Catalogue, cloud: Cloud
) -> tuple[list[Machine], int]:
    """The machines that a pool which names none may get, and its devices a node."""
    if accelerator is None:
        plain = _plain(catalogue, cloud)
        return [row for row in plain if isinstance(pool.machine, Shape) and _holds(row, pool.machine)], 0
    rows = [row for row in catalogue.machines_with(accelerator.name, cloud) if not row.retired]
    if pool.topology is not None:
        rows = [row for row in rows if pool.topology in row.topologies]
    counts = sorted({count for row in rows for count in row.counts(accelerator.name)})
    count = pool.count or (accelerator.per_node if accelerator.per_node in counts else counts[0] if counts else 0)
    fitting = [row for row in rows if count in row.counts(accelerator.name)]
    if isinstance(pool.machine, Shape):
        fitting = [row for row in fitting if _holds(row, pool.machine)]
    return fitting, count


def _plain(catalogue: Catalogue, cloud: Cloud) -> list[Machine]:
    """Machines that any pod runs on: without devices, and not of Arm, which images must be made for."""
    rows = catalogue.machines(cloud).values()
    return [row for row in rows if not row.accelerator and not row.retired and row.architecture == "amd64"]


def unknown_machine(name: str, path: str, known: Iterable[str], cloud: Cloud) -> Mistake:
    """A machine type that the cloud's rows do not have."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    accepted = f"a machine of {cloud}" + (f", such as {', '.join(near)}" if near else "")
    do = "Write one of `espalier catalogue --cloud " + cloud + "`, or add a row of your own to stacks/catalogue."
    return Mistake(path, repr(name), accepted, do)


def alternatives(
    pool: Pool, path: str, machine: Machine, catalogue: Catalogue, cloud: Cloud
) -> tuple[tuple[Machine, ...], list[Mistake]]:
    """Further types that spot capacity may take: same devices, vCPUs and memory, or autoscalers guess wrongly."""
    rows = catalogue.machines(cloud)
    found: list[Machine] = []
    mistakes: list[Mistake] = []
    for index, name in enumerate(pool.machines or ()):
        where = f"{path}.machines[{index}]"
        row = rows.get(name)
        if row is None:
            mistakes.append(unknown_machine(name, where, rows, cloud))
        elif name == machine.name or name in (pool.machines or ())[:index]:
            accepted = "each further machine once, and not the pool's own"
            mistakes.append(Mistake(where, f"{name}, which is there already", accepted, "Remove it."))
        elif _size(row) != _size(machine):
            same = [r.name for r in rows.values() if _size(r) == _size(machine) and r.memory_gib == machine.memory_gib]
            accepted = (
                f"machines like {machine.name}: {_few([n for n in same if n != machine.name]) or 'there is none'}"
            )
            mistakes.append(Mistake(where, f"{name}: {_words(row)}", accepted, "Name machines of one size."))
        else:
            found.append(row)
    return tuple(found), mistakes


def _size(machine: Machine) -> tuple[str, int, int, float, str]:
    return machine.accelerator, machine.devices, machine.vcpu, machine.memory_gib, machine.architecture


def _words(machine: Machine) -> str:
    devices = f", {machine.devices} {machine.accelerator}" if machine.devices else ""
    return f"{machine.vcpu} vCPUs, {machine.memory_gib:g} GiB, {machine.architecture}{devices}"


def _named_mistakes(pool: Pool, path: str, machine: Machine, accelerator: Accelerator | None) -> Iterable[Mistake]:
    if machine.retired:
        do = "Choose another machine."
        yield Mistake(
            f"{path}.machine", machine.name, f"a machine that is offered; this one ended {machine.retired}", do
        )
    if accelerator is None:
        if machine.accelerator:
            do = f"Add accelerator: {machine.accelerator}, so that the pool is tainted and its devices are counted."
            yield Mistake(f"{path}.machine", machine.name, "a machine without devices, or the pool's accelerator", do)
        return
    counts = machine.counts(accelerator.name)
    if not counts:
        has = f"{machine.devices} {machine.accelerator}" if machine.accelerator else "no such devices"
        do = f"Remove `machine`, or see `espalier catalogue --accelerator {accelerator.name}`."
        yield Mistake(f"{path}.machine", f"{machine.name}, which has {has}", f"a machine with {accelerator.name}", do)
    elif pool.count is not None and pool.count not in counts:
        accepted = f"{_either(counts)}: what {machine.name} has of {accelerator.name}"
        yield Mistake(f"{path}.count", str(pool.count), accepted, "Change `count`, or `machine`.")


def _with_devices(
    pool: Pool, path: str, accelerator: Accelerator, catalogue: Catalogue, cloud: Cloud, priced: Priced
) -> tuple[Machine | None, list[Mistake]]:
    rows = [row for row in catalogue.machines_with(accelerator.name, cloud) if not row.retired]
    if not rows:
        there = sorted({name for name in catalogue.accelerators if catalogue.machines_with(name, cloud)})
        do = "Choose another accelerator or another cloud; see `espalier catalogue`."
        return None, [Mistake(f"{path}.accelerator", accelerator.name, f"what {cloud} has: {', '.join(there)}", do)]
    if pool.topology is not None:
        rows = [row for row in rows if pool.topology in row.topologies]
        if pool.count is None and rows:
            return min(rows, key=lambda row: (row.topologies[pool.topology or ""], row.devices)), []
    fitting, count = candidates(pool, accelerator, catalogue, cloud)
    if fitting:
        return cheapest_first(pool, fitting, count, priced)[0], []
    counts = sorted({count for row in rows for count in row.counts(accelerator.name)})
    accepted = f"{_either(counts)} of {accelerator.name} a node in {cloud}: {_few([row.name for row in rows])}"
    return None, [Mistake(f"{path}.count", str(count), accepted, "Change `count`, or name a `machine`.")]


def _of_size(
    pool: Pool, shape: Shape, path: str, catalogue: Catalogue, cloud: Cloud, priced: Priced
) -> tuple[Machine | None, list[Mistake]]:
    fitting, _ = candidates(pool, None, catalogue, cloud)
    if fitting:
        return cheapest_first(pool, fitting, 0, priced)[0], []
    largest = max(_plain(catalogue, cloud), key=lambda row: (row.vcpu, row.memory_gib))
    got = f"{shape.cpu} vCPUs, {shape.memory}"
    accepted = f"at most what {cloud} has: {largest.name} with {_words(largest)}"
    return None, [Mistake(f"{path}.machine", got, accepted, "Ask for less, and for more nodes.")]


def _holds(row: Machine, shape: Shape) -> bool:
    return row.vcpu >= shape.cpu and row.memory_gib * GIB >= parse_quantity(shape.memory)


def _either(counts: Sequence[int]) -> str:
    return " or ".join(str(count) for count in counts)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown + (f", ... ({len(names)} in all)" if len(names) > _SHOWN else "")
