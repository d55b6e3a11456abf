"""The stacks that clouds are asked about here: those of the checkout, and some for what they leave out."""

from __future__ import annotations

from tests.clouds.recorded import STACKS, Graph, recorded

_NAMED = {path.name.removeprefix("Pulumi.").removesuffix(".yaml"): path for path in STACKS}
OF_CHECKOUT = sorted(name for name in _NAMED if name.partition("-")[0] in {"aws", "gcp", "azure"})

SMALL_EKS = """
config:
  espalier:cluster:
    kind: eks
    name: small
    version: "1.35"
    region: us-east-1
    access: {via: network, admins: ["arn:aws:iam::123456789012:role/platform"]}
  espalier:pools:
    - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}
    - {name: l4, accelerator: L4, count: 1, nodes: {max: 4}, capacity: [spot, on-demand]}
"""

WRITTEN = {"small-eks": SMALL_EKS}
ALL = [*OF_CHECKOUT, *WRITTEN]


def graph_of(stack: str, *, imagined: bool = False) -> Graph:
    """The recorded graph of one of `ALL`; `imagined` as `recorded` has it."""
    return recorded(WRITTEN[stack] if stack in WRITTEN else _NAMED[stack], imagined=imagined)
