"""`sim up`, `down`, `status`, `fault`: the simulated cluster from the command line."""

from __future__ import annotations

from rich.table import Table

from espalier import failures
from espalier import sim as clusters
from espalier.report.console import Output
from espalier.report.documents import StatusDocument, header
from espalier.report.terminal import show_status
from espalier.sim import SimStatus, faults
from espalier.sim.faults import Aim


def start(name: str, out: Output) -> int:
    """Starts or mends a cluster and shows it."""
    with out.progress(f"starting the simulated cluster {name}") as progress:
        found = clusters.up(name, progress=progress)
    return _show("sim up", (found,), out)


def stop(name: str | None, out: Output, *, keep_state: bool) -> int:
    """Stops a cluster, or all where `name` is None; none there is none to stop."""
    names = clusters.clusters() if name is None else (name,)
    for cluster in names:
        with out.progress(f"stopping the simulated cluster {cluster}") as progress:
            clusters.down(cluster, keep_state=keep_state, progress=progress)
        out.people.print(f"{cluster} is down; its data is {'kept' if keep_state else 'gone'}.")
    out.document({**header("sim down"), "clusters": list(names)})
    return 0


def status(name: str | None, out: Output) -> int:
    """Shows one cluster or all; FAILED where one is not ready."""
    return _show("sim status", clusters.status(name), out)


def inflict(name: str, target: str, kind: str, aim: Aim, out: Output) -> int:
    """Breaks something of a cluster, or mends it."""
    hit = faults.inflict(name, target, kind, aim)
    mend = ". See `espalier sim status`, mend with `espalier sim up`." if kind in faults.SIGNALS else ""
    out.people.print(f"{target} of {name}: {kind}{': ' if hit else ''}{', '.join(hit)}{mend}", markup=False)
    out.document({**header("sim fault"), "cluster": name, "component": target, "kind": kind, "nodes": list(hit)})
    return 0


def list_faults(out: Output) -> int:
    """Shows what a simulated cluster can suffer."""
    table = Table("Component", "Kind", "What happens", "Options", box=None, pad_edge=False)
    for row in faults.FAULTS:
        table.add_row(row.target, row.kind, row.what, " ".join(f"--{option}" for option in row.takes))
    out.people.print(table)
    out.people.print("Example: espalier sim fault karpenter --kind reclaim-spot --count 2 --name elastic", markup=False)
    rows = [{"component": r.target, "kind": r.kind, "what": r.what, "options": list(r.takes)} for r in faults.FAULTS]
    out.document({**header("sim fault"), "faults": rows})
    return 0


def _show(command: str, found: tuple[SimStatus, ...], out: Output) -> int:
    document: StatusDocument = {**header(command), "clusters": [dict(cluster.to_json()) for cluster in found]}
    show_status(out.people, document)
    out.document(document)
    return 0 if all(cluster.ready for cluster in found) else failures.FAILED
