"""vLLM's production stack: language models on pools' devices, behind one router that speaks OpenAI's protocol.

Facts: vllm-project/production-stack, chart vllm-stack 0.1.12 (values.yaml, templates); no facts of it are in upstream/,
so that its keys are held to nothing here. Its images float by default: that of vLLM is here the one of KServe's
runtimes, that of the router the stack names. Its Prometheus, its adapter, its definitions of LoRA adapters and their
controller are left out. Models are loaded from Hugging Face by default, at port 443 of any address.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import apart, on_pool, staying_affinity, system_tolerations
from espalier.addons.serving_runtimes import IMAGES
from espalier.addons.training_runtimes import PinnedImage
from espalier.addons.walls import wall
from espalier.blueprint import names
from espalier.content import ChartSource, Content
from espalier.types import AddonInputs, AddonRecord, Mistake, Peer, Planned, PoolFacts, Traffic

NAME: Final = "vllm-stack"
VERSION: Final = "0.1.12"
NAMESPACE: Final = "vllm"
PORT: Final = 8000
_USER: Final = 1000
_WORD: Final = r"^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$"


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )


class Model(_Strict):
    """A model and where it runs."""

    name: Annotated[str, Field(pattern=_WORD)] = Field(description="a word for it")
    model: Annotated[str, Field(min_length=1, max_length=300)] = Field(description="Hugging Face's name, or a path")
    pool: str = Field(description="the pool whose devices it takes")
    devices: Annotated[int, Field(ge=1, le=64)] = Field(default=1, description="of a node, for each replica")
    replicas: Annotated[int, Field(ge=1, le=100)] = Field(default=1, description="how many")
    storage: str = Field(default="100Gi", pattern=r"^[1-9][0-9]*[GT]i$", description="the claim that keeps its files")
    args: Annotated[list[str], Field(max_length=50)] = Field(default=[], description="further arguments of vLLM")


class Secret(_Strict):
    """A key of a Secret of namespace vllm."""

    name: str = Field(min_length=1, max_length=253, description="the Secret")
    key: str = Field(min_length=1, max_length=253, description="its key")


class Options(_Strict):
    """Models, and the router's image."""

    models: Annotated[list[Model], Field(min_length=1, max_length=50)] = Field(description="what is served")
    router_image: PinnedImage = Field(description="lmcache/lmstack-router with a tag that stays, or a digest")
    image: PinnedImage = Field(default=IMAGES["vllm/nvidia"], description="vLLM's")
    token: Secret | None = Field(default=None, description="Hugging Face's, for models that ask for one")


def objects() -> Sequence[Planned]:
    """The wall: routers ask servers, both API servers and the hub of models."""
    return (wall(NAMESPACE, (PORT,), out=(PORT,)),)


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Each model on its pool; two routers."""
    options: Options = inputs.options
    pools = {pool.name: pool for pool in inputs.pools}
    repository, _, tag = options.router_image.rpartition(":")
    token = {"secretName": options.token.name, "secretKey": options.token.key} if options.token else None
    return {
        "servingEngineSpec": {
            "runtimeClassName": "",
            "imagePullPolicy": "IfNotPresent",
            "modelSpec": [_model(one, pools[one.pool], options, token) for one in options.models if one.pool in pools],
        },
        "routerSpec": {
            "repository": repository,
            "tag": tag,
            "imagePullPolicy": "IfNotPresent",
            "replicaCount": 2,
        },
        "kube-prometheus-stack": {"enabled": False},
        "prometheus-adapter": {"enabled": False},
    }


def _model(one: Model, pool: PoolFacts, options: Options, token: Mapping[str, str] | None) -> dict[str, Any]:
    repository, _, tag = options.image.rpartition(":")
    terms = [{"matchExpressions": [{"key": names.POOL, "operator": "In", "values": [pool.name]}]}]
    return {
        "name": one.name,
        "repository": repository,
        "tag": tag,
        "modelURL": one.model,
        "replicaCount": one.replicas,
        "requestCPU": 2,
        "requestMemory": "16Gi",
        "requestGPU": one.devices,
        "requestGPUType": sorted(pool.shape.devices)[0] if pool.shape.devices else "",
        "pvcStorage": one.storage,
        "shmSize": "8Gi",
        "nodeSelectorTerms": terms,
        "tolerations": on_pool(pool)["tolerations"],
        "vllmConfig": {"tensorParallelSize": one.devices, "extraArgs": list(one.args)},
        **({"hf_token": dict(token)} if token else {}),
    }


def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Pods that a restricted namespace takes; routers apart on nodes that stay."""
    del inputs
    if manifest["kind"] != "Deployment":
        return manifest
    changed = copy.deepcopy(dict(manifest))
    pod = changed["spec"]["template"]["spec"]
    seccomp = {"type": "RuntimeDefault"}
    pod["securityContext"] = {"runAsNonRoot": True, "runAsUser": _USER, "fsGroup": _USER, "seccompProfile": seccomp}
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        env = [one for one in container.get("env") or () if one["name"] != "HOME"]
        container["env"] = [*env, {"name": "HOME", "value": "/tmp"}]  # noqa: S108 - in a container of its own
    if changed["metadata"]["name"].endswith("router"):
        pod["affinity"], pod["tolerations"] = staying_affinity(), system_tolerations()
        pod["topologySpreadConstraints"] = apart(changed["spec"]["selector"]["matchLabels"])
    return changed


def judges(inputs: AddonInputs) -> Iterator[Mistake]:
    """Pools that are not, have no devices, or fewer on a node than a model asks for."""
    options: Options = inputs.options
    known = {pool.name: sum(pool.shape.devices.values()) for pool in inputs.pools if pool.shape.devices}
    for at, one in enumerate(options.models):
        path = f"espalier:addons.{NAME}.models[{at}]"
        if one.pool not in known:
            accepted = ", ".join(sorted(known)) or "a pool with devices, of which there is none"
            yield Mistake(f"{path}.pool", one.pool, accepted, "Name a pool with devices.")
        elif one.devices > known[one.pool]:
            accepted = f"at most {known[one.pool]}, which a node of pool {one.pool} has"
            yield Mistake(f"{path}.devices", str(one.devices), accepted, "Ask for fewer, or name another pool.")


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="serving",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/vllm-project/production-stack",
    options=Options,
    objects=lambda _: objects(),
    content=Content(
        source=ChartSource(NAME, VERSION, "https://vllm-project.github.io/production-stack"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        release="vllm",
        crds="skip",
        values=values,
        edit=edit,
    ),
    judges=judges,
    traffic=Traffic(servers=(Peer(NAMESPACE, {}, (PORT,)),)),
)
