"""The stack as add-ons: each name that users ask for, and those whose facts nobody publishes."""

from __future__ import annotations

from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.addons.samples import SAMPLES
from espalier.types import AddonInputs, Facts, Manifest
from tests.unit.test_training_runtimes import GPU, PRESENT, pool

FACTS = Facts("onprem", "1.36", True)
ASKED = [
    "cert-manager",
    "gateway-api",
    "istiod",
    "dex",
    "oauth2-proxy",
    "metrics-server",
    "nvidia-gpu-operator",
    "kueue",
    "jobset",
    "kubeflow-trainer",
    "training-operator-v1",
    "jupyterhub",
    "kubeflow-notebooks",
    "kubeflow-dashboard",
    "kubeflow-pipelines",
    "katib",
    "kserve",
    "mlflow",
    "kubeflow-hub",
    "kube-prometheus-stack",
    "cluster-autoscaler",
    "knative-operator",
    "knative-serving",
    "envoy-gateway",
    "emissary-ingress",
    "external-dns",
    "external-secrets",
    "kyverno",
    "gatekeeper",
    "velero",
    "headlamp",
    "argo-workflows",
    "kuberay-operator",
    "spark-operator",
    "mpi-operator",
    "volcano",
    "lws",
    "seldon-core-v2",
    "nuclio",
    "vllm-stack",
    "feast-feature-server",
    "seaweedfs",
    "cloudnative-pg",
    "mysql-operator",
    "nfs-csi",
    "keda",
    "vertical-pod-autoscaler",
    "karpenter",
    "dcgm-exporter",
    "opencost",
    "evidently",
    "spegel",
    "dragonfly",
    "amd-gpu-operator",
    "network-operator",
    "nvidia-dra-driver",
]
ENDED = [
    "mxnet-operator",
    "chainer-operator",
    "caffe2-operator",
    "kfserving",
    "tf-batch-predict",
    "kubeflow-fairing",
    "kubeflow-metadata",
]
WITHOUT = {
    "cluster-autoscaler": "it has no API of its own",
    "dcgm-exporter": "it has no API of its own",
    "dex": "people log in by it",
    "dragonfly": "nodes pull by it",
    "external-dns": "it reads Services and Ingresses",
    "feast-feature-server": "its features are those of the stack's own store",
    "headlamp": "an interface",
    "istiod": "the mesh of others",
    "jupyterhub": "an interface",
    "karpenter": "Espalier writes its pools",
    "knative-operator": "knative-serving is its work",
    "kubeflow-dashboard": "an interface",
    "kueue": "every job of a tenant's queue is its sample",
    "metrics-server": "it has no API of its own",
    "network-operator": "its networks are those of the site",
    "nfs-csi": "claims of a class of the site's",
    "nvidia-dra-driver": "pods ask for devices as before",
    "nvidia-gpu-operator": "job is its sample",
    "amd-gpu-operator": "job is its sample",
    "oauth2-proxy": "people log in by it",
    "opencost": "an interface",
    "seaweedfs": "any client of S3",
    "spegel": "nodes pull by it",
    "vllm-stack": "any client of OpenAI's protocol",
}
"""Why an add-on has no sample."""


@pytest.mark.parametrize("id", ASKED)
def test_each_add_on_that_is_asked_for_is_there_with_a_sample_or_a_reason(id: str) -> None:
    assert RECORDS[id].state != "retired"
    assert any(id in sample.needs for sample in SAMPLES.values()) or WITHOUT[id]


@pytest.mark.parametrize("id", ENDED)
def test_what_has_ended_points_to_what_is_here(id: str) -> None:
    ended = RECORDS[id].ended
    assert ended is not None
    assert RECORDS[id].state == "retired"
    assert ended.successors
    assert all(RECORDS[one].state != "retired" for one in ended.successors)


def inputs(id: str, **options: Any) -> AddonInputs:
    pools = (pool("h100", devices={GPU: 8}, taints=(PRESENT,)),)
    return AddonInputs(FACTS, pools, RECORDS[id].options.model_validate(options))


def stack_of(**model: Any) -> AddonInputs:
    chat = {"name": "chat", "model": "Qwen/Qwen3-8B", "pool": "h100", **model}
    return inputs("vllm-stack", models=[chat], **{"router-image": "docker.io/lmcache/lmstack-router:v1.2.3"})


def test_a_model_goes_to_its_pool_with_its_devices() -> None:
    content = RECORDS["vllm-stack"].content
    assert content is not None
    told = content.values(stack_of(devices=4))
    [model] = told["servingEngineSpec"]["modelSpec"]
    assert (model["requestGPU"], model["requestGPUType"], model["vllmConfig"]["tensorParallelSize"]) == (4, GPU, 4)
    [term] = model["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "espalier.dev/pool", "operator": "In", "values": ["h100"]}]
    assert [one["key"] for one in model["tolerations"]] == [PRESENT.key]
    assert (told["routerSpec"]["tag"], told["routerSpec"]["replicaCount"]) == ("v1.2.3", 2)


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (
            {"pool": "cpu"},
            "espalier:addons.vllm-stack.models[0].pool: got cpu; accepted: h100. Name a pool with devices.",
        ),
        (
            {"devices": 16},
            "espalier:addons.vllm-stack.models[0].devices: got 16; accepted: at most 8, which a node of pool h100 has. "
            "Ask for fewer, or name another pool.",
        ),
    ],
)
def test_what_no_pool_has_is_refused(model: dict[str, Any], wanted: str) -> None:
    assert [mistake.text() for mistake in RECORDS["vllm-stack"].judges(stack_of(**model))] == [wanted]


@pytest.mark.parametrize("name", ["vllm-deployment-router", "vllm-chat-deployment-vllm"])
def test_pods_of_the_stack_are_taken_by_a_restricted_namespace_and_routers_stay(name: str) -> None:
    content = RECORDS["vllm-stack"].content
    assert content is not None
    pod = {"containers": [{"name": "main", "image": "x:1", "securityContext": {"runAsNonRoot": False}}]}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": pod}}
    theirs = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
    made: Any = content.edit(stack_of(), theirs)
    found = made["spec"]["template"]["spec"]
    assert (found["securityContext"]["runAsNonRoot"], "affinity" in found) == (True, name.endswith("router"))
    assert found["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_evidently_keeps_its_reports_and_one_server_writes_them() -> None:
    made = {one.suffix: one for one in RECORDS["evidently"].objects(inputs("evidently"))}
    server: Manifest = made["server"].manifest
    assert (server["spec"]["replicas"], server["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert made["volume"].retain
    pod = server["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert not pod["automountServiceAccountToken"]
