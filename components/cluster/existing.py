"""A cluster that Espalier did not make, as a component."""

import os
from typing import TypedDict

import pulumi

from espalier.components.cluster.provider import provider_for
from espalier.components.inputs import settings_of


class ExistingClusterArgs(TypedDict):
    """Arguments of ExistingCluster."""

    kubeconfig: str
    """Path of the kubeconfig; ~ is the home directory."""
    context: str
    """The kubeconfig's context."""


class ExistingCluster(pulumi.ComponentResource):
    """Reaches a cluster by any kubeconfig. `provider` is what other components take in their `providers` option."""

    context: pulumi.Output[str]
    """The kubeconfig's context."""

    def __init__(self, name: str, args: ExistingClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings_of(name, {"cluster": {"kind": "existing", "version": "1.36", **args}})
        super().__init__("espalier:index:ExistingCluster", name, {}, opts)
        context = args["context"]
        self.provider = provider_for(
            self,
            name,
            kubeconfig=os.path.expanduser(args["kubeconfig"]),
            context=context,
            identifier=f"existing/{context}",
        )
        self.context = pulumi.Output.from_input(context)
        self.register_outputs({"context": self.context})
