"""`verify` and `rehearse`: proofs on a live API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from espalier import failures
from espalier.commands import by_pulumi
from espalier.commands import probe as probing
from espalier.commands.plan import NotAllowedError, allowed, plan_of
from espalier.commands.project import Project, open_project, program_of
from espalier.commands.target import simulated_name, verified_client
from espalier.engine.changes import Change
from espalier.engine.errors import Problem, RefusedError
from espalier.engine.inventory import Inventory
from espalier.engine.model import Recording
from espalier.engine.preview import preview
from espalier.engine.up import up
from espalier.kube import Client, Reference
from espalier.report.console import Output
from espalier.report.documents import RehearseDocument, VerifyDocument, header
from espalier.report.terminal import show_checks
from espalier.verify.model import Verification, VerifyError
from espalier.verify.noop import noop_check
from espalier.verify.rehearse import RehearsalResult
from espalier.verify.rehearse import rehearse as play
from espalier.verify.run import verify as prove


def verify(stack: str, out: Output, *, probe: bool, pools: Sequence[str] = (), yes: bool = False) -> int:
    """Makes all checks that the cluster's kind allows; FAILED where one fails.

    With `probe` also pods, and Jobs that compute on `pools` (all of them by default) after asking, unless `yes`.
    """
    project = open_project(stack)
    plan = probing.planned(project.blueprint, probe, pools)
    client = verified_client(project)
    probing.ask(plan, out, yes=yes)
    cluster = simulated_name(project)
    simulated = cluster is not None

    def again() -> Iterable[str]:
        """A second `up`; on a cluster that is not simulated only what it would do."""
        return [f"{change.op} {change.urn}" for change in _second_up(project, client, simulated) if change.op != "same"]

    noop = noop_check(again, client, lambda: _applied(project, client))
    with out.progress(f"verifying {project.stack.name}") as progress:
        try:
            found = prove(
                project.blueprint,
                client,
                simulated=simulated,
                cluster=cluster or "",
                probe=probe,
                probes=plan,
                noop=noop,
                progress=progress,
            )
        except VerifyError as error:
            raise failures.Missing(str(error), "Name the stack of the cluster that this kubeconfig reaches.") from None
    document = _document("verify", project, found)
    if probe:
        document["probes"] = probing.entries(plan)
    show_checks(out.people, document)
    out.document(document)
    return 0 if found.ok and not found.left else failures.FAILED


def _second_up(project: Project, client: Client, simulated: bool) -> Sequence[Change]:
    """By the engine that brought the stack up: each refuses what is the other's."""
    if by_pulumi.found() and not Inventory.load(client, project.name, project.stack.name).exists:
        return by_pulumi.preview_changes(project)
    program = program_of(project)
    return up(program, connection=client).changes if simulated else preview(program, connection=client)


def rehearse(stack: str, out: Output, *, keep: bool) -> int:
    """Plays the stack on a throw-away cluster; FAILED where a check fails or something is left."""
    project = open_project(stack)

    # Nothing of the cloud is registered here; that pools wake is tried, not proven.
    played = replace(project, blueprint=replace(project.blueprint, cloud=None))

    def judge(recording: Recording) -> None:
        try:
            allowed(plan_of(played, recording))
        except NotAllowedError as refused:
            raise RefusedError("nothing was rehearsed: the plan does not hold", list(refusals(refused))) from None

    with out.progress(f"rehearsing {project.stack.name}") as progress:
        result = play(
            project.stack,
            root=project.root,
            project=project.name,
            records=project.records,
            judge=judge,
            keep=keep,
            progress=progress,
        )
    checks = _document("rehearse", project, result)
    document: RehearseDocument = {**checks, "version": result.version, "notes": list(result.notes)}
    show_checks(out.people, checks)
    for note in result.notes:
        out.people.print(f"Note: {note}.", markup=False)
    made = sum(change.op == "create" for change in result.changes)
    out.people.print(f"{made} objects made, verified and removed in {result.seconds:.0f} s.")
    if keep:
        out.people.print(f"The cluster stays: espalier sim down --name {result.cluster}")
    out.document(document)
    return 0 if result.ok else failures.FAILED


def refusals(refused: NotAllowedError) -> Iterable[Problem]:
    """What does not hold, proof by proof and finding by finding."""
    document = refused.plan.document
    for proof in document["proofs"]:
        if not proof["ok"]:
            yield Problem(f"proof {proof['name']}", proof["evidence"])
    for policy in document["policies"]:
        for finding in policy["findings"] if policy["level"] == "mandatory" else ():
            if finding["waived"] is None:
                yield Problem(f"policy {policy['name']}", f"{finding['urn']}: {finding['message']}")


def _document(command: str, project: Project, found: Verification | RehearsalResult) -> VerifyDocument:
    return {
        **header(command, [failures.entry("left behind", what) for what in found.left]),
        "stack": project.stack.name,
        "checks": [
            {"name": check.name, "ok": check.ok, "evidence": check.evidence, "seconds": check.seconds}
            for check in found.checks
        ],
        "skipped": [{"name": skipped.name, "why": skipped.why} for skipped in found.skipped],
    }


def _applied(project: Project, client: Client) -> list[Reference]:
    """What the stack's inventory holds now."""
    inventory = Inventory.load(client, project.name, project.stack.name)
    return [entry.reference for entry in inventory.entries.values()]
