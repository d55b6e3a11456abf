"""A team on the platform, as a component."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NotRequired, TypedDict

import pulumi

from espalier.blueprint.tenant_part_rules import part_mistakes
from espalier.blueprint.tenant_parts import FETCHER, Ways, account_suffix
from espalier.blueprint.tenants import TenantPlan, compile_tenant
from espalier.components.inputs import hyphenated, run_error, settings_of
from espalier.components.objects import namespace_name, register
from espalier.types import Planned


class GroupsArgs(TypedDict):
    """Groups of the identity provider by their role in the tenant's namespaces."""

    view: NotRequired[list[str]]
    """Groups that may read, without Secrets."""
    edit: NotRequired[list[str]]
    """Groups that may run workloads."""
    admin: NotRequired[list[str]]
    """Groups that may also manage service accounts, and see roles."""


class QuotaArgs(TypedDict):
    """What a tenant may ask for at one time, as sums of requests."""

    devices: NotRequired[dict[str, int]]
    """Devices by resource name."""
    cpu: NotRequired[int]
    """vCPUs."""
    memory: NotRequired[str]
    """Memory, such as 64Gi."""
    storage: NotRequired[str]
    """Sum of volume claims, such as 1Ti."""


class TenantArgs(TypedDict):
    """Arguments of Tenant: a tenant block of a stack file. All are plain: they shape the program."""

    name: str
    """The tenant's name, a DNS label of at most 30 characters."""
    groups: NotRequired[GroupsArgs]
    """Who may do what in its namespaces."""
    workspaces: NotRequired[list[Any]]
    """Names, or {name, quota}; each is a namespace."""
    quota: NotRequired[QuotaArgs]
    """What it may ask for at one time."""
    pod_security: NotRequired[str]
    """The Pod Security level that is enforced: baseline or restricted."""
    devices: NotRequired[list[str]]
    """All devices of the platform; those that the quota does not name are capped at zero."""


class Tenant(pulumi.ComponentResource):
    """Namespaces with Pod Security, quota, limits, roles for the tenant's groups, and default-deny network policies.

    What keeps broad roles of other tools from taking these away is the cluster's, and not one tenant's: `TenantGuards`.
    """

    namespaces: pulumi.Output[list[str]]
    """Names of the tenant's namespaces, known once they are there."""

    def __init__(self, name: str, args: TenantArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        block = hyphenated({key: value for key, value in args.items() if key != "devices"})
        settings = settings_of(name, {"tenants": [block]})
        if mistakes := tuple(part_mistakes(settings, {FETCHER})):
            raise run_error(name, mistakes)
        # Whoever uses the component alone brings what fetches secrets.
        plan = compile_tenant(settings.tenants[0], args.get("devices", []), ways=Ways(fetches=True))
        self._register(name, plan, {}, opts)

    @classmethod
    def planned(
        cls, name: str, plan: TenantPlan, accounts: Mapping[str, Mapping[str, Any]], opts: pulumi.ResourceOptions
    ) -> "Tenant":
        """A tenant that the blueprint has compiled already.

        `accounts` are annotations of its namespaces' service accounts, which the cloud tells.
        """
        self = cls.__new__(cls)
        self._register(name, plan, accounts, opts)
        return self

    def _register(
        self,
        name: str,
        plan: TenantPlan,
        accounts: Mapping[str, Mapping[str, Any]],
        opts: pulumi.ResourceOptions | None,
    ) -> None:
        super().__init__("espalier:index:Tenant", name, {}, opts)
        annotations = {account_suffix(work.name): accounts.get(work.namespace, {}) for work in plan.workspaces}
        objects = [planned for work in plan.workspaces for planned in work.objects]
        made = register(self, name, [_annotated(planned, annotations.get(planned.suffix, {})) for planned in objects])
        self.namespaces = pulumi.Output.all(
            *[namespace_name(made[f"{work.name}-namespace"]) for work in plan.workspaces]
        )
        self.register_outputs({"namespaces": self.namespaces})


def _annotated(planned: Planned, annotations: Mapping[str, Any]) -> Planned:
    """The object with further annotations."""
    if not annotations:
        return planned
    metadata = {**planned.manifest["metadata"], "annotations": dict(annotations)}
    return replace(planned, manifest={**planned.manifest, "metadata": metadata})
