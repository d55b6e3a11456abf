"""The kubeconfig of an EKS cluster: it holds no credential; `aws eks get-token` gets one whenever it is asked."""

from __future__ import annotations

import json
from typing import Any

import pulumi

from espalier.blueprint.clouds.eks import EksPlan


def kubeconfig(plan: EksPlan, endpoint: pulumi.Input[str], authority: pulumi.Input[str]) -> pulumi.Output[str]:
    """Its text, as JSON, which is YAML. `authority` is PEM in base64."""
    found: pulumi.Output[dict[str, str]] = pulumi.Output.all(endpoint=endpoint, authority=authority)
    return found.apply(lambda known: text(plan, known["endpoint"], known["authority"]))


def text(plan: EksPlan, endpoint: str, authority: str) -> str:
    """The kubeconfig of a cluster whose API is at `endpoint`. Its one context is the cluster's name."""
    server = {"certificate-authority-data": authority, **plan.route.server(endpoint)}
    whole: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": plan.name,
        "clusters": [{"name": plan.name, "cluster": server}],
        "users": [{"name": plan.name, "user": {"exec": _token(plan)}}],
        "contexts": [{"name": plan.name, "context": {"cluster": plan.name, "user": plan.name}}],
    }
    return json.dumps(whole, sort_keys=True)


def _token(plan: EksPlan) -> dict[str, Any]:
    arguments = ["--region", plan.region, "eks", "get-token", "--cluster-name", plan.name, "--output", "json"]
    return {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": arguments,
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": False,
        "installHint": "Install the AWS CLI, version 2: https://aws.amazon.com/cli/",
    }
