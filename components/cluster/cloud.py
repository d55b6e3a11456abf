"""Clusters in clouds: what each kind's component gives, and the one of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pulumi

from espalier.blueprint.clouds import CloudPlan
from espalier.blueprint.clouds.sdks import missing_sdk
from espalier.components.inputs import run_error
from espalier.types import Mistake


class MadeCluster(Protocol):
    """A cluster that a cloud makes, with its pools: one shape of outputs, whatever the cloud."""

    provider: pulumi.ProviderResource
    """Reaches the cluster. It depends on all that grants access to it and on the system pool, so that what lives in
    the cluster comes after these and goes before them."""
    kubeconfig: pulumi.Output[str]
    """Secret, though it holds no credential: an exec plugin gets one of the cloud's own command."""
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    """PEM, base64."""
    oidc_issuer: pulumi.Output[str]
    """URL of the issuer of the service accounts' tokens."""
    parts: Mapping[str, pulumi.Output[Any]]
    """`buckets` and `registries` by their names in the stack file, and `dns`; each where the stack has it."""
    accounts: Mapping[str, Mapping[str, pulumi.Output[str]]]
    """Namespace of a tenant -> annotations by which its service account says who it is in the cloud."""


def made_cluster(name: str, plan: CloudPlan, options: pulumi.ResourceOptions) -> MadeCluster:
    """The component of the plan's kind. Only its own cloud's SDK is imported.

    Raises pulumi.RunError where that SDK is not installed.
    """
    if missing := missing_sdk(plan.kind):
        module, do = missing
        raise run_error(name, [Mistake(f"{name}.kind", plan.kind, f"the Python package {module}", do)])
    if plan.kind == "eks":
        from espalier.components.cluster.eks import EksCluster

        return EksCluster.planned(name, plan, options)
    if plan.kind == "gke":
        from espalier.components.cluster.gke import GkeCluster

        return GkeCluster.planned(name, plan, options)
    from espalier.components.cluster.aks import AksCluster

    return AksCluster.planned(name, plan, options)
