"""Serves Espalier's components to Pulumi programs in any language."""

from importlib.metadata import version

from pulumi.provider.experimental import component_provider_host

from espalier.components import Addon, ExistingCluster, Platform, Pool, SimulatedCluster, Tenant, TenantGuards

COMPONENTS = [Platform, SimulatedCluster, ExistingCluster, Pool, Tenant, TenantGuards, Addon]

if __name__ == "__main__":
    component_provider_host(list(COMPONENTS), "espalier", version=version("espalier"))
