"""Karpenter on EKS: makes nodes for pods that find none, of the NodePools that the stack's pools become.

Facts: aws/karpenter-provider-aws v1.14.1, charts/karpenter (values, CRDs). Its identity in AWS is EKS Pod Identity's,
for kube-system/karpenter; the queue of EC2's warnings has the cluster's name. The controller itself comes from its
chart; NodePools and EC2NodeClasses are the cloud's compiler's, one of each for every kind of capacity of a pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from espalier.content import ChartSource, Content
from espalier.types import AddonInputs, AddonRecord, Facts, Mistake, Planned

NAME: Final = "karpenter"
VERSION: Final = "1.14.1"


class Options(BaseModel):
    """No options: everything follows from the pools."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The NodePools and EC2NodeClasses of all pools."""
    return tuple(planned for pool in inputs.pools for planned in pool.objects)


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart: whose cluster it is, where warnings come from, which capacity it may use."""
    overlaid = any(planned.manifest["kind"] == "NodeOverlay" for planned in objects(inputs))
    return {
        "serviceAccount": {"name": NAME},
        "settings": {
            "clusterName": inputs.facts.cluster,
            "interruptionQueue": inputs.facts.cluster,
            "eksControlPlane": True,
            # Without a way out it asks neither IAM nor for prices, which have no endpoint in a network.
            **({"isolatedVPC": True} if inputs.facts.isolated else {}),
            # An overlay says what a node advertises whose devices are shared; the gate is alpha, and off without one.
            "featureGates": {"reservedCapacity": True, **({"nodeOverlay": True} if overlaid else {})},
        },
        "controller": {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}},
    }


def refuses(facts: Facts) -> Iterator[Mistake]:
    """Clusters that it cannot scale, or that something else scales."""
    path = f"espalier:addons.{NAME}"
    if facts.kind != "eks":
        yield Mistake(path, f"on a cluster of kind {facts.kind}", "a cluster of kind eks", "Remove it.")
    elif facts.autoscaler != NAME:
        do = "Set espalier:cluster.autoscaler: karpenter, which brings it; or remove it."
        yield Mistake(path, f"beside autoscaler: {facts.autoscaler or 'the given cluster'}", "one autoscaler", do)


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="autoscaling",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/aws/karpenter-provider-aws",
    options=Options,
    objects=objects,
    content=Content(
        source=ChartSource(NAME, VERSION, "oci://public.ecr.aws/karpenter"),
        namespace="kube-system",
        create_namespace=False,
        values=values,
    ),
    refuses=refuses,
    implied=lambda facts: facts.kind == "eks" and facts.autoscaler == NAME,
    provides=frozenset({"autoscaler"}),
)
