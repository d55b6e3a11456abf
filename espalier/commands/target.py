"""Which cluster a stack lives on, and whether this machine can reach it now."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from espalier.commands import by_pulumi
from espalier.commands.project import Project
from espalier.engine.identity import Identity
from espalier.failures import Missing
from espalier.kube import Client, Kubeconfig
from espalier.settings.cloud import CloudCluster
from espalier.settings.clusters import Existing, Simulated


def simulated_name(project: Project) -> str | None:
    """The simulated cluster's name; None for a cluster of another kind."""
    cluster = project.blueprint.settings.cluster
    return cluster.name or project.stack.name if isinstance(cluster, Simulated) else None


def start_if_simulated(project: Project, progress: Callable[[str], None]) -> None:
    """Starts or mends the stack's simulated cluster; leaves every other kind alone."""
    name = simulated_name(project)
    if name is not None:
        from espalier import sim

        blueprint = project.blueprint
        sim.up(
            name,
            progress=progress,
            machines=blueprint.machines,
            warden=blueprint.warden,
            issuers=blueprint.issuers,
        )


def kubeconfig_of(project: Project) -> tuple[Path, str]:
    """The kubeconfig's path and context."""
    cluster = project.blueprint.settings.cluster
    if isinstance(cluster, Existing):
        return Path(os.path.expanduser(cluster.kubeconfig)), cluster.context
    if not isinstance(cluster, Simulated):
        do = "Bring it up by `pulumi up`; rehearse it by `espalier rehearse`."
        raise Missing(f"{cluster.name} is a cloud's cluster, which Pulumi makes and reaches", do)
    from espalier.sim import kubeconfig_path

    name = cluster.name or project.stack.name
    return kubeconfig_path(name), f"espalier-sim-{name}"


def client_of(project: Project) -> Client:
    """A client of the stack's cluster.

    Raises Missing where there is no kubeconfig, RefusedError where another cluster than the stack's answers.
    """
    path, context = kubeconfig_of(project)
    if not path.is_file():
        name = simulated_name(project)
        do = f"Start it: espalier sim up --name {name}" if name else "Correct espalier:cluster.kubeconfig."
        raise Missing(f"no kubeconfig at {path}", do)
    client = Client.connect(Kubeconfig.load(path, context))
    identity = _identity(project, client)
    if identity is not None:
        identity.check(client)
    return client


def verified_client(project: Project) -> Client:
    """As client_of; a cloud's cluster is reached by the kubeconfig that the stack exports.

    Raises Missing where the stack has none, or Pulumi is not there to tell.
    """
    exported = exported_kubeconfig(project)
    return client_of(project) if exported is None else Client.connect(exported)


def exported_kubeconfig(project: Project) -> str | None:
    """The kubeconfig's text that a cloud's stack exports; None where none is asked for. Raises Missing."""
    if not isinstance(project.blueprint.settings.cluster, CloudCluster) or not by_pulumi.found():
        return None
    by_pulumi.require_stack(project)
    kubeconfig = by_pulumi.outputs(project).get("kubeconfig")
    if not isinstance(kubeconfig, str):
        raise Missing(f"{project.stack.name} has no cluster in Pulumi's state", "Bring it up by `pulumi up`.")
    return kubeconfig


def remember_cluster(project: Project, client: Client) -> None:
    """Keeps on this machine which cluster the stack is on. Raises Missing where that cannot be written."""
    identity = _identity(project, client)
    if identity is None:
        return
    try:
        identity.remember(client)
    except OSError as error:
        what = f"which cluster this is cannot be kept in {identity.file}: {error.strerror}"
        raise Missing(what, "Make room there, or pin the cluster: espalier:cluster.uid.") from None


def _identity(project: Project, client: Client) -> Identity | None:
    """None for a simulated cluster, which is made anew under the same name all the time."""
    cluster = project.blueprint.settings.cluster
    if not isinstance(cluster, Existing):
        return None
    from espalier.sim.paths import state_root

    return Identity(
        stack=f"{project.name}/{project.stack.name}",
        server=client.kubeconfig.server,
        context=cluster.context,
        pinned=cluster.uid or "",
        folder=state_root().parent / "clusters",
    )
