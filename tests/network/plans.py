"""Plans whose NetworkPolicies are judged: what of them a network sees, as plain objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.blueprint.addon_rules import own_options
from espalier.blueprint.build import addons_of, facts_of
from espalier.content import ContentFacts, Rendered
from espalier.settings import Settings, validate
from espalier.settings.load import load_file
from espalier.types import AddonInputs, Manifest
from tests.clouds.stacks import GIVEN_AKS, GIVEN_EKS, GIVEN_GKE

STACKS = Path(__file__).parents[2] / "stacks"
KINDS = ("Namespace", "NetworkPolicy")
QUOTA = {"cpu": 8, "memory": "16Gi"}
FULL: dict[str, Any] = {
    "cluster": {"kind": "simulated", "version": "1.36"},
    "profile": "full",
    "addons": {"kubeflow-notebooks": {"gateway": True}},
    "pools": [{"name": "system", "machine": {"cpu": 8, "memory": "32Gi"}, "nodes": {"min": 1, "max": 3}}],
    "tenants": [
        {"name": "vision", "owners": ["olga"]},
        {
            "name": "language",
            "owners": ["olga"],
            "workspaces": [
                {"name": "dev", "owners": ["ana"], "quota": QUOTA},
                {"name": "prod", "owners": ["ben"], "quota": QUOTA},
            ],
        },
    ],
}


def settings_of(plan: str) -> Settings:
    """Stacks of the checkout, some in networks that are there (with buckets), and a profile with all its add-ons."""
    written = {"given-eks": GIVEN_EKS, "given-gke": GIVEN_GKE, "given-aks": GIVEN_AKS}
    if plan in written:
        config = yaml.safe_load(written[plan])["config"]
        return validate({key.partition(":")[2]: value for key, value in config.items()}, where="espalier")
    return validate(FULL, where="espalier") if plan == "full" else load_file(STACKS / f"Pulumi.{plan}.yaml").settings


def built(plan: str) -> Blueprint:
    """As if the content of all add-ons had been fetched, and were nothing but what Espalier adds to it."""
    settings = settings_of(plan)
    wanted = addons_of(settings, RECORDS)
    pools = tuple(pool.facts() for pool in build(settings, RECORDS).pools)

    def own(id: str) -> Rendered:
        options = RECORDS[id].options.model_validate(own_options(wanted[id]))
        objects = RECORDS[id].objects(AddonInputs(facts_of(settings), pools, options, wanted))
        return Rendered(tuple(one for one in objects if one.manifest["kind"] in KINDS), ContentFacts())

    return build(settings, RECORDS, {id: own(id) for id in wanted if RECORDS[id].content})


def seen(blueprint: Blueprint) -> list[Manifest]:
    """The Namespaces and NetworkPolicies, in the order in which they are made."""
    planned = [
        *blueprint.objects,
        *(item for tenant in blueprint.tenants for work in tenant.workspaces for item in work.objects),
    ]
    made = [item.manifest for item in planned] + [one for addon in blueprint.addons for one in addon.manifests]
    return [one for one in made if one["kind"] in KINDS]


def workspaces(blueprint: Blueprint) -> list[str]:
    """The namespaces of tenants."""
    return [work.namespace for tenant in blueprint.tenants for work in tenant.workspaces]
