"""The Kubernetes provider of a cluster component."""

import pulumi

from espalier.components.objects import PROVIDER_VERSION


def provider_for(
    component: pulumi.ComponentResource, name: str, *, kubeconfig: str, context: str, identifier: str
) -> pulumi.ProviderResource:
    """A provider that reaches one cluster.

    `kubeconfig` is a path (~ is the home directory), kept secret since another kind of cluster may put credentials
    there. `identifier` is plain and stable: without it a changed kubeconfig would replace every object
    (pulumi-kubernetes provider.go, DiffConfig).
    """
    return pulumi.ProviderResource(
        "kubernetes",
        f"{name}-provider",
        {
            "kubeconfig": pulumi.Output.secret(kubeconfig),
            "context": context,
            "clusterIdentifier": identifier,
        },
        pulumi.ResourceOptions(parent=component, version=PROVIDER_VERSION),
    )
