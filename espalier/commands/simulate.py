"""`sim up`, `down`, `status`, `fault`: the simulated cluster from the command line."""

from __future__ import annotations

from espalier import failures
from espalier import sim as clusters
from espalier.report.console import Output
from espalier.report.documents import StatusDocument, header
from espalier.report.terminal import show_status
from espalier.sim import SimStatus


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


def break_component(name: str, component: str, kind: str, out: Output) -> int:
    """Breaks one process."""
    clusters.fault(name, component, kind)
    out.people.print(f"{component} of {name}: {kind}. See `espalier sim status`, mend with `espalier sim up`.")
    out.document({**header("sim fault"), "cluster": name, "component": component, "kind": kind})
    return 0


def _show(command: str, found: tuple[SimStatus, ...], out: Output) -> int:
    document: StatusDocument = {**header(command), "clusters": [dict(cluster.to_json()) for cluster in found]}
    show_status(out.people, document)
    out.document(document)
    return 0 if all(cluster.ready for cluster in found) else failures.FAILED
