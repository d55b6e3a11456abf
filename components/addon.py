"""An add-on, as a component: one class for all, since an add-on is data."""

from pathlib import Path
from typing import Any, NotRequired, TypedDict

import pulumi

from espalier.addons import RECORDS
from espalier.blueprint.order import plan_addons
from espalier.blueprint.pools import compile_pools
from espalier.charts.place import Place
from espalier.charts.prepare import contents_of
from espalier.components.inputs import hyphenated, key_mistakes, run_error, settings_of
from espalier.components.objects import register, register_release, rendered
from espalier.components.pool import PoolArgs
from espalier.policies.resources import ADDON_TYPE, RENDERED
from espalier.types import AddonPlan, Facts, Mistake, Mistakes


class AddonArgs(TypedDict):
    """Arguments of Addon."""

    id: str
    """The add-on's id, as `espalier addons` lists it."""
    options: NotRequired[dict[str, Any]]
    """The add-on's options, as in a stack file."""
    pools: NotRequired[list[PoolArgs]]
    """The pools that it serves."""
    kubernetes_version: NotRequired[str]
    """The cluster's minor version, such as 1.36."""
    runs_containers: NotRequired[bool]
    """False on a simulated cluster; default: true."""


class Addon(pulumi.ComponentResource):
    """All objects of one add-on, in the order of its record."""

    version: pulumi.Output[str]
    """The add-on's version."""

    def __init__(self, name: str, args: AddonArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        id = args.get("id")
        part = {
            "pools": [hyphenated(pool) for pool in args.get("pools", [])],
            "addons": {id: args.get("options", {})} if id else {},
        }
        settings = settings_of(name, part, key_mistakes(name, args, AddonArgs))
        pools, mistakes = compile_pools(settings.pools, {}, simulated=False)
        facts = Facts("existing", args.get("kubernetes_version", "1.36"), args.get("runs_containers", True))
        place = Place.of(Path.cwd(), pulumi.get_stack())
        try:
            records = place.records(RECORDS, settings.addons)
        except Mistakes as error:
            raise run_error(name, error.mistakes) from None
        contents, faults = contents_of(settings, records, place)
        plans, more = plan_addons(settings.addons, records, facts, [pool.facts() for pool in pools], contents)
        if found := (*mistakes, *faults, *more):
            raise run_error(name, found)
        if held := plans[0].held:
            raise run_error(name, [Mistake(f"{name}.id", held.why, "content that is there", held.do)])
        self._register(name, plans[0], opts)

    @classmethod
    def planned(cls, name: str, plan: AddonPlan, opts: pulumi.ResourceOptions) -> "Addon":
        """An add-on that the blueprint has compiled already."""
        self = cls.__new__(cls)
        self._register(name, plan, opts)
        return self

    def _register(self, name: str, plan: AddonPlan, opts: pulumi.ResourceOptions | None) -> None:
        helm = f"{name}-release"
        # Twice, as Platform's facts are: a resource policy is given a component's inputs, a stack policy its outputs.
        seen = {RENDERED: {helm: rendered(plan.release)}} if plan.release else {}
        super().__init__(ADDON_TYPE, name, seen, opts)
        made = register(self, name, plan.objects)
        if plan.release:
            register_release(self, helm, plan.release, made.values())
        self.version = pulumi.Output.from_input(plan.version)
        self.register_outputs({"version": self.version, **seen})
