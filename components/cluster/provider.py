"""The Kubernetes provider of a cluster component."""

from collections.abc import Iterable

import pulumi

from espalier.components.objects import PROVIDER_VERSION


def provider_for(
    component: pulumi.ComponentResource,
    name: str,
    *,
    kubeconfig: pulumi.Input[str],
    context: str,
    identifier: str,
    after: Iterable[pulumi.Resource] = (),
) -> pulumi.ProviderResource:
    """A provider that reaches one cluster.

    `kubeconfig` is a path (~ is the home directory) or the file's text; secret, whatever it holds. What is in the
    cluster comes later than `after`, and goes before it. `identifier` is plain and stable: without it a changed
    kubeconfig would replace every object (pulumi-kubernetes provider.go, DiffConfig).
    """
    return pulumi.ProviderResource(
        "kubernetes",
        f"{name}-provider",
        {
            "kubeconfig": pulumi.Output.secret(kubeconfig),
            "context": context,
            "clusterIdentifier": identifier,
        },
        pulumi.ResourceOptions(parent=component, depends_on=list(after), version=PROVIDER_VERSION),
    )
