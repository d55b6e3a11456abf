"""The catalogue for people: an overview, or one accelerator with its machines, MIG profiles and TPU topologies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from espalier.catalogue.model import words
from espalier.report.documents import AcceleratorEntry, CatalogueDocument, MachineEntry, OfferEntry

_FOOT = "* not confirmed by a second source; --accelerator NAME and --json say what. Unknown prices are not zero."


def show_catalogue(console: Console, document: CatalogueDocument, *, detail: bool, plain: bool) -> None:
    """With `detail` a line a machine; with `plain` the machines without accelerators, too."""
    machines = document["machines"]
    if detail:
        for row in document["accelerators"]:
            _accelerator(console, row, machines)
    else:
        console.print(_overview(document["accelerators"], machines))
    if plain and not detail and any(_bare(row) for row in machines):
        console.print(_bare_table([row for row in machines if _bare(row)]))
    console.print(_FOOT, style="dim")


def _overview(accelerators: Sequence[AcceleratorEntry], machines: Sequence[MachineEntry]) -> Table:
    table = _table("Accelerator", "GiB", "Cloud", "Machines (devices)", "Capacity", "On-demand $/h", "Spot $/h", "Day")
    for row in accelerators:
        shown = (row["name"], str(row["memory_gib"]))
        for cloud in dict.fromkeys(machine["cloud"] for machine in machines):
            offers = [
                (machine, offer) for machine, offer in _offers(machines, row["name"]) if machine["cloud"] == cloud
            ]
            if not offers:
                continue
            names = words(tuple(dict.fromkeys(_counted(machine, row["name"]) for machine, _ in offers)), shown=3)
            sold = {kind for machine, _ in offers for kind in machine["capacity"]}
            kinds = [kind for kind in ("on-demand", "spot", "reserved", "flex") if kind in sold]
            days = {price["origin"]["date"] for _, offer in offers for price in offer["prices"]} - {""}
            spans = (_span(offers, kind) for kind in ("on-demand", "spot"))
            table.add_row(*shown, cloud, escape(names), ", ".join(kinds), *spans, max(days, default=""))
            shown = ("", "")
    return table


def _accelerator(console: Console, row: AcceleratorEntry, machines: Sequence[MachineEntry]) -> None:
    origin = row["origin"]
    console.print(f"[bold]{escape(row['name'])}[/bold]: {row['memory_gib']} GiB, {escape(row['resource'])}")
    console.print(f"{escape(origin['source'])}, {origin['date']}{_doubt(origin['unverified'])}", style="dim")
    columns = ("Cloud", "Machine", "Devices", "vCPU", "GiB", "Arch", "Disk GB", "Gbit/s", "EFA", "Capacity")
    table = _table(*columns, "On-demand $/h", "Spot $/h", "Unverified")
    for machine, offer in _offers(machines, row["name"]):
        table.add_row(
            machine["cloud"],
            escape(machine["name"]),
            str(offer["devices"]),
            str(machine["vcpu"]),
            f"{machine['memory_gib']:g}",
            machine["architecture"],
            *(_number(machine[column]) for column in ("local_disk_gb", "network_gbps", "efa")),
            ", ".join(machine["capacity"]),
            *(_priced(offer, kind) for kind in ("on-demand", "spot")),
            ", ".join(machine["origin"]["unverified"]),
        )
    console.print(table)
    for machine, _ in _offers(machines, row["name"]):
        if machine["topologies"]:
            slices = tuple(f"{topology} ({_hosts(hosts)})" for topology, hosts in machine["topologies"].items())
            console.print(f"Slices of {escape(machine['name'])}: {words(slices)}")
    for machine in {machine["name"]: machine for machine, _ in _offers(machines, row["name"])}.values():
        retired = f"no longer offered since {machine['retired']}." if machine["retired"] else ""
        if text := " ".join(filter(None, (retired, machine["note"]))):
            console.print(f"{escape(machine['name'])}: {escape(text)}")
    if row["mig"]:
        profiles = _table("MIG profile", "Compute slices", "Memory slices", "GiB", "Instances a device")
        for profile in row["mig"]:
            numbers = (profile["slices"], profile["memory_slices"], profile["memory_gib"], profile["count"])
            profiles.add_row(profile["profile"], *map(str, numbers))
        console.print(profiles)


def _bare_table(machines: Sequence[MachineEntry]) -> Table:
    table = _table("Cloud", "Machine", "vCPU", "GiB", "Arch", "Capacity", "On-demand $/h", "Spot $/h")
    for row in machines:
        offer = next(offer for offer in row["offers"] if not offer["accelerator"])
        table.add_row(
            row["cloud"],
            escape(row["name"]) + _star(row),
            str(row["vcpu"]),
            f"{row['memory_gib']:g}",
            row["architecture"],
            ", ".join(row["capacity"]),
            *(_priced(offer, kind) for kind in ("on-demand", "spot")),
        )
    return table


def _offers(machines: Sequence[MachineEntry], accelerator: str) -> list[tuple[MachineEntry, OfferEntry]]:
    found = [(row, offer) for row in machines for offer in row["offers"] if offer["accelerator"] == accelerator]
    clouds = list(dict.fromkeys(row["cloud"] for row in machines))
    return sorted(found, key=lambda pair: (clouds.index(pair[0]["cloud"]), pair[1]["devices"], pair[0]["vcpu"]))


def _bare(row: MachineEntry) -> bool:
    return any(not offer["accelerator"] for offer in row["offers"])


def _counted(row: MachineEntry, accelerator: str) -> str:
    counts = [str(offer["devices"]) for offer in row["offers"] if offer["accelerator"] == accelerator]
    return f"{row['name']}{_star(row)} ({'/'.join(counts)}{', retired' if row['retired'] else ''})"


def _span(offers: Sequence[tuple[MachineEntry, OfferEntry]], kind: str) -> str:
    """The cheapest and the dearest known, and whether any is not known."""
    prices = [price for _, offer in offers for price in offer["prices"] if price["kind"] == kind]
    if not prices:
        return "not sold"
    known = sorted(price["per_hour"] for price in prices if isinstance(price["per_hour"], int | float))
    if not known:
        return "unknown"
    text = f"{known[0]:,.2f}" if known[0] == known[-1] else f"{known[0]:,.2f} to {known[-1]:,.2f}"
    star = "*" if any(not price["origin"]["verified"] for price in prices) else ""
    return text + star + (", some unknown" if len(known) < len(prices) else "")


def _priced(offer: OfferEntry, kind: str) -> str:
    for price in offer["prices"]:
        if price["kind"] == kind:
            if not isinstance(price["per_hour"], int | float):
                return "unknown"
            star = "" if price["origin"]["verified"] else "*"
            return f"{price['per_hour']:,.4g}{star} {price['region']} {price['origin']['date']}"
    return "not sold"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "unknown"


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"


def _star(row: MachineEntry) -> str:
    return "" if row["origin"]["verified"] else "*"


def _doubt(columns: Sequence[str]) -> str:
    return f"; not confirmed: {', '.join(columns)}" if columns else ""


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
