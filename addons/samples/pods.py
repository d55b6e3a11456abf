"""The pods that become of a sample's objects, read off the templates in them as their controllers read them.

Facts: the definitions of the add-ons' APIs at the versions that their records pin. Of a LeaderWorkerSet the leader is
one of `size`, of an MPIJob the launcher is a pod like a worker, a search has as many trials at once as it says. A
TrainJob and an InferenceService have their pods' template in a runtime: it is given. Where a controller writes the
whole pod by itself (a TensorBoard, a database) there is nothing to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from espalier.addons import serving_runtimes, training_runtimes
from espalier.addons.training_runtimes import IMAGES
from espalier.types import PoolFacts

Runtimes = Mapping[str, Mapping[str, Any]]
"""ClusterTrainingRuntimes and ClusterServingRuntimes by name."""


@dataclass(frozen=True, slots=True)
class Pods:
    """`count` pods of one template, which is as a Job's: metadata, where there is any, and spec."""

    role: str
    count: int
    template: Mapping[str, Any]

    def asks(self, resource: str) -> int:
        """How much of a device they ask for together."""
        containers = self.template["spec"]["containers"]
        return self.count * sum(
            int((one.get("resources", {}).get("limits") or {}).get(resource, 0)) for one in containers
        )


def runtimes_of(pools: Iterable[PoolFacts], manifests: Iterable[Mapping[str, Any]] = ()) -> Runtimes:
    """Those that the platform makes of its pools, with Espalier's images, and those among a sample's objects."""
    known = tuple(pools)
    own = {one["metadata"]["name"]: one for one in manifests if one["kind"].endswith("Runtime")}
    made = (*serving_runtimes.runtimes(known, serving_runtimes.IMAGES), *training_runtimes.runtimes(known, IMAGES))
    return {one.manifest["metadata"]["name"]: one.manifest for one in made} | own


def pods_of(manifest: Mapping[str, Any], runtimes: Runtimes | None = None) -> tuple[Pods, ...]:
    """The pods of one object; none of a kind that has none, or whose controller writes them by itself."""
    if (manifest["apiVersion"].partition("/")[0], manifest["kind"]) == ("batch.volcano.sh", "Job"):
        return tuple(Pods(one["name"], one["replicas"], one["template"]) for one in manifest["spec"]["tasks"])
    read = _KINDS.get(manifest["kind"])
    return tuple(read(manifest["spec"], runtimes or {})) if read else ()


def _workload(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    del runtimes
    yield Pods("main", spec.get("replicas", 1), spec["template"])


def _job(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    del runtimes
    yield Pods("main", spec.get("parallelism", 1), spec["template"])


def _cron_job(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    yield from _job(spec["jobTemplate"]["spec"], runtimes)


def _job_set(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    for each in spec["replicatedJobs"]:
        for pods in _job(each["template"]["spec"], runtimes):
            yield Pods(each["name"], each.get("replicas", 1) * pods.count, pods.template)


def _group(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    del runtimes
    whole = spec["leaderWorkerTemplate"]
    groups, worker = spec.get("replicas", 1), whole["workerTemplate"]
    yield Pods("leader", groups, whole.get("leaderTemplate", worker))
    yield Pods("worker", groups * (whole["size"] - 1), worker)


def _roles(field: str) -> Callable[[Mapping[str, Any], Runtimes], Iterator[Pods]]:
    def read(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
        del runtimes
        for role, each in spec[field].items():
            yield Pods(role.lower(), each.get("replicas", 1), each["template"])

    return read


def _search(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    trial = spec["trialTemplate"]["trialSpec"]
    for pods in pods_of(trial, runtimes):
        yield Pods("trial", spec["parallelTrialCount"] * pods.count, pods.template)


def _workflow(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    """One pod of each template with a container: those of a sample follow one another."""
    del runtimes
    for each in spec["templates"]:
        if "container" in each:
            keys = ("nodeSelector", "tolerations", "securityContext")
            placed = {key: each.get(key, spec.get(key)) for key in keys}
            pod = {**{key: value for key, value in placed.items() if value}, "restartPolicy": "Never"}
            pod["volumes"] = [*spec.get("volumes", ()), *each.get("volumes", ())]
            yield Pods(each["name"], 1, {"spec": {**pod, "containers": [{"name": "main", **each["container"]}]}})


def _cron_workflow(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    yield from _workflow(spec["workflowSpec"], runtimes)


def _ray(cluster: Mapping[str, Any]) -> Iterator[Pods]:
    yield Pods("head", 1, cluster["headGroupSpec"]["template"])
    for each in cluster.get("workerGroupSpecs", ()):
        yield Pods(each["groupName"], each.get("replicas", 0), each["template"])


def _ray_job(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    del runtimes
    yield from _ray(spec["rayClusterSpec"])
    if "submitterPodTemplate" in spec:
        yield Pods("submitter", 1, spec["submitterPodTemplate"])


def _spark(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    del runtimes
    for role, count in (("driver", 1), ("executor", spec["executor"].get("instances", 1))):
        yield Pods(role, count, spec[role]["template"])


def _train_job(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    """The job whose pods train is marked; the trainer's own words are laid on its container `node`."""
    runtime, trainer = runtimes[spec["runtimeRef"]["name"]]["spec"], spec.get("trainer") or {}
    for each in runtime["template"]["spec"]["replicatedJobs"]:
        template = each["template"]["spec"]["template"]
        pod, count = template["spec"], 1
        if each["name"] == "node":
            count = trainer.get("numNodes", runtime["mlPolicy"].get("numNodes", 1))
            words = {key: trainer[key] for key in ("command", "args", "image") if key in trainer}
            asked = {"resources": trainer["resourcesPerNode"]} if "resourcesPerNode" in trainer else {}
            containers = [{**one, **words, **asked} if one["name"] == "node" else one for one in pod["containers"]]
            pod = {**pod, "containers": containers}
        yield Pods(each["name"], count, {**template, "spec": {"restartPolicy": "OnFailure", **pod}})


def _model(spec: Mapping[str, Any], runtimes: Runtimes) -> Iterator[Pods]:
    """By the runtime that is named, or the one that is chosen by the model's format."""
    predictor = spec["predictor"]
    model = predictor["model"]
    runtime = runtimes[model["runtime"]] if "runtime" in model else _chosen(model["modelFormat"], runtimes.values())
    kept = ("nodeSelector", "tolerations", "containers", "volumes")
    pod = {key: runtime["spec"][key] for key in kept if key in runtime["spec"]}
    first = {**pod["containers"][0], **({"resources": model["resources"]} if "resources" in model else {})}
    secured = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    made = {**pod, "containers": [first, *pod["containers"][1:]], "securityContext": secured}
    yield Pods("predictor", predictor.get("minReplicas", 1), {"spec": made})


def _chosen(wanted: Mapping[str, str], runtimes: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of those that take the format by themselves the one of the highest priority."""
    found = [
        (form.get("priority", 0), one)
        for one in runtimes
        for form in one["spec"].get("supportedModelFormats", ())
        if form["autoSelect"] and form["name"] == wanted["name"] and wanted.get("version") in (None, form["version"])
    ]
    return max(found, key=lambda pair: pair[0])[1]


_KINDS: Final[Mapping[str, Callable[[Mapping[str, Any], Runtimes], Iterator[Pods]]]] = {
    "CronJob": _cron_job,
    "CronWorkflow": _cron_workflow,
    "Deployment": _workload,
    "Experiment": _search,
    "InferenceService": _model,
    "JAXJob": _roles("jaxReplicaSpecs"),
    "Job": _job,
    "JobSet": _job_set,
    "LeaderWorkerSet": _group,
    "MPIJob": _roles("mpiReplicaSpecs"),
    "Notebook": _workload,
    "PyTorchJob": _roles("pytorchReplicaSpecs"),
    "RayJob": _ray_job,
    "SparkApplication": _spark,
    "TFJob": _roles("tfReplicaSpecs"),
    "TrainJob": _train_job,
    "Workflow": _workflow,
}
