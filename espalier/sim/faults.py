"""What a simulated cluster can suffer, for drills: a table, and what each row does to the cluster.

Processes die by signals; capacity runs out, and is taken back, through the autoscaler; nodes and their devices fail
through what KWOK reads of them (data/stages.yaml).
"""

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from espalier.sim import autoscaler, broken_nodes, cluster, processes
from espalier.sim.api import Admin
from espalier.sim.components import Layout
from espalier.sim.errors import SimError
from espalier.sim.paths import check_name
from espalier.sim.ports import read_ports

NODES = "nodes"
AUTOSCALER = "karpenter"
PROCESS = "any process"
SIGNALS = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP, "resume": signal.SIGCONT}


@dataclass(frozen=True)
class Aim:
    """Whom a fault hits: so many nodes, of one pool or one by name; ``seconds`` is what its row says, None for
    the row's own."""

    count: int = 1
    pool: str | None = None
    node: str | None = None
    seconds: int | None = None


@dataclass(frozen=True)
class Fault:
    """One thing that can be done to a cluster. ``takes`` are the fields of Aim that it heeds."""

    target: str
    kind: str
    what: str
    takes: tuple[str, ...] = ()
    seconds: int = 0
    """Where nobody gives any."""


FAULTS = (
    Fault(PROCESS, "kill", "ends at once, as by kill -9; `sim up` mends it"),
    Fault(PROCESS, "pause", "stands still: takes connections and answers nothing"),
    Fault(PROCESS, "resume", "goes on"),
    Fault(AUTOSCALER, "no-spot", "spot is sold out for new nodes; what runs stays"),
    Fault(AUTOSCALER, "no-on-demand", "on-demand (and reserved, and flex) is sold out"),
    Fault(AUTOSCALER, "in-stock", "all can be had again"),
    Fault(
        AUTOSCALER,
        "reclaim-spot",
        "spot nodes are taken back, the oldest first: pods are evicted, what is left after the notice is cut off",
        ("count", "pool", "node", "seconds"),
        seconds=120,
    ),
    Fault(
        NODES,
        "slow-driver",
        "nodes made from now on are Ready, but their devices can be had only so many seconds after they were made",
        ("pool", "seconds"),
        seconds=60,
    ),
    Fault(NODES, "quick-driver", "nodes made from now on have their devices at once"),
    Fault(NODES, "not-ready", "stop being Ready, as when the container runtime dies", ("count", "pool", "node")),
    Fault(NODES, "ready", "are Ready again: one pool's, one by name, or all", ("pool", "node")),
    Fault(NODES, "lose-device", "a device is gone from allocatable; what runs stays", ("count", "pool", "node")),
    Fault(NODES, "return-device", "all devices are back: of one pool, of one node, or of all", ("pool", "node")),
)


def inflict(name: str, target: str, kind: str, aim: Aim) -> tuple[str, ...]:
    """Do something bad to cluster ``name``, or end it; the names of the nodes that it hit.

    Raises SimError, and does nothing, where there is no such target or fault, or nothing that it could hit.
    """
    check_name(name)
    if target not in (*cluster.process_names(), NODES):
        raise SimError(f"there is no component {target!r}", f"name one of: {_names((*cluster.process_names(), NODES))}")
    rows = {row.kind: row for row in FAULTS if row.target == target or (row.target == PROCESS and target != NODES)}
    if kind not in rows:
        raise SimError(f"there is no fault {kind!r} of {target}", f"name one of: {_names(rows)}")
    _check(rows[kind], target, aim)
    if kind in SIGNALS:
        _send(name, target, kind)
        return ()
    layout = _layout(name)
    if target == AUTOSCALER:
        return _autoscaler(layout, rows[kind], aim)
    return _ON_NODES[kind](Admin(layout), aim, rows[kind].seconds if aim.seconds is None else aim.seconds)


def _check(row: Fault, target: str, aim: Aim) -> None:
    """Refuse what the fault does not heed: who gives it means something else."""
    given = {
        "count": aim.count != 1,
        "pool": aim.pool is not None,
        "node": aim.node is not None,
        "seconds": aim.seconds is not None,
    }
    for option in (option for option, there in given.items() if there and option not in row.takes):
        takes = _names([f"--{each}" for each in row.takes])
        do = f"give only {takes}" if takes else "leave it out"
        raise SimError(f"{row.kind} of {target} heeds no --{option}", do)
    if aim.node is not None and (aim.count != 1 or aim.pool is not None):
        raise SimError("--node names one node", "leave --count and --pool out")
    if aim.count < 1:
        raise SimError(f"--count {aim.count} hits nothing", "give 1 or more")
    if aim.seconds is not None and not 0 <= aim.seconds <= 3600:
        raise SimError(f"--seconds {aim.seconds} is out of range", "give 0 to 3600")


def _send(name: str, component: str, kind: str) -> None:
    record = cluster.record_of(name, component)
    if not processes.send(record, SIGNALS[kind]):
        raise SimError(f"{component} of cluster {name} does not run", f"start it: espalier sim up --name {name}")


def _layout(name: str) -> Layout:
    ports = read_ports(name)
    if ports is None:
        raise SimError(f"there is no cluster {name}", f"start it: espalier sim up --name {name}")
    return cluster.layout_of(name, ports)


def _autoscaler(layout: Layout, row: Fault, aim: Aim) -> tuple[str, ...]:
    """Change what the autoscaler of a cluster can have, or take spot nodes from it."""
    if not layout.machines.is_file():
        raise SimError(
            f"cluster {layout.name} has no autoscaler", "set cluster.autoscaler: karpenter in its stack file, then up"
        )
    if row.kind == "reclaim-spot":
        notice = row.seconds if aim.seconds is None else aim.seconds
        return autoscaler.reclaim(Admin(layout), count=aim.count, pool=aim.pool, node=aim.node, notice=notice)
    autoscaler.offer(layout, None if row.kind == "in-stock" else row.kind.removeprefix("no-"))
    cluster.restart(layout, AUTOSCALER)
    return ()


def _slow(admin: Admin, aim: Aim, seconds: int) -> tuple[str, ...]:
    broken_nodes.slow_driver(admin, aim.pool, seconds)
    return ()


def _quick(admin: Admin, aim: Aim, seconds: int) -> tuple[str, ...]:
    del aim, seconds
    broken_nodes.quick_driver(admin)
    return ()


_ON_NODES: dict[str, Callable[[Admin, Aim, int], tuple[str, ...]]] = {
    "slow-driver": _slow,
    "quick-driver": _quick,
    "not-ready": lambda admin, aim, _: broken_nodes.not_ready(admin, aim.count, aim.pool, aim.node),
    "ready": lambda admin, aim, _: broken_nodes.ready(admin, aim.pool, aim.node),
    "lose-device": lambda admin, aim, _: broken_nodes.lose_device(admin, aim.count, aim.pool, aim.node),
    "return-device": lambda admin, aim, _: broken_nodes.return_devices(admin, aim.pool, aim.node),
}


def _names(items: Iterable[str]) -> str:
    return ", ".join(items)
