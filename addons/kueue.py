"""Kueue: work waits for devices in queues, and starts when all that it needs is there.

Facts: kubernetes-sigs/kueue v0.19.2, charts/kueue (values, templates) and apis/config/v1beta2. Flavours, queues and
cohort follow from the pools and the tenants (espalier/blueprint/queues); they come after this add-on and the tenants,
so that the webhooks that judge them answer, and the namespaces are there.

Its webhooks fail closed for jobs and pods: `managedJobsNamespaceSelector` bounds them to tenants' namespaces (the chart
puts the selector on the webhooks of all pods and jobs), so that no other add-on waits for Kueue. The kinds of jobs that
it serves must be defined before it starts: it comes after their add-ons, and is told of no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import apart, system_tolerations
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord

NAME: Final = "kueue"
VERSION: Final = "0.19.2"
NAMESPACE: Final = "kueue-system"
IMAGE: Final = f"registry.k8s.io/kueue/kueue:v{VERSION}"
FRAMEWORKS: Final[Mapping[str, tuple[str, ...]]] = {
    "jobset": ("jobset.x-k8s.io/jobset",),
    "kuberay-operator": ("ray.io/rayjob", "ray.io/rayservice", "ray.io/raycluster"),
    "kubeflow-trainer": ("trainer.kubeflow.org/trainjob",),
    "lws": ("leaderworkerset.x-k8s.io/leaderworkerset",),
    "mpi-operator": ("kubeflow.org/mpijob",),
    "spark-operator": ("sparkoperator.k8s.io/sparkapplication",),
    "training-operator-v1": (
        "kubeflow.org/paddlejob",
        "kubeflow.org/pytorchjob",
        "kubeflow.org/tfjob",
        "kubeflow.org/xgboostjob",
        "kubeflow.org/jaxjob",
    ),
}
"""Add-on -> the kinds of jobs that it defines and Kueue knows (apis/config/v1beta2, Integrations)."""
_KUBERNETES: Final = ("batch/job", "pod", "deployment", "statefulset")
"""Kinds of Kubernetes' own: with `pod` nothing that runs in a tenant's namespace goes by its queue."""
_TENANTS: Final = {"matchExpressions": [{"key": "espalier.dev/tenant", "operator": "Exists"}]}
_CRDS: Final = (
    "admissionchecks",
    "clusterqueues",
    "cohorts",
    "localqueues",
    "multikueueclusters",
    "multikueueconfigs",
    "provisioningrequestconfigs",
    "resourceflavors",
    "topologies",
    "workloadpriorityclasses",
    "workloads",
)


class Options(BaseModel):
    """What Kueue serves besides what follows from the stack's add-ons."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    frameworks: Annotated[list[str], Field(max_length=20)] = Field(
        default=[], description="further kinds of jobs, as Kueue names them, whose definitions are there by other means"
    )


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart: two controllers, the released image, and the configuration below.

    The chart takes no affinity: taints, which its pods do not tolerate, keep them off accelerators and spot nodes.
    """
    gates = [{"name": "PartialAdmission", "enabled": False}] if inputs.queues.slices else []
    return {
        "enablePrometheus": False,
        "controllerManager": {
            "replicas": 2,
            "podDisruptionBudget": {"enabled": True, "minAvailable": 1},
            "featureGates": gates,
            "manager": {
                "image": {"repository": IMAGE.partition(":")[0], "tag": f"v{VERSION}", "pullPolicy": "IfNotPresent"},
                "priorityClassName": "system-cluster-critical",
                "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            },
            "tolerations": system_tolerations(),
            "topologySpreadConstraints": apart({"control-plane": "controller-manager"}),
        },
        "managerConfig": {"controllerManagerConfigYaml": yaml.safe_dump(configuration(inputs), sort_keys=True)},
    }


def configuration(inputs: AddonInputs) -> dict[str, Any]:
    """config.kueue.x-k8s.io/v1beta2 Configuration.

    Only devices are counted (`IgnoreUndeclared`): CPU and memory are held by ResourceQuotas, and a job that asks for no
    device is admitted at once. What several flavours hold is counted once more over all of them.
    """
    queues = inputs.queues
    config: dict[str, Any] = {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": ":8081"},
        "metrics": {"bindAddress": ":8443", "enableClusterQueueResources": True},
        "webhook": {"port": 9443},
        "leaderElection": {"leaderElect": True, "resourceName": "c1f6bfd2.kueue.x-k8s.io"},
        "manageJobsWithoutQueueName": queues.enforce,
        "managedJobsNamespaceSelector": _TENANTS,
        "integrations": {"frameworks": frameworks(inputs)},
        "waitForPodsReady": {
            "timeout": queues.start_within,
            "blockAdmission": False,
            "requeuingStrategy": {"timestamp": "Eviction", "backoffBaseSeconds": 60, "backoffMaxSeconds": 3600},
        },
        "resources": {"quotaCheckStrategy": "IgnoreUndeclared", **_transformations(queues.counted)},
    }
    if queues.borrowing:
        config["fairSharing"] = {"preemptionStrategies": ["LessThanOrEqualToFinalShare", "LessThanInitialShare"]}
    return config


def frameworks(inputs: AddonInputs) -> list[str]:
    """The kinds of jobs whose definitions the stack has."""
    theirs = [kind for id, kinds in sorted(FRAMEWORKS.items()) if id in inputs.beside for kind in kinds]
    return list(dict.fromkeys([*_KUBERNETES, *theirs, *inputs.options.frameworks]))


def _transformations(counted: Mapping[str, str]) -> dict[str, Any]:
    rows = [
        {"input": device, "strategy": "Retain", "outputs": {counter: "1"}}
        for device, counter in sorted(counted.items())
    ]
    return {"transformations": rows} if rows else {}


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="queueing",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/kubernetes-sigs/kueue",
    options=Options,
    content=Content(
        source=ChartSource(NAME, VERSION, "oci://registry.k8s.io/kueue/charts"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        values=values,
        facts=ContentFacts(crds=tuple(f"{name}.kueue.x-k8s.io" for name in _CRDS), images=(IMAGE,)),
    ),
    after=frozenset(FRAMEWORKS),
    conflicts={"kai-scheduler": "", "volcano": ""},
    provides=frozenset({"queues"}),
    seen=(("kueue.x-k8s.io", ("localqueues", "workloads")),),
)
