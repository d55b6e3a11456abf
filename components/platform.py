"""The whole platform of one stack file, as a component."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import pulumi

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint
from espalier.blueprint.profiles import DASHBOARD
from espalier.charts.place import Place
from espalier.charts.prepare import blueprint_of
from espalier.components.addon import Addon
from espalier.components.cluster import ExistingCluster, SimulatedCluster
from espalier.components.cluster.cloud import MadeCluster, made_cluster
from espalier.components.inputs import key_mistakes, run_error
from espalier.components.objects import register
from espalier.components.pool import Pool
from espalier.components.tenant import Tenant
from espalier.settings import Settings, validate
from espalier.settings.clusters import Existing, Simulated
from espalier.types import Mistakes


class PlatformArgs(TypedDict):
    """Arguments of Platform."""

    settings: Any
    """The `espalier:` keys of a stack file, without the prefix: cluster, pools, tenants, addons, ..."""


class Platform(pulumi.ComponentResource):
    """Cluster, pools, add-ons and tenants of one environment. Registers the facts that policies judge by."""

    namespaces: pulumi.Output[dict[str, Any]]
    """Namespaces by tenant."""
    kubeconfig: pulumi.Output[str] | None
    """Of a cluster that a cloud makes: secret, though it holds no credential; None for any other."""
    parts: Mapping[str, pulumi.Output[Any]]
    """What stands beside a cloud's cluster: `buckets` and `registries` by their names in the stack file, and `dns`."""

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        blueprint = _blueprint(name, args)
        facts = blueprint.policy_facts()
        super().__init__("espalier:index:Platform", name, {"facts": facts}, opts)
        cluster = _cluster(self, name, blueprint)
        provider = cluster.provider
        clouds = None if isinstance(cluster, ExistingCluster | SimulatedCluster) else cluster
        self.kubeconfig = clouds.kubeconfig if clouds else None
        self.parts = clouds.parts if clouds else {}
        inside = pulumi.ResourceOptions(parent=self, providers=[provider])
        register(self, name, blueprint.objects, provider)
        for pool in blueprint.pools:
            if not pool.groups or pool.nodes:
                Pool.planned(f"{name}-pool-{pool.name}", pool, inside)
        addons: dict[str, Addon] = {}
        for addon in blueprint.addons:
            if addon.held or addon.content == "existing":
                continue
            options = pulumi.ResourceOptions(
                parent=self,
                providers=[provider],
                depends_on=[addons[need] for need in (*addon.needs, *addon.after) if need in addons],
            )
            addons[addon.id] = Addon.planned(f"{name}-{addon.id}", addon, options)
        accounts = clouds.accounts if clouds else {}
        tenants: dict[str, Tenant] = {}
        for tenant in blueprint.tenants:
            after = [addons[addon] for addon in tenant.after if addon in addons]
            options = pulumi.ResourceOptions(parent=self, providers=[provider], depends_on=after)
            tenants[tenant.name] = Tenant.planned(f"{name}-tenant-{tenant.name}", tenant, accounts, options)
        if blueprint.queues and blueprint.queues.system in addons:
            after = (addons[blueprint.queues.system], *tenants.values())
            register(self, name, blueprint.queues.objects, provider, after)
        if DASHBOARD in addons:
            # Profiles go before the controller that lets go of them.
            register(self, name, blueprint.profiles, provider, (addons[DASHBOARD], *tenants.values()))
        self.namespaces = pulumi.Output.all(**{key: tenant.namespaces for key, tenant in tenants.items()})
        # Facts once more: a stack policy is given a component's outputs, never its inputs.
        self.register_outputs({"namespaces": self.namespaces, "facts": facts})
        _tell_held(name, blueprint)


def _blueprint(name: str, args: PlatformArgs) -> Blueprint:
    if mistakes := key_mistakes(name, args, PlatformArgs):
        raise run_error(name, mistakes)
    settings = args["settings"]
    try:
        checked = settings if isinstance(settings, Settings) else validate(settings, where="settings")
        place = Place.of(Path.cwd(), pulumi.get_stack())
        return blueprint_of(checked, place.records(RECORDS, checked.addons), place)
    except Mistakes as error:
        raise run_error(name, error.mistakes) from None


def _tell_held(name: str, blueprint: Blueprint) -> None:
    """Add-ons that are left out end the program in an error, once all else is registered.

    Both engines delete what a program no longer has after a run that ends well, and only then: what such an add-on had
    made stays. A preview goes on, or `up` could not begin; so does a rehearsal, whose cluster held nothing before.
    """
    held, cluster = blueprint.held(), blueprint.settings.cluster
    if held and (pulumi.runtime.is_dry_run() or (isinstance(cluster, Simulated) and cluster.partial)):
        pulumi.log.warn("\n".join(["left out, and not deleted:", *(mistake.text() for mistake in held)]))
    elif held:
        raise run_error(name, held)


def _cluster(
    platform: pulumi.ComponentResource, name: str, blueprint: Blueprint
) -> ExistingCluster | SimulatedCluster | MadeCluster:
    cluster = blueprint.settings.cluster
    options = pulumi.ResourceOptions(parent=platform)
    if blueprint.cloud is not None:
        return made_cluster(f"{name}-cluster", blueprint.cloud, options)
    if isinstance(cluster, Existing):
        return ExistingCluster(
            f"{name}-cluster", {"kubeconfig": cluster.kubeconfig, "context": cluster.context}, options
        )
    return SimulatedCluster(f"{name}-cluster", {"cluster_name": cluster.name or pulumi.get_stack()}, options)
