"""ClusterTrainingRuntimes of a stack's pools: each framework on each kind of device, where its nodes are.

Facts: kubeflow/trainer v2.3.0, API trainer.kubeflow.org/v1alpha1 and charts/kubeflow-trainer/templates/runtimes (shapes
and images). Upstream's name no pool, tolerate no taint and run as root; these go to their pool, ask for all devices of
a node, and are pods that a restricted namespace takes. A TrainJob says its own image, command, nodes and resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from espalier.addons.placement import on_pool
from espalier.blueprint import names
from espalier.catalogue.model import chips
from espalier.types import Manifest, Planned, PoolFacts

API: Final = "trainer.kubeflow.org/v1alpha1"
IMAGES: Final[Mapping[str, str]] = {
    "deepspeed/nvidia": "ghcr.io/kubeflow/trainer/deepspeed-runtime:v2.3.0",
    "jax/nvidia": "nvcr.io/nvidia/jax:25.10-py3",
    "torch/nvidia": "docker.io/pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime",
    "xgboost/nvidia": "ghcr.io/kubeflow/trainer/xgboost-runtime:v2.3.0",
}
"""Images by framework and vendor of devices: those of upstream's own runtimes. For others the stack names them."""
FRAMEWORKS: Final = ("deepspeed", "jax", "torch", "xgboost")


def _pinned(image: str) -> str:
    if image.endswith(":latest"):
        raise ValueError("a tag that stays")
    return image


PinnedImage = Annotated[
    str, Field(pattern=r"^\S+(:[^\s:/]+|@sha256:[0-9a-f]{64})$", max_length=500), AfterValidator(_pinned)
]
_STEP: Final = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
_UNMESHED: Final = {"sidecar.istio.io/inject": "false"}
"""A sidecar would stand between ranks, which find one another by address, and outlive the training."""
_USER: Final = 1000
_HOME: Final = {"HOME": "/tmp", "USER": "trainer"}  # noqa: S108 - in a container of its own
"""For libraries that ask who runs them: no image knows this user."""
_SSH: Final = "/home/mpiuser"
_PORT: Final = 2222


def runtimes(pools: Sequence[PoolFacts], images: Mapping[str, str]) -> tuple[Planned, ...]:
    """One for each pool with devices and each framework that has an image for these, in the order of the pools."""
    return tuple(
        Planned(f"runtime-{made['metadata']['name']}", made) for pool in pools for made in _of_pool(pool, images)
    )


def _of_pool(pool: PoolFacts, images: Mapping[str, str]) -> Iterator[Manifest]:
    if not pool.shape.devices:
        return
    for framework in FRAMEWORKS:
        if image := images.get(f"{framework}/{pool.vendor}"):
            labels = {
                "app.kubernetes.io/managed-by": "espalier",
                names.POOL: pool.name,
                "trainer.kubeflow.org/framework": framework,
            }
            metadata = {"name": f"{framework}-{pool.name}", "labels": labels}
            spec = _by_mpi(pool, image) if framework == "deepspeed" else _plain(framework, pool, image)
            yield {"apiVersion": API, "kind": "ClusterTrainingRuntime", "metadata": metadata, "spec": spec}


def _plain(framework: str, pool: PoolFacts, image: str) -> dict[str, Any]:
    """Nodes that find one another by what Trainer tells them."""
    return {
        "mlPolicy": {"numNodes": hosts(pool), framework: {}},
        "template": {"spec": {"replicatedJobs": [_job("node", pool, image, labels=_STEP)]}},
    }


def _by_mpi(pool: PoolFacts, image: str) -> dict[str, Any]:
    """A launcher, which trains as well, reaches the others by SSH once they answer."""
    ssh = {"command": ["/usr/sbin/sshd"], "args": ["-De", "-f", f"{_SSH}/.sshd_config"]}
    probe = {"readinessProbe": {"tcpSocket": {"port": _PORT}, "initialDelaySeconds": 5}}
    launcher = _job("launcher", pool, image, labels=_STEP)
    mpi = {"mpiImplementation": "OpenMPI", "sshAuthMountPath": f"{_SSH}/.ssh", "runLauncherAsNode": True}
    return {
        "mlPolicy": {"numNodes": 1, "mpi": {**mpi, "numProcPerNode": sum(_devices(pool).values())}},
        "template": {
            "spec": {
                "network": {"publishNotReadyAddresses": True},
                "successPolicy": {"operator": "All", "targetReplicatedJobs": ["launcher"]},
                "replicatedJobs": [
                    _job("node", pool, image, container={**ssh, **probe}),
                    {**launcher, "dependsOn": [{"name": "node", "status": "Ready"}]},
                ],
            }
        },
    }


def _job(
    name: str,
    pool: PoolFacts,
    image: str,
    *,
    labels: Mapping[str, str] | None = None,
    container: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    pod = {"metadata": {"labels": dict(_UNMESHED)}, "spec": _pod(pool, image, container or {})}
    template: dict[str, Any] = {"spec": {"template": pod}}
    if labels:
        template["metadata"] = {"labels": dict(labels)}
    return {"name": name, "template": template}


def _pod(pool: PoolFacts, image: str, container: Mapping[str, Any]) -> dict[str, Any]:
    """The container is called `node`, as Trainer wants it. Shared memory is a volume: 64 MiB is too little for NCCL."""
    return {
        **on_pool(pool),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "node",
                "image": image,
                "env": [{"name": key, "value": value} for key, value in _HOME.items()],
                "resources": {"limits": {device: str(count) for device, count in _devices(pool).items()}},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "shared-memory", "mountPath": "/dev/shm"}],  # noqa: S108
                **container,
            }
        ],
        "volumes": [{"name": "shared-memory", "emptyDir": {"medium": "Memory"}}],
    }


def _devices(pool: PoolFacts) -> dict[str, int]:
    """All devices of a node; of those that are shared or cut, one: whoever trains on more says so."""
    devices = dict(sorted(pool.shape.devices.items()))
    if not pool.sharing:
        return devices
    return {next(iter(devices)): 1}


def hosts(pool: PoolFacts) -> int:
    """Nodes of a TPU slice, which is of use only as a whole; 1 for other devices."""
    topology = pool.shape.labels.get(names.TPU_TOPOLOGY)
    if topology is None:
        return 1
    return max(1, chips(topology) // sum(pool.shape.devices.values()))
