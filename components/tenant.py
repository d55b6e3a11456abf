"""A team on the platform, as a component."""

from typing import Any, NotRequired, TypedDict

import pulumi

from espalier.blueprint.tenants import TenantPlan, compile_tenant
from espalier.components.inputs import hyphenated, settings_of
from espalier.components.objects import namespace_name, register


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
    """Namespaces with Pod Security, quota, limits, roles for the tenant's groups, and default-deny network policies."""

    namespaces: pulumi.Output[list[str]]
    """Names of the tenant's namespaces, known once they are there."""

    def __init__(self, name: str, args: TenantArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        block = hyphenated({key: value for key, value in args.items() if key != "devices"})
        settings = settings_of(name, {"tenants": [block]})
        self._register(name, compile_tenant(settings.tenants[0], args.get("devices", [])), opts)

    @classmethod
    def planned(cls, name: str, plan: TenantPlan, opts: pulumi.ResourceOptions) -> "Tenant":
        """A tenant that the blueprint has compiled already."""
        self = cls.__new__(cls)
        self._register(name, plan, opts)
        return self

    def _register(self, name: str, plan: TenantPlan, opts: pulumi.ResourceOptions | None) -> None:
        super().__init__("espalier:index:Tenant", name, {}, opts)
        made = register(self, name, [planned for work in plan.workspaces for planned in work.objects])
        self.namespaces = pulumi.Output.all(
            *[namespace_name(made[f"{work.name}-namespace"]) for work in plan.workspaces]
        )
        self.register_outputs({"namespaces": self.namespaces})
