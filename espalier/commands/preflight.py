"""`preflight`: what a cloud's account lacks for a stack, asked by reading alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

from espalier import failures
from espalier.commands.project import Project, open_project, program_of
from espalier.engine.record import record
from espalier.failures import Missing
from espalier.preflight import Finding, Needs, NotPossibleError, needs_of
from espalier.report.console import Output
from espalier.report.documents import PreflightDocument, header
from espalier.report.terminal import show_findings
from espalier.types import Mistake, Mistakes

_SDKS: Final = {
    "eks": ("boto3", "aws"),
    "gke": ("googleapiclient", "gcp"),
    "aks": ("azure.mgmt.compute", "azure"),
}
"""Kind of cluster -> a module of what its cloud is asked with, and Espalier's extra that installs it."""


def preflight(stack: str, out: Output) -> int:
    """Asks the stack's cloud and judges; FAILED where a finding is an error."""
    project = open_project(stack)
    if project.blueprint.cloud is None:
        kind = project.blueprint.settings.cluster.kind
        do = "Nothing is asked of a cloud here: `espalier plan` says what there is to know."
        raise Mistakes([Mistake("espalier:cluster.kind", repr(kind), "eks, gke or aks", do)])
    _require_sdk(project.blueprint.cloud.kind)
    resources = record(program_of(project)).resources
    needs = needs_of(project.blueprint, ((each.type, each.to_json()["inputs"]) for each in resources))
    with out.progress(f"asking the cloud of {project.stack.name}") as progress:
        try:
            found = findings_of(needs, progress)
        except NotPossibleError as error:
            raise Missing(error.what, error.do) from None
    document = document_of(project, found)
    show_findings(out.people, document)
    out.document(document)
    return failures.FAILED if any(finding.level == "error" for finding in found) else 0


def _require_sdk(kind: str) -> None:
    """Raises Missing where what asks this cloud is not installed."""
    module, extra = _SDKS[kind]
    try:
        there = find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it
        there = False
    if not there:
        do = f"Install it: pip install 'espalier[{extra}]' (in a checkout: pip install -e '.[{extra}]')."
        raise Missing(f"preflight needs the Python package {module}", do)


def findings_of(needs: Needs, progress: Callable[[str], None]) -> list[Finding]:
    """Facts and their judgement; only the stack's own cloud's SDK is imported. Raises NotPossibleError."""
    if needs.plan.kind == "eks":
        from espalier.preflight.aws import findings
    elif needs.plan.kind == "gke":
        from espalier.preflight.gcp import findings
    else:
        from espalier.preflight.azure import findings
    return findings(needs, progress)


def document_of(project: Project, found: list[Finding]) -> PreflightDocument:
    """The document: errors first in no other order than they were found in."""
    return {
        **header("preflight"),
        "stack": project.stack.name,
        "findings": [
            {"level": each.level, "what": each.what, "got": each.got, "do": each.do}
            for each in sorted(found, key=lambda finding: ("error", "warning", "ok").index(finding.level))
        ],
    }
