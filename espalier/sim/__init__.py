"""The simulated cluster: a real Kubernetes control plane with simulated nodes, on this machine, no Docker.

A cluster has a name; several run side by side. This module is cheap to import: what costs (TLS, HTTP, YAML)
is loaded when a function needs it.
"""

from pathlib import Path

from espalier.sim.errors import MissingToolError, SimError, told
from espalier.sim.model import ComponentStatus, Progress, SimStatus
from espalier.sim.paths import audit_log_path, clusters, kubeconfig_path

__all__ = [
    "ComponentStatus",
    "MissingToolError",
    "Progress",
    "SimError",
    "SimStatus",
    "audit_log_path",
    "build",
    "clusters",
    "down",
    "fault",
    "issue_client",
    "kubeconfig_path",
    "status",
    "up",
]


def _silent(_: str) -> None:
    """Progress that nobody waits for."""


def build(progress: Progress = _silent) -> Path:
    """Build the binaries unless they are there; return their directory.

    Raises MissingToolError where there is no Go to build with, SimError where building fails.
    """
    from espalier.sim.builder import build as build_binaries

    with told():
        return build_binaries(progress)


def up(
    name: str = "local",
    *,
    progress: Progress = _silent,
    machines: str | None = None,
    warden: bool | None = None,
    issuers: str | None = None,
) -> SimStatus:
    """Make cluster ``name`` run and return how it is: always ready.

    With ``machines``, the machine types of its autoscaler as JSON, Karpenter runs beside it and makes nodes of them.
    ``warden`` says whether the add-on's program runs beside it, with the add-on's rights; None keeps it as it is.
    ``issuers``, JSON of an AuthenticationConfiguration's `jwt`, are those whose tokens say who people are; None keeps
    those that it has.
    Builds the binaries at the first call ever, creates the cluster at the first call for its name, starts
    what does not run, and does nothing where all is well. Raises SimError where it cannot, MissingToolError
    where something must be installed first.
    """
    from espalier.sim import cluster

    with told():
        return cluster.up(name, progress, machines, warden, issuers)


def down(name: str = "local", *, keep_state: bool = False, progress: Progress = _silent) -> None:
    """Stop cluster ``name``, and remove its data unless ``keep_state``; no process of it is left then.

    A cluster that is not there is none to stop: no error.
    """
    from espalier.sim import cluster

    with told():
        cluster.down(name, keep_state=keep_state, progress=progress)


def status(name: str | None = None) -> tuple[SimStatus, ...]:
    """How cluster ``name`` is, or all clusters of this user, by name; one that is not there is left out."""
    from espalier.sim import cluster

    return cluster.status(name)


def fault(
    name: str,
    component: str,
    kind: str = "kill",
    *,
    count: int = 1,
    pool: str | None = None,
    node: str | None = None,
    seconds: int | None = None,
) -> tuple[str, ...]:
    """Break something of a cluster for a drill, or mend it again; the names of the nodes that it hit.

    ``component`` is a process, ``karpenter`` for capacity, or ``nodes``; ``espalier.sim.faults.FAULTS`` lists all kinds
    with what they heed. Raises SimError where there is no such thing, or where it cannot be done to this cluster now.
    """
    from espalier.sim.faults import Aim, inflict

    return inflict(name, component, kind, Aim(count, pool, node, seconds))


def issue_client(name: str, user: str, groups: tuple[str, ...] = ()) -> Path:
    """Issue a client certificate for ``user``, a member of ``groups``; return a kubeconfig (0600) with it.

    What the user may do is up to the RBAC rules in the cluster. Raises SimError where there is no such
    cluster.
    """
    from espalier.sim import cluster

    return cluster.issue_client(name, user, groups)
