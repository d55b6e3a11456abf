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
    load-balancer: false
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
  espalier:identity: {issuer: https://id.example.com}
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

GIVEN_EKS = """
config:
  espalier:cluster:
    kind: eks
    name: given
    account-id: "123456789012"
    version: "1.35"
    region: us-east-1
    zones: [us-east-1a, us-east-1b]
    network: {id: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0a1b2c3d4e5f60718, subnet-0a1b2c3d4e5f60719]}
    keys: {secrets: "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
    roles: {boundary: "arn:aws:iam::123456789012:policy/boundary", path: /platform/}
    storage: {type: efs}
    buckets: [{name: models}]
    registries: [{name: images}]
    dns: {zone: ml.example.com}
    access: {via: network, cidrs: [10.0.0.0/16], admins: ["arn:aws:iam::123456789012:role/platform"]}
  espalier:pools:
    - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}
    - {name: l4, accelerator: L4, count: 1, nodes: {max: 4}}
  espalier:tenants:
    - {name: vision, bucket: {name: models}, shared-volume: {size: 100Gi}}
    - name: language
      workspaces: [{name: dev, quota: {cpu: 1}}, {name: prod, quota: {cpu: 1}}]
      bucket: {name: models, prefix: teams/language/}
"""
GIVEN_GKE = """
config:
  espalier:cluster:
    kind: gke
    name: given
    project: example-ml-dev
    version: "1.35"
    region: us-central1
    network:
      id: projects/hub/global/networks/hub
      subnets: [projects/hub/regions/us-central1/subnetworks/ml]
    pods-range: pods
    services-range: services
    service-account: nodes@example-ml-dev.iam.gserviceaccount.com
    storage: {type: filestore}
    buckets: [{name: models}]
    registries: [{name: images}]
    dns: {zone: ml.example.com}
    access: {via: network, cidrs: [10.0.0.0/16], admins: ["group:platform@example.com"]}
  espalier:pools:
    - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}
    - {name: l4, accelerator: L4, count: 1, nodes: {max: 4}}
  espalier:tenants:
    - {name: vision, bucket: {name: models}, shared-volume: {size: 100Gi}}
    - name: language
      workspaces: [{name: dev, quota: {cpu: 1}}, {name: prod, quota: {cpu: 1}}]
      bucket: {name: models, prefix: teams/language/}
"""
_HUB = (
    "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/shared/providers"
    "/Microsoft.Network/virtualNetworks/hub"
)
GIVEN_AKS = f"""
config:
  espalier:cluster:
    kind: aks
    name: given
    version: "1.35"
    region: eastus
    network:
      id: {_HUB}
      subnets: [{_HUB}/subnets/nodes]
    endpoints: {{}}
    secrets-encryption: customer
    storage: {{type: azure-files}}
    buckets: [{{name: models}}]
    registries: [{{name: images}}]
    dns: {{zone: ml.example.com}}
    access: {{via: network, admins: ["11111111-2222-3333-4444-555555555555"]}}
  espalier:pools:
    - {{name: system, machine: {{cpu: 4, memory: 16Gi}}, nodes: {{min: 2, max: 6}}}}
    - {{name: a100, accelerator: A100-80, count: 1, nodes: {{max: 4}}}}
  espalier:tenants:
    - {{name: vision, bucket: {{name: models}}, shared-volume: {{size: 100Gi}}}}
    - name: language
      workspaces: [{{name: dev, quota: {{cpu: 1}}}}, {{name: prod, quota: {{cpu: 1}}}}]
      bucket: {{name: models, prefix: teams/language/}}
"""

WRITTEN = {"small-eks": SMALL_EKS, "other-eks": OTHER_EKS, "other-gke": OTHER_GKE, "other-aks": OTHER_AKS}
ALL = [*OF_CHECKOUT, *WRITTEN]
CLOSED_EKS = """
config:
  espalier:cluster:
    kind: eks
    name: closed
    version: "1.35"
    region: us-east-1
    account-id: "123456789012"
    network: {egress: none}
    autoscaler: karpenter
    storage: {type: efs}
    image-cache: [public.ecr.aws, registry.k8s.io]
    buckets: [{name: models}]
    registries: [{name: images}]
    access: {via: network, admins: ["arn:aws:iam::123456789012:role/platform"]}
  espalier:pools:
    - {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 2, max: 6}}
    - {name: l4, accelerator: L4, count: 1, nodes: {max: 4}, capacity: [spot, on-demand]}
"""
GIVEN = {"given-eks": GIVEN_EKS, "given-gke": GIVEN_GKE, "given-aks": GIVEN_AKS, "closed-eks": CLOSED_EKS}
"""Stacks in networks that are there, or without a way out: of what they make requests and policies are judged."""


def graph_of(stack: str, *, imagined: bool = False) -> Graph:
    """The recorded graph of one of `ALL` or `GIVEN`; `imagined` as `recorded` has it."""
    written = WRITTEN | GIVEN
    return recorded(written[stack] if stack in written else _NAMED[stack], imagined=imagined)
