"""ClusterServingRuntimes of a stack's pools: each server on processors alone, and on each pool's devices.

Facts: kserve/kserve v0.20.0, charts/kserve-runtime-configs (commands, ports, formats), API serving.kserve.io/v1alpha1.
Upstream's images are old (TensorFlow Serving 2.6.2, Triton 23.05) or float (vLLM); these are of
triton-inference-server 2.71.0, tensorflow/serving 2.20.0, MLServer 1.7.1 and vLLM 0.28.0. Of one format at most one
runtime is chosen by itself (KServe refuses two of one priority): that on processors. One on a pool is named by
whoever wants its devices: `runtime: vllm-h100`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from espalier.addons.placement import on_pool
from espalier.blueprint import names
from espalier.types import Manifest, Planned, PoolFacts

API: Final = "serving.kserve.io/v1alpha1"
IMAGES: Final[Mapping[str, str]] = {
    "mlserver/cpu": "docker.io/seldonio/mlserver:1.7.1",
    "tensorflow/cpu": "docker.io/tensorflow/serving:2.20.0",
    "tensorflow/nvidia": "docker.io/tensorflow/serving:2.20.0-gpu",
    "triton/cpu": "nvcr.io/nvidia/tritonserver:26.07-py3",
    "triton/nvidia": "nvcr.io/nvidia/tritonserver:26.07-py3",
    "vllm/nvidia": "docker.io/vllm/vllm-openai:v0.28.0",
}
"""Images by server and vendor of devices, or `cpu`. For others the stack names them."""
AMD64_ALONE: Final = frozenset({"tensorflow"})
"""Servers whose images are built for amd64 alone: on an arm64 pool there is no runtime of theirs."""
_USER: Final = 1000
_MODELS: Final = "/mnt/models"


@dataclass(frozen=True, slots=True)
class Server:
    """How a server is started, which protocols it speaks, and formats with their versions."""

    container: Mapping[str, Any]
    protocols: tuple[str, ...]
    formats: tuple[tuple[str, tuple[str, ...]], ...]
    priority: int = 1
    metrics: int = 8080


SERVERS: Final[Mapping[str, Server]] = {
    "mlserver": Server(
        {
            "env": [
                {"name": "MLSERVER_MODEL_IMPLEMENTATION", "value": "{{.Labels.modelClass}}"},
                {"name": "MLSERVER_HTTP_PORT", "value": "8080"},
                {"name": "MLSERVER_GRPC_PORT", "value": "9000"},
                {"name": "MODELS_DIR", "value": _MODELS},
            ]
        },
        ("v2",),
        (("lightgbm", ("3", "4")), ("mlflow", ("1", "2")), ("sklearn", ("0", "1")), ("xgboost", ("1", "2"))),
    ),
    "tensorflow": Server(
        {
            "command": ["/usr/bin/tensorflow_model_server"],
            "args": [
                "--model_name={{.Name}}",
                "--port=9000",
                "--rest_api_port=8080",
                f"--model_base_path={_MODELS}",
                "--rest_api_timeout_in_ms=60000",
            ],
        },
        ("v1", "grpc-v1"),
        (("tensorflow", ("1", "2")),),
        priority=2,
    ),
    "triton": Server(
        {
            "args": [
                "tritonserver",
                f"--model-store={_MODELS}",
                "--grpc-port=9000",
                "--http-port=8080",
                "--allow-grpc=true",
                "--allow-http=true",
            ]
        },
        ("v2", "grpc-v2"),
        (("onnx", ("1",)), ("tensorflow", ("1", "2")), ("tensorrt", ("8", "10")), ("triton", ("2",))),
        metrics=8002,
    ),
    "vllm": Server(
        {
            "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"],
            "args": ["--port=8080", f"--model={_MODELS}", "--served-model-name={{.Name}}"],
            "env": [{"name": key, "value": "/tmp"} for key in ("HF_HOME", "VLLM_CONFIG_ROOT")],  # noqa: S108
            "startupProbe": {
                "httpGet": {"path": "/v1/models", "port": 8080},
                "failureThreshold": 60,
                "periodSeconds": 30,
            },
        },
        ("v1",),
        (("vLLM", ("1",)),),
    ),
}


def runtimes(pools: Sequence[PoolFacts], images: Mapping[str, str]) -> tuple[Planned, ...]:
    """One of each server that needs no device, then one for each pool with devices and server with an image for it."""
    made = [_runtime(name, images[f"{name}/cpu"], None) for name in SERVERS if f"{name}/cpu" in images]
    for pool in pools:
        if pool.shape.devices:
            found = {name: images.get(f"{name}/{pool.vendor}") for name in SERVERS if _is_built_for(name, pool)}
            made += [_runtime(name, image, pool) for name, image in found.items() if image]
    return tuple(Planned(f"runtime-{one['metadata']['name']}", one) for one in made)


def _is_built_for(name: str, pool: PoolFacts) -> bool:
    return name not in AMD64_ALONE or pool.shape.labels.get("kubernetes.io/arch", "amd64") == "amd64"


def _runtime(name: str, image: str, pool: PoolFacts | None) -> Manifest:
    server = SERVERS[name]
    labels = {"app.kubernetes.io/managed-by": "espalier", **({names.POOL: pool.name} if pool else {})}
    formats = [
        {
            "name": form,
            "version": version,
            "autoSelect": pool is None,
            **({"priority": server.priority} if pool is None else {}),
        }
        for form, versions in server.formats
        for version in versions
    ]
    return {
        "apiVersion": API,
        "kind": "ClusterServingRuntime",
        "metadata": {"name": f"{name}-{pool.name}" if pool else name, "labels": labels},
        "spec": {
            "annotations": {"prometheus.kserve.io/path": "/metrics", "prometheus.kserve.io/port": str(server.metrics)},
            "supportedModelFormats": formats,
            "protocolVersions": list(server.protocols),
            **(on_pool(pool) if pool else {}),
            "containers": [_container(server, image, pool)],
            "volumes": [{"name": "shared-memory", "emptyDir": {"medium": "Memory"}}],
        },
    }


def _container(server: Server, image: str, pool: PoolFacts | None) -> dict[str, Any]:
    """As a restricted namespace takes it. One device: an InferenceService that wants more of a node says so."""
    resources: dict[str, Any] = {"requests": {"cpu": "1", "memory": "2Gi"}}
    if pool:
        resources["limits"] = {sorted(pool.shape.devices)[0]: "1"}
    return {
        "name": "kserve-container",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        **server.container,
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "shared-memory", "mountPath": "/dev/shm"}],  # noqa: S108
    }
