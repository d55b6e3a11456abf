"""Who a tenant's user is when the API is asked as one, and what the API server answers."""

from __future__ import annotations

from collections.abc import Sequence

from espalier.blueprint.tenants import TenantPlan, WorkspacePlan
from espalier.kube import ApiError, Client

USER = "verify@espalier"
EVERYONE = "system:authenticated"


def as_member(client: Client, groups: Sequence[str]) -> Client:
    """A client that impersonates a user who is in these groups and in no other."""
    return client.as_user(USER, [*sorted(groups), EVERYONE])


def groups_of(tenant: TenantPlan) -> tuple[str, ...]:
    """All groups of a tenant, of every role."""
    return tuple(sorted({group for members in tenant.groups.values() for group in members}))


def workers_of(workspace: WorkspacePlan) -> tuple[str, ...]:
    """Groups that may make pods in a workspace; none where only its owners may."""
    return tuple(sorted({group for role in ("edit", "admin") for group in workspace.groups.get(role, ())}))


def refused_as_member(error: ApiError) -> bool:
    """Whether authorization said no to the user whom we impersonate."""
    return error.status == 403 and f'User "{USER}" cannot ' in error.message


def may_not_impersonate(error: ApiError) -> bool:
    """Whether it is we who may not ask as another user: that says nothing of the tenant."""
    return error.status == 403 and "impersonate" in error.message and not refused_as_member(error)
