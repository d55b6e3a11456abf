"""The simulated cluster of this machine, as a component."""

from typing import TypedDict

import pulumi

from espalier.components.cluster.provider import provider_for
from espalier.components.inputs import key_mistakes, run_error
from espalier.sim import kubeconfig_path
from espalier.sim.errors import SimError
from espalier.types import Mistake


class SimulatedClusterArgs(TypedDict):
    """Arguments of SimulatedCluster."""

    cluster_name: str
    """The simulated cluster's name, as `espalier sim up --name` gives it."""


class SimulatedCluster(pulumi.ComponentResource):
    """A real Kubernetes control plane over simulated nodes, started by `espalier sim up`; this reaches it.

    `provider` is what other components take in their `providers` option.
    """

    context: pulumi.Output[str]
    """The kubeconfig's context."""

    def __init__(self, name: str, args: SimulatedClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        if mistakes := key_mistakes(name, args, SimulatedClusterArgs):
            raise run_error(name, mistakes)
        cluster = args["cluster_name"]
        try:
            kubeconfig = kubeconfig_path(cluster)
        except SimError as error:
            raise run_error(name, [Mistake(f"{name}.cluster_name", repr(cluster), "a name", error.do)]) from None
        super().__init__("espalier:index:SimulatedCluster", name, {}, opts)
        context = f"espalier-sim-{cluster}"
        self.provider = provider_for(
            self,
            name,
            kubeconfig=str(kubeconfig),
            context=context,
            identifier=f"simulated/{cluster}",
        )
        self.context = pulumi.Output.from_input(context)
        self.register_outputs({"context": self.context})
