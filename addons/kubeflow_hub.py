"""Kubeflow Hub, the model registry: which model, which version, where its files are, by an API for all tenants.

Facts: kubeflow/hub v0.3.8, manifests/kustomize/overlays/db (server, MySQL, Service of the API at 8080). Its page,
catalogue, CSI and controller are left out: images of the last two float (`latest`) upstream. Upstream's password is
`test`, and root may have none: the Secret `model-registry-db-secrets` is the owner's. It knows no tenants: whoever
reaches it sees all models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.edits import placed
from espalier.addons.kubeflow_base import NAMESPACE
from espalier.addons.saved import mysql
from espalier.addons.walls import budget, from_tenants, wall
from espalier.content import Content, ContentFacts, KustomizeSource
from espalier.types import AddonInputs, AddonRecord, Peer, Planned, Traffic

NAME: Final = "kubeflow-hub"
VERSION: Final = "v0.3.8"
PORT: Final = 8080
PODS: Final = {"component": "model-registry-server"}
SECRET: Final = "model-registry-db-secrets"  # noqa: S105 - a Secret's name
_OF_MYSQL: Final = frozenset({"metadata-mysql", "model-registry-db"})
_PARAMETERS: Final = "model-registry-db-parameters"
_SERVER: Final = "model-registry-deployment"
_HOST: Final = "@tcp(model-registry-db:"
MYSQL: Final = "mysql:8.3.0"
"""In place of upstream's tag 8.3, which moves."""
_KINDS: Final = frozenset({"ConfigMap", "Deployment", "PersistentVolumeClaim", "Service", "ServiceAccount"})
_NAMES: Final = frozenset(
    {*_OF_MYSQL, _PARAMETERS, _SERVER, "model-registry-configmap", "model-registry-server", "model-registry-service"}
)


class Database(BaseModel):
    """A MySQL that is there; user and password are in the Secret, as MYSQL_USER_NAME and MYSQL_ROOT_PASSWORD."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", max_length=253)] = Field(
        description="its name or address"
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(default=3306, description="its port")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$", max_length=64)] = Field(
        default="model_registry", description="the database in it"
    )


class Options(BaseModel):
    """Where the registry is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    database: Database | None = Field(default=None, description="a MySQL in place of one in the cluster")


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """Tenants' pods reach the API; the server a database elsewhere."""
    return (
        from_tenants(NAMESPACE, "model-registry", PODS, (PORT,)),
        budget("model-registry", NAMESPACE, PODS),
        *_way_out(inputs.options),
    )


def _way_out(options: Options) -> Iterator[Planned]:
    if options.database:
        out = (options.database.port,)
        made = wall(NAMESPACE, (PORT,), pods=PODS, out=out, name="model-registry-database")
        yield Planned("network-policy-database", made.manifest)


def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Two servers, one database or none; no password that everybody knows."""
    options: Options = inputs.options
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if kind not in _KINDS or name not in _NAMES or (name in _OF_MYSQL and options.database):
        return None
    if name == _PARAMETERS:
        told = {key: value for key, value in manifest["data"].items() if key != "MYSQL_ALLOW_EMPTY_PASSWORD"}
        there = options.database
        own = {"MYSQL_DATABASE": there.name, "MYSQL_PORT": str(there.port)} if there else {}
        return {**manifest, "data": {**told, **own}}
    if kind != "Deployment":
        return manifest
    changed = placed(manifest, replicas=2 if name == _SERVER else 1)
    (container,) = changed["spec"]["template"]["spec"]["containers"]
    if name in _OF_MYSQL:
        container["image"] = MYSQL
    elif options.database:
        there = f"@tcp({options.database.host}:"
        container["args"] = [arg.replace(_HOST, there) for arg in container["args"]]
    return changed


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="tracking",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kubeflow/hub",
    options=Options,
    objects=objects,
    content=Content(
        source=KustomizeSource(
            f"https://github.com/kubeflow/hub/archive/refs/tags/{VERSION}.tar.gz",
            VERSION,
            f"hub-{VERSION.removeprefix('v')}/manifests/kustomize/overlays/db",
        ),
        namespace=NAMESPACE,
        create_namespace=False,
        edit=edit,
        facts=ContentFacts(images=(f"ghcr.io/kubeflow/model-registry/server:{VERSION}", MYSQL)),
    ),
    data=(
        mysql(
            "models and their versions",
            NAMESPACE,
            "model-registry-db",
            "db-container",
            "metadata-mysql",
            ["metadb"],
            restarts=(_SERVER,),
            given="database",
        ),
    ),
    needs=frozenset({"kubeflow-base"}),
    after=frozenset({"istio-base", "istio-gateway"}),
    traffic=Traffic(servers=(Peer(NAMESPACE, PODS, (PORT,)),)),
)
