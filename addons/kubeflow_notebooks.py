"""Kubeflow Notebooks v1: notebooks, TensorBoards and views of volumes, each with its page.

Facts: kubeflow/notebooks v1.11.0, components/ (config and manifests of each), components/notebook-controller/main.go
(flag of leading) and controllers/culling_controller.go: it asks each server at /api/kernels, hence the way into
tenants' namespaces. TensorBoard's image is upstream's of 2021 in a newer version. Pages trust the header
kubeflow-userid, so that Istio's gateway alone reaches them; they ask the API server whether this person may, by the
tenants' own roles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.edits import placed, stamped
from espalier.addons.istio import GATEWAY_PODS
from espalier.addons.istio import NAMESPACE as MESH
from espalier.addons.kubeflow_base import MARKS, NAMESPACE
from espalier.addons.notebook_spawner import CODE, JUPYTER, RSTUDIO, VERSION, configuration
from espalier.addons.training_runtimes import PinnedImage
from espalier.addons.walls import to_tenants, wall
from espalier.content import Content, ContentFacts, ImagePath, KustomizeSource
from espalier.types import AddonInputs, AddonRecord, Peer, Planned, Traffic

NAME: Final = "kubeflow-notebooks"
TENSORBOARD: Final = "docker.io/tensorflow/tensorflow:2.20.0"
VIEWER: Final = "filebrowser/filebrowser:v2.32.0"
CONTROLLER: Final = {"app": "notebook-controller"}
VIEWERS: Final = {"app": "pvcviewer", "control-plane": "controller-manager"}
_ROOT: Final = f"notebooks-{VERSION.removeprefix('v')}/components"
_FOLDERS: Final = (
    "notebook-controller/config/overlays/kubeflow",
    "crud-web-apps/jupyter/manifests/overlays/istio",
    "crud-web-apps/tensorboards/manifests/overlays/istio",
    "crud-web-apps/volumes/manifests/overlays/istio",
    "tensorboard-controller/config/overlays/kubeflow",
    "pvcviewer-controller/config/base",
)
_IMAGES: Final = (
    "jupyter-web-app",
    "notebook-controller",
    "pvcviewer-controller",
    "tensorboard-controller",
    "tensorboards-web-app",
    "volumes-web-app",
)
_LEADING: Final = {
    "notebook-controller-deployment": "--enable-leader-election",
    "tensorboard-controller-deployment": "--leader-elect",
}
_SPAWNER: Final = "spawner_ui_config.yaml"
_WHOLE: Final = r"(?:- |value: )([\w-]+(?:\.[\w-]+)+(?::\d+)?/[^\s'\"]+:[\w.-]+)"
"""An image in the page's configuration: with its registry, as all of these are."""


class Options(BaseModel):
    """Images of notebooks, and how long one may be idle."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    images: Annotated[list[PinnedImage], Field(max_length=50)] = Field(
        default=[], description="further images of notebooks, with their registry and a pinned tag"
    )
    cull_after: Annotated[int, Field(ge=0, le=43200)] = Field(
        default=1440, description="minutes without work after which a Jupyter server is stopped; 0: never"
    )
    gateway: bool = Field(
        default=False,
        description="whether Istio's gateway reaches tenants' notebooks: only where each tenant's namespace has an "
        "AuthorizationPolicy, as a Profile makes it, since else everybody who passes the gateway is let in",
    )
    spot: bool = Field(default=False, description="whether notebooks may be on nodes that may be taken back")
    volume: Annotated[str, Field(pattern=r"^[1-9][0-9]*(Gi|Ti)$")] = Field(
        default="10Gi", description="size of a new notebook's volume"
    )


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The webhook of volumes' views is reached by API servers, whose addresses nobody knows; culling asks servers."""
    del inputs
    return (
        wall(NAMESPACE, (9443,), pods=VIEWERS, name="pvcviewer"),
        to_tenants(NAMESPACE, "notebooks-culling", CONTROLLER, (8888,)),
    )


def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Two of each, of which one leads; the page and the culling as this stack says."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if kind == "Deployment":
        made = placed(manifest)
        if argument := _LEADING.get(name):
            (manager, *_) = made["spec"]["template"]["spec"]["containers"]
            manager["args"] = [*manager.get("args", ()), argument]
        read = {"jupyter-web-app-deployment": _spawner(inputs), "notebook-controller-deployment": _culling(inputs)}
        return stamped(made, str(read[name])) if name in read else made
    if kind == "ConfigMap":
        data = manifest["data"]
        if _SPAWNER in data:
            return {**manifest, "data": {**data, _SPAWNER: _spawner(inputs)}}
        if "ENABLE_CULLING" in data:
            return {**manifest, "data": {**data, **_culling(inputs)}}
        if "TENSORBOARD_IMAGE" in data:
            return {**manifest, "data": {**data, "TENSORBOARD_IMAGE": TENSORBOARD}}
    return manifest


def _spawner(inputs: AddonInputs) -> str:
    options: Options = inputs.options
    return configuration(inputs.pools, options.images, spot=options.spot, size=options.volume)


def _culling(inputs: AddonInputs) -> dict[str, str]:
    options: Options = inputs.options
    if not options.cull_after:
        return {"ENABLE_CULLING": "false"}
    return {"ENABLE_CULLING": "true", "CULL_IDLE_TIME": str(options.cull_after), "IDLENESS_CHECK_PERIOD": "1"}


def traffic(options: Options) -> Traffic:
    """Culling asks Jupyter servers; pages lead to servers, boards and viewers where the stack says so."""
    gateway = (Peer(MESH, GATEWAY_PODS, (6006, 8080, 8888)),) if options.gateway else ()
    return Traffic(callers=(Peer(NAMESPACE, CONTROLLER, (8888,)), *gateway))


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="notebooks",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kubeflow/notebooks",
    options=Options,
    objects=objects,
    content=Content(
        source=KustomizeSource(
            f"https://github.com/kubeflow/notebooks/archive/refs/tags/{VERSION}.tar.gz",
            VERSION,
            f"{_ROOT}/{_FOLDERS[0]}",
            further=tuple(f"{_ROOT}/{folder}" for folder in _FOLDERS[1:]),
        ),
        namespace=NAMESPACE,
        create_namespace=False,
        edit=edit,
        images=(
            ImagePath("ConfigMap", f'data["{_SPAWNER}"]', "jupyter-web-app-config-*", _WHOLE),
            ImagePath("ConfigMap", "data.TENSORBOARD_IMAGE", "tensorboard-controller-config-*"),
            ImagePath(
                "Deployment",
                "spec.template.spec.containers[*].env[*].value",
                "volumes-web-app-deployment",
                r"^(\S+/\S+:\S+)$",
            ),
        ),
        facts=ContentFacts(
            crds=("notebooks.kubeflow.org", "pvcviewers.kubeflow.org", "tensorboards.tensorboard.kubeflow.org"),
            images=tuple(
                sorted(
                    (
                        *JUPYTER,
                        CODE,
                        RSTUDIO,
                        TENSORBOARD,
                        VIEWER,
                        *(f"ghcr.io/kubeflow/notebooks/{image}:{VERSION}" for image in _IMAGES),
                        "quay.io/brancz/kube-rbac-proxy:v0.13.1",
                        "quay.io/brancz/kube-rbac-proxy:v0.8.0",
                    )
                )
            ),
        ),
    ),
    needs=frozenset({"cert-manager", "istio-gateway", "istiod", "kubeflow-base"}),
    work=(
        ("kubeflow.org", ("notebooks", "pvcviewers")),
        ("tensorboard.kubeflow.org", ("tensorboards",)),
    ),
    marks=MARKS,
    traffic_by=traffic,
)
