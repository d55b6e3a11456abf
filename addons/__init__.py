"""Add-ons as data: one module each, no Pulumi in any of them."""

from collections.abc import Iterable

from espalier.addons.amd_device_plugin import RECORD as AMD_DEVICE_PLUGIN
from espalier.addons.amd_gpu_operator import RECORD as AMD_GPU_OPERATOR
from espalier.addons.argo_workflows import RECORD as ARGO_WORKFLOWS
from espalier.addons.aws_efa_device_plugin import RECORD as AWS_EFA_DEVICE_PLUGIN
from espalier.addons.cert_manager import RECORD as CERT_MANAGER
from espalier.addons.cluster_autoscaler import RECORD as CLUSTER_AUTOSCALER
from espalier.addons.dcgm_exporter import RECORD as DCGM_EXPORTER
from espalier.addons.dex import RECORD as DEX
from espalier.addons.evidently import RECORD as EVIDENTLY
from espalier.addons.gateway_api import RECORD as GATEWAY_API
from espalier.addons.istio import RECORDS as ISTIO
from espalier.addons.jobset import RECORD as JOBSET
from espalier.addons.jupyterhub import RECORD as JUPYTERHUB
from espalier.addons.kai_scheduler import RECORD as KAI_SCHEDULER
from espalier.addons.karpenter import RECORD as KARPENTER
from espalier.addons.katib import RECORD as KATIB
from espalier.addons.keda import RECORD as KEDA
from espalier.addons.knative_serving import RECORD as KNATIVE_SERVING
from espalier.addons.kserve import RECORD as KSERVE
from espalier.addons.kserve_crd import RECORD as KSERVE_CRD
from espalier.addons.kube_prometheus_stack import RECORD as KUBE_PROMETHEUS_STACK
from espalier.addons.kubeflow_base import RECORD as KUBEFLOW_BASE
from espalier.addons.kubeflow_dashboard import RECORD as KUBEFLOW_DASHBOARD
from espalier.addons.kubeflow_hub import RECORD as KUBEFLOW_HUB
from espalier.addons.kubeflow_notebooks import RECORD as KUBEFLOW_NOTEBOOKS
from espalier.addons.kubeflow_pipelines import RECORD as KUBEFLOW_PIPELINES
from espalier.addons.kubeflow_trainer import RECORD as KUBEFLOW_TRAINER
from espalier.addons.kueue import RECORD as KUEUE
from espalier.addons.lws import RECORD as LWS
from espalier.addons.metrics_server import RECORD as METRICS_SERVER
from espalier.addons.mlflow import RECORD as MLFLOW
from espalier.addons.mpi_operator import RECORD as MPI_OPERATOR
from espalier.addons.neuron_device_plugin import RECORD as NEURON_DEVICE_PLUGIN
from espalier.addons.node_feature_discovery import RECORD as NODE_FEATURE_DISCOVERY
from espalier.addons.nvidia_device_plugin import RECORD as NVIDIA_DEVICE_PLUGIN
from espalier.addons.nvidia_dra_driver import RECORD as NVIDIA_DRA_DRIVER
from espalier.addons.nvidia_gpu_operator import RECORD as NVIDIA_GPU_OPERATOR
from espalier.addons.oauth2_proxy import RECORD as OAUTH2_PROXY
from espalier.addons.retired import RETIRED
from espalier.addons.shelf import SHELF
from espalier.addons.training_operator_v1 import RECORD as TRAINING_OPERATOR_V1
from espalier.addons.vertical_pod_autoscaler import RECORD as VERTICAL_POD_AUTOSCALER
from espalier.addons.vllm_stack import RECORD as VLLM_STACK
from espalier.addons.volcano import RECORD as VOLCANO
from espalier.addons.warden import RECORD as WARDEN
from espalier.types import AddonRecord


def each_once(records: Iterable[AddonRecord]) -> dict[str, AddonRecord]:
    """By id. Raises ValueError for a second record of one id, which would replace the first in silence."""
    found: dict[str, AddonRecord] = {}
    for record in records:
        if found.setdefault(record.id, record) is not record:
            raise ValueError(f"two add-ons {record.id}")
    return found


RECORDS: dict[str, AddonRecord] = each_once(
    (
        AMD_DEVICE_PLUGIN,
        AMD_GPU_OPERATOR,
        ARGO_WORKFLOWS,
        AWS_EFA_DEVICE_PLUGIN,
        CERT_MANAGER,
        CLUSTER_AUTOSCALER,
        DCGM_EXPORTER,
        DEX,
        EVIDENTLY,
        GATEWAY_API,
        *ISTIO,
        JOBSET,
        JUPYTERHUB,
        KAI_SCHEDULER,
        KARPENTER,
        KATIB,
        KEDA,
        KNATIVE_SERVING,
        KSERVE,
        KSERVE_CRD,
        KUBEFLOW_BASE,
        KUBEFLOW_DASHBOARD,
        KUBEFLOW_HUB,
        KUBEFLOW_NOTEBOOKS,
        KUBEFLOW_PIPELINES,
        KUBEFLOW_TRAINER,
        KUBE_PROMETHEUS_STACK,
        KUEUE,
        LWS,
        METRICS_SERVER,
        MLFLOW,
        MPI_OPERATOR,
        NEURON_DEVICE_PLUGIN,
        NODE_FEATURE_DISCOVERY,
        NVIDIA_DEVICE_PLUGIN,
        NVIDIA_DRA_DRIVER,
        NVIDIA_GPU_OPERATOR,
        OAUTH2_PROXY,
        TRAINING_OPERATOR_V1,
        VERTICAL_POD_AUTOSCALER,
        VLLM_STACK,
        VOLCANO,
        WARDEN,
        *SHELF,
        *RETIRED,
    )
)
"""All add-ons that a stack file may name, by id."""

__all__ = ["RECORDS"]
