"""What `up` would do to one tenant, asked of the live cluster by the engine that has the stack."""

from __future__ import annotations

from collections.abc import Sequence

from espalier import failures
from espalier.blueprint.tenants import TenantPlan
from espalier.commands.apply import planned_changes
from espalier.commands.project import Project
from espalier.engine.changes import Change
from espalier.report.console import Output
from espalier.report.documents import ErrorEntry

_COMPONENT = "$espalier:index:Tenant$"


def ask(project: Project, tenant: TenantPlan, out: Output) -> tuple[list[Change] | None, list[ErrorEntry]]:
    """The changes of the objects that are the tenant's own; or None, and why they are not known."""
    try:
        changes = planned_changes(project, out)
    except failures.handled() as error:
        return None, failures.told(error)[1]
    return own(changes, tenant), []


def own(changes: Sequence[Change], tenant: TenantPlan) -> list[Change]:
    """Those of the objects that the tenant consists of, or consisted of, by their names in the program."""
    names = tuple(f"-tenant-{tenant.name}-{item.suffix}" for work in tenant.workspaces for item in work.objects)
    return [change for change in changes if _COMPONENT in change.urn and change.urn.endswith(names)]
