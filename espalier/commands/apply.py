"""`preview`, `up` and `destroy`: a stack and its live cluster."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from espalier import failures
from espalier.charts.errors import HeldError
from espalier.commands import by_pulumi, cloud_destroy
from espalier.commands.asking import ask
from espalier.commands.kept import keepers, tell_kept
from espalier.commands.plan import NotAllowedError, Plan, allowed, plan, plan_of
from espalier.commands.project import Project, open_project, program_of
from espalier.commands.signals import stopping
from espalier.commands.target import client_of, kubeconfig_of, remember_cluster, simulated_name, start_if_simulated
from espalier.engine.changes import Change
from espalier.engine.errors import Problem, RefusedError
from espalier.engine.model import Recording
from espalier.failures import Missing
from espalier.report.console import Output
from espalier.report.documents import ChangesDocument, header
from espalier.report.terminal import pools_table, show_changes, show_errors, show_policies, show_proofs, tenants_table

FEW = 8
"""Changes shown after an `up`, whose summary matters more."""
Engine = Literal["embedded", "pulumi"]


def preview(stack: str, out: Output, *, engine: str | None, force: bool, adopt: bool) -> int:
    """What `up` would do, by server-side dry run; by the engine that the stack is up by, or would be."""
    project = open_project(stack)
    if not _ours(project, engine) and _engine_for(project, engine) == "pulumi":
        _no_embedded_options(force, adopt)
        return by_pulumi.run(project, "preview", out, yes=False)
    changes = _preview(project, out, force, adopt)
    document = _document("preview", project, changes)
    _, document["errors"] = failures.told(HeldError(project.blueprint.held()))
    show_changes(out.people, document, notes=_notes(changes))
    show_errors(out.errors, document["errors"])
    out.document(document)
    return failures.FAILED if document["errors"] else 0


def planned_changes(project: Project, out: Output) -> Sequence[Change]:
    """What `up` would do, by the engine that has the stack. Raises Missing, EngineError or KubeError."""
    if not _reachable(project):
        raise Missing(f"{simulated_name(project)} does not run", f"Bring it up: espalier up {project.stack.name}")
    if not _ours(project, None) and _engine_for(project, None) == "pulumi":
        return by_pulumi.preview_changes(project)
    return _preview(project, out, force=False, adopt=False)


def _preview(project: Project, out: Output, force: bool, adopt: bool) -> Sequence[Change]:
    from espalier.engine.preview import preview as compare

    client = client_of(project)
    with out.progress(f"asking the cluster of {project.stack.name}"):
        changes = compare(program_of(project), connection=client, force=force, adopt=adopt)
    # Nothing is deleted by a run that leaves add-ons out.
    return [change for change in changes if change.op != "delete"] if project.blueprint.held() else changes


def up(stack: str, out: Output, *, yes: bool, engine: str | None, force: bool, adopt: bool) -> int:
    """Judges the stack, shows what changes and asks unless `yes`, applies, and sums up."""
    project = open_project(stack)
    try:
        if _engine_for(project, engine) == "pulumi":
            _no_embedded_options(force, adopt)
            return _up_by_pulumi(project, out, yes)
        return _up(project, out, yes, force, adopt)
    except NotAllowedError as refused:
        return _refuse(refused.plan, project, out)


def _up(project: Project, out: Output, yes: bool, force: bool, adopt: bool) -> int:
    """The program runs once for the judgement and the comparison, and once more where something is to be done."""
    # Nobody is asked about what is not allowed, and no cluster is started for it.
    planned: Plan | None = None if yes and _reachable(project) else allowed(plan(project))
    with out.progress(f"starting the cluster of {project.stack.name}") as progress:
        start_if_simulated(project, progress)
    if not yes:
        changes = _preview(project, out, force, adopt)
        show_changes(out.people, _document("preview", project, changes), notes=_notes(changes))
        ask(f"Apply this to {project.stack.name}?", out)
    from espalier.engine.up import up as apply

    def judge(recording: Recording) -> None:
        nonlocal planned
        planned = allowed(plan_of(project, recording))

    client = client_of(project)
    remember_cluster(project, client)
    before = keepers(project)
    with out.progress(f"bringing {project.stack.name} up") as progress, stopping() as stop:
        result = apply(
            program_of(project),
            connection=client,
            judge=judge,
            progress=progress,
            force=force,
            adopt=adopt,
            stop=stop,
        )
    document = _document("up", project, result.changes)
    document["waves"] = [{"name": wave.name, "seconds": round(wave.seconds, 3)} for wave in result.waves]
    show_changes(out.people, document, shown=FEW, notes=_notes(result.changes))
    tell_kept(project, out, before)
    if planned is not None:
        _summary(planned, project, out)
    if held := project.blueprint.held():
        raise HeldError(held)
    out.document(document)
    return 0


def _no_embedded_options(force: bool, adopt: bool) -> None:
    if force or adopt:
        raise Missing("--force and --adopt are the embedded engine's", "Leave them out.")


def _up_by_pulumi(project: Project, out: Output, yes: bool) -> int:
    """Proofs are judged first, as by the embedded engine; policies by Pulumi, which knows more values."""
    allowed(plan(project))
    with out.progress(f"starting the cluster of {project.stack.name}") as progress:
        start_if_simulated(project, progress)
    if kubeconfig_of(project)[0].is_file() and _has_inventory(project):
        do = "say --engine embedded, or destroy it with that first"
        owned = Problem(project.stack.name, "is owned by the engine 'embedded'", do)
        raise RefusedError("nothing was changed", [owned])
    return by_pulumi.run(project, "up", out, yes=yes)


def _reachable(project: Project) -> bool:
    """Whether the cluster is there; one that must be built and started first is judged before that."""
    name = simulated_name(project)
    return name is None or _runs(name)


def destroy(
    stack: str,
    out: Output,
    *,
    yes: bool,
    engine: str | None,
    delete_data: bool = False,
    remove_finalizers: bool = False,
    without_drain: bool = False,
) -> int:
    """Removes what `up` made. A simulated cluster that is not there holds nothing, and its volumes hold no data."""
    project = open_project(stack)
    name = simulated_name(project)
    if without_drain and project.blueprint.cloud is None:
        raise Missing("--without-drain is for clusters that a cloud makes", "Leave it out.")
    if not _ours(project, engine) and _engine_for(project, engine) == "pulumi":
        if project.blueprint.cloud is not None and not remove_finalizers:
            return cloud_destroy.destroy(project, out, yes=yes, delete_data=delete_data, without_drain=without_drain)
        if delete_data or remove_finalizers:
            raise Missing("--delete-data and --remove-finalizers are the embedded engine's", "Leave them out.")
        return by_pulumi.run(project, "destroy", out, yes=yes)
    if name is not None and not _runs(name):
        out.people.print(f"The simulated cluster {name} does not run: nothing to remove.")
        out.document(_document("destroy", project, ()))
        return 0
    from espalier.engine.destroy import destroy as remove
    from espalier.engine.destroy import made_by_others

    if not yes:
        for found in made_by_others(project.name, project.stack.name, client_of(project)):
            out.people.print(f"{found}, which others made, goes as well.", markup=False)
        ask(f"Remove all that Espalier made for {project.stack.name}?", out)
    before = keepers(project)
    with out.progress(f"removing {project.stack.name}") as progress, stopping() as stop:
        changes = remove(
            project.name,
            project.stack.name,
            client_of(project),
            progress=progress,
            stop=stop,
            delete_data=delete_data or name is not None,
            remove_finalizers=remove_finalizers,
        )
    document = _document("destroy", project, changes)
    show_changes(out.people, document)
    tell_kept(project, out, before)
    out.document(document)
    return 0


def _ours(project: Project, wanted: str | None) -> bool:
    """Whether no engine is named and the embedded one brought the stack up: then it is the one that goes on."""
    if wanted is not None or simulated_name(project) is not None or project.blueprint.cloud is not None:
        return False
    return _has_inventory(project)


def _has_inventory(project: Project) -> bool:
    """Whether the embedded engine brought the stack up."""
    from espalier.engine.inventory import Inventory

    return Inventory.load(client_of(project), project.name, project.stack.name).exists


def _runs(name: str) -> bool:
    from espalier import sim

    return any(cluster.ready for cluster in sim.status(name))


def _engine_for(project: Project, wanted: str | None) -> Engine:
    """Embedded on simulated clusters; elsewhere Pulumi's own unless the embedded one is named. In clouds Pulumi's."""
    if wanted not in (None, "embedded", "pulumi"):
        raise Missing(f"no engine is called {wanted!r}", "Name embedded or pulumi.")
    cloud = project.blueprint.cloud
    if cloud is not None and wanted == "embedded":
        do = f"Leave out --engine, or rehearse it: espalier rehearse {project.stack.name}."
        raise Missing(f"the embedded engine makes nothing in a cloud, and {cloud.name} is {cloud.kind}'s", do)
    if wanted == "embedded" or (wanted is None and simulated_name(project) is not None):
        return "embedded"
    if not by_pulumi.found():
        other = f"rehearse it: espalier rehearse {project.stack.name}" if cloud else "name --engine embedded"
        do = f"Install the Pulumi CLI (https://www.pulumi.com/docs/install/), or {other}."
        raise Missing("the pulumi command is not on PATH", do)
    return "pulumi"


def _refuse(planned: Plan, project: Project, out: Output) -> int:
    """The cluster is untouched: says which proof or policy failed."""
    errors = [
        failures.entry(f"proof {proof['name']}", proof["evidence"])
        for proof in planned.document["proofs"]
        if not proof["ok"]
    ]
    errors += [
        failures.entry(f"policy {policy['name']}", f"{finding['urn']}: {finding['message']}")
        for policy in planned.document["policies"]
        if not policy["ok"] and policy["level"] == "mandatory"
        for finding in policy["findings"]
        if finding["waived"] is None
    ]
    show_proofs(out.people, planned.document["proofs"])
    show_policies(out.people, planned.document["policies"])
    out.people.print("Nothing was changed.")
    out.document({**header("up", errors), "stack": project.stack.name, "changes": [], "waves": []})
    return failures.FAILED


def _notes(changes: Iterable[Change]) -> dict[str, tuple[str, ...]]:
    return {change.urn: change.notes for change in changes if change.notes}


def _document(command: str, project: Project, changes: Iterable[Change]) -> ChangesDocument:
    rows: Any = [change.to_json() for change in changes]
    return {**header(command), "stack": project.stack.name, "changes": rows, "waves": []}


def _summary(planned: Plan, project: Project, out: Output) -> None:
    """What there is now, where to look, and three things to try."""
    name, me = project.stack.name, _called()
    file, context = kubeconfig_of(project)
    path = f"~/{file.relative_to(Path.home())}" if file.is_relative_to(Path.home()) else str(file)
    out.people.print(f"\n[bold]{name} is up.[/bold]")
    out.people.print(pools_table(planned.document["pools"], planned.document["cost"]))
    out.people.print(tenants_table(planned.document["tenants"]))
    added = ", ".join(f"{addon['id']} {addon['version']}" for addon in planned.document["addons"]) or "none"
    out.people.print(f"Add-ons: {added}")
    out.people.print(f"Nodes: {_nodes(project)}")
    out.people.print(f"Kubeconfig: {path} (context {context})")
    out.people.print("\nWorth trying next:")
    for command, why in (
        (f"{me} verify {name}", "prove quotas, taints and walls on the live API"),
        (f"{me} plan {name} --html plan.html", "the whole platform as a page"),
        (f"{_kubectl()} --kubeconfig {path} get nodes -L espalier.dev/pool", "look around"),
    ):
        out.people.print(f"  {command}\n      {why}", markup=False)


def _called() -> str:
    """How this shell reaches the command: by name where it is on PATH, else as it was called."""
    if shutil.which("espalier"):
        return "espalier"
    called = Path(sys.argv[0])
    return min(os.path.relpath(called), str(called), key=len) if called.name == "espalier" else "python -m espalier.cli"


def _kubectl() -> str:
    """The one on PATH, else the one that was built with the simulated cluster."""
    if shutil.which("kubectl"):
        return "kubectl"
    from espalier import sim

    return str(sim.build() / "kubectl")


def _nodes(project: Project) -> str:
    from espalier.kube import Kind

    counts: dict[str, int] = {}
    for node in client_of(project).list(Kind("v1", "Node")):
        pool = node["metadata"].get("labels", {}).get("espalier.dev/pool", "no pool")
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
        counts[pool] = counts.get(pool, 0) + ready
    return ", ".join(f"{count} ready in {pool}" for pool, count in sorted(counts.items())) or "none"
