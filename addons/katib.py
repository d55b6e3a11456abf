"""Katib: Experiments, which try settings of a training and keep the best.

Facts: kubeflow/katib v0.19.0, manifests/v1beta1/installs/katib-with-kubeflow (definitions, certificates, page),
katib-leader-election and katib-external-db; pkg/apis/config/v1beta1/types.go; pkg/controller.v1beta1/consts: a
suggestion serves at 6789, what stops early at 6788, in the tenant's namespace; collectors report to the database
manager and ask the API server. Kinds of jobs that trials may be are those that the stack has; templates of trials go
to the pools. Upstream's password is `test`, and root may have none: the Secret `katib-mysql-secrets` is the owner's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.edits import placed, stamped
from espalier.addons.kubeflow_base import NAMESPACE
from espalier.addons.placement import on_pool
from espalier.addons.saved import mysql
from espalier.addons.training_runtimes import IMAGES
from espalier.addons.walls import budget, from_tenants, wall
from espalier.content import Content, ContentFacts, ImagePath, KustomizeSource
from espalier.types import AddonInputs, AddonRecord, Peer, Planned, PoolFacts, Traffic

NAME: Final = "katib"
VERSION: Final = "v0.19.0"
CONTROLLER: Final = {"katib.kubeflow.org/component": "controller"}
MANAGER: Final = {"katib.kubeflow.org/component": "db-manager"}
SECRET: Final = "katib-mysql-secrets"  # noqa: S105 - a Secret's name
TRIAL: Final = f"ghcr.io/kubeflow/katib/pytorch-mnist-cpu:{VERSION}"
_CONFIG: Final = "katib-config.yaml"
_DEFAULT: Final = "defaultTrialTemplate.yaml"
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "kubeflow-trainer": ("TrainJob.v1alpha1.trainer.kubeflow.org",),
    "training-operator-v1": ("PyTorchJob.v1.kubeflow.org", "TFJob.v1.kubeflow.org", "XGBoostJob.v1.kubeflow.org"),
}
"""Add-on -> kinds of jobs that it defines and Katib has rights for."""
_OF_MYSQL: Final = "katib-mysql"
_PAGE: Final = "katib-ui"
_IMAGES: Final = (
    "earlystopping-medianstop",
    "file-metrics-collector",
    "katib-controller",
    "katib-db-manager",
    "katib-ui",
    *(f"suggestion-{name}" for name in ("darts", "enas", "goptuna", "hyperband", "hyperopt", "optuna", "pbt", "skopt")),
    "tfevent-metrics-collector",
)
_SECURITY: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_IN_YAML: Final = r"image:\s*['\"]?([^\s'\"]+)"


class Database(BaseModel):
    """A MySQL that is there; user and password are in the Secret, as DB_USER and DB_PASSWORD."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", max_length=253)] = Field(
        description="its name or address"
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(default=3306, description="its port")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$", max_length=64)] = Field(
        default="katib", description="the database in it"
    )


class Options(BaseModel):
    """Where observations are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    database: Database | None = Field(default=None, description="a MySQL in place of one in the cluster")


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """Trials of tenants report, API servers ask the webhooks, and of two controllers one leads."""
    options: Options = inputs.options
    about = {"name": "katib-leader", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "espalier"}}
    group = "rbac.authorization.k8s.io"
    verbs = ["create", "get", "list", "patch", "update", "watch"]
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "Role",
        "metadata": about,
        "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}],
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": about,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": about["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": "katib-controller", "namespace": NAMESPACE}],
    }
    return (
        *_walls(options),
        from_tenants(NAMESPACE, "katib-reports", MANAGER, (6789,)),
        budget("katib-controller", NAMESPACE, CONTROLLER),
        Planned("leader-role", role),
        Planned("leader-role-binding", binding, needs=("leader-role",)),
    )


def _walls(options: Options) -> Iterator[Planned]:
    """The controller asks suggestions in tenants' namespaces; the manager a database elsewhere."""
    made = wall(NAMESPACE, (8443,), pods=CONTROLLER, out=(6788, 6789), name="katib-controller")
    yield made
    if options.database:
        yield Planned(
            "network-policy-database",
            wall(NAMESPACE, (6789,), pods=MANAGER, out=(options.database.port,), name="katib-database").manifest,
        )


def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Two of each but the database; the kinds and templates of this stack; the page where there is a mesh."""
    options: Options = inputs.options
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if kind in ("Namespace", "Secret"):
        return None
    if (name == _PAGE or kind in ("VirtualService", "AuthorizationPolicy")) and "istio-gateway" not in inputs.beside:
        return None
    if name == _OF_MYSQL and options.database:
        return None
    if kind == "ConfigMap" and _CONFIG in manifest["data"]:
        return {**manifest, "data": {**manifest["data"], _CONFIG: _configuration(manifest["data"][_CONFIG], inputs)}}
    if kind == "ConfigMap" and name == "trial-templates":
        return {**manifest, "data": dict(templates(inputs.pools))}
    return _workload(name, manifest, inputs) if kind == "Deployment" else manifest


def _workload(name: str, manifest: Mapping[str, Any], inputs: AddonInputs) -> dict[str, Any]:
    options: Options = inputs.options
    changed = placed(manifest, replicas=1 if name == _OF_MYSQL else 2)
    (container, *_) = changed["spec"]["template"]["spec"]["containers"]
    env: list[dict[str, Any]] = [one for one in container.get("env", ()) if one["name"] != "MYSQL_ALLOW_EMPTY_PASSWORD"]
    if name == "katib-db-manager" and options.database:
        there = options.database
        told = {"HOST": there.host, "PORT": str(there.port), "DATABASE": there.name}
        env = [{"name": "DB_NAME", "value": "mysql"}]
        env += [{"name": f"KATIB_MYSQL_DB_{key}", "value": value} for key, value in told.items()]
        env += [
            {"name": key, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": key}}}
            for key in ("DB_USER", "DB_PASSWORD")
        ]
    if env:
        container["env"] = env
    return stamped(changed, str(_kinds(inputs))) if name == "katib-controller" else changed


def _configuration(text: str, inputs: AddonInputs) -> str:
    told = yaml.safe_load(text)
    told["init"]["controller"] |= {"enableLeaderElection": True, "trialResources": _kinds(inputs)}
    return yaml.safe_dump(told, sort_keys=True)


def _kinds(inputs: AddonInputs) -> list[str]:
    theirs = [kind for id, kinds in sorted(_KINDS.items()) if id in inputs.beside for kind in kinds]
    return ["Job.v1.batch", *theirs]


def templates(pools: Sequence[PoolFacts]) -> Iterator[tuple[str, str]]:
    """What the page offers for a trial: on processors, and on each pool with devices that there is an image for."""
    command = ["--epochs=1", "--batch-size=16", "--lr=${trialParameters.learningRate}"]
    yield _DEFAULT, _job(TRIAL, ["python3", "/opt/pytorch-mnist/mnist.py", *command], None)
    for pool in pools:
        image = IMAGES.get(f"torch/{pool.vendor}")
        if pool.shape.devices and image:
            yield f"{pool.name}.yaml", _job(image, ["python3", "train.py", command[-1]], pool)


def _job(image: str, command: Sequence[str], pool: PoolFacts | None) -> str:
    container: dict[str, Any] = {
        "name": "training-container",
        "image": image,
        "command": list(command),
        "securityContext": dict(_SECURITY),
    }
    if pool:
        container["resources"] = {"limits": {sorted(pool.shape.devices)[0]: "1"}}
    pod = {**(on_pool(pool) if pool else {}), "containers": [container], "restartPolicy": "Never"}
    labels = {"sidecar.istio.io/inject": "false"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return yaml.safe_dump({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template}}, sort_keys=True)


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="tuning",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kubeflow/katib",
    options=Options,
    objects=objects,
    content=Content(
        source=KustomizeSource(
            f"https://github.com/kubeflow/katib/archive/refs/tags/{VERSION}.tar.gz",
            VERSION,
            f"katib-{VERSION.removeprefix('v')}/manifests/v1beta1/installs/katib-with-kubeflow",
        ),
        namespace=NAMESPACE,
        create_namespace=False,
        edit=edit,
        images=(
            ImagePath("ConfigMap", f'data["{_CONFIG}"]', "katib-config", _IN_YAML),
            ImagePath("ConfigMap", "data[*]", "trial-templates", _IN_YAML),
        ),
        facts=ContentFacts(
            crds=("experiments.kubeflow.org", "suggestions.kubeflow.org", "trials.kubeflow.org"),
            images=(*(f"ghcr.io/kubeflow/katib/{image}:{VERSION}" for image in _IMAGES), TRIAL, "mysql:8.0.29"),
        ),
    ),
    needs=frozenset({"cert-manager", "kubeflow-base"}),
    after=frozenset({"istio-base", "istio-gateway", "kubeflow-trainer", "training-operator-v1"}),
    provides=frozenset({"webhook/katib.kubeflow.org"}),
    data=(
        mysql(
            "observations of trials",
            NAMESPACE,
            _OF_MYSQL,
            _OF_MYSQL,
            _OF_MYSQL,
            ["katib"],
            restarts=("katib-db-manager",),
            given="database",
        ),
    ),
    work=(("kubeflow.org", ("experiments",)),),
    seen=(("kubeflow.org", ("suggestions", "trials")),),
    marks={"katib.kubeflow.org/metrics-collector-injection": "enabled"},
    traffic=Traffic(
        callers=(Peer(NAMESPACE, CONTROLLER, (6788, 6789)),),
        servers=(Peer(NAMESPACE, MANAGER, (6789,)), Peer(ports=(443, 6443))),
    ),
)
