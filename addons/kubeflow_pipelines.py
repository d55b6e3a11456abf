"""Kubeflow Pipelines: runs of many steps, each a Workflow of Argo's in its tenant's namespace.

Facts: kubeflow/pipelines 2.17.0, manifests/kustomize: base/installs/multi-user and third-party, folder by folder. The
whole, env/cert-manager/platform-agnostic-multi-user, loads Argo from the network while it is rendered; Argo is an
add-on of its own here, of a version that upstream tests with (3.7, 4.0). What the whole patches is changed here: the
placeholder of the namespace, the cache's certificate, no deployer of certificates.

Passwords that everybody knows (minio123, root without one) are left out: the Secrets `mysql-secret` (username,
password) and `mlpipeline-minio-artifact` (accesskey, secretkey) are the owner's to make. ML Metadata speaks to MySQL
by mysql_native_password, which MySQL 9 has not, and its image is built for amd64 alone
(https://github.com/kubeflow/pipelines/issues/12705). Pages run no code of whoever looks at them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.edits import placed
from espalier.addons.kubeflow_base import MARKS, NAMESPACE
from espalier.addons.saved import mysql
from espalier.addons.walls import from_tenants, to_tenants, wall
from espalier.content import Content, ContentFacts, ImagePath, KustomizeSource
from espalier.types import AddonInputs, AddonRecord, ByHand, Data, Mistake, Peer, Planned, Traffic, Window

NAME: Final = "kubeflow-pipelines"
VERSION: Final = "2.17.0"
CACHED: Final = "docker.io/library/busybox:1.37.0"
"""What stands for a step whose result is known already; upstream's has no tag."""
WHOLE: Final = {"docker.io/alpine:3.23": "docker.io/alpine:3.23.0", "mysql:8.4": "docker.io/library/mysql:8.4.7"}
"""Upstream's tags that move, and the releases that stand in for them."""
API: Final = {"app": "ml-pipeline"}
METADATA: Final = {"component": "metadata-grpc-server"}
STORE: Final = {"app": "seaweedfs"}
PAGE: Final = {"app": "ml-pipeline-ui"}
_ROOT: Final = f"pipelines-{VERSION}/manifests/kustomize"
_FOLDERS: Final = (
    "base/installs/multi-user",
    "base/metadata/base",
    "base/metadata/options/istio",
    "env/cert-manager/base",
    "third-party/metacontroller/base",
    "third-party/mysql/base",
    "third-party/mysql/options/istio",
    "third-party/seaweedfs/istio",
)
_IMAGES: Final = (
    "api-server",
    "cache-server",
    "driver",
    "frontend",
    "launcher",
    "metadata-envoy",
    "metadata-writer",
    "persistence-agent",
    "scheduled-workflow-controller",
    "viewer-crd-controller",
    "visualization-server",
)
_TWICE: Final = frozenset({"cache-server", "metadata-envoy-deployment", "metadata-grpc-deployment", "ml-pipeline"}) | {
    "ml-pipeline-ui"
}
"""Without a state or a leader of their own. The others work on what they find, and would do it twice."""
_OF_MYSQL: Final = frozenset({"ml-pipeline-mysql", "mysql", "mysql-pv-claim"})
_TLS: Final = ("--tls_cert_filename=tls.crt", "--tls_key_filename=tls.key")
_MATRIX: Final = "https://github.com/kubeflow/pipelines/blob/2.17.0/README.md"
_NATIVE: Final = (
    "https://github.com/kubeflow/pipelines/blob/2.17.0/manifests/kustomize/third-party/mysql/base/mysql-deployment.yaml"
)
_GROUP: Final = "pipelines.kubeflow.org"


class Database(BaseModel):
    """A MySQL that is there."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", max_length=253)] = Field(
        description="its name or address"
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(default=3306, description="its port")
    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$")] = Field(
        description="its version, as a quoted string"
    )


class Options(BaseModel):
    """Where runs and their metadata are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    database: Database | None = Field(default=None, description="a MySQL 8 in place of one in the cluster")


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """Steps of tenants reach the API, the metadata and the store; API servers the cache; who needs a database it.

    The page shows TensorBoards of tenants.
    """
    options: Options = inputs.options
    made = [
        from_tenants(NAMESPACE, "pipelines-api", API, (8887, 8888)),
        from_tenants(NAMESPACE, "pipelines-metadata", METADATA, (8080,)),
        from_tenants(NAMESPACE, "pipelines-store", STORE, (8333,)),
        to_tenants(NAMESPACE, "pipelines-boards", PAGE, (6006,)),
        wall(NAMESPACE, (8443,), pods={"app": "cache-server"}, name="pipelines-cache"),
    ]
    return (*made, *([_to_database(options.database.port)] if options.database else ()))


def _to_database(port: int) -> Planned:
    """All parts of the namespace, at this port of every address: only some of them ask for it, by a password."""
    made = wall(NAMESPACE, (), name="pipelines-database")
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"protocol": "TCP", "port": port}]}]}
    return Planned("network-policy-database", {**made.manifest, "spec": spec})


def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Two of what may be two, none of what others bring, and no password that everybody knows."""
    options: Options = inputs.options
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if kind in ("Namespace", "Secret") or "cache-deployer" in name:
        return None
    if options.database and name in _OF_MYSQL:
        return None
    if kind in ("Certificate", "MutatingWebhookConfiguration"):
        return json.loads(json.dumps(manifest).replace("$(kfp-namespace)", NAMESPACE))
    if kind == "ConfigMap" and name == "pipeline-install-config":
        return {**manifest, "data": {**manifest["data"], **_settings(options)}}
    if kind in ("Deployment", "StatefulSet"):
        return _workload(name, manifest)
    return manifest


def _settings(options: Options) -> dict[str, str]:
    found = {"cacheImage": CACHED}
    if options.database:
        found |= {"mysqlHost": options.database.host, "mysqlPort": str(options.database.port)}
    return found


def _workload(name: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    changed = placed(manifest, replicas=2 if name in _TWICE else 1)
    pod = changed["spec"]["template"]["spec"]
    for one in (*pod.get("initContainers", ()), *pod["containers"]):
        if (image := one.get("image")) in WHOLE:
            one["image"] = WHOLE[image]
    (container, *_) = pod["containers"]
    if name == "cache-server":
        given = container["args"]
        container["args"] = [*given, *(one for one in _TLS if one not in given)]
    if name == "mysql":
        password = {"secretKeyRef": {"name": "mysql-secret", "key": "password"}}
        container["env"] = [{"name": "MYSQL_ROOT_PASSWORD", "valueFrom": password}]
    for variable in container.get("env", ()):
        if variable["name"] == "ALLOW_CUSTOM_VISUALIZATIONS":
            variable["value"] = "false"
    return changed


def judges(inputs: AddonInputs) -> Iterator[Mistake]:
    """A MySQL that ML Metadata cannot log in to."""
    options: Options = inputs.options
    window = Window("8.0", "8.4", _NATIVE)
    if options.database and not window.holds(options.database.version):
        accepted = f"MySQL {window}, which has mysql_native_password"
        do = "Name another database, or none: there is one in the cluster then."
        path = f"espalier:addons.{NAME}.database.version"
        yield Mistake(path, f"MySQL {options.database.version}", accepted, do)


_S3: Final = "forward port 8333 of Service seaweedfs, and with the keys of its Secret run `aws s3 sync"
_DATA: Final = (
    mysql(
        "pipelines, runs and their metadata",
        NAMESPACE,
        "mysql",
        "mysql",
        "mysql-pv-claim",
        ["mlpipeline", "metadb", "cachedb"],
        restarts=("cache-server", "metadata-grpc-deployment", "ml-pipeline"),
        given="database",
    ),
    Data(
        "files of runs",
        "bucket mlpipeline of SeaweedFS, one pod: its parts are one process with one volume",
        ByHand(
            save=f"{_S3} s3://mlpipeline files-of-runs --endpoint-url http://localhost:8333`",
            restore=f"{_S3} files-of-runs s3://mlpipeline --endpoint-url http://localhost:8333`",
        ),
        namespace=NAMESPACE,
        claims=("seaweedfs-pvc",),
    ),
)

RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="pipelines",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kubeflow/pipelines",
    options=Options,
    objects=objects,
    content=Content(
        source=KustomizeSource(
            f"https://github.com/kubeflow/pipelines/archive/refs/tags/{VERSION}.tar.gz",
            VERSION,
            f"{_ROOT}/{_FOLDERS[0]}",
            further=tuple(f"{_ROOT}/{folder}" for folder in _FOLDERS[1:]),
        ),
        namespace=NAMESPACE,
        create_namespace=False,
        edit=edit,
        images=(
            ImagePath("ConfigMap", "data.cacheImage", "pipeline-install-config"),
            ImagePath(
                "Deployment",
                "spec.template.spec.containers[*].env[*].value",
                "ml-pipeline",
                r"^(\S+/kfp-(?:driver|launcher):\S+)$",
            ),
            # A page for each Profile, of the version that is the platform's.
            ImagePath(
                "ConfigMap",
                "data[*]",
                "kubeflow-pipelines-profile-controller-code-*",
                r"\b(ghcr\.io/kubeflow/kfp-frontend)\b",
                front=True,
                optional=True,
            ),
        ),
        facts=ContentFacts(
            crds=(
                "compositecontrollers.metacontroller.k8s.io",
                "controllerrevisions.metacontroller.k8s.io",
                "decoratorcontrollers.metacontroller.k8s.io",
                "scheduledworkflows.kubeflow.org",
                "viewers.kubeflow.org",
            ),
            images=tuple(
                sorted(
                    (
                        CACHED,
                        "docker.io/alpine/k8s:1.36.2",
                        *WHOLE.values(),
                        "gcr.io/tfx-oss-public/ml_metadata_store_server:1.14.0",
                        "ghcr.io/chrislusf/seaweedfs:4.34",
                        *(f"ghcr.io/kubeflow/kfp-{image}:{VERSION}" for image in _IMAGES),
                        "ghcr.io/metacontroller/metacontroller:v4.16.2",
                    )
                )
            ),
        ),
    ),
    needs=frozenset({"argo-workflows", "cert-manager", "istio-gateway", "istiod", "kubeflow-base"}),
    versions={"argo-workflows": Window("3.7", "4.0", _MATRIX)},
    architectures=frozenset({"amd64"}),
    provides=frozenset({"webhook/cache-webhook-kubeflow"}),
    data=_DATA,
    judges=judges,
    work=(
        ("kubeflow.org", ("scheduledworkflows",)),
        (_GROUP, ("experiments", "jobs", "pipelines", "pipelineversions", "runs")),
    ),
    seen=(("kubeflow.org", ("viewers",)),),
    acts=(
        (_GROUP, ("experiments",), ("archive", "unarchive")),
        (_GROUP, ("jobs",), ("disable", "enable")),
        (_GROUP, ("runs",), ("archive", "readArtifact", "reportMetrics", "retry", "terminate", "unarchive")),
        (_GROUP, ("visualizations",), ("create",)),
    ),
    marks={**MARKS, "pipelines.kubeflow.org/enabled": "true"},
    traffic=Traffic(
        callers=(Peer(NAMESPACE, PAGE, (6006,)),),
        servers=(
            Peer(NAMESPACE, API, (8887, 8888)),
            Peer(NAMESPACE, METADATA, (8080,)),
            Peer(NAMESPACE, STORE, (8333,)),
            Peer(ports=(443, 6443)),
        ),
    ),
)
