"""What holds all tenants of a cluster, as a component: once a cluster, beside any number of `Tenant`s."""

import re
from collections.abc import Iterator
from typing import Any, NotRequired, TypedDict

import pulumi

from espalier.blueprint.guards import guards
from espalier.blueprint.priorities import priority_classes
from espalier.blueprint.queues.model import SYSTEMS
from espalier.components.inputs import key_mistakes, run_error
from espalier.components.objects import register
from espalier.types import Mistake

_SINCE = (1, 30)
"""ValidatingAdmissionPolicies are v1 from then on."""


class TenantGuardsArgs(TypedDict):
    """Arguments of TenantGuards."""

    kubernetes_version: NotRequired[str]
    """The cluster's minor version, 1.30 or later; default: 1.36."""
    queueing: NotRequired[str]
    """The queueing system of the cluster, kueue, kai-scheduler or volcano; default: none."""


class TenantGuards(pulumi.ComponentResource):
    """Admission policies that keep tenants from what holds them, whatever roles other tools give them.

    `Platform` brings them itself; a program that registers `Tenant` alone registers this one once.
    """

    policies: pulumi.Output[list[str]]
    """Names of the policies, known once they are there."""

    def __init__(self, name: str, args: TenantGuardsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        version, system = args.get("kubernetes_version") or "1.36", args.get("queueing") or ""
        found = [*key_mistakes(name, args, TenantGuardsArgs), *_mistakes(name, version, system)]
        if found:
            raise run_error(name, found)
        super().__init__("espalier:index:TenantGuards", name, {}, opts)
        objects = (*priority_classes(system), *guards(version, system=system))
        made = register(self, name, objects)
        policies = [made[item.suffix] for item in objects if item.manifest["kind"].endswith("AdmissionPolicy")]
        self.policies = pulumi.Output.all(*[vars(policy)["metadata"]["name"] for policy in policies])
        self.register_outputs({"policies": self.policies})


def _mistakes(name: str, version: Any, system: Any) -> Iterator[Mistake]:
    minor = re.fullmatch(r"1\.(\d{1,3})", version) if isinstance(version, str) else None
    if minor is None or (1, int(minor[1])) < _SINCE:
        yield Mistake(f"{name}.kubernetes_version", repr(version), "1.30 or later", "Name the cluster's minor version.")
    if system not in ("", *SYSTEMS):
        yield Mistake(f"{name}.queueing", repr(system), ", ".join(SYSTEMS), "Name one of these, or none.")
