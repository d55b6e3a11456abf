"""From a pool block to what a cloud compiles: its machine, its devices, its prices; and what its region lacks."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from espalier.blueprint.clouds import machines
from espalier.blueprint.clouds.model import Compiler, Wanted
from espalier.blueprint.prices import price_of
from espalier.blueprint.sharing import advertised
from espalier.catalogue import Accelerator, Catalogue
from espalier.catalogue.machines import Machine
from espalier.catalogue.model import Cloud
from espalier.settings.clusters import AnyCloud
from espalier.settings.model import PriceOverride
from espalier.settings.pool import Pool
from espalier.types import Mistake, Price

_PRICED = 20
"""A list that prices so many machines in a region says by its silence that another is not offered there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The cloud that pools are compiled for."""

    cluster: AnyCloud
    compiler: Compiler
    catalogue: Catalogue

    @property
    def cloud(self) -> Cloud:
        return cloud_name(self.compiler)


def cloud_name(compiler: Compiler) -> Cloud:
    """The cloud, as the catalogue calls it."""
    name = compiler.cloud
    return "aws" if name == "aws" else "gcp" if name == "gcp" else "azure"


def region_mistakes(site: Site) -> list[Mistake]:
    """A region that nobody knows, and zones that are not its."""
    cluster = site.cluster
    zones = site.compiler.zones(cluster.region)
    if zones is None and cluster.zones is None:
        near = difflib.get_close_matches(cluster.region, site.compiler.regions(), n=4, cutoff=0.5)
        accepted = f"a region of {site.cloud}" + (f": {', '.join(near)}" if near else "")
        do = "Correct the region; where it is newer than this table, give its `zones`."
        return [Mistake("espalier:cluster.region", repr(cluster.region), accepted, do)]
    return [
        Mistake(
            f"espalier:cluster.zones[{index}]",
            repr(zone),
            f"zones of {cluster.region}: {', '.join(zones)}" if zones else f"nothing: {cluster.region} has no zones",
            "Correct it." if zones else "Remove `zones`.",
        )
        for index, zone in enumerate(cluster.zones or ())
        if zones is not None and zone not in zones
    ]


def wanted_of(
    pool: Pool,
    path: str,
    accelerator: Accelerator | None,
    prices: Mapping[str, PriceOverride],
    site: Site,
    *,
    system: bool,
) -> tuple[Wanted | None, list[Mistake]]:
    """A pool that the catalogue has no objection to as such; mistakes where the cloud has no such machine."""
    priced = on_demand(pool, prices, site)
    machine, mistakes = machines.pick(pool, path, accelerator, site.catalogue, site.cloud, priced)
    if machine is None:
        return None, mistakes
    others, more = machines.alternatives(pool, path, machine, site.catalogue, site.cloud)
    mistakes += [*more, *_not_sold(pool, path, machine), *_not_there(pool, path, machine, prices, site)]
    count = _count(pool, accelerator, machine)
    if mistakes:
        return None, mistakes
    return Wanted(
        pool=pool,
        path=path,
        accelerator=accelerator,
        count=count,
        machine=machine,
        alternatives=others,
        devices=advertised(accelerator, count, pool.sharing),
        start=pool.nodes.min if pool.nodes.start is None else pool.nodes.start,
        system=system,
        prices={
            kind: price_of(pool, kind, machine, prices, site.catalogue, site.cluster.region, count)
            for kind in pool.capacity
        },
        further_prices={
            row.name: price_of(pool, "spot", row, prices, site.catalogue, site.cluster.region, count) for row in others
        },
    ), []


def on_demand(pool: Pool, prices: Mapping[str, PriceOverride], site: Site) -> machines.Priced:
    """What a machine costs in the cluster's region, by the stack file's own prices or the catalogue's."""

    def priced(machine: Machine, count: int) -> Price | None:
        return price_of(pool, "on-demand", machine, prices, site.catalogue, site.cluster.region, count)

    return priced


def _count(pool: Pool, accelerator: Accelerator | None, machine: Machine) -> int:
    if accelerator is None:
        return 0
    counts = machine.counts(accelerator.name)
    if pool.count in counts:
        return pool.count or 0
    return accelerator.per_node if accelerator.per_node in counts else counts[0] if counts else 0


def _not_sold(pool: Pool, path: str, machine: Machine) -> Iterator[Mistake]:
    for index, kind in enumerate(pool.capacity):
        if kind not in machine.capacity:
            accepted = f"how {machine.name} is sold: {', '.join(machine.capacity)}"
            do = "Choose among these, or another machine."
            if kind == "flex" and machine.cloud == "azure":
                do = "Use spot or on-demand; AKS starts several nodes at once for a Kueue ProvisioningRequest."
            elif kind == "flex" and machine.cloud == "aws":
                do = "On EKS, what begins later and ends is a capacity block: capacity: [reserved], "
                do += "reservation: {type: capacity-block, ...}."
            yield Mistake(f"{path}.capacity[{index}]", kind, accepted, do)


def _not_there(
    pool: Pool, path: str, machine: Machine, prices: Mapping[str, PriceOverride], site: Site
) -> Iterator[Mistake]:
    """A machine that the region's price list lacks, though others have it; a price of the user's own overrules it."""
    region = site.cluster.region
    offered = site.catalogue.regions(machine)
    if not offered or region in offered or prices.keys() & {pool.name, machine.name}:
        return
    there = [row for row in site.catalogue.machines(site.cloud).values() if region in site.catalogue.regions(row)]
    if len(there) < _PRICED:
        return
    near = [row.name for row in there if machine.accelerator and row.accelerator == machine.accelerator]
    near += [row.name for row in there if not machine.accelerator and not row.accelerator and row.vcpu == machine.vcpu]
    if machine.accelerator and not near:
        others = [row for row in there if row.accelerator]
        others.sort(key=lambda row: (row.devices != machine.devices, abs(row.vcpu - machine.vcpu), row.name))
        near = [f"{row.name} ({row.devices} {row.accelerator})" for row in others]
    close = sorted(offered, key=lambda name: (name.split("-")[0] != region.split("-")[0], name))
    accepted = f"a machine of {region}" + (f": {', '.join(near[:4])}" if near else "")
    do = f"{machine.name} is in {', '.join(close[:4])}. Where you know it is in {region}, give its price under prices."
    key = "machine" if isinstance(pool.machine, str) else "accelerator" if pool.accelerator else "machine"
    yield Mistake(f"{path}.{key}", f"{machine.name}, not in the price list of {region}", accepted, do)
