"""Work to try a platform with: files beside this one, filled in for a stack's tenants and pools.

In a file `${namespace}`, `${pool}`, `${placement}` (what of a pod's spec takes it to the pool), `${resources}` (a
device of it, or processors), `${image}` (one with Python), `${domain}` (KServe's) and `${host}` (the first of the
tenant's own) are put in as JSON; `$$` is a $.
Shapes are those of the add-ons' APIs at the versions that their records pin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IMAGE: Final = "docker.io/library/python:3.12.11-slim-bookworm"


@dataclass(frozen=True, slots=True)
class Sample:
    """What a file is for. `needs` are add-ons, `vendor` whose devices its image is for; "" is any pool, also none.

    Those of the `platform` are for who runs it: tenants have no right to write them.
    """

    what: str
    needs: tuple[str, ...] = ()
    vendor: str = ""
    platform: bool = False

    def read(self, name: str) -> str:
        return (Path(__file__).parent / f"{name}.yaml").read_text("utf-8")


SAMPLES: Final[Mapping[str, Sample]] = {
    "backup": Sample("a backup of a tenant's namespace each night", ("velero",), platform=True),
    "batch-prediction": Sample("a Job that asks a model for a file of rows", ("kserve",)),
    "canary": Sample("two versions of a model, traffic split between them", ("gateway-api", "kserve")),
    "canary-knative": Sample("a model whose next version gets a tenth", ("knative-serving", "kserve")),
    "certificate": Sample("a certificate for a server within the namespace", ("cert-manager",)),
    "custom-runtime": Sample(
        "training by an image of one's own, for users of MXNet, Chainer and Caffe", ("kubeflow-trainer",)
    ),
    "experiment": Sample("a search over settings", ("katib",)),
    "external-secret": Sample("a store of secrets, and a Secret from it", ("external-secrets",), platform=True),
    "function": Sample("a function of Nuclio", ("nuclio",), platform=True),
    "gatekeeper-template": Sample("a kind of constraint that asks for labels", ("gatekeeper",), platform=True),
    "gateway": Sample("a Gateway that Envoy serves", ("envoy-gateway",), platform=True),
    "inferenceservice": Sample("a model, served", ("kserve",)),
    "jaxjob": Sample("a JAXJob of two workers", ("training-operator-v1",), "nvidia"),
    "job": Sample("a Job that lists its devices"),
    "jobset": Sample("workers that know each other by name", ("jobset",)),
    "kyverno-policy": Sample("a policy that reports large claims", ("kyverno",), platform=True),
    "leaderworkerset": Sample("a group that starts and restarts as one", ("lws",)),
    "mapping": Sample("a host name that Emissary leads to a Service", ("emissary-ingress",)),
    "mlflow-run": Sample("a run in MLflow", ("mlflow",)),
    "mpijob": Sample("a program on two workers over SSH", ("mpi-operator",)),
    "mysql": Sample("a MySQL of three instances", ("mysql-operator",), platform=True),
    "notebook": Sample("a notebook with a home that stays", ("kubeflow-notebooks",)),
    "pipeline-run": Sample("a run of a pipeline of one step", ("kubeflow-pipelines",)),
    "postgres": Sample("a PostgreSQL of two instances", ("cloudnative-pg",)),
    "pytorchjob": Sample("a PyTorchJob, master and worker", ("training-operator-v1",), "nvidia"),
    "rayjob": Sample("a Ray cluster for one program", ("kuberay-operator",)),
    "registered-model": Sample("a model in the registry", ("kubeflow-hub",)),
    "retraining": Sample("a TrainJob where data have drifted", ("evidently", "kubeflow-trainer"), "nvidia"),
    "scaledobject": Sample("a server that KEDA scales from none to three", ("keda",)),
    "seldon-model": Sample("a runtime of Seldon Core 2 with a model", ("seldon-core-v2",), platform=True),
    "servicemonitor": Sample("metrics of one's own servers", ("kube-prometheus-stack",)),
    "sparkapplication": Sample("a program of Spark on two executors", ("spark-operator",)),
    "tensorboard": Sample("a TensorBoard over a claim", ("kubeflow-notebooks",)),
    "tfjob": Sample("a TFJob, chief and two workers", ("training-operator-v1",), "nvidia"),
    "trainjob": Sample("a TrainJob on the pool's runtime for PyTorch", ("kubeflow-trainer",), "nvidia"),
    "verticalpodautoscaler": Sample("what a server should ask for", ("vertical-pod-autoscaler",)),
    "volcanojob": Sample("two workers that start together or not at all", ("volcano",)),
    "workflow": Sample("two steps of Argo, the second on devices", ("argo-workflows",)),
}
