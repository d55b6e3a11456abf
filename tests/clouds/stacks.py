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
    - name: ubuntu
      accelerator: L4
      count: 1
      nodes: {max: 4}
      image: {os: ubuntu, release: ami-0123456789abcdef0}
      driver: {owner: operator}
"""

OTHER_EKS = """
config:
  espalier:cluster:
    kind: eks
    name: other
    version: "1.35"
    region: us-east-1
    zones: [us-east-1a, us-east-1b]
    autoscaler: karpenter
    storage: {type: fsx-lustre}
    access: {via: public, cidrs: [8.8.8.0/24], admins: ["arn:aws:iam::123456789012:role/platform"]}
  espalier:pools:
    - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}
    - {name: l4, accelerator: L4, count: 1, nodes: {max: 4}, capacity: [spot, on-demand], sharing: {time-slices: 4}}
    - {name: tight, machine: m7i.4xlarge, nodes: {max: 4}, placement: compact}
"""
OTHER_GKE = """
config:
  espalier:cluster:
    kind: gke
    name: other
    project: example-ml-dev
    version: "1.35"
    region: us-central1
    access: {via: public, cidrs: [8.8.8.0/24], admins: ["group:platform@example.com"]}
    storage: {type: filestore}
  espalier:pools:
    - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}
    - {name: v7x, accelerator: TPU-v7x, topology: 2x2x2, nodes: {max: 2}, zones: [us-central1-c]}
    - name: shared
      accelerator: L4
      count: 1
      nodes: {max: 4}
      sharing: {mps: 4}
      image: {os: ubuntu}
      preload: {snapshot: projects/example-ml-dev/global/images/models}
"""
OTHER_AKS = """
config:
  espalier:cluster:
    kind: aks
    name: other
    version: "1.35"
    region: eastus
    access: {via: public, cidrs: [8.8.8.0/24], admins: ["11111111-2222-3333-4444-555555555555"]}
    disk-encryption: platform
  espalier:pools:
    - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}
    - name: near
      accelerator: A100-80
      count: 1
      nodes: {max: 4}
      placement: compact
      zones: ["1"]
      disk: {size: 60Gi, type: Ephemeral}
      driver: {owner: operator}
    - {name: market, machine: Standard_D8s_v5, machines: [Standard_D8as_v5], capacity: [spot], nodes: {max: 4}}
"""

WRITTEN = {"small-eks": SMALL_EKS, "other-eks": OTHER_EKS, "other-gke": OTHER_GKE, "other-aks": OTHER_AKS}
ALL = [*OF_CHECKOUT, *WRITTEN]


def graph_of(stack: str, *, imagined: bool = False) -> Graph:
    """The recorded graph of one of `ALL`; `imagined` as `recorded` has it."""
    return recorded(WRITTEN[stack] if stack in WRITTEN else _NAMED[stack], imagined=imagined)
