"""Which cluster a stack lives on, and whether this machine can reach it now."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from espalier.commands.project import Project
from espalier.failures import Missing
from espalier.kube import Client, Kubeconfig
from espalier.settings.model import Existing


def simulated_name(project: Project) -> str | None:
    """The simulated cluster's name; None for a cluster of another kind."""
    cluster = project.blueprint.settings.cluster
    return None if isinstance(cluster, Existing) else cluster.name or project.stack.name


def start_if_simulated(project: Project, progress: Callable[[str], None]) -> None:
    """Starts or mends the stack's simulated cluster; leaves every other kind alone."""
    name = simulated_name(project)
    if name is not None:
        from espalier import sim

        sim.up(name, progress=progress)


def kubeconfig_of(project: Project) -> tuple[Path, str]:
    """The kubeconfig's path and context."""
    cluster = project.blueprint.settings.cluster
    if isinstance(cluster, Existing):
        return Path(os.path.expanduser(cluster.kubeconfig)), cluster.context
    from espalier.sim import kubeconfig_path

    name = cluster.name or project.stack.name
    return kubeconfig_path(name), f"espalier-sim-{name}"


def client_of(project: Project) -> Client:
    """A client of the stack's cluster. Raises Missing where there is no kubeconfig."""
    path, context = kubeconfig_of(project)
    if not path.is_file():
        name = simulated_name(project)
        do = f"Start it: espalier sim up --name {name}" if name else "Correct espalier:cluster.kubeconfig."
        raise Missing(f"no kubeconfig at {path}", do)
    return Client.connect(Kubeconfig.load(path, context))
