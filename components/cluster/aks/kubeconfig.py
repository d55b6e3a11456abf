"""How to reach the cluster: a kubeconfig whose token kubelogin gets from Entra. It holds no credential."""

from __future__ import annotations

import base64
import json
from typing import Any

import pulumi
import yaml
from pulumi_azure_native import containerservice

from espalier.blueprint.clouds.aks.model import AksPlan
from espalier.components.cluster.aks.azure import Azure

SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"
"""Entra's application of all AKS API servers (azure.github.io/kubelogin, concepts/aks)."""


def kubeconfig(plan: AksPlan, endpoint: pulumi.Input[str], authority: pulumi.Input[str]) -> pulumi.Output[str]:
    """The file's text, as JSON."""

    def text(found: dict[str, Any]) -> str:
        return json.dumps(content(plan, found["endpoint"], found["authority"]), sort_keys=True)

    return pulumi.Output.all(endpoint=endpoint, authority=authority).apply(text)


def content(plan: AksPlan, endpoint: str, authority: str) -> dict[str, Any]:
    """What the file says: one cluster, one user, one context of the cluster's name."""
    server = {"certificate-authority-data": authority, **plan.api.route.server(endpoint)}
    login = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": ["get-token", "--login", plan.login, "--server-id", SERVER],
        "interactiveMode": "Never",
        "installHint": "kubelogin is needed: https://azure.github.io/kubelogin/install.html",
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": plan.name, "cluster": server}],
        "users": [{"name": plan.name, "user": {"exec": login}}],
        "contexts": [{"name": plan.name, "context": {"cluster": plan.name, "user": plan.name}}],
        "current-context": plan.name,
    }


def authority_of(azure: Azure, cluster: containerservice.ManagedCluster) -> pulumi.Output[str]:
    """The cluster's certificate authority, PEM in base64.

    AKS tells it nowhere but in the kubeconfig that it gives to users, which holds no credential where local accounts
    are off. The cluster's id is not known before it stands: no plan asks for this.
    """
    found = containerservice.list_managed_cluster_user_credentials_output(
        resource_group_name=cluster.id.apply(lambda id_: id_.split("/")[4]),
        resource_name=cluster.id.apply(lambda id_: id_.split("/")[-1]),
        format="exec",
        opts=pulumi.InvokeOutputOptions(parent=azure.component, provider=azure.provider),
    )
    return found.kubeconfigs.apply(lambda files: authority_in(base64.b64decode(files[0].value).decode()))


def authority_in(text: str) -> str:
    """The certificate authority that a kubeconfig names, base64."""
    return yaml.safe_load(text)["clusters"][0]["cluster"]["certificate-authority-data"]
