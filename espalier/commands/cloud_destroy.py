"""`destroy` of a cloud's stack: first what controllers made in the cloud, then all that Pulumi made."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from espalier.commands import by_pulumi
from espalier.commands.asking import ask
from espalier.commands.project import Project
from espalier.engine.cloud_drain import Outside, drain_cloud, look_outside
from espalier.engine.errors import Problem, RefusedError
from espalier.failures import Missing
from espalier.kube import ApiError, Client, KubeconfigError, UnreachableError
from espalier.report.console import Output
from espalier.settings.aks import Aks
from espalier.settings.cloud import CloudCluster
from espalier.settings.eks import Eks
from espalier.settings.gke import Gke


def destroy(project: Project, out: Output, *, yes: bool, delete_data: bool, without_drain: bool) -> int:
    """Drains the cluster, then runs `pulumi destroy`.

    Before anything is deleted it is known that Pulumi would take it all: nothing is protected. Raises Missing where
    the cluster cannot be reached and `without_drain` is not said, RefusedError, ApplyFailed, KubeError.
    """
    if not yes and not sys.stdin.isatty():
        raise Missing("nobody to ask: standard input is not a terminal", "Say --yes to go on without being asked.")
    by_pulumi.require_stack(project)
    _refuse_protected(project)
    client = _client(project, out, without_drain)
    found = None if client is None else look_outside(client, project.name, project.stack.name)
    if found is not None and not delete_data:
        found.refuse_claims()
    by_pulumi.would_destroy(project, out)
    for line in _told(found) if found else ():
        out.people.print(line, markup=False)
    if not yes:
        ask(f"Remove {project.stack.name}, its cluster and all that is in it?", out)
    if client is not None:
        with out.progress(f"draining the cluster of {project.stack.name}") as progress:
            drain_cloud(client, project.name, project.stack.name, progress, delete_data=delete_data)
    return by_pulumi.run(project, "destroy", out, yes=True)


def _refuse_protected(project: Project) -> None:
    cluster = project.blueprint.settings.cluster
    if isinstance(cluster, CloudCluster) and cluster.deletion_protection and not _given(project):
        do = "set it to false, run `up`, then destroy"
        problem = Problem("espalier:cluster.deletion-protection", f"{cluster.name} is protected from deletion", do)
        raise RefusedError("nothing was changed", [problem])


def _given(project: Project) -> bool:
    """Whether the cluster is not the stack's: what others have in it is none of its business."""
    cluster = project.blueprint.settings.cluster
    return isinstance(cluster, Eks | Gke | Aks) and cluster.given is not None


def _client(project: Project, out: Output, without_drain: bool) -> Client | None:
    """The cluster by the stack's own kubeconfig; None where there is none to drain, or it need not be."""
    if _given(project):
        out.people.print("The cluster was there before and stays: only what the stack made in it goes.")
        return None
    kubeconfig = by_pulumi.outputs(project).get("kubeconfig")
    if not isinstance(kubeconfig, str):
        out.people.print(f"{project.stack.name} has no cluster in Pulumi's state: nothing to drain.", markup=False)
        return None
    try:
        client = Client.connect(kubeconfig)
        client.request("GET", "/version")
    except (KubeconfigError, UnreachableError, ApiError) as error:
        if without_drain:
            out.people.print(f"Not drained: {error}", markup=False)
            return None
        do = (
            "Reach it (espalier:cluster.access says how), or say --without-drain: load balancers, volumes and machines "
            "that its controllers made then stay in the cloud, are paid for, and may hold the network's deletion up."
        )
        raise Missing(f"the cluster of {project.stack.name} cannot be drained: {error}", do) from None
    return client


def _told(found: Outside) -> Iterator[str]:
    for each in found.autoscalers:
        yield f"{each} is scaled to zero."
    for each in (*found.machines, *found.addressed):
        yield f"{each} goes first, by its controller."
    for claim, size in found.claims:
        yield f"{claim} ({size}) goes with its data."
