"""How the cluster's API is reached, and who may."""

from __future__ import annotations

import json
from typing import Any

import pulumi
from pulumi_gcp import projects

from espalier.blueprint.clouds.gke import GkePlan

_ADMIN = "roles/container.admin"
"""The least that may bind roles within the cluster; its condition keeps it to this one of the project's clusters."""
_HINT = "Install it: gcloud components install gke-gcloud-auth-plugin"


def admins(name: str, plan: GkePlan, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """The administrators' rights in the cluster."""
    return [
        projects.IAMMember(
            f"{name}-admin-{index}",
            project=plan.project,
            role=_ADMIN,
            member=member,
            condition=projects.IAMMemberConditionArgs(
                title=f"{plan.name} only",
                description="Administers this cluster and no other",
                expression=plan.access.condition,
            ),
            opts=opts,
        )
        for index, member in enumerate(plan.access.admins)
    ]


def kubeconfig(plan: GkePlan, endpoint: pulumi.Output[str], certificate: pulumi.Output[str]) -> pulumi.Output[str]:
    """A kubeconfig that holds no credential: Google's plugin gets one of gcloud's or the workload's identity."""

    def text(found: dict[str, Any]) -> str:
        server: dict[str, Any] = dict(plan.access.route.server(f"https://{found['endpoint']}"))
        if plan.access.via != "dns-endpoint":  # the DNS endpoint's certificate is signed publicly
            server["certificate-authority-data"] = found["certificate"]
        return json.dumps(_config(plan.name, server), sort_keys=True)

    return pulumi.Output.all(endpoint=endpoint, certificate=certificate).apply(text)


def _config(name: str, server: dict[str, Any]) -> dict[str, Any]:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "gke-gcloud-auth-plugin",
        "installHint": _HINT,
        "interactiveMode": "Never",
        "provideClusterInfo": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": server}],
        "users": [{"name": name, "user": {"exec": plugin}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
