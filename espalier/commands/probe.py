"""`verify --probe`: which pools compute, what that wakes and costs at most, and whether it is wanted."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from espalier.blueprint import Blueprint
from espalier.blueprint.probe import IDLE_MINUTES, WORST_MINUTES, Probe, ProbePlan, plan_probes
from espalier.commands.plan import known
from espalier.engine.errors import RefusedError
from espalier.failures import Missing
from espalier.report.console import Output
from espalier.report.documents import ProbeEntry
from espalier.types import Mistake, Mistakes


def planned(blueprint: Blueprint, probe: bool, pools: Sequence[str]) -> ProbePlan:
    """What is to run: nothing without --probe. Raises Mistakes for pools that cannot be probed."""
    if not probe:
        if pools:
            raise Mistakes([Mistake("--pool", ", ".join(pools), "pools together with --probe", "Say --probe, too.")])
        return ProbePlan()
    able = [pool.name for pool in blueprint.pools if pool.accelerator]
    accepted = ", ".join(able) or "nothing: no pool has an accelerator"
    unknown = [pool for pool in pools if pool not in able]
    if unknown:
        do = "Name pools that have an accelerator, or none for all of them."
        raise Mistakes([Mistake("--pool", repr(pool), accepted, do) for pool in unknown])
    return plan_probes(blueprint, pools)


def ask(plan: ProbePlan, out: Output, *, yes: bool) -> None:
    """Says what will be woken and what it costs at most, and asks unless `yes`.

    Raises Missing where nobody is there to be asked, RefusedError where the answer is no.
    """
    if not plan.probes:
        return
    for line in told(plan):
        out.people.print(line, markup=False)
    if yes:
        return
    if not sys.stdin.isatty():
        raise Missing("nobody to ask: standard input is not a terminal", "Say --yes to go on without being asked.")
    import typer

    if not typer.confirm("Run these?", err=out.as_json):
        raise RefusedError("nothing was run: the answer was no")


def told(plan: ProbePlan) -> Iterator[str]:
    """A line a probe, then what all of them cost at most: unknown is unknown, never zero."""
    for probe in plan.probes:
        yield f"{probe.name} {_wakes(probe)}; {_money(probe)}."
    worst = [probe.worst for probe in plan.probes]
    priced = [amount for amount in worst if amount is not None]
    more = "" if len(priced) == len(worst) else ", and what has no price"
    yield (
        f"At most USD {sum(priced):.2f}{more}: where all these nodes have to start, each for {WORST_MINUTES} minutes, "
        f"{IDLE_MINUTES} of them idle until an autoscaler takes it away. Nodes that are there cost nothing more."
    )


def entries(plan: ProbePlan) -> list[ProbeEntry]:
    """The same as data."""
    return [
        {
            "pool": probe.pool.name,
            "machine": probe.pool.shape.machine,
            "nodes": probe.nodes,
            "devices": probe.devices,
            "image": probe.image,
            "checks": list(probe.checks),
            "cost": known(None if probe.worst is None else round(probe.worst, 4)),
        }
        for probe in plan.probes
    ]


def _wakes(probe: Probe) -> str:
    nodes = "1 node" if probe.nodes == 1 else f"{probe.nodes} nodes"
    asks = f"{probe.devices} of {probe.device}" if probe.nodes == 1 else f"{probe.devices} of {probe.device} on each"
    return f"asks {nodes} of {probe.pool.shape.machine} for {asks}"


def _money(probe: Probe) -> str:
    return "its price is unknown" if probe.worst is None else f"at most USD {probe.worst:.2f}"
