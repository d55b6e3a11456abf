"""Which of upstream's definitions the kinds of samples have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import yaml

from tests.upstream.staged import UPSTREAM
from tests.upstream.values import closed

FOLDERS: Final[Mapping[str, str]] = {
    "Certificate": "cert-manager",
    "Cluster": "cloudnative-pg",
    "ClusterSecretStore": "external-secrets",
    "ConstraintTemplate": "gatekeeper",
    "Experiment": "katib",
    "ExternalSecret": "external-secrets",
    "Gateway": "gateway-api",
    "GatewayClass": "gateway-api",
    "HTTPRoute": "gateway-api",
    "InferenceService": "kserve-crd",
    "InnoDBCluster": "mysql-operator",
    "Issuer": "cert-manager",
    "JAXJob": "training-operator-v1",
    "JobSet": "jobset",
    "LeaderWorkerSet": "lws",
    "MPIJob": "mpi-operator",
    "Mapping": "emissary-ingress",
    "Model": "seldon-core-v2",
    "Notebook": "kubeflow-notebooks",
    "NuclioFunction": "nuclio",
    "PyTorchJob": "training-operator-v1",
    "RayJob": "kuberay-operator",
    "ScaledObject": "keda",
    "Schedule": "velero",
    "SeldonRuntime": "seldon-core-v2",
    "Server": "seldon-core-v2",
    "ServiceMonitor": "kube-prometheus-stack",
    "SparkApplication": "spark-operator",
    "TFJob": "training-operator-v1",
    "Tensorboard": "kubeflow-notebooks",
    "TrainJob": "kubeflow-trainer",
    "TrainingRuntime": "kubeflow-trainer",
    "ValidatingPolicy": "kyverno",
    "VerticalPodAutoscaler": "vertical-pod-autoscaler",
    "Workflow": "argo-workflows",
}
OWN: Final = frozenset({"ConfigMap", "CronJob", "Deployment", "PersistentVolumeClaim"})
"""Kinds of Kubernetes itself."""


def definitions() -> list[dict[str, Any]]:
    """Of all these kinds, each once."""
    return [_definition(folder, kind) for kind, folder in sorted({**FOLDERS, "Job": "volcano"}.items())]


@cache
def _definition(folder: str, kind: str) -> dict[str, Any]:
    """Of a file of megabytes the one part alone is parsed that may be it."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    parts = (UPSTREAM / folder / "crds.yaml").read_text("utf-8").split("\n---\n")
    likely = (one for one in parts if re.search(rf'"?kind"?: ?"?{kind}"?[\n,}}]', one))
    found = (made for one in likely for made in yaml.load_all(one, loader) if made)
    return next(one for one in found if one["spec"]["names"]["kind"] == kind)


def folder_of(manifest: Mapping[str, Any]) -> str:
    """Where the definition of an object is; "" for what is Kubernetes' own."""
    if manifest["kind"] == "Job":
        return "volcano" if manifest["apiVersion"].startswith("batch.volcano.sh/") else ""
    return FOLDERS.get(manifest["kind"], "") if manifest["kind"] not in OWN else ""


def schema_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Of the definition of an object, closed: a key that it lacks is an error."""
    return _schema(folder_of(manifest), manifest["apiVersion"], manifest["kind"])


@cache
def _schema(folder: str, api_version: str, kind: str) -> dict[str, Any]:
    group, _, version = api_version.partition("/")
    crd = _definition(folder, kind)
    assert crd["spec"]["group"] == group
    [found] = [one["schema"]["openAPIV3Schema"] for one in crd["spec"]["versions"] if one["name"] == version]
    known = {"apiVersion": {}, "kind": {}, "metadata": {}}
    return {
        **closed({**found, "properties": {**found.get("properties", {"spec": {}}), **known}}),
        "additionalProperties": False,
    }
